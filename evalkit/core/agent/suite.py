"""An evaluation suite as the program sees it: three files, and what came of running them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evalkit.core.values import Json

DATASET_FILE = "evaluation/eval_dataset.py"
SCORERS_FILE = "evaluation/scorers.py"
SCRIPT_FILE = "evaluation/run_eval.py"


@dataclass(frozen=True, slots=True)
class ToolStep:
    """A tool's use, as it matters to scorers.

    Attributes:
        name: The tool.
        failed: Whether it failed.
        output: What it gave, shortened.
    """

    name: str
    failed: bool = False
    output: Json = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of ``eval_dataset.DATASET``, with what ``eval_dataset.RECORDED`` says of its trace.

    Attributes:
        inputs: What the agent is given, by parameter.
        outputs: What it answered; None where it failed, or nobody has asked it yet.
        expectations: What a right answer has to hold to, by name.
        source_trace_id: The trace that it comes from; None for a case made by hand.
        steps: The tools that were used; empty where that is not recorded.
        seconds: How long it took; None where that is not known.
    """

    inputs: Mapping[str, Json]
    outputs: Json
    expectations: Mapping[str, Json]
    source_trace_id: str | None
    steps: tuple[ToolStep, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer says about a row.

    Attributes:
        scorer: The scorer's name.
        value: Its value; None where it failed.
        rationale: Why.
        error: What went wrong in it; empty where nothing did.
        part: The name of the value where a scorer gives several; empty where it gives one.
    """

    scorer: str
    value: Json
    rationale: str = ""
    error: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What importing a suite's file gave.

    Attributes:
        rows: The rows of the dataset.
        scorers: The names of the scorers.
        error: Why it could not be imported or is not what was agreed; empty where it is fine.
    """

    rows: tuple[Row, ...] = ()
    scorers: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What came of ``run_eval.py`` in a process of its own, against a store of its own.

    Attributes:
        error: Why it failed; empty where it did not.
        output: The end of what it printed.
        mlflow_runs: How many MLflow runs it left.
        experiment: The name of the experiment that holds the run; empty where there is none.
        metrics: The run's metrics.
        scores: Every row's scores, by the value's name; keyed by the tag ``source_trace_id`` of
            the trace that it left: the source trace id, or ``row-N`` (the row's position, from 0)
            for rows made by hand.
        seconds: How long it took.
    """

    error: str = ""
    output: str = ""
    mlflow_runs: int = 0
    experiment: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, Sequence[Score]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PythonRun:
    """What came of a piece of Python that the model wrote.

    Attributes:
        ok: Whether it ended well and in time.
        output: The end of what it printed, errors included.
    """

    ok: bool
    output: str


class Workbench(Protocol):
    """Where a suite's code runs, confined; nothing it does reaches the session's files.

    Every call takes the suite's files as they are, by path (see :data:`DATASET_FILE`), and copies
    them into a room of their own first.

    Attributes:
        confinement: What confines it, in words.
    """

    confinement: str

    def load(self, files: Mapping[str, bytes], *, scorers: bool) -> Loaded:
        """Import the dataset, and the scorers if asked for."""
        ...

    def score(
        self, files: Mapping[str, bytes], rows: Sequence[Row], only: Sequence[str] = ()
    ) -> list[list[Score]] | str:
        """What every scorer (or those named) says about each row; text where it could not run."""
        ...

    def run_script(self, files: Mapping[str, bytes]) -> ScriptRun:
        """Run ``run_eval.py`` as a person would, but in a store of its own."""
        ...

    def run_python(self, files: Mapping[str, bytes], code: str) -> PythonRun:
        """Run a piece of Python beside the suite's files."""
        ...
