"""Runs and their artifacts: found again by their key, brought up to date by differences alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalkit.entities import EVALUATION_TAG, KEY_TAG, QUALITY_CRITERIA_TAG
from evalkit.errors import StoreError
from evalkit.jsonable import Json, is_number
from evalkit.store.client import Client, portions
from evalkit.store.failures import unless_gone
from evalkit.store.forms import Masking, fit_name, json_text, shorten, sql_literal
from evalkit.store.internals import once

PARAM_LIMIT, RUN_TAG_LIMIT = 6000, 8000
CONFLICT_TAG = "evalkit.param."  # holds the new value of a param that MLflow does not let change
ARTIFACT_TAG = "evalkit.artifact."  # holds the hash of what was sent under a path
_TABLES_TAG = "mlflow.loggedArtifacts"
_AT_A_TIME = 100
_RUNS_A_PAGE, _NEWEST_FIRST = 200, "attributes.start_time DESC"
_BYTES_AT_A_TIME = 150_000  # of params, metrics and tags; as JSON, up to six times that


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it should stand in MLflow, found again by its ``key``.

    ``name`` and ``lasting``, further tags, are written once and then left as they are; so are the
    times, milliseconds since the epoch, where they are no facts (``is_time_inferred``).
    """

    key: str
    name: str
    params: Mapping[str, str]
    metrics: Sequence[tuple[str, float]]
    tags: Mapping[str, str]
    start_ms: int
    end_ms: int
    status: str = "FINISHED"
    is_time_inferred: bool = False
    lasting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as MLflow holds it; ``metrics`` are MLflow's own, ``dataset`` a digest or empty."""

    run_id: str
    experiment_id: str
    artifact_uri: str
    status: str
    start_ms: int
    end_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, Any]
    tags: Mapping[str, str]
    dataset: str


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """A run, what MLflow could not take as it was, and the metrics that it has besides."""

    run_id: str
    written: bool
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Runs(Masking):
    """The store's part for runs; it remembers those that it has read."""

    uri: str
    _client: Client
    _runs: dict[str, StoredRun]

    def find_run(self, experiment_id: str, key: str) -> StoredRun | None:
        """The run of that key, of several the one whose id comes first."""
        return next(iter(self._of_key(experiment_id, key)), None)

    def _of_key(self, experiment_id: str, key: str) -> list[StoredRun]:
        found = self._search(experiment_id, f"tags.`{KEY_TAG}` = {sql_literal(key)}")
        runs = sorted(found, key=lambda run: run.run_id)
        self._runs.update((run.run_id, run) for run in runs[:1])
        return runs

    def runs_of(self, experiment_id: str, evaluation: str) -> Iterator[StoredRun]:
        """An evaluation's logged runs, the newest first; a request for every 200."""
        return self._search(experiment_id, f"tags.`{EVALUATION_TAG}` = {sql_literal(evaluation)}")

    def _search(self, experiment_id: str, condition: str) -> Iterator[StoredRun]:
        from mlflow.entities import ViewType

        where, token = ([experiment_id], condition, ViewType.ACTIVE_ONLY, _RUNS_A_PAGE), None
        looking = self._client.doing("looking for runs")
        while True:
            page = looking.search_runs(*where, [_NEWEST_FIRST], token)
            yield from map(_stored, page)
            if not (token := page.token):
                return

    def run(self, run_id: str) -> StoredRun | None:
        """A run by MLflow's id; None where there is none."""
        return unless_gone(self._run, run_id)

    def _run(self, run_id: str) -> StoredRun:
        if run_id not in self._runs:
            self._runs[run_id] = _stored(self._client.doing("reading the run").get_run(run_id))
        return self._runs[run_id]

    def skill_of(self, run_id: str) -> str:
        """The skill that a run evaluated, else the evaluation's name; empty where it is gone."""
        run = self.run(run_id)
        return "" if run is None else run.params.get("skill") or run.tags.get(EVALUATION_TAG, "")

    def write_run(self, experiment_id: str, record: RunRecord) -> WrittenRun:
        """Find or create a run and bring it up to date; nothing is sent where nothing changed."""
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
                self._client.doing("deleting a tag of the run").delete_tag(run.run_id, name)
            self._log_batch(run, lacking)
            moved = run.end_ms != record.end_ms and not record.is_time_inferred
            if ended := run.status != record.status or moved:
                status = Status.from_string(record.status)
                ending = self._client.doing("ending the run")
                ending.update_run_info(run.run_id, status, record.end_ms, None)
        others = sorted(set(run.metrics) - {fit_name(name) for name, _ in record.metrics})
        written = found is None or ended or bool(lacking)
        return WrittenRun(run.run_id, written, tuple(notes), tuple(others))

    def _create_run(self, experiment_id: str, record: RunRecord) -> StoredRun:
        from mlflow.entities import RunTag

        tags = [RunTag(KEY_TAG, shorten(record.key, RUN_TAG_LIMIT))]
        creating = self._client.doing("creating the run")
        with once():
            made = creating.create_run(experiment_id, "", record.start_ms, tags, record.name)
        # two that began together have created one each by now: both keep the smallest
        stands, *others = self._of_key(experiment_id, record.key) or [_stored(made)]
        for other in others:
            self._client.doing("taking back a run made twice").delete_run(other.run_id)
        return stands

    def _log_batch(self, run: StoredRun, lacking: Sequence[Any]) -> None:
        """Write params, metrics and tags in portions that MLflow takes."""
        from mlflow.entities import Metric, Param, RunTag

        sized = ((each, len(f"{each.key}{each.value}".encode())) for each in lacking)
        for some in portions(sized, _AT_A_TIME, _BYTES_AT_A_TIME):
            parts = ([e for e in some if isinstance(e, kind)] for kind in (Metric, Param, RunTag))
            self._client.doing("writing params, metrics and tags").log_batch(run.run_id, *parts)
        tags = {each.key: each.value for each in lacking if isinstance(each, RunTag)}
        self._runs[run.run_id] = replace(run, tags={**run.tags, **tags})

    def write_artifacts(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        tables: Mapping[str, Mapping[str, Sequence[Json]]] | None = None,
    ) -> tuple[str, ...]:
        """Send those whose content is not there yet; gives their paths.

        ``tables``, which MLflow's UI shows, hold each column's values, by a path of JSON.
        """
        from mlflow.entities import RunTag

        run = self._run(run_id)
        contents = {path: self._masked_file(content) for path, content in files.items()}
        for path, columns in self._mask(dict(tables or {}), "artifacts").items():
            rows = list(zip(*columns.values(), strict=True))
            contents[path] = json_text({"columns": list(columns), "data": rows}).encode()
        marks = {
            path: (fit_name(ARTIFACT_TAG + path), sha256(content).hexdigest())
            for path, content in contents.items()
        }
        sent = [path for path, (tag, found) in marks.items() if run.tags.get(tag) != found]
        tags = dict(marks.values())
        if tables:
            listed = json.loads(run.tags.get(_TABLES_TAG, "[]"))
            new = [{"path": path, "type": "table"} for path in tables]
            tags[_TABLES_TAG] = json.dumps([*listed, *(e for e in new if e not in listed)])
        with self._client.alone():
            for path in sent:
                self._send_file(run, path, contents[path])
            self._log_batch(run, [RunTag(k, v) for k, v in tags.items() if run.tags.get(k) != v])
        return tuple(sent)

    def _send_file(self, run: StoredRun, path: str, content: bytes) -> None:
        from evalkit.store.internals import get_artifact_repository

        folder, _, name = path.rpartition("/")
        with TemporaryDirectory(prefix="evalkit-") as scratch:
            local = Path(scratch, name)
            local.write_bytes(content)
            with self._client.answering(f"sending the artifact {path}"):
                repository = get_artifact_repository(run.artifact_uri, tracking_uri=self.uri)
                try:
                    repository.log_artifact(str(local), folder or None)
                except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                    raise StoreError(
                        f"the run's artifacts lie at {run.artifact_uri}, where this machine cannot"
                        f" write ({error.strerror}). What to do: have the server take them"
                        " (mlflow server --serve-artifacts), or write the run from where that is"
                    ) from error


def _differences(
    record: RunRecord, run: StoredRun, notes: list[str]
) -> tuple[list[Any], list[str]]:
    """Params, metrics and tags that the run lacks, in MLflow's form, and tags that are stale."""
    from mlflow.entities import Param, RunTag

    params = _fit(record.params, PARAM_LIMIT, "param", notes)
    lacking: list[Any] = [Param(k, text) for k, text in params.items() if k not in run.params]
    lacking += _metrics(record, run, notes)
    lasting = {name: text for name, text in record.lasting.items() if name not in run.tags}
    tags = _fit({**record.tags, **lasting}, RUN_TAG_LIMIT, "tag", notes)
    for name, text in params.items():
        if run.params.get(name, text) != text:
            tags[fit_name(CONFLICT_TAG + name)] = text
            notes.append(
                f"param {name} is {run.params[name]!r} in MLflow, which lets no param change;"
                f" the tag {CONFLICT_TAG}{name} holds {text!r}"
            )
    lacking += [RunTag(name, text) for name, text in tags.items() if run.tags.get(name) != text]
    # these go when a run no longer has them
    passing = (name for name in run.tags if name.startswith((CONFLICT_TAG, QUALITY_CRITERIA_TAG)))
    return lacking, [name for name in passing if name not in tags]


def _metrics(record: RunRecord, run: StoredRun, notes: list[str]) -> Iterator[Any]:
    """Those that are new or have another value; MLflow shows the one with the highest step."""
    from mlflow.entities import Metric

    for name, value in record.metrics:
        if not is_number(value):
            notes.append(f"metric {name!r} is {value}, which is no number MLflow can show")
            continue
        old = run.metrics.get(fitting := _fit_name(name, "metric", notes))
        if old is None or old.value != float(value):
            yield Metric(fitting, float(value), record.end_ms, 0 if old is None else old.step + 1)


def _fit(texts: Mapping[str, str], limit: int, kind: str, notes: list[str]) -> dict[str, str]:
    for name, text in texts.items():
        if shorten(text, limit) != text:
            notes.append(f"{kind} {name!r} was shortened to {limit} characters or cleaned")
    return {_fit_name(name, kind, notes): shorten(text, limit) for name, text in texts.items()}


def _fit_name(name: str, kind: str, notes: list[str]) -> str:
    if (fitting := fit_name(name)) != name:
        notes.append(f"{kind} {name!r} is called {fitting!r} in MLflow, which refuses the name")
    return fitting


def _stored(run: Any) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        artifact_uri=run.info.artifact_uri,
        status=run.info.status,
        start_ms=run.info.start_time or 0,
        end_ms=run.info.end_time or 0,
        params=dict(run.data.params),
        # what MLflow keeps behind the public metrics, with times and steps
        metrics={each.key: each for each in run.data._metric_objs},  # noqa: SLF001
        tags=dict(run.data.tags),
        dataset=next((each.dataset.digest for each in run.inputs.dataset_inputs), ""),
    )
