"""Logs of agents' sessions that belong to no evaluation become traces of an experiment."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalkit.agent_logs import FORMATS
from evalkit.agent_logs.harbor import HarborTrial, trial_of
from evalkit.case_traces import as_run_says, stub
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.reader import LogFormat, is_event, open_log
from evalkit.claude_log.timing import Start
from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import HASH_TAG, SESSION_TAG, Assessment, StoredTrace, Trace
from evalkit.errors import InputError, LogRefused, Problem, StoreAbsent, StoreError, Unfinished
from evalkit.feedback.assessments import Target
from evalkit.imports.project_writer import listed
from evalkit.jsonable import canonical, derive_id, is_text, mapping_of, text_of
from evalkit.receipt import Receipt, Receipts
from evalkit.runs.log_file import LogFile, lines_of
from evalkit.tokens import Consumption

if TYPE_CHECKING:
    from evalkit.store import Store

_VERIFIER: tuple[Literal["CODE"], str] = ("CODE", "Harbor's verifier")
_PROGRESS = 100  # sessions between two lines of it
_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\|/(?=root\b))([^/\\]+)")
_TEXT = "text log"  # what its trace is called; others have their format's name
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
    names = listed([root], skipped)
    trials: dict[Path, HarborTrial] = {}
    folders = {each for name in names for each in name.parents if each.is_relative_to(root)}
    for folder in sorted(folders):
        if trials.keys().isdisjoint(folder.parents) and (trial := trial_of(folder, root)):
            trials[folder] = trial
            place = trial.log or trial.folder
            yield place, SessionFile(place, "Harbor trial", trial.trial_id, trial=trial)
    for name in names:
        if trials.keys().isdisjoint(name.parents):
            yield name, _look(name, is_named=name == root)


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
        text = LogFile(path, None).text() if is_named and path.suffix in _TEXTS else None
        if text and receipt.is_text and is_text(text):
            return SessionFile(path, _TEXT, derive_id(text))
    except (InputError, LogRefused) as error:
        return error.problems[0].message
    return "no agent's log" if receipt.lines else "empty"


def import_sessions(
    paths: Sequence[Path],
    experiment: str | None,
    tracking_uri: str | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Make each session a trace; one that went on takes its earlier trace's place."""
    from evalkit.store import connect

    field_, fix = "--experiment-id", "name one that is there or is to be made: -e NAME"
    if not experiment:
        raise InputError(Problem("no experiment is named for the traces", field=field_, fix=fix))
    tracking, named = locate(USUAL_CONFIG, experiment, tracking_uri)
    try:
        store = connect(tracking.uri)
    except StoreAbsent as error:
        raise StoreError(f"{error}\nNothing was imported.") from error
    found = store.find_experiment(named)
    if found is None and named.isdecimal():
        what = f"there is no experiment with the id {named}"
        raise InputError(Problem(what, field=field_, fix=fix))
    experiment_id, name = found or (store.experiment(named, create=True), named)
    done = _Import(store, experiment_id)
    done.write(paths, say)
    report = {**done.report(), "experiment": name}
    for what, lost in (
        ("MLflow did not take every trace.", done.unwritten),
        ("No session was found that can be read.", done.skipped if not report["files"] else {}),
    ):
        if lost:
            passed_over = (f"{path}: {why}" for path, why in lost.items())
            raise Unfinished("\n".join([what, *passed_over]), report)
    return report


class _Import:
    """What becomes of the sessions on their way, one in memory at a time."""

    def __init__(self, store: Store, experiment_id: str) -> None:
        self.store, self.experiment_id = store, experiment_id
        self.skipped, self.unwritten = dict[str, str](), dict[str, str]()
        self.formats, self.receipts, self.notes = set[str](), Receipts(), list[str]()
        self.counts = Counter(files=0, traces=0, written=0)
        self.sent: dict[str, tuple[str, list[StoredTrace]]] = {}

    def write(self, paths: Sequence[Path], say: Callable[[str], None]) -> None:
        """Write the traces that differ from what is there; earlier ones of a session give way."""
        replaced: dict[str, tuple[str, Mapping[str, str]]] = {}
        writing = self.store.write_traces(self.experiment_id, None, self._changed(paths))
        for done, outcome in enumerate(writing, start=1):
            path, earlier = self.sent.pop(outcome.trace_id)
            self.notes += [f"{path}: {notice}" for notice in outcome.notices]
            if outcome.error:
                self.unwritten[path] = outcome.error
                continue
            self.counts.update(["written", "traces"])
            replaced |= {old.trace_id: (outcome.trace_id, {}) for old in earlier}
            if done % _PROGRESS == 0:
                say(f"{done} sessions written")
        if replaced:
            self.store.supersede(self.experiment_id, replaced)

    def _changed(self, paths: Sequence[Path]) -> Iterator[tuple[Trace, tuple[Assessment, ...]]]:
        there: dict[str, list[StoredTrace]] = {}
        for stored in self.store.find_imported(self.experiment_id):
            there.setdefault(stored.tags[SESSION_TAG], []).append(stored)
        for log, parts in find_sessions(paths, self.skipped):
            try:
                trace = _trace(log, parts, self.experiment_id)
            except LogRefused as refused:
                self.skipped[str(log.path)] = refused.problems[0].message
                continue
            self.counts["files"] += 1 + len(parts)
            self.formats.add(log.format)
            self.receipts.by_log[str(log.path)] = trace.receipt
            known = there.get(trace.tags[SESSION_TAG], [])
            if any(each.holds(trace.content_hash) for each in known):
                self.counts["traces"] += 1
                continue
            earlier = [each for each in known if each.trace_id != trace.trace_id]
            self.sent[trace.trace_id] = (str(log.path), earlier)
            target = Target(trace.trace_id, qualified=False, key=log.session_id, time_ms=0)
            rewards = log.trial.rewards.items() if log.trial else ()
            yield trace, tuple(target.assessment("", *each, _VERIFIER) for each in rewards)

    def report(self) -> dict[str, Any]:
        """What was read, and what stands in MLflow by now."""
        if unchanged := self.counts["traces"] - self.counts["written"]:
            self.notes.append(f"{unchanged} sessions stand in MLflow already as they are")
        return {
            "format": ", ".join(sorted(self.formats)) or "no session",
            **self.counts,
            "skipped": self.skipped,
            "receipt": self.receipts.totals(),
            "unwritten": self.unwritten,
            "notes": self.notes,
            "masked": {place: n for place, n in self.store.masked.items() if n},
            "url": self.store.url(self.experiment_id, "traces"),
        }


def _trace(log: SessionFile, parts: Sequence[SessionFile], experiment_id: str) -> Trace:
    """The trace of a session, marked as one."""
    key = derive_id(experiment_id, "session", log.session_id, *filter(None, [log.begin]))
    trace = _unmarked(log, parts, f"tr-{key}")
    agent = mapping_of(trace.spans[0].attributes.get("evalkit.agent"))
    facts = {f"evalkit.{name}": text_of(agent.get(name)) for name in ("cwd", "git_branch")}
    user = _HOME.match(facts["evalkit.cwd"])
    about = {"mlflow.trace.session": log.session_id, "mlflow.trace.user": user and user[1]}
    tags = {SESSION_TAG: key, HASH_TAG: trace.content_hash, **facts}
    return replace(
        trace,
        trace_id="tr-" + derive_id(trace.trace_id, trace.content_hash),  # other content, other id
        tags={**trace.tags, **{name: text for name, text in tags.items() if text}},
        metadata={**trace.metadata, **{name: text for name, text in about.items() if text}},
    )


def _unmarked(log: SessionFile, parts: Sequence[SessionFile], trace_id: str) -> Trace:
    """The trace of a log; of a text, or a trial of Harbor's without a log, one without steps."""
    beside = {f"{part.path.parent.name}/{part.path.name}": part.path for part in parts}
    name, file = log.format, LogFile(log.path, None, transcripts=beside)
    usage, failure = Consumption(), ""
    if trial := log.trial:
        name, file = trial.folder.name, LogFile.of_trial(trial)
        usage, failure = trial.usage, trial.failure
    start = Start(file.modified_ns(), inferred=True, source="the log file's time")
    try:
        trace = build_trace(
            file.lines(),
            trace_id=trace_id,
            name=name,
            case_id=None,
            start=start,
            sidecars=file.subagents(),
            reported=usage,
            formats=FORMATS,
        )
        return as_run_says(trace, usage.exit_code, failure)
    except LogRefused as error:
        if log.format == _TEXT:
            error.receipt.use_as_text()
        elif not trial:
            raise
        refused = None if trial and not trial.log else error
    said = ({"task": trial.case_id}, None) if trial else (None, file.text())
    return stub(name, trace_id, None, start, usage, failure, refused, said)
