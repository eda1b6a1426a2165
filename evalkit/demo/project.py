"""Writes the demo: a small evaluation project with two finished runs, the same each time.

It is also the sample that a page shows to somebody who has not configured an own project.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import threading
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.mapping_file import map_schema
from evalkit.demo.production import PRODUCTION, RECORDED, record_production
from evalkit.errors import InputError, Problem

FILES = Path(str(files(__package__))) / "files"
"""The project as it is written, but for what stands between @ in it."""

EVAL_NAME = "quillmoor-support-eval"
RUNS = f"eval/runs/{EVAL_NAME}"
RUN_ID = "2026-05-12-sonnet-v2"
BASELINE_ID = "2026-05-05-sonnet-v1"

MADE_UP_SECRETS = {
    "@GITHUB_TOKEN@": "ghp" + "_" + "7Qm2" + "Lw9x" * 8,
    "@BEARER_TOKEN@": "cpn" + "." + "3vT8" + "kYd5" * 9,
}
"""Stand in a log; put together here so that no scanner takes this repository for leaking."""

MARKER = ".evalkit-demo"
"""The first file written: a folder that holds it is a demo, even a half-written one."""

MARKER_TEXT = (
    "Written by `evalkit demo` on {}. While this file is here, running it again restores files.\n"
)
_MADE_ON = re.compile(r"on (\d{4}-\d\d-\d\d)\.")


def project_files(root: Path) -> dict[str, str]:
    """All files of the project in ``root``, an absolute path, by their POSIX path in it."""
    store = f"sqlite:///{(root / 'mlflow.db').as_posix()}"
    given = {"@TRACKING_URI@": json.dumps(store, ensure_ascii=False), **MADE_UP_SECRETS}
    marks = re.compile("|".join(given))
    return {
        path.relative_to(FILES).as_posix(): marks.sub(
            lambda mark: given[mark[0]], path.read_text("utf-8")
        )
        for path in sorted(FILES.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"  # its judges may have been imported
    }


def write_project(directory: Path) -> Path:
    """Write the demo project and return the path of its ``eval.yaml``.

    In a folder that already holds a demo, files that are there stay as they are, edited or not,
    and only missing ones are written.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    marker = directory / MARKER
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not marker.exists() and any(directory.iterdir()):
            problem, fix = "the folder is not empty and holds no demo", "name an empty or a new one"
            raise InputError(Problem(problem, str(directory), fix=fix))
        _write_missing(marker, MARKER_TEXT.format(dt.datetime.now(dt.UTC).date()))
        for name, text in project_files(directory.resolve()).items():
            _write_missing(directory / name, text)
    except OSError as error:
        problem, fix = f"the demo cannot be written: {error.strerror}", "name another folder"
        raise InputError(Problem(problem, str(error.filename or directory), fix=fix)) from error
    return directory / "eval.yaml"


def made_on(directory: Path) -> dt.date:
    """The day on which the demo in a folder was made; the files' own where it does not say."""
    found = _MADE_ON.search((directory / MARKER).read_text("utf-8"))
    return dt.date.fromisoformat(found[1]) if found else RECORDED


def _write_missing(path: Path, text: str) -> None:
    """Write a file unless it is there; it appears complete or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)


_WRITING = threading.Lock()
"""Two pages may open at once in one server."""


def sample_project() -> Path:
    """Path of the sample's ``eval.yaml``; the project is generated, and mapped by rules, if needed.

    It lies in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``) and stays there: what
    a person does to it is kept. An InputError where the folder cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "evalkit" / f"demo-{version('mlflow-evalkit')}"
    config = root / "eval.yaml"
    mapping = sample_mapping(config)
    with _WRITING:
        if not mapping.exists():  # it is written last: what is complete is left to the person
            write_project(root)
            map_schema(Workspace.open(config), out=mapping)
    return config


def record_sample(config: Path, say: Callable[[str], None]) -> str:
    """Record what the sample's agent did in production, as far as its MLflow lacks it.

    Returns:
        The experiment's name.
    """
    with _WRITING:
        if written := record_production(Workspace.open(config).store, made_on(config.parent)):
            say(f"{written} traces recorded")
    return PRODUCTION


def sample_mapping(config: Path) -> Path:
    """Where the sample's mapping lies: beside its config, since nobody works in its folder."""
    return config.parent / MAPPING_FILE
