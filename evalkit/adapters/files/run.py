"""Finished runs on disk: where they lie, what their files say, and the logs of their cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evalkit.adapters.files.companions import masked_document, origin_of
from evalkit.adapters.files.log_file import EVENTS, INPUT, MOST_BYTES, LogFile
from evalkit.config_files import ProjectFiles
from evalkit.core.results import Run
from evalkit.core.run_reader import read_run
from evalkit.dataset.cases import Case, read_case
from evalkit.dataset.mapping import SchemaMapping, apply_mapping, parse_mapping
from evalkit.documents import Document
from evalkit.errors import InputError, Problem
from evalkit.files import check_id, files_below, folders_in, inside, read_document, read_text
from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.receipt import WHOLE_RUN

MARKS = ("summary.yaml", "run_result.json", "cases", "stdout.log")
"""What makes a folder a finished run: at least one of these lies in it."""

DOCUMENTS = ("summary.yaml", "run_result.json")
"""Files of a run that are read whole, and go to MLflow as they are, with secrets masked."""

RESULT = "run_result.json"
"""What an execution consumed and how it ended: of the whole run, and in a case's folder of it."""

NAMED_FOR_INPUT = ("input", "prompt")
"""Names of a case's file, whatever its suffix, that hold what the agent is asked."""

RECORDS = ("stdout.log", "stderr.log", EVENTS, RESULT)
"""What the harness itself left in a case's folder; everything else there is the agent's output."""


@dataclass(frozen=True)  # no slots: the logs are looked through for a time once
class RunFiles:
    """A finished run and its folder.

    Attributes:
        project: The project it evaluated.
        run: What its files say.
        folder: The run directory.
        started: What ``run_result.json`` says of when it began; None where it does not.
        documents: Its own files by name, parsed; without those that it lacks.
        cases_dir: Where the cases of the project lie; None where there is no such folder.
        mapping: Which of their fields are inputs; None where there is none that can be read.
    """

    project: Project
    run: Run
    folder: Path
    started: Any = None
    documents: Mapping[str, Document] = field(default_factory=dict)
    cases_dir: Path | None = None
    mapping: SchemaMapping | None = None

    @cached_property
    def first_ns(self) -> int | None:
        """The earliest time that any log says, nanoseconds since the epoch."""
        found = [log.first_ns() for log in self.logs()]
        return min((stamp for stamp in found if stamp is not None), default=None)

    def logs(self) -> tuple[LogFile, ...]:
        """Its logs: one a case, or one for the run in batch mode.

        One that leads out of the project is barred.
        """
        whole = self.folder / "stdout.log"
        cases = map(self._log_of, folders_in(self.folder / "cases"))
        own = tuple(log for log in cases if log.barred or log.steps or log.path.is_file())
        if whole.is_file() and (self.run.mode == "batch" or not own):
            return (LogFile(whole, None).kept_inside(self.folder),)
        return own

    def _log_of(self, case_id: str) -> LogFile:
        """A case's log with those of its steps, in the order the run's result or config has."""
        folder = self.folder / "cases" / case_id
        there = {
            step: path
            for step in folders_in(folder / "steps")
            if (path := folder / "steps" / step / "stdout.log").is_file()
        }
        ran = self.run.case_usage[case_id].steps if case_id in self.run.case_usage else ()
        order = dict.fromkeys((*ran, *self.project.steps, *there))
        steps = {step: there[step] for step in order if step in there}
        is_current = steps.keys() <= set(self.project.steps)  # else the config has changed since
        due = (ran or (self.project.steps if is_current else ())) if steps else ()
        unlogged = tuple(step for step in due if step not in steps)
        return LogFile(folder / "stdout.log", case_id, steps, unlogged).kept_inside(self.folder)

    def given(self, case_id: str | None) -> Json:
        """What a case gave to the agent; None where no file of this run or project says.

        It is ``input.yaml``, else what the mapping selects, else a file that is named like it.
        It is asked for what no log tells, so an unreadable file counts as none.
        """
        if case_id is None:
            return None
        with suppress(InputError):
            check_id(case_id, "case id")
            own = (self.folder / "cases" / case_id, self.folder)
            theirs = (self.cases_dir / case_id, self.cases_dir) if self.cases_dir else own
            for folder, root in (own, theirs):
                with suppress(InputError):
                    if (path := inside(folder / INPUT, root)).is_file():
                        return read_document(path).value
            if self.cases_dir and inside(*theirs).is_dir():
                return _asked_of(read_case(self.cases_dir, case_id), self.mapping)
        return None

    def produced(self, case_id: str | None) -> dict[str, str | None]:
        """The files that the agent left for a case, or for a whole batch run, by relative path.

        None stands for the text of one that is too large, or is none; of a link that is not
        followed, it is said why.
        """
        own = self.folder / ("output" if case_id is None else f"cases/{case_id}")
        skipped: dict[str, str] = {}
        try:
            check_id("output" if case_id is None else case_id, "case id")
            is_there = inside(own, self.folder).is_dir()
            names = files_below(own, self.folder, skipped) if is_there else ()
            found = {name: _text_of(own / name) for name in names}
        except InputError:
            return {}
        found |= {name: f"(not read: it {why})" for name, why in skipped.items()}
        return {name: text for name, text in found.items() if not _is_record(name)}

    def modified_ns(self) -> int:
        """When the run's own files were last written; for executions that left no log."""
        there = (self.folder / name for name in reversed(DOCUMENTS))
        newest = next((path for path in there if path.is_file()), self.folder)
        return newest.stat().st_mtime_ns

    @property
    def review(self) -> Path:
        """Where people's review of the run stands, or will stand."""
        return self.folder / "review.yaml"

    def artifacts(self) -> dict[str, str]:
        """The text of the run's own files by name, without the secrets in them.

        Raises:
            InputError: a file can no longer be read.
        """
        return {
            name: masked_document(read_text(inside(self.folder / name, self.folder)), document)
            for name, document in self.documents.items()
        }


def find_run(files: ProjectFiles, run_id: str) -> Path:
    """The directory of a run.

    Raises:
        InputError: the id is no folder name, or there is no such run; says which there are.
    """
    check_id(run_id, "run id")
    tried = [base / run_id for base in files.run_homes]
    found = next((path for path in tried if _is_run(path)), None)
    if found is not None:
        return inside(found, found.parent)
    known = list_runs(files)
    fix = f"there are {', '.join(known[-5:])}" if known else "run the evaluation first"
    if any(path.is_dir() for path in tried):
        fix = f"the folder holds none of {', '.join(MARKS)}; run the evaluation again"
    places = " or ".join(map(str, tried))
    raise InputError(
        Problem(f"there is no finished run {run_id!r} ({places})", field="run id", fix=fix)
    )


def list_runs(files: ProjectFiles) -> list[str]:
    """Ids of the finished runs, sorted."""
    return sorted(
        {name for base in files.run_homes for name in folders_in(base) if _is_run(base / name)}
    )


def load_run(files: ProjectFiles, run_id: str, mapping_file: Path | None = None) -> RunFiles:
    """Read a finished run, without its logs.

    Args:
        files: The project.
        run_id: The run directory's name.
        mapping_file: Where the project's mapping lies, if there is one.

    Raises:
        InputError: there is no such run, or its files are wrong; with every problem.
    """
    folder = find_run(files, run_id)
    problems: list[Problem] = []
    found: dict[str, Document] = {}
    for name in DOCUMENTS:
        path = folder / name
        try:
            if path.is_file():
                found[name] = read_document(inside(path, folder), with_lines=False)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    result = found.get("run_result.json")
    cases = folders_in(inside(folder / "cases", folder))
    case_results, unread = _case_results(folder, cases)
    run = read_run(
        run_id,
        files.project,
        found.get("summary.yaml"),
        result,
        case_dirs=cases,
        case_results=case_results,
    )
    body = result.value if result and isinstance(result.value, dict) else {}
    started = next(
        (body[key] for key in ("started_at", "start_time", "started") if key in body), None
    )
    origin, others = origin_of(folder)
    run = replace(run, origin=origin, notes=(*run.notes, *unread, *others))
    mapping = _mapping(mapping_file, files.project.name)
    read = RunFiles(files.project, run, folder, started, found, _cases_dir(files), mapping)
    return replace(read, run=replace(run, failed=_failures(read)))


def _case_results(folder: Path, cases: Sequence[str]) -> tuple[dict[str, Document], list[str]]:
    """What lies in the cases' own folders, and what of it cannot be read.

    It is all there is where a run was killed on the way, perhaps while one was being written.
    """
    paths = {case: folder / "cases" / case / RESULT for case in cases}
    found, unread = {}, []
    for case, path in paths.items():
        try:
            if path.is_file():
                found[case] = read_document(inside(path, folder))
        except InputError as error:
            unread.append(f"{RESULT} of {case} is not read: {error}")
    return found, unread


def _failures(found: RunFiles) -> dict[str, str]:
    """Why executions failed: as the run's exit codes say, else as the ends of the logs do."""
    run, logs = found.run, {log.case_id: log for log in found.logs()}
    whole = run.mode == "batch" or None in logs
    failed = {}
    for case_id in [None] if whole else run.cases:
        code, log = run.usage_of(case_id).exit_code, logs.get(case_id)
        if why := f"exit code {code}" if code else log.failure() if log else "":
            failed[WHOLE_RUN if case_id is None else case_id] = why
    return failed


def _is_record(name: str) -> bool:
    """Whether the harness itself left it in a case's folder."""
    own = name.split("/", 2)[-1] if name.startswith("steps/") else name
    return own in RECORDS or own.startswith("subagents/")


def _text_of(path: Path) -> str | None:
    try:
        return read_text(path) if path.stat().st_size <= MOST_BYTES else None
    except InputError:
        return None


def _cases_dir(files: ProjectFiles) -> Path | None:
    """Where the cases lie, which a finished run can be read without."""
    try:
        return files.cases_dir
    except InputError:
        return None


def _mapping(path: Path | None, evaluation: str) -> SchemaMapping | None:
    """The eval's mapping, which a finished run can be read without."""
    with suppress(InputError):
        if path and path.is_file():
            mapping = parse_mapping(read_text(path), str(path))
            return mapping if mapping.evaluation in {"", evaluation} else None
    return None


def _asked_of(case: Case, mapping: SchemaMapping | None) -> Json:
    """What the mapping selects of a case, else its file that is named for what it holds."""
    if mapping and (inputs := apply_mapping(mapping, case).record.inputs):
        return dict(inputs)
    known = {**case.texts, **case.documents}
    return next((known[name] for name in known if Path(name).stem in NAMED_FOR_INPUT), None)


def _is_run(path: Path) -> bool:
    return any((path / mark).exists() for mark in MARKS)
