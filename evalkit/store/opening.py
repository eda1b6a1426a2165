"""Which way leads into the MLflow behind a tracking URI."""

from __future__ import annotations

from evalkit.core.tracking import is_workspace
from evalkit.store import environment
from evalkit.store.gateway import Gateway
from evalkit.store.probe import (
    ask_server,
    check_sqlite,
    is_server,
    sqlite_path,
)
from evalkit.store.rest import RestGateway
from evalkit.store.sql import SqlGateway
from evalkit.store.workspace.knocking import ask_workspace


def open_gateway(uri: str, *, timeout_s: float) -> Gateway:
    """Open it.

    Raises:
        StoreAbsent: nobody answers there.
        StoreError: something is there that cannot be used.
    """
    environment.prepare()
    if is_server(uri):
        ask_server(uri, timeout_s=timeout_s)
        return RestGateway(uri)
    if is_workspace(uri):
        ask_workspace(uri, timeout_s=timeout_s)
        from evalkit.store.workspace.gateway import ManagedGateway

        return ManagedGateway(uri)
    path = sqlite_path(uri)
    if path is None:
        return SqlGateway(uri, timeout_s=timeout_s)
    check_sqlite(path)
    # beside the database, and not wherever the command was called
    artifacts = str(path.absolute().parent / "mlruns")
    is_new = not path.exists() or path.stat().st_size == 0
    return SqlGateway(uri, artifacts=artifacts, new=path if is_new else None)
