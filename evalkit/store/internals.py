"""All that evalkit takes from MLflow's inside, which may move with any release.

What MLflow documents (its client, entities and exceptions) is imported where it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from evalkit.errors import StoreError

TRIED = "3.14, 3.17 and 3.18"
"""The releases of MLflow that all of this was tried with."""

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
"""What MLflow reads from the environment, set before its first import."""

_PLACES = {
    "DatabricksTracingRestStore": "mlflow.store.tracking.databricks_rest_store",
    "SqlAlchemyStore": "mlflow.store.tracking.sqlalchemy_store",
    "TracingClient": "mlflow.tracing.client",
    "configure_autologging_for_evaluation": "mlflow.models.evaluation.utils.trace",
    "get_artifact_repository": "mlflow.store.artifact.artifact_repository_registry",
    "get_databricks_host_creds": "mlflow.utils.databricks_utils",
    "get_default_host_creds": "mlflow.utils.credentials",
    "_get_store": "mlflow.tracking._tracking_service.utils",
    "_use_tracking_uri": "mlflow.tracking._tracking_service.utils",
    "http_request": "mlflow.utils.rest_utils",
    "request_utils": "mlflow.utils",
    "parse_trace_id_v4": "mlflow.tracing.utils",
    "translation": "mlflow.tracing.otel",
    "MLFLOW_EXPERIMENT_DATABRICKS_TRACE_DESTINATION_PATH": "mlflow.utils.mlflow_tags",
}


def prepare() -> None:
    """Set what the user has not set. To be called before anything imports mlflow."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


@contextmanager
def once() -> Iterator[None]:
    """Have MLflow's client send each request one time only: a second could make a second thing."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    before = os.environ[name]
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ[name] = before


def __getattr__(name: str) -> Any:
    """Import one of them when it is asked for."""
    if name not in _PLACES:
        raise AttributeError(name)
    prepare()
    import mlflow

    try:
        place = import_module(_PLACES[name])
        return getattr(place, name, None) or import_module(f"{_PLACES[name]}.{name}")
    except ImportError as error:
        raise StoreError(
            f"MLflow {mlflow.__version__} has no {_PLACES[name]}.{name}, which evalkit needs:"
            f" install one that it was tried with ({TRIED})"
        ) from error
