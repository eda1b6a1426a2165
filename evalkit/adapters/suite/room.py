"""The room that a suite's code runs in: a directory of its own, confined, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from evalkit.core.errors import InputError, Problem


class Ended(Protocol):
    """How a confined program ended."""

    @property
    def returncode(self) -> int:
        """Its exit code, negative for a signal."""

    @property
    def stdout(self) -> str:
        """The end of what it printed."""

    @property
    def stderr(self) -> str:
        """The end of what it printed to stderr."""

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped because its time was up."""


class Confining(Protocol):
    """Whatever runs programs confined to a directory.

    Attributes:
        name: What it confines with, in words.
    """

    name: str

    def run(
        self,
        argv: Sequence[str],
        workdir: Path,
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Ended:
        """Run this interpreter with arguments, in the one directory that it may write to."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """A directory with a suite's files, below ``suite``, and an MLflow store for its code.

    Attributes:
        path: The directory.
        confining: What its code is run with.
    """

    path: Path
    confining: Confining

    @property
    def database(self) -> Path:
        """The SQLite file of its MLflow store, which need not be there."""
        return self.path / "store" / "mlflow.db"

    def run(self, argv: Sequence[str], seconds: float) -> Ended:
        """Run this interpreter with arguments; it is stopped after so many seconds."""
        env = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.database}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            # Otherwise prices of models are looked up in the network.
            "MLFLOW_MODEL_CATALOG_URI": "",
            # More of them lose traces on sqlite.
            "MLFLOW_GENAI_EVAL_MAX_WORKERS": "4",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            # A check gives the same result each time and costs nothing.
            "EVALKIT_JUDGE_MODEL": "",
        }
        return self.confining.run(argv, self.path, env=env, timeout_s=seconds)


@dataclass(frozen=True, slots=True)
class Rooms:
    """Where rooms come from, a new one each time.

    Attributes:
        confining: What the code in them is run with.
        empty_database: An empty MLflow database that each gets a copy of, if any.
    """

    confining: Confining
    empty_database: Path | None = None

    @contextmanager
    def open(self, files: Mapping[str, bytes]) -> Iterator[Room]:
        """A room that holds the suite's files, and is gone afterwards.

        Raises:
            InputError: the path of a file leads out of it.
        """
        with tempfile.TemporaryDirectory(prefix="evalkit-", ignore_cleanup_errors=True) as place:
            room = Room(Path(place).resolve(), self.confining)
            suite = room.path / "suite"
            for path, content in files.items():
                target = suite / _inside(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            for each in (suite, room.database.parent):
                each.mkdir(exist_ok=True)
            if self.empty_database is not None:
                shutil.copy(self.empty_database, room.database)
            yield room


def _inside(path: str) -> PurePosixPath:
    """A file's path within the suite.

    Raises:
        InputError: it leads elsewhere.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        problem = Problem("the path leads out of the session", file=path, fix="use evaluation/…")
        raise InputError(problem)
    return pure
