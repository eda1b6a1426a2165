"""Is there an MLflow at this address? Answered in seconds, whatever the other side does.

A server is asked before MLflow is imported: where none runs, nobody waits for the import either.
"""

from __future__ import annotations

import configparser
import os
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TypeVar

from evalkit.errors import StoreAbsent, StoreError
from evalkit.store.failures import Refused, answering, is_absence, is_tls, plain, reason
from evalkit.tracking import is_server, is_workspace, sqlite_path, without_password

OLDEST = (3, 13)
"""The oldest MLflow server that was tried, with 3.14, 3.17 and 3.18.

Those before fail for good when an assessment is added, or count a trace's tokens several times.
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reachability:
    """Whether a tracking URI can be worked with, as far as can be seen from outside.

    ``detail`` is a line for people; ``version`` MLflow's, where a server told it; ``exists`` is
    whether it is known to hold something that can be asked for.
    """

    ok: bool
    detail: str
    version: str | None = None
    exists: bool = False


def probe(uri: str, *, timeout_s: float = 4.0) -> Reachability:
    """Look, without changing anything, whether MLflow can be reached; never raises."""
    try:
        if is_server(uri):
            version = ask_server(uri, timeout_s=timeout_s)
            return Reachability(True, f"MLflow {version} answers", version, exists=True)
        if is_workspace(uri):
            ask_workspace(uri, timeout_s=timeout_s)
            said = "Databricks' own MLflow; its login is tried when it is needed"
            return Reachability(ok=True, detail=said)
        path = sqlite_path(uri)
        check_sqlite(path, to_write=True)
    except StoreError as error:
        return Reachability(ok=False, detail=str(error))
    exists = path.exists() and path.stat().st_size > 0
    said = "an SQLite store" + ("" if exists else ", not made yet")
    return Reachability(ok=True, detail=said, exists=exists)


def check_sqlite(path: Path, *, to_write: bool = False) -> None:
    """Make sure that a file, if it is there, is a database that can be opened, or written to now.

    MLflow itself would try for minutes. It is opened for writing, so that SQLite rolls back what
    a killed process left half written.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            return
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
    """Status and text of ``GET /version``; 0 where no secure connection came about.

    Some servers want a certificate from their clients and cut the connection without.
    """
    import requests

    where = without_password(uri)
    try:
        with requests.get(uri.rstrip("/") + "/version", timeout=timeout_s, stream=True) as answer:
            text = next(answer.iter_content(4096), b"").decode("utf-8", "replace")
            return answer.status_code, text if answer.ok else ""
    except (requests.ConnectionError, requests.Timeout) as error:
        if is_tls(error) or (uri.startswith("https:") and not is_absence(error)):
            return 0, ""
        raise StoreAbsent(f"MLflow at {where} is not reachable: {reason(error)}") from error
    except (requests.RequestException, ValueError) as error:
        raise StoreError(f"the tracking URI {where} cannot be used: {reason(error)}") from error


def _parts(text: str) -> tuple[int, ...]:
    found = re.match(r"\s*(\d+)\.(\d+)[\w.+-]*\s*$", text)
    return (int(found[1]), int(found[2])) if found else ()


def ask_workspace(uri: str, *, timeout_s: float) -> None:
    """Knock at a Databricks workspace, whose SDK would try for minutes.

    Whatever answers will do: credentials are the SDK's affair, and where it finds the host by other
    ways than the environment and its file of profiles, as on Databricks, nobody is asked.
    """
    import requests

    host = _workspace_host(uri)

    def knock() -> None:
        try:
            requests.head(host, timeout=timeout_s, allow_redirects=False).close()
        except (requests.RequestException, ValueError) as error:
            if is_absence(error):
                said = f"the workspace at {host} is not reachable: {reason(error)}"
                raise StoreAbsent(said) from error
            if is_tls(error) or not isinstance(error, requests.ConnectionError):
                raise StoreError(
                    f"{host} cannot be used as a workspace ({reason(error)}):"
                    " see DATABRICKS_HOST, or the host of the profile"
                ) from error

    if host:
        within(timeout_s, host, knock)


def _workspace_host(uri: str) -> str:
    """The address of a workspace by the environment or the SDK's profiles; empty if by neither."""
    named = uri.partition("://")[2] or os.environ.get("DATABRICKS_CONFIG_PROFILE", "")
    host = "" if named else os.environ.get("DATABRICKS_HOST", "")
    if not host:
        # a profile has what stands in it, and nothing from one called DEFAULT
        profiles = configparser.ConfigParser(interpolation=None, default_section="")
        file = os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
        try:
            profiles.read(Path(file).expanduser(), encoding="utf-8")
            named = named or profiles.get("__settings__", "default_profile", fallback="DEFAULT")
            host = profiles.get(named, "host", fallback="")
        except (configparser.Error, UnicodeDecodeError, RuntimeError):
            return ""  # the SDK says what is wrong with it
    return host if not host or "://" in host else f"https://{host}"


def within(seconds: float, uri: str, ask: Callable[[], T]) -> T:
    """The answer of ``ask``, or StoreAbsent when it takes longer than ``seconds``.

    Neither a name that takes long to resolve nor a server that sends a byte now and then ends by a
    timeout of the socket.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised again by the waiting thread
            answer.set_exception(error)

    Thread(target=run, daemon=True, name="evalkit-probe").start()
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        where = without_password(uri)
        raise StoreAbsent(f"MLflow at {where} is not reachable: it stayed silent") from error
