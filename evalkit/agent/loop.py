"""One session: a model, its tools, and a budget; every answer is kept before it is acted on.

What the tools do, and what a session is for, it does not know.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import LEAST_TOKENS
from evalkit.agent.session import Ending, Session, Turn
from evalkit.agent.tools import SessionTools, ToolResult
from evalkit.agent.work import Event, EventKind, Work
from evalkit.errors import ContextFull
from evalkit.jsonable import Json, canonical
from evalkit.truncation import truncate

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude

MAX_TOKENS = 32_000
"""Of one answer, thinking included."""

LINE = 160  # characters of what is told on one line
MOST_CUT_OFF = 3
MOST_REPEATS = 4
"""Times that a session may ask for the very same and be told the very same."""

UNDONE = ToolResult(
    "this was not done: your answer was cut off at its token limit before the call was complete, "
    "or you were interrupted. Try smaller steps, or go on without it.",
    is_error=True,
)
GO_ON = "Your answer was cut off at its token limit. Go on from there, in smaller parts."
AGAIN = "\n(The same call gave the same result before. Do something else.)"


class Loop:
    """Lets a model work with tools, in one session, until it is done or may not go on."""

    def __init__(self, model: Claude, work: Work, tools: SessionTools, number: int) -> None:
        self._model, self._work, self._tools, self._number = model, work, tools, number
        self._seen: Counter[str] = Counter()
        self._cut_off = 0
        self._tools_s: dict[str, float] = {}
        self._since = time.monotonic()

    @property
    def _session(self) -> Session:
        return self._work.session.sessions()[self._number]

    def run(self, system: str, *opening: str) -> Ending:
        """Lead the session to its end; one that was interrupted goes on where it was.

        ``opening`` is the first message; in a conversation, what the person says next comes last.
        """
        step = self._first(opening)
        while not isinstance(step, Ending):
            step = self._over() or self._answered(self._ask(system, step))
        # a conversation is open until it no longer fits: the person may go on with it
        is_talk = self._session.kind == "interactive" and step.reason != "context full"
        if step.reason != "budget" and not is_talk:
            self._work.session.end(self._number, step)
        early = "" if step.reason == "finished" else f": {truncate(step.detail, LINE)}"
        self._tell("end", f"{step.reason}{early}")
        return step

    def _first(self, opening: Sequence[str]) -> list[Message] | Ending:
        """What the first call adds to the conversation as it is kept."""
        session, content = self._session, list[Json]()
        if session.turns:
            last = session.turns[-1].reply
            if session.kind != "interactive":
                return self._answered(last)
            content += [_block(call, UNDONE) for call in last.tool_calls]
        content += [{"type": "text", "text": text} for text in opening]
        return [{"role": "user", "content": content}]

    def _over(self) -> Ending | None:
        """The end, where no budget has room for the next call."""
        budget, spent = self._work.budget, self._work.session.spent()
        for over in budget.total.reached(spent, "the total"):
            return Ending("budget", over)
        for over in budget.session.reached(self._session.spent, "this session's"):
            return Ending("session budget", over)
        return None

    def _ask(self, system: str, new: Sequence[Message]) -> Reply:
        """The model's answer, kept."""
        session, budget = self._session, self._work.budget
        pairs = ((budget.session, session.spent), (budget.total, self._work.session.spent()))
        left = [of.tokens - spent.tokens for of, spent in pairs if of.tokens is not None]
        called, started_ms = time.monotonic(), time.time_ns() // 10**6
        try:
            reply = self._model.create(
                system=system,
                messages=[*session.messages, *new],
                tools=self._tools.specs,
                max_tokens=max(LEAST_TOKENS, min([MAX_TOKENS, *left])),
                on_text=lambda text: self._work.watch(Event("delta", text, self._number)),
            )
        except ContextFull as error:
            full, cost = "model_context_window_exceeded", error.cost_usd
            reply = Reply((), full, error.usage, cost_usd=cost, explanation=str(error))
        since, self._since = self._since, time.monotonic()
        took = self._since - called, called - since
        turn = Turn(len(session.turns) + 1, tuple(new), reply, started_ms, *took, self._tools_s)
        self._tools_s = {}
        self._work.session.add(self._number, turn)
        return reply

    def _answered(self, reply: Reply) -> list[Message] | Ending:
        """What follows from an answer: the next messages, or the end."""
        if reply.text:
            self._tell("words", reply.text)
        match reply.stop_reason:
            case "refusal":
                return Ending("refused", reply.explanation or "the model refused to go on")
            case "model_context_window_exceeded":
                return Ending("context full", "the conversation no longer fits the model's window")
            case "max_tokens":
                self._cut_off += 1
                if self._cut_off > MOST_CUT_OFF:
                    many = f"{self._cut_off} answers in a row met their token limit"
                    return Ending("cut off", many)
                results = [_block(call, UNDONE) for call in reply.tool_calls]
                return [{"role": "user", "content": results or GO_ON}]
            case "pause_turn":
                return []
        self._cut_off = 0
        return self._worked(reply)

    def _worked(self, reply: Reply) -> list[Message] | Ending:
        """What the tools give that an answer asks for; the end where it asks for none."""
        if not reply.tool_calls:
            return Ending("finished", reply.text)
        results = [_block(call, self._use(call)) for call in reply.tool_calls]
        if self._tools.done:
            return Ending("finished", self._tools.done)
        if max(self._seen.values()) >= MOST_REPEATS:
            return Ending("stuck", f"the same call gave the same result {MOST_REPEATS} times")
        return [{"role": "user", "content": results}]

    def _use(self, call: dict[str, Any]) -> ToolResult:
        asked, started = canonical([call["name"], call["input"]]), time.monotonic()
        self._tell("tool", f"{call['name']} {truncate(canonical(call['input']), LINE)}")
        result = self._tools.run(call["name"], call["input"])
        self._tools_s[call["id"]] = time.monotonic() - started
        key = f"{asked}{result.text}"
        self._seen[key] += 1
        self._tell("result", truncate(result.text, LINE))
        again = AGAIN if self._seen[key] > 1 else ""
        return ToolResult(result.text + again, result.is_error)

    def _tell(self, kind: EventKind, text: str) -> None:
        self._work.watch(Event(kind, text, self._number, self._work.session.spent()))


def _block(call: dict[str, Any], result: ToolResult) -> Json:
    block: dict[str, Json] = {
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": result.text or "(nothing)",
    }
    return block | ({"is_error": True} if result.is_error else {})
