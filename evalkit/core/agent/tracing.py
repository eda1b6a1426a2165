"""The agent's own sessions as traces: what it was told, said, used and spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalkit.core.agent.journal import Session, Turn
from evalkit.core.masking import mask_json
from evalkit.core.matching import CASE_TAG, HASH_TAG, RUN_TAG
from evalkit.core.receipt import Receipt
from evalkit.core.spans import Span, Status, Trace
from evalkit.core.usage import provider_of
from evalkit.core.values import Json, canonical, derive_id

NS_A_MS = 10**6
ENDED_WELL = frozenset({"finished"})


@dataclass(frozen=True, slots=True)
class _Frame:
    trace_id: str
    root_id: str

    def span_id(self, *parts: str) -> str:
        return derive_id(self.trace_id, *parts, length=16)


def trace_of_session(session: Session, key: str) -> Trace:
    """A session as a trace; the same session gives the same trace.

    Args:
        session: The session; one that is still open gives a trace without an end.
        key: What the session directory is found by; ids are derived from it.
    """
    opening = session.opening
    trace_id = "tr-" + derive_id(key, str(opening.number))
    frame = _Frame(trace_id, derive_id(trace_id, "root", length=16))
    start = opening.started_ms * NS_A_MS
    steps = [span for turn in session.turns for span in _steps(frame, session, turn)]
    end = max([start, *(span.end_ns for span in steps)])
    status = _status(session)
    asked = session.turns[0].sent[0].get("content") if session.turns else None
    said = session.turns[-1].reply.text if session.turns else None
    name = opening.task_id or opening.kind
    root = Span(frame.root_id, None, name, "AGENT", start, end, asked, said, {}, status)
    spans = tuple(_masked(span) for span in (root, *steps))
    usage, spent = session.spent.usage, session.spent
    metadata = {"mlflow.trace.tokenUsage": canonical(usage.as_mlflow(with_output=True))}
    if spent.turns and not spent.unpriced:
        metadata["mlflow.trace.cost"] = canonical({"total_cost": spent.usd})
    content = derive_id(*(canonical(_plain(span)) for span in spans))
    tags = {
        "mlflow.traceName": name,
        RUN_TAG: key,
        CASE_TAG: f"{opening.number:03}",
        HASH_TAG: content,
        "evalkit.agent.ended": session.closing.reason if session.closing else "open",
    }
    return Trace(
        trace_id,
        name,
        tags[CASE_TAG],
        start,
        end,
        status,
        spans[0].inputs,
        spans[0].outputs,
        spans,
        tags,
        metadata,
        content,
        Receipt(),
    )


def _status(session: Session) -> Status:
    if session.closing is None:
        return "UNSET"
    return "OK" if session.closing.reason in ENDED_WELL else "ERROR"


def _steps(frame: _Frame, session: Session, turn: Turn) -> Iterator[Span]:
    """The tools that ran before a call, as their results came with it, and the call itself."""
    yield from _tools(frame, session, turn)
    yield _call(frame, session, turn)


def _tools(frame: _Frame, session: Session, turn: Turn) -> Iterator[Span]:
    """One after the other, as they ran; of journals that do not say how long each took, at once."""
    calls = {
        call.call_id: call
        for before in session.turns[turn.number - 2 : turn.number - 1]
        for call in before.reply.tool_calls
    }
    called = turn.started_ms * NS_A_MS
    start = called - round(turn.before_s * 1e9)
    for block in _results(turn):
        call = calls.get(str(block.get("tool_use_id")))
        if call is None:
            continue
        failed = bool(block.get("is_error"))
        took_s = turn.tools_s.get(call.call_id, turn.before_s)
        end = min(start + round(took_s * 1e9), called)
        yield Span(
            frame.span_id(str(turn.number), call.call_id),
            frame.root_id,
            call.name,
            "TOOL",
            start,
            end,
            dict(call.arguments),
            block.get("content"),
            {},
            "ERROR" if failed else "OK",
            str(block.get("content")) if failed else "",
        )
        if call.call_id in turn.tools_s:
            start = end


def _call(frame: _Frame, session: Session, turn: Turn) -> Span:
    """The call of the model."""
    reply, began = turn.reply, turn.started_ms * NS_A_MS
    attributes: dict[str, Json] = {
        "mlflow.llm.model": reply.model,
        "mlflow.message.format": "anthropic",
        "mlflow.chat.tokenUsage": reply.usage.as_mlflow(with_output=True),
        "evalkit.request_id": reply.request_id,
    }
    if provider := provider_of(reply.model):
        attributes["mlflow.llm.provider"] = provider
    if reply.cost_usd is not None:
        attributes["mlflow.llm.cost"] = {"total_cost": reply.cost_usd}
    return Span(
        frame.span_id(str(turn.number)),
        frame.root_id,
        reply.model or session.opening.model,
        "LLM",
        began,
        began + round(turn.seconds * 1e9),
        {"messages": [dict(message) for message in turn.sent]},
        {"role": "assistant", "content": [dict(block) for block in reply.content]},
        attributes,
    )


def _results(turn: Turn) -> Iterator[dict[str, Json]]:
    for message in turn.sent:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                yield block


def _masked(span: Span) -> Span:
    return Span(
        span.span_id,
        span.parent_id,
        span.name,
        span.kind,
        span.start_ns,
        span.end_ns,
        mask_json(span.inputs),
        mask_json(span.outputs),
        span.attributes,
        span.status,
        str(mask_json(span.message)),
    )


def _plain(span: Span) -> Json:
    return [span.span_id, span.name, span.start_ns, span.end_ns, span.inputs, span.outputs]
