"""Tools that look at traces: all of them counted, a route's good answers, single ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from evalkit.core.agent import telling
from evalkit.core.agent.notes import Note, NoteKind
from evalkit.core.values import Json
from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.toolbox import Tool, ToolFailed

FILTERS = (
    "MLflow's search language, such as status = 'ERROR', timestamp_ms > 1790000000000, "
    "tags.`a.b` = 'x', name LIKE '%chat%', span.name = 'search', feedback.helpful = 'no', "
    "joined by AND; there is no OR"
)


@dataclass(frozen=True, slots=True)
class Analyze:
    """Arguments of analyze_experiment: none."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Arguments of profile_outputs."""

    route: Annotated[str, msgspec.Meta(description="As analyze_experiment names it")]


@dataclass(frozen=True, slots=True)
class Query:
    """Arguments of mlflow_query."""

    what: Annotated[
        Literal["traces", "trace", "assessments", "runs"],
        msgspec.Meta(description="`trace` shows the one of `trace_id`"),
    ]
    filter: Annotated[str, msgspec.Meta(description=FILTERS)] = ""
    trace_id: str = ""
    detail: Annotated[
        Literal["summary", "analysis", "full"],
        msgspec.Meta(description="of a trace: in short, step by step, or everything it holds"),
    ] = "summary"
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0, description="As the last result says")] = 0


@dataclass(frozen=True, slots=True)
class Annotate:
    """Arguments of mlflow_annotate."""

    trace_id: str
    kind: NoteKind
    name: str
    value: Json
    rationale: str = ""


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
        Tool(
            "mlflow_query",
            "Look up traces, a single trace, assessments or runs of the experiment.",
            Query,
            lambda asked: _answer(evidence, asked),
        ),
    ]


def annotate_tool(evidence: Evidence) -> Tool:
    """The tool that leaves a note on a trace."""

    def note(asked: Annotate) -> str:
        said = Note(asked.trace_id, asked.kind, asked.name, asked.value, asked.rationale)
        is_new = evidence.store.annotate_trace(evidence.experiment_id, said)
        done = "noted" if is_new else "that was noted before"
        return f"{done}: {asked.kind} {asked.name} on {asked.trace_id}"

    return Tool(
        "mlflow_annotate",
        "Leave a tag, feedback or an expectation on a trace of the experiment, in the agent's "
        "name. Said again, it replaces what was said before under that name.",
        Annotate,
        note,
    )


def _answer(evidence: Evidence, asked: Query) -> str:
    store, experiment_id, skip = evidence.store, evidence.chosen(), asked.offset
    match asked.what:
        case "trace":
            return _one(evidence, asked)
        case "traces":
            traces, more = store.search_traces(
                experiment_id, asked.filter, offset=skip, most=asked.limit
            )
            return telling.tell_traces(traces, skip, more=more)
        case "assessments":
            said, more = store.search_assessments(
                experiment_id, asked.filter, offset=skip, most=asked.limit
            )
            return telling.tell_assessments(said, skip, more=more)
        case "runs":
            runs, more = store.search_runs(
                experiment_id, asked.filter, offset=skip, most=asked.limit
            )
            return telling.tell_runs(runs, skip, more=more)


def _one(evidence: Evidence, asked: Query) -> str:
    if not asked.trace_id:
        raise ToolFailed("name the trace by trace_id; what: traces lists them")
    trace = evidence.store.trace_of(evidence.chosen(), asked.trace_id)
    match asked.detail:
        case "summary":
            return telling.tell_summary(trace)
        case "analysis":
            return telling.tell_steps(trace, asked.offset)
        case "full":
            return telling.tell_all(trace, asked.offset)
