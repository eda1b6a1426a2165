"""Claude as it should be, for the scripted Messages API: it plans, writes and checks a suite.

What it says next follows from the conversation in the request alone, by the rules of the offline
model; so it survives whatever is killed on the other side. Twists put something else in its place
at chosen points::

    with messages_server(Competent(at("dataset", 1, Fault(529), Reply("Done.")))) as server:
        ...  # the second answer about the dataset: overloaded, then a claim, then as it should be
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from messages_server import Reply, Step

from evalkit.core.agent.conversation import ToolSpec
from evalkit.flows.agent.rules import OfflineModel
from evalkit.flows.agent.rules.hearing import heard

Body = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request, as far as it matters to a twist.

    Attributes:
        kind: ``initializer``, or the kind of the session's task.
        turn: Answers that the conversation holds already.
        body: The request.
    """

    kind: str
    turn: int
    body: Body

    @property
    def results(self) -> str:
        """What the tools gave last, and all else that the last message says."""
        return json.dumps(self.body["messages"][-1], ensure_ascii=False)

    @property
    def facts(self) -> dict[str, Any]:
        """What the program said that the session is about."""
        return dict(heard(self.body["messages"][:1]).facts)


Twist = Callable[[Asked], Step | None]
"""Gives what is answered instead; None where the competent answer is right."""


def at(kind: str, turn: int, *steps: Step) -> Twist:
    """At one point of sessions of a kind: these steps, one a request, then as it should be."""
    left = list(steps)
    return lambda asked: left.pop(0) if (asked.kind, asked.turn) == (kind, turn) and left else None


def always(kind: str, step: Step) -> Twist:
    """In sessions of a kind nothing but this."""
    return lambda asked: step if asked.kind == kind else None


def calls(*tools: tuple[str, dict[str, Any]], **more: Any) -> Reply:
    """An answer that asks for tools."""
    return Reply(tools=tools, **more)


def writes(path: str, content: str) -> Reply:
    """An answer that writes a file and has the task checked."""
    return calls(("write_file", {"path": path, "content": content}), ("check_task", {}))


class Competent:
    """A script of the Messages API; see the module.

    Attributes:
        asked: What it was asked, in order; requests that the API refuses are not among it.
    """

    def __init__(self, *twists: Twist, scorers: Iterable[str] = ("no_error",)) -> None:
        """Remember the twists.

        Args:
            twists: The first that gives something is taken.
            scorers: Those that are planned, of those that the rules would plan.
        """
        self.asked: list[Asked] = []
        self._twists = twists
        self._scorers = set(scorers)
        self._twisted: set[str] = set()

    def __call__(self, body: Body, number: int) -> Step:
        """The answer to a request."""
        asked = Asked(_kind(body), _answers(body), body)
        self.asked.append(asked)
        for twist in self._twists:
            if step := twist(asked):
                self._twisted.add(f"toolu_{number:03}_")
                return step
        return self._right(body)

    def _right(self, body: Body) -> Reply:
        tools = [ToolSpec(t["name"], t["description"], t["input_schema"]) for t in body["tools"]]
        answer = OfflineModel().create(
            system="", messages=self._untwisted(body["messages"]), tools=tools, max_tokens=1
        )
        given = [(call.name, dict(call.arguments)) for call in answer.tool_calls]
        return Reply(answer.text, tools=tuple(self._fewer(*each) for each in given))

    def _fewer(self, name: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The plan with the scorers of this test."""
        if name == "save_findings":
            kept = [each for each in given["scorers"] if each["name"] in self._scorers]
            assert len(kept) == len(self._scorers), "the rules plan other scorers"
            given = {**given, "scorers": kept}
        return name, given

    def _untwisted(self, messages: list[Body]) -> list[Body]:
        """The conversation without answers that are no doing of its own."""
        kept = messages[:1]
        for answer, results in pairwise(messages):
            content = answer["content"] if answer["role"] == "assistant" else []
            ids = [block["id"] for block in content if block["type"] == "tool_use"]
            if ids and not any(each[: len("toolu_000_")] in self._twisted for each in ids):
                kept += [answer, results]
        return kept


def _kind(body: Body) -> str:
    facts = heard(body["messages"][:1]).facts
    task = facts.get("task")
    return str(task["kind"] if isinstance(task, dict) else facts.get("session", "interactive"))


def _answers(body: Body) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])
