"""How one case of a run looks: what the judges said, beside what the agent did."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import marimo as mo

from evalkit.core.results import Score
from evalkit.host.conversation import conversation
from evalkit.host.glance import difference_table
from evalkit.jsonable import Json, canonical
from evalkit.reading import OpenedCase
from evalkit.ui import page

CHIP = (
    "padding: 0.05rem 0.6rem; border-radius: 999px; font-size: 0.8rem; font-weight: 600; "
    "overflow-wrap: anywhere"
)
HUES = {"pass": "grass", "fail": "red", "judge failed": "amber"}
WIDTHS = [1, 1.9]
"""Of the scores and of the conversation."""


def case_view(opened: OpenedCase) -> Any:
    """A case's scores beside its conversation, or beside the reason why there is none."""
    if opened.trace is not None:
        told = conversation(opened.trace)
    else:
        told = page.problem(opened.refusal) if opened.refusal else None
    scores = scorecard(opened.case.scores, title=opened.case.case_id)
    if not page.is_live():
        return page.stack(scores, told)
    return mo.hstack([scores, told], widths=WIDTHS, gap=1.5, align="start")


def scorecard(scores: Iterable[Score], title: str = "") -> Any:
    """What each judge said about one case, and why.

    Args:
        scores: The scores.
        title: What they are about.
    """
    heading = f'<div style="{page.TITLE}">{html.escape(title)}</div>' if title else ""
    parts = [_score(score) for score in scores]
    if not parts:
        parts = [f'<div style="{page.MUTED}">No judge has looked at this case.</div>']
    return mo.Html(f"<div>{heading}{''.join(parts)}</div>")


def _score(score: Score) -> str:
    words = _words(score)
    hue = HUES.get(words, "slate")
    chip = f"{CHIP}; background: var(--{hue}-4, #eee); color: var(--{hue}-12, inherit)"
    who = "a model" if score.by_model else score.judge_type
    kind = f' <span style="{page.MUTED}; font-size: 0.75rem">{html.escape(who)}</span>'
    why = html.escape(score.error or score.rationale)
    return (
        f'<div style="{page.BOX}; margin-bottom: 0.6rem; font-size: 0.875rem">'
        f'<div style="display: flex; justify-content: space-between; gap: 0.5rem">'
        f'<span style="overflow-wrap: anywhere"><strong>{html.escape(score.judge)}</strong>{kind}'
        f'</span><span style="{chip}">{html.escape(words)}</span></div>'
        f'<div style="{page.TEXT}; {page.MUTED}; margin-top: 0.25rem">{why}</div></div>'
    )


def _words(score: Score) -> str:
    """A score's value as a person says it."""
    if score.error:
        return "judge failed"
    if score.value is None:
        return "no value"
    if isinstance(score.value, bool):
        return "pass" if score.value else "fail"
    return _value(score.value)


def _value(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return value if isinstance(value, str) else canonical(value)


def receipt_view(opened: OpenedCase) -> Any:
    """What became of a case's log, in plain words."""
    if opened.receipt is None:
        return page.callout("This case has no log, so there is nothing to account for.")
    return page.stack(
        page.record(opened.receipt.in_words()),
        difference_table(opened.receipt.differences),
    )
