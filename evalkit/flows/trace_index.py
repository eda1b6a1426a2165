"""Which trace is this case of this run: the one answer, for log, push and pull."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evalkit.adapters.files.run import RunFiles
from evalkit.core import describe
from evalkit.core.matching import TraceIndex, index_traces
from evalkit.core.placement import expected_cases
from evalkit.entities import CASE_TAG, RUN_TAG
from evalkit.store import Store


@dataclass(frozen=True, slots=True)
class RunTraces:
    """The traces of a run.

    Attributes:
        experiment_id: MLflow's id of the experiment; empty where there is none.
        key: The run's key.
        index: Which trace belongs to which case.
        moved: How many traces without steps have given way to recorded ones just now.
    """

    experiment_id: str
    key: str
    index: TraceIndex
    moved: int = 0


def find_traces(found: RunFiles, store: Store, experiment_id: str | None = None) -> RunTraces:
    """Look for the traces of a run: those that evalkit wrote, and those the harness recorded.

    A trace without steps gives way where a recorded one of its case has appeared: what was said
    of it moves there, and it goes.

    Args:
        found: The run.
        store: Where to look.
        experiment_id: Its experiment, where that is known already.

    Raises:
        StoreError: MLflow answered with an error.
    """
    experiment_id = experiment_id or store.experiment(found.project.experiment, create=False)
    if experiment_id is None:
        return RunTraces("", "", TraceIndex({}))
    key = describe.run_key(experiment_id, found.project, found.run.run_id)
    index = _index(found, store, experiment_id, key)
    if not index.superseded:
        return RunTraces(experiment_id, key, index)
    marks = {
        stub.trace_id: (
            successor.trace_id,
            {tag: text for tag in (RUN_TAG, CASE_TAG) if (text := stub.tags.get(tag))},
        )
        for stub, successor in index.superseded
    }
    store.supersede(experiment_id, marks)
    note = f"{len(marks)} traces without steps gave way to those that the harness recorded"
    index = _index(found, store, experiment_id, key)
    return RunTraces(experiment_id, key, replace(index, notes=(*index.notes, note)), len(marks))


def _index(found: RunFiles, store: Store, experiment_id: str, key: str) -> TraceIndex:
    own = store.find_traces(experiment_id, key)
    with_steps = {trace.case_id for trace in own if not trace.is_stub}
    logged = [log.case_id for log in found.logs()]
    is_complete = with_steps.issuperset(expected_cases(found.run, logged))
    recorded = () if is_complete else store.find_recorded(experiment_id)
    return index_traces(found.run, own, recorded)
