"""Which trace of MLflow belongs to which case of a run: ours, or one that the harness recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from evalkit.entities import (
    CASE_TAG,
    RECORDED_CASE_TAG,
    RECORDED_TAG,
    REQUEST_TAG,
    RUN_TAG,
    SOURCE_RUN,
    StoredTrace,
)
from evalkit.masking import mask_text
from evalkit.receipt import WHOLE_RUN
from evalkit.runs import metrics
from evalkit.runs.run import Run
from evalkit.runs.run_dir import RunFiles
from evalkit.store import Store


@dataclass(frozen=True, slots=True)
class TraceIndex:
    """The cases of a run beside their traces.

    Attributes:
        key: The run's key; empty where its experiment is not in MLflow.
        logged: The cases that have a log; None stands for the log of a whole batch run.
        whole: The trace that holds every case of a batch run; None in case mode.
        superseded: Traces without steps, each with the recorded trace that takes its place.
        earlier: Other traces that evalkit built, by case, where a kill left several.
        moved: How many traces without steps have given way just now.
        notes: What could not be decided, for people.
    """

    run: Run
    key: str = ""
    logged: Sequence[str | None] = ()
    by_case: Mapping[str, StoredTrace] = field(default_factory=dict)
    whole: StoredTrace | None = None
    superseded: Sequence[tuple[StoredTrace, StoredTrace]] = ()
    earlier: Mapping[str | None, Sequence[StoredTrace]] = field(default_factory=dict)
    moved: int = 0
    notes: tuple[str, ...] = ()

    def of(self, case_id: str) -> StoredTrace | None:
        """The trace that a case's feedback belongs on; None where it has none."""
        return self.by_case.get(case_id, self.whole)

    @property
    def traces(self) -> tuple[StoredTrace, ...]:
        """All traces of the run."""
        return (*self.by_case.values(), *((self.whole,) if self.whole else ()))

    @property
    def expected(self) -> list[str | None]:
        """The cases that should have a trace; None for the one of a batch run."""
        is_whole = None in self.logged or (self.run.mode == "batch" and not self.logged)
        return [None] if is_whole else list(self.run.cases)

    @property
    def wanted(self) -> tuple[str | None, ...]:
        """The cases that are to have a trace by now.

        A batch run of which every case was recorded by itself needs none for the whole.
        """
        wanted = dict.fromkeys([*self.logged, *self.expected])
        if not self.logged and self.run.cases and self.by_case.keys() >= {*self.run.cases}:
            wanted.pop(None, None)
        return tuple(wanted)

    @property
    def gone(self) -> tuple[StoredTrace, ...]:
        """Traces that were built for cases, or for a whole batch, that the run no longer has."""
        due = set(self.expected)
        built = (*self.traces, *chain(*self.earlier.values()))
        return tuple(t for t in built if t.case_id not in due and not t.is_recorded)

    def standing(self) -> dict[str, StoredTrace]:
        """The traces that stand already, by case or ``WHOLE_RUN``, without those that are gone."""
        gone = {trace.trace_id for trace in self.gone}
        whole = {WHOLE_RUN: self.whole} if self.whole is not None else {}
        found = {**whole, **self.by_case}
        return {name: trace for name, trace in found.items() if trace.trace_id not in gone}

    def unlinked(self, mlflow_run_id: str) -> dict[str, dict[str, str]]:
        """The traces that are not marked and linked as the run's, with the tags that they get."""
        case_of = {trace.trace_id: case for case, trace in self.by_case.items()}
        found = {}
        for trace in self.traces:
            marks, case = {RUN_TAG: self.key}, case_of.get(trace.trace_id)
            marks |= {CASE_TAG: case, REQUEST_TAG: case} if case is not None else {}
            is_linked = trace.metadata.get(SOURCE_RUN) == mlflow_run_id
            if trace.complete and not (is_linked and marks.items() <= trace.tags.items()):
                found[trace.trace_id] = marks
        return found


def find_traces(found: RunFiles, store: Store, experiment_id: str | None = None) -> TraceIndex:
    """Look for the traces of a run: those that evalkit wrote, and those the harness recorded.

    A trace without steps gives way where a recorded one of its case has appeared: what was said
    of it moves there, and it goes.
    """
    empty = TraceIndex(found.run, logged=list(found.logs))
    experiment_id = experiment_id or store.experiment(found.project.experiment, create=False)
    if experiment_id is None:
        return empty
    empty = replace(empty, key=metrics.run_key(experiment_id, found.project, found.run.run_id))
    index = _look(empty, store, experiment_id)
    if not index.superseded:
        return index
    marks = (RUN_TAG, CASE_TAG)
    successors = {
        stub.trace_id: (
            taken.trace_id,
            {tag: stub.tags[tag] for tag in marks if stub.tags.get(tag)},
        )
        for stub, taken in index.superseded
    }
    store.supersede(experiment_id, successors)
    note = f"{len(successors)} traces without steps gave way to those that the harness recorded"
    index = _look(empty, store, experiment_id)
    return replace(index, notes=(*index.notes, note), moved=len(successors))


def _look(empty: TraceIndex, store: Store, experiment_id: str) -> TraceIndex:
    own = store.find_traces(experiment_id, empty.key)
    is_complete = {t.case_id for t in own if not t.is_stub}.issuperset(empty.expected)
    return _place(empty, own, () if is_complete else store.find_recorded(experiment_id))


def _place(
    empty: TraceIndex, own: Iterable[StoredTrace], recorded: Iterable[StoredTrace]
) -> TraceIndex:
    """Put each case beside its trace: one with the run's key, or one that nobody has linked yet.

    Of recorded traces one is taken where it is the only one that fits; with several nothing is
    guessed.
    """
    run = empty.run
    known = {mask_text(case)[0]: case for case in run.cases}  # what MLflow has of a secret name
    versions: dict[str | None, list[StoredTrace]] = defaultdict(list)
    for trace in own:
        versions[known.get(trace.case_id or "", trace.case_id)].append(trace)
    standing = {case: max(traces, key=_rank) for case, traces in versions.items()}
    placed = {case: trace for case, trace in standing.items() if not trace.is_stub}
    fitting: dict[str | None, list[StoredTrace]] = defaultdict(list)
    for trace in recorded:
        fits, case = _case_of_recorded(trace, run)
        if fits:
            fitting[case].append(trace)
    notes = []
    for case, (first, *others) in fitting.items():
        if others:
            what = f"{len(others) + 1} traces recorded for {case or run.run_id} fit"
            notes.append(f"{what}; none of them is used")
        else:
            placed.setdefault(case, first)
    placed = {**standing, **placed}
    superseded, earlier = [], defaultdict(list)
    for case, traces in versions.items():
        for trace in traces:
            if trace.is_stub and placed[case].is_recorded:
                superseded.append((trace, placed[case]))
            elif trace is not placed[case] and not trace.is_recorded:
                earlier[case].append(trace)
    whole = placed.pop(None, None)
    by_case = {case: trace for case, trace in placed.items() if case is not None}
    found = replace(empty, by_case=by_case, whole=whole, notes=tuple(notes))
    return replace(found, superseded=superseded, earlier=earlier)


def _rank(trace: StoredTrace) -> tuple[bool, bool, bool, str]:
    """Of several traces of one case the greatest counts."""
    return not trace.is_stub, trace.complete, trace.is_recorded, trace.trace_id


def _case_of_recorded(trace: StoredTrace, run: Run) -> tuple[bool, str | None]:
    """Whether a recorded trace belongs to the run, and to which case; None for the whole run."""
    mark = trace.tags.get(RECORDED_TAG, "")
    if mark != run.run_id:
        return mark in run.cases and run.mode == "case", mark
    named = next((trace.tags[k] for k in (RECORDED_CASE_TAG, "case_id") if k in trace.tags), None)
    if named is None and run.mode == "case":
        named = run.cases[0] if len(run.cases) == 1 else ""
    return named is None or named in run.cases, named
