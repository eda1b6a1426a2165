"""The way into a database: MLflow's own store, opened in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from evalkit.errors import StoreAbsent
from evalkit.store.datasets import KeptDatasets
from evalkit.store.failures import Unanswered, answering
from evalkit.store.gateway import Datasets, Gateway
from evalkit.store.waiting import within


def make_database(path: Path, artifacts: str) -> None:
    """Make MLflow's tables in a new file, which takes the path's place when all are there.

    MLflow makes them one by one, and cannot go on where a kill has cut that short. What a kill
    leaves here is a file beside it, which the next call replaces; two at once take turns.
    """
    from evalkit.store.internals import SqlAlchemyStore

    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    with alone_in(target.parent):
        if target.exists() and target.stat().st_size:
            return
        beside.unlink(missing_ok=True)
        SqlAlchemyStore(f"sqlite:///{beside}", artifacts).engine.dispose()
        beside.replace(target)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine is in here, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class SqlGateway(Gateway):
    """A database that MLflow's own store opens in this process."""

    workers = 1  # its transactions queue up anyway, and each thread holds two connections

    def __init__(
        self,
        uri: str,
        *,
        artifacts: str | None = None,
        new: Path | None = None,
        timeout_s: float = 0,
    ) -> None:
        import logging

        self.uri = uri
        self._folder = None if artifacts is None else Path(artifacts).parent
        # told about at length otherwise, whenever a store is made
        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with self.answering("opening it"):
            from evalkit.store.internals import get_store, unwraps_json

            if artifacts is None:
                self._knock(timeout_s)
            elif new is not None:
                make_database(new, artifacts)
            self.tracking: Any = get_store(uri, artifacts)
            self.layered = unwraps_json()
        self.datasets: Datasets = KeptDatasets(self)

    def _knock(self, timeout_s: float) -> None:
        """Connect once: MLflow itself would retry for minutes what cannot work."""
        import sqlalchemy

        def connect() -> None:
            engine = sqlalchemy.create_engine(self.uri, poolclass=sqlalchemy.NullPool)
            engine.connect().close()

        try:
            with self.answering("opening it"):
                within(timeout_s, self.uri, connect)
        except Unanswered as error:
            raise StoreAbsent(str(error)) from error

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""
        return answering(self.uri, doing)

    def alone(self) -> AbstractContextManager[None]:
        """Wait until no other process of this machine writes into the file."""
        return nullcontext() if self._folder is None else alone_in(self._folder)

    def create_run(
        self, experiment_id: str, name: str, start_ms: int, tags: Mapping[str, str]
    ) -> tuple[str, str]:
        """Create a run."""
        from mlflow.entities import RunTag

        with self.answering("creating the run"):
            run = self.tracking.create_run(
                experiment_id, "", start_ms, [RunTag(k, v) for k, v in tags.items()], name
            )
        return run.info.run_id, run.info.artifact_uri

    def _create_dataset(self, name: str, experiment_id: str, tags: Mapping[str, str]) -> str:
        with self.answering("creating the dataset"):
            dataset = self.tracking.create_dataset(name, dict(tags), [experiment_id])
        dataset_id: str = dataset.dataset_id
        return dataset_id
