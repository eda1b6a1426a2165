"""Agents that tool calls start: when they begin and end, and what the log says about them.

In the foreground, a subagent's messages have ``parent_tool_use_id``, and the tool's result ends it.
In the background, that only says that it was launched, and ``task_notification`` ends it; its
messages lie in a transcript beside the log, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.reader import Entry, Event
from evalkit.claude_log.session import (
    AGENT_TOOLS,
    ModelCall,
    Session,
    Subagent,
    Thread,
    ToolCall,
)
from evalkit.claude_log.timing import Tick, drop_outliers, lay_out, parse_time
from evalkit.claude_log.usage import Totals, settle_output
from evalkit.jsonable import Json, id_of, mapping_of, plain_text, text_of
from evalkit.tokens import Usage, count, usage_from

_LAUNCHED = "Async agent launched"
_STILL_GOING = frozenset({"pending", "running", "in_progress", "async_launched", ""})
_FIGURES = {
    "total_tokens": ("total_tokens", "totalTokens"),
    "tool_uses": ("tool_uses", "totalToolUseCount"),
    "duration_ms": ("duration_ms", "totalDurationMs"),
}


@dataclass(slots=True)
class ToolCalls:
    """The tool calls of a log, and what system events and results say about what they started.

    Gateways may count ids anew in each message. A thread is named by its ``id()``: a reference to
    it would tie all that was read into a cycle.
    """

    trim: Trimmer
    started: list[tuple[ToolCall, Subagent]] = field(default_factory=list)  # callers' first
    _by_id: dict[str, list[tuple[int, ToolCall]]] = field(default_factory=dict)
    _tool_of: dict[str, ToolCall] = field(default_factory=dict)  # both by task
    _kind_of: dict[str, str] = field(default_factory=dict)

    def add(self, thread: Thread, tool: ToolCall) -> None:
        """Add a call that the thread made."""
        if tool.tool_use_id:
            self._by_id.setdefault(tool.tool_use_id, []).append((id(thread), tool))

    def latest(self, tool_id: str) -> ToolCall | None:
        """The last call of that id so far."""
        return self._by_id[tool_id][-1][1] if tool_id in self._by_id else None

    def starter(self, tool_id: str) -> ToolCall | None:
        """The call of that id that a subagent's messages name as what started it."""
        latest, there = self.latest(tool_id), reversed(self._by_id.get(tool_id, []))
        starter = next((tool for _, tool in there if tool.name in AGENT_TOOLS), latest)
        is_over = starter is not None and starter.answered
        return latest if is_over and latest is not None and not latest.answered else starter

    def waiting(self, thread: Thread, tool_id: str) -> ToolCall | None:
        """The call that a result in the thread answers; None where all of that id have theirs."""
        asked = thread.calls[-1].tools if thread.calls else []
        there = self._by_id.get(tool_id, [])
        own = (tool for key, tool in reversed(there) if key == id(thread))
        last = (tool for _, tool in there[-1:])
        of_id = chain((tool for tool in asked if tool.tool_use_id == tool_id), own, last)
        return next((tool for tool in of_id if not tool.answered), None)

    def agent_of(self, tool: ToolCall) -> Subagent:
        """The subagent that the tool call started."""
        if tool.agent is None:
            asked = mapping_of(tool.input)
            thread = Thread(last=tool.start, prompt=asked.get("prompt"))
            tool.agent = Subagent(thread, kind=text_of(asked.get("subagent_type")))
            if description := text_of(asked.get("description")):
                tool.agent.facts["evalkit.subagent.description"] = description
            self.started.append((tool, tool.agent))
        return tool.agent

    def add_event(self, event: Event, tick: Tick) -> str | None:
        """Add a ``task_…`` event; returns why not, if it belongs to nothing in the log."""
        subtype, task_id = text_of(event.get("subtype")), id_of(event.get("task_id"))
        tool_id, tool = id_of(event.get("tool_use_id")), self._tool_of.get(task_id)
        if tool_id and (tool is None or tool.tool_use_id != tool_id):
            tool = self.starter(tool_id)
        if kind := text_of(event.get("task_type")):
            self._kind_of[task_id] = kind
        if tool is None:
            return f"system/{subtype} without its tool call"
        self._tool_of[task_id] = tool
        known = self._kind_of.get(task_id)
        is_agent = tool.agent is not None or tool.name in AGENT_TOOLS
        if known is not None:
            is_agent = "bash" not in known and "shell" not in known
        if is_agent:
            self._agent_event(self.agent_of(tool), event, tick)
            return None
        # a command that runs as a task
        kept = ("task_id", "task_type", "status", "summary")
        facts = {key: self.trim.value(event[key], "task") for key in kept if event.get(key)}
        tool.facts["evalkit.task"] = {**mapping_of(tool.facts.get("evalkit.task")), **facts}
        return None

    def _agent_event(self, agent: Subagent, event: Event, tick: Tick) -> None:
        agent.agent_id = agent.agent_id or id_of(event.get("task_id"))
        agent.kind = agent.kind or text_of(event.get("subagent_type"))
        if agent.thread.prompt is None:
            agent.thread.prompt = event.get("prompt")
        _add_figures(agent, mapping_of(event.get("usage")))
        patch = mapping_of(event.get("patch"))
        status = text_of(patch.get("status")) or text_of(event.get("status"))
        if status in _STILL_GOING:
            return
        agent.status = status
        if tick.stamp is None:
            tick.stamp = parse_time(patch.get("end_time"))
        agent.end = tick
        if summary := text_of(event.get("summary")):
            agent.answer = self.trim.text(summary, "subagent's answer")
        if error := text_of(patch.get("error")):
            agent.facts["evalkit.subagent.error"] = self.trim.text(error, "subagent's error")

    def add_result(self, tool: ToolCall, result: Mapping[str, Json]) -> None:
        """Add the result of a tool (its ``tool_use_result``), if it tells of a subagent."""
        text, agent_id = plain_text(tool.output), id_of(result.get("agentId"))
        is_agent = tool.name in AGENT_TOOLS and not tool.failed
        if tool.agent is None and not is_agent and not agent_id:
            return
        agent = self.agent_of(tool)
        agent.agent_id = agent_id or agent.agent_id
        agent.kind = agent.kind or text_of(result.get("agentType"))
        agent.model = text_of(result.get("resolvedModel")) or agent.model
        is_launch = result.get("isAsync") is True or result.get("status") == "async_launched"
        if is_launch or text.startswith(_LAUNCHED):
            agent.background = True
            return
        agent.end = tool.end
        agent.status = agent.status or ("failed" if tool.failed else "completed")
        content = result.get("content")
        agent.answer = text if content is None else self.trim.blocks(content, "subagent's answer")
        agent.closing = usage_from(result.get("usage"))
        _add_figures(agent, result)


def _add_figures(agent: Subagent, figures: Mapping[str, Json]) -> None:
    for name, keys in _FIGURES.items():
        for figure in filter(None, (count(figures.get(key)) for key in keys)):
            agent.facts[f"evalkit.subagent.{name}"] = figure


@dataclass(frozen=True, slots=True)
class Transcript:
    """A subagent's own transcript, as far as its first event tells about it."""

    name: str
    agent_id: str
    session_id: str
    prompt: str
    entries: Iterator[Entry]

    def owner(self, agents: Iterable[Subagent]) -> Subagent | None:
        """The one of these subagents whose messages it holds."""
        by_id = [agent for agent in agents if agent.agent_id and agent.agent_id == self.agent_id]
        if by_id:
            return by_id[0]
        unnamed = [agent for agent in agents if not agent.agent_id and self.prompt]
        asked = [agent for agent in unnamed if agent.thread.prompt == self.prompt]
        return asked[0] if len(asked) == 1 else None


def transcripts_of(sidecars: Mapping[str, Iterable[Entry]]) -> Iterator[Transcript]:
    """The transcripts in these files, by their names; of an empty one, none."""
    for name, lines in sorted(sidecars.items()):
        rest, before = iter(lines), list[Entry]()
        for entry in rest:
            before.append(entry)
            if entry[1]:
                break
        if before:
            first = before[-1][1][0] if before[-1][1] else {}
            stem = name.rsplit("/", 1)[-1].removesuffix(".jsonl")
            agent_id = id_of(first.get("agentId")) or stem.removeprefix("agent-")
            prompt = plain_text(mapping_of(first.get("message")).get("content"))
            session_id = id_of(first.get("sessionId"))
            yield Transcript(name, agent_id, session_id, prompt, chain(before, rest))


def anchor(started: Iterable[tuple[ToolCall, Subagent]]) -> None:
    """Let transcripts, which always have times, tell a log without them when it was."""
    for tool, agent in started:
        if agent.transcript is not None and (stamps := agent.transcript.stamps):
            for tick, (_, stamp) in ((tool.start, stamps[0]), (agent.end, stamps[-1])):
                if tick is not None and tick.stamp is None:
                    tick.stamp = stamp


def lay_out_transcripts(started: Iterable[tuple[ToolCall, Subagent]]) -> None:
    """Give the transcripts' ticks their place in time, callers' first."""
    for tool, agent in started:
        if agent.transcript is not None:
            drop_outliers(agent.transcript.ticks)
            end = agent.end or tool.end or tool.start
            agent.transcript.duration = max(0, end.at - tool.start.at) or None
            lay_out([agent.transcript], tool.start.at)


def add_closing_calls(session: Session, totals: Totals) -> None:
    """Give subagents the last message, of which often only the result of their tool tells.

    Where the message itself is in the log, only its output tokens are new. Figures that would
    exceed the session's totals are not believed: versions differ in what they add up there.
    """
    tools = (tool for thread in session.main.threads for tool in thread.tools)
    closing = [(tool, agent) for tool in tools if (agent := tool.agent) and agent.closing]
    if not closing:
        return
    room = {share.model: share.usage for share in totals.models}
    for call in session.calls:
        share = totals.share_of(call.model)
        if share is not None and call.usage is not None:
            room[share.model] -= call.usage
    for tool, agent in closing:
        usage = agent.closing or Usage()
        last = next((call for call in reversed(agent.thread.calls) if not call.synthetic), None)
        if last is not None and last.usage is not None and last.usage.read == usage.read:
            if not last.output_basis:
                settle_output(last, usage.output, "tool result")
            continue
        model = agent.model or (last.model if last is not None else "")
        share = totals.share_of(model) if model else None
        if tool.end is None or share is None or not room[share.model].covers(usage):
            continue
        room[share.model] -= usage
        call = ModelCall("", model, start=agent.thread.last, end=tool.end)
        call.inputs, agent.thread.waiting = agent.thread.waiting, []
        text = plain_text(agent.answer)
        call.blocks = [{"type": "text", "text": text}] if text else []
        call.usage, call.output_basis = usage, "tool result"
        call.facts["evalkit.source"] = "the tool's result; the message itself is not in the log"
        agent.thread.calls.append(call)
