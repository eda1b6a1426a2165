"""The agent's own work as MLflow traces: one a session, in conversations one an answer.

Each is named by a title and reads as text: what was to be done and what came of it; in between
stand every call of the model with its tokens and cost, and every tool. Ids are derived, so writing
again is safe; that is done while the agent works, after every session and every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.agent.session import Session, SessionDirectory, Turn
from evalkit.entities import HASH_TAG, Span, Status, Trace
from evalkit.jsonable import Json, canonical, derive_id, list_of, mapping_of
from evalkit.masking import mask_json
from evalkit.receipt import Receipt
from evalkit.tokens import provider_of, total

if TYPE_CHECKING:
    from evalkit.store import Store


def write(store: Store, experiment_id: str, session: SessionDirectory) -> int:
    """Write the traces that are new or have grown; gives how many.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    session_id, plan = session.about.session_id, session.plan()
    key = derive_id(experiment_id, "agent", session_id)
    titles = {task.task_id: task.title for task in plan.tasks} if plan else {}
    traces = [
        _trace(derive_id(key, str(number), str(turns[0].number)), session_id, root, turns)
        for number, each in session.sessions().items()
        for root, turns in _parts(each, titles)
    ]
    return store.record(experiment_id, [(trace, ()) for trace in traces])


def _parts(session: Session, titles: Mapping[str, str]) -> Iterator[tuple[Span, Sequence[Turn]]]:
    """What becomes one trace each: its root, without ids and times, and its turns."""
    turns, ending, task_id = session.turns, session.ending, session.task_id
    is_talk = session.kind == "interactive"
    if turns and not is_talk:
        title = titles.get(task_id, task_id) or "Look at the traces and plan the suite"
        said = ending.detail if ending else turns[-1].reply.text
        status: Status = "UNSET"
        if ending:
            status = "OK" if ending.reason == "finished" else "ERROR"
        yield Span("", None, title, "AGENT", 0, 0, title, said, status=status), turns
    starts = [at for at, turn in enumerate(turns) if is_talk and said_in(turn)]
    for start, end in zip(starts, [*starts[1:], len(turns)], strict=False):
        asked, reply = said_in(turns[start]), turns[end - 1].reply
        status = "UNSET" if end == len(turns) and reply.tool_calls else "OK"
        root = Span("", None, "Conversation", "AGENT", 0, 0, asked, reply.text, status=status)
        yield root, turns[start:end]


def said_in(turn: Turn) -> str:
    """What a person says in a turn of a conversation, its last text; empty where it goes on."""
    content = list_of(turn.sent[-1].get("content")) if turn.sent else []
    texts = [block.get("text") for block in map(mapping_of, content) if block.get("type") == "text"]
    return str(texts[-1]) if texts else ""


def _trace(trace_id: str, session_id: str, root: Span, turns: Sequence[Turn]) -> Trace:
    steps, root_id = [*_steps(turns)], derive_id(trace_id, "root", length=16)
    start, end = steps[0].start_ns, max(span.end_ns for span in steps)
    spans = [replace(root, span_id=root_id, start_ns=start, end_ns=end)]
    for step in steps:  # the store masks what stands around them
        inputs, outputs, message = mask_json([step.inputs, step.outputs, step.message])
        own_id = derive_id(trace_id, step.span_id, length=16)
        known = replace(step, span_id=own_id, parent_id=root_id, message=message)
        spans.append(replace(known, inputs=inputs, outputs=outputs))
    usage = total(turn.reply.usage for turn in turns).as_mlflow(with_output=True)
    metadata = {"mlflow.trace.session": session_id, "mlflow.trace.tokenUsage": canonical(usage)}
    costs = [turn.reply.cost_usd for turn in turns]
    if None not in costs:
        metadata["mlflow.trace.cost"] = canonical({"total_cost": sum(filter(None, costs))})
    content = derive_id(root.name, root.status, canonical(root.outputs), str(len(turns)))
    tags, shown = {HASH_TAG: content}, (root.status, root.inputs, root.outputs)
    named = (f"tr-{trace_id}", root.name, None, start, end)
    return Trace(*named, *shown, tuple(spans), tags, metadata, content, Receipt())


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
            "evalkit.request_id": reply.request_id,
        }
        if reply.cost_usd is not None:
            attributes["mlflow.llm.cost"] = {"total_cost": reply.cost_usd}
        ended, asked = called + round(turn.seconds * 1e9), {"messages": [*map(dict, turn.sent)]}
        said, name = {"role": "assistant", "content": [*map(dict, reply.content)]}, str(turn.number)
        yield Span(
            name, None, reply.model or "model", "LLM", called, ended, asked, said, attributes
        )
