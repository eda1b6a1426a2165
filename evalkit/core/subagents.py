"""Agents that tool calls start: when they begin and end, and what is told about them.

In the foreground, a subagent's messages stand in the log with ``parent_tool_use_id``, and the
tool's result ends it. In the background, the tool's result only says that it was launched, and
``task_notification`` ends it; its messages lie in a transcript beside the log, or nowhere. What
the log does not show of a subagent is left out; what is told about it is kept as told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.core.content import Trimmer, id_of, mapping_of, plain_text, text_of
from evalkit.core.conversation import AGENT_TOOLS, Subagent, Thread, ToolCall, ToolCalls
from evalkit.core.timing import Tick, parse_time
from evalkit.core.usage import count, usage_from
from evalkit.core.values import Json

_LAUNCHED = "Async agent launched"
_STILL_GOING = frozenset({"pending", "running", "in_progress", "async_launched", ""})
_FIGURES = {
    "total_tokens": "evalkit.subagent.total_tokens",
    "totalTokens": "evalkit.subagent.total_tokens",
    "tool_uses": "evalkit.subagent.tool_uses",
    "totalToolUseCount": "evalkit.subagent.tool_uses",
    "duration_ms": "evalkit.subagent.duration_ms",
    "totalDurationMs": "evalkit.subagent.duration_ms",
}


@dataclass(slots=True)
class Tasks:
    """What system events and tool results tell about subagents and other tasks.

    Attributes:
        trim: Shortens what they tell.
        tools: Tool calls by their id.
        started: Calls that started a subagent; those inside a subagent after the call that
            started it.
    """

    trim: Trimmer
    tools: ToolCalls
    started: list[ToolCall] = field(default_factory=list)
    _tool_of: dict[str, ToolCall] = field(default_factory=dict)
    _kind_of: dict[str, str] = field(default_factory=dict)

    def agent_of(self, tool: ToolCall) -> Subagent:
        """The subagent that the tool call started."""
        if tool.agent is None:
            asked = mapping_of(tool.input)
            thread = Thread(last=tool.start, prompt=asked.get("prompt"))
            tool.agent = Subagent(thread, kind=text_of(asked.get("subagent_type")))
            if description := text_of(asked.get("description")):
                tool.agent.facts["evalkit.subagent.description"] = description
            self.started.append(tool)
        return tool.agent

    def tell(self, event: Mapping[str, Json], tick: Tick) -> str | None:
        """Take a ``task_…`` event in; returns why not, if it belongs to nothing in the log."""
        subtype, task_id = text_of(event.get("subtype")), id_of(event.get("task_id"))
        tool_id, tool = id_of(event.get("tool_use_id")), self._tool_of.get(task_id)
        if tool_id and (tool is None or tool.tool_use_id != tool_id):
            tool = self.tools.starter(tool_id)
        if kind := text_of(event.get("task_type")):
            self._kind_of[task_id] = kind
        if tool is None:
            return f"system/{subtype} without its tool call"
        self._tool_of[task_id] = tool
        if self._is_agent(tool, task_id):
            self._agent_event(self.agent_of(tool), event, tick)
        else:
            self._other_event(tool, event)
        return None

    def _is_agent(self, tool: ToolCall, task_id: str) -> bool:
        kind = self._kind_of.get(task_id)
        if kind is not None:
            return "bash" not in kind and "shell" not in kind
        return tool.agent is not None or tool.name in AGENT_TOOLS

    def _other_event(self, tool: ToolCall, event: Mapping[str, Json]) -> None:
        """A command that runs as a task: what is told about it belongs to the tool."""
        told = {
            key: self.trim.value(event[key], "task")
            for key in ("task_id", "task_type", "status", "summary")
            if event.get(key)
        }
        tool.facts["evalkit.task"] = {**mapping_of(tool.facts.get("evalkit.task")), **told}

    def _agent_event(self, agent: Subagent, event: Mapping[str, Json], tick: Tick) -> None:
        agent.agent_id = agent.agent_id or id_of(event.get("task_id"))
        agent.kind = agent.kind or text_of(event.get("subagent_type"))
        if agent.thread.prompt is None:
            agent.thread.prompt = event.get("prompt")
        self._figures(agent, mapping_of(event.get("usage")))
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

    def answered(self, tool: ToolCall, told: Json) -> None:
        """Take the result of a tool in, if it says anything about a subagent.

        Args:
            tool: The call, with its output.
            told: The event's ``tool_use_result``.
        """
        result = mapping_of(told)
        text = plain_text(tool.output)
        is_agent = tool.name in AGENT_TOOLS and not tool.failed
        if tool.agent is None and not is_agent and not id_of(result.get("agentId")):
            return
        agent = self.agent_of(tool)
        agent.agent_id = id_of(result.get("agentId")) or agent.agent_id
        agent.kind = agent.kind or text_of(result.get("agentType"))
        agent.model = text_of(result.get("resolvedModel")) or agent.model
        if _is_launch(result, text):
            agent.background = True
            return
        agent.end = tool.end
        agent.status = agent.status or ("failed" if tool.failed else "completed")
        content = result.get("content")
        agent.answer = text if content is None else self.trim.blocks(content, "subagent's answer")
        agent.closing = usage_from(result.get("usage"))
        self._figures(agent, result)

    def _figures(self, agent: Subagent, told: Mapping[str, Json]) -> None:
        for key, name in _FIGURES.items():
            if figure := count(told.get(key)):
                agent.facts[name] = figure


def _is_launch(result: Mapping[str, Json], text: str) -> bool:
    return (
        result.get("isAsync") is True
        or result.get("status") == "async_launched"
        or text.startswith(_LAUNCHED)
    )
