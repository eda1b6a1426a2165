"""From sessions to spans: the tree that MLflow shows.

::

    AGENT   the case (with several sessions in the log: one AGENT span for each under it)
     └── CHAIN  turn 1: one message of the model and what it set going
          ├── LLM   the message: thinking, text, tokens, model
          └── TOOL  a tool it called
               └── AGENT  the subagent that the tool started
                    └── CHAIN  turn 1 …

A parent's time encloses its children's. That makes the call that launches a subagent in the
background as long as the subagent, which outlives it in truth: its ``evalkit.returned_ns`` says
when it returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evalkit.core.attributes import (
    call_attributes,
    session_attributes,
    subagent_attributes,
    tool_attributes,
)
from evalkit.core.content import plain_text
from evalkit.core.conversation import ModelCall, Session, Subagent, Thread, ToolCall
from evalkit.core.outcomes import (
    answer_of,
    call_outcome,
    session_outcome,
    subagent_outcome,
    tool_outcome,
)
from evalkit.core.reconcile import Reconciled
from evalkit.core.spans import Span, SpanKind, Status
from evalkit.core.timing import Tick
from evalkit.core.values import Json, derive_id


@dataclass(slots=True)
class _Node:
    """A span in the making.

    Attributes:
        number: Its place among the spans.
        parent: The node it is part of.
        begin: Nanoseconds since the epoch.
        end: Nanoseconds since the epoch.
        inferred: Whether one of them is laid out rather than logged.
    """

    number: int
    parent: _Node | None
    name: str
    kind: SpanKind
    begin: int
    end: int
    inferred: bool
    inputs: Json = None
    outputs: Json = None
    attributes: dict[str, Json] = field(default_factory=dict)
    status: Status = "OK"
    message: str = ""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with its figures settled and its ticks laid out."""

    session: Session
    figures: Reconciled


def build_spans(
    views: Sequence[SessionView],
    *,
    trace_id: str,
    name: str,
    request: Json,
    response: Json,
    outcome: tuple[Status, str],
) -> tuple[Span, ...]:
    """The spans of a log, root first and each parent before its children.

    Args:
        views: The log's sessions; at least one.
        trace_id: Span ids are derived from it.
        name: The root's name.
        request: What the agent was asked.
        response: What it answered last.
        outcome: How it ended, and why it failed.
    """
    tree = _Tree()
    if len(views) == 1:
        root = tree.session(views[0], None, name)
    else:
        lines = [view.session.line.ticks for view in views]
        begin = min((ticks[0] for ticks in lines), key=lambda tick: tick.at)
        root = tree.add(None, name, "AGENT", begin, lines[-1][-1])
        for number, view in enumerate(views, start=1):
            step = view.session.step
            node = tree.session(view, root, f"step {step}" if step else f"session {number}")
            node.inputs = view.session.main.prompt
            node.outputs = answer_of(view.session)
    root.inputs, root.outputs = request, response
    root.status, root.message = outcome
    return tree.spans(trace_id)


@dataclass(slots=True)
class _Tree:
    nodes: list[_Node] = field(default_factory=list)

    def add(self, parent: _Node | None, name: str, kind: SpanKind, begin: Tick, end: Tick) -> _Node:
        """A node for what lies between two ticks; it begins no earlier than what it is part of."""
        inferred = begin.stamp is None or end.stamp is None
        first = begin.at if parent is None else max(begin.at, parent.begin)
        last = max(first, end.at)
        node = _Node(len(self.nodes), parent, name, kind, first, last, inferred)
        self.nodes.append(node)
        return node

    def session(self, view: SessionView, parent: _Node | None, name: str) -> _Node:
        session, figures = view.session, view.figures
        ticks = session.line.ticks
        node = self.add(parent, name, "AGENT", ticks[0], ticks[-1])
        node.status, node.message = session_outcome(session)
        node.attributes = session_attributes(session, figures)
        # a stack, for subagents of subagents may go deeper than Python's calls
        pending: list[tuple[Thread, _Node]] = [(session.main, node)]
        while pending:
            thread, above = pending.pop()
            end = thread.last if above is not node else ticks[-1]
            pending += self._thread(thread, above, end, figures)
        return node

    def _thread(
        self, thread: Thread, above: _Node, end: Tick, figures: Reconciled
    ) -> list[tuple[Thread, _Node]]:
        begun: list[tuple[Thread, _Node]] = []
        latest = above.begin
        for index, call in enumerate(thread.calls):
            following = thread.calls[index + 1].start if index + 1 < len(thread.calls) else end
            turn = self.add(above, f"turn {index + 1}", "CHAIN", call.start, call.end)
            # out of order only where a subagent goes on in a later session of a damaged log
            turn.begin = latest = max(turn.begin, latest)
            turn.end = max(turn.end, latest)
            self._call(call, turn, figures)
            for tool in call.tools:
                begun += self._tool(tool, turn, following, call)
        for tool in thread.strays:
            begun += self._tool(tool, above, end, None)
        return begun

    def _call(self, call: ModelCall, turn: _Node, figures: Reconciled) -> None:
        if call.synthetic:
            node = self.add(turn, "Claude Code", "CHAIN", call.start, call.end)
            node.outputs = plain_text(call.blocks)
        else:
            name = call.model or "model call"
            node = self.add(turn, name, "LLM", call.start, call.end)
            node.outputs = _message(call)
            node.attributes = call_attributes(call, figures)
        node.inputs = {"messages": call.inputs} if call.inputs else None
        node.attributes |= call.facts
        node.status, node.message = turn.status, turn.message = call_outcome(call)

    def _tool(
        self, tool: ToolCall, above: _Node, latest: Tick, call: ModelCall | None
    ) -> list[tuple[Thread, _Node]]:
        name = tool.name or "tool call not in the log"
        node = self.add(above, name, "TOOL", tool.start, tool.end or latest)
        if tool.duration_ms is not None and tool.end is not None and not tool.start.known:
            earliest = above.begin if call is not None else node.begin
            node.begin = max(earliest, node.end - tool.duration_ms * 1_000_000)
        node.inputs, node.outputs = tool.input, tool.output
        node.attributes = tool_attributes(tool)
        node.status, node.message = tool_outcome(tool)
        if tool.agent is None:
            return []
        if tool.agent.background:
            node.attributes["evalkit.returned_ns"] = node.end
        return [(tool.agent.thread, self._subagent(tool.agent, tool, node, latest))]

    def _subagent(self, agent: Subagent, tool: ToolCall, above: _Node, latest: Tick) -> _Node:
        name = agent.kind or "subagent"
        end = agent.end or (latest if agent.background or tool.end is None else tool.end)
        node = self.add(above, name, "AGENT", tool.start, end)
        node.inputs, node.outputs = agent.thread.prompt, _unwrapped(agent.answer)
        node.status, node.message = subagent_outcome(agent)
        node.attributes = subagent_attributes(agent)
        return node

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        for node in reversed(self.nodes):  # children come after their parents
            if node.parent is not None:
                node.parent.end = max(node.parent.end, node.end)
        # numbered from where the trace's id says; zero is no span's id
        first = int(derive_id(trace_id, "spans", length=15), 16) + 1
        ids = [f"{first + number:016x}" for number in range(len(self.nodes))]
        return tuple(_span(node, ids) for node in self.nodes)


def _span(node: _Node, ids: Sequence[str]) -> Span:
    if node.inferred:
        node.attributes["evalkit.time"] = "inferred"
    return Span(
        span_id=ids[node.number],
        parent_id=None if node.parent is None else ids[node.parent.number],
        name=node.name,
        kind=node.kind,
        start_ns=node.begin,
        end_ns=node.end,
        inputs=node.inputs,
        outputs=node.outputs,
        attributes=node.attributes,
        status=node.status,
        message=node.message,
    )


def _message(call: ModelCall) -> Json:
    message: dict[str, Json] = {"type": "message", "role": "assistant", "content": call.blocks}
    if call.model:
        message["model"] = call.model
    if call.stop_reason:
        message["stop_reason"] = call.stop_reason
    return message


def _unwrapped(answer: Json) -> Json:
    return plain_text(answer) if isinstance(answer, list) else answer
