"""The words that differ between two texts, marked as removed and as added."""

from __future__ import annotations

import difflib
import html
import re

REMOVED = "background: var(--red-4, #ffdbdc); color: var(--red-12, #641723); text-decoration: none"
ADDED = (
    "background: var(--grass-4, #d6f1d8); color: var(--grass-12, #203c25); text-decoration: none"
)

LONGEST_COMPARED = 1_500
"""Words of a text; beyond that, before and after are shown whole and unmarked."""


def marked(before: str, after: str) -> tuple[str, str]:
    """Both texts as HTML, with the words that differ marked; markup in them is text."""
    old, new = (re.findall(r"\s+|\w+|[^\w\s]", each) for each in (before, after))
    if max(len(old), len(new)) > LONGEST_COMPARED:
        return html.escape(before), html.escape(after)
    left, right = [], []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = (html.escape("".join(part)) for part in (old[a:b], new[c:d]))
        left.append(gone if kind == "equal" else _mark("del", gone, REMOVED))
        right.append(come if kind == "equal" else _mark("ins", come, ADDED))
    return "".join(left), "".join(right)


def _mark(tag: str, text: str, style: str) -> str:
    return f'<{tag} style="{style}">{text}</{tag}>' if text else ""
