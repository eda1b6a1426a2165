"""A session directory: what the agent knows, kept so that it can be killed at any moment.

It may lie on a volume of Unity Catalog, where files are written whole and nothing is appended to,
renamed or locked. So entries of the journal are written once, and the plan twice, one after the
other: a kill leaves at worst one file cut off, which is then as if it had not been written.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from evalkit.agent.folder import Folder
from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import Plan, Spent
from evalkit.jsonable import Json, to_json, well_formed
from evalkit.suite.model import CHECKS_FILE, LIMITS_FILE, SCORERS_FILE

SessionKind: TypeAlias = Literal["initializer", "worker", "interactive"]
Reason: TypeAlias = Literal[
    "finished", "budget", "session budget", "refused", "stuck", "context full", "cut off"
]
"""``budget`` leaves the session open: with a larger budget it goes on where it was."""

T = TypeVar("T")

ABOUT_FILE = "state/session.json"
PLAN_FILE = "eval_tasks.json"
PLAN_COPY = "state/plan.json"
ANALYSIS_FILE = "state/analysis.json"
VALIDATION_FILE = "state/validation_results.json"
NOTES_FILE = "state/notes.md"
KEPT_FILE = "state/kept.json"
WRITTEN = (SCORERS_FILE, LIMITS_FILE, CHECKS_FILE)
"""The files of a suite that a model, or rules, write; the program makes the others of them."""

FORM = 2
_JOURNAL = "state/journal/"


@dataclass(frozen=True, slots=True)
class About:
    """What a session directory is about; one of another form is not gone on with."""

    session_id: str  # its folder's name
    experiment: str
    experiment_id: str
    tracking_uri: str  # without a password
    form: int = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered call: the messages since the last answer, and the answer."""

    number: int
    sent: tuple[Message, ...]
    reply: Reply
    started_ms: int
    seconds: float
    before_s: float = 0.0  # since the last answer
    tools_s: Mapping[str, float] = field(default_factory=dict)  # of that, by each call's id


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended: why, and the same in words (the last words where it finished)."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its journal has it."""

    number: int  # from 1
    kind: SessionKind
    task_id: str  # empty but for workers
    model: str
    started_ms: int
    turns: tuple[Turn, ...] = ()
    ending: Ending | None = None  # while it is open

    @property
    def spent(self) -> Spent:
        """What it cost so far."""
        spent = Spent()
        for turn in self.turns:
            usd, seconds = turn.reply.cost_usd, turn.seconds + turn.before_s
            spent += Spent(1, turn.reply.usage, usd or 0.0, int(usd is None), seconds)
        return spent

    @property
    def messages(self) -> list[Message]:
        """The conversation so far; it ends with an answer, of which one without words says so."""
        said: list[Message] = []
        for turn in self.turns:
            content: list[Json] = [dict(block) for block in turn.reply.content]
            content = content or [{"type": "text", "text": "(nothing)"}]
            said += [*turn.sent, {"role": "assistant", "content": content}]
        return said


class SessionDirectory:
    """The files of one session directory."""

    def __init__(self, folder: Folder, about: About) -> None:
        self.folder, self.about = folder, about
        self._sessions: dict[int, Session] | None = None

    def plan(self) -> Plan | None:
        """The newest plan that was written whole; None where there is none yet."""
        return self._read(PLAN_COPY, Plan) or self._read(PLAN_FILE, Plan)

    def save_plan(self, plan: Plan) -> None:
        """Keep the plan, where the next process and where people look for it."""
        self.save(PLAN_COPY, plan)
        self.save(PLAN_FILE, plan)

    def read_json(self, path: str) -> dict[str, Json]:
        """The object of a JSON file; empty where there is none, or it was cut off."""
        return self._read(path, dict[str, Any]) or {}

    def save(self, path: str, value: object) -> None:
        """Keep a value as a JSON file; nothing is written where it is the one that is kept."""
        content = as_bytes(value)
        if self.folder.read(path) != content:
            self.folder.write(path, content)

    def files(self) -> dict[str, bytes]:
        """The files of the suite that were written, by path."""
        found = {name: self.folder.read(name) for name in WRITTEN}
        return {name: content for name, content in found.items() if content is not None}

    @property
    def suite_hash(self) -> str:
        """What stands for these files: others, another hash."""
        return hashlib.sha256(repr(sorted(self.files().items())).encode()).hexdigest()

    # -- the journal --------------------------------------------------------------------------

    def sessions(self) -> dict[int, Session]:
        """All sessions by number, as far as they came."""
        if self._sessions is None:
            names = self.folder.names(_JOURNAL)
            numbers = {name.removeprefix(_JOURNAL).partition("/")[0] for name in names}
            found = map(self._session, sorted(map(int, filter(str.isdecimal, numbers))))
            self._sessions = {session.number: session for session in filter(None, found)}
        return self._sessions

    def spent(self) -> Spent:
        """What all sessions cost together."""
        return sum((session.spent for session in self.sessions().values()), Spent())

    def start(self, kind: SessionKind, task_id: str, model: str) -> Session:
        """The last session of that kind and task where it was interrupted, else a new one."""
        known = self.sessions()
        alike = [s for s in known.values() if (s.kind, s.task_id) == (kind, task_id)]
        if alike and alike[-1].ending is None:
            return alike[-1]
        session = Session(max(known, default=0) + 1, kind, task_id, model, time.time_ns() // 10**6)
        self.save(_entry(session.number, "opening"), session)
        known[session.number] = session
        return session

    def add(self, number: int, turn: Turn) -> None:
        """A call was answered; what once followed one that was spoiled follows it no more."""
        self.folder.delete(_entry(number, f"{turn.number + 1:04}"))
        self.folder.write(_entry(number, f"{turn.number:04}"), as_bytes(turn))
        known = self.sessions()[number]
        self.sessions()[number] = replace(known, turns=(*known.turns, turn))

    def end(self, number: int, ending: Ending) -> None:
        """A session is over."""
        self.save(_entry(number, "closing"), ending)
        self.sessions()[number] = replace(self.sessions()[number], ending=ending)

    def _session(self, number: int) -> Session | None:
        """A session of its files; of one whose opening is lost, what it cost counts."""
        turns: list[Turn] = []
        while turn := self._read(_entry(number, f"{len(turns) + 1:04}"), Turn):
            turns.append(turn)
        session = self._read(_entry(number, "opening"), Session)
        if session is None and turns:
            first = turns[0]
            session = Session(number, "worker", "unknown", first.reply.model, first.started_ms)
        ending = self._read(_entry(number, "closing"), Ending)
        return session and replace(session, turns=tuple(turns), ending=ending)

    def _read(self, path: str, kind: type[T]) -> T | None:
        return decoded(self.folder.read(path), kind)


def as_bytes(value: object) -> bytes:
    """A value as JSON text that a person reads."""
    plain = well_formed(to_json(msgspec.to_builtins(value)))
    return (json.dumps(plain, indent=1, ensure_ascii=False) + "\n").encode()


def decoded(content: bytes | None, kind: type[T]) -> T | None:
    """The value of a JSON file; None where it is not there, cut off, or another thing."""
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except msgspec.DecodeError:
        return None


def _entry(number: int, part: str) -> str:
    return f"{_JOURNAL}{number:03}/{part}.json"
