"""All that evalkit takes from MLflow's inside, which may move with any release.

What MLflow documents (its client, entities and exceptions) is imported where it is needed; nothing
else of it is, but from here: ``from evalkit.store.internals import http_request``.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from typing import Any

from evalkit.errors import StoreError

TRIED = ("3.17", "3.18")
"""The releases of MLflow that all of this was tried with, oldest first."""

_PLACES = {
    # a name here: the module, and the name there
    "DatabricksTracingRestStore": (
        "mlflow.store.tracking.databricks_rest_store",
        "DatabricksTracingRestStore",
    ),
    "SqlAlchemyStore": ("mlflow.store.tracking.sqlalchemy_store", "SqlAlchemyStore"),
    "TraceJSONEncoder": ("mlflow.tracing.utils", "TraceJSONEncoder"),
    "TracingClient": ("mlflow.tracing.client", "TracingClient"),
    "add_databricks_profile_info_to_artifact_uri": (
        "mlflow.tracking.artifact_utils",
        "add_databricks_profile_info_to_artifact_uri",
    ),
    "fluent": ("mlflow.tracking", "fluent"),
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


def __getattr__(name: str) -> Any:
    """Import one of them when it is asked for.

    Raises:
        StoreError: this MLflow has it no longer.
    """
    if name not in _PLACES:
        raise AttributeError(name)
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
    return " and ".join(TRIED)


def unwraps_json() -> bool:
    """Whether MLflow's store for databases unwraps one layer of attributes that are JSON text.

    Until 3.17 it does so; from 3.18 on only MLflow's server does, with what its clients send.
    """
    from mlflow.tracing.otel import translation

    return not hasattr(translation, "strip_otlp_double_encoding")
