"""MLflow runs: found again by their key, and brought up to date by writing only differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from evalkit.core.describe import KEY_TAG, QUALITY_CRITERIA_TAG
from evalkit.store.differences import Differences, Figure, write_differences
from evalkit.store.gateway import Gateway
from evalkit.store.naming import PARAM_LIMIT, RUN_TAG_LIMIT, fit_name, fit_value
from evalkit.store.search import quoted

RunStatus: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

CONFLICT_TAG = "evalkit.param."
"""Tag that holds the new value of a param that MLflow does not let change."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it should stand in MLflow.

    Attributes:
        key: What the run is found by again.
        name: Shown as its name; written once, so that people may rename it.
        params: By name.
        metrics: Name and value.
        tags: By name.
        start_ms: When it began, milliseconds since the epoch.
        end_ms: When it ended; also the time of its metrics.
        status: How it ended.
        is_time_inferred: Whether the times are no facts; then they do not move once written.
        lasting: Further tags, which are written once and then left as they are.
    """

    key: str
    name: str
    params: Mapping[str, str]
    metrics: Sequence[tuple[str, float]]
    tags: Mapping[str, str]
    start_ms: int
    end_ms: int
    status: RunStatus = "FINISHED"
    is_time_inferred: bool = False
    lasting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as MLflow holds it.

    Attributes:
        run_id: MLflow's id.
        artifact_uri: Where its artifacts lie.
        status: How it ended.
        end_ms: When it ended, milliseconds since the epoch; 0 where it has not.
        params: By name.
        metrics: Latest value by name.
        tags: By name.
        datasets: The names of the datasets that it is linked to.
    """

    run_id: str
    artifact_uri: str
    status: str
    end_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Figure] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """What became of a run.

    Attributes:
        run_id: MLflow's id.
        created: Whether it was not there before.
        written: Whether anything had to be written.
        notes: What MLflow could not take as it was.
        others: Metrics that it has besides, from an earlier time or from somebody else.
    """

    run_id: str
    created: bool
    written: bool
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def find_run(gateway: Gateway, experiment_id: str, key: str) -> StoredRun | None:
    """The run of that key; of several the one whose id comes first."""
    return next(iter(_runs_of(gateway, experiment_id, key)), None)


def _runs_of(gateway: Gateway, experiment_id: str, key: str) -> list[StoredRun]:
    """The runs of that key: several where programs logged the same run at the same moment."""
    from mlflow.entities import ViewType

    with gateway.answering("looking for the run"):
        found = gateway.tracking.search_runs(
            [experiment_id], f"tags.`{KEY_TAG}` = {quoted(key)}", ViewType.ACTIVE_ONLY
        )
    return sorted(map(stored_run, found), key=lambda run: run.run_id)


def stored_run(run: Any) -> StoredRun:
    """A run as MLflow's own code holds it, in ours."""
    # _metric_objs is what MLflow keeps behind the public metrics, with times and steps
    figures = {m.key: Figure(m.value, m.timestamp, m.step) for m in run.data._metric_objs}  # noqa: SLF001
    return StoredRun(
        run_id=run.info.run_id,
        artifact_uri=run.info.artifact_uri,
        status=run.info.status,
        end_ms=run.info.end_time or 0,
        params=dict(run.data.params),
        metrics=figures,
        tags=dict(run.data.tags),
        datasets=tuple(each.dataset.name for each in run.inputs.dataset_inputs),
    )


def read_run(gateway: Gateway, run_id: str) -> StoredRun:
    """A run by MLflow's id."""
    with gateway.answering("reading the run"):
        return stored_run(gateway.tracking.get_run(run_id))


def write_run(
    gateway: Gateway, experiment_id: str, record: RunRecord
) -> tuple[WrittenRun, StoredRun]:
    """Find or create a run and bring it up to date; nothing is sent where nothing changed.

    Returns:
        What became of it, and the run as it stands now.

    Raises:
        StoreError: MLflow failed.
    """
    run = find_run(gateway, experiment_id, record.key)
    created = run is None
    if run is None:
        first = {KEY_TAG: fit_value(record.key, RUN_TAG_LIMIT)}
        run_id, uri = gateway.create_run(experiment_id, record.name, record.start_ms, first)
        run = StoredRun(run_id, uri, status="RUNNING", end_ms=0, tags=first)
    outcome, run = _bring_up_to_date(gateway, run, record, created=created)
    if created:
        # two that began together have created one each by now: both keep the smallest
        stands, *others = _runs_of(gateway, experiment_id, record.key) or [run]
        for other in others:
            with gateway.answering("taking back a run that was created twice"):
                gateway.tracking.delete_run(other.run_id)
        if stands.run_id != run.run_id:
            return _bring_up_to_date(gateway, stands, record, created=False)
    return outcome, run


def _bring_up_to_date(
    gateway: Gateway, run: StoredRun, record: RunRecord, *, created: bool
) -> tuple[WrittenRun, StoredRun]:
    notes: list[str] = []
    lacking = Differences(
        params=_params(record, run, notes),
        metrics=_metrics(record, run, notes),
        tags=_tags(record, run, notes),
    )
    for stale in _stale_tags(record, run):
        with gateway.answering("deleting a tag of the run"):
            gateway.tracking.delete_tag(run.run_id, stale)
    write_differences(gateway, run.run_id, lacking)
    moved = run.end_ms != record.end_ms and not record.is_time_inferred
    ended = run.status != record.status or moved
    if ended:
        _finish(gateway, run.run_id, record)
    others = sorted(set(run.metrics) - {fit_name(name) for name, _ in record.metrics})
    written = created or ended or bool(lacking)
    outcome = WrittenRun(run.run_id, created, written, tuple(notes), tuple(others))
    return outcome, with_tags(run, lacking.tags)


def link_dataset(
    gateway: Gateway, run_id: str, name: str, digest: str, source: tuple[str, str]
) -> None:
    """Log a dataset as the input that a run was evaluated on."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    kind, where = source
    found = Dataset(name=name, digest=digest, source_type=kind, source=where)
    with gateway.answering("linking the dataset"):
        gateway.tracking.log_inputs(
            run_id, [DatasetInput(found, [InputTag("mlflow.data.context", "evaluation")])]
        )


def with_tags(run: StoredRun, tags: Mapping[str, str]) -> StoredRun:
    """The run with more tags."""
    return replace(run, tags={**run.tags, **tags})


def _params(record: RunRecord, run: StoredRun, notes: list[str]) -> dict[str, str]:
    wanted = _fit(record.params, PARAM_LIMIT, "param", notes)
    return {name: value for name, value in wanted.items() if name not in run.params}


def _conflicts(record: RunRecord, run: StoredRun) -> dict[str, str]:
    """The params that have another value in MLflow already, by name."""
    wanted = _fit(record.params, PARAM_LIMIT, "param", [])
    return {n: v for n, v in wanted.items() if run.params.get(n, v) != v}


def _tags(record: RunRecord, run: StoredRun, notes: list[str]) -> dict[str, str]:
    lasting = {name: text for name, text in record.lasting.items() if name not in run.tags}
    wanted = _fit({**record.tags, **lasting}, RUN_TAG_LIMIT, "tag", notes)
    for name, value in _conflicts(record, run).items():
        wanted[fit_name(CONFLICT_TAG + name)] = value
        notes.append(
            f"param {name} is {run.params[name]!r} in MLflow, which lets no param change;"
            f" the tag {CONFLICT_TAG}{name} holds {value!r}"
        )
    return {name: value for name, value in wanted.items() if run.tags.get(name) != value}


def _stale_tags(record: RunRecord, run: StoredRun) -> list[str]:
    """Tags about params that no longer differ, and of criteria that nobody demands any more."""
    differing = {fit_name(CONFLICT_TAG + name) for name in _conflicts(record, run)}
    stale = {QUALITY_CRITERIA_TAG} - set(record.tags)
    return [
        t for t in run.tags if (t.startswith(CONFLICT_TAG) and t not in differing) or t in stale
    ]


def _fit(texts: Mapping[str, str], limit: int, kind: str, notes: list[str]) -> dict[str, str]:
    fitting = {}
    for name, text in texts.items():
        fit = fit_name(name)
        if fit != name:
            notes.append(f"{kind} {name!r} is called {fit!r} in MLflow, which refuses the name")
        fitting[fit] = fit_value(text, limit)
        if fitting[fit] != text:
            notes.append(f"{kind} {name!r} was shortened to {limit} characters or cleaned")
    return fitting


def _metrics(record: RunRecord, run: StoredRun, notes: list[str]) -> dict[str, Figure]:
    """The metrics that are new or have another value.

    MLflow shows the value with the highest step, then time, then value. So a new value of the
    same run, which has the same time, gets the next step.
    """
    found: dict[str, Figure] = {}
    for name, value in record.metrics:
        if not _is_finite(value):
            notes.append(f"metric {name!r} is {value}, which is no number MLflow can show")
            continue
        fit = fit_name(name)
        if fit != name:
            notes.append(f"metric {name!r} is called {fit!r} in MLflow, which refuses the name")
        old = run.metrics.get(fit)
        if old is None:
            found[fit] = Figure(float(value), record.end_ms, 0)
        elif old.value != float(value):
            found[fit] = Figure(float(value), record.end_ms, old.step + 1)
    return found


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def _finish(gateway: Gateway, run_id: str, record: RunRecord) -> None:
    from mlflow.entities import RunStatus as Status

    with gateway.answering("ending the run"):
        gateway.tracking.update_run_info(
            run_id, Status.from_string(record.status), record.end_ms, None
        )
