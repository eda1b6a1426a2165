"""Views that lie behind each other: a person sees one at a time, elsewhere all are shown."""

from __future__ import annotations

from typing import Any

import marimo as mo

from evalkit.host import page


def tabs(*names: str) -> Any:
    """A bar to choose a view with; None where nobody could choose.

    The views themselves are shown in other cells, by :func:`is_open`, so that what is selected in
    one of them stays selected, and what is not looked at is not made.

    Args:
        names: What the views are called; the first one is open.
    """
    return mo.ui.tabs(dict.fromkeys(names, "")) if page.is_live() else None


def is_open(bar: Any, name: str) -> bool:
    """Whether a view is to be shown.

    Args:
        bar: What :func:`tabs` returned.
        name: What the view is called.
    """
    return bar is None or bar.value == name
