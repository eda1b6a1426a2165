"""Finished runs on disk: where they lie, what their files say, and the logs of their cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.adapters.files.project import ProjectFiles
from evalkit.adapters.files.reading import folders_in, inside, read_document
from evalkit.core.document import Document
from evalkit.core.errors import InputError, Problem
from evalkit.core.project import Project, check_id
from evalkit.core.results import Run, read_run

MARKS = ("summary.yaml", "run_result.json", "cases", "stdout.log")
"""What makes a folder a finished run: at least one of these lies in it."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """The log of one case, or of a whole batch run.

    Attributes:
        path: The ``stdout.log``.
        case_id: Its case; None for a batch run's.
    """

    path: Path
    case_id: str | None

    @property
    def folder(self) -> Path:
        """Where the log and its companions lie."""
        return self.path.parent

    def lines(self) -> Iterator[bytes]:
        """Its lines, one at a time, as bytes."""
        with self.path.open("rb") as file:
            yield from file

    def subagents(self) -> dict[str, Iterator[bytes]]:
        """The transcripts of background subagents that lie beside it, by file name."""
        found = sorted((self.folder / "subagents").glob("*.jsonl"))
        return {
            path.name: LogFile(inside(path, self.folder), self.case_id).lines() for path in found
        }

    def events(self) -> list[dict[str, Any]] | None:
        """The harness's ``events.json`` with the time of each event; None where there is none.

        An unreadable one counts as none: it only adds times to a log that is complete without.
        """
        path = self.folder / "events.json"
        if not path.is_file():
            return None
        try:
            found = read_document(inside(path, self.folder)).value
        except InputError:
            return None
        return found if isinstance(found, list) else None

    def modified_ns(self) -> int:
        """When the log was last written, nanoseconds since the epoch."""
        return self.path.stat().st_mtime_ns


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A finished run and its folder.

    Attributes:
        project: The project it evaluated.
        run: What its files say.
        folder: The run directory.
        started: What ``run_result.json`` says of when it began; None where it does not.
    """

    project: Project
    run: Run
    folder: Path
    started: Any = None

    def logs(self) -> tuple[LogFile, ...]:
        """Its logs: one a case, or one for the run in batch mode.

        Raises:
            InputError: a log is a link that leads out of the run directory.
        """
        whole = self.folder / "stdout.log"
        own = tuple(
            LogFile(inside(path, self.folder), case_id)
            for case_id in folders_in(self.folder / "cases")
            if (path := self.folder / "cases" / case_id / "stdout.log").is_file()
        )
        if whole.is_file() and (self.run.mode == "batch" or not own):
            return (LogFile(inside(whole, self.folder), None),)
        return own

    @property
    def review(self) -> Path:
        """Where people's review of the run stands, or will stand."""
        return self.folder / "review.yaml"

    def artifact(self, name: str) -> bytes | None:
        """The content of a file of the run; None where it has none."""
        path = self.folder / name
        return inside(path, self.folder).read_bytes() if path.is_file() else None


def find_run(files: ProjectFiles, run_id: str) -> Path:
    """The directory of a run.

    Raises:
        InputError: the id is no folder name, or there is no such run; says which there are.
    """
    check_id(run_id, "run id")
    tried = [base / run_id for base in _homes(files)]
    found = next((path for path in tried if _is_run(path)), None)
    if found is not None:
        return inside(found, files.runs_dir)
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
        {name for base in _homes(files) for name in folders_in(base) if _is_run(base / name)}
    )


def load_run(files: ProjectFiles, run_id: str) -> RunFiles:
    """Read a finished run, without its logs.

    Raises:
        InputError: there is no such run, or its files are wrong; with every problem.
    """
    folder = find_run(files, run_id)
    problems: list[Problem] = []
    found: dict[str, Document] = {}
    for name in ("summary.yaml", "run_result.json"):
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
    return RunFiles(files.project, run, folder, started)


def _homes(files: ProjectFiles) -> Iterator[Path]:
    """Where the runs of a project may lie: below its name, its skill, or directly."""
    project, base = files.project, files.runs_dir
    for name in dict.fromkeys((project.name, project.skill)):
        if name and "/" not in name and name not in {".", ".."}:
            yield base / name
    yield base


def _is_run(path: Path) -> bool:
    return any((path / mark).exists() for mark in MARKS)
