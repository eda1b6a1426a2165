"""Tools that run what the model wrote, confined, and the program's own check of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evalkit.core.agent.suite import Workbench
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.toolbox import Tool, ToolFailed
from evalkit.flows.agent.verification import Check

MOST_CODE = 50_000


@dataclass(frozen=True, slots=True)
class RunPython:
    """Arguments of run_python."""

    code: str


@dataclass(frozen=True, slots=True)
class CheckTask:
    """Arguments of check_task: none."""


def run_tool(directory: SessionDirectory, workbench: Workbench) -> Tool:
    """The tool that runs a piece of Python beside the suite."""

    def run(asked: RunPython) -> str:
        if len(asked.code) > MOST_CODE:
            raise ToolFailed(f"{len(asked.code):,} characters are too many for one piece")
        outcome = workbench.run_python(directory.suite(), asked.code)
        if not outcome.ok:
            raise ToolFailed(f"it failed:\n{outcome.output}")
        return outcome.output or "(it printed nothing)"

    return Tool(
        "run_python",
        "Run a piece of Python in a copy of the evaluation folder, so that `from eval_dataset "
        "import DATASET` works. It is confined: no network, no secrets, no other files, and what "
        "it writes is thrown away. Print what you want to know.",
        RunPython,
        run,
    )


def check_tool(check: Callable[[], Check]) -> Tool:
    """The tool that asks the program whether the task is done."""

    def run(_: CheckTask) -> str:
        found = check()
        if not found.ok:
            raise ToolFailed(f"not done yet: {found.failure}")
        return "passes: " + "; ".join(found.evidence)

    return Tool(
        "check_task",
        "Let the program check whether your task is done. It checks the same at the end of the "
        "session: what you say about it does not count.",
        CheckTask,
        run,
    )
