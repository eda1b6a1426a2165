"""From sessions to spans: the tree that MLflow shows.

::

    AGENT   the case (with several sessions in the log: one AGENT span for each under it)
     └── CHAIN  turn 1: one message of the model and what it set going
          ├── LLM   the message: thinking, text, tokens, model
          └── TOOL  a tool it called
               └── AGENT  the subagent that the tool started
                    └── CHAIN  turn 1 …

A parent's time encloses its children's, a background subagent's caller's too: when that returned
is in its ``evalkit.returned_ns``. What else the log says is in attributes ``evalkit.…``: ``time``
is ``inferred`` where begin or end is laid out rather than logged, and a session's ``remainder`` are
those figures of its result that no call accounts for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evalkit.claude_log.accounting import Figures
from evalkit.claude_log.session import ModelCall, Subagent, Thread, ToolCall
from evalkit.claude_log.timing import Tick
from evalkit.entities import Span, SpanKind, Status
from evalkit.jsonable import Json, derive_id, plain_text
from evalkit.tokens import TOKEN_USAGE, provider_of

_COST = "mlflow.llm.cost"
_MODEL = "mlflow.llm.model"


@dataclass(slots=True)
class _Node:
    """A span in the making."""

    number: int
    parent: _Node | None
    name: str
    kind: SpanKind
    start: int
    end: int
    inputs: Json = None
    outputs: Json = None
    attributes: dict[str, Json] = field(default_factory=dict)
    outcome: tuple[Status, str] = ("OK", "")
    inferred: bool = False


def build_spans(figures: Sequence[Figures], trace_id: str, name: str) -> tuple[Span, ...]:
    """The spans of a log, root first and each parent before its children.

    ``figures`` are the log's sessions, laid out in time; the ids are derived from the trace's.
    """
    tree = _Tree()
    if len(figures) == 1:
        tree.add_session(figures[0], None, name)
        return tree.spans(trace_id)
    lines = [each.session.line.ticks for each in figures]
    start = min((ticks[0] for ticks in lines), key=lambda tick: tick.at)
    root = tree.add(None, name, "AGENT", start, lines[-1][-1])
    for number, each in enumerate(figures, start=1):
        session = each.session
        title = f"step {session.step}" if session.step else f"session {number}"
        node = tree.add_session(each, root, title)
        node.inputs, node.outputs = session.main.prompt, session.answer
    return tree.spans(trace_id)


@dataclass(slots=True)
class _Tree:
    nodes: list[_Node] = field(default_factory=list)
    # a stack, for subagents of subagents may go deeper than Python's calls
    pending: list[tuple[Thread, _Node]] = field(default_factory=list)

    def add(self, parent: _Node | None, name: str, kind: SpanKind, start: Tick, end: Tick) -> _Node:
        """A node for what lies between two ticks; it begins no earlier than what it is part of."""
        first = start.at if parent is None else max(start.at, parent.start)
        node = _Node(len(self.nodes), parent, name, kind, first, max(first, end.at))
        node.inferred = start.stamp is None or end.stamp is None
        self.nodes.append(node)
        return node

    def add_session(self, figures: Figures, parent: _Node | None, name: str) -> _Node:
        session, ticks = figures.session, figures.session.line.ticks
        node = self.add(parent, name, "AGENT", ticks[0], ticks[-1])
        node.outcome, node.attributes = session.outcome, _session_attributes(figures)
        self.pending.append((session.main, node))
        while self.pending:
            thread, above = self.pending.pop()
            self._add_thread(
                thread, above, thread.last if above is not node else ticks[-1], figures
            )
        return node

    def _add_thread(self, thread: Thread, above: _Node, end: Tick, figures: Figures) -> None:
        latest = above.start
        for index, call in enumerate(thread.calls):
            following = thread.calls[index + 1].start if index + 1 < len(thread.calls) else end
            turn = self.add(above, f"turn {index + 1}", "CHAIN", call.start, call.end)
            # out of order only where a subagent goes on in a later session of a damaged log
            turn.start = latest = max(turn.start, latest)
            turn.end = max(turn.end, latest)
            self._add_call(call, turn, figures)
            for tool in call.tools:
                self._add_tool(tool, turn, following)
        for tool in thread.strays:
            self._add_tool(tool, above, end)

    def _add_call(self, call: ModelCall, turn: _Node, figures: Figures) -> None:
        name = "Claude Code" if call.synthetic else call.model or "model call"
        node = self.add(turn, name, "CHAIN" if call.synthetic else "LLM", call.start, call.end)
        if call.synthetic:
            node.outputs = plain_text(call.blocks)
        else:
            node.outputs = {"type": "message", "role": "assistant", "content": call.blocks}
            named = {"model": call.model, "stop_reason": call.stop_reason}
            node.outputs |= {key: value for key, value in named.items() if value}
            node.attributes = _call_attributes(call, figures)
        node.inputs = {"messages": call.inputs} if call.inputs else None
        node.attributes |= call.facts
        node.outcome = turn.outcome = call.outcome

    def _add_tool(self, tool: ToolCall, above: _Node, latest: Tick) -> None:
        name = tool.name or "tool call not in the log"
        node = self.add(above, name, "TOOL", tool.start, tool.end or latest)
        if tool.duration_ms is not None and tool.end is not None and tool.start.stamp is None:
            node.start = max(above.start, node.end - tool.duration_ms * 1_000_000)
        node.inputs, node.outputs, node.outcome = tool.input, tool.output, tool.outcome
        node.attributes = {"evalkit.tool_use_id": tool.tool_use_id, **tool.facts}
        if tool.duration_ms is not None:
            node.attributes["evalkit.duration_ms"] = tool.duration_ms
        if tool.denied:
            node.attributes["evalkit.permission_denied"] = True
        if (agent := tool.agent) is None:
            return
        if agent.background:
            node.attributes["evalkit.returned_ns"] = node.end
        end = agent.end or (latest if agent.background or tool.end is None else tool.end)
        under = self.add(node, agent.kind or "subagent", "AGENT", tool.start, end)
        is_blocks = isinstance(agent.answer, list)
        under.inputs = agent.thread.prompt
        under.outputs = plain_text(agent.answer) if is_blocks else agent.answer
        under.outcome, under.attributes = agent.outcome, _subagent_attributes(agent)
        self.pending.append((agent.thread, under))

    def spans(self, trace_id: str) -> tuple[Span, ...]:
        for node in reversed(self.nodes):  # children come after their parents
            if node.parent is not None:
                node.parent.end = max(node.parent.end, node.end)
            if node.inferred:
                node.attributes["evalkit.time"] = "inferred"
        # numbered from where the trace's id says; zero is no span's id
        first = int(derive_id(trace_id, "spans", length=15), 16) + 1
        return tuple(
            Span(
                span_id=f"{first + node.number:016x}",
                parent_id=None if node.parent is None else f"{first + node.parent.number:016x}",
                name=node.name,
                kind=node.kind,
                start_ns=node.start,
                end_ns=node.end,
                inputs=node.inputs,
                outputs=node.outputs,
                attributes=node.attributes,
                status=node.outcome[0],
                message=node.outcome[1],
            )
            for node in self.nodes
        )


def _session_attributes(figures: Figures) -> dict[str, Json]:
    session, totals = figures.session, figures.totals
    attributes = dict(session.facts)
    if isinstance(hooks := attributes.get("evalkit.hooks"), dict):
        attributes["evalkit.hooks"] = list(hooks.values())
    about: dict[str, Json] = {"session_id": session.session_id, "step": session.step}
    if totals.are_stated:
        attributes[TOKEN_USAGE] = figures.usage.as_mlflow(with_output=figures.is_output_known)
        attributes["evalkit.usage.by_model"] = {
            share.model or "all models": share.usage.as_mlflow(with_output=True)
            | ({"cost_usd": share.cost} if share.cost is not None else {})
            for share in totals.models
        }
        prices = {model: price.per_million for model, price in figures.prices.items()}
        about |= {"remainder": figures.remainder, "cost.usd_per_million_input_tokens": prices}
        if not figures.priced and figures.cost is not None:
            # on the calls where all of theirs are known, else here: MLflow's charts add up all
            attributes[_COST] = figures.cost
            if len(totals.models) == 1 and totals.models[0].model:
                attributes[_MODEL] = totals.models[0].model
    return attributes | {f"evalkit.{name}": fact for name, fact in about.items() if fact}


def _call_attributes(call: ModelCall, figures: Figures) -> dict[str, Json]:
    about = {
        "evalkit.message_id": call.message_id,
        _MODEL: call.model,
        "mlflow.llm.provider": provider_of(call.model),
    }
    attributes: dict[str, Json] = {"mlflow.message.format": "anthropic"}
    attributes |= {name: fact for name, fact in about.items() if fact}
    if call.usage is not None:
        attributes[TOKEN_USAGE] = call.usage.as_mlflow(with_output=bool(call.output_basis))
        # empty, it keeps MLflow from pricing the call, with cached tokens taken for input twice
        attributes[_COST] = {}
        if call.output_basis:
            attributes["evalkit.usage.output_basis"] = call.output_basis
        else:
            attributes["evalkit.usage.output_tokens_logged"] = call.usage.output
    if call.spent is not None:
        cost, basis = {"total_cost": call.spent}, "logged"
        if call.stated_cost is None and call.cost is not None:
            basis = "the price that the result's own figures come to"
            cost |= {"input_cost": call.cost[0], "output_cost": call.cost[1]}
        attributes |= {"evalkit.cost.usd": call.spent, "evalkit.cost.basis": basis}
        if figures.priced:
            attributes[_COST] = cost
    return attributes


def _subagent_attributes(agent: Subagent) -> dict[str, Json]:
    about = {
        "id": agent.agent_id,
        "model": agent.model,
        "last_usage": agent.closing and agent.closing.as_mlflow(with_output=True),
        "messages": "" if agent.thread.calls else "not in the log",
    }
    attributes: dict[str, Json] = {"evalkit.subagent.background": agent.background, **agent.facts}
    return attributes | {f"evalkit.subagent.{name}": fact for name, fact in about.items() if fact}
