"""Text cut to a size; the only place that shortens it."""

from __future__ import annotations

import re

LOOKED_AT = 4
"""So many times the characters that are kept of a text are looked at, at most."""

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


def truncate(text: str, most: int) -> str:
    """The text on one line, of ``most`` characters at most, the last "…" where it is cut.

    It is fit for UTF-8, and costs the same however long the text is.
    """
    line = _SPACE.sub(" ", text[: LOOKED_AT * most]).strip().encode("utf-8", "replace").decode()
    is_whole = len(line) <= most and len(text) <= LOOKED_AT * most
    return line if is_whole else line[: most - 1].rstrip() + "…"
