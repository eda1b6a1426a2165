"""Artifacts of a run: sent when their content changed, tables in the form MLflow's UI shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from evalkit.errors import StoreError
from evalkit.jsonable import Json
from evalkit.store.naming import fit_name, json_text
from evalkit.store.runs import Runs, StoredRun

ARTIFACT_TAG = "evalkit.artifact."
"""Run tag that holds the hash of what was sent under a path."""

_TABLES_TAG = "mlflow.loggedArtifacts"


class Artifacts(Runs):
    """The port's part for artifacts."""

    def write_artifacts(
        self,
        run_id: str,
        files: Mapping[str, bytes],
        tables: Mapping[str, Mapping[str, Sequence[Json]]] | None = None,
    ) -> tuple[str, ...]:
        """Send the artifacts whose content is not there yet.

        Args:
            run_id: The run.
            files: Content by path, POSIX and relative.
            tables: By path, which ends in ``.json``: the values of each column, by its name.
                MLflow's UI shows them as tables.

        Returns:
            The paths that were sent.

        Raises:
            StoreError: MLflow failed; what was sent completely is not sent again.
        """
        from mlflow.entities import RunTag

        run = self._run(run_id)
        tables = self._mask(dict(tables or {}), "artifacts")
        contents = {path: self._masked_file(content) for path, content in files.items()}
        contents |= {path: _table(columns) for path, columns in (tables or {}).items()}
        tags = {
            fit_name(ARTIFACT_TAG + path): sha256(content).hexdigest()
            for path, content in contents.items()
        }
        sent = [
            path
            for path, (tag, found) in zip(contents, tags.items(), strict=True)
            if run.tags.get(tag) != found
        ]
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
                        f" write ({error.strerror}). What to do: have the server take them (mlflow"
                        " server --serve-artifacts --artifacts-destination PLACE), or write the"
                        " run from where that path is"
                    ) from error


def _table(columns: Mapping[str, Sequence[Json]]) -> bytes:
    """A table as MLflow stores the tables that it shows."""
    rows = list(zip(*columns.values(), strict=True))
    return json_text({"columns": list(columns), "data": rows}).encode()
