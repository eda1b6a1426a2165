"""Finished runs on disk: where they lie, what their files say, and the logs of their cases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import yaml

from evalkit.agent_logs.harbor import JOB_KEY, HarborTrial, trials_by_case
from evalkit.config_files import ProjectFiles
from evalkit.documents import Document, parse_json, parse_yaml
from evalkit.errors import InputError, Problem
from evalkit.files import (
    DOCUMENT_SUFFIXES,
    check_id,
    files_below,
    folders_in,
    inside,
    read_document,
    read_text,
)
from evalkit.jsonable import mapping_of
from evalkit.masking import mask_json, mask_text
from evalkit.project import Project
from evalkit.receipt import WHOLE_RUN
from evalkit.runs.log_file import EVENTS, MOST_BYTES, LogFile
from evalkit.runs.results import RESULT, SNAPSHOT, SUMMARY, origin_of, read_run
from evalkit.runs.run import Run, first_names

MARKS = (SUMMARY, RESULT, "cases", "stdout.log")
"""What makes a folder a finished run: at least one of these lies in it."""

COMPANIONS = {
    SNAPSHOT: SNAPSHOT,
    "report.html": "report.html",
    "analysis.md": "analysis.md",
    "inputs/batch.yaml": "batch.yaml",
    "inputs/case_order.yaml": "case_order.yaml",
}
"""What may lie in a run besides, by the artifact that it becomes."""

RECORDS = ("stdout.log", "stderr.log", EVENTS, RESULT)
"""What the harness itself left in a case's folder; everything else there is the agent's output."""


@dataclass(frozen=True)  # no slots: the logs are looked for once
class RunFiles:
    """A finished run and its folder.

    Attributes:
        documents: Its own files by name, parsed; without those that it lacks.
        cases_dir: Where the cases of the project lie; None where there is no such folder.
        mapping_file: Where the mapping of their fields lies, if there is one.
        trials: Those of the Harbor job that it was made of, by case.
    """

    project: Project
    run: Run
    folder: Path
    documents: Mapping[str, Document] = field(default_factory=dict)
    cases_dir: Path | None = None
    mapping_file: Path | None = None
    trials: Mapping[str, HarborTrial] = field(default_factory=dict)

    @cached_property
    def logs(self) -> dict[str | None, LogFile]:
        """Case to log, or None to the one of a batch run; one that leads out of it is barred."""
        whole = self.folder / "stdout.log"
        cases = map(self._log_of, folders_in(self.folder / "cases"))
        own = {log.case_id: log for log in cases if log.barred or log.steps or log.path.is_file()}
        logged = (trial for trial in self.trials.values() if trial.log)
        own = {**{trial.case_id: LogFile.of_trial(trial) for trial in logged}, **own}
        if whole.is_file() and (self.run.mode == "batch" or not own):
            return {None: LogFile.find(whole, self.folder)}
        return own

    @cached_property
    def first_ns(self) -> int | None:
        """The earliest time that any log says, nanoseconds since the epoch."""
        found = [log.first_ns() for log in self.logs.values()]
        return min((stamp for stamp in found if stamp is not None), default=None)

    def _log_of(self, case_id: str) -> LogFile:
        """A case's log with those of its steps, in the order the run's result or config has."""
        folder = self.folder / "cases" / case_id
        below = folder / "steps"
        there = {step: below / step / "stdout.log" for step in folders_in(below)}
        ran = self.run.case_usage[case_id].steps if case_id in self.run.case_usage else ()
        order = dict.fromkeys((*ran, *self.project.steps, *there))
        steps = {step: there[step] for step in order if step in there and there[step].is_file()}
        is_current = steps.keys() <= set(self.project.steps)  # else the config has changed since
        due = (ran or (self.project.steps if is_current else ())) if steps else ()
        unlogged = tuple(step for step in due if step not in steps)
        return LogFile.find(folder / "stdout.log", self.folder, case_id, steps, unlogged)

    def produced(self, case_id: str | None) -> dict[str, str | None]:
        """The files that the agent left for a case, or for a whole batch run, by relative path.

        None stands for the text of one that is too large, or is none; of a link that is not
        followed, it is said why.
        """
        own = self.folder / ("output" if case_id is None else f"cases/{case_id}")
        skipped: dict[str, str] = {}
        found: dict[str, str | None] = {}
        with suppress(InputError):
            check_id("output" if case_id is None else case_id, "case id")
            is_there = inside(own, self.folder).is_dir()
            names = files_below(own, self.folder, skipped) if is_there else ()
            found = {name: _text_of(own / name) for name in names}
            found |= {name: f"(not read: it {why})" for name, why in skipped.items()}
        return {name: text for name, text in found.items() if not _is_record(name)}

    def modified_ns(self) -> int:
        """When the run's own files were last written; for executions that left no log."""
        there = (self.folder / name for name in (RESULT, SUMMARY))
        newest = next((path for path in there if path.is_file()), self.folder)
        return newest.stat().st_mtime_ns

    @property
    def review(self) -> Path:
        """Where people's review of the run stands, or will stand."""
        return self.folder / "review.yaml"

    def artifacts(self) -> tuple[dict[str, str], list[str]]:
        """Texts of the run's own files and their companions, masked, and what is left out and why.

        An InputError where one of its own files can no longer be read.
        """
        found, unread = {}, []
        for name, document in self.documents.items():
            found[name] = _masked(read_text(inside(self.folder / name, self.folder)), document)
        for artifact, name in COMPANIONS.items():
            path = self.folder / name
            try:
                if path.is_file():
                    text = read_text(inside(path, self.folder))
                    known = read_document(path) if path.suffix in DOCUMENT_SUFFIXES else None
                    found[artifact] = _masked(text, known) if known else mask_text(text)[0]
            except InputError as error:
                unread.append(f"{name} becomes no artifact: {error}")
        ours = {*MARKS, *RECORDS, *COMPANIONS.values(), "review.yaml", "predict.json"}
        there = (path.name for path in self.folder.glob("[!.]*") if path.is_file())
        if others := first_names(sorted({*there} - ours)):
            unread.append(f"neither read nor an artifact: {mask_text(others)[0]}")
        return found, unread


def find_run(files: ProjectFiles, run_id: str) -> Path:
    """The directory of a run.

    An InputError where the id is no folder name, or there is no such run; it says which there are.
    """
    check_id(run_id, "run id")
    tried = [base / run_id for base in files.run_homes]
    found = next((path for path in tried if _is_run(path)), None)
    if found is not None:
        return inside(found, found.parent)
    known = list_runs(files)
    fix = f"there are {', '.join(known[-5:])}" if known else "run the evaluation first"
    what = f"there is no finished run {run_id!r} ({' or '.join(map(str, tried))})"
    raise InputError(Problem(what, field="run id", fix=fix))


def list_runs(files: ProjectFiles) -> list[str]:
    """Ids of the finished runs, sorted, so that dated and numbered ones end with the latest."""
    found = {name for base in files.run_homes for name in folders_in(base) if _is_run(base / name)}
    parts = {name: re.split(r"([0-9]+)", name) for name in found}
    return sorted(found, key=lambda n: [int(p) if p.isdecimal() else p for p in parts[n]])


def load_run(files: ProjectFiles, run_id: str, mapping_file: Path | None = None) -> RunFiles:
    """Read a finished run, without its logs; the mapping's file is only named.

    Raises:
        InputError: there is no such run, or its files are wrong; with every problem.
    """
    folder = find_run(files, run_id)
    cases = folders_in(inside(folder / "cases", folder))
    found: dict[str, Document] = {}
    own: dict[str, Document] = {}
    # in the cases' own folders is all there is where a run was killed on the way
    places = [(found, name, folder / name) for name in (SUMMARY, RESULT)]
    places += [(own, case, folder / "cases" / case / RESULT) for case in cases]
    problems: list[Problem] = []
    unread: list[str] = []
    for documents, name, path in places:
        try:
            if path.is_file():
                documents[name] = read_document(inside(path, folder))
        except InputError as error:
            problems += error.problems if documents is found else ()
            unread.append(f"{RESULT} of {name} is not read: {error}")
    if problems:
        raise InputError(*problems)
    run = read_run(run_id, files.project, found, own, cases)
    origin, others = origin_of(folder)
    stated = mapping_of(found[RESULT].value).get(JOB_KEY) if RESULT in found else None
    trials, others_of = trials_by_case(stated, folder) if stated else ({}, ())
    run = replace(
        run,
        origin=origin,
        notes=(*run.notes, *unread, *others_of, *others),
        cases=tuple(sorted({*run.cases, *trials})),
        case_usage={case: trial.usage for case, trial in trials.items()} | dict(run.case_usage),
    )
    cases_dir = None
    with suppress(InputError):  # a finished run can be read without
        cases_dir = files.cases_dir
    read = RunFiles(files.project, run, folder, found, cases_dir, mapping_file, trials)
    return replace(read, run=_with_endings(read))


def _with_endings(found: RunFiles) -> Run:
    """Why executions failed: as the run's exit codes say, else as the ends of the logs do."""
    run, failed = found.run, {}
    is_one = run.is_one or (None in found.logs and not run.tells_cases)
    told = {case for case in run.cases if run.usage_of(case).exit_code is not None}
    told |= {case for case in (*found.logs, *found.trials) if case is not None}
    if told or found.logs or run.usage.exit_code is not None:
        told.add(WHOLE_RUN)
    for case_id in [None] if is_one else run.cases:
        code, log = run.usage_of(case_id).exit_code, found.logs.get(case_id)
        raised = trial.failure if (trial := found.trials.get(case_id or "")) else ""
        if why := raised or (f"exit code {code}" if code else log.failure() if log else ""):
            failed[WHOLE_RUN if case_id is None else case_id] = why
    return replace(run, failed=failed, endings=frozenset(told))


def _is_record(name: str) -> bool:
    """Whether the harness itself left it in a case's folder."""
    own = name.split("/", 2)[-1] if name.startswith("steps/") else name
    return own in RECORDS or own.startswith("subagents/")


def _text_of(path: Path) -> str | None:
    with suppress(InputError):
        return read_text(path) if path.stat().st_size <= MOST_BYTES else None
    return None


def _is_run(path: Path) -> bool:
    return any((path / mark).exists() for mark in MARKS)


def _masked(text: str, document: Document) -> str:
    """The text of a YAML or JSON file without secrets; comments and layout stay where they can.

    A secret that the layout takes apart, such as a key folded over several lines, is only seen in
    the value; then the values are written anew.
    """
    masked, value = mask_text(text)[0], mask_json(document.value)
    if value == document.value:
        return masked
    is_json = document.file.endswith(".json")
    with suppress(InputError):  # unless the masks do not fit into the layout
        left = (parse_json if is_json else parse_yaml)(masked, document.file).value
        if mask_json(left) == left:
            return masked
    if is_json:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
