"""A session directory: what the agent knows, kept so that it can be killed at any moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from evalkit.core.agent.analysis import Analysis, analysis_text, read_analysis
from evalkit.core.agent.budget import Spent
from evalkit.core.agent.folder import Folder
from evalkit.core.agent.journal import (
    JOURNAL,
    Closing,
    Opening,
    Session,
    Turn,
    entry_text,
    file_of,
    read_session,
)
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE
from evalkit.core.agent.task import Plan, plan_text, read_plan

PLAN_FILE = "eval_tasks.json"
ANALYSIS_FILE = "state/analysis.json"
VALIDATION_FILE = "state/validation_results.json"
SUITE_FILES = (DATASET_FILE, SCORERS_FILE, SCRIPT_FILE)

_SNAPSHOTS = "state/plan/"
_KEPT_SNAPSHOTS = 3


class SessionDirectory:
    """The files of one session directory.

    A file is written whole and never changed in place where it matters: the journal's entries are
    written once, and of the plan a numbered snapshot precedes the file that people read. So a
    kill leaves at worst one file cut off, which is then as if it had not been written.

    Attributes:
        folder: Where they lie.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._sessions: dict[int, Session] | None = None
        self._lost: dict[int, list[str]] = {}

    # -- plan and analysis --------------------------------------------------------------------

    def plan(self) -> Plan | None:
        """The newest plan that was written whole; None where there is none yet."""
        for name in (*reversed(self._snapshots()), PLAN_FILE):
            if plan := read_plan(self.folder.read(name) or b""):
                return plan
        return None

    def save_plan(self, plan: Plan) -> None:
        """Keep the plan; nothing is written where it is the one that is kept."""
        known = self._snapshots()
        content = plan_text(plan).encode()
        if not known or self.folder.read(known[-1]) != content:
            number = int(known[-1].removeprefix(_SNAPSHOTS).split(".")[0]) + 1 if known else 1
            self.folder.write(f"{_SNAPSHOTS}{number:06}.json", content)
            for name in known[: 1 - _KEPT_SNAPSHOTS]:
                self.folder.delete(name)
        if self.folder.read(PLAN_FILE) != content:
            self.folder.write(PLAN_FILE, content)

    def _snapshots(self) -> list[str]:
        return [name for name in self.folder.names(_SNAPSHOTS) if name.endswith(".json")]

    def analysis(self) -> Analysis | None:
        """What the initializer found out; None where it has not yet."""
        return read_analysis(self.folder.read(ANALYSIS_FILE) or b"")

    def save_analysis(self, analysis: Analysis) -> None:
        """Keep what the initializer found out."""
        self.folder.write(ANALYSIS_FILE, analysis_text(analysis).encode())

    # -- the suite ----------------------------------------------------------------------------

    def suite(self) -> dict[str, bytes]:
        """The files of the suite that are there, by path."""
        found = {name: self.folder.read(name) for name in SUITE_FILES}
        return {name: content for name, content in found.items() if content is not None}

    # -- the journal --------------------------------------------------------------------------

    def sessions(self) -> Mapping[int, Session]:
        """All sessions by number, as far as they came."""
        return self._known()

    def _known(self) -> dict[int, Session]:
        if self._sessions is None:
            self._sessions = self._read_sessions()
        return self._sessions

    def _read_sessions(self) -> dict[int, Session]:
        parts: dict[int, dict[str, bytes]] = {}
        for name in self.folder.names(f"{JOURNAL}/"):
            number, _, part = name.removeprefix(f"{JOURNAL}/").partition("/")
            if number.isdecimal() and part.endswith(".json"):
                content = self.folder.read(name) or b""
                parts.setdefault(int(number), {})[part.removesuffix(".json")] = content
        found: dict[int, Session] = {}
        for session, files in sorted(parts.items()):
            if read := read_session(session, files):
                found[session] = read
                turns = sorted(part for part in files if part.isdecimal())
                self._lost[session] = [file_of(session, each) for each in turns[len(read.turns) :]]
        return found

    def spent(self) -> Spent:
        """What all sessions cost together."""
        total = Spent()
        for session in self.sessions().values():
            total += session.spent
        return total

    def begin(self, opening: Opening) -> None:
        """A session begins."""
        self._write(opening.number, "opening", opening)
        self._known()[opening.number] = Session(opening)

    def add(self, session: int, turn: Turn) -> None:
        """A call was answered; what once followed a turn that was spoiled goes."""
        for name in self._lost.pop(session, ()):
            self.folder.delete(name)
        self._write(session, f"{turn.number:04}", turn)
        known = self._known()[session]
        self._known()[session] = Session(known.opening, (*known.turns, turn), known.closing)

    def end(self, session: int, closing: Closing) -> None:
        """A session is over."""
        self._write(session, "closing", closing)
        known = self._known()[session]
        self._known()[session] = Session(known.opening, known.turns, closing)

    @contextmanager
    def resuming(self, session: int, turn: int) -> Iterator[bool]:
        """While what a turn asked for is run once more; whether that is advisable.

        It is not where the program ended in the midst of such a second time: then what is run may
        be why.
        """
        mark = file_of(session, f"{turn:04}-resuming")
        yield self.folder.claim(mark, b"{}\n")
        self.folder.delete(mark)

    def _write(self, session: int, part: str, entry: Opening | Turn | Closing) -> None:
        self.folder.write(file_of(session, part), entry_text(entry))
