"""A run as it should stand in MLflow, as it stands, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalkit.entities import QUALITY_CRITERIA_TAG
from evalkit.jsonable import is_number
from evalkit.store.forms import fit_name, shorten

PARAM_LIMIT = 6000
RUN_TAG_LIMIT = 8000
CONFLICT_TAG = "evalkit.param."
"""Tag that holds the new value of a param that MLflow does not let change."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it should stand in MLflow, found again by its ``key``.

    ``name`` and ``lasting``, further tags, are written once and then left as they are; so are the
    times, milliseconds since the epoch, where they are no facts (``is_time_inferred``).
    """

    key: str
    name: str
    params: Mapping[str, str]
    metrics: Sequence[tuple[str, float]]
    tags: Mapping[str, str]
    start_ms: int
    end_ms: int
    status: str = "FINISHED"
    is_time_inferred: bool = False
    lasting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as MLflow holds it; ``metrics`` are MLflow's own, ``datasets`` names to digests."""

    run_id: str
    experiment_id: str
    artifact_uri: str
    status: str
    start_ms: int
    end_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, Any]
    tags: Mapping[str, str]
    datasets: Mapping[str, str]


def run_differences(
    record: RunRecord, run: StoredRun, notes: list[str]
) -> tuple[list[Any], list[str]]:
    """Params, metrics and tags that the run lacks, in MLflow's form, and tags that are stale."""
    from mlflow.entities import Param, RunTag

    params = _fit(record.params, PARAM_LIMIT, "param", notes)
    lacking = [Param(name, value) for name, value in params.items() if name not in run.params]
    lacking += _metrics(record, run, notes)
    lasting = {name: text for name, text in record.lasting.items() if name not in run.tags}
    tags = _fit({**record.tags, **lasting}, RUN_TAG_LIMIT, "tag", notes)
    for name, value in params.items():
        if run.params.get(name, value) != value:
            tags[fit_name(CONFLICT_TAG + name)] = value
            notes.append(
                f"param {name} is {run.params[name]!r} in MLflow, which lets no param change;"
                f" the tag {CONFLICT_TAG}{name} holds {value!r}"
            )
    lacking += [RunTag(name, text) for name, text in tags.items() if run.tags.get(name) != text]
    # these go when a run no longer has them
    passing = (name for name in run.tags if name.startswith((CONFLICT_TAG, QUALITY_CRITERIA_TAG)))
    return lacking, [name for name in passing if name not in tags]


def _fit(texts: Mapping[str, str], limit: int, kind: str, notes: list[str]) -> dict[str, str]:
    fitting = {}
    for name, text in texts.items():
        fit = _fit_name(name, kind, notes)
        fitting[fit] = shorten(text, limit)
        if fitting[fit] != text:
            notes.append(f"{kind} {name!r} was shortened to {limit} characters or cleaned")
    return fitting


def _fit_name(name: str, kind: str, notes: list[str]) -> str:
    if (fit := fit_name(name)) != name:
        notes.append(f"{kind} {name!r} is called {fit!r} in MLflow, which refuses the name")
    return fit


def _metrics(record: RunRecord, run: StoredRun, notes: list[str]) -> Iterator[Any]:
    """The metrics that are new or have another value.

    MLflow shows the value with the highest step, then time, then value. So a new value of the
    same run, which has the same time, gets the next step.
    """
    from mlflow.entities import Metric

    for name, value in record.metrics:
        if not is_number(value):
            notes.append(f"metric {name!r} is {value}, which is no number MLflow can show")
            continue
        fit = _fit_name(name, "metric", notes)
        old = run.metrics.get(fit)
        if old is None or old.value != float(value):
            yield Metric(fit, float(value), record.end_ms, 0 if old is None else old.step + 1)
