"""What this package needs from MLflow, whichever way leads into it.

Nearly all goes through MLflow's own tracking store, which every way has; where they differ, they
say so here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

from evalkit.core.dataset import Record, StoredRecord

T = TypeVar("T")
R = TypeVar("R")

PAGE = 500
"""Traces a search returns at a time; MLflow refuses more."""


class Datasets(Protocol):
    """The evaluation datasets of an MLflow, wherever it keeps them.

    Attributes:
        replaces: Whether writing a row leaves nothing of its expectations; MLflow merges them.
    """

    replaces: bool

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The id of the experiment's dataset of that name; None where there is none.

        There may be no experiment yet, but something of that name all the same.
        """

    def create(self, name: str, experiment_id: str) -> str:
        """Create a dataset, tried once only: a second try could make a second one. Its id."""

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """All its rows."""

    def source(self, name: str, dataset_id: str) -> tuple[str, str]:
        """What MLflow calls its kind, and where it is, as JSON: for a run that it is linked to."""

    def check(self, records: Sequence[Record]) -> None:
        """Refuse records that it could not keep as they are."""

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows by their ids."""

    def write(self, dataset_id: str, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Write each record into the row with equal inputs, or a new one; tells its progress."""


class Gateway(Protocol):
    """What the concepts of this package need from MLflow.

    Attributes:
        uri: The tracking URI.
        tracking: MLflow's own tracking store.
        workers: Threads that may write at a time.
        layered: Whether it unwraps one layer of attributes that are JSON text.
        span_bytes: Bytes of spans that go in one request.
        datasets: Its evaluation datasets.
    """

    uri: str
    tracking: Any
    workers: int
    layered: bool
    span_bytes: int = 4_000_000
    datasets: Datasets

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""

    def alone(self) -> AbstractContextManager[None]:
        """Wait until no other process writes here, where it is known who does."""
        return nullcontext()

    def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create a run, tried once only: a second try could make a second run.

        Returns:
            Its id, and where its artifacts lie.
        """

    def check_traces(self, experiment_id: str) -> None:
        """Refuse an experiment whose traces can only be read."""
        del experiment_id  # usually there is none

    def holds(self, experiment_id: str, info: Any) -> bool:
        """Whether a trace, as MLflow lists it, is an experiment's."""
        return bool(info.experiment_id == experiment_id)

    def each(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do something with each, ``workers`` at a time; the first failure ends it."""
        if self.workers == 1:
            return [do(each) for each in items]
        with ThreadPoolExecutor(self.workers, thread_name_prefix="evalkit-store") as pool:
            return list(pool.map(do, items))
