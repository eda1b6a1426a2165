"""One session: a model, its tools, and a budget; every answer is kept before it is acted on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.agent.budget import Budget
from evalkit.core.agent.conversation import Message, Model, Reply, ToolCall
from evalkit.core.agent.journal import Closing, Session, Turn, answer, fingerprint
from evalkit.core.errors import ContextFull
from evalkit.core.values import Json, canonical
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.events import Event, Watch
from evalkit.flows.agent.toolbox import Toolbox, ToolResult

Reason: TypeAlias = Literal[
    "finished", "budget", "session budget", "refused", "stuck", "context full", "cut off"
]
"""``budget`` leaves the session open: with a larger budget it goes on where it was."""

MAX_TOKENS = 16_000
"""Of one answer."""

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
    "the program was interrupted twice while this ran; it was not run again. Go on without it, or "
    "try a smaller step."
)
GO_ON = "Your answer was cut off at its token limit. Go on from there, in smaller parts."
AGAIN = "\n(The same call gave the same result before. Do something else.)"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended.

    Attributes:
        reason: Why.
        detail: The same in words; the model's last words where it finished.
    """

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, from outside.

    Attributes:
        now_ms: Milliseconds since the epoch.
        seconds: Seconds that only ever grow.
    """

    now_ms: Callable[[], int]
    seconds: Callable[[], float]


class Loop:
    """Lets a model work with tools until it is done or may not go on."""

    def __init__(
        self,
        model: Model,
        toolbox: Toolbox,
        directory: SessionDirectory,
        budget: Budget,
        watch: Watch,
        clock: Clock,
    ) -> None:
        """Remember what a session needs; nothing happens yet.

        Args:
            model: Whoever answers.
            toolbox: The tools that it may use.
            directory: Where every answer is kept.
            budget: What may be spent.
            watch: Told what happens.
            clock: The time.
        """
        self._model = model
        self._toolbox = toolbox
        self._directory = directory
        self._budget = budget
        self._watch = watch
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self._cut_off = 0
        self._tools_s: dict[str, float] = {}

    def run(self, number: int, system: str, opening: str) -> Ending:
        """Lead a session to its end; one that was interrupted goes on where it was.

        Args:
            number: The session's number; its journal has begun.
            system: What the model is and is to do.
            opening: The first message.

        Raises:
            ModelError: there is no answer.
            StoreError: MLflow failed.
        """
        session = self._directory.sessions()[number]
        messages = session.messages
        began = self._clock.seconds()
        step = self._resumed(session, opening)
        while not isinstance(step, Ending):
            if over := self._out_of_budget(number):
                step = over
                break
            reply = self._ask(number, system, messages, step, began)
            began = self._clock.seconds()
            messages += [*step, answer(reply)]
            step = self._answered(number, reply)
        if step.reason != "budget":
            self._directory.end(number, Closing(step.reason, step.detail, self._clock.now_ms()))
        early = "" if step.reason == "finished" else f": {_line(step.detail)}"
        self._tell("end", f"{step.reason}{early}", number)
        return step

    def _resumed(self, session: Session, opening: str) -> list[Message] | Ending:
        """What the next call adds to the conversation as it is kept."""
        if not session.turns:
            return [{"role": "user", "content": opening}]
        last, number = session.turns[-1], session.opening.number
        if session.opening.kind == "interactive" and not last.reply.tool_calls:
            return [{"role": "user", "content": opening}]
        with self._directory.resuming(number, last.number) as advisable:
            if advisable or not last.reply.tool_calls:
                return self._answered(number, last.reply)
        results = [_result(c, ToolResult(INTERRUPTED_CALL, True)) for c in last.reply.tool_calls]
        return [{"role": "user", "content": results}]

    def _ask(
        self,
        number: int,
        system: str,
        messages: Sequence[Message],
        new: Sequence[Message],
        began: float,
    ) -> Reply:
        """The model's answer, kept."""
        session, total = self._directory.sessions()[number].spent, self._directory.spent()
        tools, asked = self._toolbox.specs, [*messages, *new]
        called, started_ms = self._clock.seconds(), self._clock.now_ms()
        try:
            reply = self._model.create(
                system=system,
                messages=asked,
                tools=tools,
                max_tokens=self._budget.output_tokens(MAX_TOKENS, session, total),
            )
        except ContextFull as error:
            reply = Reply(
                (),
                "model_context_window_exceeded",
                error.usage,
                cost_usd=error.cost_usd,
                explanation=str(error),
            )
        turn = Turn(
            len(self._directory.sessions()[number].turns) + 1,
            fingerprint(system, asked, tools),
            tuple(new),
            reply,
            started_ms,
            self._clock.seconds() - called,
            called - began,
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
        if max(self._seen.values()) >= MOST_REPEATS:
            return Ending("stuck", f"the same call gave the same result {MOST_REPEATS} times")
        return [{"role": "user", "content": results}]

    def _cut(self, reply: Reply) -> list[Message] | Ending:
        self._cut_off += 1
        if self._cut_off > MOST_CUT_OFF:
            return Ending("cut off", f"{self._cut_off} answers in a row met their token limit")
        results = [_result(c, ToolResult(CUT_OFF_CALL, True)) for c in reply.tool_calls]
        return [{"role": "user", "content": results or GO_ON}]

    def _use(self, number: int, call: ToolCall) -> Json:
        self._tell("tool", f"{call.name} {_line(canonical(dict(call.arguments)))}", number)
        began = self._clock.seconds()
        result = self._toolbox.run(call)
        self._tools_s[call.call_id] = self._clock.seconds() - began
        key = canonical([call.name, dict(call.arguments), result.text])
        self._seen[key] += 1
        self._tell("result", _line(result.text), number)
        if self._seen[key] > 1:
            result = ToolResult(result.text + AGAIN, result.is_error)
        return _result(call, result)

    def _tell(
        self, kind: Literal["words", "tool", "result", "end"], text: str, number: int
    ) -> None:
        task_id = self._directory.sessions()[number].opening.task_id
        self._watch(Event(kind, text, number, task_id, self._directory.spent()))


def _result(call: ToolCall, result: ToolResult) -> Json:
    block: dict[str, Json] = {
        "type": "tool_result",
        "tool_use_id": call.call_id,
        "content": result.text or "(nothing)",
    }
    return block | ({"is_error": True} if result.is_error else {})


def _line(text: str) -> str:
    """The text on one line of moderate length."""
    line = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\n", " ").replace('\\"', '"')
    return line if len(line) <= LINE else line[: LINE - 1] + "…"
