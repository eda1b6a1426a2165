"""Which run? A person picks one of those that there are; elsewhere it has to be named."""

from __future__ import annotations

from typing import Any

import marimo as mo

from evalkit import reading
from evalkit.context import Workspace
from evalkit.errors import InputError, Problem
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
