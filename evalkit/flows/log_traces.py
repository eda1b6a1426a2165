"""What a run and its executions become in MLflow, and what of its origin is known; no store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evalkit.adapters.files.companions import head_of
from evalkit.adapters.files.log_file import INPUT, LogFile
from evalkit.adapters.files.run import RunFiles
from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.log_trace import MAX_VALUE_CHARS, build_trace
from evalkit.claude_log.timing import Start, start_of
from evalkit.claude_log.usage import reported_usage
from evalkit.core import describe
from evalkit.core.executions import is_failed
from evalkit.core.results import Run
from evalkit.core.score_values import beyond_floats
from evalkit.entities import STUB_TAG, Span, Status, Trace
from evalkit.errors import LogRefused
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.masking import mask_json, mask_text
from evalkit.receipt import WHOLE_RUN, Receipt
from evalkit.store import RunRecord
from evalkit.tokens import Consumption

STUB_BUILDER = "evalkit stub 1"
"""Part of every stub's content hash, as the builder's is of logs'."""

_STATED_COMMIT = "commit_sha"  # the harness's name for it in its snapshot


def record_of(found: RunFiles, key: str, first: LogFile | RunFiles) -> RunRecord:
    """The run as MLflow is to hold it; ``first`` tells a time where no file says one."""
    project, run = found.project, found.run
    start = began(found, first.modified_ns())
    return RunRecord(
        key=key,
        name=run.run_id,
        params=describe.params(project, run),
        metrics=tuple(describe.metrics(project, run).items()),
        tags=describe.tags(project, run),
        start_ms=start.ns // 10**6,
        end_ms=start.ns // 10**6 + round((run.usage.duration_s or 0) * 1000),
        status="FAILED" if is_failed(run) else "FINISHED",
        is_time_inferred=start.inferred,
        lasting=_commit_of(found, start),
    )


def about_scores(run: Run) -> Iterator[str]:
    """What people should know of a run's scores."""
    empty = sum(s.value is None and not s.error for s in run.scores)
    if empty:
        yield f"{empty} scores have neither value nor error; they stand in the table only"
    yield from beyond_floats((s.case_id, s.judge, s.value) for s in run.scores)
    if not run.scores:
        yield "there are no scores; judge feedback that stands in MLflow is left as it is"


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
    run, case_id = found.run, log.case_id
    trace = build_trace(
        log.lines(),
        trace_id=describe.trace_id(key, case_id),
        name=run.run_id if case_id is None else case_id,
        case_id=case_id,
        start=began(found, log.modified_ns()),
        sidecars=log.subagents(),
        times=log.events(),
        request=found.given(case_id),
        reported=run.usage if case_id is None else run.case_usage.get(case_id),
    )
    exit_code, failure = run.usage_of(case_id).exit_code, _failure(found, case_id)
    if trace.status == "ERROR" or (not failure and (trace.status == "OK" or exit_code is None)):
        return trace
    # a log says how a session ended; that its process was killed, only the run knows
    status, message = _outcome(exit_code, failure)
    root, *others = trace.spans
    message = ": ".join(filter(None, (message, root.message))) if failure else ""
    return replace(
        trace,
        status=status,
        spans=(replace(root, status=status, message=message), *others),
        content_hash=_hash([trace.content_hash, status, message]),
    )


def stub_of(
    found: RunFiles, case_id: str | None, key: str, refused: LogRefused | None = None
) -> Trace:
    """The trace of a case without steps: its input, what output there is, and why no more.

    Args:
        found: The run.
        case_id: The case; None for a whole batch run.
        key: The run's key; the id is the one that a log's trace, which may replace it, would have.
        refused: Why its log gives no steps; None where there is no log.
    """
    usage, trace_id = found.run.usage_of(case_id), describe.trace_id(key, case_id)
    name = found.run.run_id if case_id is None else case_id
    trim = Trimmer(MAX_VALUE_CHARS, Receipt())
    asked = trim.value(mask_json(found.given(case_id)), "input")
    answered = trim.value(mask_json(_output(found, case_id)), "output")
    why = mask_text(refused.problems[0].message if refused else "there is no log of it")[0]
    status, message = _outcome(usage.exit_code, _failure(found, case_id))
    facts = {
        "evalkit.no_steps": why,
        "evalkit.time": "inferred",
        "evalkit.exit_code": usage.exit_code,
        "evalkit.num_turns": usage.num_turns,
    }
    start, metadata = began(found, found.modified_ns()), _totals(usage)
    root = Span(
        span_id=derive_id(trace_id, "spans", length=16),
        parent_id=None,
        name=name,
        kind="AGENT",
        start_ns=start.ns,
        end_ns=start.ns + round((usage.duration_s or 0) * 10**9),
        inputs=asked,
        outputs=answered,
        attributes={key: value for key, value in facts.items() if value is not None},
        status=status,
        message=message,
    )
    stated_start = None if start.inferred else start.ns
    decides = [STUB_BUILDER, name, asked, answered, why, status, message, stated_start]
    return Trace(
        trace_id=trace_id,
        name=name,
        case_id=case_id,
        start_ns=root.start_ns,
        end_ns=root.end_ns,
        status=status,
        request=asked,
        response=answered,
        spans=(root,),
        tags={STUB_TAG: why, "evalkit.receipt": "refused" if refused else "no log"},
        metadata=metadata,
        content_hash=_hash([*decides, facts, usage.duration_s, metadata]),
        receipt=refused.receipt if refused else Receipt(),
    )


def _hash(decides: list[Json]) -> str:
    return hashlib.sha256(canonical(decides).encode("utf-8", "replace")).hexdigest()


def _outcome(exit_code: int | None, failure: str) -> tuple[Status, str]:
    """How an execution ended, and why it failed; unspecified where nobody knows."""
    if failure:
        return "ERROR", failure
    return ("UNSET", "how it ended is not known") if exit_code is None else ("OK", "")


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


def _totals(usage: Consumption) -> dict[str, str]:
    """What the case consumed, as MLflow keeps it."""
    found: dict[str, str] = {}
    if usage.tokens:
        used = reported_usage(usage.tokens).as_mlflow(with_output="output" in usage.tokens)
        found["mlflow.trace.tokenUsage"] = canonical(used)
    if usage.cost_usd is not None:
        found["mlflow.trace.cost"] = canonical({"total_cost": usage.cost_usd})
    return found


def began(found: RunFiles, modified_ns: int) -> Start:
    """When a run began, as far as its files tell.

    Args:
        found: The run.
        modified_ns: When one of its logs was last changed, nanoseconds since the epoch.
    """
    return start_of(found.first_ns, found.started, found.run.run_id, modified_ns)


def _commit_of(found: RunFiles, start: Start) -> dict[str, str]:
    """Run tags with the commit: the snapshot's, else HEAD of the project's repository if it fits.

    It fits where the run lies in that repository and began after the commit was made. MLflow
    shows the first tag; the second says how the commit is known.
    """
    commit, basis = found.run.origin.get(_STATED_COMMIT), "harness-snapshot.json"
    if not commit:
        head = head_of(Path(found.project.file).parent, holds=found.folder)
        if head is None or head.time_s * 10**9 > start.ns:
            return {}
        commit, basis = head.commit, "inferred: HEAD when the run was logged"
    return {"mlflow.source.git.commit": commit, "evalkit.commit": basis}
