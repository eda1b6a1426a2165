"""Which trace belongs to which case: ours, and those that the harness recorded itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

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
        superseded: Traces without steps, each with the recorded trace that takes its place.
        earlier: Other traces that evalkit built, by case, where a kill left several; None stands
            for a whole batch run.
    """

    by_case: Mapping[str, StoredTrace]
    whole: StoredTrace | None = None
    notes: tuple[str, ...] = ()
    superseded: tuple[tuple[StoredTrace, StoredTrace], ...] = ()
    earlier: Mapping[str | None, Sequence[StoredTrace]] = field(default_factory=dict)

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
    known = {mask_text(case)[0]: case for case in run.cases}  # what MLflow has of a secret name
    versions: dict[str | None, list[StoredTrace]] = defaultdict(list)
    for trace in own:
        versions[known.get(trace.case_id or "", trace.case_id)].append(trace)
    standing = {case: max(traces, key=_rank) for case, traces in versions.items()}
    stubs = {case: trace for case, trace in standing.items() if trace.is_stub}
    with_steps = {case: trace for case, trace in standing.items() if not trace.is_stub}
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
    superseded, earlier = [], defaultdict(list)
    for case, traces in versions.items():
        new = placed.get(case, standing[case])
        for trace in traces:
            if trace.is_stub and new.is_recorded:
                superseded.append((trace, new))
            elif trace is not new and not trace.is_recorded:
                earlier[case].append(trace)
    placed = {**stubs, **placed}
    whole = placed.pop(None, None)
    by_case = {case: trace for case, trace in placed.items() if case is not None}
    return TraceIndex(by_case, whole, tuple(notes), tuple(superseded), earlier)


def _rank(trace: StoredTrace) -> tuple[bool, bool, bool, str]:
    return not trace.is_stub, trace.complete, trace.is_recorded, trace.trace_id


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
