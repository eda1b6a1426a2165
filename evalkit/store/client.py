"""The way into an MLflow: its tracking URI opened, and MLflow's own store for what is behind it.

Nearly all goes through that store, which speaks to a database as to a server; where they differ,
they say so here. What MLflow has inside and does not document comes from ``internals``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from evalkit.entities import Trace
from evalkit.store.failures import answering, watch_answers
from evalkit.store.internals import prepare
from evalkit.store.probe import ask_server, check_sqlite
from evalkit.store.spans import made_spans, sent_spans
from evalkit.tracking import is_server, sqlite_path

T = TypeVar("T")
R = TypeVar("R")


def portions(items: Iterable[tuple[T, int]], most: int, most_bytes: int) -> Iterator[list[T]]:
    """Items with their sizes as lists that are not too long and, but for single ones, too large."""
    some: list[T] = []
    size = 0
    for item, bytes_ in items:
        if some and (len(some) >= most or size + bytes_ > most_bytes):
            yield some
            some, size = [], 0
        some.append(item)
        size += bytes_
    if some:
        yield some


class Client:
    """An open MLflow: here a server.

    Attributes:
        uri: The tracking URI.
        tracking: MLflow's own tracking store.
        workers: Threads that may write at a time.
        span_bytes: Bytes of spans that go in one request.
    """

    workers = 4
    span_bytes = 4_000_000

    def __init__(self, uri: str, tracking: Any) -> None:
        self.uri, self.tracking = uri, tracking

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""
        return answering(self.uri, doing)

    def alone(self) -> AbstractContextManager[None]:
        """Wait until no other process of this machine writes here, where it is known who does."""
        return nullcontext()

    def spans(self, trace: Trace) -> Iterator[tuple[Any, int]]:
        """A trace's spans as they are written, each with about how many bytes it takes."""
        return sent_spans(trace)

    def check_traces(self, experiment_id: str) -> None:
        """Refuse an experiment whose traces can only be read."""

    def holds(self, experiment_id: str, info: Any) -> bool:
        """Whether a trace, as MLflow lists it, is an experiment's."""
        return bool(info.experiment_id == experiment_id)

    def each(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do something with each, ``workers`` at a time; the first failure ends it."""
        if self.workers == 1:
            return [do(each) for each in items]
        with ThreadPoolExecutor(self.workers, thread_name_prefix="evalkit-store") as pool:
            return list(pool.map(do, items))


class Database(Client):
    """A file of SQLite that MLflow's own store opens in this process."""

    workers = 1  # its transactions queue up anyway, and each thread holds two connections

    def __init__(self, uri: str) -> None:
        """Open it; it is made where it is missing."""
        # told about at length otherwise, whenever a store is made
        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)
        path = sqlite_path(uri)
        check_sqlite(path)
        # beside the database, and not wherever the command was called
        self._folder = path.absolute().parent
        artifacts = str(self._folder / "mlruns")
        with answering(uri, "opening it"):
            from evalkit.store.internals import _get_store, translation

            if not (path.exists() and path.stat().st_size):
                _make_database(path, artifacts)
            super().__init__(uri, _get_store(uri, artifacts))
            # until 3.17 MLflow's store unwraps a layer of attributes that are JSON text
            self._layered = not hasattr(translation, "strip_otlp_double_encoding")

    def alone(self) -> AbstractContextManager[None]:
        """Wait until no other process of this machine writes to the file."""
        return _alone_in(self._folder)

    def spans(self, trace: Trace) -> Iterator[tuple[Any, int]]:
        """A trace's spans as they are written, each with about how many bytes it takes."""
        return made_spans(trace, layered=self._layered)


def open_client(uri: str, *, timeout_s: float) -> Client:
    """Open a server or a database; a StoreError, or StoreAbsent, where that cannot be."""
    prepare()
    if not is_server(uri):
        return Database(uri)
    ask_server(uri, timeout_s=timeout_s)
    watch_answers()
    with answering(uri, "opening it"):
        from evalkit.store.internals import _get_store

        return Client(uri, _get_store(uri))


def _make_database(path: Path, artifacts: str) -> None:
    """Make MLflow's tables in a new file, which takes the path's place when all are there.

    MLflow makes them one by one, and cannot go on where a kill has cut that short. What a kill
    leaves here is a file beside it, which the next call replaces; two at once take turns.
    """
    from evalkit.store.internals import SqlAlchemyStore

    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.new")
    with _alone_in(target.parent):
        if target.exists() and target.stat().st_size:
            return
        beside.unlink(missing_ok=True)
        SqlAlchemyStore(f"sqlite:///{beside}", artifacts).engine.dispose()
        beside.replace(target)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
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
