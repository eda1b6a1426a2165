"""The project that a page shows to somebody who has not configured one: the demo's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from evalkit import stages, watching
from evalkit.demo.project import write_project
from evalkit.demo.run import RUN_ID
from evalkit.workspace import Workspace

_WRITING = threading.Lock()
"""Two pages may open at once in one server."""


def sample_project(environment: Mapping[str, str] = os.environ) -> Path:
    """Path of the sample's ``eval.yaml``; the project is generated, and mapped by rules, if needed.

    It lies in the user's cache folder and stays there: what a person does to it is kept.

    Args:
        environment: Where ``XDG_CACHE_HOME`` may name the cache folder; ``~/.cache`` by default.

    Raises:
        InputError: the folder cannot be written.
    """
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "evalkit" / f"demo-{version('mlflow-evalkit')}"
    config = root / "eval.yaml"
    mapping = sample_mapping(config)
    with _WRITING:
        if not mapping.exists():  # it is written last: what is complete is left to the person
            write_project(root)
            stages.map_schema(Workspace.open(config), out=mapping)
    return config


def log_sample(config: Path, say: Callable[[str], None]) -> None:
    """Log the sample's run, unless its MLflow holds traces already.

    Args:
        config: The sample's ``eval.yaml``.
        say: Told the progress, a line at a time.

    Raises:
        StoreError: MLflow failed.
    """
    with _WRITING:
        if not watching.watch(config=str(config), most=1).traffic.glimpses:
            stages.log_results(Workspace.open(config), run_id=RUN_ID, say=say)


def sample_mapping(config: Path) -> Path:
    """Where the sample's mapping lies: beside its config, since nobody works in its folder."""
    return config.parent / stages.MAPPING_FILE
