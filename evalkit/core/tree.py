"""From sessions to spans: the tree that MLflow shows.

::

    AGENT   the case (with several sessions in the log: one AGENT span for each under it)
     └── CHAIN  turn 1: one message of the model and what it set going
          ├── LLM   the message: thinking, text, tokens, model
          └── TOOL  a tool it called
               └── AGENT  the subagent that the tool started
                    └── CHAIN  turn 1 …

Beside the attributes that MLflow's UI reads, spans carry what the log says more, by names that
begin with ``evalkit.``:

- ``evalkit.time`` is ``inferred`` where begin or end is laid out rather than logged;
- ``evalkit.usage.output_basis`` says how a call's output tokens are known (``reconcile`` lists the
  ways), ``evalkit.usage.output_tokens_logged`` what its line said if that is a placeholder;
- ``evalkit.cost.usd`` is a call's cost where the log's own figures determine it;
- ``evalkit.usage.by_model`` and ``evalkit.remainder``, on a session, hold the result's figures and
  those of them that no call accounts for;
- ``evalkit.agent``, ``evalkit.result``, ``evalkit.hooks``, ``evalkit.retries``,
  ``evalkit.remarks``, ``evalkit.rate_limits``, ``evalkit.errors`` and
  ``evalkit.permission_denials`` are the log's events of these kinds;
- ``evalkit.subagent.…`` is what was told about a subagent, whether or not its messages are there.

A parent's time encloses its children's. That makes the call that launches a subagent in the
background as long as the subagent, which outlives it in truth: its ``evalkit.returned_ns`` says
when it returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evalkit.core.content import plain_text, text_of
from evalkit.core.conversation import ModelCall, Session, Subagent, Thread, ToolCall
from evalkit.core.reconcile import Reconciled
from evalkit.core.spans import Span, SpanKind, Status
from evalkit.core.timing import Tick
from evalkit.core.usage import provider_of
from evalkit.core.values import Json, derive_id

TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - a key of MLflow's
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
_PROVIDER = "mlflow.llm.provider"
_FORMAT = "mlflow.message.format"
_MESSAGE_CHARS = 500

UNKNOWN_COST: dict[str, Json] = {}
"""Keeps MLflow from pricing a call by its own list, which takes cached tokens for input twice."""


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
    views: Sequence[SessionView], *, trace_id: str, name: str, request: Json, response: Json
) -> tuple[Span, ...]:
    """The spans of a log, root first and each parent before its children.

    Args:
        views: The log's sessions; at least one.
        trace_id: Span ids are derived from it.
        name: The root's name.
        request: What the agent was asked.
        response: What it answered last.
    """
    tree = _Tree()
    if len(views) == 1:
        root = tree.session(views[0], None, name)
    else:
        lines = [view.session.line.ticks for view in views]
        begin = min((ticks[0] for ticks in lines), key=lambda tick: tick.at)
        root = tree.add(None, name, "AGENT", begin, lines[-1][-1])
        root.status, root.message = outcome(views[-1].session)
        for number, view in enumerate(views, start=1):
            node = tree.session(view, root, f"session {number}")
            node.inputs = view.session.main.prompt
            node.outputs = answer_of(view.session)
    root.inputs, root.outputs = request, response
    return tree.spans(trace_id)


def outcome(session: Session) -> tuple[Status, str]:
    """How a session ended, and why it failed."""
    result = session.result
    if result is None:
        return "UNSET", "the log ends before the session does"
    subtype = text_of(result.get("subtype"))
    if result.get("is_error") is not True and not subtype.startswith("error"):
        return "OK", ""
    errors = result.get("errors")
    told = [text_of(each) for each in errors] if isinstance(errors, list) else []
    why = "; ".join(filter(None, told)) or plain_text(result.get("result"))
    kind = subtype if subtype != "success" else ""  # which is said of API errors, too
    return "ERROR", ": ".join(filter(None, (kind, why)))[:_MESSAGE_CHARS]


def answer_of(session: Session) -> Json:
    """A session's result; where it has none, what the main agent said last."""
    result = session.result.get("result") if session.result is not None else None
    if result not in (None, ""):
        return result
    said = (plain_text(call.blocks) for call in reversed(session.main.calls))
    return next((text for text in said if text), None)


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
        node.status, node.message = outcome(session)
        node.attributes = _session_attributes(session, figures)
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
            node.attributes = _call_attributes(call, figures)
        node.inputs = {"messages": call.inputs} if call.inputs else None
        node.attributes |= call.facts
        if call.error:
            node.status, node.message = "ERROR", call.error[:_MESSAGE_CHARS]
            turn.status, turn.message = node.status, node.message

    def _tool(
        self, tool: ToolCall, above: _Node, latest: Tick, call: ModelCall | None
    ) -> list[tuple[Thread, _Node]]:
        name = tool.name or "tool call not in the log"
        node = self.add(above, name, "TOOL", tool.start, tool.end or latest)
        if tool.duration_ms is not None and tool.end is not None and not tool.start.known:
            earliest = above.begin if call is not None else node.begin
            node.begin = max(earliest, node.end - tool.duration_ms * 1_000_000)
        node.inputs, node.outputs = tool.input, tool.output
        node.attributes = {"evalkit.tool_use_id": tool.tool_use_id, **tool.facts}
        if tool.duration_ms is not None:
            node.attributes["evalkit.duration_ms"] = tool.duration_ms
        if tool.denied:
            node.attributes["evalkit.permission_denied"] = True
        node.status, node.message = _tool_outcome(tool)
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
        node.status = "OK" if agent.status == "completed" else "ERROR" if agent.status else "UNSET"
        if node.status != "OK":
            node.message = agent.status or "the log does not say how the subagent ended"
        node.attributes = {"evalkit.subagent.background": agent.background, **agent.facts}
        if agent.agent_id:
            node.attributes["evalkit.subagent.id"] = agent.agent_id
        if agent.model:
            node.attributes["evalkit.subagent.model"] = agent.model
        if agent.closing is not None:
            last = agent.closing.as_mlflow(with_output=True)
            node.attributes["evalkit.subagent.last_usage"] = last
        if not agent.thread.calls:
            node.attributes["evalkit.subagent.messages"] = "not in the log"
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


def _call_attributes(call: ModelCall, figures: Reconciled) -> dict[str, Json]:
    attributes: dict[str, Json] = {_FORMAT: "anthropic"}
    if call.message_id:
        attributes["evalkit.message_id"] = call.message_id
    if call.model:
        attributes[MODEL] = call.model
    if provider := provider_of(call.model):
        attributes[_PROVIDER] = provider
    if call.usage is not None:
        attributes[TOKEN_USAGE] = call.usage.as_mlflow(with_output=call.final)
        attributes[COST] = UNKNOWN_COST
        if call.final:
            attributes["evalkit.usage.output_basis"] = call.output_basis
        else:
            attributes["evalkit.usage.output_tokens_logged"] = call.usage.output
    if call.cost is not None:
        read, written = call.cost
        attributes["evalkit.cost.usd"] = read + written
        attributes["evalkit.cost.basis"] = "the price that the result's own figures come to"
        if figures.priced:
            attributes[COST] = {
                "input_cost": read,
                "output_cost": written,
                "total_cost": read + written,
            }
    return attributes


def _session_attributes(session: Session, figures: Reconciled) -> dict[str, Json]:
    attributes = dict(session.facts)
    if isinstance(hooks := attributes.get("evalkit.hooks"), dict):
        attributes["evalkit.hooks"] = list(hooks.values())
    if session.session_id:
        attributes["evalkit.session_id"] = session.session_id
    totals = figures.totals
    if totals is None:
        return attributes
    attributes[TOKEN_USAGE] = totals.usage.as_mlflow(with_output=True)
    attributes["evalkit.usage.by_model"] = {
        share.model or "all models": share.usage.as_mlflow(with_output=True)
        | ({"cost_usd": share.cost} if share.cost is not None else {})
        for share in totals.models
    }
    if figures.remainder:
        attributes["evalkit.remainder"] = figures.remainder
    if figures.prices:
        prices = {model: price.per_million for model, price in figures.prices.items()}
        attributes["evalkit.cost.usd_per_million_input_tokens"] = prices
    if not figures.priced and figures.cost is not None:
        # on the calls where all of theirs are known, else here: MLflow's charts add up all spans
        attributes[COST] = figures.cost
        if len(totals.models) == 1 and totals.models[0].model:
            attributes[MODEL] = totals.models[0].model
    return attributes


def _tool_outcome(tool: ToolCall) -> tuple[Status, str]:
    if not tool.answered:
        return "UNSET", "the log has no result of this call"
    if not tool.failed:
        return "OK", ""
    why = plain_text(tool.output).strip()
    why = why.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    return "ERROR", why[:_MESSAGE_CHARS] or "the tool failed"


def _unwrapped(answer: Json) -> Json:
    return plain_text(answer) if isinstance(answer, list) else answer
