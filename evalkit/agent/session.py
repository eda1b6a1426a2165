"""A session directory: what the agent knows, kept so that it can be killed at any moment.

It may lie on a volume of Unity Catalog that is mounted, where files are written whole and nothing
is appended to, renamed or locked. So entries of the journal are written once, and the plan twice,
one after the other: a kill leaves at worst one file cut off, which is as if it was not written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

import msgspec

from evalkit.agent.folder import Folder
from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import Spent, Task
from evalkit.errors import InputError, Problem
from evalkit.files import folders_in
from evalkit.jsonable import Json, well_formed
from evalkit.suite.model import CHECKS_FILE, LIMITS_FILE, SCORERS_FILE
from evalkit.tracking import without_password

SessionKind: TypeAlias = Literal["initializer", "worker", "interactive"]
Reason: TypeAlias = Literal[
    "finished", "budget", "session budget", "refused", "stuck", "context full", "cut off"
]
"""``budget`` leaves the session open: with a larger budget it goes on where it was."""

T = TypeVar("T")

SESSIONS = "sessions"
ABOUT_FILE = "state/session.json"
PLAN_FILE = "eval_tasks.json"
PLAN_FILES = ("state/plan.json", PLAN_FILE)
ANALYSIS_FILE = "state/analysis.json"
VALIDATION_FILE = "state/validation_results.json"
NOTES_FILE = "state/notes.md"
KEPT_FILE = "state/kept.json"
WRITTEN = (SCORERS_FILE, LIMITS_FILE, CHECKS_FILE)
"""The files of a suite that a model, or rules, write; the program makes the others of them."""

FORM = 3
_JOURNAL = "state/journal/"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class About:
    """What a session directory is about; one of another form is not gone on with."""

    session_id: str  # its folder's name
    experiment: str
    experiment_id: str
    tracking_uri: str  # without a password, the same from any folder
    form: int = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered call: the messages since the last answer, and the answer."""

    number: int
    kind: SessionKind
    task_id: str  # empty but for workers
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


@dataclass(slots=True)
class AgentSession:
    """A session as its journal has it; it has no ending while it is open."""

    number: int  # from 1
    kind: SessionKind
    task_id: str
    turns: list[Turn] = field(default_factory=list)
    ending: Ending | None = None

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
            content = [*turn.reply.content] or [{"type": "text", "text": "(nothing)"}]
            said += [*turn.sent, {"role": "assistant", "content": content}]
        return said


class _Plan(TypedDict):
    tasks: tuple[Task, ...]


class SessionDirectory(Folder):
    """The files of one session directory."""

    def __init__(self, root: Path, about: About) -> None:
        super().__init__(root)
        self.about = about
        self._sessions: dict[int, AgentSession] | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The newest plan that was written whole; empty where there is none yet."""
        plans = (_decoded(self.read(path), _Plan) for path in PLAN_FILES)
        return next((plan["tasks"] for plan in plans if plan), ())

    def save_tasks(self, tasks: Iterable[Task]) -> None:
        """Keep the plan, where the next process and where people look for it."""
        plan = _Plan(tasks=(*tasks,))
        for path in PLAN_FILES:
            self.save(path, plan)

    def read_json(self, path: str) -> dict[str, Json]:
        """The object of a JSON file; empty where there is none, or it was cut off."""
        return _decoded(self.read(path), dict[str, Any]) or {}

    def save(self, path: str, value: object) -> None:
        """Keep a value as JSON that people read; nothing is written where it is kept already."""
        plain = well_formed(msgspec.to_builtins(value))
        content = (json.dumps(plain, indent=1, ensure_ascii=False) + "\n").encode()
        if self.read(path) != content:
            self.write(path, content)

    def files(self) -> dict[str, bytes]:
        """The files of the suite that were written, by path."""
        found = {name: self.read(name) for name in WRITTEN}
        return {name: content for name, content in found.items() if content is not None}

    @property
    def suite_hash(self) -> str:
        """What stands for these files: others, another hash."""
        return hashlib.sha256(repr(sorted(self.files().items())).encode()).hexdigest()

    # -- the journal --------------------------------------------------------------------------

    def sessions(self) -> dict[int, AgentSession]:
        """All sessions by number, as far as they came."""
        if self._sessions is None:
            self._sessions = {}
            folders = {name.split("/")[2] for name in self.names(_JOURNAL)}
            for number in sorted(map(int, filter(str.isdecimal, folders))):
                turns: list[Turn] = []
                while turn := _decoded(self.read(_entry(number, len(turns) + 1)), Turn):
                    turns.append(turn)
                ending = _decoded(self.read(_entry(number, "closing")), Ending)
                if turns:
                    known = AgentSession(number, turns[0].kind, turns[0].task_id, turns, ending)
                    self._sessions[number] = known
        return self._sessions

    def spent(self) -> Spent:
        """What all sessions cost together."""
        return sum((session.spent for session in self.sessions().values()), Spent())

    def start(self, kind: SessionKind, task_id: str) -> AgentSession:
        """The last session of that kind and task where it was interrupted, else a new one."""
        known = self.sessions()
        alike = [s for s in known.values() if (s.kind, s.task_id) == (kind, task_id)]
        if alike and alike[-1].ending is None:
            return alike[-1]
        session = AgentSession(max(known, default=0) + 1, kind, task_id)
        known[session.number] = session
        return session

    def add(self, session: AgentSession, turn: Turn) -> None:
        """A call was answered; what once followed one that was spoiled follows it no more."""
        self.delete(_entry(session.number, turn.number + 1))
        self.delete(_entry(session.number, "closing"))
        self.save(_entry(session.number, turn.number), turn)
        session.turns.append(turn)

    def end(self, session: AgentSession, ending: Ending) -> None:
        """A session is over."""
        self.save(_entry(session.number, "closing"), ending)
        session.ending = ending


def _decoded(content: bytes | None, kind: type[T]) -> T | None:
    """The value of a JSON file; None where it is not there, cut off, or another thing."""
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except msgspec.DecodeError:
        return None


def _entry(number: int, part: int | str) -> str:
    return f"{_JOURNAL}{number:03}/{part if isinstance(part, str) else f'{part:04}'}.json"


# -- where session directories lie ------------------------------------------------------------


def find_session(base: str | None, session_id: str) -> SessionDirectory | None:
    """A session directory that is there; None where there is none of that id.

    ``base`` is where session directories lie, None for the working directory, here as elsewhere.

    Raises:
        InputError: the id is none, or its directory is of an earlier evalkit or cannot be read.
    """
    if not _ID.fullmatch(session_id):
        fix = "the name of a folder in `sessions`: letters, digits, '-', '_' and '.'"
        raise InputError(Problem(f"{session_id!r} is no session", field="--session", fix=fix))
    folder = Folder(_place(base, session_id))
    about = _decoded(folder.read(ABOUT_FILE), About)
    if about and about.form != FORM:
        what = f"the session {session_id} was led by another version of evalkit"
        fix = "start a new session; the suite of this one can still be run by hand"
        raise InputError(Problem(what, folder.location, field="--session", fix=fix))
    return SessionDirectory(_place(base, session_id), about) if about else None


def sessions_about(
    base: str | None, experiment_id: str, tracking_uri: str
) -> Iterator[SessionDirectory]:
    """The sessions about an experiment of an MLflow, the newest first by their usual names."""
    here = (experiment_id, _lasting(tracking_uri))
    for session_id in reversed(folders_in(_place(base))):
        try:
            session = find_session(base, session_id)
        except InputError:
            continue  # of another form, or spoiled
        if session and (session.about.experiment_id, session.about.tracking_uri) == here:
            yield session


def new_id(experiment: str) -> str:
    """An id for a new session: the time, and what it is about."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", experiment).strip("-").lower()[:40].strip("-")
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{words}".rstrip("-")


def start_session(
    base: str | None, session_id: str, experiment: str, experiment_id: str, tracking_uri: str
) -> SessionDirectory:
    """A session directory that nobody has started yet, made now; an InputError where it cannot."""
    about = About(session_id, experiment, experiment_id, _lasting(tracking_uri), FORM)
    session = SessionDirectory(_place(base, session_id), about)
    if session.read(ABOUT_FILE) is not None:
        what, fix = f"its {ABOUT_FILE} is spoiled", "start a new session"
        raise InputError(Problem(what, session.location, field="--session", fix=fix))
    session.save(ABOUT_FILE, about)
    return session


def _lasting(uri: str) -> str:
    """The tracking URI without a password, so that it means the same from any folder."""
    scheme, separator, path = without_password(uri).partition(":///")
    if separator and scheme.startswith("sqlite"):
        return f"{scheme}:///{Path(path).resolve()}"
    return without_password(uri)


def _place(base: str | None, session_id: str = "") -> Path:
    return Path(base or ".") / SESSIONS / session_id
