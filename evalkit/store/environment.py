"""What MLflow reads from the environment, set before its first import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULTS = {
    # no calls home from a command line tool, and none that hang where there is no network
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # otherwise MLflow fetches a price list from the network when it stores a model's span
    "MLFLOW_MODEL_CATALOG_URI": "",
    # its default of seven retries spends minutes on a server that is gone
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    # seconds a request may take; its default of 120 is long to look at a server that hangs
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # seconds in all that a request to a workspace is tried again; its default of 500 is long
    "MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": "120",
    # its default of 5 connections locks up as soon as a few threads write to one database
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "20",
}


def prepare() -> None:
    """Set what the user has not set. To be called before anything imports mlflow."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def once() -> Iterator[None]:
    """Have MLflow's client send each request one time only: a second could make a second thing."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ.get(name, DEFAULTS[name])
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ[name] = before
