"""What people see and touch: the terminal, pages, and the notebooks, of which there are these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evalkit.errors import InputError, Problem

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "_notebooks"
FOLDERS = (INSTALLED, PACKAGE.parent / "notebooks")
"""Where they lie in an installed package, and in a checkout."""


@dataclass(frozen=True, slots=True)
class Notebook:
    """One stage's notebook."""

    name: str  # the file's name without ``.py``
    title: str  # what a person calls the stage
    about: str  # what a person does there, in one sentence

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.py"

    @property
    def stage(self) -> str:
        """Its name as the command line spells it."""
        return self.name.replace("_", "-")


NOTEBOOKS = (
    Notebook("map_dataset", "Map", "Say which fields of a case the skill receives, and which not."),
    Notebook("sync_dataset", "Sync", "Make MLflow's dataset hold exactly the cases on disk."),
    Notebook("log_results", "Log", "Look at a finished run case by case, and bring it to MLflow."),
    Notebook("review_feedback", "Review", "Say where the agent errs; see which judges notice."),
    Notebook("compare_runs", "Compare", "Find out whether a run is better, or only looks so."),
    Notebook("run_eval_agent", "Agent", "Have a suite built from an agent's traces, and proven."),
)
"""The stages, in the order in which a person meets them."""

START = Notebook("start", "Start", "All stages on one page.")
"""The page that leads to the stages; no stage itself."""

BEGINNINGS = (
    (
        "Traces of an agent in MLflow",
        "evalkit agent -e EXPERIMENT",
        "A suite is built from them and proven on them: the Agent page.",
    ),
    (
        "A project of agent-eval-harness",
        "evalkit check\nevalkit all --run-id RUN",
        "Name its eval.yaml in the settings below, and go through the stages.",
    ),
    (
        "Claude's evals: evals.json, or claude plugin eval",
        "evalkit import evals/",
        "They become such a project, their results runs: log, review, compare, gate.",
    ),
    (
        "Sessions of Claude Code or Codex",
        "evalkit import ~/.claude/projects -e my-sessions",
        "Each becomes a trace; then the Agent page works on them.",
    ),
    (
        "A table of questions",
        "evalkit import questions.csv\nevalkit run --predict module:function",
        "It becomes cases; your function answers them, and the run is logged like any other.",
    ),
)
"""What people have when they begin, the command for it, and what comes of it."""


def folder() -> Path:
    """The folder of the notebooks, in the installed package or in the checkout.

    Raises:
        InputError: the package was installed without them.
    """
    for each in FOLDERS:
        if each.is_dir():
            return each
    raise InputError(
        Problem(
            "the notebooks are not installed",
            str(FOLDERS[0]),
            fix="install mlflow-evalkit from its wheel or its repository",
        )
    )


def next_after(name: str) -> Notebook | None:
    """The stage after that of this name; None behind the last one."""
    names = [each.name for each in NOTEBOOKS]
    after = names.index(name) + 1 if name in names else len(names)
    return NOTEBOOKS[after] if after < len(names) else None


def find(stage: str) -> Notebook:
    """The notebook of a stage, its name spelled with hyphens or underscores.

    Raises:
        InputError: there is none of that name.
    """
    for each in NOTEBOOKS:
        if stage.replace("-", "_") == each.name:
            return each
    known = ", ".join(each.stage for each in NOTEBOOKS)
    raise InputError(
        Problem(f"there is no notebook {stage!r}", field="STAGE", fix=f"one of {known}")
    )
