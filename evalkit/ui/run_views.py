"""Which run is looked at, and how one case of it looks: scores beside what the agent did."""

from __future__ import annotations

from typing import Any

import marimo as mo

from evalkit import reading
from evalkit.context import Workspace
from evalkit.errors import InputError, Problem
from evalkit.reading import OpenedCase
from evalkit.runs.run import Run, executions, told
from evalkit.ui import page
from evalkit.ui.case import beside, scorecard
from evalkit.ui.conversation import conversation
from evalkit.ui.notebook import Host


def run_picker(host: Host[Any], workspace: Workspace, named: str | None) -> Any:
    """A dropdown of the finished runs, the latest first; None where nobody could pick.

    Where there are no runs, or not the one that is named, the page ends here and says so.

    Args:
        host: The notebook's host.
        workspace: The project.
        named: The run that the parameters name, if any; else the latest is picked first.
    """
    if not host.person:
        return None
    runs = reading.run_ids(workspace)
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
    """The run that was picked, else the one that the parameters name.

    Args:
        host: The notebook's host.
        picker: What :func:`run_picker` returned.
        named: The run that the parameters name, if any.
    """
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
    if opened.trace is not None:
        shown = conversation(opened.trace)
    else:
        shown = page.problem(opened.refusal) if opened.refusal else None
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
