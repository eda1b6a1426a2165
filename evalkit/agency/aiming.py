"""Which MLflow and which experiment a request is about."""

from __future__ import annotations

import os
from pathlib import Path

from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
from evalkit.agency import placing
from evalkit.agency.request import Request
from evalkit.core.tracking import without_password
from evalkit.workspace import locate

WAREHOUSE = "MLFLOW_TRACING_SQL_WAREHOUSE_ID"


def where(request: Request, known: placing.About | None) -> tuple[str, str]:
    """The tracking URI, and the experiment by name or id; MLflow is told the SQL warehouse.

    Args:
        request: What is asked for.
        known: What is known of its session; None where that begins.

    Raises:
        InputError: the config is wrong, or missing where it is needed.
    """
    _tell(request.sql_warehouse_id)
    experiment = known.experiment_id if known else request.experiment or ""
    environment = {**read_env_file(Path(ENV_FILE)), **os.environ}
    tracking, named = locate(request.config, experiment, request.tracking_uri, environment)
    if known and not request.tracking_uri and without_password(tracking.uri) != known.tracking_uri:
        return known.tracking_uri, named
    return tracking.uri, named


def aim(request: Request) -> tuple[str, str]:
    """The same for who may name neither experiment nor session: then the config's is meant.

    Raises:
        InputError: the config is wrong, or missing where it is needed; the session is none.
    """
    known = placing.known_session(request.volume_path, request.session) if request.session else None
    if known or request.experiment:
        return where(request, known)
    _tell(request.sql_warehouse_id)
    environment = {**read_env_file(Path(ENV_FILE)), **os.environ}
    tracking, named = locate(request.config, None, request.tracking_uri, environment)
    return tracking.uri, named


def _tell(sql_warehouse_id: str | None) -> None:
    """Let MLflow know: it looks in the environment and nowhere else."""
    if sql_warehouse_id:
        os.environ[WAREHOUSE] = sql_warehouse_id
