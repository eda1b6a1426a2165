"""Which trace belongs to which case: ours, and those that the harness recorded itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evalkit.core.masking import mask_text
from evalkit.core.results import Run
from evalkit.entities import RECORDED_TAG, StoredTrace


@dataclass(frozen=True, slots=True)
class TraceIndex:
    """Where the feedback of each case goes.

    Attributes:
        by_case: Case to trace.
        whole: The trace that holds every case of a batch run; None in case mode.
        notes: What could not be decided, for people.
        superseded: Traces without steps, each with the trace that takes its place.
    """

    by_case: Mapping[str, StoredTrace]
    whole: StoredTrace | None = None
    notes: tuple[str, ...] = ()
    superseded: tuple[tuple[StoredTrace, StoredTrace], ...] = ()

    def of(self, case_id: str) -> StoredTrace | None:
        """The trace that a case's feedback belongs on; None where it has none."""
        return self.by_case.get(case_id, self.whole)

    @property
    def traces(self) -> tuple[StoredTrace, ...]:
        """All traces of the run."""
        return (*self.by_case.values(), *((self.whole,) if self.whole else ()))


def index_traces(
    run: Run, own: Iterable[StoredTrace], recorded: Iterable[StoredTrace] = ()
) -> TraceIndex:
    """Put each case beside its trace.

    Args:
        run: The run whose traces are looked for.
        own: Traces that carry the run's key.
        recorded: Traces that the harness recorded and nobody has linked to a run yet. One is
            taken where it is the only one that fits; with several nothing is guessed.
    """
    own = list(own)
    known = {mask_text(case)[0]: case for case in run.cases}  # what MLflow has of a secret name
    named = {t.trace_id: known.get(t.case_id or "", t.case_id) for t in own}
    stubs = {named[trace.trace_id]: trace for trace in own if trace.is_stub}
    with_steps = {named[trace.trace_id]: trace for trace in own if not trace.is_stub}
    found: dict[str | None, list[StoredTrace]] = defaultdict(list)
    for trace in recorded:
        fits, case_id = _case_of_recorded(trace, run)
        if fits:
            found[case_id].append(trace)
    notes = [
        f"{len(traces)} traces recorded for {case or run.run_id} fit; none of them is used"
        for case, traces in found.items()
        if len(traces) > 1
    ]
    single = {case: traces[0] for case, traces in found.items() if len(traces) == 1}
    placed = {**single, **with_steps}
    superseded = tuple((stub, placed[case]) for case, stub in stubs.items() if case in placed)
    placed = {**stubs, **placed}
    whole = placed.pop(None, None)
    by_case = {case: trace for case, trace in placed.items() if case is not None}
    return TraceIndex(by_case, whole, tuple(notes), superseded)


def _case_of_recorded(trace: StoredTrace, run: Run) -> tuple[bool, str | None]:
    """Whether a recorded trace belongs to the run, and to which case; None for the whole run."""
    mark = trace.tags.get(RECORDED_TAG, "")
    named = next((trace.tags[k] for k in ("eval_case_id", "case_id") if k in trace.tags), None)
    if mark == run.run_id:
        if named is not None:
            return named in run.cases, named
        only = run.cases[0] if len(run.cases) == 1 else None
        return (True, None) if run.mode == "batch" else (only is not None, only)
    return mark in run.cases and run.mode == "case", mark
