"""The trace that an execution of a run becomes; no store is asked."""

from __future__ import annotations

from evalkit.adapters.files.log_file import INPUT, LogFile
from evalkit.adapters.files.run import RunFiles
from evalkit.claude_log.timing import Start, start_of
from evalkit.claude_log.trace import build_trace
from evalkit.core import describe
from evalkit.core.errors import LogRefused
from evalkit.core.receipt import WHOLE_RUN
from evalkit.core.spans import Trace
from evalkit.core.values import Json
from evalkit.flows.log.stub import NO_LOG, build_stub, with_outcome


def trace_of(found: RunFiles, log: LogFile, key: str) -> Trace:
    """The trace that a log becomes, with its secrets masked.

    Args:
        found: The run that the log belongs to.
        log: One of its logs.
        key: The run's key; the ids of the trace and its spans are derived from it.

    Raises:
        InputError: a transcript beside the log leads out of the run directory.
        LogRefused: no trace can be made of it.
    """
    run = found.run
    trace = build_trace(
        log.lines(),
        trace_id=describe.trace_id(key, log.case_id),
        name=run.run_id if log.case_id is None else log.case_id,
        case_id=log.case_id,
        start=began(found, log.modified_ns()),
        sidecars=log.subagents(),
        times=log.events(),
        request=found.given(log.case_id),
        reported=run.usage if log.case_id is None else run.case_usage.get(log.case_id),
    )
    return with_outcome(
        trace, found.run.usage_of(log.case_id).exit_code, _failure(found, log.case_id)
    )


def stub_of(
    found: RunFiles, case_id: str | None, key: str, refused: LogRefused | None = None
) -> Trace:
    """The trace of a case that left no log, or one that is refused.

    Args:
        found: The run.
        case_id: The case; None for a whole batch run.
        key: The run's key.
        refused: Why its log gives no steps; None where there is no log.
    """
    return build_stub(
        trace_id=describe.trace_id(key, case_id),
        name=found.run.run_id if case_id is None else case_id,
        case_id=case_id,
        start=began(found, found.modified_ns()),
        usage=found.run.usage_of(case_id),
        failure=_failure(found, case_id),
        why=refused.problems[0].message if refused else NO_LOG,
        request=found.given(case_id),
        response=_output(found, case_id),
        receipt=refused.receipt if refused else None,
    )


def _failure(found: RunFiles, case_id: str | None) -> str:
    return found.run.failed.get(WHOLE_RUN if case_id is None else case_id, "")


def _output(found: RunFiles, case_id: str | None) -> Json:
    """The text of the one file that there is, all by name where there are several, else the log."""
    files = {n: text for n, text in found.produced(case_id).items() if n != INPUT}
    if not files:
        log = next((log for log in found.logs() if log.case_id == case_id), None)
        return log.text() if log else None
    known = {name: "(no text, or too large)" if t is None else t for name, t in files.items()}
    return next(iter(known.values())) if len(known) == 1 else dict(known)


def began(found: RunFiles, modified_ns: int) -> Start:
    """When a run began, as far as its files tell.

    Args:
        found: The run.
        modified_ns: When one of its logs was last changed, nanoseconds since the epoch.
    """
    return start_of(found.first_ns, found.started, found.run.run_id, modified_ns)
