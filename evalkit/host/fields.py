"""The fields of a mapping as a person settles them: a dropdown each, and what speaks for it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import marimo as mo

from evalkit.dataset.mapping import Mapped
from evalkit.dataset.proposal import Choice, MappingProposal, Side
from evalkit.drafting import MappingDraft, Origin, Standing
from evalkit.errors import InputError
from evalkit.host.casefiles import beside
from evalkit.ui import page
from evalkit.ui.controls import group
from evalkit.ui.notebook import Host

SIDES: dict[str, Side | None] = {
    "input": "inputs",
    "expectation": "expectations",
    "leave out": None,
}
"""What the dropdowns offer."""

WORDS = {side: words for words, side in SIDES.items()}

GROUPS: dict[Side | None, str] = {
    "inputs": "Inputs: what the skill receives",
    "expectations": "Expectations: what it should produce, kept from it",
    None: "Left out",
}

WIDTHS = (14, 19, 24, 9)
"""Per cent of the table's width; the reasons take what is left."""

UNSEEN = "position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)"
GROUP = "padding: 1.1rem 0.75rem 0.35rem; font-weight: 600; text-align: left"
PARTLY = "color: var(--amber-11, #ab6400); font-weight: 600"
WARNING = "color: var(--red-11, #ce2c31)"


def origin_picker(host: Host[Any], draft: MappingDraft) -> Any:
    """Start from the mapping in the file, or from the proposal? None where that is no question.

    Args:
        host: The notebook's host.
        draft: The mapping in the making.
    """
    if not host.person or draft.standing(draft.proposal.mapping).kind != "differs":
        return None
    offered = {f"the file {draft.file}": "file", "the proposal": "proposal"}
    return mo.ui.radio(offered, value=next(iter(offered)), label="Start from", inline=True)


def picked_origin(picker: Any) -> Origin:
    """What :func:`origin_picker` was set to; the proposal where there was no question."""
    return "proposal" if picker is None or picker.value != "file" else "file"


def editor(host: Host[Any], start: MappingProposal) -> Any:
    """A dropdown for each field, with what speaks for it; None where nobody could choose.

    Args:
        host: The notebook's host.
        start: What the dropdowns are set to.
    """
    if not host.person:
        return None
    rows: dict[Side | None, list[str]] = {side: [] for side in GROUPS}
    controls = {}
    for place, choice in enumerate(start.choices):
        if choice.selector is None:
            continue
        controls[f"c{place}"] = _dropdown(choice)
        rows[choice.side].append(_row(f"c{place}", choice))
    columns = "".join(f'<col style="width: {width}%">' for width in WIDTHS)
    heads = ("Goes to", "Called", "Found at", "Cases", "Why")
    head = "".join(f'<th style="{page.CELL}; {page.MUTED}">{each}</th>' for each in heads)
    body = "".join(_group(GROUPS[side], found) for side, found in rows.items() if found)
    table = (
        '<table style="width: 100%; table-layout: fixed; border-collapse: collapse">'
        f"<colgroup>{columns}<col></colgroup><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
    return group(table, **controls)


def sides(editor: Any, start: MappingProposal) -> list[Side | None]:
    """Where each choice goes, in their order: as the dropdowns say, else as it started.

    Args:
        editor: What :func:`editor` returned.
        start: What it was made from.
    """
    said = editor.value if editor is not None else {}
    return [
        SIDES[said[f"c{place}"]] if f"c{place}" in said else choice.side
        for place, choice in enumerate(start.choices)
    ]


def unselectable(start: MappingProposal) -> Any:
    """What nothing can be chosen of, and why; None where there is nothing."""
    rows = [
        {"What": choice.name, "Why it cannot be chosen": choice.reason}
        for choice in start.choices
        if choice.selector is None
    ]
    if not rows:
        return None
    return page.table(rows, label="**Nothing to choose**", wrapped_columns=[*rows[0]])


def record_view(title: str, mapped: Mapped) -> Any:
    """What a case becomes: inputs beside expectations, and what it lacks.

    Args:
        title: Which case it is.
        mapped: The record, and the fields that the case lacks.
    """
    return page.stack(
        beside(
            page.record(mapped.record.inputs, title=f"Inputs of {title}"),
            page.record(mapped.record.expectations, title="Expectations"),
        ),
        page.folded(
            _lacks(len(mapped.lacking)),
            [f"{field}: {why}" for field, why in mapped.lacking.items()],
        ),
    )


def _lacks(count: int) -> str:
    return "This case lacks 1 field" if count == 1 else f"This case lacks {count} fields"


def gap_table(mapped: Sequence[Mapped]) -> Any:
    """The cases that lack a field of the mapping, or that there are none.

    Args:
        mapped: What every case becomes, and what it lacks.
    """
    gaps = [(each.record.case_id, field) for each in mapped for field in each.lacking]
    if not gaps:
        return page.callout(
            f"All **{len(mapped)}** cases have every field of the mapping.", "success"
        )
    lacking: dict[str, dict[str, list[str]]] = {}
    for case_id, field in gaps:
        side, _, name = field.partition(".")
        lacking.setdefault(case_id, {"inputs": [], "expectations": []})[side].append(name)
    rows = [
        {
            "Case": case_id,
            "Inputs that it lacks": ", ".join(names["inputs"]),
            "Expectations that it lacks": ", ".join(names["expectations"]),
        }
        for case_id, names in lacking.items()
    ]
    title = f"**{len(rows)} of {len(mapped)} cases lack a field**"
    return page.table(rows, page_size=10, label=title, wrapped_columns=[*rows[0]])


def advice(revised: MappingProposal, draft: MappingDraft) -> Any:
    """What speaks against the mapping as it is now; None where nothing does."""
    mapping = revised.mapping
    names = ", ".join(f"**{page.quoted(name)}**" for name in draft.exposed(mapping))
    warning = f"As an input, {names} would show the skill what is expected of it."
    problems = draft.problems(mapping)
    return page.stack(
        page.callout(warning, "danger") if names else None,
        page.problem(InputError(*problems)) if problems else None,
    )


def standing_view(standing: Standing, file: str) -> Any:
    """What saving would do to the file.

    Args:
        standing: The file beside the mapping.
        file: Its path.
    """
    name = f"**{page.quoted(file)}**"
    match standing.kind:
        case "absent":
            return page.callout(f"There is no {name} yet. Saving makes it.")
        case "same":
            return page.callout(f"{name} says exactly this.", "success")
        case "invalid":
            return page.stack(
                page.callout(
                    f"{name} is no valid mapping. It is kept until you replace it.", "warn"
                ),
                page.problem(InputError(*standing.problems)),
            )
    count = len(standing.differences)
    fields = "1 field" if count == 1 else f"{count} fields"
    return page.stack(
        page.callout(
            f"{name} says something else in {fields}. It is kept until you replace it.", "warn"
        ),
        page.comparison(standing.differences),
    )


def replace_switch(host: Host[Any], *, force: bool) -> Any:
    """May a file that differs be overwritten? None where nobody could say so.

    Args:
        host: The notebook's host.
        force: What the parameters say.
    """
    return mo.ui.switch(value=force, label="Replace the file") if host.person else None


def may_replace(switch: Any, *, force: bool) -> bool:
    """What :func:`replace_switch` is set to, else what the parameters say."""
    return force if switch is None else bool(switch.value)


def _dropdown(choice: Choice) -> Any:
    unseen = f'<span style="{UNSEEN}">{page.quoted(choice.key)} goes to</span>'
    return mo.ui.dropdown(
        list(SIDES), value=WORDS[choice.side], label=unseen, allow_select_none=False
    )


def _group(title: str, rows: Iterable[str]) -> str:
    return f'<tr><th colspan="5" style="{GROUP}">{title}</th></tr>{"".join(rows)}'


def _row(control: str, choice: Choice) -> str:
    hit, total = choice.coverage
    cases = f'<span style="{PARTLY if hit < total else ""}">{hit} of {total}</span>'
    texts = (
        f"<strong>{_broken(choice.name)}</strong>",
        f"<code>{_broken(choice.key)}</code>",
        cases,
        _data(choice.reason),
    )
    cells = "".join(f'<td style="{page.CELL}; {page.TEXT}">{each}</td>' for each in texts)
    return f'<tr><td style="{page.CELL}">{{{control}}}</td>{cells}</tr>'


def _broken(name: str) -> str:
    """A name that may be broken where its parts meet."""
    return re.sub(r"([._/:])", r"\1<wbr>", _data(name))


def _data(text: str) -> str:
    """Text as HTML in a template, where braces stand for controls."""
    return html.escape(text).replace("{", "{{").replace("}", "}}")
