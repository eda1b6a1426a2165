"""A finished run becomes an MLflow run, with one trace per case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from evalkit.adapters.files.companions import companions
from evalkit.adapters.files.log_file import LogFile
from evalkit.adapters.files.run import RunFiles
from evalkit.core import describe
from evalkit.core.account import Account
from evalkit.core.executions import is_failed
from evalkit.core.feedback import masked, merge
from evalkit.core.masking import MASKED
from evalkit.core.placement import Placement
from evalkit.core.receipt import WHOLE_RUN
from evalkit.core.spans import Trace
from evalkit.entities import (
    CASE_TAG,
    HASH_TAG,
    REQUEST_TAG,
    RUN_TAG,
    Assessment,
    Changes,
    StoredTrace,
)
from evalkit.errors import LogRefused, StoreError, Unfinished
from evalkit.flows.log.tracing import began, commit_of, stub_of, trace_of
from evalkit.flows.trace_index import find_traces
from evalkit.jsonable import Json
from evalkit.store import RunRecord, Store, Written, as_kept

PROGRESS = 25
"""Traces between two lines of progress."""

Built: TypeAlias = tuple[Trace, tuple[Assessment, ...]]

AGAIN = "Run the same command again to finish."


class Sent(NamedTuple):
    """A trace that is on its way, by its case or ``WHOLE_RUN``.

    ``gone`` is feedback on its earlier version, taken back once it stands.
    """

    name: str
    spans: int
    wanted: int
    gone: Changes


def log_results(
    found: RunFiles,
    store: Store,
    *,
    seed_names: bool = False,
    dataset: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
    """Log a finished run to MLflow; a second time only what has changed since.

    Args:
        found: The run.
        store: Where to log it.
        seed_names: Name judge feedback ``{case_id}/{judge}`` on every trace, not only on those
            that hold several cases.
        dataset: The dataset that mirrors the cases; it is linked if it is there.
        say: Told the progress, a line at a time.

    Returns:
        The stage's report. ``params``, ``metrics``, ``traces``, ``spans``, ``assessments`` and
        ``table_rows`` count what stands in MLflow; ``written`` is False where nothing had
        changed; ``receipt`` sums the receipts of all logs.

    Raises:
        StoreError: MLflow failed before anything was written.
        Unfinished: MLflow failed on the way, or did not take a trace; the report says what
            stands.
    """
    logs = found.logs()
    experiment_id = store.experiment(found.project.experiment, create=True)
    key = describe.run_key(experiment_id, found.project, found.run.run_id)
    logging = _Logging(found, store, experiment_id, key, logs, seed_names, say, dataset)
    try:
        logging.log()
    except StoreError as error:
        if not logging.run_id:
            raise
        raise Unfinished(f"{error}\n{AGAIN}", logging.report()) from error
    if unwritten := logging.account.unwritten:
        told = "\n".join(f"{case}: {why}" for case, why in unwritten.items())
        raise Unfinished(f"MLflow did not take every trace.\n{told}\n{AGAIN}", logging.report())
    return logging.report()


@dataclass
class _Logging:
    """One run on its way into MLflow."""

    found: RunFiles
    store: Store
    experiment_id: str
    key: str
    logs: Sequence[LogFile]
    seed_names: bool
    say: Callable[[str], None]
    dataset: str
    run_id: str = ""
    placement: Placement = field(init=False)
    sent: dict[str, Sent] = field(default_factory=dict)
    late: list[Changes] = field(default_factory=list)
    masked: int = 0

    def __post_init__(self) -> None:
        self.account = Account(self.found.run)

    def log(self) -> None:
        traces = find_traces(self.found, self.store, self.experiment_id)
        logged = [log.case_id for log in self.logs]
        run, key = self.found.run, self.key
        self.placement = Placement(run, logged, traces.index, key, seed_names=self.seed_names)
        self.account.written = bool(traces.moved)
        self.account.notes += [*self.found.run.notes, *map(str, self.found.project.doubts)]
        self.account.notes += [*self.placement.index.notes, *self.account.about_scores()]
        self.account.notes += [f"{p}" for log in self.logs for p in log.passed_over.values()]
        self._write_run()
        self._link_dataset()
        self._adopt()
        self._write_traces()
        self._write_feedback()
        self._remove_traces_of_gone_cases()
        self._write_artifacts()

    def _write_run(self) -> None:
        project, run = self.found.project, self.found.run
        start = began(self.found, (self.logs or (self.found,))[0].modified_ns())
        figures = describe.metrics(project, run)
        record = RunRecord(
            key=self.key,
            name=run.run_id,
            params=describe.params(project, run),
            metrics=tuple(figures.items()),
            tags=describe.tags(project, run),
            start_ms=start.ns // 10**6,
            end_ms=start.ns // 10**6 + round((run.usage.duration_s or 0) * 1000),
            status="FAILED" if is_failed(run) else "FINISHED",
            is_time_inferred=start.inferred,
            lasting=commit_of(self.found, start),
        )
        outcome = self.store.write_run(self.experiment_id, record)
        self.run_id = outcome.run_id
        self.account.written = self.account.written or outcome.written
        self.account.notes += outcome.notes
        if gone := [name for name in outcome.others if describe.is_of_judge(name)]:
            what = f"figures of judges that the run no longer has stay: {', '.join(gone)}"
            self.account.notes.append(f"{what}; MLflow cannot delete metrics")
        self.account.metrics, self.account.params = len(figures), len(record.params)

    def _link_dataset(self) -> None:
        linked = self.store.link_dataset(self.run_id, self.experiment_id, self.dataset)
        self.account.written |= linked == "linked"
        if linked == "missing":
            what = "no dataset is named: the run is linked to none; name one with --dataset-name"
            if self.dataset:
                what = (
                    f"there is no dataset {self.dataset} in MLflow yet: the run is linked to none"
                )
                what += "; run sync-dataset, then log-results again"
            self.account.notes.append(what)

    def _adopt(self) -> None:
        """Mark the traces that the harness recorded itself, so that they are ours too.

        All that stand are linked to this run: another that had them may have been deleted.
        """
        taken = self.placement.unlinked(self.run_id)
        if taken:
            self.store.adopt_traces(self.run_id, taken)
            self.account.written = True
        if new := sum(RUN_TAG not in trace.tags for trace in self.placement.index.traces):
            what = f"{new} traces that the harness recorded itself are used"
            self.account.notes.append(what)

    def _write_traces(self) -> None:
        total = len(self.placement.wanted_traces)
        writing = self.store.write_traces(self.experiment_id, self.run_id, self._changed())
        for done, outcome in enumerate(writing, start=1):
            self.account.written = True
            self._book(outcome)
            if done % PROGRESS == 0 or done == total:
                stand = done - len(self.account.unwritten)
                self.say(f"{stand} of {total} traces written")

    def _book(self, outcome: Written) -> None:
        name, spans, wanted, gone = self.sent[outcome.trace_id]
        self.account.notes += [f"{name}: {notice}" for notice in outcome.notices]
        if outcome.error:
            self.account.unwritten[name] = outcome.error
        else:
            self.account.stands(name, spans=spans, assessments=wanted)
            self.late.append(gone)

    def _changed(self) -> Iterator[Built]:
        """The traces that have to be written, built one at a time.

        A trace that stands as its log says only gets, later, the judge feedback that it lacks.
        So does one that the harness recorded, which is never built a second time, and one whose
        log is gone or gives no trace any more.
        """
        standing = self.placement.standing()
        logs = {log.case_id: log for log in self.logs}
        for case_id in self.placement.wanted_traces:
            name = _name(case_id)
            stored = standing.get(name)
            if stored is not None and stored.is_recorded:
                continue
            trace = self._build(case_id, logs.get(case_id), stored)
            if trace is None:
                continue
            wanted = self._wanted(name, trace.trace_id, trace.start_ns // 10**6)
            standing.pop(name, None)
            if stored is not None and stored.holds(trace.content_hash):
                self._keep(name, stored, len(trace.spans), wanted)
            else:
                gone = self.placement.feedback(wanted, stored).delete
                sent = Sent(name, len(trace.spans), len(wanted), Changes(delete=gone))
                self.sent[trace.trace_id] = sent
                yield trace, wanted
        for name, stored in standing.items():
            wanted = self._wanted(name, stored.trace_id, stored.time_ms)
            self._keep(name, stored, 0, wanted)

    def _wanted(self, name: str, trace_id: str, time_ms: int) -> tuple[Assessment, ...]:
        wanted = tuple(map(as_kept, self.placement.wanted(name, trace_id, time_ms)))
        self.masked += repr(wanted).count(MASKED)
        return wanted

    def _build(
        self, case_id: str | None, log: LogFile | None, stored: StoredTrace | None
    ) -> Trace | None:
        """The trace of a case; None where its log gives none, but an earlier one stands."""
        name, trace, refused = _name(case_id), None, None
        try:
            trace = trace_of(self.found, log, self.key) if log is not None else None
        except LogRefused as error:
            refused = error
            self.account.refused[name] = str(error)
            self.account.receipts[name] = replace(error.receipt, verdict="refused")
        if trace is None:
            if stored is not None and stored.complete and not stored.is_stub:
                return None
            trace = stub_of(self.found, case_id, self.key, refused)
            if log is None:
                self.account.missing.append(name)
        else:
            self.account.receipts[name] = trace.receipt
        marks = {RUN_TAG: self.key, HASH_TAG: trace.content_hash}
        if case_id is not None:
            marks |= {CASE_TAG: case_id, REQUEST_TAG: case_id}
        return replace(trace, tags={**trace.tags, **marks})

    def _keep(
        self, name: str, stored: StoredTrace, spans: int, wanted: Sequence[Assessment]
    ) -> None:
        """Leave a trace as it stands, and its feedback for later."""
        delta = self.placement.feedback(wanted, stored)
        self.account.stands(name, spans=spans, assessments=len(wanted) - len(delta.create))
        self.late.append(delta)

    def _write_feedback(self) -> None:
        kept = (trace for trace in self._gone() if trace.is_used_by_others)
        self.late += [self.placement.feedback((), trace) for trace in kept]
        delta = merge(self.late)
        if delta:
            self.store.write_assessments(delta)
            self.account.written = True
            self.account.assessments += len(delta.create)

    def _gone(self) -> list[StoredTrace]:
        """Traces of cases that the run no longer has; what was just written is none of them."""
        return [trace for trace in self.placement.gone if trace.trace_id not in self.sent]

    def _remove_traces_of_gone_cases(self) -> None:
        """Delete what was built for cases that the run no longer has, unless others use it."""
        gone = self._gone()
        kept = [trace for trace in gone if trace.is_used_by_others]
        deleted = [trace.trace_id for trace in gone if not trace.is_used_by_others]
        if deleted:
            self.store.delete_traces(self.experiment_id, deleted)
            self.account.written = True
        self.account.notes += [
            f"the run no longer has {_name(trace.case_id)}, whose trace is kept: people left "
            "something on it"
            for trace in kept
        ]

    def _write_artifacts(self) -> None:
        others, unread = companions(self.found.folder)
        self.account.notes += unread
        texts = {n: text.encode() for n, text in {**self.found.artifacts(), **others}.items()}
        receipts = self.account.all_receipts().as_dict()
        texts["receipt.json"] = json.dumps(receipts, indent=2, ensure_ascii=False).encode()
        table = describe.table([masked(score) for score in self.found.run.scores])
        if self.store.write_artifacts(self.run_id, texts, {"per_case_results.json": table}):
            self.account.written = True
        self.account.table_rows = len(self.found.run.scores)

    def report(self) -> dict[str, Json]:
        """What stands in MLflow by now."""
        logs = self.account.all_receipts().totals()["masked"]
        masked = {"logs": logs, **self.store.masked, "assessments": self.masked}
        return {
            "experiment": self.found.project.experiment,
            "mlflow_run_id": self.run_id,
            **self.account.as_report(),
            "regressions": describe.regressions(self.found.project, self.found.run),
            "unknown": describe.unknowns(self.found.project, self.found.run),
            "masked": {place: count for place, count in masked.items() if count},
            "url": self.store.run_url(self.experiment_id, self.run_id),
        }


def _name(case_id: str | None) -> str:
    return WHOLE_RUN if case_id is None else case_id
