"""evalkit joins file-based agent evaluation with MLflow, both ways.

The names below are the public API, loaded on first use so that ``import evalkit`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.check_all import check, run_all
    from evalkit.context import Workspace
    from evalkit.dataset.mapping_file import map_schema
    from evalkit.dataset.sync import sync_dataset
    from evalkit.errors import (
        EvalkitError,
        InputError,
        ModelError,
        Problem,
        StoreAbsent,
        StoreError,
        Unfinished,
    )
    from evalkit.feedback.push_pull import pull_feedback, push_feedback
    from evalkit.gate_run import compare, gate, history
    from evalkit.imports import import_paths
    from evalkit.imports.export_cases import export_cases
    from evalkit.log_run import log_results
    from evalkit.predict_run import run_cases

_HOMES = {
    "evalkit.check_all": ("check", "run_all"),
    "evalkit.context": ("Workspace",),
    "evalkit.dataset.mapping_file": ("map_schema",),
    "evalkit.dataset.sync": ("sync_dataset",),
    "evalkit.feedback.push_pull": ("pull_feedback", "push_feedback"),
    "evalkit.gate_run": ("compare", "gate", "history"),
    "evalkit.imports": ("import_paths",),
    "evalkit.imports.export_cases": ("export_cases",),
    "evalkit.log_run": ("log_results",),
    "evalkit.predict_run": ("run_cases",),
}

__all__ = [
    "EvalkitError",
    "InputError",
    "ModelError",
    "Problem",
    "StoreAbsent",
    "StoreError",
    "Unfinished",
    "Workspace",
    "check",
    "compare",
    "export_cases",
    "gate",
    "history",
    "import_paths",
    "log_results",
    "map_schema",
    "pull_feedback",
    "push_feedback",
    "run_all",
    "run_cases",
    "sync_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "evalkit.errors")
    return getattr(import_module(home), name)
