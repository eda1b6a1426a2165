"""Fixtures for everything that talks to MLflow: a store per test, one server per session."""

import os
import shutil
import sqlite3
from contextlib import closing
from functools import partial

import pytest
import quick_sqlite  # noqa: F401 - for every store that tests open
from commands import Forge, run_here
from eval_project import EvalProject
from servers import OFFLINE, MlflowServer

from evalkit.store import connect

os.environ.update(OFFLINE)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile evalkit again

LONGEST = (
    *("test_house.py", "test_tour.py", "/bundle/", "/notebooks/", "/agent/", "/flows/"),
    *("/suite/", "/adapters/", "/strangers/"),
)
"""What begins first, so that no worker is left with a long file when the others have ended."""


def pytest_collection_modifyitems(items):
    def place(item):
        path = item.path.as_posix()
        return next((n for n, part in enumerate(LONGEST) if part in path), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An empty MLflow database; making one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_uri(empty_database, tmp_path):
    """The tracking URI of an empty database of this test's own."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def shared_database(tmp_path_factory):
    """Where one database lies that many tests use, one after the other."""
    return tmp_path_factory.mktemp("shared") / "mlflow.db"


@pytest.fixture
def database_uri(shared_database, empty_database):
    """The tracking URI of an empty database, the same for all tests.

    MLflow checks a database's schema when it opens it first, which takes longer than most tests.
    """
    restore(empty_database, shared_database)
    shutil.rmtree(shared_database.parent / "mlruns", ignore_errors=True)
    return f"sqlite:///{shared_database}"


def restore(template, database):
    """Make a database as it was in the beginning, whoever has it open."""
    with (
        closing(sqlite3.connect(template)) as source,
        closing(sqlite3.connect(database)) as target,
    ):
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target)


@pytest.fixture(scope="session")
def server(empty_database, tmp_path_factory):
    """A running MLflow server; tests share it and use experiments of their own."""
    running = MlflowServer(tmp_path_factory.mktemp("server"))
    try:
        running.start(empty_database)
        yield running
    finally:
        running.stop()


@pytest.fixture
def workspace(server, monkeypatch):
    """A Databricks workspace before the running server, which this process is configured for."""
    from managed_server import ManagedMlflow
    from workspace_server import PAT, serving

    with serving(ManagedMlflow(mlflow=server.uri)) as running:
        monkeypatch.setenv("DATABRICKS_HOST", running.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", PAT)
        yield running


@pytest.fixture(scope="session")
def empty_server(server, empty_database):
    """Empties the database under the running server, so that ids are the same each time."""
    return partial(restore, empty_database, server.database)


@pytest.fixture
def fresh_server(server, empty_server):
    """The running server with nothing in it."""
    empty_server()
    return server


@pytest.fixture
def project(tmp_path):
    """A small evaluation project of this test's own."""
    return EvalProject(tmp_path / "project", "support")


@pytest.fixture
def mlflow(database_uri):
    """What the database holds of the project's experiment, as other people see it."""
    from in_mlflow import InMlflow

    return InMlflow(database_uri)


@pytest.fixture
def evalkit(project, database_uri, monkeypatch, capfd):
    """Runs a command of evalkit in the project's folder, with ``--json``, on a database."""
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments, uri=database_uri):
        return run_here(*arguments, "--tracking-uri", uri, "--json", capture=capfd)

    return run


@pytest.fixture(scope="session")
def forge(empty_database, tmp_path_factory):
    """Starts commands of evalkit in processes that can be killed."""
    with Forge(tmp_path_factory.mktemp("forge"), empty_database) as running:
        yield running
