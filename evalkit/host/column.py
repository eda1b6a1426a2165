"""Several things below each other where marimo's page does not lay them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Column:
    """Shown by Jupyter as each of its parts, in order.

    Attributes:
        parts: What is shown.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)

    def _ipython_display_(self) -> None:
        """Called by IPython to show it."""
        from IPython.display import display

        show: Callable[[Any], Any] = display
        for part in self.parts:
            show(part)
