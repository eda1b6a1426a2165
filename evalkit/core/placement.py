"""What of a run belongs on which trace, and what of that stands already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from evalkit.core.feedback import Target, changes, from_score, masked
from evalkit.core.matching import TraceIndex
from evalkit.core.receipt import WHOLE_RUN
from evalkit.core.results import Run, Score
from evalkit.entities import (
    CASE_TAG,
    REQUEST_TAG,
    RUN_TAG,
    SOURCE_RUN,
    Assessment,
    Changes,
    SourceType,
    StoredTrace,
)

JUDGES: tuple[SourceType, ...] = ("CODE", "LLM_JUDGE")


@dataclass(frozen=True)
class Placement:
    """A run's cases, its logs and its traces put beside each other.

    Attributes:
        run: The run.
        logged: The cases that have a log; None stands for the log of a whole batch run.
        index: The traces that MLflow holds of the run.
        key: The run's key.
        seed_names: Whether feedback is named ``{case_id}/{judge}`` on every trace, not only on
            those that hold several cases.
    """

    run: Run
    logged: Sequence[str | None]
    index: TraceIndex
    key: str
    seed_names: bool

    @cached_property
    def _scores(self) -> Mapping[str, list[Score]]:
        return self.run.scores_by_case()

    @cached_property
    def _cases_without_trace(self) -> tuple[str, ...]:
        return tuple(case for case in self._scores if case not in self.index.by_case)

    @cached_property
    def gone(self) -> tuple[StoredTrace, ...]:
        """Traces that were built for cases, or for a whole batch, that the run no longer has."""
        expected = set(expected_cases(self.run, self.logged))
        return tuple(
            trace
            for trace in (*self.index.traces, *chain(*self.index.earlier.values()))
            if trace.case_id not in expected and not trace.is_recorded
        )

    def unlinked(self, run_id: str) -> dict[str, dict[str, str]]:
        """The traces that are not marked and linked as the run's, with the marks that they get."""
        case_of = {trace.trace_id: case for case, trace in self.index.by_case.items()}
        found = {}
        for trace in self.index.traces:
            marks, case = {RUN_TAG: self.key}, case_of.get(trace.trace_id)
            marks |= {CASE_TAG: case, REQUEST_TAG: case} if case is not None else {}
            is_linked = trace.metadata.get(SOURCE_RUN) == run_id
            if trace.complete and not (is_linked and marks.items() <= trace.tags.items()):
                found[trace.trace_id] = marks
        return found

    @cached_property
    def wanted_traces(self) -> tuple[str | None, ...]:
        """The cases that are to have a trace; None stands for a whole batch run.

        A batch run of which every case was recorded by itself needs none for the whole.
        """
        expected = dict.fromkeys([*self.logged, *expected_cases(self.run, self.logged)])
        if not self.logged and self.run.cases and self.index.by_case.keys() >= {*self.run.cases}:
            expected.pop(None, None)
        return tuple(expected)

    def standing(self) -> dict[str, StoredTrace]:
        """The traces that stand already, by case or ``WHOLE_RUN``, without those that are gone."""
        gone = {trace.trace_id for trace in self.gone}
        whole = {WHOLE_RUN: self.index.whole} if self.index.whole is not None else {}
        found = {**whole, **self.index.by_case}
        return {name: trace for name, trace in found.items() if trace.trace_id not in gone}

    def wanted(self, name: str, trace_id: str, time_ms: int) -> tuple[Assessment, ...]:
        """The judges' feedback that belongs on the trace of a case, or of the whole batch run.

        Args:
            name: The case, or ``WHOLE_RUN``.
            trace_id: Its trace.
            time_ms: When that began, milliseconds since the epoch.
        """
        shared = name == WHOLE_RUN
        target = Target(trace_id, shared or self.seed_names, self.key, time_ms)
        cases = self._cases_without_trace if shared else (name,)
        scores = [score for case in cases for score in self._scores.get(case, ())]
        return tuple(filter(None, (from_score(masked(score), target) for score in scores)))

    def feedback(self, wanted: Sequence[Assessment], stored: StoredTrace | None) -> Changes:
        """What has to change in the judges' feedback on a trace.

        Where the run has no scores at all, its summary is lost rather than empty, and nothing is
        taken back.
        """
        known = stored.assessments if stored is not None else ()
        return changes(wanted, known, sources=JUDGES if self._scores else ())


def expected_cases(run: Run, logged: Sequence[str | None]) -> list[str | None]:
    """The cases that should have a trace; None for the one of a batch run."""
    if None in logged or (run.mode == "batch" and not logged):
        return [None]
    return list(run.cases)
