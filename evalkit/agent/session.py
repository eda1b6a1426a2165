"""A session directory: what the agent knows, kept so that it can be killed at any moment.

It may lie on a volume of Unity Catalog, where files are written whole and nothing is appended to,
renamed or locked. What matters is never changed in place: entries of the journal
are written once, and a numbered snapshot of the plan precedes the file that people read. So a kill
leaves at worst one file cut off, which is then as if it had not been written.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import msgspec

from evalkit.agent.model_client import Message, Reply
from evalkit.agent.plan import Plan, Spent
from evalkit.core.values import Json, to_json, well_formed
from evalkit.suite.model import LIMITS_FILE, SCORERS_FILE

if TYPE_CHECKING:
    from evalkit.adapters.databricks.volume import VolumeFolder
    from evalkit.adapters.files.local_folder import LocalFolder

SessionKind: TypeAlias = Literal["initializer", "worker", "interactive"]
Folder: TypeAlias = "LocalFolder | VolumeFolder"
T = TypeVar("T")

ABOUT_FILE = "state/session.json"
PLAN_FILE = "eval_tasks.json"
ANALYSIS_FILE = "state/analysis.json"
VALIDATION_FILE = "state/validation_results.json"
NOTES_FILE = "state/notes.md"
KEPT_FILE = "state/kept.json"
WRITTEN = (SCORERS_FILE, LIMITS_FILE)
"""The files of a suite that a model, or rules, write; the program makes the others of them."""

_JOURNAL = "state/journal/"
_SNAPSHOTS = "state/plan/"
_KEPT_SNAPSHOTS = 3


@dataclass(frozen=True, slots=True)
class About:
    """What a session directory is about; ``session_id`` is its folder's name.

    ``tracking_uri`` is without a password; ``form`` is the directory's, see
    :mod:`evalkit.agent.location`.
    """

    session_id: str
    experiment: str
    experiment_id: str
    tracking_uri: str
    form: int = 1


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session started: its number from 1, its task (empty for the initializer), the model."""

    number: int
    kind: SessionKind
    task_id: str
    model: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered call: the messages since the last answer, and the answer.

    ``seconds`` is how long it took, ``before_s`` what passed before it since the last answer, and
    ``tools_s`` how long each tool took of that, by its call's id.
    """

    number: int
    sent: tuple[Message, ...]
    reply: Reply
    started_ms: int
    seconds: float
    before_s: float = 0.0
    tools_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a session ended: a word of ``loop.Reason``, the same in words, when."""

    reason: str
    detail: str
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its journal has it; ``closing`` is None while it is open."""

    opening: Opening
    turns: tuple[Turn, ...] = ()
    closing: Closing | None = None

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


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 10**6


class SessionDirectory:
    """The files of one session directory."""

    def __init__(self, folder: Folder, about: About) -> None:
        self.folder = folder
        self.about = about
        self._sessions: dict[int, Session] | None = None
        self._spoiled: dict[int, list[str]] = {}

    # -- plan and files -----------------------------------------------------------------------

    def plan(self) -> Plan | None:
        """The newest plan that was written whole; None where there is none yet."""
        names = (*reversed(self.folder.names(_SNAPSHOTS)), PLAN_FILE)
        return next(filter(None, (decoded(self.folder.read(name), Plan) for name in names)), None)

    def save_plan(self, plan: Plan) -> None:
        """Keep the plan; nothing is written where it is the one that is kept."""
        known, content = self.folder.names(_SNAPSHOTS), plan.as_bytes()
        if not known or self.folder.read(known[-1]) != content:
            number = int(known[-1].removeprefix(_SNAPSHOTS).split(".")[0]) + 1 if known else 1
            self.folder.write(f"{_SNAPSHOTS}{number:06}.json", content)
            for name in known[: 1 - _KEPT_SNAPSHOTS]:
                self.folder.delete(name)
        if self.folder.read(PLAN_FILE) != content:
            self.folder.write(PLAN_FILE, content)

    def read_json(self, path: str) -> dict[str, Json]:
        """The object of a JSON file; empty where there is none, or it was cut off."""
        try:
            found = json.loads(self.folder.read(path) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def write_json(self, path: str, value: Mapping[str, Json]) -> None:
        """Keep an object as a JSON file; nothing is written where it is the one that is kept."""
        text = json.dumps(well_formed(to_json(dict(value))), indent=1, ensure_ascii=False) + "\n"
        if self.folder.read(path) != text.encode():
            self.folder.write(path, text.encode())

    def files(self) -> dict[str, bytes]:
        """The files of the suite that were written, by path."""
        found = {name: self.folder.read(name) for name in WRITTEN}
        return {name: content for name, content in found.items() if content is not None}

    @property
    def suite_hash(self) -> str:
        """What stands for these files: others, another hash."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files().items()):
            digest.update(f"{name}:{len(content)}:".encode() + content)
        return digest.hexdigest()

    # -- the journal --------------------------------------------------------------------------

    def sessions(self) -> dict[int, Session]:
        """All sessions by number, as far as they came."""
        if self._sessions is None:
            self._sessions = dict(self._read_sessions())
        return self._sessions

    def spent(self) -> Spent:
        """What all sessions cost together."""
        return sum((session.spent for session in self.sessions().values()), Spent())

    def start(self, opening: Opening) -> None:
        """A session starts."""
        self._write(opening.number, "opening", opening)
        self.sessions()[opening.number] = Session(opening)

    def add(self, number: int, turn: Turn) -> None:
        """A call was answered; what once followed a turn that was spoiled goes."""
        for name in self._spoiled.pop(number, ()):
            self.folder.delete(name)
        self._write(number, f"{turn.number:04}", turn)
        known = self.sessions()[number]
        self.sessions()[number] = replace(known, turns=(*known.turns, turn))

    def end(self, number: int, closing: Closing) -> None:
        """A session is over."""
        self._write(number, "closing", closing)
        self.sessions()[number] = replace(self.sessions()[number], closing=closing)

    @contextmanager
    def resuming(self, number: int, turn: int) -> Iterator[bool]:
        """While what a turn asked for is run once more; whether that is advisable.

        It is not where the program ended in the midst of such a second time: then what is run may
        be why.
        """
        mark = f"{_JOURNAL}{number:03}/{turn:04}-resuming.json"
        yield self.folder.claim(mark, b"{}\n")
        self.folder.delete(mark)

    def _write(self, number: int, part: str, entry: Opening | Turn | Closing) -> None:
        text = json.dumps(well_formed(to_json(asdict(entry))), indent=1) + "\n"
        self.folder.write(f"{_JOURNAL}{number:03}/{part}.json", text.encode())

    def _read_sessions(self) -> Iterator[tuple[int, Session]]:
        parts: dict[int, dict[str, bytes]] = {}
        for name in self.folder.names(_JOURNAL):
            number, _, part = name.removeprefix(_JOURNAL).partition("/")
            if number.isdecimal() and part.endswith(".json"):
                content = self.folder.read(name) or b""
                parts.setdefault(int(number), {})[part.removesuffix(".json")] = content
        for at, files in sorted(parts.items()):
            if session := _session_of(at, files):
                yield at, session
                turns = sorted(part for part in files if part.isdecimal())[len(session.turns) :]
                self._spoiled[at] = [f"{_JOURNAL}{at:03}/{part}.json" for part in turns]


def _session_of(number: int, files: Mapping[str, bytes]) -> Session | None:
    """A session of its files by name; None where nothing was answered.

    A turn that is cut off was not answered as far as anybody knows; it and what follows is left
    out. A session whose opening is lost is about nothing that is known, but what it cost counts.
    """
    turns: list[Turn] = []
    while turn := decoded(files.get(f"{len(turns) + 1:04}"), Turn):
        turns.append(turn)
    opening = decoded(files.get("opening"), Opening)
    if opening is None:
        if not turns:
            return None
        opening = Opening(number, "worker", "unknown", turns[0].reply.model, turns[0].started_ms)
    return Session(opening, tuple(turns), decoded(files.get("closing"), Closing))


def decoded(content: bytes | None, kind: type[T]) -> T | None:
    """The value of a JSON file; None where it is not there, cut off, or another thing."""
    try:
        return msgspec.json.decode(content or b"", type=kind)
    except msgspec.DecodeError:
        return None
