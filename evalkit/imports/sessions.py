"""Logs of agents' sessions that belong to no evaluation become traces of an experiment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evalkit.agent_logs import FORMATS
from evalkit.case_traces import as_run_says, stub
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.timing import Start
from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import HASH_TAG, SESSION_TAG, Assessment, StoredTrace, Trace
from evalkit.errors import InputError, LogRefused, Problem, StoreAbsent, StoreError, Unfinished
from evalkit.feedback.assessments import Target
from evalkit.imports.session_files import TEXT, SessionFile, find_sessions
from evalkit.jsonable import derive_id, mapping_of, text_of
from evalkit.receipt import Receipts
from evalkit.runs.log_file import LogFile
from evalkit.tokens import Consumption

if TYPE_CHECKING:
    from evalkit.store import Store

_VERIFIER: tuple[Literal["CODE"], str] = ("CODE", "Harbor's verifier")
_PROGRESS = 100  # sessions between two lines of it
_HOME = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\|/(?=root\b))([^/\\]+)")


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
            "url": self.store.traces_url(self.experiment_id),
        }


def _trace(log: SessionFile, parts: Sequence[SessionFile], experiment_id: str) -> Trace:
    """The trace of a session, marked as one."""
    key = derive_id(experiment_id, "session", log.session_id, *filter(None, [log.begin]))
    trace = _log_trace(log, parts, f"tr-{key}")
    agent = mapping_of(trace.spans[0].attributes.get("evalkit.agent"))
    cwd = text_of(agent.get("cwd"))
    facts = {"evalkit.cwd": cwd, "evalkit.git_branch": text_of(agent.get("git_branch"))}
    metadata = {"mlflow.trace.session": log.session_id}
    if user := _HOME.match(cwd):
        metadata["mlflow.trace.user"] = user[1]
    tags = {SESSION_TAG: key, HASH_TAG: trace.content_hash}
    return replace(
        trace,
        trace_id="tr-" + derive_id(trace.trace_id, trace.content_hash),  # other content, other id
        tags={**trace.tags, **tags, **{tag: text for tag, text in facts.items() if text}},
        metadata={**trace.metadata, **metadata},
    )


def _log_trace(log: SessionFile, parts: Sequence[SessionFile], trace_id: str) -> Trace:
    """The trace of a log; of a text, or a trial of Harbor's without a log, one without steps."""
    name, trial = log.format, log.trial
    beside = {f"{part.path.parent.name}/{part.path.name}": part.path for part in parts}
    file, usage, failure = LogFile(log.path, None, transcripts=beside), Consumption(), ""
    if trial:
        file, name = LogFile.of_trial(trial), trial.folder.name
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
        if log.format == TEXT:
            error.receipt.use_as_text()
        elif not trial:
            raise
        refused = None if trial and not trial.log else error
    said = ({"task": trial.case_id}, None) if trial else (None, file.text())
    return stub(name, trace_id, None, start, usage, failure, refused, said)
