"""A finished run as people look at it: straight from its files, without MLflow."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.adapters.files.run import LogFile, RunFiles, list_runs
from evalkit.core import describe
from evalkit.core.errors import InputError, Problem
from evalkit.core.spans import Trace
from evalkit.workspace import Workspace


def run_ids(workspace: Workspace) -> list[str]:
    """Ids of the project's finished runs, sorted, so that dated ones end with the latest."""
    return list_runs(workspace.files)


def log_of(logs: Sequence[LogFile], case_id: str) -> LogFile | None:
    """The log that tells of a case: its own, else the whole batch run's; None where none does."""
    own = next((log for log in logs if log.case_id == case_id), None)
    return own or next((log for log in logs if log.case_id is None), None)


def read_trace(found: RunFiles, case_id: str) -> Trace:
    """The trace that tells of a case, as it would be logged, with its secrets masked.

    The ids are not those in MLflow, which depend on the experiment.

    Args:
        found: The run.
        case_id: One of its cases. In a batch run, the trace holds the others too.

    Raises:
        InputError: the case has no log, or one that leads out of the run directory.
        LogRefused: no trace can be made of the log.
    """
    from evalkit.flows.log import trace_of

    log = log_of(found.logs(), case_id)
    if log is None:
        fix = "the agent did not start, or its stdout.log was not kept"
        place = str(found.folder / "cases" / case_id)
        raise InputError(Problem(f"there is no log of {case_id}", place, fix=fix))
    return trace_of(found, log, describe.run_key("", found.project, found.run.run_id))
