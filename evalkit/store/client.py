"""The way into an MLflow: asked in seconds whether it is there, then opened.

A server is asked before MLflow is imported: where none runs, nobody waits for the import either.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.entities import Trace
from evalkit.errors import StoreAbsent, StoreError
from evalkit.store.databricks import ask_workspace
from evalkit.store.failures import (
    UNTRUSTED,
    Refused,
    answering,
    is_absence,
    plain,
    reason,
    watch_answers,
    within,
)
from evalkit.store.internals import prepare
from evalkit.store.spans import made_spans, sent_spans
from evalkit.tracking import DEFAULT_URI, is_server, is_workspace, sqlite_path, without_password

if TYPE_CHECKING:
    from evalkit.store.warehouse import Warehouse

OLDEST = (3, 13)
"""The oldest MLflow server that was tried, with 3.14, 3.17 and 3.18.

Those before fail for good when an assessment is added, or count a trace's tokens several times.
"""

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


@dataclass(frozen=True, slots=True)
class Reachability:
    """Whether a tracking URI can be worked with, and is known to hold something."""

    ok: bool
    detail: str
    exists: bool = False


def probe(uri: str, *, timeout_s: float = 4.0) -> Reachability:
    """Look, without changing anything, whether MLflow can be reached; never raises."""
    try:
        if is_server(uri):
            version = ask_server(uri, timeout_s=timeout_s)
            return Reachability(ok=True, detail=f"MLflow {version} answers", exists=True)
        if is_workspace(uri):
            ask_workspace(uri, timeout_s=timeout_s)
            said = "Databricks' own MLflow; its login is tried when it is needed"
            return Reachability(ok=True, detail=said)
        exists = check_sqlite(sqlite_path(uri), to_write=True)
    except StoreError as error:
        return Reachability(ok=False, detail=str(error))
    said = "an SQLite store" + ("" if exists else ", not made yet")
    return Reachability(ok=True, detail=said, exists=exists)


def check_sqlite(path: Path, *, to_write: bool = False) -> bool:
    """Whether a file is there, made sure that it is a database that can be opened, or written to.

    MLflow would try for minutes. What a killed process left half written is rolled back.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            return False
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as found:
            found.execute("BEGIN IMMEDIATE" if to_write else "PRAGMA schema_version").fetchone()
    except (sqlite3.Error, OSError) as error:
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        what = (
            "another program writes to it; run the same command again when that has ended"
            if busy
            else "check the path and its permissions, or name another file"
        )
        raise StoreError(f"the SQLite store {path} cannot be opened ({error}): {what}") from error
    return True


def ask_server(uri: str, *, timeout_s: float) -> str:
    """Ask a server for its version: as anybody, then with the login that MLflow knows."""
    where = without_password(uri)
    status, text = within(timeout_s, uri, lambda: _anonymous(uri, timeout_s))
    if not _parts(text):
        from evalkit.store.internals import get_default_host_creds, http_request

        creds, known = get_default_host_creds(uri), {"max_retries": 0, "raise_on_status": False}
        with answering(uri, "asking for its version"):
            answer = http_request(creds, "/version", "GET", timeout=timeout_s, **known)
        status, text = answer.status_code, answer.text
    if status != 200:  # noqa: PLR2004 - HTTP's OK
        raise Refused(where, "to say its version", status, "", plain(text))
    if not _parts(text):
        raise StoreError(
            f"what answers at {where} is no MLflow server ({plain(text)[:80]!r} is no version):"
            " check the tracking URI"
        )
    if _parts(text) < OLDEST:
        raise StoreError(
            f"the server at {where} is MLflow {text.strip()};"
            f" evalkit needs {'.'.join(map(str, OLDEST))} or newer:"
            " have the server upgraded, or use an SQLite store (--tracking-uri sqlite:///FILE)"
        )
    return text.strip()


def _anonymous(uri: str, timeout_s: float) -> tuple[int, str]:
    """Status and text of ``GET /version``; 0 where no secure connection came about."""
    import requests

    where = without_password(uri)
    try:
        with requests.get(uri.rstrip("/") + "/version", timeout=timeout_s, stream=True) as answer:
            text = next(answer.iter_content(4096), b"").decode("utf-8", "replace")
            return answer.status_code, text if answer.ok else ""
    except (requests.ConnectionError, requests.Timeout) as error:
        why = reason(error)
        # some servers want a certificate from their clients and cut the connection without
        if why == UNTRUSTED or (uri.startswith("https:") and not is_absence(error)):
            return 0, ""
        fix = "; without a server: --tracking-uri sqlite:///mlflow.db" if uri == DEFAULT_URI else ""
        raise StoreAbsent(f"MLflow at {where} is not reachable: {why}{fix}") from error
    except (requests.RequestException, ValueError) as error:
        raise StoreError(f"the tracking URI {where} cannot be used: {reason(error)}") from error


def _parts(text: str) -> tuple[int, ...]:
    found = re.match(r"\s*(\d+)\.(\d+)[\w.+-]*\s*$", text)
    return (int(found[1]), int(found[2])) if found else ()


class Client:
    """An open MLflow: its own ``tracking`` store, and where servers and databases differ.

    ``spans`` gives a trace's spans as they are written, each with its bytes; ``alone`` waits until
    no other process of this machine writes here.
    """

    span_bytes = 4_000_000  # that go in one request

    def __init__(
        self,
        uri: str,
        tracking: Any,
        *,
        spans: Callable[[Trace], Iterator[tuple[Any, int]]] = sent_spans,
        alone: Callable[[], AbstractContextManager[None]] = nullcontext,
        workers: int = 4,
    ) -> None:
        self.uri, self.tracking = uri, tracking
        self.spans, self.alone, self.workers = spans, alone, workers

    def answering(self, doing: str) -> AbstractContextManager[None]:
        """Turn MLflow's exceptions into StoreError while ``doing`` something."""
        return answering(self.uri, doing)

    def doing(self, what: str) -> Any:
        """MLflow's store, each method of which turns its exceptions into StoreError."""
        return _Doing(self.tracking, answering(self.uri, what))

    def check_traces(self, experiment_id: str) -> None:
        """Refuse an experiment whose traces can only be read."""

    def warehouse(self, experiment_id: str) -> Warehouse | None:
        """What answers SQL on an experiment's traces; None where they are in no tables."""
        del experiment_id
        return None

    def holds(self, experiment_id: str, info: Any) -> bool:
        """Whether a trace, as MLflow lists it, is an experiment's."""
        return bool(info.experiment_id == experiment_id)

    def each(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do something with each, ``workers`` at a time; the first failure ends it."""
        if self.workers == 1:
            return [do(each) for each in items]
        with ThreadPoolExecutor(self.workers, thread_name_prefix="evalkit-store") as pool:
            return list(pool.map(do, items))


class _Doing:
    def __init__(self, tracking: Any, answering_: Any) -> None:
        self._tracking, self._answering = tracking, answering_

    def __getattr__(self, name: str) -> Any:
        return self._answering(getattr(self._tracking, name))


def open_client(uri: str, *, timeout_s: float) -> Client:
    """Open a server or a database; a StoreError, or StoreAbsent, where that cannot be."""
    prepare()
    if not is_server(uri):
        return _open_database(uri)
    ask_server(uri, timeout_s=timeout_s)
    watch_answers()
    with answering(uri, "opening it"):
        from evalkit.store.internals import _get_store

        return Client(uri, _get_store(uri))


def _open_database(uri: str) -> Client:
    """A file of SQLite that MLflow's own store opens in this process; made where it is missing."""
    # told about at length otherwise, whenever a store is made
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path = sqlite_path(uri)
    exists = check_sqlite(path)
    # beside the database, and not wherever the command was called
    folder = path.absolute().parent
    artifacts = str(folder / "mlruns")
    with answering(uri, "opening it"):
        from evalkit.store.internals import _get_store, translation

        if not exists:
            _make_database(path, artifacts)
        # until 3.17 MLflow's store unwraps a layer of attributes that are JSON text
        is_layered = not hasattr(translation, "strip_otlp_double_encoding")
        return Client(
            uri,
            _get_store(uri, artifacts),
            spans=partial(made_spans, layered=is_layered),
            alone=partial(_alone_in, folder),
            workers=1,  # its transactions queue up anyway, and each thread holds two connections
        )


def _make_database(path: Path, artifacts: str) -> None:
    """Make MLflow's tables in a new file, which takes the path's place when all are there.

    MLflow cannot go on where a kill has cut that short; here it leaves a file to be replaced.
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
