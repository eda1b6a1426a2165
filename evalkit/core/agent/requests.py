"""What was asked of an agent and what it answered, taken out of a trace for a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.core.agent.suite import Row, ToolStep
from evalkit.core.observed import ObservedTrace
from evalkit.core.spans import Span
from evalkit.core.values import Json

ONLY_INPUT = "input"
"""Name of the input where an agent takes a single value and not values by name."""

STEP_CHARS = 2_000
"""What is kept of a text that a tool gave."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request and its answer, as a trace recorded them.

    Attributes:
        trace_id: The trace.
        route: What was called: the name of the trace's root span.
        row: The same as a row of a dataset, without expectations.
        ok: Whether it ended well and gave an answer.
        error: Why it failed; empty where it did not, or does not say.
    """

    trace_id: str
    route: str
    row: Row
    ok: bool
    error: str = ""


def recorded(trace: ObservedTrace) -> Recorded | None:
    """A trace as a request and its answer; None where its spans are not there."""
    if not trace.spans:
        return None
    root = trace.spans[0]
    seconds = None if trace.duration_ms is None else trace.duration_ms / 1000
    if seconds is None and root.end_ns > root.start_ns:
        seconds = (root.end_ns - root.start_ns) / 1e9
    row = Row(
        _by_name(root.inputs),
        root.outputs,
        {},
        trace.trace_id,
        tuple(_step(span) for span in trace.spans if span.kind == "TOOL"),
        seconds,
    )
    failed = trace.status == "ERROR" or root.status == "ERROR"
    ok = not failed and trace.status == "OK" and root.outputs not in (None, "", [], {})
    return Recorded(trace.trace_id, root.name, row, ok, _error(trace) if failed else "")


def _by_name(inputs: Json) -> dict[str, Json]:
    return inputs if isinstance(inputs, dict) else {ONLY_INPUT: inputs}


def _step(span: Span) -> ToolStep:
    return ToolStep(span.name, span.status == "ERROR", _short(span.outputs))


def _short(value: Json) -> Json:
    if isinstance(value, str) and len(value) > STEP_CHARS:
        return value[:STEP_CHARS] + "…"
    if isinstance(value, list):
        return [_short(each) for each in value]
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    return value


def _error(trace: ObservedTrace) -> str:
    said = [span.message for span in reversed(trace.spans) if span.status == "ERROR"]
    return next((text for text in said if text), "")
