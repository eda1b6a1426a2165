"""Synthetic logs of Claude Code, event by event: what a test needs and nothing else.

::

    log = [init(), say("m1", text("Let me look."), use("t1", "Bash", command="ls")),
           answer("t1", "README.md"), say("m2", text("One file.")), finish("One file.")]
    build(log)
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from evalkit.agent_logs import FORMATS
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.timing import Start
from evalkit.entities import Span, Trace

Event = dict[str, Any]

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5-20251001"
USD_PER_MILLION = {SONNET: 3.0, HAIKU: 1.0}
TRACE_ID = "tr-" + "0123456789abcdef" * 2
BEGAN = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
BEGAN_NS = int(BEGAN.timestamp()) * 10**9
TOKENS = "mlflow.chat.tokenUsage"
FALLBACK = Start(1_700_000_000 * 10**9, inferred=True, source="the log file's time")


def init(session: str = "s1", **more: Any) -> Event:
    about = {"cwd": "/work", "tools": ["Bash"], "claude_code_version": "2.1.0"}
    return {"type": "system", "subtype": "init", "session_id": session, **about, **more}


def system(subtype: str, **more: Any) -> Event:
    return {"type": "system", "subtype": subtype, "session_id": "s1", **more}


def usage(read: int = 10, out: int = 20, cached: int = 0, wrote: int = 0, hour: int = 0) -> Event:
    by_duration = {
        "ephemeral_5m_input_tokens": wrote - hour,
        "ephemeral_1h_input_tokens": hour,
    }
    return {
        "input_tokens": read,
        "output_tokens": out,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": wrote,
        "cache_creation": by_duration,
    }


def _event(kind: str, message: Event, parent: str | None, more: Event) -> Event:
    envelope = {"message": message, "parent_tool_use_id": parent, "session_id": "s1"}
    return {"type": kind, **envelope, **more}


def say(
    message_id: str,
    *blocks: Event,
    used: Event | None = None,
    parent: str | None = None,
    model: str = SONNET,
    stop: str | None = None,
    **more: Any,
) -> Event:
    message: Event = {"id": message_id, "type": "message", "role": "assistant", "model": model}
    message |= {"content": list(blocks), "stop_reason": stop}
    message["usage"] = usage() if used is None else used
    return _event("assistant", message, parent, more)


def text(words: str) -> Event:
    return {"type": "text", "text": words}


def thinking(words: str) -> Event:
    return {"type": "thinking", "thinking": words, "signature": "c2lnbmF0dXJl"}


def use(tool_id: str, name: str, **given: Any) -> Event:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def answer(
    tool_id: str, content: Any, *, failed: bool = False, parent: str | None = None, **more: Any
) -> Event:
    result: Event = {"type": "tool_result", "tool_use_id": tool_id, "content": content}
    return ask([result | ({"is_error": True} if failed else {})], parent=parent, **more)


def ask(content: Any, *, parent: str | None = None, **more: Any) -> Event:
    """Words from the user's side."""
    return _event("user", {"role": "user", "content": content}, parent, more)


def finish(
    result: str | None = "done",
    *,
    models: dict[str, Event] | None = None,
    main: Event | None = None,
    session: str = "s1",
    **more: Any,
) -> Event:
    """The result event. Without ``models`` it says neither tokens nor cost."""
    event: Event = {"type": "result", "subtype": "success", "is_error": False}
    event |= {"duration_ms": 10_000, "num_turns": 2, "result": result, "session_id": session}
    if models is not None:
        event["modelUsage"] = {model: _share(model, used) for model, used in models.items()}
        event["total_cost_usd"] = sum(s["costUSD"] for s in event["modelUsage"].values())
    if main is not None:
        event["usage"] = main
    return {**event, **more}


def cost(model: str, used: Event) -> float:
    hour = used["cache_creation"]["ephemeral_1h_input_tokens"]
    tokens = (
        used["input_tokens"]
        + 5 * used["output_tokens"]
        + 0.1 * used["cache_read_input_tokens"]
        + 1.25 * (used["cache_creation_input_tokens"] - hour)
        + 2 * hour
    )
    return tokens * USD_PER_MILLION[model] / 1_000_000


def _share(model: str, used: Event) -> Event:
    names = {
        "inputTokens": "input_tokens",
        "outputTokens": "output_tokens",
        "cacheReadInputTokens": "cache_read_input_tokens",
        "cacheCreationInputTokens": "cache_creation_input_tokens",
    }
    return {name: used[own] for name, own in names.items()} | {"costUSD": cost(model, used)}


def added(usages: Iterable[Event]) -> Event:
    total = usage(0, 0)
    for each in usages:
        for key in total.keys() - {"cache_creation"}:
            total[key] += each[key]
        for key in total["cache_creation"]:
            total["cache_creation"][key] += each["cache_creation"][key]
    return total


def stamp(events: Sequence[Event], which: str, seconds: float = 1.0) -> list[Event]:
    """The events with timestamps on ``all`` of them, on ``user`` events only, or on ``none``."""
    stamped = []
    for index, event in enumerate(events):
        when = BEGAN + dt.timedelta(seconds=seconds * index)
        told = which == "all" or (which == "user" and event["type"] == "user")
        stamped.append({**event, "timestamp": when.isoformat()} if told else event)
    return stamped


def as_session(events: Iterable[Event], session: str = "s1", **more: Any) -> list[Event]:
    """The same as Claude Code's own transcript of the session has it: no init and no result."""
    envelope = {"sessionId": session, "version": "2.1.0", "cwd": "/home/ann/shop", **more}
    before, entries = None, []
    for number, event in enumerate(events):
        if event["type"] not in {"user", "assistant"}:
            continue
        when = BEGAN + dt.timedelta(seconds=number)
        uuid = f"{event.get('agentId', '')}u{number}"
        entry = {**envelope, "uuid": uuid, "parentUuid": before, "gitBranch": "main"}
        entry["isSidechain"] = bool(event.get("parent_tool_use_id"))
        entry["timestamp"] = when.isoformat().replace("+00:00", "Z")
        for theirs, its in {"toolUseResult": "tool_use_result", "requestId": "request_id"}.items():
            if event.get(its) is not None:
                entry[theirs] = event[its]
        mine = {"type", "message", "isMeta", "isCompactSummary", "isApiErrorMessage", "agentId"}
        entries.append({**entry, **{key: event[key] for key in mine & event.keys()}})
        before = entry["uuid"]
    return entries


SHAPES: dict[str, Callable[[list[Event]], list[Event]]] = {
    "stream-json": list,
    "session": as_session,
}
"""How each reader's logs tell the same events."""


def as_lines(events: Iterable[Event]) -> list[bytes]:
    return [json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events]


def build(events: Iterable[Event], **options: Any) -> Trace:
    return build_lines(as_lines(events), **options)


def build_lines(lines: Iterable[bytes], **options: Any) -> Trace:
    defaults: Event = {"trace_id": TRACE_ID, "name": "case", "case_id": "case", "start": FALLBACK}
    return build_trace(lines, **{**defaults, "formats": FORMATS, **options})


def children(trace: Trace, parent: Span | None) -> list[Span]:
    wanted = parent.span_id if parent is not None else None
    return [span for span in trace.spans if span.parent_id == wanted]


def outline(trace: Trace, *, ended: bool = False) -> list[str]:
    """The tree, a line a span such as ``  CHAIN turn 1``, perhaps with its status."""

    def lines(span: Span, depth: int) -> list[str]:
        below = [line for child in children(trace, span) for line in lines(child, depth + 1)]
        how = f" {span.status}" if ended else ""
        return [f"{'  ' * depth}{span.kind} {span.name}{how}", *below]

    return lines(trace.spans[0], 0)


def tokens(trace: Trace) -> dict[str, int]:
    return json.loads(trace.metadata.get("mlflow.trace.tokenUsage", "{}"))


def tools(trace: Trace) -> list[tuple[str, str, Any]]:
    return [(span.name, span.status, span.outputs) for span in spans(trace, "TOOL")]


def spans(trace: Trace, kind: str) -> list[Span]:
    return [span for span in trace.spans if span.kind == kind]


def facts(trace: Trace) -> dict[str, Any]:
    """What people look at in a trace, by a short name each."""
    calls, done, agents = (spans(trace, kind) for kind in ("LLM", "TOOL", "AGENT"))
    said = [span.outputs["content"] for span in calls]
    used = [span.attributes.get(TOKENS, {}) for span in calls]
    known, paid = tokens(trace), json.loads(trace.metadata.get("mlflow.trace.cost", "{}"))
    root, receipt = trace.spans[0], trace.receipt
    given = [s.inputs.get("command") if isinstance(s.inputs, dict) else s.inputs for s in done]
    return {
        "tree": outline(trace),
        "asked": trace.request,
        "answer": trace.response,
        "ended": (trace.status, root.message),
        "tools": [(each, s.outputs, s.status) for each, s in zip(given, done, strict=True)],
        "why": [s.message for s in done if s.status != "OK"],
        "said": ["".join(b.get("text") or "" for b in blocks) for blocks in said],
        "blocks": said,
        "agents": [(s.inputs, s.outputs, s.status) for s in agents[1:]],
        "root": {name.removeprefix("evalkit."): value for name, value in root.attributes.items()},
        "calls": [(each.get("input_tokens"), each.get("output_tokens")) for each in used],
        "basis": [s.attributes.get("evalkit.usage.output_basis") for s in calls],
        "figures": (
            *(known.get("input_tokens"), known.get("output_tokens")),
            *(paid.get("total_cost"), receipt.verdict),
        ),
        "sessions": receipt.sessions,
        "skipped": dict(receipt.skipped),
        "unreadable": [why for _, why in receipt.unreadable],
        "shortened": dict(receipt.truncated),
        "notes": receipt.notes,
    }


def assert_told(trace: Trace, **wanted: Any) -> None:
    """Whether a trace has these facts, and every line of its log is accounted for."""
    found, receipt = facts(trace), trace.receipt
    assert {name: found[name] for name in wanted} == wanted
    assert receipt.used + sum(receipt.skipped.values()) + len(receipt.unreadable) == receipt.lines


def assert_sound(trace: Trace) -> None:
    """Children lie inside their parents, nothing ends before it begins, siblings keep order."""
    by_id = {span.span_id: span for span in trace.spans}
    assert len(by_id) == len(trace.spans)
    for span in trace.spans:
        assert span.start_ns <= span.end_ns
        if span.parent_id is not None:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns
            assert span.end_ns <= parent.end_ns
    turns = [span for span in trace.spans if span.kind == "CHAIN"]
    for _, siblings in itertools.groupby(turns, key=lambda span: span.parent_id):
        starts = [span.start_ns for span in siblings]
        assert starts == sorted(starts)


class Story:
    """A log at random, with subagents, whose figures add up.

    Args:
        seed: The same seed tells the same story.
        bytes_a_result: How long the results of tools are, on average.
    """

    def __init__(self, seed: int, bytes_a_result: int = 40) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a story, no secret
        self.bytes_a_result = bytes_a_result
        self.events: list[Event] = []
        self.used: list[tuple[str, str | None, Event]] = []
        self.count = 0

    def tell(self, turns: int) -> list[Event]:
        self.events += [init(), ask(f"please do {turns} things")]
        self._turns(turns, None, SONNET, depth=0)
        models = {m: added(u for n, _, u in self.used if n == m) for m, _, _ in self.used}
        main = added(u for _, parent, u in self.used if parent is None)
        self.events.append(finish("all done", models=models, main=main))
        for index, event in enumerate(self.events):
            event["uuid"] = f"{index:08d}-0000-4000-8000-000000000000"
        return self.events

    def _turns(self, turns: int, parent: str | None, model: str, depth: int) -> None:
        for turn in range(turns):
            last = turn == turns - 1
            tools = [self._id("toolu_") for _ in range(0 if last else self.random.randint(1, 3))]
            self._message(tools, parent, model)
            for tool in tools:
                agent = depth < 3 and self.random.random() < 0.1
                if agent:
                    self._agent(tool, parent, depth)
                else:
                    self._result(tool, parent)

    def _message(self, tools: list[str], parent: str | None, model: str) -> None:
        random_ = self.random
        used = usage(random_.randint(1, 9), random_.randint(1, 900), 100, random_.randint(0, 999))
        self.used.append((model, parent, used))
        message_id = self._id("msg_")
        blocks = [thinking(self._words(80)), text(self._words(60))]
        blocks += [use(tool, "Bash", command=self._words(40)) for tool in tools]
        for block in blocks:  # as the real ones: a line a block, the usage on each
            said = say(message_id, block, used=used, parent=parent, model=model)
            self.events.append(said)

    def _agent(self, tool: str, parent: str | None, depth: int) -> None:
        task = {"task_id": "a" + tool[6:], "tool_use_id": tool}
        self.events.append(system("task_started", task_type="local_agent", **task))
        self.events.append(ask([text(self._words(50))], parent=tool))
        self._turns(self.random.randint(1, 4), tool, HAIKU, depth + 1)
        self.events.append(system("task_notification", status="completed", summary="ok", **task))
        self.events.append(answer(tool, [text("found it")], parent=parent))

    def _result(self, tool: str, parent: str | None) -> None:
        content = self._words(self.random.randint(0, 2 * self.bytes_a_result))
        if self.random.random() < 0.02:
            content += f" AKIA{self.random.randint(10**15, 10**16 - 1)}"
        failed = self.random.random() < 0.1
        told = {"stdout": content, "stderr": ""}
        event = answer(tool, content, failed=failed, parent=parent, tool_use_result=told)
        self.events.append(event)

    def _words(self, size: int) -> str:
        word = self.random.choice(["parcel ", "señor ", "depôt\n", "→ line\t", 'said "x" '])
        return (word * (size // len(word) + 1))[:size]

    def _id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count:022d}"
