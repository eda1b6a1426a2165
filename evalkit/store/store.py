"""The port: what evalkit does with MLflow, whichever way leads there."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Literal, overload

from evalkit.core.tracking import experiment_problems
from evalkit.errors import InputError, StoreError
from evalkit.store.artifacts import Artifacts
from evalkit.store.datasets import Datasets
from evalkit.store.evaluations import Evaluations
from evalkit.store.failures import Refused
from evalkit.store.gateway import Gateway
from evalkit.store.links import Links
from evalkit.store.runs import StoredRun
from evalkit.store.traces_write import TraceWriter


class Store(TraceWriter, Artifacts, Datasets, Evaluations, Links):
    """An MLflow tracking server or database.

    It remembers the runs that it has just read, so that writing what follows needs no second look.
    It serves one thread at a time.

    Attributes:
        uri: The tracking URI.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.uri = gateway.uri
        self._gateway = gateway
        self._runs: dict[str, StoredRun] = {}
        self.masked = Counter()

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
        with self._gateway.alone() if create else nullcontext():
            found = self._experiment(name)
            if found is not None or not create:
                return found
            try:
                with self._gateway.answering(f"creating the experiment {name!r}"):
                    return str(self._gateway.tracking.create_experiment(name))
            except Refused as error:
                # somebody else was quicker
                if error.says_it_is_there and (found := self._experiment(name)):
                    return found
                raise

    def _experiment(self, name: str) -> str | None:
        with self._gateway.answering(f"looking for the experiment {name!r}"):
            found = self._gateway.tracking.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage != "active":
            raise StoreError(
                f"the experiment {name!r} was deleted in MLflow: restore it"
                f" (mlflow experiments restore --experiment-id {found.experiment_id}),"
                " or name another one under mlflow.experiment in the config"
            )
        return None if found is None else str(found.experiment_id)
