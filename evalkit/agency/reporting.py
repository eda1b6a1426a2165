"""What the agent did, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evalkit.core.agent.task import Plan
from evalkit.core.values import Json

if TYPE_CHECKING:
    from evalkit.flows.agent.directory import SessionDirectory

Report = dict[str, Any]


def report_of(
    directory: SessionDirectory,
    session_id: str,
    *,
    model: str,
    confinement: str,
    sessions_run: int,
    validation: Mapping[str, Json],
    verified: bool,
) -> Report:
    """The report of the agent's work so far.

    Returns:
        ``session`` (its folder), ``session_id``, ``sessions_run`` (this time), ``tasks`` (one
        object each), ``artifacts`` (name to path), ``validation``, ``usage`` (of all sessions),
        ``confinement``, ``model`` and ``verified``.
    """
    plan = directory.plan() or Plan(())
    location = directory.folder.location
    return {
        "session": location,
        "session_id": session_id,
        "sessions_run": sessions_run,
        "tasks": [asdict(task) for task in plan.tasks],
        "artifacts": {
            name.rsplit("/", 1)[-1].removesuffix(".py"): f"{location}/{name}"
            for name in directory.suite()
        },
        "validation": dict(validation),
        "usage": directory.spent().as_json(),
        "confinement": confinement,
        "model": model,
        "verified": verified,
    }


def metrics_of(validation: Mapping[str, Json]) -> dict[str, float]:
    """The figures of a validation as MLflow metrics."""
    found: dict[str, float] = {}
    scorers = validation.get("scorers")
    for name, figures in (scorers if isinstance(scorers, dict) else {}).items():
        for what, value in (figures if isinstance(figures, dict) else {}).items():
            if isinstance(value, (int, float)):
                found[f"{name}/{what}"] = float(value)
    return found
