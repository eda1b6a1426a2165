"""Tools that look at traces: all of them counted, a route's good answers, single ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import msgspec

from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.toolbox import Tool


@dataclass(frozen=True, slots=True)
class Analyze:
    """Arguments of analyze_experiment: none."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Arguments of profile_outputs."""

    route: Annotated[str, msgspec.Meta(description="As analyze_experiment names it")]


def trace_tools(evidence: Evidence) -> list[Tool]:
    """The tools that look at traces and change nothing."""
    return [
        Tool(
            "analyze_experiment",
            "Everything about all traces of the experiment that can be counted: outcomes, "
            "latency, tokens, errors with examples, tools, routes with the shapes of their inputs "
            "and outputs, repeated inputs, assessments, and cases that would cover it all.",
            Analyze,
            lambda _: json.dumps(evidence.report(), ensure_ascii=False),
        ),
        Tool(
            "profile_outputs",
            "What the good answers of a route have in common: form, required parts, lengths, "
            "latency, tools, grounding, each with the traces it stands on; and expectations for "
            "the suggested cases.",
            Profile,
            lambda asked: json.dumps(evidence.profile(asked.route), ensure_ascii=False),
        ),
    ]
