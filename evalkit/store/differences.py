"""Params, metrics and tags that a run lacks: written in as few requests as MLflow allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evalkit.store.gateway import Gateway

_PAIRS_AT_A_TIME = 100
_METRICS_AT_A_TIME = 800
_BYTES_AT_A_TIME = 150_000  # of params and of tags; as JSON, three times that


@dataclass(frozen=True, slots=True)
class Figure:
    """The latest value of a metric.

    Attributes:
        value: The value.
        time_ms: When it was measured, milliseconds since the epoch.
        step: MLflow's step.
    """

    value: float
    time_ms: int
    step: int


@dataclass(frozen=True, slots=True)
class Differences:
    """What a run lacks, however much it is.

    Attributes:
        params: By name.
        metrics: By name.
        tags: By name.
    """

    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Figure] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.params or self.metrics or self.tags)


def log_tags(gateway: Gateway, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run."""
    write_differences(gateway, run_id, Differences(tags=tags))


def write_differences(gateway: Gateway, run_id: str, differences: Differences) -> None:
    """Write differences in as few requests as MLflow's limits allow."""
    from mlflow.entities import Metric, Param, RunTag

    for some in _portions(differences):
        with gateway.answering("writing params, metrics and tags"):
            gateway.tracking.log_batch(
                run_id,
                [Metric(k, m.value, m.time_ms, m.step) for k, m in some.metrics.items()],
                [Param(key, value) for key, value in some.params.items()],
                [RunTag(key, value) for key, value in some.tags.items()],
            )


def _portions(whole: Differences) -> Iterator[Differences]:
    metrics = list(_slices(whole.metrics.items(), _METRICS_AT_A_TIME, lambda _: 0))
    params = list(_slices(whole.params.items(), _PAIRS_AT_A_TIME, _bytes_of))
    tags = list(_slices(whole.tags.items(), _PAIRS_AT_A_TIME, _bytes_of))
    for index in range(max(len(metrics), len(params), len(tags))):
        yield Differences(
            dict(params[index]) if index < len(params) else {},
            dict(metrics[index]) if index < len(metrics) else {},
            dict(tags[index]) if index < len(tags) else {},
        )


def _bytes_of(pair: tuple[str, str]) -> int:
    return sum(len(text.encode()) for text in pair)


def _slices(items: Iterable[Any], most: int, weigh: Any) -> Iterator[list[Any]]:
    some: list[Any] = []
    weight = 0
    for item in items:
        if some and (len(some) >= most or weight + weigh(item) > _BYTES_AT_A_TIME):
            yield some
            some, weight = [], 0
        some.append(item)
        weight += weigh(item)
    if some:
        yield some
