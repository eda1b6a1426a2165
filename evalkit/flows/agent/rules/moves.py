"""What the rules do next: tools to use, or words to end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.core.values import Json


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to use.

    Attributes:
        tool: Its name.
        arguments: What it is given.
    """

    tool: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Move:
    """One answer.

    Attributes:
        words: What is said.
        calls: The tools to use, one after the other; none ends the session.
    """

    words: str
    calls: tuple[Call, ...] = ()


def use(words: str, *calls: tuple[str, Mapping[str, Json]]) -> Move:
    """An answer that uses tools."""
    return Move(words, tuple(Call(tool, arguments) for tool, arguments in calls))
