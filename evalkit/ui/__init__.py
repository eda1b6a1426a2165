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
    """One stage's notebook: its file's name, its title, and what a person does there."""

    name: str
    title: str
    about: str

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


def folder() -> Path:
    """The folder of the notebooks; an InputError where the package was installed without them."""
    if found := next(filter(Path.is_dir, FOLDERS), None):
        return found
    fix = "install mlflow-evalkit from its wheel or its repository"
    raise InputError(Problem("the notebooks are not installed", str(INSTALLED), fix=fix))


def find(stage: str) -> Notebook:
    """The notebook of a stage, its name spelled with hyphens or underscores; else InputError."""
    for each in NOTEBOOKS:
        if stage.replace("-", "_") == each.name:
            return each
    known = f"one of {', '.join(each.stage for each in NOTEBOOKS)}"
    raise InputError(Problem(f"there is no notebook {stage!r}", field="STAGE", fix=known))
