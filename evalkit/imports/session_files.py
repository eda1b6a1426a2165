"""Which files of a folder hold which session: agents' logs, and their subagents' beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

from evalkit.agent_logs.formats import FORMATS
from evalkit.agent_logs.harbor import HarborTrial
from evalkit.claude_log.log_format import LogFormat, recognize, recognized_by
from evalkit.claude_log.reader import LogReader, is_event
from evalkit.errors import InputError, LogRefused, Problem
from evalkit.files import inside
from evalkit.imports.harbor_jobs import TRIAL, trials_below
from evalkit.jsonable import canonical, derive_id, is_text
from evalkit.receipt import Receipt
from evalkit.runs.log_file import LogFile, lines_of

PLAIN = "Claude Code session"
"""What the trace of a session is called whose log is stream-json; others have their format's."""

TEXT = "text log"
"""What that of a text is called."""

_LOOKED_AT = 500  # lines of a file that may name its session
_LOOKED_FOR = 300  # files of a folder, for one that is a log
_WHOLE = 1 << 26  # bytes of a file that is looked at whole, for it may be one document
_MOST_LINES = 20_000  # of a larger one
_TELLING = 3  # events at a log's begin by which it is told from others of the same session
_TEXTS = frozenset({"", ".log", ".txt"})
_LONGEST_LINE = 1 << 26  # bytes; of another file, which has no lines, no more is read


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A file that holds a session, or a subagent's part of one.

    Attributes:
        path: The file.
        format: Its format's name.
        session_id: What the log says, else a hash of its begin.
        is_part: Whether it is a subagent's part of that session.
        begin: Where several files may be of one session, a hash of the file's begin; else empty.
        trial: The trial of Harbor's that it is the log of.
    """

    path: Path
    format: str
    session_id: str
    is_part: bool = False
    begin: str = ""
    trial: HarborTrial | None = None


Sessions: TypeAlias = dict[tuple[str, str], SessionFile]
"""The logs by session and begin."""


def has_sessions(path: Path) -> bool:
    """Whether a file is a log of an agent, or a folder holds one."""
    some = islice(_files(path), _LOOKED_FOR)
    return any(isinstance(_look(each, is_named=each == path), SessionFile) for each in some)


def _files(path: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """A file, or all below a folder in order but some folders, and those that are not entered."""
    if not path.is_dir():
        yield path
    if not path.is_dir() or path in without:
        return
    closed: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=closed.append):
        folders[:] = sorted(f for f in folders if f != ".git" and Path(folder, f) not in without)
        links = [each for each in folders if Path(folder, each).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*names, *links]))
    yield from (Path(error.filename) for error in closed)


def session_lines(path: Path) -> Iterator[bytes]:
    """A file's lines, as long as they are lines."""
    for line in lines_of(path, _LONGEST_LINE):
        if len(line) > _LONGEST_LINE:
            what = f"has a line of more than {_LONGEST_LINE >> 20} MB"
            raise LogRefused(Problem(what, str(path)), receipt=Receipt())
        yield line


def _look(path: Path, *, is_named: bool) -> SessionFile | str:
    """Which session a file holds, by its first lines; or why it is none.

    Text is a log only where a person named the file itself.
    """
    receipt = Receipt()
    try:
        if path.is_dir():
            return "a folder that cannot be read, or is a link: not entered"
        if not path.is_file():
            return "is no file"
        lines = islice(session_lines(path), None if path.stat().st_size < _WHOLE else _MOST_LINES)
        if found := _session_in(path, lines, receipt):
            return found
        if is_named and receipt.is_text and path.suffix in _TEXTS and is_text(text_in(path)):
            return SessionFile(path, TEXT, derive_id(text_in(path)))
    except LogRefused as refused:
        return refused.problems[0].message
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "no agent's log" if receipt.lines else "empty"


def text_in(path: Path) -> str:
    """The begin of a file, as text."""
    return LogFile(path, None).text() or ""


def _session_in(path: Path, lines: Iterable[bytes], receipt: Receipt) -> SessionFile | None:
    """The session that a log is of; None where it is no log."""
    reader = LogReader(receipt, recognizes=recognized_by(FORMATS))
    log_format, events = recognize(reader.events(lines, hashlib.sha256()), FORMATS)
    name, is_log = (log_format.name if log_format else PLAIN), log_format is not None
    session_of = log_format.session_of if log_format else LogFormat.session_of
    first = list(islice(events, _TELLING))
    begin = derive_id(*map(canonical, first))
    own = "" if log_format is not None and log_format.is_whole else begin
    for event in chain(first, islice(events, _LOOKED_AT)):
        is_log = is_log or is_event(event)
        session_id, is_part = session_of(event)
        if is_log and session_id:
            return SessionFile(path, name, session_id, is_part, own)
    return SessionFile(path, name, begin) if is_log else None


def _trials(root: Path, sessions: Sessions, skipped: dict[str, str]) -> set[Path]:
    """The folders of Harbor's trials below a folder, which become sessions."""
    folders = set()
    for trial in trials_below(root):
        folders.add(trial.folder)
        if trial.log:
            own = SessionFile(trial.log, TRIAL, trial.trial_id, is_part=False, trial=trial)
            sessions[own.session_id, own.begin] = own
        else:
            skipped[str(trial.folder)] = f"logged nothing: {trial.failure}".rstrip(": ")
    return folders


def sorted_out(
    paths: Sequence[Path], skipped: dict[str, str]
) -> list[tuple[SessionFile, Sequence[SessionFile]]]:
    """The sessions in files and folders, each with the files of its subagents."""
    sessions: Sessions = {}
    parts: dict[str, list[SessionFile]] = {}
    for root in paths:
        for path in _files(root, _trials(root, sessions, skipped)):
            try:
                log = _look(inside(path, root), is_named=path == root)
            except InputError as error:
                log = error.problems[0].message
            if isinstance(log, str):
                skipped[str(path)] = log
                continue
            if log.is_part:
                parts.setdefault(log.session_id, []).append(log)
                continue
            other = sessions.setdefault((log.session_id, log.begin), log)
            if other.path != path:
                less, more = sorted((log, other), key=lambda each: each.path.stat().st_size)
                sessions[log.session_id, log.begin] = more
                skipped[str(less.path)] = f"the same session as {more.path}"
    for session_id in sorted(parts.keys() - {each for each, _ in sessions}):
        for log in parts[session_id]:
            skipped[str(log.path)] = "a subagent's transcript; its session is not among the files"
    return [(log, parts.pop(log.session_id, [])) for log in sessions.values()]
