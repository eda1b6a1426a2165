"""One session: a model, its tools, and a budget; every answer is kept before it is acted on.

What the tools do, and what a session is for, it does not know.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from evalkit.agent.model_client import Message, Model, Reply, StopReason, ToolCall, ToolSpec
from evalkit.agent.plan import Budget, Spent
from evalkit.agent.session import Closing, Session, SessionDirectory, Turn, answer
from evalkit.core.errors import ContextFull
from evalkit.core.values import Json, canonical

EventKind: TypeAlias = Literal[
    "session", "delta", "words", "tool", "result", "wait", "task", "verdict", "end"
]
Reason: TypeAlias = Literal[
    "finished", "budget", "session budget", "refused", "stuck", "context full", "cut off"
]
"""``budget`` leaves the session open: with a larger budget it goes on where it was."""

MAX_TOKENS = 32_000
"""Of one answer, thinking included."""

LINE = 160
"""Characters of what is told on one line."""

MOST_CUT_OFF = 3
MOST_REPEATS = 4
"""Times that a session may ask for the very same and be told the very same."""

CUT_OFF_CALL = (
    "your answer was cut off at its token limit before this call was complete; nothing was done. "
    "Repeat it in smaller parts."
)
INTERRUPTED_CALL = (
    "this was interrupted while it ran, and was not run again. Go on without it, or try a smaller "
    "step."
)
GO_ON = "Your answer was cut off at its token limit. Go on from there, in smaller parts."
AGAIN = "\n(The same call gave the same result before. Do something else.)"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that just happened, for whoever watches: a terminal, a page, nobody.

    Attributes:
        kind: A session starts; the model writes a piece of its words, has said them whole; it uses
            a tool; the tool's result is there; the program waits; a task's status changed; the
            suite was verified; a session ended.
        text: The same in words, on one line where it is not the model's or a verdict.
        session: The session's number; 0 where none runs.
        task_id: The task; empty where none is meant.
        spent: What all sessions have spent so far; None where it is as before.
    """

    kind: EventKind
    text: str
    session: int = 0
    task_id: str = ""
    spent: Spent | None = None


Watch: TypeAlias = Callable[[Event], None]
"""Told of every event, in the thread that works; what it raises ends the work, resumably."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended: why, and the same in words (the last words where it finished)."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, from outside: milliseconds since the epoch, and seconds that only ever grow."""

    now_ms: Callable[[], int]
    seconds: Callable[[], float]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave, or what is wrong and what to do instead."""

    text: str
    is_error: bool = False


class Tools(Protocol):
    """The tools of one session."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as a model is told of them."""
        ...

    @property
    def done(self) -> str:
        """What the session was for, once it is done; empty until then."""
        ...

    def run(self, call: ToolCall) -> ToolResult:
        """Use one of them; what the model may not know or do is said in the result."""
        ...


class Loop:
    """Lets a model work with tools until it is done or may not go on.

    Args:
        model: Whoever answers.
        tools: What it may use.
        session: Where every answer is kept.
        budget: What may be spent.
        watch: Told what happens.
        clock: The time.
    """

    def __init__(
        self,
        model: Model,
        tools: Tools,
        session: SessionDirectory,
        budget: Budget,
        watch: Watch,
        clock: Clock,
    ) -> None:
        self._model = model
        self._tools = tools
        self._directory = session
        self._budget = budget
        self._watch = watch
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self._cut_off = 0
        self._tools_s: dict[str, float] = {}

    def run(self, number: int, system: str, opening: str) -> Ending:
        """Lead a session to its end; one that was interrupted goes on where it was.

        Args:
            number: The session's number; its journal has started.
            system: What the model is and is to do.
            opening: The first message; in a conversation, what the person says next.

        Raises:
            ModelError: there is no answer.
            StoreError: MLflow failed.
        """
        session = self._directory.sessions()[number]
        messages = session.messages
        since = self._clock.seconds()
        step = self._resumed(session, opening)
        while not isinstance(step, Ending):
            if over := self._out_of_budget(number):
                step = over
                break
            reply = self._ask(number, system, messages, step, since)
            since = self._clock.seconds()
            messages += [*step, answer(reply)]
            step = self._answered(number, reply)
        # a conversation is open until it no longer fits: the person may go on with it
        is_talk = session.opening.kind == "interactive" and step.reason != "context full"
        if step.reason != "budget" and not is_talk:
            self._directory.end(number, Closing(step.reason, step.detail, self._clock.now_ms()))
        early = "" if step.reason == "finished" else f": {one_line(step.detail)}"
        self._tell("end", f"{step.reason}{early}", number)
        return step

    def _resumed(self, session: Session, opening: str) -> list[Message] | Ending:
        """What the next call adds to the conversation as it is kept."""
        said: list[Message] = [{"role": "user", "content": opening}]
        if not session.turns:
            return said
        last, number = session.turns[-1], session.opening.number
        if session.opening.kind != "interactive":
            with self._directory.resuming(number, last.number) as advisable:
                if advisable or not last.reply.tool_calls:
                    return self._answered(number, last.reply)
        elif not last.reply.tool_calls:
            return said
        results = [_block(c, ToolResult(INTERRUPTED_CALL, True)) for c in last.reply.tool_calls]
        if session.opening.kind == "interactive":
            results.append({"type": "text", "text": opening})
        return [{"role": "user", "content": results}]

    def _ask(
        self,
        number: int,
        system: str,
        messages: Sequence[Message],
        new: Sequence[Message],
        since: float,
    ) -> Reply:
        """The model's answer, kept."""
        session, total = self._directory.sessions()[number].spent, self._directory.spent()
        called, started_ms = self._clock.seconds(), self._clock.now_ms()
        try:
            reply = self._model.create(
                system=system,
                messages=[*messages, *new],
                tools=self._tools.specs,
                max_tokens=self._budget.output_tokens(MAX_TOKENS, session, total),
                on_text=lambda text: self._watch(Event("delta", text, number)),
            )
        except ContextFull as error:
            stop: StopReason = "model_context_window_exceeded"
            reply = Reply((), stop, error.usage, cost_usd=error.cost_usd, explanation=str(error))
        turn = Turn(
            len(self._directory.sessions()[number].turns) + 1,
            tuple(new),
            reply,
            started_ms,
            self._clock.seconds() - called,
            called - since,
            self._tools_s,
        )
        self._tools_s = {}
        self._directory.add(number, turn)
        return reply

    def _out_of_budget(self, number: int) -> Ending | None:
        if over := self._budget.over(self._directory.spent()):
            return Ending("budget", over)
        if over := self._budget.session_over(self._directory.sessions()[number].spent):
            return Ending("session budget", over)
        return None

    def _answered(self, number: int, reply: Reply) -> list[Message] | Ending:
        """What follows from an answer: the next messages, or the end."""
        if reply.text:
            self._tell("words", reply.text, number)
        match reply.stop_reason:
            case "refusal":
                return Ending("refused", reply.explanation or "the model refused to go on")
            case "model_context_window_exceeded":
                return Ending("context full", "the conversation no longer fits the model's window")
            case "max_tokens":
                return self._cut(reply)
            case "pause_turn":
                return []
        self._cut_off = 0
        if not reply.tool_calls:
            return Ending("finished", reply.text)
        results = [self._use(number, call) for call in reply.tool_calls]
        if self._tools.done:
            return Ending("finished", self._tools.done)
        if max(self._seen.values()) >= MOST_REPEATS:
            return Ending("stuck", f"the same call gave the same result {MOST_REPEATS} times")
        return [{"role": "user", "content": results}]

    def _cut(self, reply: Reply) -> list[Message] | Ending:
        self._cut_off += 1
        if self._cut_off > MOST_CUT_OFF:
            return Ending("cut off", f"{self._cut_off} answers in a row met their token limit")
        results = [_block(c, ToolResult(CUT_OFF_CALL, True)) for c in reply.tool_calls]
        return [{"role": "user", "content": results or GO_ON}]

    def _use(self, number: int, call: ToolCall) -> Json:
        asked = canonical(dict(call.arguments))
        self._tell("tool", f"{call.name} {one_line(asked)}", number)
        since = self._clock.seconds()
        result = self._tools.run(call)
        self._tools_s[call.call_id] = self._clock.seconds() - since
        key = canonical([call.name, asked, result.text])
        self._seen[key] += 1
        self._tell("result", one_line(result.text), number)
        if self._seen[key] > 1:
            result = ToolResult(result.text + AGAIN, result.is_error)
        return _block(call, result)

    def _tell(self, kind: EventKind, text: str, number: int) -> None:
        task_id = self._directory.sessions()[number].opening.task_id
        self._watch(Event(kind, text, number, task_id, self._directory.spent()))


def _block(call: ToolCall, result: ToolResult) -> Json:
    block: dict[str, Json] = {
        "type": "tool_result",
        "tool_use_id": call.call_id,
        "content": result.text or "(nothing)",
    }
    return block | ({"is_error": True} if result.is_error else {})


def one_line(text: str) -> str:
    """The text on one line of moderate length."""
    line = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\n", " ").replace('\\"', '"')
    return line if len(line) <= LINE else line[: LINE - 1] + "…"
