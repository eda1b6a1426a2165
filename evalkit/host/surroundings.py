"""What lies around a case's conversation: its task, what was expected, what came of it."""

from __future__ import annotations

from typing import Any

import marimo as mo

from evalkit.host import page
from evalkit.reviewing import Surroundings


def surroundings_view(found: Surroundings) -> Any:
    """The case's own files and the run's, each folded; None where there are neither."""
    parts = {}
    if found.given:
        parts["The case: its task, and what was expected"] = page.record(found.given)
    for name, text in found.produced.items():
        told = "This file is no text, or too large to show." if text is None else text
        parts[f"File: {page.quoted(name)}"] = page.text(told)
    if not parts:
        return None
    return mo.accordion(parts, multiple=True) if page.is_live() else page.stack(*parts.values())
