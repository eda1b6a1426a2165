"""Log: a finished run becomes an MLflow run, with one trace per case built from its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from evalkit.adapters.files.run import LogFile, RunFiles
from evalkit.adapters.store import RunRecord, Store, Written
from evalkit.core import describe
from evalkit.core.errors import StoreError, Unfinished
from evalkit.core.feedback import (
    Assessment,
    Changes,
    SourceType,
    Target,
    changes,
    from_score,
    masked,
    merge,
)
from evalkit.core.masking import mask_text
from evalkit.core.matching import (
    CASE_TAG,
    HASH_TAG,
    RUN_TAG,
    StoredTrace,
    TraceIndex,
    index_traces,
)
from evalkit.core.receipt import Receipt
from evalkit.core.receipts import WHOLE_RUN, Receipts
from evalkit.core.spans import Trace
from evalkit.core.start import Start, start_of
from evalkit.core.transcript import LogRefused, build_trace
from evalkit.core.values import Json

ARTIFACTS = ("summary.yaml", "run_result.json")
"""Files of the run directory that go to MLflow, with secrets masked."""

PROGRESS = 25
"""Traces between two lines of progress."""

JUDGES: tuple[SourceType, ...] = ("CODE", "LLM_JUDGE")

Built = tuple[Trace, tuple[Assessment, ...]]


def log_results(
    found: RunFiles,
    store: Store,
    *,
    seed_names: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """Log a finished run to MLflow; a second time only what has changed since.

    Args:
        found: The run.
        store: Where to log it.
        seed_names: Name judge feedback ``{case_id}/{judge}`` on every trace, not only on those
            that hold several cases.
        say: Told the progress, a line at a time.

    Returns:
        The stage's report. ``params``, ``metrics``, ``traces``, ``spans``, ``assessments`` and
        ``table_rows`` count what stands in MLflow; ``written`` is False where nothing had
        changed; ``receipt`` sums the receipts of all logs.

    Raises:
        InputError: a log leads out of the run directory.
        StoreError: MLflow failed before anything was written.
        Unfinished: MLflow failed on the way; the report says how far it got.
    """
    experiment_id = store.experiment(found.project.experiment, create=True)
    key = describe.run_key(experiment_id, found.project, found.run.run_id)
    logging = _Logging(found, store, experiment_id, key, seed_names=seed_names, say=say)
    try:
        logging.log()
    except StoreError as error:
        if not logging.run_id:
            raise
        raise Unfinished(
            f"{error}\nRun the same command again to finish.", logging.report()
        ) from error
    return logging.report()


def trace_of(found: RunFiles, log: LogFile, key: str) -> Trace:
    """The trace that a log becomes, with its secrets masked; no store is asked.

    Args:
        found: The run that the log belongs to.
        log: One of its logs.
        key: The run's key; the ids of the trace and its spans are derived from it.

    Raises:
        InputError: a transcript beside the log leads out of the run directory.
        LogRefused: no trace can be made of it.
    """
    return build_trace(
        log.lines(),
        trace_id=describe.trace_id(key, log.case_id),
        name=found.run.run_id if log.case_id is None else log.case_id,
        case_id=log.case_id,
        start=_start(found, log.modified_ns()),
        sidecars=log.subagents(),
        times=log.events(),
    )


def _start(found: RunFiles, modified_ns: int) -> Start:
    return start_of(found.started, found.run.run_id, modified_ns)


@dataclass
class _Logging:
    """One run on its way into MLflow."""

    found: RunFiles
    store: Store
    experiment_id: str
    key: str
    seed_names: bool
    say: Callable[[str], None]
    run_id: str = ""
    written: bool = False
    index: TraceIndex = field(default_factory=lambda: TraceIndex({}))
    receipts: dict[str, Receipt] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    case_of: dict[str, str] = field(default_factory=dict)
    late: list[Changes] = field(default_factory=list)
    sent: int = 0
    traces: int = 0
    spans: int = 0
    assessments: int = 0
    metrics: int = 0
    params: int = 0
    notes: list[str] = field(default_factory=list)

    def log(self) -> None:
        logs = self.found.logs()
        self.index = self._find_traces(logs)
        self.notes += [*self.found.run.notes, *self.index.notes, *self._without_value()]
        self._write_run(logs)
        self._adopt()
        self._write_traces(logs)
        self._write_artifacts()

    def _find_traces(self, logs: Sequence[LogFile]) -> TraceIndex:
        own = self.store.find_traces(self.experiment_id, self.key)
        known = {trace.case_id for trace in own}
        lacking = [case for case in self._expected(logs) if case not in known]
        recorded = self.store.find_recorded(self.experiment_id) if lacking else ()
        return index_traces(self.found.run, own, recorded)

    def _without_value(self) -> Iterator[str]:
        empty = sum(s.value is None and not s.error for s in self.found.run.scores)
        if empty:
            yield f"{empty} scores have neither value nor error; they stand in the table only"

    def _expected(self, logs: Sequence[LogFile]) -> list[str | None]:
        """The cases that should have a trace; None for the one of a batch run."""
        if self.found.run.mode == "batch" or any(log.case_id is None for log in logs):
            return [None]
        return list(self.found.run.cases)

    def _write_run(self, logs: Sequence[LogFile]) -> None:
        project, run = self.found.project, self.found.run
        start = _start(self.found, logs[0].modified_ns() if logs else 0)
        figures = describe.metrics(project, run)
        record = RunRecord(
            key=self.key,
            name=run.run_id,
            params=describe.params(project, run),
            metrics=tuple(figures.items()),
            tags=describe.tags(project, run),
            start_ms=start.ns // 10**6,
            end_ms=start.ns // 10**6 + round((run.usage.duration_s or 0) * 1000),
        )
        outcome = self.store.write_run(self.experiment_id, record)
        self.run_id, self.written = outcome.run_id, outcome.written
        self.notes += outcome.notes
        self.metrics, self.params = len(figures), len(record.params)

    def _adopt(self) -> None:
        """Mark and link the traces that the harness recorded itself, so that they are ours too."""
        case_of = {trace.trace_id: case for case, trace in self.index.by_case.items()}
        taken = {
            trace.trace_id: {RUN_TAG: self.key}
            | ({CASE_TAG: case_of[trace.trace_id]} if trace.trace_id in case_of else {})
            for trace in self.index.traces
            if RUN_TAG not in trace.tags
        }
        if taken:
            self.store.adopt_traces(self.run_id, taken)
            self.written = True
            self.notes.append(f"{len(taken)} traces that the harness recorded itself are used")

    def _write_traces(self, logs: Sequence[LogFile]) -> None:
        changed = self._changed(logs)
        for outcome in self.store.write_traces(self.experiment_id, self.run_id, changed):
            self.written = True
            self._note_outcome(outcome)
            self.sent += 1
            if self.sent % PROGRESS == 0 or self.sent == len(logs):
                self.say(f"{self.sent} of {len(logs)} traces written")
        delta = merge(self.late)
        if delta:
            self.store.write_assessments(delta)
            self.written = True

    def _note_outcome(self, outcome: Written) -> None:
        case_id = self.case_of.get(outcome.trace_id, WHOLE_RUN)
        self.notes += [f"{case_id}: {notice}" for notice in outcome.notices]
        if outcome.error:
            self.refused[case_id] = outcome.error

    def _changed(self, logs: Sequence[LogFile]) -> Iterator[Built]:
        """The traces that have to be written, built one at a time.

        A trace whose log is unchanged only gets, later, the judge feedback that it lacks; one
        that the harness recorded is never built a second time.
        """
        for log in logs:
            stored = self.index.whole if log.case_id is None else self.index.of(log.case_id)
            if stored is not None and HASH_TAG not in stored.tags:
                self._bring_up_to_date(stored, self._wanted(log, stored.trace_id, stored.time_ms))
            elif (trace := self._build(log)) is not None:
                wanted = self._wanted(log, trace.trace_id, trace.start_ns // 10**6)
                if stored is not None and stored.holds(trace.content_hash):
                    self._bring_up_to_date(stored, wanted)
                else:
                    if stored is not None:
                        self._withdraw(stored, wanted)
                    yield trace, wanted

    def _build(self, log: LogFile) -> Trace | None:
        """The trace of a log; None where the log is refused."""
        name = log.case_id if log.case_id is not None else WHOLE_RUN
        try:
            trace = trace_of(self.found, log, self.key)
        except LogRefused as error:
            self.refused[name] = str(error)
            return None
        self.receipts[name] = trace.receipt
        self.spans += len(trace.spans)
        marks = {RUN_TAG: self.key, HASH_TAG: trace.content_hash}
        if log.case_id is not None:
            marks[CASE_TAG] = self.case_of[trace.trace_id] = log.case_id
        return replace(trace, tags={**trace.tags, **marks})

    def _wanted(self, log: LogFile, trace_id: str, time_ms: int) -> tuple[Assessment, ...]:
        """The judges' feedback that belongs on a log's trace."""
        shared = log.case_id is None
        target = Target(trace_id, shared or self.seed_names, self.key, time_ms)
        scores = [s for s in self.found.run.scores if shared or s.case_id == log.case_id]
        wanted = tuple(filter(None, (from_score(masked(score), target) for score in scores)))
        self.traces += 1
        self.assessments += len(wanted)
        return wanted

    def _bring_up_to_date(self, stored: StoredTrace, wanted: Sequence[Assessment]) -> None:
        self.late.append(changes(wanted, stored.assessments, sources=JUDGES))

    def _withdraw(self, stored: StoredTrace, wanted: Sequence[Assessment]) -> None:
        """Take back feedback of ours that is no longer wanted on a trace that is rewritten."""
        gone = changes(wanted, stored.assessments, sources=JUDGES).delete
        self.late.append(Changes(delete=gone))

    def _write_artifacts(self) -> None:
        found = {name: self.found.artifact(name) for name in ARTIFACTS}
        texts = {
            name: mask_text(content.decode("utf-8", "replace"))[0].encode()
            for name, content in found.items()
            if content is not None
        }
        receipt = json.dumps(self._receipts().as_dict(), indent=2, ensure_ascii=False)
        texts["receipt.json"] = receipt.encode()
        table = describe.table([masked(score) for score in self.found.run.scores])
        if self.store.write_artifacts(self.run_id, texts, {"per_case_results.json": table}):
            self.written = True

    def _receipts(self) -> Receipts:
        logged = set(self.receipts) | set(self.refused) | set(self.index.by_case)
        missing = [c for c in self.found.run.scores_by_case() if c not in logged]
        whole = WHOLE_RUN in logged or self.index.whole is not None
        return Receipts(self.receipts, self.refused, () if whole else tuple(missing))

    def report(self) -> dict[str, Json]:
        """What stands in MLflow by now."""
        receipts = self._receipts()
        without = {*receipts.missing, *receipts.refused}
        lost = [s for s in self.found.run.scores if s.case_id in without]
        return {
            "experiment": self.found.project.experiment,
            "mlflow_run_id": self.run_id,
            "params": self.params,
            "metrics": self.metrics,
            "traces": self.traces,
            "spans": self.spans,
            "assessments": self.assessments,
            "table_rows": len(self.found.run.scores),
            "receipt": receipts.totals(),
            "unmatched": len(lost),
            "unmatched_names": [f"{score.case_id}/{score.judge}" for score in lost],
            "regressions": describe.regressions(self.found.project, self.found.run),
            "written": self.written,
            "url": self.store.run_url(self.experiment_id, self.run_id),
            "notes": self.notes,
        }
