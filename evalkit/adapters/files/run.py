"""Finished runs on disk: where they lie, what their files say, and the logs of their cases."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from evalkit.adapters.files.companions import origin_of
from evalkit.adapters.files.project import ProjectFiles
from evalkit.adapters.files.reading import folders_in, inside, read_document, read_text
from evalkit.core.document import Document, masked_document
from evalkit.core.errors import InputError, LogRefused, Problem
from evalkit.core.identifiers import check_id
from evalkit.core.project import Project
from evalkit.core.receipt import Receipt
from evalkit.core.results import Run, read_run
from evalkit.core.timing import parse_time
from evalkit.core.values import Json

MARKS = ("summary.yaml", "run_result.json", "cases", "stdout.log")
"""What makes a folder a finished run: at least one of these lies in it."""

DOCUMENTS = ("summary.yaml", "run_result.json")
"""Files of a run that are read whole, and go to MLflow as they are, with secrets masked."""

EVENTS = "events.json"
"""What the harness may leave beside a log: when each event was logged."""

INPUT = "input.yaml"
"""What a case gives to the agent, in the dataset; the harness leaves a copy beside the log."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log of one case, or of a whole batch run.

    Attributes:
        path: The ``stdout.log``.
        case_id: Its case; None for a batch run's.
        steps: The logs of a case's steps by their id, in order; of them, ``path`` is a copy of
            the last.
    """

    path: Path
    case_id: str | None
    steps: Mapping[str, Path] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the log and its companions lie."""
        return self.path.parent

    def stay_inside(self, root: Path) -> None:
        """Make sure that neither the log nor what lies beside it leads out of the run.

        Raises:
            InputError: a link does.
        """
        inside(self.path, root)
        beside = (*self._transcripts(), self.folder / EVENTS, self.folder / INPUT)
        for path in (*self.steps.values(), *beside):
            inside(path, self.folder)

    def lines(self) -> dict[str, Iterator[bytes]]:
        """Step to the lines of its log, in order; a log that is no step's has an empty name.

        They are read one at a time, as bytes, which raises LogRefused where it cannot be done.
        """
        logs = dict(self.steps)
        if self.path.is_file() and not (logs and filecmp.cmp(self.path, self._last, shallow=False)):
            logs[""] = self.path
        return {step: _lines(path) for step, path in logs.items()}

    def subagents(self) -> dict[str, Iterator[bytes]]:
        """The transcripts of background subagents that lie beside it, by file name."""
        return {path.name: _lines(path) for path in self._transcripts()}

    def _transcripts(self) -> list[Path]:
        return sorted((self.folder / "subagents").glob("*.jsonl"))

    def events(self) -> list[dict[str, Any]] | None:
        """The harness's ``events.json`` with the time of each event; None where there is none.

        An unreadable one counts as none: it only adds times to a log that is complete without.
        """
        path = self.folder / EVENTS
        if not path.is_file():
            return None
        try:
            found = read_document(path).value
        except InputError:
            return None
        return found if isinstance(found, list) else None

    def first_ns(self) -> int | None:
        """The earliest time that it says, nanoseconds since the epoch; None where it says none."""
        logged = (event for log in self.lines().values() for event in _stamped(log))
        events = (each for each in chain(logged, self.events() or ()) if isinstance(each, dict))
        stamps = (parse_time(each.get("timestamp")) for each in events)
        return next((stamp for stamp in stamps if stamp is not None), None)

    def modified_ns(self) -> int:
        """When the log was last written, nanoseconds since the epoch."""
        return self._last.stat().st_mtime_ns

    @property
    def _last(self) -> Path:
        return list(self.steps.values())[-1] if self.steps else self.path


def _stamped(lines: Iterable[bytes]) -> Iterator[Any]:
    """The events among these lines that may say when they were; a log may be one array of them."""
    with suppress(LogRefused):
        for line in lines:
            if b'"timestamp"' in line:  # quick, for logs are long
                with suppress(ValueError, RecursionError):
                    found = json.loads(line.strip(b" \t\r\n,"))
                    yield from found if isinstance(found, list) else [found]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        what = f"the log cannot be read: {error.strerror}"
        problem = Problem(what, str(path), fix="check its rights and the disk")
        raise LogRefused(problem, receipt=Receipt()) from error


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
    """

    project: Project
    run: Run
    folder: Path
    started: Any = None
    documents: Mapping[str, Document] = field(default_factory=dict)
    cases_dir: Path | None = None

    @cached_property
    def first_ns(self) -> int | None:
        """The earliest time that any log says, nanoseconds since the epoch."""
        found = [log.first_ns() for log in self.logs()]
        return min((stamp for stamp in found if stamp is not None), default=None)

    def logs(self) -> tuple[LogFile, ...]:
        """Its logs: one a case, or one for the run in batch mode.

        Raises:
            InputError: a log, or what lies beside one, is a link that leads out of the run
                directory.
        """
        whole = self.folder / "stdout.log"
        cases = map(self._log_of, folders_in(self.folder / "cases"))
        own = tuple(log for log in cases if log.steps or log.path.is_file())
        found = own
        if whole.is_file() and (self.run.mode == "batch" or not own):
            found = (LogFile(whole, None),)
        for log in found:
            log.stay_inside(self.folder)
        return found

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
        return LogFile(folder / "stdout.log", case_id, steps)

    def given(self, log: LogFile) -> Json:
        """What the case of a log gave to the agent; None where no file of this run or project says.

        It is asked for what the log itself does not tell, so an unreadable file counts as none.
        """
        if log.case_id is None:
            return None
        places = [(log.folder / INPUT, self.folder)]
        if self.cases_dir is not None:
            places.append((self.cases_dir / log.case_id / INPUT, self.cases_dir))
        there = ((path, root) for path, root in places if path.is_file())
        try:
            return next((read_document(inside(*each)).value for each in there), None)
        except InputError:
            return None

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


def load_run(files: ProjectFiles, run_id: str) -> RunFiles:
    """Read a finished run, without its logs.

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
    cases = folders_in(folder / "cases")
    for name in cases:
        inside(folder / "cases" / name, folder)
    run = read_run(run_id, files.project, found.get("summary.yaml"), result, case_dirs=cases)
    body = result.value if result and isinstance(result.value, dict) else {}
    started = next(
        (body[key] for key in ("started_at", "start_time", "started") if key in body), None
    )
    run = replace(run, origin=origin_of(folder))
    return RunFiles(files.project, run, folder, started, found, _cases_dir(files))


def _cases_dir(files: ProjectFiles) -> Path | None:
    """Where the cases lie, which a finished run can be read without."""
    try:
        return files.cases_dir
    except InputError:
        return None


def _is_run(path: Path) -> bool:
    return any((path / mark).exists() for mark in MARKS)
