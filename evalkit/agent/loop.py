"""One session: a model, its tools, and a budget; every answer is kept before it is acted on.

What the tools do, and what a session is for, it does not know.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import Budget, Spent
from evalkit.agent.session import Closing, Session, SessionDirectory, Turn, now_ms
from evalkit.core.errors import ContextFull
from evalkit.core.values import Json, canonical

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude

EventKind: TypeAlias = Literal["session", "delta", "words", "tool", "result", "wait", "task", "end"]
"""``delta`` is a piece of the model's words, ``words`` all of an answer's."""

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

    ``text`` is on one line where it is not the model's; ``session`` is 0 where none runs; ``spent``
    is of all sessions so far, None where it is as before.
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
class ToolResult:
    """What a tool gave, or what is wrong and what to do instead."""

    text: str
    is_error: bool = False


class Tools(Protocol):
    """The tools of one session; ``done`` is what it was for, empty until it is done."""

    specs: ClassVar[tuple[dict[str, Json], ...]]
    done: str

    def run(self, name: str, arguments: Json) -> ToolResult:
        """Use one of them; what the model may not know or do is said in the result."""
        ...


class Loop:
    """Lets a model work with tools until it is done or may not go on; ``watch`` is told."""

    def __init__(
        self, model: Claude, tools: Tools, session: SessionDirectory, budget: Budget, watch: Watch
    ) -> None:
        self._model, self._tools, self._directory = model, tools, session
        self._budget, self._watch = budget, watch
        self._seen: Counter[str] = Counter()
        self._cut_off = 0
        self._tools_s: dict[str, float] = {}

    def run(self, number: int, system: str, *opening: str) -> Ending:
        """Lead a session to its end; one that was interrupted goes on where it was.

        Args:
            number: The session's number; its journal has started.
            system: What the model is and is to do.
            opening: The first message; in a conversation, what the person says next comes last.

        Raises:
            ModelError: there is no answer.
            StoreError: MLflow failed.
        """
        session = self._directory.sessions()[number]
        since = time.monotonic()
        step = self._resumed(session, opening)
        while not isinstance(step, Ending):
            if over := self._budget.over(self._directory.spent()):
                step = Ending("budget", over)
                break
            if over := self._budget.session_over(self._directory.sessions()[number].spent):
                step = Ending("session budget", over)
                break
            reply = self._ask(number, system, step, time.monotonic() - since)
            since = time.monotonic()
            step = self._answered(number, reply)
        # a conversation is open until it no longer fits: the person may go on with it
        is_talk = session.opening.kind == "interactive" and step.reason != "context full"
        if step.reason != "budget" and not is_talk:
            self._directory.end(number, Closing(step.reason, step.detail, now_ms()))
        early = "" if step.reason == "finished" else f": {one_line(step.detail)}"
        self._tell("end", f"{step.reason}{early}", number)
        return step

    def _resumed(self, session: Session, opening: Sequence[str]) -> list[Message] | Ending:
        """What the next call adds to the conversation as it is kept."""
        is_talk, content = session.opening.kind == "interactive", list[Json]()
        if session.turns:
            last, number = session.turns[-1], session.opening.number
            calls = last.reply.tool_calls
            if not is_talk:
                with self._directory.resuming(number, last.number) as advisable:
                    if advisable or not calls:
                        return self._answered(number, last.reply)
            content += [_block(call, ToolResult(INTERRUPTED_CALL, True)) for call in calls]
        if is_talk or not session.turns:
            content += [{"type": "text", "text": text} for text in opening]
        return [{"role": "user", "content": content}]

    def _ask(self, number: int, system: str, new: Sequence[Message], before_s: float) -> Reply:
        """The model's answer, kept."""
        session = self._directory.sessions()[number]
        called, started_ms = time.monotonic(), now_ms()
        try:
            reply = self._model.create(
                system=system,
                messages=[*session.messages, *new],
                tools=self._tools.specs,
                max_tokens=self._budget.output_tokens(
                    MAX_TOKENS, session.spent, self._directory.spent()
                ),
                on_text=lambda text: self._watch(Event("delta", text, number)),
            )
        except ContextFull as error:
            stop, cost = "model_context_window_exceeded", error.cost_usd
            reply = Reply((), stop, error.usage, cost_usd=cost, explanation=str(error))
        place, took_s = len(session.turns) + 1, time.monotonic() - called
        turn = Turn(place, tuple(new), reply, started_ms, took_s, before_s, self._tools_s)
        self._tools_s = {}
        self._directory.add(number, turn)
        return reply

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

    def _use(self, number: int, call: dict[str, Any]) -> Json:
        asked, name = canonical(call["input"]), call["name"]
        self._tell("tool", f"{name} {one_line(asked)}", number)
        since = time.monotonic()
        result = self._tools.run(name, call["input"])
        self._tools_s[call["id"]] = time.monotonic() - since
        key = canonical([name, asked, result.text])
        self._seen[key] += 1
        self._tell("result", one_line(result.text), number)
        if self._seen[key] > 1:
            result = ToolResult(result.text + AGAIN, result.is_error)
        return _block(call, result)

    def _tell(self, kind: EventKind, text: str, number: int) -> None:
        task_id = self._directory.sessions()[number].opening.task_id
        self._watch(Event(kind, text, number, task_id, self._directory.spent()))


def _block(call: dict[str, Any], result: ToolResult) -> Json:
    block: dict[str, Json] = {
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": result.text or "(nothing)",
    }
    return block | ({"is_error": True} if result.is_error else {})


def one_line(text: str) -> str:
    """The text on one line of moderate length."""
    line = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\n", " ").replace('\\"', '"')
    return line if len(line) <= LINE else line[: LINE - 1] + "…"
