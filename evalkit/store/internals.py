"""All that evalkit takes from MLflow's inside, which may move with any release.

What MLflow documents (its client, entities and exceptions) is imported where it is needed; nothing
else of it is, but from here: ``from evalkit.store.internals import http_request``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from evalkit.errors import StoreError

TRIED = ("3.14", "3.17", "3.18")
"""The releases of MLflow that all of this was tried with, oldest first."""

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
    # a name here: the module, and the name there
    "DatabricksTracingRestStore": (
        "mlflow.store.tracking.databricks_rest_store",
        "DatabricksTracingRestStore",
    ),
    "SqlAlchemyStore": ("mlflow.store.tracking.sqlalchemy_store", "SqlAlchemyStore"),
    "TraceJSONEncoder": ("mlflow.tracing.utils", "TraceJSONEncoder"),
    "add_databricks_profile_info_to_artifact_uri": (
        "mlflow.tracking.artifact_utils",
        "add_databricks_profile_info_to_artifact_uri",
    ),
    "get_artifact_repository": (
        "mlflow.store.artifact.artifact_repository_registry",
        "get_artifact_repository",
    ),
    "get_databricks_host_creds": ("mlflow.utils.databricks_utils", "get_databricks_host_creds"),
    "get_default_host_creds": ("mlflow.utils.credentials", "get_default_host_creds"),
    "get_store": ("mlflow.tracking._tracking_service.utils", "_get_store"),
    "http_request": ("mlflow.utils.rest_utils", "http_request"),
    "request_utils": ("mlflow.utils", "request_utils"),
    "parse_trace_id_v4": ("mlflow.tracing.utils", "parse_trace_id_v4"),
    "TRACE_DESTINATION": (
        "mlflow.utils.mlflow_tags",
        "MLFLOW_EXPERIMENT_DATABRICKS_TRACE_DESTINATION_PATH",
    ),
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
    """Import one of them when it is asked for.

    Raises:
        StoreError: this MLflow has it no longer.
    """
    if name not in _PLACES:
        raise AttributeError(name)
    prepare()
    import mlflow

    version = str(mlflow.__version__)
    _warn_if_untried(version)
    module, attribute = _PLACES[name]
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StoreError(
            f"MLflow {version} has no {module}.{attribute}, which evalkit needs:"
            f" install one that it was tried with ({_tried()})"
        ) from error


@cache
def _warn_if_untried(version: str) -> None:
    if ".".join(version.split(".")[:2]) not in TRIED:
        logging.getLogger("evalkit").warning(
            "MLflow %s is installed; evalkit was tried with %s", version, _tried()
        )


def _tried() -> str:
    return f"{', '.join(TRIED[:-1])} and {TRIED[-1]}"


def unwraps_json() -> bool:
    """Whether MLflow's store for databases unwraps one layer of attributes that are JSON text.

    Until 3.17 it does so; from 3.18 on only MLflow's server does, with what its clients send.
    """
    from mlflow.tracing.otel import translation

    return not hasattr(translation, "strip_otlp_double_encoding")
