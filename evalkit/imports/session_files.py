"""Which files hold which session: agents' logs, their subagents' beside them, Harbor's trials."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from evalkit.agent_logs import FORMATS
from evalkit.agent_logs.harbor import HarborTrial, trial_of
from evalkit.claude_log.reader import LogFormat, is_event, open_log
from evalkit.errors import InputError, LogRefused
from evalkit.files import files_below
from evalkit.jsonable import canonical, derive_id, is_text
from evalkit.receipt import Receipt
from evalkit.runs.log_file import LogFile, lines_of

TEXT = "text log"
"""What the trace of a text is called; others have their format's name."""

_LOOKED_AT = 500  # events of a file that may name its session
_LOOKED_FOR = 300  # files of a folder, for one that is a log
_MOST_LINES = 1_000_000  # of a file that may be one document
_TELLING = 3  # events at a log's begin by which it is told from others of the same session
_TEXTS = {"", ".log", ".txt"}
_LONGEST_LINE = 1 << 26  # bytes; of another file, which has no lines, no more is read


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A file that holds a session, or is a subagent's part of one."""

    path: Path
    format: str
    session_id: str  # as the log says, else a hash of its begin
    is_part: bool = False
    begin: str = ""  # that hash, where several files may be of one session
    trial: HarborTrial | None = None  # of Harbor's that it is the log of


def has_sessions(path: Path) -> bool:
    """Whether a file is a log of an agent, or a folder holds one, or a trial of Harbor's."""
    looked_at = islice(_looked_at(path, {}), _LOOKED_FOR)
    return any(isinstance(own, SessionFile) for _, own in looked_at)


def find_sessions(
    paths: Sequence[Path], skipped: dict[str, str]
) -> list[tuple[SessionFile, list[SessionFile]]]:
    """The sessions in files and folders, each with the files of its subagents."""
    sessions: dict[tuple[str, str], SessionFile] = {}
    parts: dict[str, list[SessionFile]] = {}
    for path, log in (each for root in paths for each in _looked_at(root, skipped)):
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
    found = [(log, parts.pop(log.session_id, [])) for log in sessions.values()]
    for log in chain.from_iterable(parts.values()):
        skipped[str(log.path)] = "a subagent's transcript; its session is not among the files"
    return found


def _looked_at(root: Path, skipped: dict[str, str]) -> Iterator[tuple[Path, SessionFile | str]]:
    """A file or all below a folder, in order, a trial for its folder; what each is, or why none."""
    if not root.is_dir():
        yield root, _look(root, is_named=True)
        return
    links: dict[str, str] = {}
    names = [Path(name) for name in files_below(root, root, links)]
    skipped |= {str(root / name): why for name, why in links.items()}
    trials: dict[Path, HarborTrial] = {}
    for folder in sorted({parent for name in names for parent in name.parents}):
        if trials.keys().isdisjoint(folder.parents) and (trial := trial_of(root / folder, root)):
            trials[folder] = trial
            place = trial.log or trial.folder
            yield place, SessionFile(place, "Harbor trial", trial.trial_id, trial=trial)
    for name in names:
        if trials.keys().isdisjoint(name.parents):
            yield root / name, _look(root / name)


def _look(path: Path, *, is_named: bool = False) -> SessionFile | str:
    """Which session a file holds, by its first events, or why none; text only where named."""
    receipt = Receipt()
    try:
        lines = islice(lines_of(path, _LONGEST_LINE), _MOST_LINES)
        log_format, events = open_log(lines, hashlib.sha256(), receipt, FORMATS)
        session_of = (log_format or LogFormat).session_of
        name, is_log = (log_format.name, True) if log_format else ("Claude Code session", False)
        first = list(islice(events, _TELLING))
        begin = derive_id(*map(canonical, first))
        own = "" if log_format and log_format.is_whole else begin
        for event in chain(first, islice(events, _LOOKED_AT)):
            is_log = is_log or is_event(event)
            session_id, is_part = session_of(event)
            if is_log and session_id:
                return SessionFile(path, name, session_id, is_part, own)
        if is_log:
            return SessionFile(path, name, begin)
        if is_named and path.suffix in _TEXTS and receipt.is_text and is_text(text_in(path)):
            return SessionFile(path, TEXT, derive_id(text_in(path)))
    except (InputError, LogRefused) as error:
        return error.problems[0].message
    return "no agent's log" if receipt.lines else "empty"


def text_in(path: Path) -> str:
    """The begin of a file, as text."""
    return LogFile(path, None).text() or ""
