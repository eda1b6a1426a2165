"""Traces of an agent at work, as MLflow holds them: whoever recorded them, in whatever form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evalkit.core.spans import Span, SpanKind, Status
from evalkit.entities import Assessment

KINDS: Mapping[str, SpanKind] = {
    "AGENT": "AGENT",
    "LLM": "LLM",
    "CHAT_MODEL": "LLM",
    "TOOL": "TOOL",
    "RETRIEVER": "TOOL",
}
"""What evalkit takes MLflow's span types for; all others are steps without a kind of their own."""


@dataclass(frozen=True, slots=True)
class ObservedTrace:
    """One request to an agent, and what the agent did about it.

    Attributes:
        trace_id: MLflow's id.
        name: Its name; may be empty.
        start_ms: When it began, milliseconds since the epoch.
        duration_ms: How long it took; None where it is not over, or MLflow does not say.
        status: ERROR where it failed, UNSET where it is not over or does not say.
        request: What was asked, as MLflow's list shows it; at most 1,000 characters.
        response: What was answered, as MLflow's list shows it.
        input_tokens: Tokens that models read, as whoever recorded it counts; None where it does
            not say.
        output_tokens: Tokens that models wrote; None where it does not say.
        cost_usd: What models cost; None where it does not say.
        spans: Each parent before its children, siblings in time.
        unread: Why there are no spans; empty where they are there.
        assessments: What people, models and code said of it and nobody took back, as it came.
        run_id: The run that evalkit logged it under; empty for what others recorded.
    """

    trace_id: str
    name: str
    start_ms: int
    duration_ms: int | None
    status: Status
    request: str = ""
    response: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    spans: tuple[Span, ...] = field(default=(), repr=False)
    unread: str = ""
    assessments: tuple[Assessment, ...] = field(default=(), repr=False)
    run_id: str = ""


def in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans, each parent before its children and siblings in time.

    A span whose parent is not among them is taken for a root.
    """
    known = {span.span_id for span in spans}
    under: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns)):
        is_placed = span.parent_id is None or span.parent_id in known
        rooted = span if is_placed else replace(span, parent_id=None)
        under.setdefault(rooted.parent_id, []).append(rooted)
    walked: list[Span] = []
    pending = list(reversed(under.pop(None, [])))
    while pending:
        span = pending.pop()
        walked.append(span)
        pending += reversed(under.pop(span.span_id, []))
    return tuple(walked)
