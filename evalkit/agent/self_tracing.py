"""The agent's own work as MLflow traces: one a session, in conversations one an answer.

Each is named by a title and reads as text: what was to be done and what came of it; in between
stand every call of the model with its tokens and cost, and every tool. Ids are derived, so writing
again is safe; that is done while the agent works, after every session and every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from evalkit.adapters.store import RunRecord
from evalkit.agent.loop import GO_ON
from evalkit.agent.session import Session, SessionDirectory, Turn
from evalkit.core.content import list_of, mapping_of
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

_Part: TypeAlias = tuple[
    Span, tuple[Turn, ...]
]  # becomes one trace: its root, without ids and times


def write(store: Store, experiment_id: str, session: SessionDirectory) -> int:
    """Write the traces that are new or have grown, and a run with what all of it cost.

    Returns:
        How many traces had to be written.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    session_id, spent, plan = session.about.session_id, session.spent(), session.plan()
    key = derive_id(experiment_id, "agent", session_id)
    titles = {task.task_id: task.title for task in plan.tasks} if plan else {}
    traces = [
        _trace(part, derive_id(key, str(number), str(part[1][0].number)), key, session_id)
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
        start_ms=traces[0].start_ns // 10**6,
        end_ms=max(trace.end_ns for trace in traces) // 10**6,
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
        title = title or "Look at the traces and plan the suite"
        status: Status = "UNSET"
        if closing:
            status = "OK" if closing.reason == "finished" else "ERROR"
        said = closing.detail if closing else turns[-1].reply.text
        yield _root(title, title, said, status), turns
        return
    starts = [at for at, turn in enumerate(turns) if _words(turn)]
    for start, end in zip(starts, [*starts[1:], len(turns)], strict=False):
        exchange = turns[start:end]
        is_answered = end < len(turns) or not exchange[-1].reply.tool_calls
        asked, said = _words(exchange[0]).rpartition(PERSON_SAYS)[2], exchange[-1].reply.text
        yield _root("Conversation", asked, said, "OK" if is_answered else "UNSET"), exchange


def _root(title: str, asked: str, said: str, status: Status) -> Span:
    return Span("", None, title, "AGENT", 0, 0, asked, said, {}, status)


def _words(turn: Turn) -> str:
    """What a person says in a turn; empty where it only goes on."""
    content = turn.sent[-1].get("content") if turn.sent else None
    if isinstance(content, list):
        texts = [b.get("text") for b in map(mapping_of, content) if b.get("type") == "text"]
        content = "\n".join(map(str, texts))
    return content if isinstance(content, str) and content != GO_ON else ""


def _trace(part: _Part, trace_id: str, key: str, session_id: str) -> Trace:
    top, turns = part
    top = replace(top, span_id=derive_id(trace_id, "root", length=16))
    steps = [
        replace(
            step,
            span_id=derive_id(trace_id, step.span_id, length=16),
            parent_id=top.span_id,
            inputs=mask_json(step.inputs),  # the store masks what stands around them
            outputs=mask_json(step.outputs),
            message=mask_text(step.message)[0],
        )
        for step in _steps(turns)
    ]
    start, end = steps[0].start_ns, max(span.end_ns for span in steps)
    spans = (replace(top, start_ns=start, end_ns=end), *steps)
    usage = total(turn.reply.usage for turn in turns).as_mlflow(with_output=True)
    metadata = {"mlflow.trace.session": session_id, "mlflow.trace.tokenUsage": canonical(usage)}
    costs = [turn.reply.cost_usd for turn in turns]
    if None not in costs:
        metadata["mlflow.trace.cost"] = canonical({"total_cost": sum(filter(None, costs))})
    told = (canonical([s.span_id, s.name, s.end_ns, s.inputs, s.outputs]) for s in spans)
    content = derive_id(top.status, *told)
    return Trace(
        f"tr-{trace_id}",
        top.name,
        None,
        start,
        end,
        top.status,
        top.inputs,
        top.outputs,
        spans,
        {RUN_TAG: key, HASH_TAG: content},
        metadata,
        content,
        Receipt(),
    )


def _steps(turns: Sequence[Turn]) -> Iterator[Span]:
    """Each call of the model, after the tools that the one before asked for."""
    for before, turn in zip((None, *turns), turns, strict=False):
        called, reply = turn.started_ms * 10**6, turn.reply
        # tools ran one after the other; their results came with the next call
        start = called - round(turn.before_s * 1e9)
        blocks = list_of(turn.sent[-1].get("content")) if turn.sent else []
        results = {block.get("tool_use_id"): block for block in map(mapping_of, blocks)}
        for call in before.reply.tool_calls if before else ():
            result = results.get(call["id"], {})
            end = min(start + round(turn.tools_s.get(call["id"], 0.0) * 1e9), called)
            name, came = f"{turn.number} {call['id']}", result.get("content")
            tool = Span(name, None, call["name"], "TOOL", start, end, call["input"], came)
            failed = bool(result.get("is_error"))
            yield replace(tool, status="ERROR", message=str(came)) if failed else tool
            start = end
        attributes: dict[str, Json] = {
            "mlflow.llm.model": reply.model,
            "mlflow.llm.provider": provider_of(reply.model),
            "mlflow.message.format": "anthropic",
            "mlflow.chat.tokenUsage": reply.usage.as_mlflow(with_output=True),
            "mlflow.llm.cost": None if reply.cost_usd is None else {"total_cost": reply.cost_usd},
            "evalkit.request_id": reply.request_id,
        }
        yield Span(
            str(turn.number),
            None,
            reply.model or "model",
            "LLM",
            called,
            called + round(turn.seconds * 1e9),
            {"messages": [dict(message) for message in turn.sent]},
            {"role": "assistant", "content": [dict(block) for block in reply.content]},
            {name: value for name, value in attributes.items() if value},
        )
