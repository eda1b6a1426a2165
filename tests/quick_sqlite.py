"""SQLite that waits for no disk: a killed process loses nothing by it, only a fall of power would.

MLflow commits after every step, and each commit waits three times until the disk has it.

As a script it is an MLflow server: what ``mlflow server`` starts, without the command before it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


@event.listens_for(Engine, "connect")
def _wait_for_no_disk(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 0")
        with suppress(sqlite3.Error):  # locked, or no database: that is for others to find out
            connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA busy_timeout = 5000")


def _serve(database: str, artifacts: str, host: str, port: str) -> None:
    import uvicorn

    given = {
        "FILE_STORE": database,
        "REGISTRY_STORE": database,
        "ARTIFACT_ROOT": "mlflow-artifacts:/",
        "ARTIFACT_DESTINATION": artifacts,
        "SERVE_ARTIFACTS": "true",
    }
    os.environ |= {f"_MLFLOW_SERVER_{name}": value for name, value in given.items()}
    uvicorn.run("mlflow.server.fastapi_app:app", host=host, port=int(port))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
