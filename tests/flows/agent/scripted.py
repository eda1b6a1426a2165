"""A model that does what a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from evalkit.core.agent.conversation import Message, Reply, StopReason, ToolSpec
from evalkit.core.usage import Usage

Step = Reply | BaseException | Callable[[Sequence[Message]], Reply]

_ids = count(1)


def says(text: str, stop_reason: StopReason = "end_turn", **more: Any) -> Reply:
    """An answer in words."""
    return Reply(({"type": "text", "text": text},), stop_reason, Usage(100, 10), "scripted", **more)


def uses(*calls: tuple[str, dict[str, Any]], stop_reason: StopReason = "tool_use") -> Reply:
    """An answer that asks for tools."""
    blocks = tuple(
        {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": given}
        for name, given in calls
    )
    return Reply(blocks, stop_reason, Usage(100, 10), "scripted")


class ScriptedModel:
    """Takes the next step of a script at each call; keeps what it was asked.

    Attributes:
        asked: The messages of every call.
    """

    name = "scripted"
    is_priced = True

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.asked: list[list[Message]] = []

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,
    ) -> Reply:
        assert system
        assert tools is not None
        assert max_tokens > 0
        self.asked.append(list(messages))
        assert self._steps, "the script is over"
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, Reply) else step(messages)

    @property
    def left(self) -> int:
        """Steps that were not taken."""
        return len(self._steps)
