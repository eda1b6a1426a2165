"""Which trace is this case of this run: its marks and id, and where it stands in MLflow.

It is one of ours, or one that the harness recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from evalkit.entities import (
    CASE_TAG,
    RECORDED_CASE_TAG,
    RECORDED_TAG,
    REQUEST_TAG,
    RUN_TAG,
    SOURCE_RUN,
    StoredTrace,
)
from evalkit.jsonable import derive_id
from evalkit.masking import mask_text
from evalkit.receipt import WHOLE_RUN
from evalkit.runs import metrics
from evalkit.runs.run import Run
from evalkit.runs.run_dir import RunFiles

if TYPE_CHECKING:
    from evalkit.store import Store


def trace_id_of(key: str, case_id: str | None, content: str = "") -> str:
    """The id of a case's trace, which changes with its content; None for a whole batch run's."""
    own = "tr-" + (derive_id(key, "case", case_id) if case_id is not None else derive_id(key))
    return "tr-" + derive_id(own, content) if content else own


def marks_of(key: str, case_id: str | None) -> dict[str, str]:
    """The tags by which a trace is a run's, and a case's."""
    return {RUN_TAG: key} | ({} if case_id is None else {CASE_TAG: case_id, REQUEST_TAG: case_id})


class TraceIndex:
    """The cases of a run beside their traces; None in place of a case stands for a batch run's all.

    ``placed`` has each case's trace, ``expected`` the cases that should have one, ``superseded``
    traces without steps with the recorded one that takes their place. The key is empty where
    MLflow lacks the experiment.
    """

    def __init__(
        self, found: RunFiles, key: str, own: Iterable[StoredTrace], recorded: Iterable[StoredTrace]
    ) -> None:
        """Put each case beside its trace: one with the run's key, or one that nobody has linked.

        Of recorded traces one is taken where it is the only one that fits; with several nothing
        is guessed.
        """
        self.run, self.key, self._logged = found.run, key, list(found.logs)
        self.moved = 0  # how many traces without steps have given way just now
        self.notes: list[str] = []  # what could not be decided, for people
        is_whole = None in found.logs or (self.run.mode == "batch" and not found.logs)
        self.expected: list[str | None] = [None] if is_whole else [*self.run.cases]
        known = {mask_text(case)[0]: case for case in self.run.cases}  # as MLflow has secret names
        self._built: dict[str | None, list[StoredTrace]] = defaultdict(list)
        for trace in own:
            self._built[known.get(trace.case_id or "", trace.case_id)].append(trace)
        self.placed = {case: max(traces, key=_rank) for case, traces in self._built.items()}
        for case, trace in self._fitting(recorded):
            if case not in self.placed or self.placed[case].is_stub:
                self.placed[case] = trace
        self.superseded = [
            (trace, self.placed[case])
            for case, traces in self._built.items()
            for trace in traces
            if trace.is_stub and self.placed[case].is_recorded
        ]

    def _fitting(self, recorded: Iterable[StoredTrace]) -> list[tuple[str | None, StoredTrace]]:
        fitting: dict[str | None, list[StoredTrace]] = defaultdict(list)
        for trace in recorded:
            fits, case = _case_of_recorded(trace, self.run)
            if fits:
                fitting[case].append(trace)
        self.notes += [
            f"{len(each)} traces recorded for {case or self.run.run_id} fit; none of them is used"
            for case, each in fitting.items()
            if len(each) > 1
        ]
        return [(case, each[0]) for case, each in fitting.items() if len(each) == 1]

    @property
    def whole(self) -> StoredTrace | None:
        """The trace that holds every case of a batch run; None in case mode."""
        return self.placed.get(None)

    def of(self, case_id: str) -> StoredTrace | None:
        """The trace that a case's feedback belongs on; None where it has none."""
        return self.placed.get(case_id, self.whole)

    @property
    def traces(self) -> list[StoredTrace]:
        """All traces of the run."""
        return [*self.placed.values()]

    @property
    def wanted(self) -> list[str | None]:
        """The cases that are to have a trace by now.

        A batch run of which every case was recorded by itself needs none for the whole.
        """
        wanted = dict.fromkeys([*self._logged, *self.expected])
        if not self._logged and self.run.cases and self.placed.keys() >= {*self.run.cases}:
            wanted.pop(None, None)
        return [*wanted]

    def earlier(self, case_id: str | None) -> list[StoredTrace]:
        """Other traces that evalkit built for a case, where a kill left several."""
        built = (each for each in self._built.get(case_id, ()) if not each.is_recorded)
        return [trace for trace in built if trace is not self.placed[case_id]]

    @property
    def gone(self) -> list[StoredTrace]:
        """Traces that were built for cases, or for a whole batch, that the run no longer has."""
        due = set(self.expected)
        built = (trace for case, own in self._built.items() if case not in due for trace in own)
        return [trace for trace in built if not trace.is_recorded]

    def standing(self) -> dict[str, StoredTrace]:
        """The traces that stand already, by case or ``WHOLE_RUN``, without those that are gone."""
        gone = {trace.trace_id for trace in self.gone}
        return {
            WHOLE_RUN if case is None else case: trace
            for case, trace in self.placed.items()
            if trace.trace_id not in gone
        }

    def unlinked(self, mlflow_run_id: str) -> dict[str, dict[str, str]]:
        """The traces that are not marked and linked as the run's, with the tags that they get."""
        found = {}
        for case, trace in self.placed.items():
            marks = marks_of(self.key, case)
            is_linked = trace.metadata.get(SOURCE_RUN) == mlflow_run_id
            if trace.complete and not (is_linked and marks.items() <= trace.tags.items()):
                found[trace.trace_id] = marks
        return found


def find_traces(found: RunFiles, store: Store, experiment_id: str | None = None) -> TraceIndex:
    """Look for the traces of a run: those that evalkit wrote, and those the harness recorded.

    A trace without steps gives way where a recorded one of its case has appeared: what was said
    of it moves there, and it goes.
    """
    where = experiment_id or store.experiment(found.project.experiment, create=False)
    if where is None:
        return TraceIndex(found, "", (), ())
    key = metrics.run_key(where, found.project, found.run.run_id)

    def look() -> TraceIndex:
        own = store.find_traces(where, key)
        index = TraceIndex(found, key, own, ())
        if {t.case_id for t in own if not t.is_stub}.issuperset(index.expected):
            return index
        return TraceIndex(found, key, own, store.find_recorded(where))

    index = look()
    if moved := index.superseded:
        kept = (RUN_TAG, CASE_TAG)
        successors = {
            stub.trace_id: (
                taken.trace_id,
                {tag: stub.tags[tag] for tag in kept if tag in stub.tags},
            )
            for stub, taken in moved
        }
        store.supersede(where, successors)
        index = look()
        index.moved = len(moved)
        note = "traces without steps gave way to those that the harness recorded"
        index.notes.append(f"{len(moved)} {note}")
    return index


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
