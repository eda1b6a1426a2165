"""A finished run as people look at it: straight from its files, without MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evalkit.adapters.files.log_file import LogFile
from evalkit.adapters.files.run import RunFiles, list_runs
from evalkit.context import Workspace
from evalkit.core import describe, overview
from evalkit.core.feedback import masked
from evalkit.core.overview import CaseOverview
from evalkit.core.receipt import Receipt
from evalkit.core.spans import Trace
from evalkit.errors import InputError, LogRefused, Problem


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with its trace, or with the reason why there is none.

    Attributes:
        case: What is known of it without its log.
        trace: What its log tells; None where there is no log or it is refused.
        refusal: Why there is no trace; None where there is one.
    """

    case: CaseOverview
    trace: Trace | None
    refusal: InputError | None

    @property
    def receipt(self) -> Receipt | None:
        """What became of the lines of its log; None where there is no log."""
        if self.trace is not None:
            return self.trace.receipt
        return self.refusal.receipt if isinstance(self.refusal, LogRefused) else None


def run_ids(workspace: Workspace) -> list[str]:
    """Ids of the project's finished runs, sorted, so that dated ones end with the latest."""
    return list_runs(workspace.files)


def read_cases(found: RunFiles) -> list[CaseOverview]:
    """What is known of each case of a run without its log, with secrets masked.

    Raises:
        InputError: a log leads out of the run directory.
    """
    logged = {log.case_id for log in found.logs()}
    scores = tuple(map(masked, found.run.scores))
    run = replace(found.run, scores=scores)
    return overview.cases(run, run.cases if None in logged else logged)


def open_case(found: RunFiles, case: CaseOverview) -> OpenedCase:
    """Read a case's log.

    Args:
        found: The run.
        case: One of its cases.
    """
    try:
        return OpenedCase(case, read_trace(found, case.case_id), None)
    except InputError as error:
        return OpenedCase(case, None, error)


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
    from evalkit.flows.log_traces import trace_of

    log = log_of(found.logs(), case_id)
    if log is None:
        fix = "the agent did not start, or its stdout.log was not kept"
        place = str(found.folder / "cases" / case_id)
        raise InputError(Problem(f"there is no log of {case_id}", place, fix=fix))
    return trace_of(found, log, describe.run_key("", found.project, found.run.run_id))
