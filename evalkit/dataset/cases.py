"""Case directories as they lie on disk, read once; nothing of what their fields mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
from evalkit.jsonable import Json

MAX_TEXT_BYTES = 4_000_000
"""Larger text files of a case are listed but only read when a mapping names them."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case directory.

    Attributes:
        case_id: The directory's name.
        listing: All files in it, as sorted POSIX paths relative to the directory.
        documents: Parsed content (JSON values) of its YAML and JSON files, by relative path.
        texts: Content of its other text files, by relative path.
        notes: What is to be said of links that were not followed.
    """

    case_id: str
    listing: tuple[str, ...]
    documents: Mapping[str, Json] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load_cases(cases_dir: Path, *, only: Collection[str] | None = None) -> Iterator[Case]:
    """The cases, one at a time, in the order of their names.

    ``only`` these files of each (relative POSIX paths) are read; all that are text otherwise. After
    the last case, every file is named that could not be read or parsed.
    """
    names = folders_in(cases_dir)
    if not names:
        fix = "add one folder for each case"
        raise InputError(Problem("holds no case directories", str(cases_dir), fix=fix))
    for name in names:
        inside(cases_dir / name, cases_dir)
    problems: list[Problem] = []
    for case_id in names:
        try:
            yield read_case(cases_dir, case_id, only=only)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)


def read_case(cases_dir: Path, case_id: str, *, only: Collection[str] | None = None) -> Case:
    """One case, or ``only`` these files of it; one that leads out of the project is an error."""
    folder = cases_dir / check_id(case_id, "case id")
    skipped: dict[str, str] = {}
    listing = files_below(folder, cases_dir, skipped)
    documents: dict[str, Json] = {}
    texts: dict[str, str] = {}
    problems = [
        Problem(why, str(folder / link), fix="copy it into the case, or take it out of the mapping")
        for link, why in skipped.items()
        if any(f"{name}/".startswith(f"{link}/") for name in only or ())
    ]
    for name in listing if only is None else [each for each in listing if each in only]:
        path = folder / name
        is_document = path.suffix in DOCUMENT_SUFFIXES
        try:
            if is_document:
                documents[name] = read_document(path).value
            if only is not None:
                texts[name] = read_text(path)
            elif not is_document and (text := _read_if_text(path)) is not None:
                texts[name] = text
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    notes = (f"{case_id}/{name} is not read: it {why}" for name, why in skipped.items())
    return Case(case_id, tuple(listing), documents, texts, tuple(notes))


def read_texts(cases_dir: Path, case_id: str) -> dict[str, str | None]:
    """The text of each file of a case as it lies there; None for pictures and the very large."""
    folder = cases_dir / check_id(case_id, "case id")
    return {name: _read_if_text(folder / name) for name in files_below(folder, cases_dir)}


def _read_if_text(path: Path) -> str | None:
    try:
        return read_text(path) if path.stat().st_size <= MAX_TEXT_BYTES else None
    except InputError:
        return None
