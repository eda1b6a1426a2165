"""Fixtures for everything that talks to MLflow: a store per test, one server per session."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from commands import Forge, Outcome, run_here
from eval_project import EvalProject
from servers import OFFLINE, MlflowServer

from evalkit.adapters.store import connect

os.environ.update(OFFLINE)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; making one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_uri(empty_database: Path, tmp_path: Path) -> str:
    """The tracking URI of an empty database of this test's own."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def server(
    empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """A running MLflow server; tests share it and use experiments of their own."""
    running = MlflowServer(tmp_path_factory.mktemp("server"))
    try:
        running.start(empty_database)
        yield running
    finally:
        running.stop()


@pytest.fixture(params=["sqlite", "server"])
def tracking_uri(request: pytest.FixtureRequest) -> str:
    """The tracking URI of each of the two ways into MLflow."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_uri")
    return request.getfixturevalue("server").uri


@pytest.fixture(scope="session")
def empty_server(server: MlflowServer, empty_database: Path) -> Callable[[], None]:
    """Empties the database under the running server, so that ids are the same each time."""

    def empty() -> None:
        with (
            closing(sqlite3.connect(empty_database)) as source,
            closing(sqlite3.connect(server.database)) as target,
        ):
            source.backup(target)

    return empty


@pytest.fixture
def fresh_server(server: MlflowServer, empty_server: Callable[[], None]) -> MlflowServer:
    """The running server with nothing in it."""
    empty_server()
    return server


@pytest.fixture
def project(tmp_path: Path) -> EvalProject:
    """A small evaluation project of this test's own."""
    return EvalProject(tmp_path / "project", "support")


Evalkit = Callable[..., Outcome]


@pytest.fixture
def evalkit(
    project: EvalProject,
    sqlite_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Evalkit:
    """Runs a command of evalkit in the project's folder, with ``--json``, on a database."""
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(*arguments: str, uri: str = sqlite_uri) -> Outcome:
        return run_here(*arguments, "--tracking-uri", uri, "--json", capture=capfd)

    return run


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Starts commands of evalkit in processes that can be killed."""
    with Forge(tmp_path_factory.mktemp("forge")) as running:
        yield running
