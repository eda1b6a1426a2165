"""The evaluation project on disk: its config, its cases and its mapping file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from evalkit.adapters.files.reading import (
    DOCUMENT_SUFFIXES,
    files_below,
    folders_in,
    inside,
    read_document,
    read_text,
)
from evalkit.core.dataset import Case
from evalkit.core.errors import InputError, Problem
from evalkit.core.identifiers import check_id
from evalkit.core.project import Project, parse_project
from evalkit.core.values import Json

MAX_TEXT_BYTES = 4_000_000
"""Larger text files of a case are listed but only read when a mapping names them."""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """A project and where its parts lie.

    Attributes:
        project: What the config says.
        config: The config file.
        runs_dir: Where finished runs lie, as the flag, the environment or the default says.
    """

    project: Project
    config: Path
    runs_dir: Path

    @property
    def cases_dir(self) -> Path:
        """The folder that holds the case directories.

        Raises:
            InputError: the config names none, or there is none.
        """
        where = self.project.dataset_path
        if not where:
            raise InputError(
                Problem(
                    "is missing",
                    str(self.config),
                    field="dataset.path",
                    fix="name the folder that holds the case directories",
                )
            )
        tried = [base / where for base in self._bases()]
        found = next((path for path in tried if path.is_dir()), None)
        if found is None:
            places = " or ".join(dict.fromkeys(map(str, tried)))
            raise InputError(
                Problem(
                    f"there is no folder {places}",
                    str(self.config),
                    field="dataset.path",
                    fix="correct the path; it is relative to the config file",
                )
            )
        return found

    def _bases(self) -> Iterator[Path]:
        """The config's folder, the working directory, then the folders above the config."""
        yield self.config.parent
        yield Path()
        yield from self.config.resolve().parent.parents


def load_project(config: Path, runs_dir: str | None = None) -> ProjectFiles:
    """Read a config file.

    Args:
        config: Path of the ``eval.yaml``, or of the folder that holds it.
        runs_dir: Where finished runs lie; else ``AGENT_EVAL_RUNS_DIR``, else ``eval/runs``
            beside the config.

    Raises:
        InputError: the file is missing or wrong, with every problem in it.
    """
    path = config / "eval.yaml" if config.is_dir() else config
    if not path.is_file():
        raise InputError(
            Problem(
                "there is no such file",
                str(path),
                fix="name your eval.yaml with --config, or run `evalkit demo` to see one",
            )
        )
    fallback = path.resolve().parent.name or "eval"
    project = parse_project(read_text(path), str(path), fallback_name=fallback)
    chosen = runs_dir or os.environ.get("AGENT_EVAL_RUNS_DIR")
    return ProjectFiles(project, path, Path(chosen) if chosen else path.parent / "eval" / "runs")


def case_ids(cases_dir: Path) -> list[str]:
    """Names of the case directories, sorted.

    Raises:
        InputError: there is none, or one of them is a link that leads out of the dataset.
    """
    names = folders_in(cases_dir)
    if not names:
        raise InputError(
            Problem("holds no case directories", str(cases_dir), fix="add one folder for each case")
        )
    for name in names:
        inside(cases_dir / name, cases_dir)
    return names


def read_cases(cases_dir: Path, *, only: Collection[str] | None = None) -> Iterator[Case]:
    """The cases, one at a time.

    Args:
        cases_dir: The folder that holds the case directories.
        only: Read just these files of each case (relative POSIX paths); all that are text
            otherwise.

    Raises:
        InputError: after the last case, with every file that could not be read or parsed.
    """
    problems: list[Problem] = []
    for case_id in case_ids(cases_dir):
        try:
            yield read_case(cases_dir, case_id, only=only)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)


def read_case(cases_dir: Path, case_id: str, *, only: Collection[str] | None = None) -> Case:
    """One case.

    Raises:
        InputError: a file of it cannot be read or parsed, or leads out of the dataset.
    """
    folder = cases_dir / check_id(case_id, "case id")
    listing = tuple(files_below(folder, cases_dir))
    documents: dict[str, Json] = {}
    texts: dict[str, str | None] = {}
    problems: list[Problem] = []
    for name in listing:
        path = folder / name
        if only is not None and name not in only:
            continue
        try:
            if path.suffix in DOCUMENT_SUFFIXES:
                documents[name] = read_document(path).value
            if path.suffix not in DOCUMENT_SUFFIXES or only is not None:
                texts[name] = _text(path, required=only is not None)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return Case(case_id, listing, documents, {k: v for k, v in texts.items() if v is not None})


def read_texts(cases_dir: Path, case_id: str) -> dict[str, str | None]:
    """The text of each file of a case as it lies there; None for pictures and the very large.

    Raises:
        InputError: a file leads out of the dataset.
    """
    folder = cases_dir / check_id(case_id, "case id")
    return {name: _text(folder / name, required=False) for name in files_below(folder, cases_dir)}


def _text(path: Path, *, required: bool) -> str | None:
    """The file's text; None for pictures, archives and the very large, unless it is required."""
    if not required and path.stat().st_size > MAX_TEXT_BYTES:
        return None
    try:
        return read_text(path)
    except InputError:
        if required:
            raise
        return None
