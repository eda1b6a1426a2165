"""Which run is looked at, and how one case looks: scores and files beside what the agent did.

All that files and judges say is escaped and shown letter by letter.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

import marimo as mo

from evalkit.context import Workspace
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, canonical
from evalkit.reading import OpenedCase
from evalkit.runs.run import Run, Score, executions, told
from evalkit.runs.run_dir import list_runs
from evalkit.ui import page
from evalkit.ui.conversation import conversation
from evalkit.ui.notebook import Host

CHIP = (
    "padding: 0.05rem 0.6rem; border-radius: 999px; font-size: 0.8rem; font-weight: 600; "
    "overflow-wrap: anywhere"
)
HUES = {"pass": "grass", "fail": "red", "judge failed": "amber"}
TALLEST = "max-height: 18rem; overflow-y: auto"
"""What is read beside the conversation must not push it out of sight."""

COLUMNS = """
.ek-beside { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, var(--ek-wide));
  gap: 1.5rem; align-items: start }
.ek-beside > div { min-width: 0; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem }
.ek-beside > .ek-stays { position: sticky; top: 0.5rem; max-height: calc(100vh - 1rem);
  overflow-y: auto }
@media (max-width: 700px) {
  .ek-beside { grid-template-columns: minmax(0, 1fr) }
  .ek-beside > .ek-stays { position: static; max-height: none }
}
"""


def beside(left: Iterable[Any], right: Iterable[Any], *, wide: float = 1.0) -> Any:
    """Two columns, of which the left one stays in sight; below each other where it is narrow.

    ``wide`` says how many times as wide as the left one the right one is; parts may be None.
    """
    columns = [[part for part in parts if part is not None] for parts in (left, right)]
    if not page.is_live():
        return page.stack(*columns[0], *columns[1])
    stays, goes = ("".join(mo.as_html(part).text for part in parts) for parts in columns)
    return mo.Html(
        f'<style>{COLUMNS}</style><div class="ek-beside" style="--ek-wide: {wide}fr">'
        f'<div class="ek-stays">{stays}</div><div>{goes}</div></div>'
    )


def scorecard(scores: Iterable[Score], title: str = "") -> Any:
    """What each judge said about one case, and why."""
    parts = [_score(score) for score in scores]
    if not parts:
        parts = [f'<div style="{page.MUTED}">No judge has looked at this case.</div>']
    heading = f'<div style="{page.TITLE}">{html.escape(title)}</div>' if title else ""
    return mo.Html(f"<div>{heading}{''.join(parts)}</div>")


def _score(score: Score) -> str:
    words = {True: "pass", False: "fail"}[score.value] if isinstance(score.value, bool) else ""
    words = words or value_text(score.value)
    if score.error or score.value is None:
        words = "judge failed" if score.error else "no value"
    hue = HUES.get(words, "slate")
    chip = f"{CHIP}; background: var(--{hue}-4, #eee); color: var(--{hue}-12, inherit)"
    kind = html.escape("a model" if score.by_model else score.judge_type)
    return (
        f'<div style="{page.BOX}; margin-bottom: 0.6rem; font-size: 0.875rem">'
        f'<div style="display: flex; justify-content: space-between; gap: 0.5rem">'
        f'<span style="overflow-wrap: anywhere"><strong>{html.escape(score.judge)}</strong> '
        f'<span style="{page.MUTED}; font-size: 0.75rem">{kind}</span></span>'
        f'<span style="{chip}">{html.escape(words)}</span></div>'
        f'<div style="{page.TEXT}; {page.MUTED}; margin-top: 0.25rem">'
        f"{html.escape(score.error or score.rationale)}</div></div>"
    )


def value_text(value: Json) -> str:
    """A value in a line."""
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else canonical(value)


def folding(title: str, fields: Mapping[str, Json] | str, *, opened: bool = True) -> Any:
    """Fields with their values, or a text, behind a title; None where there is nothing."""
    if not fields:
        return None
    body = page.text(fields) if isinstance(fields, str) else page.record(fields)
    if not page.is_live():
        return body
    head = f'<summary style="cursor: pointer; {page.TITLE}">{html.escape(title)}</summary>'
    inner = f'<div style="{TALLEST}">{body.text}</div>'
    # by its key the page knows that this is another one
    key = html.escape(f"{title} {hash(inner)}")
    state = " open" if opened else ""
    return mo.Html(f'<details{state} key="{key}" style="{page.BOX}">{head}{inner}</details>')


def run_picker(host: Host[Any], workspace: Workspace, named: str | None) -> Any:
    """A dropdown of the finished runs, the latest first; None where nobody could pick.

    Where there are no runs, or not the one that is named, the page ends here and says so.

    ``named`` is the run that the parameters name, if any; else the latest is picked first.
    """
    if not host.person:
        return None
    runs = list_runs(workspace.files)
    if named and named not in runs:
        with host.step():
            workspace.run(named)
    if not runs:
        host.halt(
            "There is **no finished run** yet.",
            "Run the evaluation; if its runs lie elsewhere, name their folder in the settings.",
        )
    return mo.ui.dropdown(
        runs[::-1], value=named or runs[-1], label="Run", allow_select_none=False, searchable=True
    )


def picked_run(host: Host[Any], picker: Any, named: str | None) -> str:
    """The run that was picked with :func:`run_picker`, else the one that the parameters name."""
    if picker is not None:
        return str(picker.value)
    with host.step():
        if not named:
            fix = "`evalkit check` lists the runs"
            raise InputError(Problem("no run is named", field="--run-id", fix=fix))
    return str(named)


def failures(run: Run) -> Any:
    """How many executions failed, which comes first on every page; None where none did."""
    words = told(executions(run))
    return page.callout(f"**{page.quoted(words)}**", "danger") if words else None


def case_view(opened: OpenedCase) -> Any:
    """A case's scores beside its conversation, or beside the reason why there is none."""
    talk = conversation(opened.trace) if opened.trace is not None else None
    shown = page.stack(talk, page.problem(opened.refusal) if opened.refusal else None)
    scores = scorecard(opened.case.scores, title=opened.case.case_id)
    return beside([scores], [shown], wide=1.9)


def receipt_view(opened: OpenedCase) -> Any:
    """What became of a case's log, in plain words, and which of its figures do not add up."""
    if opened.receipt is None:
        return page.callout("This case has no log, so there is nothing to account for.")
    rows = [
        {
            "Figure": each.what.replace("_", " "),
            "Model": each.model or "all",
            "The spans add up to": f"{each.spans:,.6g}",
            "The result says": f"{each.result:,.6g}",
            "Why": each.why,
        }
        for each in opened.receipt.differences
    ]
    title = "**What does not add up**"
    table = page.table(rows, label=title, wrapped_columns=["Why"]) if rows else None
    return page.stack(page.record(opened.receipt.in_words()), table)
