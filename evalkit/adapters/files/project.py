"""The evaluation project on disk: its config, its cases and its mapping file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

from evalkit.adapters.files.reading import (
    DOCUMENT_SUFFIXES,
    files_below,
    folders_in,
    inside,
    read_document,
    read_text,
)
from evalkit.core.config_file import layered, other_tool
from evalkit.core.dataset import Case
from evalkit.core.document import Document, parse_yaml
from evalkit.core.identifiers import check_id
from evalkit.core.project import Project, read_project
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json

USUAL_CONFIG = Path("eval.yaml")

HARNESS_KEYS = frozenset({"skill", "execution", "dataset", "judges", "runner", "outputs"})
"""Keys of which an evaluation's config has at least one."""

MAX_LAYERS = 8
"""Configs that may extend each other in a chain, as the harness has it."""

MAX_TEXT_BYTES = 4_000_000
"""Larger text files of a case are listed but only read when a mapping names them."""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """A project and where its parts lie.

    Attributes:
        project: What the config says.
        config: The config file.
        root: The config that it extends, at the end of the chain; else the config itself. Paths
            and defaults are taken from there.
        runs_dirs: The folders in which finished runs may lie, in the order they are looked through.
    """

    project: Project
    config: Path
    root: Path
    runs_dirs: tuple[Path, ...]

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
        tried = [self.root.parent / where, Path(where)]
        found = next((path for path in tried if path.is_dir()), None)
        if found is None:
            places = " or ".join(dict.fromkeys(str(path.absolute()) for path in tried))
            raise InputError(
                Problem(
                    f"there is no folder {places}",
                    str(self.config),
                    field="dataset.path",
                    fix="correct the path; it is relative to the config file,"
                    " else to the working directory",
                )
            )
        return found

    @property
    def notes(self) -> list[str]:
        """A word on where the cases lie, where that is not beside the config.

        Raises:
            InputError: as :attr:`cases_dir`.
        """
        found = self.cases_dir
        if found == self.root.parent / self.project.dataset_path:
            return []
        return [f"the cases are taken from {found} of the working directory"]

    @property
    def run_homes(self) -> list[Path]:
        """The folders whose folders are runs, in the order in which they are looked through."""
        project, config = self.project, self.root.resolve()
        lowered = project.name.lower().replace(" ", "-")
        plain = "".join(sign for sign in lowered if sign.isalnum() or sign in "._-")
        of_layout = config.parent.name if config.parent.parent.name == "eval" else ""
        names = (project.skill, project.name, lowered, plain, of_layout, config.stem)
        usable = [name for name in names if name and "/" not in name and name not in {".", ".."}]
        return [base / name for base in self.runs_dirs for name in dict.fromkeys((*usable, ""))]


def find_config(folder: Path) -> Path:
    """The config that is meant where none is named: ``eval.yaml``, else the one below ``eval``.

    Profiles, and other tools' files beside an eval's, are passed over.

    Raises:
        InputError: there is none, or more than one.
    """
    if len(found := configs_in(folder)) == 1:
        return found[0]
    listed = ", ".join(map(str, found))
    what = f"but {listed}" if found else "and no config at eval/*/eval.yaml or eval/*.yaml either"
    fix = "say which with --config" if found else "name your eval.yaml with --config"
    more = "" if found else ", or run `evalkit demo` to see one"
    where = str(folder / USUAL_CONFIG)
    raise InputError(Problem(f"there is no such file, {what}", where, fix=fix + more))


def configs_in(folder: Path) -> list[Path]:
    """The configs that may be meant where none is named."""
    if (folder / USUAL_CONFIG).is_file():
        return [folder / USUAL_CONFIG]
    below = sorted({*folder.glob("eval/*/eval.yaml"), *folder.glob("eval/*.yaml")})
    kinds = {path: _kind_of_config(path) for path in below if path.is_file()}
    own = [path for path, kind in kinds.items() if kind == "own"]
    return own or [path for path, kind in kinds.items() if kind == "foreign"]


def _kind_of_config(path: Path) -> Literal["own", "foreign", "none"]:
    try:
        root = parse_yaml(read_text(path), str(path)).value
    except InputError:
        return "own" if path.name == USUAL_CONFIG.name else "none"
    if other_tool(root):
        return "foreign"
    is_own = isinstance(root, dict) and "extends" not in root
    return "own" if is_own and HARNESS_KEYS & root.keys() else "none"


def load_project(config: Path, runs_dir: str | None = None) -> ProjectFiles:
    """Read a config file, and those that it extends.

    Args:
        config: Path of the ``eval.yaml``, or of the folder to look for it in.
        runs_dir: Where finished runs lie; else ``AGENT_EVAL_RUNS_DIR``, else ``eval/runs`` of the
            working directory or beside the config.

    Raises:
        InputError: a file is missing or wrong, with every problem in it.
    """
    if config.is_dir() or (config == USUAL_CONFIG and not config.is_file()):
        config = find_config(config if config.is_dir() else Path())
    document, root = _read_layers(config)
    project = read_project(document, fallback_name=root.resolve().parent.name or "eval")
    chosen = runs_dir or os.environ.get("AGENT_EVAL_RUNS_DIR")
    above = [parent / "runs" for parent in root.resolve().parents[:2] if parent.name == "eval"]
    usual = (Path("eval/runs"), root.parent / "eval/runs", *above)
    bases = {base.absolute(): base for base in ((Path(chosen),) if chosen else usual)}
    return ProjectFiles(project, config, root, tuple(bases.values()))


def _read_layers(config: Path) -> tuple[Document, Path]:
    """The config, laid over those that it extends, and the file at the root of that chain."""
    path, layers = config, [parse_yaml(read_text(config), str(config), with_lines=True)]
    while isinstance(layers[-1].value, dict) and "extends" in layers[-1].value:
        base = layers[-1].value["extends"]
        wrong = ""
        if not isinstance(base, str) or not base or Path(base).is_absolute():
            wrong = "must be a path relative to this file"
        elif not (below := Path(os.path.normpath(path.parent / base))).is_file():
            wrong = f"there is no file {below}"
        elif len(layers) > MAX_LAYERS:
            wrong = f"more than {MAX_LAYERS} files extend each other, or one extends itself"
        if wrong:
            raise InputError(layers[-1].problem("extends", wrong, "name the config to build on"))
        path = below
        layers.append(parse_yaml(read_text(path), str(path), with_lines=True))
    return reduce(layered, reversed(layers)), path


def case_ids(cases_dir: Path) -> list[str]:
    """Names of the case directories, sorted.

    Raises:
        InputError: there is none, or one of them is a link that leads out of the project.
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
        InputError: a file of it cannot be read or parsed, or one of ``only`` leads out of the
            project.
    """
    folder = cases_dir / check_id(case_id, "case id")
    skipped: dict[str, str] = {}
    listing = tuple(files_below(folder, cases_dir, skipped))
    documents: dict[str, Json] = {}
    texts: dict[str, str | None] = {}
    problems = [
        Problem(why, str(folder / link), fix="copy it into the case, or take it out of the mapping")
        for link, why in skipped.items()
        if any(f"{name}/".startswith(f"{link}/") for name in only or ())
    ]
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
    read = {name: text for name, text in texts.items() if text is not None}
    return Case(case_id, listing, documents, read, skipped)


def read_texts(cases_dir: Path, case_id: str) -> dict[str, str | None]:
    """The text of each file of a case as it lies there; None for pictures and the very large."""
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
