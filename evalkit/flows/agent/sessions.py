"""The sessions of the agent: what each is told, and what it may use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources

from evalkit.core.agent.budget import Budget
from evalkit.core.agent.conversation import Model
from evalkit.core.agent.journal import Opening, SessionKind
from evalkit.core.agent.suite import Workbench
from evalkit.core.agent.task import Task
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.events import Event, Watch
from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.loop import Clock, Ending, Loop
from evalkit.flows.agent.toolbox import Tool, Toolbox
from evalkit.flows.agent.tools.files import file_tools
from evalkit.flows.agent.tools.findings import drop_tool, findings_tool
from evalkit.flows.agent.tools.guide import guide_tool
from evalkit.flows.agent.tools.running import check_tool, run_tool
from evalkit.flows.agent.tools.traces import trace_tools
from evalkit.flows.agent.verification import Check

SUITE_EXPERIMENT = "-evalkit"
"""What the name of the experiment has added that a suite's own runs go to."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the agent works with.

    Attributes:
        model: Whoever answers.
        directory: The session directory.
        evidence: The traces.
        workbench: Where the suite's code runs, confined.
        budget: What may be spent.
        watch: Told what happens.
        clock: The time.
        tracking_uri: Where the traces lie, without a password; written into the suite.
    """

    model: Model
    directory: SessionDirectory
    evidence: Evidence
    workbench: Workbench
    budget: Budget
    watch: Watch
    clock: Clock
    tracking_uri: str


def initialize(means: Means) -> Ending:
    """Let the model analyse the traces and plan the suite.

    Raises:
        ModelError: there is no answer.
        StoreError: MLflow failed.
    """
    tools = [
        *trace_tools(means.evidence),
        guide_tool(),
        findings_tool(means.directory, means.evidence),
    ]
    said = "Analyse this experiment and plan its evaluation suite."
    return _lead(means, "initializer", None, tools, said)


def work(means: Means, task: Task, check: Callable[[], Check]) -> Ending:
    """Let the model do one task.

    Args:
        means: What it works with.
        task: The task.
        check: The program's check of it.

    Raises:
        ModelError: there is no answer.
        StoreError: MLflow failed.
    """
    directory = means.directory
    tools = [
        *trace_tools(means.evidence),
        *file_tools(directory, means.evidence),
        run_tool(directory, means.workbench),
        check_tool(check),
        drop_tool(directory),
        guide_tool(),
    ]
    return _lead(means, "worker", task, tools, "Do this task.")


def _lead(
    means: Means, kind: SessionKind, task: Task | None, tools: list[Tool], said: str
) -> Ending:
    """Lead a session; one of the same kind and task that was interrupted goes on."""
    directory = means.directory
    task_id = task.task_id if task else ""
    number, resumed = _number(directory, kind, task_id)
    if not resumed:
        now, name = means.clock.now_ms(), means.model.name
        directory.begin(Opening(number, kind, task_id, name, now))
    title = task.title if task else "Analyse the traces and plan the suite"
    again = " (goes on where it was)" if resumed else ""
    means.watch(Event("session", f"{title}{again}", number, task_id, directory.spent()))
    loop = Loop(means.model, Toolbox(tools), directory, means.budget, means.watch, means.clock)
    return loop.run(number, prompt(kind), f"{said}\n\n{_facts(means, kind, task)}")


def _number(directory: SessionDirectory, kind: SessionKind, task_id: str) -> tuple[int, bool]:
    """The session's number, and whether it was begun before."""
    sessions = directory.sessions()
    newest = max(sessions, default=0)
    if newest:
        last = sessions[newest]
        is_same = (last.opening.kind, last.opening.task_id) == (kind, task_id)
        if is_same and last.closing is None:
            return newest, True
    return newest + 1, False


def _facts(means: Means, kind: SessionKind, task: Task | None) -> str:
    analysis = means.directory.analysis()
    evidence = means.evidence
    facts = {
        "session": kind,
        "experiment": {
            "id": evidence.experiment_id,
            "name": evidence.experiment,
            "tracking_uri": means.tracking_uri,
            "suite_experiment": f"{evidence.experiment}{SUITE_EXPERIMENT}",
        },
        "task": None if task is None else _asked(task),
        "analysis": None if analysis is None else asdict(analysis),
    }
    return f"```json\n{json.dumps(facts, indent=1, ensure_ascii=False)}\n```"


def _asked(task: Task) -> dict[str, str]:
    names = ("task_id", "kind", "title", "target", "instructions", "failure")
    return {name.removeprefix("task_"): getattr(task, name) for name in names}


def prompt(kind: SessionKind) -> str:
    """What a model is told that it is and is to do in a session of that kind."""
    return (resources.files(__package__) / "prompts" / f"{kind}.md").read_text("utf-8")
