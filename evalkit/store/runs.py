"""Runs and their artifacts: found again by their key, brought up to date by differences alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalkit.entities import EVALUATION_TAG, KEY_TAG
from evalkit.errors import StoreError
from evalkit.jsonable import Json
from evalkit.store.client import Client, portions
from evalkit.store.failures import Refused
from evalkit.store.forms import Masking, fit_name, json_text, quoted, shorten
from evalkit.store.internals import once
from evalkit.store.run_records import RUN_TAG_LIMIT, RunRecord, StoredRun, run_differences

ARTIFACT_TAG = "evalkit.artifact."
"""Tag that holds the hash of what was sent under a path."""
_TABLES_TAG = "mlflow.loggedArtifacts"
_AT_A_TIME = 100
_RUNS_A_PAGE = 200
_BYTES_AT_A_TIME = 150_000  # of params, metrics and tags; as JSON, up to six times that


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """What became of a run, and whether anything had to be ``written``.

    ``notes`` say what MLflow could not take as it was; ``others`` are metrics that it has besides.
    """

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
        return next(iter(self._runs_of(experiment_id, key)), None)

    def _runs_of(self, experiment_id: str, key: str) -> list[StoredRun]:
        from mlflow.entities import ViewType

        wanted, kind = f"tags.`{KEY_TAG}` = {quoted(key)}", ViewType.ACTIVE_ONLY
        with self._client.answering("looking for the run"):
            found = self._client.tracking.search_runs([experiment_id], wanted, kind)
        runs = sorted(map(_stored, found), key=lambda run: run.run_id)
        self._runs.update((run.run_id, run) for run in runs[:1])
        return runs

    def runs_of(self, experiment_id: str, evaluation: str) -> Iterator[StoredRun]:
        """An evaluation's logged runs, the newest first; a request for every 200."""
        from mlflow.entities import ViewType

        condition, token = f"tags.`{EVALUATION_TAG}` = {quoted(evaluation)}", None
        while True:
            with self._client.answering("looking for logged runs"):
                page = self._client.tracking.search_runs(
                    [experiment_id],
                    condition,
                    ViewType.ACTIVE_ONLY,
                    max_results=_RUNS_A_PAGE,
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
            yield from map(_stored, page)
            if not (token := page.token):
                return

    def run(self, run_id: str) -> StoredRun | None:
        """A run by MLflow's id; None where there is none."""
        try:
            return self._run(run_id)
        except Refused as error:
            if error.says_there_is_none:
                return None
            raise

    def _run(self, run_id: str) -> StoredRun:
        if run_id not in self._runs:
            with self._client.answering("reading the run"):
                self._runs[run_id] = _stored(self._client.tracking.get_run(run_id))
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
            lacking, stale = run_differences(record, run, notes)
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
        return WrittenRun(run.run_id, written, tuple(notes), tuple(others))

    def _create_run(self, experiment_id: str, record: RunRecord) -> StoredRun:
        from mlflow.entities import RunTag

        tags = [RunTag(KEY_TAG, shorten(record.key, RUN_TAG_LIMIT))]
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

        sized = ((each, len(f"{each.key}{each.value}".encode())) for each in lacking)
        for some in portions(sized, _AT_A_TIME, _BYTES_AT_A_TIME):
            with self._client.answering("writing params, metrics and tags"):
                self._client.tracking.log_batch(
                    run.run_id,
                    *([e for e in some if isinstance(e, kind)] for kind in (Metric, Param, RunTag)),
                )
        tags = {each.key: each.value for each in lacking if isinstance(each, RunTag)}
        self._runs[run.run_id] = replace(run, tags={**run.tags, **tags})

    def write_artifacts(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        tables: Mapping[str, Mapping[str, Sequence[Json]]] | None = None,
    ) -> tuple[str, ...]:
        """Send the artifacts whose content is not there yet; gives their paths.

        ``files`` hold content by POSIX path; ``tables``, which MLflow's UI shows, each column's
        values by its name, by a path that ends in ``.json``.
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
                self._send(run, path, contents[path])
            self._log_batch(run, [RunTag(k, v) for k, v in tags.items() if run.tags.get(k) != v])
        return tuple(sent)

    def _send(self, run: StoredRun, path: str, content: bytes) -> None:
        from evalkit.store.internals import get_artifact_repository

        folder, _, name = path.rpartition("/")
        if not name or {"..", ""} & set(path.split("/")):
            raise StoreError(f"{path!r} is no path of an artifact: it has to lead into the run")
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
        datasets={each.dataset.name: each.dataset.digest for each in run.inputs.dataset_inputs},
    )
