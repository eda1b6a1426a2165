"""The files of a case as they are read, and the way from one case to the next."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import marimo as mo

from evalkit.ui import page
from evalkit.ui.notebook import Host

LONGEST = 6_000
"""Characters of a file that are shown."""

OPEN_UP_TO = 4
"""Files that are shown unfolded."""

GoTo: TypeAlias = Callable[[Callable[[int], int]], None]
"""Setter of the place that is shown, given the way there from the place shown before."""

NO_TEXT = "(no text, or too large to show)"

SMALL = "font-size: 0.8rem"
"""A line of 100 characters fits into half of the page."""

HEAD = "cursor: pointer; font-weight: 600; font-size: 0.875rem"


def case_files(title: str, files: Mapping[str, str | None]) -> Any:
    """The files of a case, as they lie there.

    Args:
        title: Which case it is.
        files: Text by name; None for what is no text or very large.
    """
    texts = {name: NO_TEXT if text is None else text for name, text in files.items()}
    if not page.is_live():
        return page.record(texts)
    shown = [_file(name, text, place) for place, (name, text) in enumerate(texts.items())]
    heading = f'<div style="{page.TITLE}">{html.escape(title)}</div>'
    nothing = f'<div style="{page.MUTED}">The folder is empty.</div>'
    return mo.Html(f"<div>{heading}{''.join(shown) or nothing}</div>")


def prose(schema: str) -> Any:
    """What the config says about the cases."""
    if not schema.strip():
        return page.callout(
            "The config has no `dataset.schema`, so that names and contents have to speak for "
            "themselves. A sentence there about each file makes the proposal better."
        )
    if not page.is_live():
        return page.text(schema.strip())
    title = f'<div style="{page.TITLE}">dataset.schema in the config</div>'
    body = html.escape(schema.strip())
    return mo.Html(f'{title}<div style="{page.BOX}; {page.TEXT}; {SMALL}">{body}</div>')


def beside(left: Any, right: Any, *, wider: float = 1.0) -> Any:
    """Two parts side by side; below each other where there is no page.

    Args:
        left: The one.
        right: The other.
        wider: How many times as wide as the other the first one is.
    """
    if not page.is_live():
        return page.stack(left, right)
    return mo.hstack([left, right], widths=[wider, 1], gap=1.5, align="start")


def stepper(host: Host[Any], names: Sequence[str], go_to: GoTo) -> Any:
    """Controls that lead from case to case; None where nobody could use them.

    They stay the same whichever case is shown: controls that are made anew by their own press may
    take one press for two.

    Args:
        host: The notebook's host.
        names: The cases.
        go_to: Told how to get from the place that is shown, counted from 0, to the one to show.
    """
    if not host.person or len(names) <= 1:
        return None
    row = "display: flex; gap: 0.75rem; align-items: center"
    return mo.Html(f'<div style="{row}">{{back}}{{on}}{{jump}}</div>').batch(
        back=_button("← Previous case", -1, len(names), go_to),
        on=_button("Next case →", 1, len(names), go_to),
        jump=mo.ui.dropdown(
            {name: place for place, name in enumerate(names)},
            label="Go to",
            searchable=True,
            on_change=lambda place: go_to(lambda shown: shown if place is None else place),
        ),
    )


def _button(label: str, step: int, cases: int, go_to: GoTo) -> Any:
    return mo.ui.button(
        label=label, on_click=lambda _: go_to(lambda place: (min(place, cases - 1) + step) % cases)
    )


def _file(name: str, text: str, place: int) -> str:
    rest = len(text) - LONGEST
    note = f"\n… {rest:,} further characters" if rest > 0 else ""
    body = html.escape(text[:LONGEST].strip() + note)
    opened = " open" if place < OPEN_UP_TO else ""
    return (
        f'<details{opened} style="{page.BOX}; margin-bottom: 0.6rem">'
        f'<summary style="{HEAD}">{html.escape(name)}</summary>'
        f'<div style="{page.TEXT}; {SMALL}; margin-top: 0.5rem">{body}</div></details>'
    )
