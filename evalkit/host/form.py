"""The form over a stage's parameters, filled with what is known."""

from __future__ import annotations

from typing import Any

import marimo as mo

from evalkit.params import Parameter, Project, parameters


def form(start: Project, submit: str) -> Any:
    """A form that shows the parameters a person may change.

    Args:
        start: The parameters it is filled with.
        submit: What its button says.
    """
    shown = {each.name: each for each in parameters(type(start)) if each.shown != "never"}
    controls = {name: _control(each, getattr(start, name)) for name, each in shown.items()}
    page = "\n\n".join(_place(each) for each in shown.values() if each.shown == "form")
    if more := [_place(each) for each in shown.values() if each.shown == "more"]:
        page += "\n\n/// details | More settings\n\n" + "\n\n".join(more) + "\n\n///"
    return mo.md(page).batch(**controls).form(submit_button_label=submit, bordered=True)


def _place(each: Parameter) -> str:
    return f"{{{each.name}}}"


def _control(each: Parameter, value: Any) -> Any:
    label = f"**{each.label}** <small>{each.about}</small>"
    if each.kind is bool:
        return mo.ui.checkbox(value=value, label=label)
    if each.choices:
        return mo.ui.dropdown(each.choices, value=value, label=label, allow_select_none=False)
    if each.kind in {int, float}:
        return mo.ui.number(value=value, label=label)
    return mo.ui.text(value=str(value), label=label, full_width=True)
