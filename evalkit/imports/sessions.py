"""Logs of agents' sessions that belong to no evaluation become traces of an experiment."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.agent_logs.formats import FORMATS
from evalkit.claude_log.log_format import any_of, recognize
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.reader import LogReader, is_event
from evalkit.claude_log.timing import Start
from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import (
    HASH_TAG,
    SESSION_TAG,
    TRACE_SESSION,
    TRACE_USER,
    Assessment,
    StoredTrace,
    Trace,
)
from evalkit.errors import InputError, LogRefused, Problem, StoreAbsent, StoreError, Unfinished
from evalkit.files import inside
from evalkit.jsonable import derive_id, id_of, mapping_of, text_of
from evalkit.receipt import Receipt, Receipts
from evalkit.runs.log_file import lines_of

if TYPE_CHECKING:
    from evalkit.imports import Destination
    from evalkit.store import Store

PROGRESS = 100
"""Sessions between two lines of progress."""

PLAIN = "Claude Code session"
"""What the trace of a session is called whose log is stream-json; others have their format's."""

_LOOKED_AT = 500  # lines of a file that may name its session
_LOOKED_FOR = 300  # files of a folder, for one that is a log
_LONGEST_LINE = 1 << 26  # bytes; of another file, which has no lines, no more is read
_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\|/(?=root\b))([^/\\]+)")


@dataclass(frozen=True, slots=True)
class _Log:
    """A file that holds a session, or a subagent's part of one; its format's name."""

    path: Path
    format: str
    session_id: str
    is_part: bool


def has_sessions(path: Path) -> bool:
    """Whether a file is a log of an agent, or a folder holds one."""
    return any(isinstance(_look(each), _Log) for each in islice(_files(path), _LOOKED_FOR))


def import_sessions(paths: Sequence[Path], destination: Destination) -> dict[str, Any]:
    """Make each session a trace; one that is there already as it is now is left alone.

    A subagent's file is part of its session's trace. A session that went on since the last time
    takes the place of its earlier trace, with what people left there.

    Raises:
        InputError: no experiment is named, or none has that id.
        StoreError: MLflow cannot be reached, or failed; nothing was written.
        Unfinished: MLflow did not take every trace; the report says what stands.
    """
    from evalkit.store import connect

    if not destination.experiment:
        fix = "name one that is there or is to be made: -e NAME"
        raise InputError(
            Problem("no experiment is named for the traces", field="--experiment-id", fix=fix)
        )
    tracking, named = locate(USUAL_CONFIG, destination.experiment, destination.tracking_uri)
    try:
        store = connect(tracking.uri)
    except StoreAbsent as error:
        raise StoreError(f"{error}\nNothing was imported.") from error
    found = store.find_experiment(named)
    if found is None and named.isdecimal():
        what = f"there is no experiment with the id {named}"
        raise InputError(Problem(what, field="--experiment-id", fix="name one that is there"))
    experiment_id, name = found or (store.experiment(named, create=True), named)
    importer = _Importer(store, experiment_id, destination.say)
    importer.take(_sorted_out(paths, importer.skipped))
    report = importer.report(name)
    if importer.unwritten:
        lost = "\n".join(f"{path}: {why}" for path, why in importer.unwritten.items())
        raise Unfinished(f"MLflow did not take every trace.\n{lost}", report)
    return report


class _Importer:
    """What becomes of the sessions on their way, one in memory at a time, and what stands."""

    def __init__(self, store: Store, experiment_id: str, say: Callable[[str], None]) -> None:
        self.store, self.experiment_id, self.say = store, experiment_id, say
        self.skipped: dict[str, str] = {}
        self.receipts = Receipts()
        self.unwritten: dict[str, str] = {}
        self.notes: list[str] = []
        self.formats: set[str] = set()
        self.files = self.standing = self.spans = 0
        self.sent: dict[str, tuple[str, list[StoredTrace]]] = {}
        self.written = 0

    def take(self, sessions: Sequence[tuple[_Log, Sequence[_Log]]]) -> None:
        """Write the traces that differ from what is there; earlier ones of a session give way."""
        replaced: dict[str, tuple[str, Mapping[str, str]]] = {}
        there: dict[str, list[StoredTrace]] = {}
        for stored in self.store.find_imported(self.experiment_id):
            there.setdefault(stored.tags[SESSION_TAG], []).append(stored)
        changed = self._changed(sessions, there)
        writing = self.store.write_traces(self.experiment_id, None, changed)
        for done, outcome in enumerate(writing, start=1):
            path, earlier = self.sent.pop(outcome.trace_id)
            self.notes += [f"{path}: {notice}" for notice in outcome.notices]
            if outcome.error:
                self.unwritten[path] = outcome.error
                continue
            self.written, self.standing = self.written + 1, self.standing + 1
            replaced |= {old.trace_id: (outcome.trace_id, {}) for old in earlier}
            if done % PROGRESS == 0:
                self.say(f"{done} sessions written")
        if replaced:
            self.store.supersede(self.experiment_id, replaced)

    def _changed(
        self,
        sessions: Sequence[tuple[_Log, Sequence[_Log]]],
        there: Mapping[str, Sequence[StoredTrace]],
    ) -> Iterator[tuple[Trace, tuple[Assessment, ...]]]:
        for log, parts in sessions:
            try:
                trace = _trace(log, parts, self.experiment_id)
            except LogRefused as refused:
                self.skipped[str(log.path)] = refused.problems[0].message
                continue
            self.files += 1 + len(parts)
            self.formats.add(log.format)
            self.receipts.by_log[str(log.path)] = trace.receipt
            self.spans += len(trace.spans)
            known = there.get(trace.tags[SESSION_TAG], [])
            same = next((each for each in known if each.holds(trace.content_hash)), None)
            if same is not None:
                self.standing += 1
                continue
            earlier = [each for each in known if each.trace_id != trace.trace_id]
            self.sent[trace.trace_id] = (str(log.path), earlier)
            yield trace, ()

    def report(self, experiment: str) -> dict[str, Any]:
        """What was read, and what stands in MLflow by now."""
        unchanged = self.standing - self.written
        if unchanged:
            self.notes.append(f"{unchanged} sessions stand in MLflow already as they are")
        return {
            "format": ", ".join(sorted(self.formats)) or "no session",
            "files": self.files,
            "traces": self.standing,
            "written": self.written,
            "spans": self.spans,
            "skipped": self.skipped,
            "receipt": self.receipts.totals(),
            "experiment": experiment,
            "unwritten": self.unwritten,
            "notes": self.notes,
            "masked": {place: n for place, n in self.store.masked.items() if n},
            "url": self.store.traces_url(self.experiment_id),
        }


def _files(path: Path) -> Iterator[Path]:
    """A file, or all below a folder but what links lead out to, in order."""
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if each != ".git")
        yield from (Path(folder, name) for name in sorted(names))


def _bounded(path: Path) -> Iterator[bytes]:
    """A file's lines, as long as they are lines."""
    for line in lines_of(path, _LONGEST_LINE):
        if len(line) > _LONGEST_LINE:
            what = f"has a line of more than {_LONGEST_LINE >> 20} MB"
            raise LogRefused(Problem(what, str(path)), receipt=Receipt())
        yield line


def _look(path: Path) -> _Log | str:
    """Which session a file holds, by its first lines; or why it is none."""
    try:
        if not path.is_file():
            return "is no file"
        lines = _bounded(path)
        receipt = Receipt()
        reader = LogReader(receipt, recognizes=any_of(FORMATS))
        log_format, events = recognize(reader.events(lines, hashlib.sha256()), FORMATS)
        is_log = log_format is not None
        for event in islice(events, _LOOKED_AT):
            is_log = is_log or is_event(event)
            if log_format is not None:
                session_id, is_part = log_format.session_of(event)
            else:
                session_id, is_part = id_of(event.get("session_id")), False
            if is_log and session_id:
                return _Log(path, log_format.name if log_format else PLAIN, session_id, is_part)
        if is_log:
            with path.open("rb") as file:
                session_id = hashlib.sha256(file.read(1 << 16)).hexdigest()[:32]
            return _Log(path, log_format.name if log_format else PLAIN, session_id, is_part=False)
    except LogRefused as refused:
        return refused.problems[0].message
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "no agent's log" if receipt.lines else "empty"


def _sorted_out(
    paths: Sequence[Path], skipped: dict[str, str]
) -> list[tuple[_Log, Sequence[_Log]]]:
    """The sessions in files and folders, each with the files of its subagents."""
    sessions: dict[str, _Log] = {}
    parts: dict[str, list[_Log]] = {}
    for root in paths:
        for path in _files(root):
            try:
                log = _look(inside(path, root))
            except InputError as error:
                log = error.problems[0].message
            if isinstance(log, str):
                skipped[str(path)] = log
            elif log.is_part:
                parts.setdefault(log.session_id, []).append(log)
            elif (other := sessions.get(log.session_id)) is None or other.path == path:
                sessions[log.session_id] = log
            else:
                less, more = sorted((log, other), key=lambda each: each.path.stat().st_size)
                sessions[log.session_id] = more
                skipped[str(less.path)] = f"the same session as {more.path}"
    for session_id in sorted(parts.keys() - sessions.keys()):
        for log in parts[session_id]:
            skipped[str(log.path)] = "a subagent's transcript; its session is not among the files"
    return [(log, parts.get(each, [])) for each, log in sessions.items()]


def _trace(log: _Log, parts: Sequence[_Log], experiment_id: str) -> Trace:
    """The trace of a session, marked as one."""
    key = derive_id(experiment_id, "session", log.session_id)
    modified = log.path.stat().st_mtime_ns
    trace = build_trace(
        _bounded(log.path),
        trace_id=f"tr-{key}",
        name=log.format,
        case_id=None,
        start=Start(modified, inferred=True, source="the log file's time"),
        sidecars={part.path.name: _bounded(part.path) for part in parts},
        formats=FORMATS,
    )
    agent = mapping_of(trace.spans[0].attributes.get("evalkit.agent"))
    tags = {SESSION_TAG: key, HASH_TAG: trace.content_hash}
    for tag, fact in (("evalkit.cwd", "cwd"), ("evalkit.git_branch", "git_branch")):
        tags |= {tag: text} if (text := text_of(agent.get(fact))) else {}
    metadata = {TRACE_SESSION: log.session_id}
    if user := _HOME.match(text_of(agent.get("cwd"))):
        metadata[TRACE_USER] = user[1]
    own_id = "tr-" + derive_id(trace.trace_id, trace.content_hash)  # other content, other trace
    return replace(
        trace,
        trace_id=own_id,
        tags={**trace.tags, **tags},
        metadata={**trace.metadata, **metadata},
    )
