"""JSON values: the one form in which data crosses the borders between files, evalkit and MLflow.

Text is shortened here, and nowhere else.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""None, bool, int, finite float, str, list of Json or dict of str to Json.

Any rather than a recursive union: narrowing a recursive union at every step costs more lines
than it catches mistakes; :func:`well_formed` guarantees the shape at the border instead.
"""


def well_formed(value: object) -> Json:
    """The value as plain JSON, without what UTF-8 and MLflow have no place for.

    Dates and times become ISO 8601 text, bytes base64 text, sets sorted lists, keys text; halves of
    surrogate pairs become "?", NaN and infinities the text ``NaN``, ``Infinity`` and ``-Infinity``.

    Raises:
        TypeError: the value is of a kind that has no JSON form.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    if isinstance(value, Mapping):
        return {str(well_formed(key)): well_formed(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [well_formed(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted((well_formed(each) for each in value), key=canonical)
    if isinstance(value, (dt.date, dt.datetime, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")


def exact(value: Json) -> Json:
    """The value with whole numbers that a float cannot hold, from 2^53 on, as text.

    MLflow keeps every number of an assessment as a float.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return str(value)
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items()}
    return [exact(each) for each in value] if isinstance(value, list) else value


def is_number(value: object) -> bool:
    """Whether a value is a number that a float holds; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # which NaN is not, either


def is_beyond_numbers(value: Json) -> bool:
    """Whether it is meant as a number, and none to reckon with: NaN, infinite, or too large."""
    if isinstance(value, int):
        return abs(value) > sys.float_info.max
    return value in ("NaN", "Infinity", "-Infinity")


def canonical(value: Json) -> str:
    """The value as JSON text with sorted keys: equal values, equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def json_line(value: Json) -> str:
    """The value as JSON text on one line, letters of all alphabets as they are; fit for UTF-8."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def derive_id(*parts: str, length: int = 32) -> str:
    """A lower-case hex id of ``length`` digits, derived by SHA-256 from what a thing is.

    The parts are joined unambiguously, so ``("a", "bc")`` and ``("ab", "c")`` differ.
    """
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a mapping"),
)


def kind_of(value: object) -> str:
    """What a value is, in words."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "empty")


def text_of(value: Json) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def id_of(value: Json) -> str:
    """The value as an id: logs that went through a terminal have line breaks inside of ids."""
    if not isinstance(value, str):
        return ""
    if value.isprintable() and " " not in value:
        return value
    return "".join(value.split())


def mapping_of(value: Json) -> Mapping[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def plain_text(content: Json) -> str:
    """The text in a message's or a tool result's content, without images and other blocks."""
    if isinstance(content, str):
        return content
    texts = (text_of(mapping_of(block).get("text")) for block in list_of(content))
    return "\n".join(text for text in texts if text)


def is_text(text: str) -> bool:
    """Whether it is text, and not what bytes of something else were taken for."""
    return bool(text) and not any(mark in text for mark in "\x00\ufffd")


_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
_LOOKED_AT = 4  # times the characters that are kept


def truncate(text: str, most: int) -> str:
    """The text on one line, of ``most`` characters at most, the last "…" where it is cut.

    It is fit for UTF-8, and costs the same however long the text is.
    """
    line = _SPACE.sub(" ", text[: _LOOKED_AT * most]).strip().encode("utf-8", "replace").decode()
    is_whole = len(line) <= most and len(text) <= _LOOKED_AT * most
    return line if is_whole else line[: most - 1].rstrip() + "…"
