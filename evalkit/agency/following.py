"""The agent's work as a page follows it: what it is at, its tasks, its last steps, its spending."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalkit.agency import placing
from evalkit.core.agent.budget import Spent
from evalkit.core.agent.task import Plan

if TYPE_CHECKING:
    from evalkit.flows.agent.events import Event

STEPS_KEPT = 12


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the agent did.

    Attributes:
        kind: ``words`` that the model said, the use of a ``tool``, or a ``wait``.
        text: What it was.
        outcome: What came of it; empty where nothing has yet.
    """

    kind: str
    text: str
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """The work as it is at one moment.

    Attributes:
        doing: What the present session is about; empty before the first.
        session: Its number; 0 before the first.
        plan: The tasks; None while there are none.
        steps: The last steps, the newest last.
        spent: What all sessions of the directory cost so far.
    """

    doing: str = ""
    session: int = 0
    plan: Plan | None = None
    steps: tuple[Step, ...] = ()
    spent: Spent = field(default_factory=Spent)


class Progress:
    """Notes what the agent does; tells of it in any thread.

    The tasks are read in the session directory, where they are written before they are told of.
    """

    def __init__(self, base: str | None, session_id: str | None) -> None:
        """Remember which session; nothing is read yet.

        Args:
            base: Where session directories lie; None for the working directory.
            session_id: The session, begun or not; None for one that is not known yet, whose tasks
                are then not told.
        """
        self._base = base
        self._session_id = session_id
        self._steps: deque[Step] = deque(maxlen=STEPS_KEPT)
        self._moment = Moment()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Note an event.

        Raises:
            InputError: the session directory cannot be read.
        """
        plan = self._plan() if event.kind in {"session", "task", "end"} else None
        with self._lock:
            self._note(event)
            self._moment = replace(
                self._moment,
                plan=plan or self._moment.plan,
                steps=tuple(self._steps),
                spent=event.spent or self._moment.spent,
            )

    def moment(self) -> Moment:
        """The work as it is now."""
        with self._lock:
            return self._moment

    def _note(self, event: Event) -> None:
        match event.kind:
            case "session":
                self._steps.clear()
                self._moment = replace(self._moment, doing=event.text, session=event.session)
            case "result" if self._steps:
                self._steps.append(replace(self._steps.pop(), outcome=event.text))
            case "words" | "tool" | "wait":
                self._steps.append(Step(event.kind, event.text))

    def _plan(self) -> Plan | None:
        from evalkit.flows.agent.directory import SessionDirectory

        if self._session_id is None:
            return None
        folder = placing.existing(self._base, self._session_id)
        return SessionDirectory(folder).plan() if folder else None
