"""What a person sets and follows on every page: the form, groups, tabs, the ways between pages."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import marimo as mo

from evalkit.arguments import Parameter, parameters
from evalkit.params import ProjectParams
from evalkit.ui import NOTEBOOKS, START, Notebook, page

GRID = (
    "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); "
    "gap: 1rem 1.5rem; overflow-wrap: anywhere"
)
INNER = f"{GRID}; padding: 0 1rem 1rem"
WHOLE = "grid-column: 1 / -1"
PILL = "padding: 0.15rem 0.85rem; border-radius: 999px; font-size: 0.85rem; text-decoration: none"
MARKED = "background: var(--grass-9, #46a758); color: white; font-weight: 600"
QUIET = f"background: var(--slate-3, #eee); {page.MUTED}"


def form(start: ProjectParams, submit: str) -> Any:
    """A form that shows the parameters a person may change, as ``settings``, and "Look again".

    marimo passes over a form that is submitted unchanged, but the files and MLflow may have
    changed behind it: hence a button of its own.

    Args:
        start: The parameters it is filled with.
        submit: What its button says.
    """
    shown = [each for each in parameters(type(start)) if each.shown != "never"]
    controls = {each.name: _control(each, getattr(start, each.name)) for each in shown}
    fields = _grid(each for each in shown if each.shown == "form")
    if more := [each for each in shown if each.shown == "more"]:
        fields += f"\n\n/// details | More settings\n\n{_grid(more, INNER)}\n\n///"
    settings = mo.md(fields).batch(**controls).form(submit_button_label=submit, bordered=True)
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
    """Controls as one, whose value is theirs by name; without ``on_change`` of their own.

    marimo sends a change twice, as the control's and as the group's. It runs what depends on the
    group for either, and keeps the later alone of two changes to a group that arrive together.
    Here the group's counts, which always says everything.

    Args:
        template: HTML with each control's name in braces.
        **controls: marimo's elements.
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


def stages(current: str, *, linked: bool) -> Any:
    """The start and the stages in their order, this one marked, the others links if they can be."""
    pills = []
    for each in (START, *NOTEBOOKS) if linked else NOTEBOOKS:
        here = each.name == current
        look = f'style="{PILL}; {MARKED if here else QUIET}">{each.title}'
        plain = here or not linked
        pills.append(f"<span {look}</span>" if plain else f'<a href="{_address(each)}" {look}</a>')
    return mo.Html(
        f'<nav style="display: flex; flex-wrap: wrap; gap: 0.5rem">{"".join(pills)}</nav>'
    )


def _address(each: Notebook, config: str = "") -> str:
    return "?" + urlencode({"file": each.file, **({"config": config} if config else {})})


def onward(after: Notebook, config: str) -> Any:
    """The way to the next stage.

    Args:
        after: The next stage.
        config: The ``eval.yaml`` that its page is to begin with; empty where it knows.
    """
    link = html.escape(_address(after, config))
    return mo.Html(
        f'<div><a href="{link}" style="{PILL}; {MARKED}">Next: {after.title} →</a>'
        f'<span style="{page.MUTED}; font-size: 0.875rem; margin-left: 0.75rem">{after.about}'
        "</span></div>"
    )
