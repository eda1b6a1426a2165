"""Which files hold which session: agents' logs, their subagents' beside them, Harbor's trials."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from evalkit.agent_logs.formats import FORMATS
from evalkit.agent_logs.harbor import HarborTrial, trial_of
from evalkit.claude_log.reader import LogFormat, is_event, open_log
from evalkit.errors import InputError, LogRefused
from evalkit.files import inside
from evalkit.jsonable import canonical, derive_id, is_text
from evalkit.receipt import Receipt
from evalkit.runs.log_file import LogFile, lines_of

TEXT = "text log"
"""What the trace of a text is called; others have their format's name."""

_PLAIN, _TRIAL = "Claude Code session", "Harbor trial"
_NO_LOG = "a trial that left no log which is read here"
_TRIALS_HAVE = {"agent", "steps", "result.json"}  # one at least
_LOOKED_AT = 500  # lines of a file that may name its session
_LOOKED_FOR = 300  # files of a folder, for one that is a log
_WHOLE = 1 << 26  # bytes of a file that is looked at whole, for it may be one document
_MOST_LINES = 20_000  # of a larger one
_TELLING = 3  # events at a log's begin by which it is told from others of the same session
_TEXTS = {"", ".log", ".txt"}
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


def has_sessions(path: Path) -> bool:
    """Whether a file is a log of an agent, or a folder holds one, or a trial without one."""
    looked_at = islice(_looked_at(path), _LOOKED_FOR)
    return any(isinstance(own, SessionFile) or own.startswith(_NO_LOG) for _, own in looked_at)


def find_sessions(
    paths: Sequence[Path], skipped: dict[str, str]
) -> list[tuple[SessionFile, Sequence[SessionFile]]]:
    """The sessions in files and folders, each with the files of its subagents."""
    sessions: dict[tuple[str, str], SessionFile] = {}
    parts: dict[str, list[SessionFile]] = {}
    for path, log in (each for root in paths for each in _looked_at(root)):
        if isinstance(log, str):
            skipped[str(path)] = log
        elif log.is_part:
            parts.setdefault(log.session_id, []).append(log)
        else:
            other = sessions.setdefault((log.session_id, log.begin), log)
            if other.path != path:
                less, more = sorted((log, other), key=lambda each: each.path.stat().st_size)
                sessions[log.session_id, log.begin] = more
                skipped[str(less.path)] = f"the same session as {more.path}"
    for session_id in sorted(parts.keys() - {each for each, _ in sessions}):
        for log in parts[session_id]:
            skipped[str(log.path)] = "a subagent's transcript; its session is not among the files"
    return [(log, parts.pop(log.session_id, [])) for log in sessions.values()]


def _looked_at(root: Path) -> Iterator[tuple[Path, SessionFile | str]]:
    """A file or all below a folder, in order, a trial for its folder; what each is, or why none."""
    if not root.is_dir():
        yield root, _look(root, root)
        return
    closed: list[OSError] = []
    for base, folders, names in os.walk(root, onerror=closed.append):
        here = Path(base)
        is_trial = not _TRIALS_HAVE.isdisjoint((*folders, *names))
        if is_trial and (trial := trial_of(here, root)) is not None:
            folders.clear()
            yield (trial.log or here), _trial_file(trial)
            continue
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in {".git", *links})
        yield from ((here / name, _look(here / name, root)) for name in sorted([*names, *links]))
    yield from ((Path(error.filename), "a folder that cannot be read") for error in closed)


def _trial_file(trial: HarborTrial) -> SessionFile | str:
    if trial.log is None:
        return f"{_NO_LOG}: {trial.failure}".rstrip(": ")
    return SessionFile(trial.log, _TRIAL, trial.trial_id, trial=trial)


def _look(path: Path, root: Path) -> SessionFile | str:
    """Which session a file holds, by its first lines; or why it is none.

    Text is a log only where a person named the file itself.
    """
    receipt = Receipt()
    try:
        inside(path, root)
        if not path.is_file():
            return "a link to a folder: not entered" if path.is_dir() else "is no file"
        lines = islice(session_lines(path), None if path.stat().st_size < _WHOLE else _MOST_LINES)
        if found := _session_in(path, lines, receipt):
            return found
        is_named = path == root and path.suffix in _TEXTS
        if is_named and receipt.is_text and is_text(text_in(path)):
            return SessionFile(path, TEXT, derive_id(text_in(path)))
    except (InputError, LogRefused) as error:
        return error.problems[0].message
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "no agent's log" if receipt.lines else "empty"


def session_lines(path: Path) -> Iterator[bytes]:
    """A file's lines, as long as they are lines."""
    return lines_of(path, _LONGEST_LINE)


def text_in(path: Path) -> str:
    """The begin of a file, as text."""
    return LogFile(path, None).text() or ""


def _session_in(path: Path, lines: Iterable[bytes], receipt: Receipt) -> SessionFile | None:
    """The session that a log is of; None where it is no log."""
    log_format, events = open_log(lines, hashlib.sha256(), receipt, FORMATS)
    name, is_log = (log_format.name if log_format else _PLAIN), log_format is not None
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
