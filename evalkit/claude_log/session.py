"""What went on in a log, and how it ended: sessions, threads, model calls, tools, subagents.

Filled while the log is read, and made spans when all is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from evalkit.claude_log.timing import Line, Tick
from evalkit.entities import Status
from evalkit.jsonable import Json, list_of, mapping_of, plain_text, text_of
from evalkit.tokens import Usage

SYNTHETIC = "<synthetic>"  # the model of messages that Claude Code wrote itself
AGENT_TOOLS = frozenset({"Agent", "Task"})  # do nothing but start a subagent; others may, too
INTERRUPTED = "[Request interrupted by user"  # begins what it notes when a person stops it
STRUCTURED = "evalkit.structured_output"  # the fact with the answer in a form that was asked for
UNKNOWN = "unknown"  # subtype of a result event that states totals, and not how its session ended

_UNSAID = "the log does not say how the session ended"
_MOST_CHARS = 500  # of why something failed
_FINISHED = frozenset({"end_turn", "stop_sequence"})  # reasons to stop that nothing is owed after
_FAILURES = ("error_message", "error_code", "stderr")


@dataclass(slots=True, eq=False)
class ToolCall:
    """One use of a tool; ``facts``, here and below, are further attributes of the span."""

    tool_use_id: str
    name: str  # empty where the log shows only the result
    start: Tick
    input: Json = None
    end: Tick | None = None  # of its result
    output: Json = None  # text, or content blocks
    failed: bool = False
    answered: bool = False
    duration_ms: int | None = None  # where it said so itself
    denied: bool = False  # it was not permitted to run
    facts: dict[str, Json] = field(default_factory=dict)
    agent: Subagent | None = None

    @property
    def outcome(self) -> tuple[Status, str]:
        """How it ended, and why it failed."""
        if not self.answered:
            return "UNSET", "the log has no result of this call"
        if not self.failed:
            return "OK", ""
        output = mapping_of(self.output)
        texts = (plain_text(self.output).strip(), *(text_of(output.get(k)) for k in _FAILURES))
        why = next(filter(None, texts), "")
        why = why.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
        return "ERROR", why[:_MOST_CHARS] or "the tool failed"


@dataclass(slots=True, eq=False)
class ModelCall:
    """One message of the API, which the log spreads over several lines."""

    message_id: str
    model: str
    start: Tick  # when the model had all that it answers to
    end: Tick
    inputs: list[Json] = field(default_factory=list)  # messages that were new to the model
    blocks: list[Json] = field(default_factory=list)  # both in Anthropic's format
    usage: Usage | None = None  # its output is often a placeholder
    logged_usage: Json = None  # as the latest line has it
    output_basis: str = ""  # how the output tokens are known; empty where they are not
    stop_reason: str = ""
    error: str = ""
    partial: bool = False  # the log has only a part of it
    ends_turn: bool = False  # the log says that nothing followed in this turn
    facts: dict[str, Json] = field(default_factory=dict)
    tools: list[ToolCall] = field(default_factory=list)
    cost: tuple[float, float] | None = None  # USD for what it read and wrote, if determined
    stated_cost: float | None = None  # USD for both, where the log says it of each call

    @property
    def spent(self) -> float | None:
        """USD; None where it is not known."""
        if self.stated_cost is not None or self.cost is None:
            return self.stated_cost
        return sum(self.cost)

    @property
    def synthetic(self) -> bool:
        """Whether no model wrote it."""
        return self.model == SYNTHETIC

    @property
    def texts(self) -> list[str]:
        """What it says; blocks of text without another between them are pieces of one text."""
        runs = groupby(self.blocks, key=lambda block: block["type"] == "text")
        return ["".join(block["text"] for block in run) for is_text, run in runs if is_text]

    @property
    def outcome(self) -> tuple[Status, str]:
        """How it ended, and why it failed."""
        if self.partial:
            return "UNSET", "only a part of this message is in the log"
        return ("ERROR", self.error[:_MOST_CHARS]) if self.error else ("OK", "")


@dataclass(slots=True, eq=False)
class Thread:
    """One line of conversation: the main agent's, or a subagent's."""

    last: Tick  # the latest of its events; the next call begins there
    calls: list[ModelCall] = field(default_factory=list)
    waiting: list[Json] = field(default_factory=list)  # messages that the next call will read
    prompt: Json = None
    strays: list[ToolCall] = field(default_factory=list)  # without the message that asked for them
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
    """An agent that a tool call started; what the log does not say is empty."""

    thread: Thread
    agent_id: str = ""
    kind: str = ""
    background: bool = False  # its caller went on meanwhile
    end: Tick | None = None
    status: str = ""  # completed, failed, …
    answer: Json = None
    model: str = ""  # both this and ``closing``, its last message's tokens, by the tool's result
    closing: Usage | None = None
    facts: dict[str, Json] = field(default_factory=dict)
    transcript: Line | None = None  # of its own, if its messages come from one

    @property
    def outcome(self) -> tuple[Status, str]:
        """How it ended, and why it failed."""
        if not self.status:
            return "UNSET", "the log does not say how the subagent ended"
        return ("OK", "") if self.status == "completed" else ("ERROR", self.status)


@dataclass(slots=True, eq=False)
class Session:
    """From one init event to its result event; of a step, where its case is done in steps."""

    session_id: str  # several sessions of a log may share one
    line: Line
    main: Thread
    has_init: bool = False
    result: dict[str, Json] | None = None  # None where the log ends before it
    facts: dict[str, Json] = field(default_factory=dict)
    step: str = ""
    has_result_event: bool = True  # whether logs of its format end with one

    @property
    def calls(self) -> list[ModelCall]:
        """All calls of a model, subagents' included."""
        return [call for thread in self.main.threads for call in thread.calls if not call.synthetic]

    @property
    def outcome(self) -> tuple[Status, str]:
        """How it ended, and why it failed."""
        result = self.result
        if result is None and self.has_result_event:
            return "UNSET", "the log ends before the session does"
        if result is None:
            return self._ended_by_messages()
        if result.get("subtype") == UNKNOWN:
            return "UNSET", text_of(result.get("why")) or _UNSAID
        if not result_failure(result):
            return "OK", ""
        subtype = text_of(result.get("subtype"))
        kind = subtype if subtype != "success" else ""  # which API errors have, too
        why = "; ".join(filter(None, map(text_of, list_of(result.get("errors")))))
        why = why or plain_text(result.get("result"))
        return "ERROR", ": ".join(filter(None, (kind, why)))[:_MOST_CHARS]

    def _ended_by_messages(self) -> tuple[Status, str]:
        """What the last message says; one that called no tool ended, if a person went on after."""
        after = [plain_text(each["content"]) for each in self.main.waiting]
        if any(text.startswith(INTERRUPTED) for text in after):
            return "UNSET", "the person interrupted the session"
        last = self.main.calls[-1] if self.main.calls else None
        is_over = last is not None and (
            bool(last.error or last.ends_turn or last.stop_reason in _FINISHED)
            or (bool(after) and bool(last.texts) and not last.tools)
        )
        if last is None or not is_over:
            return "UNSET", _UNSAID
        return last.outcome

    @property
    def answer(self) -> Json:
        """Structured output, the whole of its result, else its last words."""
        if STRUCTURED in self.facts:
            return self.facts[STRUCTURED]
        result = self.result.get("result") if self.result is not None else None
        if result not in (None, ""):
            last = self.main.calls[-1].texts[-1:] if self.main.calls else []
            # some results are the begin or the last piece of the message that they should repeat
            cut = isinstance(result, str) and any(
                text.startswith(result) or text.endswith(result) for text in last
            )
            return last[0] if cut else result
        said = (call for call in reversed(self.main.calls) if not call.synthetic)
        texts = ("\n".join(call.texts) for call in said)
        return next(filter(None, texts), None)


def result_failure(result: Mapping[str, Json]) -> str:
    """Which kind of failure a result event reports; empty where it reports none."""
    subtype = text_of(result.get("subtype"))
    if subtype.startswith("error"):
        return subtype
    return "the log ends with an error" if result.get("is_error") is True else ""
