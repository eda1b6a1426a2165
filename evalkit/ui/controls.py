"""What a person sets on a page: the form over the parameters, groups of controls, views."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import marimo as mo

from evalkit.arguments import Parameter, parameters
from evalkit.params import ProjectParams
from evalkit.ui import page

GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); "
    "gap: 1rem 1.5rem; overflow-wrap: anywhere"
)
WHOLE = "grid-column: 1 / -1"


def form(start: ProjectParams, submit: str, *, is_known: bool) -> Any:
    """A form that shows the parameters a person may change, as ``settings``, and "Look again".

    Where what the page is about is known, the form is one line, and the content comes first.
    marimo passes over a form that is submitted unchanged, but the files and MLflow may have
    changed behind it: hence a button of its own.
    """
    shown = [each for each in parameters(type(start)) if each.shown != "never"]
    controls = {each.name: _control(each, getattr(start, each.name)) for each in shown}
    fields = _grid(each for each in shown if each.shown == "form")
    if more := [each for each in shown if each.shown == "more"]:
        fields += (
            f"\n\n/// details | More settings\n\n{_grid(more, '; padding: 0 1rem 1rem')}\n\n///"
        )
    settings = mo.md(fields).batch(**controls).form(submit_button_label=submit, bordered=True)
    again = mo.ui.run_button(label="Look again", kind="neutral")
    opened = html.escape(start.config).replace("{", "{{").replace("}", "}}")
    state, told = "" if is_known else " open", f'<span style="{page.MUTED}">opened with {opened}'
    head = f'<summary style="cursor: pointer">Settings {told}</span></summary>'
    look = f'<details{state} style="{page.BOX}">{head}{{settings}}</details><div>{{again}}</div>'
    return group(
        f'<div style="display: grid; gap: 0.75rem">{look}</div>', settings=settings, again=again
    )


def _grid(fields: Iterable[Parameter], style: str = "") -> str:
    cells = (
        f'<div style="{WHOLE if p.name == "config" or p.kind is bool else ""}">{{{p.name}}}</div>'
        for p in fields
    )
    return f'<div style="{GRID}{style}">{"".join(cells)}</div>'


def _control(each: Parameter, value: Any) -> Any:
    about = each.about.replace("*", "&#42;")  # in paths it is no emphasis
    label = f"**{each.label}** <small>{about}</small>"
    if each.kind is bool:
        return mo.ui.checkbox(value=value, label=label)
    if each.choices:
        return mo.ui.dropdown(
            each.choices, value=value, label=label, allow_select_none=False, full_width=True
        )
    if each.kind in {int, float}:
        return mo.ui.number(value=value, label=label, full_width=True)
    return mo.ui.text(value=str(value or ""), label=label, full_width=True)


def group(template: str, **controls: Any) -> Any:
    """Controls as one, in HTML with each one's name in braces; the value is theirs by name.

    marimo sends a change twice, as the control's and as the group's. It runs what depends on the
    group for either, and keeps the later alone of two changes to a group that arrive together.
    Here the group's counts, which always says everything; controls have no ``on_change``.
    """
    found = mo.Html(template).batch(**controls)
    for control in found.elements.values():
        control._lens = None  # noqa: SLF001  # there is no public way
    return found


def tabs(*names: str) -> Any:
    """A bar to choose a view with, the first one open; None where nobody could choose.

    The views themselves are shown in other cells, by :func:`is_open`, so that what is selected in
    one of them stays selected, and what is not looked at is not made.
    """
    return mo.ui.tabs(dict.fromkeys(names, "")) if page.is_live() else None


def is_open(bar: Any, name: str) -> bool:
    """Whether a view is to be shown: that which was chosen of :func:`tabs`, else every one."""
    return bar is None or bar.value == name
