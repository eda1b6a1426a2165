"""MLflow: the only package that imports it, and not before it is needed.

``connect`` gives a :class:`Store`, which all else uses; ``probe`` says whether it would.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, overload
from urllib.parse import urlsplit, urlunsplit

from evalkit.errors import InputError, StoreError
from evalkit.store.client import Client, open_client
from evalkit.store.datasets import KeptDatasets
from evalkit.store.evaluations import Evaluations
from evalkit.store.failures import Refused
from evalkit.store.forms import as_kept
from evalkit.store.internals import prepare
from evalkit.store.probe import Reachability, ask_workspace, probe
from evalkit.store.runs import RunRecord, StoredRun, WrittenRun
from evalkit.store.spans import spans_of
from evalkit.store.traces_read import assessments_of, run_of
from evalkit.store.traces_write import TraceWriter, Written
from evalkit.tracking import experiment_problems, is_server, is_workspace

if TYPE_CHECKING:
    from evalkit.store.tables import DatasetTables

__all__ = [
    "Reachability",
    "RunRecord",
    "Store",
    "StoredRun",
    "Written",
    "WrittenRun",
    "as_kept",
    "assessments_of",
    "connect",
    "probe",
    "run_of",
    "spans_of",
]


class Store(TraceWriter, Evaluations):
    """An MLflow tracking server or database, whose ``uri`` is its tracking URI.

    Each method raises a StoreError where MLflow fails; doing the same again finishes what it began.
    It remembers the runs that it has just read, so that writing what follows needs no second look.
    It serves one thread at a time.
    """

    def __init__(self, client: Client, datasets: DatasetTables | None = None) -> None:
        self.uri, self._client = client.uri, client
        self._runs: dict[str, StoredRun] = {}
        self.masked = Counter()
        self._datasets = KeptDatasets(client) if datasets is None else datasets

    @overload
    def experiment(self, name: str, *, create: Literal[True]) -> str: ...

    @overload
    def experiment(self, name: str, *, create: bool) -> str | None: ...

    def experiment(self, name: str, *, create: bool) -> str | None:
        """The id of the experiment; None where there is none and ``create`` is False.

        Raises:
            InputError: this MLflow cannot have an experiment of that name.
            StoreError: an experiment of that name was deleted, or MLflow failed.
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

    def trace_url(self, experiment_id: str, trace_id: str) -> str | None:
        """Where a browser shows a trace, however old it is; None for a database."""
        return self._url(f"experiments/{experiment_id}/traces?selectedEvaluationId={trace_id}")

    def traces_url(self, experiment_id: str) -> str | None:
        """Where a browser shows an experiment's traces; None for a database."""
        return self._url(f"experiments/{experiment_id}/traces")

    def run_url(self, experiment_id: str, run_id: str) -> str | None:
        """Where a browser shows a run; None for a database."""
        return self._url(f"experiments/{experiment_id}/runs/{run_id}")

    def datasets_url(self, experiment_id: str) -> str | None:
        """Where a browser shows an experiment's datasets; None for a database."""
        return self._url(f"experiments/{experiment_id}/datasets")

    def _url(self, page: str) -> str | None:
        if not is_server(self.uri):
            return None
        parts = urlsplit(self.uri)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/", "", "/" + page))


def connect(uri: str, *, timeout_s: float = 4.0) -> Store:
    """Open the MLflow behind a tracking URI.

    Args:
        uri: A server (``http://host:port``) or a database (``sqlite:///file``, which is made
            where it is missing).
        timeout_s: Seconds to wait for an answer; importing MLflow takes its own time on top.

    Raises:
        StoreAbsent: nobody answers: refused, not to be resolved, or silent.
        StoreError: something is there that cannot be used; says what to do.
    """
    if not is_workspace(uri):
        return Store(open_client(uri, timeout_s=timeout_s))
    ask_workspace(uri, timeout_s=timeout_s)
    prepare()
    from evalkit.store.tables import DatasetTables
    from evalkit.store.workspace import WorkspaceMlflow

    return Store(WorkspaceMlflow(uri), DatasetTables(uri))
