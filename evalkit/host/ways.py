"""The ways between the pages: from the start to each stage, and on to the next."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import urlencode

import marimo as mo

from evalkit import notebooks
from evalkit.host.page import BOX, MUTED

PILL = "padding: 0.15rem 0.85rem; border-radius: 999px; font-size: 0.85rem; text-decoration: none"
MARKED = "background: var(--grass-9, #46a758); color: white; font-weight: 600"
QUIET = f"background: var(--slate-3, #eee); {MUTED}"
GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); "
    "gap: 1rem"
)
CARD = f"display: block; text-decoration: none; color: inherit; {BOX}"
NUMBER = (
    "display: inline-block; width: 1.6rem; line-height: 1.6rem; border-radius: 999px; "
    f"text-align: center; font-size: 0.85rem; {MARKED}"
)


def stages(current: str, *, linked: bool) -> Any:
    """The start and the stages in their order, this one marked.

    Args:
        current: The name of this notebook.
        linked: Whether the others are one link away.
    """
    pills = [_pill(each, current, linked=linked) for each in notebooks.present()]
    if linked:
        pills.insert(0, _pill(notebooks.START, current, linked=True))
    return mo.Html(
        f'<nav style="display: flex; flex-wrap: wrap; gap: 0.5rem">{"".join(pills)}</nav>'
    )


def stage_cards() -> Any:
    """Every stage in order with what a person does there, each card the way to its page."""
    cards = "".join(_card(number, each) for number, each in enumerate(notebooks.present(), 1))
    return mo.Html(f'<nav style="{GRID}">{cards}</nav>')


def onward(current: str, config: str = "") -> Any:
    """The way to the next stage; None behind the last one.

    Args:
        current: The name of this notebook.
        config: The ``eval.yaml`` that the next page is to begin with; empty where it knows.
    """
    after = notebooks.next_after(current)
    if after is None:
        return None
    link = escape(_address(after, config))
    return mo.Html(
        f'<div><a href="{link}" style="{PILL}; {MARKED}">Next: {after.title} →</a>'
        f'<span style="{MUTED}; font-size: 0.875rem; margin-left: 0.75rem">{after.about}</span>'
        "</div>"
    )


def _address(each: notebooks.Notebook, config: str = "") -> str:
    named = {"config": config} if config else {}
    return "?" + urlencode({"file": each.file, **named})


def _pill(each: notebooks.Notebook, current: str, *, linked: bool) -> str:
    here = each.name == current
    look = MARKED if here else QUIET
    if here or not linked:
        return f'<span style="{PILL}; {look}">{each.title}</span>'
    return f'<a href="{_address(each)}" style="{PILL}; {look}">{each.title}</a>'


def _card(number: int, each: notebooks.Notebook) -> str:
    return (
        f'<a href="{_address(each)}" style="{CARD}">'
        f'<div style="font-size: 1.1rem; font-weight: 600"><span style="{NUMBER}">{number}</span> '
        f'{each.title}</div><div style="{MUTED}; margin-top: 0.5rem">{each.about}</div></a>'
    )
