"""Values as Python literals that a person can read, laid out as a formatter would.

Nothing of a value ever becomes code: texts go through :func:`repr`, which escapes line breaks,
control characters and everything else that could end a literal or hide in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from evalkit.core.values import Json

WIDTH = 100
INDENT = "    "
MAX_DEPTH = 30
"""Deeper values are read from JSON text: Python's parser gives up on too many brackets."""

MAX_WRAPPED = 20_000
"""Longer texts stay on one line; nobody reads them anyway."""

_SHORTEST_PIECE = 40  # of a long text on lines of its own, however far in it stands


def literal(value: Json, indent: int = 0, taken: int = 0) -> str:
    """A value as a Python expression; evaluated, it is the same value.

    Values nested deeper than :data:`MAX_DEPTH` become a call of ``json.loads``, so whoever uses
    the text imports ``json`` where :func:`needs_json` says so.

    Args:
        value: The value.
        indent: Steps of indentation of the line on which the expression begins.
        taken: Characters of that line that are taken, beside the indentation.

    Raises:
        TypeError: it is no JSON value.
    """
    return _literal(value, indent, taken, 0)


def needs_json(code: str) -> bool:
    """Whether code with literals in it needs the module ``json``."""
    return "json.loads(" in code


def text_literal(text: str) -> str:
    """A text as a literal, in double quotes unless that takes more escapes."""
    single = repr(text)
    if single[0] == "'" and '"' not in text:
        return f'"{single[1:-1]}"'
    return single


def _literal(value: Json, indent: int, taken: int, depth: int) -> str:
    flat = _flat(value, depth)
    if flat is not None and len(INDENT) * indent + taken + len(flat) < WIDTH:
        return flat
    inner = INDENT * (indent + 1)
    if isinstance(value, str):
        return _wrapped(value, inner, INDENT * indent)
    if depth >= MAX_DEPTH or not isinstance(value, (dict, list, tuple)) or not value:
        return flat or _from_json(value)
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    lines = "".join(f"{inner}{item},\n" for item in _items(value, indent + 1, depth + 1))
    return f"{opening}\n{lines}{INDENT * indent}{closing}"


def _items(value: Json, indent: int, depth: int) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            key = text_literal(_checked_key(name))
            yield f"{key}: {_literal(each, indent, len(key) + 2, depth)}"
    else:
        for each in value:
            yield _literal(each, indent, 0, depth)


def _flat(value: Json, depth: int) -> str | None:
    """The value on one line; None where it is too long to fit anywhere."""
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if not isinstance(value, (dict, list, tuple)):
        msg = f"a value of type {type(value).__name__} has no literal"
        raise TypeError(msg)
    if depth >= MAX_DEPTH and value:
        return _from_json(value)
    return _flat_items(value, depth)


def _flat_items(value: Json, depth: int) -> str | None:
    parts: list[str] = []
    length = 0
    is_object = isinstance(value, dict)
    for item in value.items() if is_object else value:
        key = text_literal(_checked_key(item[0])) + ": " if is_object else ""
        part = _flat(item[1] if is_object else item, depth + 1)
        if part is None or (length := length + len(key) + len(part) + 2) > WIDTH:
            return None
        parts.append(key + part)
    return "{" + ", ".join(parts) + "}" if is_object else "[" + ", ".join(parts) + "]"


def _checked_key(name: Json) -> str:
    if not isinstance(name, str):
        msg = f"a key of type {type(name).__name__} has no literal"
        raise TypeError(msg)
    return name


def _from_json(value: Json) -> str:
    return f"json.loads({text_literal(json.dumps(value))})"


def _wrapped(text: str, inner: str, outer: str) -> str:
    """A long text in brackets, in pieces that Python joins again."""
    pieces = [] if len(text) > MAX_WRAPPED else list(_pieces(text, WIDTH - len(inner) - 2))
    if len(pieces) <= 1:
        return text_literal(text)
    lines = "".join(f"{inner}{text_literal(piece)}\n" for piece in pieces)
    return f"(\n{lines}{outer})"


def _pieces(text: str, width: int) -> Iterator[str]:
    """The text cut after line breaks, and where lines are too long, after blanks."""
    width = max(width, _SHORTEST_PIECE)
    for line in text.splitlines(keepends=True):
        left = line
        while len(text_literal(left)) > width + 2:
            at = left.rfind(" ", 1, width - (len(text_literal(left[:width])) - width)) + 1
            if at <= 0:
                break
            yield left[:at]
            left = left[at:]
        yield left
