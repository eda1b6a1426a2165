"""Writes the demo: a small evaluation project with two finished runs, and what its agent did.

It is also the sample that a page shows to somebody who has not configured an own project. The
support agent's two weeks of production lie in ``production.json.gz`` as they were recorded: an
outage, timeouts and second tries, slow requests, questions that come twice, a request that is still
open, other languages, a customer who gives the agent orders, and what colleagues thought of some
answers.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import re
import threading
from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import msgspec

from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.mapping_file import map_schema
from evalkit.entities import Assessment, Trace
from evalkit.errors import InputError, Problem
from evalkit.files import write_text
from evalkit.store import Store

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

PRODUCTION = "quillmoor-support-production"
"""The experiment that the agent's traces lie in."""

RECORDED = dt.date(2026, 5, 12)
"""The day that the recorded traces end before."""

DAY = {"created": 24 * 3600, "ms": 24 * 3600 * 10**3, "ns": 24 * 3600 * 10**9}
"""A day in the unit of a field, by the end of the field's name."""

TIME = re.compile(r'"((?:\w+_)?(ns|ms|created))":(\d+)')
DATE = re.compile(r"@(-?\d+) (%[^@]+)@")
"""A date in a text: days from the one on which the demo is made, and its form."""

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
    if not marker.exists() and directory.is_dir() and any(directory.iterdir()):
        problem, fix = "the folder is not empty and holds no demo", "name an empty or a new one"
        raise InputError(Problem(problem, str(directory), fix=fix))
    today = MARKER_TEXT.format(dt.datetime.now(dt.UTC).date())
    for name, text in {MARKER: today, **project_files(directory.resolve())}.items():
        if not (directory / name).exists():
            write_text(directory / name, text)
    return directory / "eval.yaml"


def made_on(directory: Path) -> dt.date:
    """The day on which the demo in a folder was made; the files' own where it does not say."""
    found = _MADE_ON.search((directory / MARKER).read_text("utf-8"))
    return dt.date.fromisoformat(found[1]) if found else RECORDED


def production_traces(made: dt.date) -> list[tuple[Trace, tuple[Assessment, ...]]]:
    """The traces with what people said of them, the oldest first; the same each time.

    The last request came in on the day before the demo is ``made``: all dates move with it.
    """
    later = made - RECORDED
    packed = (files(__package__) / "production.json.gz").read_bytes()
    text = DATE.sub(
        lambda date: f"{made + dt.timedelta(int(date[1])):{date[2]}}",
        gzip.decompress(packed).decode(),
    )
    text = TIME.sub(lambda t: f'"{t[1]}":{int(t[3]) + later.days * DAY[t[2]]}', text)
    form = list[tuple[Trace, tuple[Assessment, ...]]]
    return msgspec.json.decode(text, type=form, dec_hook=lambda kind, value: kind(value))


def record_production(store: Store, made: dt.date) -> int:
    """Write the traces into the store, as far as they are not there; how many had to be."""
    return store.record(store.experiment(PRODUCTION, create=True), production_traces(made))


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
    """Record what the sample's agent did in production, and return the experiment's name."""
    with _WRITING:
        if written := record_production(Workspace.open(config).store, made_on(config.parent)):
            say(f"{written} traces recorded")
    return PRODUCTION


def sample_mapping(config: Path) -> Path:
    """Where the sample's mapping lies: beside its config, since nobody works in its folder."""
    return config.parent / MAPPING_FILE
