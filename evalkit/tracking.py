"""Tracking URIs: which MLflow a stage talks to, why that one, and of what kind it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from evalkit.errors import Problem, StoreError

DEFAULT_URI = "http://127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class Tracking:
    """A tracking URI, and where it came from, for people."""

    uri: str
    origin: str

    def __str__(self) -> str:
        return f"{without_password(self.uri)} (from {self.origin})"


def resolve_tracking(flag: str | None, config: str, environment: Mapping[str, str]) -> Tracking:
    """The tracking URI: flag, eval.yaml, ``MLFLOW_TRACKING_URI``, Databricks, or the default."""
    if flag:
        return Tracking(flag, "--tracking-uri")
    if config:
        return Tracking(config, "mlflow.tracking_uri in the config")
    if uri := environment.get("MLFLOW_TRACKING_URI"):
        return Tracking(uri, "MLFLOW_TRACKING_URI")
    if is_on_databricks(environment):
        return Tracking("databricks", "Databricks, where this runs")
    return Tracking(DEFAULT_URI, "the default")


def is_on_databricks(environment: Mapping[str, str]) -> bool:
    """Whether this runs on Databricks."""
    return any(map(environment.get, ("DATABRICKS_RUNTIME_VERSION", "DATABRICKS_ENV_VERSION")))


def is_workspace(uri: str) -> bool:
    """Whether the URI is a Databricks workspace's own MLflow, named by a profile or not."""
    return uri == "databricks" or uri.startswith("databricks://")


def is_server(uri: str) -> bool:
    """Whether the URI is a server's, not a database's."""
    return uri.partition(":")[0].lower() in {"http", "https"}


def sqlite_path(uri: str) -> Path:
    """The file behind an SQLite URI; a StoreError where it is none."""
    if path := uri.removeprefix("sqlite:///") if uri.startswith("sqlite:///") else "":
        return Path(unquote(path))
    raise StoreError(
        f"the tracking URI {without_password(uri)} is none that evalkit can use:"
        " give a server (http://HOST:PORT; `mlflow server --backend-store-uri` puts one before a"
        " database), a file (sqlite:///FILE), or `databricks`"
    )


def experiment_problems(uri: str, name: str) -> list[Problem]:
    """Why an MLflow cannot have an experiment of a name."""
    if not is_workspace(uri) or name.startswith("/"):
        return []
    return [
        Problem(
            f"{uri} is a Databricks workspace, which can have no experiment called {name!r}",
            field="mlflow.experiment",
            fix=f"an absolute name, such as /Users/you@example.com/{name}",
        )
    ]


def without_password(uri: str) -> str:
    """The URI with the password of ``//user:password@host`` left out, fit to be printed."""
    return re.sub(r"(//[^/:@]*):[^/@]*@", r"\1:***@", uri)
