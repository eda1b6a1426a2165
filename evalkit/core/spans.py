"""Spans and traces: what a log becomes, before any store has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from evalkit.jsonable import Json
from evalkit.receipt import Receipt

SpanKind: TypeAlias = Literal["AGENT", "CHAIN", "LLM", "CHAT_MODEL", "TOOL", "RETRIEVER"]
Status: TypeAlias = Literal["OK", "ERROR", "UNSET"]


@dataclass(frozen=True, slots=True)
class Span:
    """One step of an agent's work.

    Attributes:
        span_id: 16 lower-case hex digits, derived from the trace and the step.
        parent_id: The id of the step that this one is part of; None for the root.
        name: What the step did: a tool's name, a model's, ``turn 3``.
        kind: MLflow's span type.
        start_ns: Start in nanoseconds since the epoch.
        end_ns: End in nanoseconds since the epoch, never before ``start_ns``.
        inputs: What went in, as JSON values.
        outputs: What came out, as JSON values.
        attributes: Further attributes by the names MLflow's UI reads (``mlflow.llm.model``,
            ``mlflow.chat.tokenUsage``, …) or under ``evalkit.``; plain values, not JSON text.
        status: ERROR where the log says that the step failed.
        message: Why it failed; empty where it did not.
    """

    span_id: str
    parent_id: str | None
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    inputs: Json = None
    outputs: Json = None
    attributes: Mapping[str, Json] = field(default_factory=dict)
    status: Status = "OK"
    message: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """One case's (or one batch run's) spans, with what a trace list shows of it.

    Attributes:
        trace_id: ``tr-`` and 32 hex digits, derived from the experiment, eval, run and case.
        name: Shown as the trace's name.
        case_id: The case it belongs to; None where it holds a whole batch run.
        start_ns: Start in nanoseconds since the epoch.
        end_ns: End in nanoseconds since the epoch.
        status: ERROR where the agent failed, UNSET where the log does not say how it ended.
        request: What the agent was asked.
        response: What it answered last.
        spans: Root first, each parent before its children.
        tags: MLflow trace tags.
        metadata: MLflow trace metadata; values of at most 250 characters.
        content_hash: Hash of the log and of what else decides the spans; equal hashes mean that
            nothing has to be written again. Inferred times are no part of it.
        receipt: What became of every line of the log.
    """

    trace_id: str
    name: str
    case_id: str | None
    start_ns: int
    end_ns: int
    status: Status
    request: Json
    response: Json
    spans: tuple[Span, ...]
    tags: Mapping[str, str]
    metadata: Mapping[str, str]
    content_hash: str
    receipt: Receipt
