"""Values told in few words: texts cut, lists cut short, JSON of a size that is kept to."""

from __future__ import annotations

import json
import re

from evalkit.core.values import Json

READ = 4
"""So many times the characters that are kept of a text are looked at, at most."""

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


def short(text: str, most: int) -> str:
    """The text on one line, cut to a number of characters; fit for UTF-8.

    Args:
        text: The text, of any length.
        most: Characters that are kept at most.
    """
    line = _SPACE.sub(" ", text[: READ * most]).strip().encode("utf-8", "replace").decode()
    is_whole = len(line) <= most and len(text) <= READ * most
    return line if is_whole else line[: most - 1].rstrip() + "…"


def short_value(value: Json, most: int, items: int = 6, depth: int = 4) -> Json:
    """The value with its texts cut, its lists and objects cut short, and not too deep.

    Args:
        value: The value.
        most: Characters that are kept of each text.
        items: How many items of a list and fields of an object are kept.
        depth: Levels that are kept.
    """
    if isinstance(value, str):
        return short(value, most)
    if not isinstance(value, (dict, list)):
        return value
    if depth == 0:
        return f"… {len(value)} more" if value else value
    if isinstance(value, list):
        kept = [short_value(each, most, items, depth - 1) for each in value[:items]]
        return kept + ([f"… {len(value) - items} more"] if len(value) > items else [])
    some = list(value.items())[:items]
    fields = {short(name, most): short_value(each, most, items, depth - 1) for name, each in some}
    return fields | ({"…": f"{len(value) - items} more"} if len(value) > items else {})


def as_text(value: Json) -> str:
    """The value as JSON text on one line, letters of all alphabets as they are; fit for UTF-8."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def size(value: Json) -> int:
    """Bytes that the value takes as JSON text."""
    return len(as_text(value).encode())
