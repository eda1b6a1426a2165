"""What is kept in MLflow of the agent's work: the proven suite, and the agent's own sessions.

Neither goes into the experiment that was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evalkit.adapters.store import RunRecord, Store
from evalkit.core.agent.tracing import trace_of_session
from evalkit.core.values import Json, derive_id
from evalkit.flows.agent.directory import ANALYSIS_FILE, VALIDATION_FILE, SessionDirectory


def keep_suite(
    store: Store,
    experiment: str,
    directory: SessionDirectory,
    session_id: str,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
) -> str:
    """Log the suite and the figures of its validation; again is safe.

    Args:
        store: The MLflow.
        experiment: The name of the experiment for suites; made where it is missing.
        directory: The session directory.
        session_id: Its id.
        params: What the suite is, and who wrote it.
        metrics: What the validation found.

    Returns:
        The id of the MLflow run.

    Raises:
        StoreError: MLflow failed.
    """
    experiment_id = store.experiment(experiment, create=True)
    start_ms, end_ms = _times(directory)
    record = RunRecord(
        key=_suite_key(experiment_id, session_id),
        name=f"suite {session_id}",
        params=params,
        metrics=tuple(metrics.items()),
        tags={"evalkit.session": session_id},
        start_ms=start_ms,
        end_ms=end_ms,
    )
    run_id = store.write_run(experiment_id, record).run_id
    texts = {name: directory.folder.read(name) for name in (ANALYSIS_FILE, VALIDATION_FILE)}
    files = directory.suite() | {name: text for name, text in texts.items() if text is not None}
    store.write_artifacts(run_id, files)
    return run_id


def kept_suite(store: Store, experiment: str, session_id: str) -> tuple[str, str] | None:
    """Where a session's suite is kept: the ids of the experiment and of the run; None if nowhere.

    Args:
        store: The MLflow.
        experiment: The name of the experiment for suites.
        session_id: The session's id.

    Raises:
        StoreError: MLflow failed.
    """
    experiment_id = store.experiment(experiment, create=False)
    if experiment_id is None:
        return None
    run = store.find_run(experiment_id, _suite_key(experiment_id, session_id))
    return None if run is None else (experiment_id, run.run_id)


def keep_sessions(
    store: Store, experiment_id: str, directory: SessionDirectory, session_id: str, model: str
) -> int:
    """Write the agent's sessions as traces of its own experiment; again is safe.

    Args:
        store: The MLflow.
        experiment_id: The agent's own experiment.
        directory: The session directory.
        session_id: Its id.
        model: The model that was asked for.

    Returns:
        How many traces had to be written.

    Raises:
        StoreError: MLflow failed.
    """
    key = derive_id(experiment_id, "agent", session_id)
    spent = directory.spent()
    start_ms, end_ms = _times(directory)
    figures = dict(_figures(spent.as_json()))
    record = RunRecord(
        key=key,
        name=f"agent {session_id}",
        params={"model": model},
        metrics=tuple(figures.items()),
        tags={"evalkit.session": session_id},
        start_ms=start_ms,
        end_ms=end_ms,
    )
    run_id = store.write_run(experiment_id, record).run_id
    stored = {trace.trace_id: trace for trace in store.find_traces(experiment_id, key)}
    traces = [trace_of_session(each, key) for each in directory.sessions().values()]
    new = [
        (trace, ())
        for trace in traces
        if trace.trace_id not in stored or not stored[trace.trace_id].holds(trace.content_hash)
    ]
    return sum(not written.error for written in store.write_traces(experiment_id, run_id, new))


def _suite_key(experiment_id: str, session_id: str) -> str:
    return derive_id(experiment_id, "suite", session_id)


def _figures(spent: Mapping[str, Json]) -> Iterator[tuple[str, float]]:
    for name, value in spent.items():
        if isinstance(value, (int, float)):
            yield name, float(value)


def _times(directory: SessionDirectory) -> tuple[int, int]:
    """When the first session began and the last call was answered, milliseconds since the epoch."""
    sessions = list(directory.sessions().values())
    if not sessions:
        return 0, 0
    turns = [turn for session in sessions for turn in session.turns]
    ends = [turn.started_ms + round(turn.seconds * 1000) for turn in turns]
    start = sessions[0].opening.started_ms
    return start, max([start, *ends])
