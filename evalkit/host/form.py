"""The form over a stage's parameters, filled with what is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import marimo as mo

from evalkit.host.page import group
from evalkit.params import Parameter, Project, parameters

GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); "
    "gap: 1rem 1.5rem; overflow-wrap: anywhere"
)
INNER = f"{GRID}; padding: 0 1rem 1rem"
WHOLE = "grid-column: 1 / -1"


def form(start: Project, submit: str) -> Any:
    """A form that shows the parameters a person may change, as ``settings``, and "Look again".

    marimo passes over a form that is submitted unchanged, but the files and MLflow may have
    changed behind it: hence a button of its own.

    Args:
        start: The parameters it is filled with.
        submit: What its button says.
    """
    shown = [each for each in parameters(type(start)) if each.shown != "never"]
    controls = {each.name: _control(each, getattr(start, each.name)) for each in shown}
    page = _grid(each for each in shown if each.shown == "form")
    if more := [each for each in shown if each.shown == "more"]:
        page += f"\n\n/// details | More settings\n\n{_grid(more, INNER)}\n\n///"
    settings = mo.md(page).batch(**controls).form(submit_button_label=submit, bordered=True)
    again = mo.ui.run_button(label="Look again", kind="neutral")
    look = '<div style="display: grid; gap: 0.75rem">{settings}{again}</div>'
    return group(look, settings=settings, again=again)


def _grid(fields: Iterable[Parameter], style: str = GRID) -> str:
    cells = "".join(
        f'<div style="{WHOLE if _is_wide(each) else ""}">{{{each.name}}}</div>' for each in fields
    )
    return f'<div style="{style}">{cells}</div>'


def _is_wide(each: Parameter) -> bool:
    return each.name == "config" or each.kind is bool


def _control(each: Parameter, value: Any) -> Any:
    label = f"**{each.label}** <small>{each.about}</small>"
    if each.kind is bool:
        return mo.ui.checkbox(value=value, label=label)
    if each.choices:
        return mo.ui.dropdown(
            each.choices, value=value, label=label, allow_select_none=False, full_width=True
        )
    if each.kind in {int, float}:
        return mo.ui.number(value=value, label=label, full_width=True)
    return mo.ui.text(value=str(value or ""), label=label, full_width=True)
