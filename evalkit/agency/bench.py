"""Where a suite's code runs, and what it says when it is run for somebody who looks on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from evalkit.agency.request import Request
from evalkit.core.agent.faults import row_key
from evalkit.core.agent.suite import DATASET_FILE, Row, Score, ScriptRun

if TYPE_CHECKING:
    from evalkit.adapters.suite import SuiteBench

Files: TypeAlias = Mapping[str, bytes]
Judged: TypeAlias = tuple[int, Row, Mapping[str, Score]]
"""A row's position, the row, and its scores by name."""


@dataclass(frozen=True, slots=True)
class ReadSuite:
    """The rows of a suite.

    Attributes:
        rows: The rows of its dataset, in order.
        error: Why they could not be read; empty where they could.
    """

    rows: tuple[Row, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """What came of a suite's script.

    Attributes:
        rows: The rows of its dataset, in order.
        run: What the script left.
    """

    rows: tuple[Row, ...]
    run: ScriptRun

    @property
    def scorers(self) -> list[str]:
        """The names of all values that were given, in order."""
        given = [name for scores in self.run.scores.values() for name in map(_name_of, scores)]
        return list(dict.fromkeys(given))

    def judged(self) -> Iterator[Judged]:
        """Each row with its position and its scores by name; rows without a score are left out."""
        for position, row in enumerate(self.rows):
            if scores := self.run.scores.get(row_key(row, position)):
                yield position, row, {_name_of(score): score for score in scores}


def workbench(request: Request) -> SuiteBench:
    """Where the code of a suite runs, confined as the request wants it.

    Raises:
        InputError: it has to be confined, and this machine cannot.
    """
    from evalkit.adapters.confinement import Confinement, Policy
    from evalkit.adapters.suite import SuiteBench

    policy = Policy(
        allow_network=request.allow_network,
        pass_env=request.pass_env,
        require=request.require_sandbox,
    )
    return SuiteBench(Confinement(policy))


def read_suite(bench: SuiteBench, files: Files) -> ReadSuite:
    """Import the dataset of a suite, confined.

    Args:
        bench: Where its code runs.
        files: Its files, by path.
    """
    if DATASET_FILE not in files:
        return ReadSuite()
    loaded = bench.load(files, scorers=False)
    return ReadSuite(loaded.rows, loaded.error)


def run_suite(bench: SuiteBench, files: Files, rows: Sequence[Row]) -> SuiteRun:
    """Run a suite's script as a person would, but confined and in an MLflow of its own.

    Args:
        bench: Where its code runs.
        files: Its files, by path.
        rows: The rows of its dataset.
    """
    return SuiteRun(tuple(rows), bench.run_script(files))


def _name_of(score: Score) -> str:
    return score.part or score.scorer
