"""Experiments and runs: found again by their key, and brought up to date by differences alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from evalkit.entities import KEY_TAG, QUALITY_CRITERIA_TAG
from evalkit.store.client import Client
from evalkit.store.failures import Refused
from evalkit.store.internals import once
from evalkit.store.naming import PARAM_LIMIT, RUN_TAG_LIMIT, Masking, fit_name, fit_value, quoted

RunStatus: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

CONFLICT_TAG = "evalkit.param."
"""Tag that holds the new value of a param that MLflow does not let change."""

_AT_A_TIME = 100
_BYTES_AT_A_TIME = 150_000  # of params, metrics and tags; as JSON, up to six times that


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
    """A run as MLflow holds it; ``metrics`` are MLflow's own, the latest of each name.

    ``end_ms`` is 0 where it has not ended; ``datasets`` names those that it is linked to.
    """

    run_id: str
    artifact_uri: str
    status: str
    end_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, Any]
    tags: Mapping[str, str]
    datasets: tuple[str, ...]


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


class Runs(Masking):
    """The port's part for experiments and runs; it remembers the runs that it has read."""

    uri: str
    _client: Client
    _runs: dict[str, StoredRun]

    def find_run(self, experiment_id: str, key: str) -> StoredRun | None:
        """The run of that key, of several the one whose id comes first; None where there is none.

        Raises:
            StoreError: MLflow failed.
        """
        return next(iter(self._runs_of(experiment_id, key)), None)

    def _runs_of(self, experiment_id: str, key: str) -> list[StoredRun]:
        """The runs of that key: several where programs logged the same run at the same moment."""
        from mlflow.entities import ViewType

        condition = f"tags.`{KEY_TAG}` = {quoted(key)}"
        with self._client.answering("looking for the run"):
            found = self._client.tracking.search_runs(
                [experiment_id], condition, ViewType.ACTIVE_ONLY
            )
        runs = sorted(map(_stored, found), key=lambda run: run.run_id)
        self._runs.update((run.run_id, run) for run in runs[:1])
        return runs

    def _run(self, run_id: str) -> StoredRun:
        if run_id not in self._runs:
            with self._client.answering("reading the run"):
                self._runs[run_id] = _stored(self._client.tracking.get_run(run_id))
        return self._runs[run_id]

    def skill_of(self, run_id: str) -> str:
        """The skill that a run of evalkit's evaluated, else the evaluation's name; empty if gone.

        Raises:
            StoreError: MLflow failed.
        """
        try:
            run = self._run(run_id)
        except Refused as error:
            if error.says_there_is_none:
                return ""
            raise
        return run.params.get("skill") or run.tags.get("evalkit.eval", "")

    def write_run(self, experiment_id: str, record: RunRecord) -> WrittenRun:
        """Find or create a run and bring it up to date; nothing is sent where nothing changed.

        Raises:
            StoreError: MLflow failed.
        """
        from mlflow.entities import RunStatus as Status

        record = replace(
            record,
            name=self._mask(record.name, "run name"),
            params=self._mask(dict(record.params), "params"),
            tags=self._mask(dict(record.tags), "tags"),
            metrics=[(self._mask(name, "metrics"), value) for name, value in record.metrics],
        )
        notes: list[str] = []
        with self._client.alone():
            found = self.find_run(experiment_id, record.key)
            run = found or self._create_run(experiment_id, record)
            lacking, stale = _differences(record, run, notes)
            for name in stale:
                with self._client.answering("deleting a tag of the run"):
                    self._client.tracking.delete_tag(run.run_id, name)
            self._log_batch(run, lacking)
            moved = run.end_ms != record.end_ms and not record.is_time_inferred
            ended = run.status != record.status or moved
            if ended:
                with self._client.answering("ending the run"):
                    status = Status.from_string(record.status)
                    self._client.tracking.update_run_info(run.run_id, status, record.end_ms, None)
        others = sorted(set(run.metrics) - {fit_name(name) for name, _ in record.metrics})
        written = found is None or ended or bool(lacking)
        return WrittenRun(run.run_id, found is None, written, tuple(notes), tuple(others))

    def _create_run(self, experiment_id: str, record: RunRecord) -> StoredRun:
        from mlflow.entities import RunTag

        tags = [RunTag(KEY_TAG, fit_value(record.key, RUN_TAG_LIMIT))]
        with self._client.answering("creating the run"), once():
            made = self._client.tracking.create_run(
                experiment_id, "", record.start_ms, tags, record.name
            )
        # two that began together have created one each by now: both keep the smallest
        stands, *others = self._runs_of(experiment_id, record.key) or [_stored(made)]
        for other in others:
            with self._client.answering("taking back a run that was created twice"):
                self._client.tracking.delete_run(other.run_id)
        return stands

    def _log_batch(self, run: StoredRun, lacking: Sequence[Any]) -> None:
        """Write params, metrics and tags in portions that MLflow takes."""
        from mlflow.entities import Metric, Param, RunTag

        for some in _portions(lacking):
            with self._client.answering("writing params, metrics and tags"):
                self._client.tracking.log_batch(
                    run.run_id,
                    *([e for e in some if isinstance(e, kind)] for kind in (Metric, Param, RunTag)),
                )
        tags = {each.key: each.value for each in lacking if isinstance(each, RunTag)}
        self._runs[run.run_id] = replace(run, tags={**run.tags, **tags})


def _stored(run: Any) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        artifact_uri=run.info.artifact_uri,
        status=run.info.status,
        end_ms=run.info.end_time or 0,
        params=dict(run.data.params),
        # what MLflow keeps behind the public metrics, with times and steps
        metrics={each.key: each for each in run.data._metric_objs},  # noqa: SLF001
        tags=dict(run.data.tags),
        datasets=tuple(each.dataset.name for each in run.inputs.dataset_inputs),
    )


def _differences(
    record: RunRecord, run: StoredRun, notes: list[str]
) -> tuple[list[Any], list[str]]:
    """Params, metrics and tags that the run lacks, in MLflow's form, and tags that are stale."""
    from mlflow.entities import Param, RunTag

    params = _fit(record.params, PARAM_LIMIT, "param", notes)
    lacking = [Param(name, value) for name, value in params.items() if name not in run.params]
    lacking += _metrics(record, run, notes)
    lasting = {name: text for name, text in record.lasting.items() if name not in run.tags}
    tags = _fit({**record.tags, **lasting}, RUN_TAG_LIMIT, "tag", notes)
    for name, value in params.items():
        if run.params.get(name, value) != value:
            tags[fit_name(CONFLICT_TAG + name)] = value
            notes.append(
                f"param {name} is {run.params[name]!r} in MLflow, which lets no param change;"
                f" the tag {CONFLICT_TAG}{name} holds {value!r}"
            )
    lacking += [RunTag(name, text) for name, text in tags.items() if run.tags.get(name) != text]
    stale = [name for name in run.tags if name not in tags and _passes(name)]
    return lacking, stale


def _passes(tag: str) -> bool:
    """Whether a tag goes when a run no longer has it: of a param that differed, of criteria."""
    return tag.startswith(CONFLICT_TAG) or tag == QUALITY_CRITERIA_TAG


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


def _metrics(record: RunRecord, run: StoredRun, notes: list[str]) -> Iterator[Any]:
    """The metrics that are new or have another value.

    MLflow shows the value with the highest step, then time, then value. So a new value of the
    same run, which has the same time, gets the next step.
    """
    from mlflow.entities import Metric

    for name, value in record.metrics:
        if not _is_finite(value):
            notes.append(f"metric {name!r} is {value}, which is no number MLflow can show")
            continue
        fit = fit_name(name)
        if fit != name:
            notes.append(f"metric {name!r} is called {fit!r} in MLflow, which refuses the name")
        old = run.metrics.get(fit)
        if old is None or old.value != float(value):
            yield Metric(fit, float(value), record.end_ms, 0 if old is None else old.step + 1)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        return False


def _portions(items: Sequence[Any]) -> Iterator[list[Any]]:
    some: list[Any] = []
    size = 0
    for item in items:
        weight = len(f"{item.key}{item.value}".encode())
        if some and (len(some) >= _AT_A_TIME or size + weight > _BYTES_AT_A_TIME):
            yield some
            some, size = [], 0
        some.append(item)
        size += weight
    if some:
        yield some
