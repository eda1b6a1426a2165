"""What the agent is doing, for whoever watches: a terminal, a page, nobody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.agent.budget import Spent

EventKind: TypeAlias = Literal["session", "words", "tool", "result", "wait", "check", "task", "end"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that just happened.

    Attributes:
        kind: A session begins; the model says words; it uses a tool; the tool's result is there;
            the program waits; it checks a task; a task's status changed; a session ended.
        text: The same in words, on one line where it is not the model's.
        session: The session's number; 0 where none runs.
        task_id: The task; empty where none is meant.
        spent: What all sessions have spent so far.
    """

    kind: EventKind
    text: str
    session: int = 0
    task_id: str = ""
    spent: Spent | None = None


Watch: TypeAlias = Callable[[Event], None]
"""Told of every event, in the thread that works; what it raises ends the work, resumably."""
