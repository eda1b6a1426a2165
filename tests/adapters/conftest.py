"""A Databricks workspace with an MLflow of its own."""

import pytest
from managed_server import managed_mlflow
from workspace_server import PAT


@pytest.fixture
def workspace(server, monkeypatch):
    """A workspace before the tests' MLflow server, which this process is configured for."""
    with managed_mlflow(server.uri) as running:
        monkeypatch.setenv("DATABRICKS_HOST", running.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", PAT)
        yield running
