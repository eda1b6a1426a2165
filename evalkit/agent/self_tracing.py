"""The agent's own work as MLflow traces: one a session, in conversations one an answer.

Each is named by a title and reads as text: what was to be done and what came of it; in between
stand every call of the model with its tokens and cost, and every tool. Ids are derived, so writing
again is safe; that is done while the agent works, after every session and every answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from evalkit.agent.plan import PLANNING
from evalkit.agent.session import AgentSession, SessionDirectory, Turn
from evalkit.entities import HASH_TAG, Span, SpanKind, Status, Trace
from evalkit.jsonable import Json, canonical, derive_id, list_of, mapping_of
from evalkit.masking import mask_json
from evalkit.receipt import Receipt
from evalkit.tokens import provider_of, total

if TYPE_CHECKING:
    from evalkit.store import Store


def write(store: Store, experiment_id: str, session: SessionDirectory) -> None:
    """Write the traces that are new or have grown, where there is an experiment for them.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
    """
    if experiment_id:
        titles = {task.task_id: task.title for task in (PLANNING, *session.tasks)}
        name = session.about.session_id
        key = derive_id(experiment_id, "agent", name)
        of_all = (_traces(each, titles, key, name) for each in session.sessions().values())
        store.record(experiment_id, [(trace, ()) for traces in of_all for trace in traces])


def said_in(turn: Turn) -> str:
    """What a person says in a turn of a conversation, its last text; empty where it goes on."""
    texts = [block.get("text") for block in _blocks(turn) if block.get("type") == "text"]
    return str(texts[-1]) if texts else ""


def _blocks(turn: Turn) -> list[Mapping[str, Json]]:
    return [*map(mapping_of, list_of(turn.sent[-1].get("content")))] if turn.sent else []


def _traces(
    session: AgentSession, titles: Mapping[str, str], key: str, session_id: str
) -> Iterator[Trace]:
    """A session's traces: each begins where a person said something, else there is one."""
    turns, ending, is_talk = session.turns, session.ending, session.kind == "interactive"
    starts = [at for at, turn in enumerate(turns) if not at or (is_talk and said_in(turn))]
    for start, end in pairwise([*starts, len(turns)]):
        some, last = turns[start:end], turns[end - 1].reply
        title = titles.get(session.task_id, session.task_id)
        name, asked = ("Conversation", said_in(some[0])) if is_talk else (title, title)
        said = ending.detail if ending and not is_talk else last.text
        is_over = not last.tool_calls if is_talk else ending is not None
        is_well = is_talk or (ending is not None and ending.reason == "finished")
        status: Status = "UNSET" if not is_over else "OK" if is_well else "ERROR"
        number = derive_id(key, str(session.number), str(some[0].number))
        steps, root_id = [*_steps(number, some)], _span_id(number, "root")
        times = steps[0].start_ns, max(span.end_ns for span in steps)
        root = Span(root_id, None, name, "AGENT", *times, asked, said, status=status)
        usage = total(turn.reply.usage for turn in some).as_mlflow(with_output=True)
        metadata = {"mlflow.trace.session": session_id, "mlflow.trace.tokenUsage": canonical(usage)}
        costs = [turn.reply.cost_usd for turn in some]
        if None not in costs:
            metadata["mlflow.trace.cost"] = canonical({"total_cost": sum(filter(None, costs))})
        content = derive_id(name, status, canonical(said), str(len(some)))
        named = (f"tr-{number}", name, None, *times, status, asked, said)
        spans, tags = (root, *steps), {HASH_TAG: content}
        yield Trace(*named, spans, tags, metadata, content, Receipt())


def _steps(number: str, turns: Sequence[Turn]) -> Iterator[Span]:
    """Each call of the model, after the tools that the one before asked for."""

    def span(step: str, name: str, kind: SpanKind, shown: Json, **more: Any) -> Span:
        inputs, outputs = mask_json(shown)  # the store masks what stands around them
        ids = _span_id(number, step), _span_id(number, "root")
        return Span(*ids, name, kind, inputs=inputs, outputs=outputs, **more)

    for before, turn in zip((None, *turns), turns, strict=False):
        called, reply = turn.started_ms * 10**6, turn.reply
        # tools ran one after the other; their results came with the next call
        start = called - round(turn.before_s * 1e9)
        results = {block.get("tool_use_id"): block for block in _blocks(turn)}
        for call in before.reply.tool_calls if before else ():
            result = results.get(call["id"], {})
            came = result.get("content")
            end = min(start + round(turn.tools_s.get(call["id"], 0.0) * 1e9), called)
            failed = {"status": "ERROR", "message": str(came)} if result.get("is_error") else {}
            step, shown = f"{turn.number} {call['id']}", [call["input"], came]
            yield span(step, call["name"], "TOOL", shown, start_ns=start, end_ns=end, **failed)
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
        times = {"start_ns": called, "end_ns": called + round(turn.seconds * 1e9)}
        said = {"role": "assistant", "content": [*reply.content]}
        shown = [{"messages": [*turn.sent]}, said]
        step, name = str(turn.number), reply.model or "model"
        yield span(step, name, "LLM", shown, **times, attributes=attributes)


def _span_id(trace: str, step: str) -> str:
    return derive_id(trace, step, length=16)
