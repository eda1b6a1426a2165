"""Logs of agents' sessions that belong to no evaluation become traces of an experiment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.agent_logs.formats import FORMATS
from evalkit.case_traces import PLAIN_TEXT
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.timing import Start
from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import (
    HASH_TAG,
    SESSION_TAG,
    STUB_TAG,
    Assessment,
    Span,
    StoredTrace,
    Trace,
)
from evalkit.errors import InputError, LogRefused, Problem, StoreAbsent, StoreError, Unfinished
from evalkit.imports.harbor_jobs import rewards_of, trial_trace
from evalkit.imports.session_files import TEXT, SessionFile, session_lines, sorted_out, text_in
from evalkit.jsonable import derive_id, mapping_of, text_of
from evalkit.masking import mask_text
from evalkit.receipt import Receipt, Receipts

if TYPE_CHECKING:
    from evalkit.imports import Destination
    from evalkit.store import Store

PROGRESS = 100
"""Sessions between two lines of progress."""

_COUNTED_ID = 20  # characters that ids of messages have which some gateways count anew
_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\|/(?=root\b))([^/\\]+)")


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
    importer.take(sorted_out(paths, importer.skipped))
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
        self.begun: dict[str, str] = {}  # first message to its session's file
        self.copies: list[str] = []

    def take(self, sessions: Sequence[tuple[SessionFile, Sequence[SessionFile]]]) -> None:
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
        sessions: Sequence[tuple[SessionFile, Sequence[SessionFile]]],
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
            self._note_copy(trace, str(log.path))
            known = there.get(trace.tags[SESSION_TAG], [])
            same = next((each for each in known if each.holds(trace.content_hash)), None)
            if same is not None:
                self.standing += 1
                continue
            earlier = [each for each in known if each.trace_id != trace.trace_id]
            self.sent[trace.trace_id] = (str(log.path), earlier)
            yield trace, rewards_of(log.trial, trace) if log.trial else ()

    def _note_copy(self, trace: Trace, path: str) -> None:
        """Note where a session begins as another: older versions copied what they resumed."""
        said = (span.attributes.get("evalkit.message_id") for span in trace.spans)
        first = text_of(next(filter(None, said), ""))
        other = self.begun.setdefault(first, path) if len(first) > _COUNTED_ID else path
        if other != path:
            self.copies.append(f"{path} as {other}")

    def report(self, experiment: str) -> dict[str, Any]:
        """What was read, and what stands in MLflow by now."""
        if self.copies:
            what = f"{len(self.copies)} sessions begin as another does, such as {self.copies[0]}"
            self.notes.append(f"{what}: what they share counts in both")
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


def _named(parts: Sequence[SessionFile]) -> dict[str, Path]:
    """Files of subagents by their names; of those with the same, by their folders', too."""
    names = Counter(part.path.name for part in parts)
    return {
        f"{p.path.parent.name}/{p.path.name}" if names[p.path.name] > 1 else p.path.name: p.path
        for p in parts
    }


def _text_trace(log: SessionFile, trace_id: str) -> Trace:
    """The trace of a text: what it says, and no steps; nobody knows what was asked."""
    said, masked = mask_text(text_in(log.path))
    lines, began = len(said.splitlines()), log.path.stat().st_mtime_ns
    receipt = Receipt(lines=lines, used=lines, sessions=1, verdict="text", masked=masked)
    facts = {"evalkit.no_steps": PLAIN_TEXT, "evalkit.time": "inferred"}
    root_id, why = derive_id(trace_id, "spans", length=16), "how it ended is not known"
    root = Span(
        root_id, None, TEXT, "AGENT", began, began, None, said, facts, status="UNSET", message=why
    )
    return Trace(
        trace_id=trace_id,
        name=TEXT,
        case_id=None,
        start_ns=began,
        end_ns=began,
        status="UNSET",
        request=None,
        response=said,
        spans=(root,),
        tags={STUB_TAG: PLAIN_TEXT, "evalkit.receipt": receipt.verdict},
        metadata={},
        content_hash=derive_id(TEXT, said, length=64),
        receipt=receipt,
    )


def _trace(log: SessionFile, parts: Sequence[SessionFile], experiment_id: str) -> Trace:
    """The trace of a session, marked as one."""
    key = derive_id(experiment_id, "session", log.session_id, *filter(None, [log.begin]))
    if log.trial:
        trace = trial_trace(log.trial, f"tr-{key}")
    elif log.format == TEXT:
        trace = _text_trace(log, f"tr-{key}")
    else:
        trace = build_trace(
            session_lines(log.path),
            trace_id=f"tr-{key}",
            name=log.format,
            case_id=None,
            start=Start(log.path.stat().st_mtime_ns, inferred=True, source="the log file's time"),
            sidecars={name: session_lines(path) for name, path in _named(parts).items()},
            formats=FORMATS,
        )
    agent = mapping_of(trace.spans[0].attributes.get("evalkit.agent"))
    tags = {SESSION_TAG: key, HASH_TAG: trace.content_hash}
    for tag, fact in (("evalkit.cwd", "cwd"), ("evalkit.git_branch", "git_branch")):
        tags |= {tag: text} if (text := text_of(agent.get(fact))) else {}
    metadata = {"mlflow.trace.session": log.session_id}
    if user := _HOME.match(text_of(agent.get("cwd"))):
        metadata["mlflow.trace.user"] = user[1]
    own_id = "tr-" + derive_id(trace.trace_id, trace.content_hash)  # other content, other trace
    return replace(
        trace,
        trace_id=own_id,
        tags={**trace.tags, **tags},
        metadata={**trace.metadata, **metadata},
    )
