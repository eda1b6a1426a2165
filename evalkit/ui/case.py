"""How one case looks beside others: what judges said, its files, and columns that keep in sight.

All that files and judges say is escaped and shown letter by letter.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import marimo as mo

from evalkit.jsonable import Json, canonical
from evalkit.runs.run import Score
from evalkit.ui import page

CHIP = (
    "padding: 0.05rem 0.6rem; border-radius: 999px; font-size: 0.8rem; font-weight: 600; "
    "overflow-wrap: anywhere"
)
HUES = {"pass": "grass", "fail": "red", "judge failed": "amber"}
TALLEST = "max-height: 18rem; overflow-y: auto"
"""What is read beside the conversation must not push it out of sight."""

COLUMNS = """
.ek-beside { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, var(--ek-wide));
  gap: 1.5rem; align-items: start }
.ek-beside > div { min-width: 0; display: grid; gap: 1rem }
.ek-beside > .ek-stays { position: sticky; top: 0.5rem; max-height: calc(100vh - 1rem);
  overflow-y: auto }
@media (max-width: 700px) {
  .ek-beside { grid-template-columns: minmax(0, 1fr) }
  .ek-beside > .ek-stays { position: static; max-height: none }
}
"""


def beside(left: Iterable[Any], right: Iterable[Any], *, wide: float = 1.0) -> Any:
    """Two columns, of which the left one stays in sight; below each other where it is narrow.

    Args:
        left: Its parts, below each other; None for none.
        right: The other's.
        wide: How many times as wide as the left one the right one is.
    """
    columns = [[part for part in parts if part is not None] for parts in (left, right)]
    if not page.is_live():
        return page.stack(*columns[0], *columns[1])
    stays, goes = ("".join(mo.as_html(part).text for part in parts) for parts in columns)
    return mo.Html(
        f'<style>{COLUMNS}</style><div class="ek-beside" style="--ek-wide: {wide}fr">'
        f'<div class="ek-stays">{stays}</div><div>{goes}</div></div>'
    )


def scorecard(scores: Iterable[Score], title: str = "") -> Any:
    """What each judge said about one case, and why.

    Args:
        scores: The scores.
        title: What they are about.
    """
    parts = [_score(score) for score in scores]
    if not parts:
        parts = [f'<div style="{page.MUTED}">No judge has looked at this case.</div>']
    heading = f'<div style="{page.TITLE}">{html.escape(title)}</div>' if title else ""
    return mo.Html(f"<div>{heading}{''.join(parts)}</div>")


def _score(score: Score) -> str:
    words = _words(score)
    hue = HUES.get(words, "slate")
    chip = f"{CHIP}; background: var(--{hue}-4, #eee); color: var(--{hue}-12, inherit)"
    kind = html.escape("a model" if score.by_model else score.judge_type)
    return (
        f'<div style="{page.BOX}; margin-bottom: 0.6rem; font-size: 0.875rem">'
        f'<div style="display: flex; justify-content: space-between; gap: 0.5rem">'
        f'<span style="overflow-wrap: anywhere"><strong>{html.escape(score.judge)}</strong> '
        f'<span style="{page.MUTED}; font-size: 0.75rem">{kind}</span></span>'
        f'<span style="{chip}">{html.escape(words)}</span></div>'
        f'<div style="{page.TEXT}; {page.MUTED}; margin-top: 0.25rem">'
        f"{html.escape(score.error or score.rationale)}</div></div>"
    )


def _words(score: Score) -> str:
    """A score's value as a person says it."""
    if score.error:
        return "judge failed"
    if score.value is None:
        return "no value"
    if isinstance(score.value, bool):
        return "pass" if score.value else "fail"
    return value_text(score.value)


def value_text(value: Json) -> str:
    """A value in a line."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else canonical(value)


def folding(title: str, fields: Mapping[str, Json] | str, *, opened: bool = True) -> Any:
    """Fields with their values, or a text, behind a title; None where there is nothing.

    Args:
        title: What it is.
        fields: Value by name, or the text.
        opened: Whether it is shown without a click.
    """
    if not fields:
        return None
    body = page.text(fields) if isinstance(fields, str) else page.record(fields)
    if not page.is_live():
        return body
    head = f'<summary style="cursor: pointer; {page.TITLE}">{html.escape(title)}</summary>'
    inner = f'<div style="{TALLEST}">{body.text}</div>'
    # by its key the page knows that this is another one
    key = html.escape(f"{title} {hash(inner)}")
    state = " open" if opened else ""
    return mo.Html(f'<details{state} key="{key}" style="{page.BOX}">{head}{inner}</details>')
