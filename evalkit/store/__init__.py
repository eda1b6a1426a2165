"""MLflow: the only package that imports it, and not before it is needed."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Literal, overload
from urllib.parse import urlsplit, urlunsplit

from evalkit.errors import InputError, StoreError
from evalkit.store.client import Client, open_client, probe
from evalkit.store.databricks import ask_workspace
from evalkit.store.datasets import DatasetTables, KeptDatasets
from evalkit.store.evaluations import Evaluations
from evalkit.store.failures import Refused
from evalkit.store.forms import as_kept
from evalkit.store.internals import prepare
from evalkit.store.runs import RunRecord, StoredRun
from evalkit.store.spans import spans_of
from evalkit.store.traces_read import assessments_of, run_of
from evalkit.tracking import experiment_problems, is_server, is_workspace

__all__ = [
    "RunRecord",
    "Store",
    "StoredRun",
    "as_kept",
    "assessments_of",
    "connect",
    "probe",
    "run_of",
    "spans_of",
]


class Store(Evaluations):
    """An MLflow, for one thread at a time; of a StoreError doing the same again finishes."""

    def __init__(self, client: Client) -> None:
        self.uri, self._client = client.uri, client
        self._runs: dict[str, StoredRun] = {}
        self.masked = Counter()
        kind = DatasetTables if is_workspace(client.uri) else KeptDatasets
        self._datasets = kind(client)

    @overload
    def experiment(self, name: str, *, create: Literal[True]) -> str: ...

    @overload
    def experiment(self, name: str, *, create: bool) -> str | None: ...

    def experiment(self, name: str, *, create: bool) -> str | None:
        """The id of the experiment; None where there is none and ``create`` is False.

        A StoreError where it was deleted, an InputError where this MLflow has no such names.
        """
        name = self._mask(name, "experiment")
        if problems := experiment_problems(self.uri, name):
            raise InputError(*problems)
        with self._client.alone() if create else nullcontext():
            found = self._experiment(name)
            if found is not None or not create:
                return found
            try:
                with self._client.answering(f"creating the experiment {name!r}"):
                    return str(self._client.tracking.create_experiment(name))
            except Refused:
                if found := self._experiment(name):  # somebody else was quicker
                    return found
                raise

    def _experiment(self, name: str) -> str | None:
        with self._client.answering(f"looking for the experiment {name!r}"):
            found = self._client.tracking.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise StoreError(
                f"the experiment {name!r} was deleted in MLflow: restore it"
                f" (mlflow experiments restore --experiment-id {found.experiment_id}),"
                " or name another one under mlflow.experiment in the config"
            )
        return None if found is None else str(found.experiment_id)

    def url(self, experiment_id: str, page: str, item: str = "") -> str | None:
        """Where a browser shows traces, runs or datasets, or one of them; None for a database."""
        if not is_server(self.uri):
            return None
        parts = urlsplit(self.uri)
        host, path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/"
        which = item and ("?selectedEvaluationId=" if page == "traces" else "/") + item
        shown = f"/experiments/{experiment_id}/{page}{which}"
        return urlunsplit((parts.scheme, host, path, "", shown))


def connect(uri: str, *, timeout_s: float = 4.0) -> Store:
    """Open the MLflow behind a tracking URI; a database is made where it is missing.

    It waits ``timeout_s`` for an answer; importing MLflow takes its own time on top.

    Raises:
        StoreAbsent: nobody answers: refused, not to be resolved, or silent.
        StoreError: something is there that cannot be used; says what to do.
    """
    if not is_workspace(uri):
        return Store(open_client(uri, timeout_s=timeout_s))
    ask_workspace(uri, timeout_s=timeout_s)
    prepare()
    from evalkit.store.workspace import WorkspaceMlflow

    return Store(WorkspaceMlflow(uri))
