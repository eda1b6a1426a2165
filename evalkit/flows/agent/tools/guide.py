"""The tool that tells how suites are written."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.flows.agent.playbook import playbook
from evalkit.flows.agent.toolbox import Tool


@dataclass(frozen=True, slots=True)
class Playbook:
    """Arguments of playbook."""

    topic: str | None = None


def guide_tool() -> Tool:
    """The tool that gives a topic of the playbook, or what topics there are."""
    return Tool(
        "playbook",
        "Evaluation patterns and pitfalls for the MLflow in use, with code that runs. Without a "
        "topic it lists the topics.",
        Playbook,
        lambda asked: playbook(asked.topic),
    )
