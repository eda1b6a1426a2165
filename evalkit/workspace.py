"""An opened project, and the MLflow that it is joined with."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.adapters.files.project import ProjectFiles, load_project
from evalkit.adapters.files.run import RunFiles, load_run
from evalkit.core.dataset import table_name
from evalkit.core.tracking import Tracking, experiment_problems, is_workspace, resolve_tracking
from evalkit.errors import InputError

if TYPE_CHECKING:
    from evalkit.store import Store

USUAL_CONFIG = "eval.yaml"
MOST_SLUG = 60


@dataclass(frozen=True)
class Workspace:
    """A project, and the MLflow that it is joined with.

    Attributes:
        files: The project and where its parts lie.
        tracking: The MLflow and why that one.
    """

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
        """Read the config; MLflow is not asked yet.

        Raises:
            InputError: the config is missing or wrong.
        """
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

        In a Databricks workspace it is that of a table: see
        :func:`evalkit.core.dataset.table_name`.

        Raises:
            InputError: it is to be a table, and is none.
        """
        evaluation = self.files.project.name
        if is_workspace(self.tracking.uri):
            return table_name(named, evaluation, self.files.config.resolve().parent.as_posix())
        return named or evaluation

    @property
    def mapping_file(self) -> Path:
        """Where the schema mapping of this config lies, below the working directory."""
        if self.files.root.resolve() == Path(USUAL_CONFIG).resolve():
            return Path("tmp/schema_mapping.json")
        slug = re.sub(r"[^\w.-]+", "-", self.files.project.name.lower()).strip("-.")
        return Path(f"tmp/schema_mapping.{slug[:MOST_SLUG] or 'eval'}.json")

    def run(self, run_id: str) -> RunFiles:
        """A finished run.

        Raises:
            InputError: there is no such run, or its files are wrong.
        """
        return load_run(self.files, run_id, self.mapping_file)


def locate(
    config: str,
    experiment: str | None,
    tracking_uri: str | None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Tracking, str]:
    """Which MLflow, and which experiment in it, for who may have no project.

    Args:
        config: An evaluation's config. It names the MLflow and the experiment where nothing else
            does; where the experiment is named, there may be none.
        experiment: The experiment's name or id; empty where none is meant, None for the config's.
        tracking_uri: The MLflow.
        environment: Where ``MLFLOW_TRACKING_URI`` may stand.

    Raises:
        InputError: the config is wrong, or missing where it is needed.
    """
    if experiment is not None and config == USUAL_CONFIG and not Path(config).is_file():
        return resolve_tracking(tracking_uri, "", environment), experiment
    project = load_project(Path(config), None).project
    tracking = resolve_tracking(tracking_uri, project.tracking_uri, environment)
    return tracking, project.experiment if experiment is None else experiment
