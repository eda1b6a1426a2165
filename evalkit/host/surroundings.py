"""What lies around a case's conversation: its task, what was expected, what came of it."""

from __future__ import annotations

import html
from typing import Any

import marimo as mo

from evalkit.reviewing import Surroundings
from evalkit.ui import page

TALLEST = "max-height: 18rem; overflow-y: auto"
"""What is read beside the conversation must not push it out of sight."""


def task_view(found: Surroundings) -> Any:
    """What the case gave to the agent and what was expected; None where its files say nothing."""
    if not found.given:
        return None
    return _folding("The case: its task, and what was expected", page.record(found.given))


def files_view(found: Surroundings) -> Any:
    """The files that the run left for the case, each folded; None where there are none."""
    told = {
        name: page.text("This file is no text, or too large to show." if text is None else text)
        for name, text in found.produced.items()
    }
    if not told:
        return None
    return page.stack(*(_folding(name, text, opened=False) for name, text in told.items()))


def _folding(title: str, body: Any, *, opened: bool = True) -> Any:
    if not page.is_live():
        return body
    state = " open" if opened else ""
    head = f'<summary style="cursor: pointer; {page.TITLE}">{html.escape(title)}</summary>'
    inner = f'<div style="{TALLEST}">{body.text}</div>'
    return mo.Html(f'<details{state} style="{page.BOX}">{head}{inner}</details>')
