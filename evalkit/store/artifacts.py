"""Artifacts of a run: sent when their content changed, tables in the form MLflow's UI shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from evalkit.errors import StoreError
from evalkit.jsonable import Json
from evalkit.store.differences import log_tags
from evalkit.store.gateway import Gateway
from evalkit.store.naming import fit_name
from evalkit.store.runs import StoredRun
from evalkit.store.wire import json_text

ARTIFACT_TAG = "evalkit.artifact."
"""Run tag that holds the hash of what was sent under a path."""

_TABLES_TAG = "mlflow.loggedArtifacts"


def write_artifacts(
    gateway: Gateway,
    run: StoredRun,
    files: Mapping[str, bytes],
    tables: Mapping[str, Mapping[str, Sequence[Json]]],
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Send the files and tables whose content is not there yet.

    Args:
        gateway: The way into MLflow.
        run: The run, with its tags.
        files: Content by path, POSIX and relative.
        tables: By path, which ends in ``.json``: the values of each column, by its name.

    Returns:
        The paths that were sent, and the tags that were set.

    Raises:
        StoreError: MLflow failed; what was sent completely is not sent again.
    """
    contents = {**files, **{path: table_bytes(table) for path, table in tables.items()}}
    hashes = {path: sha256(content).hexdigest() for path, content in contents.items()}
    tags = {fit_name(ARTIFACT_TAG + path): found for path, found in hashes.items()}
    sent = [p for p in contents if run.tags.get(fit_name(ARTIFACT_TAG + p)) != hashes[p]]
    for path in sent:
        _send(gateway, run, path, contents[path])
    listed = _listing(run.tags.get(_TABLES_TAG, "[]"), tables)
    if tables:
        tags[_TABLES_TAG] = listed
    new = {name: value for name, value in tags.items() if run.tags.get(name) != value}
    if new:
        log_tags(gateway, run.run_id, new)
    return tuple(sent), new


def table_bytes(table: Mapping[str, Sequence[Json]]) -> bytes:
    """A table as MLflow stores the tables that it shows.

    Raises:
        ValueError: the columns differ in length.
    """
    rows = list(zip(*table.values(), strict=True))
    return json_text({"columns": list(table), "data": rows}).encode()


def _listing(known: str, tables: Mapping[str, object]) -> str:
    """MLflow's list of the artifacts that are tables, with these among them."""
    listed = json.loads(known)
    missing = [{"path": p, "type": "table"} for p in tables]
    return json.dumps([*listed, *(each for each in missing if each not in listed)])


def _send(gateway: Gateway, run: StoredRun, path: str, content: bytes) -> None:
    from evalkit.store.internals import get_artifact_repository

    folder, _, name = path.rpartition("/")
    if not name or {"..", ""} & set(path.split("/")):
        raise StoreError(f"{path!r} is no path of an artifact: it has to lead into the run")
    with TemporaryDirectory(prefix="evalkit-") as scratch:
        local = Path(scratch, name)
        local.write_bytes(content)
        with gateway.answering(f"sending the artifact {path}"):
            repository = get_artifact_repository(run.artifact_uri, tracking_uri=gateway.uri)
            try:
                repository.log_artifact(str(local), folder or None)
            except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
                raise StoreError(
                    f"the run's artifacts lie at {run.artifact_uri}, where this machine cannot"
                    f" write ({error.strerror}). What to do: have the server take them (mlflow"
                    " server --serve-artifacts --artifacts-destination PLACE), or write the run"
                    " from where that path is"
                ) from error
