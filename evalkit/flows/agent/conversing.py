"""A conversation with a person: the same tools, one answer at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evalkit.core.agent.journal import Opening
from evalkit.core.masking import mask_text
from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.loop import Ending, Loop
from evalkit.flows.agent.sessions import Means, prompt
from evalkit.flows.agent.toolbox import Tool, Toolbox, ToolFailed
from evalkit.flows.agent.tools.files import file_tools
from evalkit.flows.agent.tools.guide import guide_tool
from evalkit.flows.agent.tools.running import run_tool
from evalkit.flows.agent.tools.traces import annotate_tool, trace_tools


@dataclass(frozen=True, slots=True)
class ChooseExperiment:
    """Arguments of choose_experiment."""

    experiment: str


@dataclass(frozen=True, slots=True)
class ListExperiments:
    """Arguments of list_experiments: none."""


def converse(means: Means, listen: Callable[[], str | None]) -> Ending | None:
    """Answer a person until nothing more is said, or no more may be spent.

    Args:
        means: What the agent works with.
        listen: What the person says next; None at the end.

    Returns:
        How the last answer ended; None where nothing was said.

    Raises:
        ModelError: there is no answer.
        StoreError: MLflow failed.
    """
    directory, evidence = means.directory, means.evidence
    tools = [
        *_choosing(evidence),
        *trace_tools(evidence),
        annotate_tool(evidence),
        *file_tools(directory, evidence),
        run_tool(directory, means.workbench),
        guide_tool(),
    ]
    number = max(directory.sessions(), default=0) + 1
    directory.begin(Opening(number, "interactive", "", means.model.name, means.clock.now_ms()))
    loop = Loop(means.model, Toolbox(tools), directory, means.budget, means.watch, means.clock)
    ending = None
    while (said := listen()) is not None:
        if not said.strip():
            continue
        ending = loop.run(number, prompt("interactive"), mask_text(said)[0])
        if ending.reason in {"budget", "session budget", "context full"}:
            break
    return ending


def _choosing(evidence: Evidence) -> list[Tool]:
    def choose(asked: ChooseExperiment) -> str:
        found = evidence.store.find_experiment(asked.experiment)
        if found is None:
            raise ToolFailed(f"there is no experiment {asked.experiment}; see list_experiments")
        evidence.look_at(*found)
        return f"looking at {evidence.experiment} (id {evidence.experiment_id})"

    def names(_: ListExperiments) -> str:
        return "\n".join(f"{each}: {name}" for each, name in evidence.store.experiments())

    return [
        Tool(
            "choose_experiment",
            "Look at another experiment from now on, by name or id.",
            ChooseExperiment,
            choose,
        ),
        Tool("list_experiments", "The experiments that there are.", ListExperiments, names),
    ]
