"""The project and the MLflow that a person means, where both are seen, and what to type next."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.config_files import USUAL_CONFIG, ProjectFiles, load_project
from evalkit.errors import InputError, Problem
from evalkit.jsonable import derive_id
from evalkit.runs.run_dir import RunFiles, load_run
from evalkit.tracking import (
    Tracking,
    experiment_problems,
    is_workspace,
    resolve_tracking,
    without_password,
)

if TYPE_CHECKING:
    from evalkit.store import Store

MAPPING_FILE = "tmp/schema_mapping.json"
MOST_SLUG = 60

_NAMED = re.compile(r"`evalkit (?=[a-z-])")


@dataclass(frozen=True)
class Workspace:
    """A project with its files, and the MLflow that it is joined with."""

    files: ProjectFiles
    tracking: Tracking

    @classmethod
    def open(
        cls,
        config: str | Path = USUAL_CONFIG,
        *,
        tracking_uri: str | None = None,
        runs_dir: str | None = None,
    ) -> Workspace:
        """Read the config; MLflow is not asked yet."""
        files = load_project(Path(config), runs_dir)
        return cls(files, resolve_tracking(tracking_uri, files.project.tracking_uri, os.environ))

    @cached_property
    def store(self) -> Store:
        """The MLflow store, asked once.

        Raises:
            InputError: it cannot have an experiment of the name that the config gives.
            StoreAbsent: it is refused, cannot be resolved, or stays silent.
            StoreError: it answers with an error.
        """
        from evalkit.store import connect

        if problems := experiment_problems(self.tracking.uri, self.files.project.experiment):
            raise InputError(*problems)
        return connect(self.tracking.uri)

    def dataset_name(self, named: str | None = None) -> str:
        """The name of the dataset that mirrors the cases: the eval's, unless another is given.

        In a Databricks workspace it is that of a table: see :func:`table_name`.
        """
        evaluation = self.files.project.name
        if is_workspace(self.tracking.uri):
            return table_name(named, evaluation, self.files.config.resolve().parent.as_posix())
        return named or evaluation

    @property
    def mapping_file(self) -> Path:
        """Where the schema mapping of this config lies, below the working directory."""
        if self.files.root.resolve() == Path(USUAL_CONFIG).resolve():
            return Path(MAPPING_FILE)
        slug = re.sub(r"[^\w.-]+", "-", self.files.project.name.lower()).strip("-.")
        return Path(f"tmp/schema_mapping.{slug[:MOST_SLUG] or 'eval'}.json")

    def run(self, run_id: str) -> RunFiles:
        """A finished run."""
        return load_run(self.files, run_id, self.mapping_file)


def locate(
    config: str,
    experiment: str | None,
    tracking_uri: str | None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Tracking, str]:
    """Which MLflow, and which experiment in it, for who may have no project.

    The experiment is given by name or id, empty where none is meant, None for the config's; where
    it is given there may be no config, else the config names what nothing else does.
    """
    if experiment is not None and config == USUAL_CONFIG and not Path(config).is_file():
        return resolve_tracking(tracking_uri, "", environment), experiment
    project = load_project(Path(config), None).project
    tracking = resolve_tracking(tracking_uri, project.tracking_uri, environment)
    return tracking, project.experiment if experiment is None else experiment


def mlflow_pages(uri: str) -> str:
    """How MLflow's own pages are come by, for who has no address of them."""
    if is_workspace(uri):
        return "the workspace's own, in this experiment"
    return f"{typed('mlflow')} ui --backend-store-uri {shlex.quote(without_password(uri))}"


def typed(program: str) -> str:
    """What to type for ``evalkit``, ``mlflow`` or ``python``: its name where the shell finds it.

    Otherwise through ``uv run`` in a project that uv runs it in, else by its path.
    """
    own, here = Path(sysconfig.get_path("scripts"), program), Path.cwd()
    if "UV" in os.environ:  # uv tells its children so, and lets them alone find what it installed
        name = os.environ.get("UV_PROJECT_ENVIRONMENT", ".venv")
        if Path(sys.prefix).resolve() in [(up / name).resolve() for up in (here, *here.parents)]:
            return f"uv run {program}"
    elif found := shutil.which(program):  # here, or by a link; but all pythons link to the same one
        there = Path(found)
        is_link = program != "python" and there.resolve() == own.resolve()
        if is_link or there.parent.resolve() == own.parent.resolve():
            return program
    if not own.exists():
        return program
    near = os.path.relpath(own)
    return shlex.quote(str(own) if near.startswith(os.pardir) else near)


def as_typed(text: str) -> str:
    """A message in which `` `evalkit STAGE` `` reads as it has to be typed here."""
    return _NAMED.sub(lambda _: f"`{typed('evalkit')} ", text)


def table_name(named: str | None, evaluation: str, folder: str) -> str:
    """The table of Unity Catalog that holds an evaluation's cases: ``catalog.schema.table``.

    It is the one named, else beside the volume that the project's folder lies on, after the
    evaluation; where more than hyphens, dots and spaces has to go, a hash of its name is added.
    """
    part = r"[^\s./`'\";\x00-\x1f\x7f]{1,255}"
    if named is not None and re.fullmatch(rf"{part}\.{part}\.{part}", named):
        return named
    found = re.match(r"/Volumes/([^/]+)/([^/]+)/[^/]+", folder)
    if named is not None or found is None:
        what = "none is named" if named is None else f"{named!r} is none"
        what = f"a workspace's dataset is a table of Unity Catalog, and {what}"
        raise InputError(
            Problem(what, "", None, "--dataset-name", "give it as CATALOG.SCHEMA.TABLE")
        )
    table = re.sub(r"[-. ]", "_", evaluation.lower())
    if not re.fullmatch(r"\w{1,80}", table, re.ASCII):
        kept = re.sub(r"[\W_]+", "_", table, flags=re.ASCII).strip("_")[:60]
        table = f"{kept or 'cases'}_{derive_id(evaluation, length=8)}"
    return f"{found[1]}.{found[2]}.{table}"
