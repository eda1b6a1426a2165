"""The texts that ship with the package: the project's authored files, session scripts, scores."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

ROOT = files("evalkit.demo")
SKIPPED = ("__pycache__",)
"""What Python leaves beside the project's judges when they are imported."""


def authored_files() -> dict[str, str]:
    """Content of the project's authored files, by POSIX path relative to the project."""
    return dict(sorted(_walk(ROOT / "files", "")))


def session_scripts() -> dict[str, str]:
    """Session scripts, by case."""
    scripts = (entry for entry in (ROOT / "sessions").iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml"): entry.read_text("utf-8") for entry in scripts}


def scores_text() -> str:
    """What the judges that are models said about both runs."""
    return (ROOT / "scores.yaml").read_text("utf-8")


def traffic(name: str) -> Any:
    """One of the files about the agent's production traffic, such as ``systems``, parsed."""
    return yaml.safe_load((ROOT / "traffic" / f"{name}.yaml").read_text("utf-8"))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.name in SKIPPED:
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_text("utf-8")
