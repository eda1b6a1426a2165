"""What the agent did, for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from evalkit.core.agent.task import Plan
from evalkit.core.content import mapping_of
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
    """The figures of a validation as MLflow metrics.

    ``rows``, ``good_rows``; ``{scorer}/mean`` as MLflow's evaluation gave it; the share of good
    rows that pass, ``{scorer}/good_rows``; the share of damaged copies that some scorer notices,
    ``damage/{damage}``.

    Args:
        validation: What is kept as ``state/validation_results.json``; empty gives no metrics.
    """
    found = {
        name: float(count)
        for name in ("rows", "good_rows")
        if isinstance(count := validation.get(name), int)
    }
    means = mapping_of(mapping_of(validation.get("script")).get("metrics"))
    found |= {name: float(mean) for name, mean in means.items() if isinstance(mean, (int, float))}
    passed = {
        f"{name}/good_rows": mapping_of(figures).get("good_passed")
        for name, figures in mapping_of(validation.get("scorers")).items()
    }
    noticed = {
        f"damage/{name}": counts for name, counts in mapping_of(validation.get("damages")).items()
    }
    return found | dict(_shares(passed | noticed))


def _shares(counted: Mapping[str, Json]) -> Iterator[tuple[str, float]]:
    """Of each [count, of] its share, where there is anything to count."""
    for name, counts in counted.items():
        match counts:
            case [int(count), int(of)] if of:
                yield name, count / of
