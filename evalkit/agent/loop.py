"""One session: a model, its tools, and a budget; every answer is kept before it is acted on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import LEAST_TOKENS, Limits, Spent, Task
from evalkit.agent.session import AgentSession, Ending, Reason, Turn
from evalkit.agent.tools import SessionTools
from evalkit.agent.work import Event, ToolResult, Work, prompt
from evalkit.errors import ContextFull
from evalkit.jsonable import Json, canonical, truncate

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

    def __init__(self, work: Work, session: AgentSession, task: Task) -> None:
        self._work, self._session = work, session
        self._tools = SessionTools(work, session.kind, task)
        self._is_talk = session.kind == "interactive"
        self._seen: Counter[str] = Counter()
        self._cut_off = 0
        self._tools_s: dict[str, float] = {}
        self._since = time.monotonic()

    def run(self, *opening: str) -> Ending:
        """Lead the session to its end; one that was interrupted goes on where it was.

        ``opening`` is the first message; in a conversation, what the person says next comes last.
        """
        last = self._session.turns[-1].reply if self._session.turns else Reply((), "")
        if self._session.turns and not self._is_talk:
            step = self._answered(last)
        else:
            undone = [_block(call, UNDONE) for call in last.tool_calls]
            step = [_said([*undone, *({"type": "text", "text": text} for text in opening)])]
        while not isinstance(step, Ending):
            step = self._over() or self._answered(self._ask(step))
        # a conversation is open until it no longer fits: the person may go on with it
        is_open = self._is_talk and step.reason != "context full"
        if step.reason != "budget" and not is_open:
            self._work.session.end(self._session, step)
        early = "" if step.reason == "finished" else f": {truncate(step.detail, LINE)}"
        self._work.tell("end", f"{step.reason}{early}", self._session.number)
        return step

    def _budgets(self) -> Iterator[tuple[Reason, Limits, Spent]]:
        yield "budget", self._work.budget.total, self._work.session.spent()
        if not self._is_talk:
            yield "session budget", self._work.budget.session, self._session.spent

    def _over(self) -> Ending | None:
        """The end, where no budget has room for the next call."""
        for reason, limits, spent in self._budgets():
            whose = "the total" if reason == "budget" else "this session's"
            if over := limits.reached(spent, whose):
                return Ending(reason, over)
        return None

    def _ask(self, new: list[Message]) -> Reply:
        """The model's answer, kept."""
        session, model = self._session, self._work.model
        assert model is not None  # noqa: S101 - rules lead no sessions
        left = [of.tokens - spent.tokens for _, of, spent in self._budgets() if of.tokens]
        called, started_ms = time.monotonic(), time.time_ns() // 10**6
        try:
            reply = model.create(
                system=prompt(session.kind),
                messages=[*session.messages, *new],
                tools=self._tools.specs,
                max_tokens=max(LEAST_TOKENS, min([MAX_TOKENS, *left])),
                on_text=lambda text: self._work.watch(Event("delta", text, session.number)),
            )
        except ContextFull as error:
            full, cost = "model_context_window_exceeded", error.cost_usd
            reply = Reply((), full, error.usage, cost_usd=cost, explanation=str(error))
        since, self._since = self._since, time.monotonic()
        took, tools_s = (self._since - called, called - since), self._tools_s
        known = (len(session.turns) + 1, session.kind, session.task_id)
        turn = Turn(*known, tuple(new), reply, started_ms, *took, tools_s)
        self._tools_s = {}
        self._work.session.add(session, turn)
        return reply

    def _answered(self, reply: Reply) -> list[Message] | Ending:
        """What follows from an answer: the next messages, or the end."""
        if reply.text:
            self._work.tell("words", reply.text, self._session.number)
        match reply.stop_reason:
            case "refusal":
                return Ending("refused", reply.explanation or "the model refused to go on")
            case "model_context_window_exceeded":
                return Ending("context full", "the conversation no longer fits the model's window")
            case "pause_turn":
                return []
            case "max_tokens" if self._cut_off == MOST_CUT_OFF:
                many = f"{MOST_CUT_OFF + 1} answers in a row met their token limit"
                return Ending("cut off", many)
            case "max_tokens":
                self._cut_off += 1
                return [_said([_block(call, UNDONE) for call in reply.tool_calls] or GO_ON)]
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
        return [_said(results)]

    def _use(self, call: dict[str, Any]) -> ToolResult:
        name, number, started = call["name"], self._session.number, time.monotonic()
        asked = canonical(call["input"])
        self._work.tell("tool", f"{name} {truncate(asked, LINE)}", number)
        result = self._tools.run(name, call["input"])
        self._tools_s[call["id"]] = time.monotonic() - started
        self._work.tell("result", truncate(result.text, LINE), number)
        key = f"{name} {asked} {result.text}"
        self._seen[key] += 1
        again = AGAIN if self._seen[key] > 1 else ""
        return ToolResult(result.text + again, result.is_error)


def _said(content: Json) -> Message:
    return {"role": "user", "content": content}


def _block(call: dict[str, Any], result: ToolResult) -> Json:
    block: dict[str, Json] = {"type": "tool_result", "tool_use_id": call["id"]}
    block["content"] = result.text or "(nothing)"
    return block | ({"is_error": True} if result.is_error else {})
