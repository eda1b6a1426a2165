"""``log-results``: a finished run becomes an MLflow run, with one trace per case."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from evalkit.case_traces import began, case_trace
from evalkit.context import Workspace
from evalkit.entities import RUN_TAG, Assessment, Changes, StoredTrace, Trace
from evalkit.errors import InputError, StoreError, Unfinished
from evalkit.feedback.assessments import JUDGES, Target, about_scores, changes, masked, merge
from evalkit.feedback.push_pull import Names
from evalkit.feedback.trace_index import find_traces
from evalkit.jsonable import Json
from evalkit.masking import MASKED
from evalkit.receipt import WHOLE_RUN, Receipts
from evalkit.runs import metrics
from evalkit.runs.results import commit_tags
from evalkit.runs.run import executions, is_failed
from evalkit.runs.run_dir import RunFiles
from evalkit.store import RunRecord, Store, as_kept

Say: TypeAlias = Callable[[str], None]

PROGRESS = 25  # traces between two lines of it
AGAIN = "Run the same command again to finish."
TABLE_COLUMNS = ("case_id", "judge", "value", "rationale", "error", "judge_type")


def log_results(
    workspace: Workspace,
    *,
    run_id: str,
    names: Names = "auto",
    dataset_name: str | None = None,
    say: Say = lambda _: None,
) -> dict[str, Json]:
    """Log a finished run; a second time, only what has changed since is written.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        names: ``seed`` names judge feedback ``{case_id}/{judge}`` on every trace; ``auto`` only
            on those that hold several cases.
        dataset_name: The dataset that the run is linked to; the eval's name by default.
        say: Told the progress, a line at a time.

    Returns:
        The stage's report, whose counts are of what stands in MLflow; ``written`` is False where
        nothing had changed.

    Raises:
        InputError: config or run are wrong.
        StoreError: MLflow cannot be reached, or answered with an error; nothing was written.
        Unfinished: MLflow failed on the way, or did not take a trace; the report says what stands.
    """
    found = workspace.run(run_id)
    try:
        dataset = workspace.dataset_name(dataset_name)
    except InputError:
        if dataset_name is not None:
            raise
        dataset = ""  # a workspace's, which only a sync has to name
    logger = RunLogger(found, workspace.store, dataset, say, seed_names=names == "seed")
    try:
        logger.log()
    except StoreError as error:
        if not logger.run_id:
            raise
        raise Unfinished(f"{error}\n{AGAIN}", logger.report()) from error
    if logger.unwritten:
        lost = "\n".join(f"{case}: {why}" for case, why in logger.unwritten.items())
        raise Unfinished(f"MLflow did not take every trace.\n{lost}\n{AGAIN}", logger.report())
    return logger.report()


class RunLogger:
    """What becomes of one run on its way, and what stands in MLflow by now."""

    def __init__(
        self, found: RunFiles, store: Store, dataset: str, say: Say, *, seed_names: bool
    ) -> None:
        self.found, self.store, self.dataset, self.say = found, store, dataset, say
        self.seed_names = seed_names
        self.scores = found.run.scores_by_case()
        self.experiment_id = store.experiment(found.project.experiment, create=True)
        self.key = metrics.run_key(self.experiment_id, found.project, found.run.run_id)
        self.index = find_traces(found, store, self.experiment_id)
        self.run_id = ""
        self.written = bool(self.index.moved)  # whether anything had to be
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.receipts = Receipts()
        self.unwritten: dict[str, str] = {}  # case to why MLflow did not take it
        self.standing: set[str] = set()  # cases whose traces stand in MLflow
        self.late: list[Changes] = []  # of feedback, once the traces stand
        # by trace on its way: case, spans, assessments, and what a kill left of it to be taken back
        self.sent: dict[str, tuple[str, int, int, Changes]] = {}
        self.replaced: list[tuple[str, StoredTrace, str]] = []

    def log(self) -> None:
        """Write what MLflow lacks, in an order in which a kill leaves nothing wrong."""
        run = self.found.run
        self.notes += [*run.notes, *map(str, self.found.project.doubts), *self.index.notes]
        self.notes += about_scores(run.scores)
        self.notes += [str(why) for log in self.found.logs.values() for why in log.passed_over]
        self._write_run()
        self._link_dataset()
        if taken := self.index.unlinked(self.run_id):
            # all that stand are linked to this run: another that had them may have been deleted
            self.store.adopt_traces(self.experiment_id, self.run_id, taken)
            self.written = True
        if new := sum(RUN_TAG not in trace.tags for trace in self.index.traces):
            self.notes.append(f"{new} traces that the harness recorded itself are used")
        self._write_traces()
        self._write_feedback()
        self._write_artifacts()

    def _write_run(self) -> None:
        found, run, project = self.found, self.found.run, self.found.project
        start = began(found, next(iter(found.logs.values()), found).modified_ns())
        record = RunRecord(
            key=self.key,
            name=run.run_id,
            params=metrics.params(project, run),
            metrics=tuple(metrics.metrics(project, run).items()),
            tags=metrics.tags(project, run),
            start_ms=start.ns // 10**6,
            end_ms=start.ns // 10**6 + round((run.usage.duration_s or 0) * 1000),
            status="FAILED" if is_failed(run) else "FINISHED",
            is_time_inferred=start.inferred,
            lasting=commit_tags(run.origin, Path(project.file), found.folder, start.ns),
        )
        outcome = self.store.write_run(self.experiment_id, record)
        self.run_id = outcome.run_id
        self.written |= outcome.written
        self.notes += outcome.notes
        if gone := [name for name in outcome.others if name.endswith(("/mean", "/pass_rate"))]:
            what = f"figures of judges that the run no longer has stay: {', '.join(gone)}"
            self.notes.append(f"{what}; MLflow cannot delete metrics")
        self.counts.update(metrics=len(record.metrics), params=len(record.params))

    def _link_dataset(self) -> None:
        linked = self.store.link_dataset(self.run_id, self.experiment_id, self.dataset)
        self.written |= linked == "linked"
        if linked == "missing":
            why, fix = "no dataset is named", "name one with --dataset-name"
            if self.dataset:
                why = f"there is no dataset {self.dataset} in MLflow yet"
                fix = "run sync-dataset, then log-results again"
            self.notes.append(f"{why}: the run is linked to none; {fix}")

    def _write_traces(self) -> None:
        """Write the traces that differ; their earlier versions, judges' words too, give way."""
        writing = self.store.write_traces(self.experiment_id, self.run_id, self._changed())
        for done, outcome in enumerate(writing, start=1):
            self.written = True
            name, spans, wanted, gone = self.sent[outcome.trace_id]
            self.notes += [f"{name}: {notice}" for notice in outcome.notices]
            if outcome.error:
                self.unwritten[name] = outcome.error
            else:
                self._count(name, spans, wanted, gone)
            if done % PROGRESS == 0 or done == len(self.index.wanted):
                taken = done - len(self.unwritten)
                self.say(f"{taken} of {len(self.index.wanted)} traces written")
        if replaced := [each for each in self.replaced if each[0] not in self.unwritten]:
            successors = {old.trace_id: (new, dict[str, str]()) for _, old, new in replaced}
            judged = merge([self._delta((), old) for _, old, _ in replaced]).delete
            without = {each.assessment_id for each in judged}
            self.store.supersede(self.experiment_id, successors, without)
            self.written = True

    def _changed(self) -> Iterator[tuple[Trace, tuple[Assessment, ...]]]:
        """The traces that have to be written, built one at a time.

        One that stands as its log says only gets, later, the judge feedback that it lacks; so does
        one that the harness recorded, and one whose log is gone or gives no trace any more.
        """
        standing = self.index.standing()
        for case_id in self.index.wanted:
            name = _name(case_id)
            stored = standing.get(name)
            if stored is not None and stored.is_recorded:
                continue
            stands = stored is not None and stored.complete and not stored.is_stub
            trace = case_trace(self.found, case_id, self.key, self.receipts, stands=stands)
            if trace is None:
                continue
            standing.pop(name, None)
            old = [*([stored] if stored else ()), *self.index.earlier(case_id)]
            same = next((each for each in old if each.holds(trace.content_hash)), None)
            trace_id = same.trace_id if same is not None else trace.trace_id
            wanted = self._wanted(name, trace_id, trace.start_ns // 10**6)
            self.replaced += [(name, each, trace_id) for each in old if each.trace_id != trace_id]
            half = same or next((each for each in old if each.trace_id == trace_id), None)
            delta, spans = self._delta(wanted, half), len(trace.spans)
            if same is not None:
                self._count(name, spans, len(wanted) - len(delta.create), delta)
            else:
                self.sent[trace_id] = (name, spans, len(wanted), Changes(delete=delta.delete))
                yield trace, wanted
        for name, stored in standing.items():
            wanted = self._wanted(name, stored.trace_id, stored.time_ms)
            delta = self._delta(wanted, stored)
            self._count(name, 0, len(wanted) - len(delta.create), delta)

    def _count(self, name: str, spans: int, assessments: int, late: Changes) -> None:
        self.standing.add(name)
        self.counts.update(spans=spans, assessments=assessments)
        self.late.append(late)

    def _wanted(self, name: str, trace_id: str, time_ms: int) -> tuple[Assessment, ...]:
        shared = name == WHOLE_RUN
        cases = [c for c in self.scores if c not in self.index.placed] if shared else [name]
        target = Target(trace_id, shared or self.seed_names, self.key, time_ms)
        scores = [score for case in cases for score in self.scores.get(case, ())]
        wanted = tuple(map(as_kept, target.scores(scores)))
        self.counts["masked"] += repr(wanted).count(MASKED)
        return wanted

    def _delta(self, wanted: Sequence[Assessment], stored: StoredTrace | None) -> Changes:
        """What has to change in judges' feedback; without any scores they are lost, not gone."""
        known = stored.assessments if stored is not None else ()
        return changes(wanted, known, sources=JUDGES if self.scores else ())

    def _write_feedback(self) -> None:
        """Bring the feedback that is due; traces of cases that are gone go, if nobody uses them."""
        gone = [trace for trace in self.index.gone if trace.trace_id not in self.sent]
        kept = [trace for trace in gone if trace.is_used_by_others]
        delta = merge([*self.late, *(self._delta((), trace) for trace in kept)])
        if delta:
            self.store.write_assessments(delta)
            self.written = True
            self.counts["assessments"] += len(delta.create)
        if deleted := [trace.trace_id for trace in gone if not trace.is_used_by_others]:
            self.store.delete_traces(self.experiment_id, deleted)
            self.written = True
        people = "whose trace is kept: people left something on it"
        self.notes += [f"the run no longer has {_name(each.case_id)}, {people}" for each in kept]

    def _write_artifacts(self) -> None:
        texts, unread = self.found.artifacts()
        self.notes += unread
        texts["receipt.json"] = json.dumps(self.receipts.as_dict(), indent=2, ensure_ascii=False)
        scores = list(map(masked, self.found.run.scores))
        table = {name: [getattr(score, name) for score in scores] for name in TABLE_COLUMNS}
        files = {name: text.encode() for name, text in texts.items()}
        if self.store.write_artifacts(self.run_id, files, {"per_case_results.json": table}):
            self.written = True
        self.counts["table_rows"] = len(scores)

    def report(self) -> dict[str, Json]:
        """What stands in MLflow by now, and which scores have nowhere to go."""
        run, project = self.found.run, self.found.project
        built = {*self.standing, *self.unwritten, *self.receipts.by_log}
        lost = [s for s in run.scores if WHOLE_RUN not in built and s.case_id not in built]
        receipt = self.receipts.totals()
        own = {"logs": receipt["masked"], "assessments": self.counts["masked"]}
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
            "regressions": metrics.regressions(project, run),
            "unknown": metrics.unknowns(project, run),
            "masked": {place: n for place, n in {**own, **self.store.masked}.items() if n},
            "url": self.store.url(self.experiment_id, "runs", self.run_id),
        }


def _name(case_id: str | None) -> str:
    return WHOLE_RUN if case_id is None else case_id
