"""An opened project, and the MLflow that it is joined with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.adapters.files.project import ProjectFiles, load_project
from evalkit.adapters.files.run import RunFiles, load_run
from evalkit.core.tracking import Tracking, resolve_tracking

if TYPE_CHECKING:
    from evalkit.adapters.store import Store


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
        config: str | Path = "eval.yaml",
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
            StoreAbsent: it is refused, cannot be resolved, or stays silent.
            StoreError: it answers with an error.
        """
        from evalkit.adapters.store import connect

        return connect(self.tracking.uri)

    def run(self, run_id: str) -> RunFiles:
        """A finished run.

        Raises:
            InputError: there is no such run, or its files are wrong.
        """
        return load_run(self.files, run_id)
