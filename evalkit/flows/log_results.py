"""A finished run becomes an MLflow run, with one trace per case; what stands there is counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from evalkit.adapters.files.companions import companions
from evalkit.adapters.files.run import RunFiles
from evalkit.core import describe
from evalkit.core.executions import executions
from evalkit.entities import (
    CASE_TAG,
    HASH_TAG,
    REQUEST_TAG,
    RUN_TAG,
    Assessment,
    Changes,
    StoredTrace,
    Trace,
)
from evalkit.errors import LogRefused, StoreError, Unfinished
from evalkit.feedback.assessments import JUDGES, Target, changes, masked, merge
from evalkit.feedback.trace_index import find_traces
from evalkit.flows.log_traces import about_scores, record_of, stub_of, trace_of
from evalkit.jsonable import Json
from evalkit.masking import MASKED
from evalkit.receipt import WHOLE_RUN, Receipts
from evalkit.store import Store, as_kept

PROGRESS = 25
"""Traces between two lines of progress."""

AGAIN = "Run the same command again to finish."


@dataclass(frozen=True)
class _Sent:
    """A trace on its way; ``gone`` is what a kill left of it and is taken back in the end."""

    name: str
    spans: int
    wanted: int
    gone: Changes


@dataclass
class RunLogger:
    """Logs one run; a second time only what has changed since.

    Attributes:
        found: The run.
        store: Where to log it.
        seed_names: Name judge feedback ``{case_id}/{judge}`` on every trace, not only on those
            that hold several cases.
        dataset: The dataset that mirrors the cases; it is linked if it is there.
        say: Told the progress, a line at a time.
    """

    found: RunFiles
    store: Store
    seed_names: bool = False
    dataset: str = ""
    say: Callable[[str], None] = lambda _: None
    run_id: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    written: bool = False  # whether anything had to be
    notes: list[str] = field(default_factory=list)
    receipts: Receipts = field(default_factory=Receipts)
    unwritten: dict[str, str] = field(default_factory=dict)  # case to why MLflow did not take it
    standing: set[str] = field(default_factory=set)  # cases whose traces stand in MLflow
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _late: list[Changes] = field(default_factory=list)
    _replaced: list[tuple[str, StoredTrace, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scores = self.found.run.scores_by_case()
        self.logs = {log.case_id: log for log in self.found.logs()}
        self.experiment_id = self.store.experiment(self.found.project.experiment, create=True)
        self.key = describe.run_key(self.experiment_id, self.found.project, self.found.run.run_id)

    def log(self) -> dict[str, Json]:
        """Log the run.

        Returns:
            The stage's report. ``params``, ``metrics``, ``traces``, ``spans``, ``assessments``
            and ``table_rows`` count what stands in MLflow; ``written`` is False where nothing
            had changed; ``receipt`` sums the receipts of all logs.

        Raises:
            StoreError: MLflow failed before anything was written.
            Unfinished: MLflow failed on the way, or did not take a trace; the report says what
                stands.
        """
        try:
            self.index = find_traces(self.found, self.store, self.experiment_id)
            self.written = bool(self.index.moved)
            self.notes += [*self.found.run.notes, *map(str, self.found.project.doubts)]
            self.notes += [*self.index.notes, *about_scores(self.found.run)]
            self.notes += [str(p) for log in self.logs.values() for p in log.passed_over.values()]
            self._write_run()
            self._link_dataset()
            self._adopt()
            self._write_traces()
            self._replace_earlier()
            self._write_feedback()
            self._write_artifacts()
        except StoreError as error:
            if not self.run_id:
                raise
            raise Unfinished(f"{error}\n{AGAIN}", self.report()) from error
        if self.unwritten:
            lost = "\n".join(f"{case}: {why}" for case, why in self.unwritten.items())
            raise Unfinished(f"MLflow did not take every trace.\n{lost}\n{AGAIN}", self.report())
        return self.report()

    def _write_run(self) -> None:
        record = record_of(self.found, self.key, next(iter(self.logs.values()), self.found))
        outcome = self.store.write_run(self.experiment_id, record)
        self.run_id = outcome.run_id
        self.written = self.written or outcome.written
        self.notes += outcome.notes
        if gone := [name for name in outcome.others if describe.is_of_judge(name)]:
            what = f"figures of judges that the run no longer has stay: {', '.join(gone)}"
            self.notes.append(f"{what}; MLflow cannot delete metrics")
        self.counts.update(metrics=len(record.metrics), params=len(record.params))

    def _link_dataset(self) -> None:
        linked = self.store.link_dataset(self.run_id, self.experiment_id, self.dataset)
        self.written |= linked == "linked"
        if linked != "missing":
            return
        what = "no dataset is named: the run is linked to none; name one with --dataset-name"
        if self.dataset:
            what = f"there is no dataset {self.dataset} in MLflow yet: the run is linked to none"
            what += "; run sync-dataset, then log-results again"
        self.notes.append(what)

    def _adopt(self) -> None:
        """Mark the traces that the harness recorded itself, so that they are ours too.

        All that stand are linked to this run: another that had them may have been deleted.
        """
        if taken := self.index.unlinked(self.run_id):
            self.store.adopt_traces(self.experiment_id, self.run_id, taken)
            self.written = True
        if new := sum(RUN_TAG not in trace.tags for trace in self.index.traces):
            self.notes.append(f"{new} traces that the harness recorded itself are used")

    def _write_traces(self) -> None:
        total = len(self.index.wanted)
        writing = self.store.write_traces(self.experiment_id, self.run_id, self._changed())
        for done, outcome in enumerate(writing, start=1):
            self.written = True
            sent = self._sent[outcome.trace_id]
            self.notes += [f"{sent.name}: {notice}" for notice in outcome.notices]
            if outcome.error:
                self.unwritten[sent.name] = outcome.error
            else:
                self._count(sent.name, sent.spans, sent.wanted)
                self._late.append(sent.gone)
            if done % PROGRESS == 0 or done == total:
                self.say(f"{done - len(self.unwritten)} of {total} traces written")

    def _count(self, name: str, spans: int, assessments: int) -> None:
        self.standing.add(name)
        self.counts["spans"] += spans
        self.counts["assessments"] += assessments

    def _changed(self) -> Iterator[tuple[Trace, tuple[Assessment, ...]]]:
        """The traces that have to be written, built one at a time.

        A trace that stands as its log says only gets, later, the judge feedback that it lacks.
        So does one that the harness recorded, which is never built a second time, and one whose
        log is gone or gives no trace any more.
        """
        standing = self.index.standing()
        for case_id in self.index.wanted:
            name = _name(case_id)
            stored = standing.get(name)
            if stored is not None and stored.is_recorded:
                continue
            trace = self._build(case_id, stored)
            if trace is None:
                continue
            standing.pop(name, None)
            old = [*([stored] if stored else ()), *self.index.earlier.get(case_id, ())]
            same = next((each for each in old if each.holds(trace.content_hash)), None)
            trace_id = same.trace_id if same is not None else trace.trace_id
            wanted = self._wanted(name, trace_id, trace.start_ns // 10**6)
            self._replaced += [(name, each, trace_id) for each in old if each.trace_id != trace_id]
            if same is not None:
                self._keep(name, same, len(trace.spans), wanted)
            else:
                half = next((each for each in old if each.trace_id == trace_id), None)
                gone = Changes(delete=self._delta(wanted, half).delete)
                self._sent[trace_id] = _Sent(name, len(trace.spans), len(wanted), gone)
                yield trace, wanted
        for name, stored in standing.items():
            self._keep(name, stored, 0, self._wanted(name, stored.trace_id, stored.time_ms))

    def _wanted(self, name: str, trace_id: str, time_ms: int) -> tuple[Assessment, ...]:
        shared = name == WHOLE_RUN
        cases = [c for c in self.scores if c not in self.index.by_case] if shared else [name]
        target = Target(trace_id, shared or self.seed_names, self.key, time_ms)
        scores = [score for case in cases for score in self.scores.get(case, ())]
        wanted = tuple(map(as_kept, target.scores(scores)))
        self.counts["masked"] += repr(wanted).count(MASKED)
        return wanted

    def _delta(self, wanted: Sequence[Assessment], stored: StoredTrace | None) -> Changes:
        """What has to change in judges' feedback; without any scores they are lost, not gone."""
        known = stored.assessments if stored is not None else ()
        return changes(wanted, known, sources=JUDGES if self.scores else ())

    def _build(self, case_id: str | None, stored: StoredTrace | None) -> Trace | None:
        """The trace of a case; None where its log gives none, but an earlier one stands."""
        name, log, trace, refused = _name(case_id), self.logs.get(case_id), None, None
        try:
            trace = trace_of(self.found, log, self.key) if log is not None else None
        except LogRefused as error:
            refused = error
            self.receipts.refused[name] = str(error)
            self.receipts.by_log[name] = replace(error.receipt, verdict="refused")
        if trace is None:
            if stored is not None and stored.complete and not stored.is_stub:
                return None
            trace = stub_of(self.found, case_id, self.key, refused)
            if log is None:
                self.receipts.missing.append(name)
        else:
            self.receipts.by_log[name] = trace.receipt
        marks = {RUN_TAG: self.key, HASH_TAG: trace.content_hash}
        if case_id is not None:
            marks |= {CASE_TAG: case_id, REQUEST_TAG: case_id}
        own_id = describe.version_id(trace.trace_id, trace.content_hash)
        return replace(trace, trace_id=own_id, tags={**trace.tags, **marks})

    def _keep(
        self, name: str, stored: StoredTrace, spans: int, wanted: Sequence[Assessment]
    ) -> None:
        """Leave a trace as it stands, and its feedback for later."""
        delta = self._delta(wanted, stored)
        self._count(name, spans, len(wanted) - len(delta.create))
        self._late.append(delta)

    def _replace_earlier(self) -> None:
        """Let earlier versions of traces give way; what judges said of them is said anew."""
        replaced = [each for each in self._replaced if each[0] not in self.unwritten]
        if replaced:
            successors = {old.trace_id: (new, dict[str, str]()) for _, old, new in replaced}
            judged = merge([self._delta((), old) for _, old, _ in replaced]).delete
            without = {each.assessment_id for each in judged}
            self.store.supersede(self.experiment_id, successors, without)
            self.written = True

    def _write_feedback(self) -> None:
        """Bring the feedback that is due, and delete what was built for cases that are gone.

        A trace that others use stays, without the judges' feedback.
        """
        gone = [trace for trace in self.index.gone if trace.trace_id not in self._sent]
        kept = [trace for trace in gone if trace.is_used_by_others]
        delta = merge([*self._late, *(self._delta((), trace) for trace in kept)])
        if delta:
            self.store.write_assessments(delta)
            self.written = True
            self.counts["assessments"] += len(delta.create)
        if deleted := [trace.trace_id for trace in gone if not trace.is_used_by_others]:
            self.store.delete_traces(self.experiment_id, deleted)
            self.written = True
        self.notes += [
            f"the run no longer has {_name(trace.case_id)}, whose trace is kept: people left "
            "something on it"
            for trace in kept
        ]

    def _write_artifacts(self) -> None:
        others, unread = companions(self.found.folder)
        self.notes += unread
        texts = {n: text.encode() for n, text in {**self.found.artifacts(), **others}.items()}
        receipt = self.receipts.as_dict()
        texts["receipt.json"] = json.dumps(receipt, indent=2, ensure_ascii=False).encode()
        table = describe.table([masked(score) for score in self.found.run.scores])
        if self.store.write_artifacts(self.run_id, texts, {"per_case_results.json": table}):
            self.written = True
        self.counts["table_rows"] = len(self.found.run.scores)

    def report(self) -> dict[str, Json]:
        """What stands in MLflow by now, and which scores have nowhere to go."""
        run, project = self.found.run, self.found.project
        built = {*self.standing, *self.unwritten, *self.receipts.by_log}
        lost = [s for s in run.scores if WHOLE_RUN not in built and s.case_id not in built]
        receipt = self.receipts.totals()
        places = {"logs": receipt["masked"], **self.store.masked}
        places["assessments"] = self.counts["masked"]
        return {
            "experiment": project.experiment,
            "mlflow_run_id": self.run_id,
            "executions": executions(run),
            "params": self.counts["params"],
            "metrics": self.counts["metrics"],
            "traces": len(self.standing),
            **{name: self.counts[name] for name in ("spans", "assessments", "table_rows")},
            "receipt": receipt,
            "unmatched": len(lost),
            "unmatched_names": [f"{score.case_id}/{score.judge}" for score in lost],
            "unwritten": dict(self.unwritten),
            "written": self.written,
            "notes": self.notes,
            "regressions": describe.regressions(project, run),
            "unknown": describe.unknowns(project, run),
            "masked": {place: count for place, count in places.items() if count},
            "url": self.store.run_url(self.experiment_id, self.run_id),
        }


def _name(case_id: str | None) -> str:
    return WHOLE_RUN if case_id is None else case_id
