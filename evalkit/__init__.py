"""evalkit joins file-based agent evaluation with MLflow, both ways.

The names below are the public API, loaded on first use so that ``import evalkit`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.checking import check
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
    from evalkit.sequence import run_all

_HOMES = {
    "EvalkitError": "evalkit.errors",
    "InputError": "evalkit.errors",
    "ModelError": "evalkit.errors",
    "Problem": "evalkit.errors",
    "StoreAbsent": "evalkit.errors",
    "StoreError": "evalkit.errors",
    "Unfinished": "evalkit.errors",
    "Workspace": "evalkit.context",
    "check": "evalkit.checking",
    "compare": "evalkit.gate_run",
    "export_cases": "evalkit.imports.export_cases",
    "gate": "evalkit.gate_run",
    "history": "evalkit.gate_run",
    "import_paths": "evalkit.imports",
    "log_results": "evalkit.log_run",
    "map_schema": "evalkit.dataset.mapping_file",
    "pull_feedback": "evalkit.feedback.push_pull",
    "push_feedback": "evalkit.feedback.push_pull",
    "run_all": "evalkit.sequence",
    "run_cases": "evalkit.predict_run",
    "sync_dataset": "evalkit.dataset.sync",
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
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
