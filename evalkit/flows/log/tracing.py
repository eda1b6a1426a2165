"""The trace that a log of a run becomes; no store is asked."""

from __future__ import annotations

from evalkit.adapters.files.run import LogFile, RunFiles
from evalkit.core import describe
from evalkit.core.spans import Trace
from evalkit.core.start import Start, start_of
from evalkit.core.transcript import build_trace


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
    return build_trace(
        log.lines(),
        trace_id=describe.trace_id(key, log.case_id),
        name=run.run_id if log.case_id is None else log.case_id,
        case_id=log.case_id,
        start=began(found, log.modified_ns()),
        sidecars=log.subagents(),
        times=log.events(),
        request=found.given(log),
        reported=run.usage if log.case_id is None else run.case_usage.get(log.case_id),
    )


def began(found: RunFiles, modified_ns: int) -> Start:
    """When a run began, as far as its files tell.

    Args:
        found: The run.
        modified_ns: When one of its logs was last changed, nanoseconds since the epoch.
    """
    return start_of(found.first_ns, found.started, found.run.run_id, modified_ns)
