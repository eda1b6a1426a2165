"""The agent's own work as MLflow traces: one a session, in conversations one an answer.

Each is named by a title and reads as text: what was to be done and what came of it; in between
stand every call of the model with its tokens and cost, and every tool. Ids are derived, so writing
again is safe; that is done while the agent works, after every session and every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalkit.adapters.store import RunRecord
from evalkit.agent.loop import GO_ON
from evalkit.agent.session import Session, SessionDirectory, Turn
from evalkit.core.masking import mask_json, mask_text
from evalkit.core.matching import HASH_TAG, RUN_TAG
from evalkit.core.receipt import Receipt
from evalkit.core.spans import Span, Status, Trace
from evalkit.core.usage import provider_of, total
from evalkit.core.values import Json, canonical, derive_id

if TYPE_CHECKING:
    from evalkit.adapters.store import Store

PERSON_SAYS = "\n\n# The engineer says\n\n"
"""Stands in a conversation's first message between what the program and what a person says."""

_PLANNING = "Look at the traces and plan the suite"
_NS_A_MS = 10**6


@dataclass(frozen=True, slots=True)
class _Part:
    """What becomes one trace: turns of a session, what they were for and what came of them."""

    title: str
    asked: str
    came_of_it: str
    status: Status
    turns: tuple[Turn, ...]


def write(store: Store, experiment_id: str, session: SessionDirectory) -> int:
    """Write the traces that are new or have grown, and a run with what all of it cost.

    Returns:
        How many traces had to be written.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    session_id, spent = session.about.session_id, session.spent()
    key = derive_id(experiment_id, "agent", session_id)
    plan = session.plan()
    titles = {task.task_id: task.title for task in plan.tasks} if plan else {}
    traces = [
        _trace(part, derive_id(key, str(number), str(part.turns[0].number)), key, session_id)
        for number, each in session.sessions().items()
        for part in _parts(each, titles.get(each.opening.task_id, each.opening.task_id))
    ]
    if not traces:
        return 0
    figures = {"calls": float(spent.turns), "tokens": float(spent.tokens), "cost_usd": spent.usd}
    record = RunRecord(
        key=key,
        name=f"agent {session_id}",
        params={"model": next(iter(session.sessions().values())).opening.model},
        metrics=tuple(figures.items()),
        tags={"evalkit.session": session_id},
        start_ms=traces[0].start_ns // _NS_A_MS,
        end_ms=max(trace.end_ns for trace in traces) // _NS_A_MS,
    )
    run_id = store.write_run(experiment_id, record).run_id
    stored = {trace.trace_id: trace for trace in store.find_traces(experiment_id, key)}
    new = [
        (trace, ())
        for trace in traces
        if trace.trace_id not in stored or not stored[trace.trace_id].holds(trace.content_hash)
    ]
    return sum(not written.error for written in store.write_traces(experiment_id, run_id, new))


def _parts(session: Session, title: str) -> Iterator[_Part]:
    turns, closing = session.turns, session.closing
    if session.opening.kind != "interactive" and turns:
        title = title or _PLANNING
        ending: Status = "OK" if closing and closing.reason == "finished" else "ERROR"
        came_of_it = closing.detail if closing else turns[-1].reply.text
        yield _Part(title, title, came_of_it, ending if closing else "UNSET", turns)
        return
    starts = [at for at, turn in enumerate(turns) if _words(turn)]
    for start, end in zip(starts, [*starts[1:], len(turns)][: len(starts)], strict=True):
        exchange = turns[start:end]
        is_answered = end < len(turns) or not exchange[-1].reply.tool_calls
        asked = _words(exchange[0]).rpartition(PERSON_SAYS)[2]
        said = exchange[-1].reply.text
        yield _Part("Conversation", asked, said, "OK" if is_answered else "UNSET", exchange)


def _words(turn: Turn) -> str:
    """What a person says in a turn; empty where it only goes on."""
    content = turn.sent[-1].get("content") if turn.sent else None
    if isinstance(content, list):
        texts = [b.get("text") for b in content if isinstance(b, dict) and b.get("type") == "text"]
        content = "\n".join(map(str, texts))
    return content if isinstance(content, str) and content != GO_ON else ""


def _trace(part: _Part, trace_id: str, key: str, session_id: str) -> Trace:
    root, steps = derive_id(trace_id, "root", length=16), list[Span]()
    for before, turn in zip((None, *part.turns), part.turns, strict=False):
        if before:
            steps += _tools(before, turn, trace_id, root)
        steps.append(_call(turn, trace_id, root))
    steps = [_masked(step) for step in steps]  # the store masks what stands around them
    start, end = steps[0].start_ns, max(span.end_ns for span in steps)
    asked, said, status = part.asked, part.came_of_it, part.status
    spans = (Span(root, None, part.title, "AGENT", start, end, asked, said, {}, status), *steps)
    usage = total(turn.reply.usage for turn in part.turns)
    metadata = {
        "mlflow.trace.session": session_id,
        "mlflow.trace.tokenUsage": canonical(usage.as_mlflow(with_output=True)),
    }
    costs = [turn.reply.cost_usd for turn in part.turns]
    if None not in costs:
        metadata["mlflow.trace.cost"] = canonical({"total_cost": sum(filter(None, costs))})
    told = (canonical([s.span_id, s.name, s.end_ns, s.inputs, s.outputs]) for s in spans)
    content = derive_id(status, *told)
    return Trace(
        f"tr-{trace_id}",
        part.title,
        None,
        start,
        end,
        status,
        asked,
        said,
        spans,
        {RUN_TAG: key, HASH_TAG: content},
        metadata,
        content,
        Receipt(),
    )


def _masked(step: Span) -> Span:
    inputs, outputs, message = mask_json(step.inputs), mask_json(step.outputs), step.message
    return replace(step, inputs=inputs, outputs=outputs, message=mask_text(message)[0])


def _tools(before: Turn, turn: Turn, trace_id: str, root: str) -> Iterator[Span]:
    """The tools that ran before a call, one after the other, as their results came with it."""
    content = turn.sent[-1].get("content") if turn.sent else None
    blocks = [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    results = {block.get("tool_use_id"): block for block in blocks}
    called = turn.started_ms * _NS_A_MS
    start = called - round(turn.before_s * 1e9)
    for call in before.reply.tool_calls:
        result = results.get(call.call_id, {})
        failed, text = bool(result.get("is_error")), result.get("content")
        end = min(start + round(turn.tools_s.get(call.call_id, 0.0) * 1e9), called)
        yield Span(
            derive_id(trace_id, str(turn.number), call.call_id, length=16),
            root,
            call.name,
            "TOOL",
            start,
            end,
            dict(call.arguments),
            text,
            {},
            "ERROR" if failed else "OK",
            str(text) if failed else "",
        )
        start = end


def _call(turn: Turn, trace_id: str, root: str) -> Span:
    reply, start = turn.reply, turn.started_ms * _NS_A_MS
    attributes: dict[str, Json] = {
        "mlflow.llm.model": reply.model,
        "mlflow.llm.provider": provider_of(reply.model),
        "mlflow.message.format": "anthropic",
        "mlflow.chat.tokenUsage": reply.usage.as_mlflow(with_output=True),
        "evalkit.request_id": reply.request_id,
    }
    if reply.cost_usd is not None:
        attributes["mlflow.llm.cost"] = {"total_cost": reply.cost_usd}
    return Span(
        derive_id(trace_id, str(turn.number), length=16),
        root,
        reply.model or "model",
        "LLM",
        start,
        start + round(turn.seconds * 1e9),
        {"messages": [dict(message) for message in turn.sent]},
        {"role": "assistant", "content": [dict(block) for block in reply.content]},
        {name: value for name, value in attributes.items() if value},
    )
