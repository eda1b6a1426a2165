"""What went on in a log: sessions, threads of conversation, model calls, tools, subagents.

These are filled while the log is read and become spans when all is known; that is why, unlike
the rest of the vocabulary, they can change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evalkit.core.timing import Line, Tick
from evalkit.core.usage import Usage
from evalkit.core.values import Json

SYNTHETIC = "<synthetic>"
"""The model of messages that Claude Code wrote itself."""

AGENT_TOOLS = frozenset({"Agent", "Task"})
"""Tools that do nothing but start a subagent. Others, such as Skill, may start one too."""


@dataclass(slots=True, eq=False)
class ToolCall:
    """One use of a tool.

    Attributes:
        tool_use_id: The API's id of it.
        name: The tool; empty where the log shows only the result.
        start: When the model asked for it.
        input: What it was given.
        end: When its result was logged; None where the log has none.
        output: What it answered: text, or content blocks.
        failed: Whether it said that it failed.
        answered: Whether the log has a result.
        duration_ms: How long it took, where it said so itself.
        denied: Whether it was not permitted to run.
        facts: Further attributes.
        agent: The subagent that it started.
    """

    tool_use_id: str
    name: str
    start: Tick
    input: Json = None
    end: Tick | None = None
    output: Json = None
    failed: bool = False
    answered: bool = False
    duration_ms: int | None = None
    denied: bool = False
    facts: dict[str, Json] = field(default_factory=dict)
    agent: Subagent | None = None


@dataclass(slots=True)
class ToolCalls:
    """The tool calls of a log by their id, which gateways may count anew in each message.

    A thread is named by its ``id()``: a reference to it would tie all that was read into a cycle.
    """

    _latest: dict[str, ToolCall] = field(default_factory=dict)
    _in_thread: dict[tuple[int, str], ToolCall] = field(default_factory=dict)
    _starters: dict[str, ToolCall] = field(default_factory=dict)

    def add(self, thread: Thread, tool: ToolCall) -> None:
        """Take in a call that the thread made."""
        if tool.tool_use_id:
            self._latest[tool.tool_use_id] = tool
            self._in_thread[id(thread), tool.tool_use_id] = tool
            if tool.name in AGENT_TOOLS:
                self._starters[tool.tool_use_id] = tool

    def latest(self, tool_id: str) -> ToolCall | None:
        """The last call of that id so far."""
        return self._latest.get(tool_id)

    def starter(self, tool_id: str) -> ToolCall | None:
        """The call of that id that a subagent's messages name as what started it."""
        starter, latest = self._starters.get(tool_id), self._latest.get(tool_id)
        if starter is None or (starter.answered and latest is not None and not latest.answered):
            return latest
        return starter

    def waiting(self, thread: Thread, tool_id: str) -> ToolCall | None:
        """The call that a result in the thread answers; None where all of that id have theirs."""
        for tool in thread.calls[-1].tools if thread.calls else ():
            if tool.tool_use_id == tool_id and not tool.answered:
                return tool
        for found in (self._in_thread.get((id(thread), tool_id)), self._latest.get(tool_id)):
            if found is not None and not found.answered:
                return found
        return None


@dataclass(slots=True, eq=False)
class ModelCall:
    """One message of the API, which the log spreads over several lines.

    Attributes:
        message_id: The API's id of it; empty where the log has none.
        model: Who wrote it.
        start: When the model had all that it answers to.
        end: When its last block was logged.
        inputs: The messages that were new to the model, in Anthropic's format.
        blocks: What it wrote, in Anthropic's format.
        usage: Tokens as logged; the output is often a placeholder. None where none are logged.
        logged_usage: The usage as the latest line has it.
        output_basis: How the output tokens are known; empty where they are not.
        stop_reason: Why it ended, where the log says so.
        error: Why it failed; empty where it did not.
        partial: Whether the log has only a part of it.
        facts: Further attributes.
        tools: The tools it asked for.
        cost: USD for what it read and what it wrote; None where the log does not determine it.
    """

    message_id: str
    model: str
    start: Tick
    end: Tick
    inputs: list[Json] = field(default_factory=list)
    blocks: list[Json] = field(default_factory=list)
    usage: Usage | None = None
    logged_usage: Json = None
    output_basis: str = ""
    stop_reason: str = ""
    error: str = ""
    partial: bool = False
    facts: dict[str, Json] = field(default_factory=dict)
    tools: list[ToolCall] = field(default_factory=list)
    cost: tuple[float, float] | None = None

    @property
    def synthetic(self) -> bool:
        """Whether no model wrote it."""
        return self.model == SYNTHETIC

    @property
    def final(self) -> bool:
        """Whether its output tokens are a fact."""
        return bool(self.output_basis)


@dataclass(slots=True, eq=False)
class Thread:
    """One line of conversation: the main agent's, or a subagent's.

    Attributes:
        last: The latest of its events; the next call begins there.
        calls: Its model calls.
        waiting: Messages that the next call will read.
        prompt: What it was first asked.
        strays: Tools without the message that asked for them.
        facts: What its next call is told in attributes.
    """

    last: Tick
    calls: list[ModelCall] = field(default_factory=list)
    waiting: list[Json] = field(default_factory=list)
    prompt: Json = None
    strays: list[ToolCall] = field(default_factory=list)
    facts: dict[str, Json] = field(default_factory=dict)

    @property
    def tools(self) -> Iterator[ToolCall]:
        """Its own tool calls, not those of its subagents."""
        for call in self.calls:
            yield from call.tools
        yield from self.strays

    @property
    def threads(self) -> Iterator[Thread]:
        """It and all threads under it, callers first."""
        pending = [self]
        while pending:
            thread = pending.pop()
            yield thread
            pending += [tool.agent.thread for tool in thread.tools if tool.agent is not None]


@dataclass(slots=True, eq=False)
class Subagent:
    """An agent that a tool call started.

    Attributes:
        thread: Its conversation; empty where the log does not show it.
        agent_id: Claude Code's id of it; empty where the log does not say.
        kind: Its type, such as ``Explore``.
        background: Whether its caller went on meanwhile.
        end: When it ended; None where the log does not say.
        status: How it ended: ``completed``, ``failed``, …; empty where the log does not say.
        answer: What it handed back.
        model: Who spoke, as the tool's result says; empty where it does not.
        closing: Tokens of its last message, as the tool's result says.
        facts: Further attributes.
        aside: The ticks of its own transcript, if its messages come from one.
    """

    thread: Thread
    agent_id: str = ""
    kind: str = ""
    background: bool = False
    end: Tick | None = None
    status: str = ""
    answer: Json = None
    model: str = ""
    closing: Usage | None = None
    facts: dict[str, Json] = field(default_factory=dict)
    aside: Line | None = None


@dataclass(slots=True, eq=False)
class Session:
    """From one init event to its result event.

    Attributes:
        session_id: Claude Code's id; several sessions of a log may share one.
        line: Its events in time.
        main: The main agent's conversation.
        begun: Whether its init event was seen.
        result: Its result event; None where the log ends before it.
        facts: What its span says in attributes.
        step: The step of the case that it is of; empty where a case is not done in steps.
    """

    session_id: str
    line: Line
    main: Thread
    begun: bool = False
    result: dict[str, Json] | None = None
    facts: dict[str, Json] = field(default_factory=dict)
    step: str = ""

    @property
    def calls(self) -> list[ModelCall]:
        """All calls of a model, subagents' included."""
        return [call for thread in self.main.threads for call in thread.calls if not call.synthetic]

    def add_to(self, fact: str, value: Json) -> None:
        """Append to a list among the facts."""
        self.facts.setdefault(fact, []).append(value)
