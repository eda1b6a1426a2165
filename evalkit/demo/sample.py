"""The project that a page shows to somebody who has not configured one: the demo's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from evalkit.context import MAPPING_FILE, Workspace
from evalkit.dataset.mapping_file import map_schema
from evalkit.demo.production import PRODUCTION, record_production
from evalkit.demo.project import made_on, write_project

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
            map_schema(Workspace.open(config), out=mapping)
    return config


def record_sample(config: Path, say: Callable[[str], None]) -> str:
    """Record what the sample's agent did in production, as far as its MLflow lacks it.

    Args:
        config: The sample's ``eval.yaml``.
        say: Told the progress, a line at a time.

    Returns:
        The experiment's name.

    Raises:
        StoreError: MLflow failed.
    """
    with _WRITING:
        if written := record_production(Workspace.open(config).store, made_on(config.parent)):
            say(f"{written} traces recorded")
    return PRODUCTION


def sample_mapping(config: Path) -> Path:
    """Where the sample's mapping lies: beside its config, since nobody works in its folder."""
    return config.parent / MAPPING_FILE
