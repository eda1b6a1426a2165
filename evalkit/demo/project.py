"""Writes the demo: a small evaluation project with two finished runs, the same each time."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from evalkit.demo.production import RECORDED
from evalkit.errors import InputError, Problem

FILES = files(__package__) / "files"
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
    """All files of the project, by POSIX path relative to it.

    Args:
        root: Absolute path of the project; the tracking URI in ``eval.yaml`` names a store in it.
    """
    store = f"sqlite:///{(root / 'mlflow.db').as_posix()}"
    given = {"@TRACKING_URI@": json.dumps(store, ensure_ascii=False), **MADE_UP_SECRETS}
    marks = re.compile("|".join(given))
    return {
        name: marks.sub(lambda mark: given[mark[0]], text)
        for name, text in sorted(_texts(FILES, ""))
    }


def write_project(directory: Path) -> Path:
    """Write the demo project and return the path of its ``eval.yaml``.

    In a folder that already holds a demo, files that are there stay as they are, edited or not,
    and only missing ones are written.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    try:
        _claim(directory)
        for name, text in project_files(directory.resolve()).items():
            _write_missing(directory / name, text)
    except OSError as error:
        problem = Problem(
            f"the demo cannot be written: {error.strerror or error}",
            file=str(error.filename or directory),
            fix="name a folder that you may write to",
        )
        raise InputError(problem) from error
    return directory / "eval.yaml"


def made_on(directory: Path) -> dt.date:
    """The day on which the demo in a folder was made; the files' own where it does not say."""
    found = _MADE_ON.search((directory / MARKER).read_text("utf-8"))
    return dt.date.fromisoformat(found[1]) if found else RECORDED


def _claim(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    marker = directory / MARKER
    if not marker.exists() and any(directory.iterdir()):
        problem = Problem(
            "the folder is not empty and holds no demo",
            file=str(directory),
            fix="name an empty or a new folder",
        )
        raise InputError(problem)
    _write_missing(marker, MARKER_TEXT.format(dt.datetime.now(dt.UTC).date()))


def _write_missing(path: Path, text: str) -> None:
    """Write a file unless it is there; it appears complete or not at all."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def _texts(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".pyc"):  # the project's judges may have been imported
            yield prefix + entry.name, entry.read_text("utf-8")
