"""An agent's work as its traces in MLflow show it: an experiment, looked at as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evalkit.core.distribution import spread
from evalkit.core.errors import InputError, Problem
from evalkit.core.observed import ObservedTrace, readable
from evalkit.core.sampling import Pick, sample
from evalkit.core.tracking import Tracking, without_password
from evalkit.core.traffic import Traffic, look
from evalkit.workspace import USUAL_CONFIG, locate

if TYPE_CHECKING:
    from evalkit.adapters.store import Store

Report = dict[str, Any]
Say = Callable[[str], None]

SAID_EVERY = 25
"""Traces between two lines of progress."""


@dataclass(frozen=True)
class Watch:
    """An experiment, and what its newest traces say together.

    Attributes:
        store: The MLflow it lies in.
        tracking: Which MLflow that is, and why that one.
        experiment: The experiment's name.
        experiment_id: Its id; empty where there is none of that name yet.
        traffic: What the traces say.
    """

    store: Store
    tracking: Tracking
    experiment: str
    experiment_id: str
    traffic: Traffic

    @cached_property
    def picks(self) -> list[Pick]:
        """Traces that are worth a look."""
        return sample(self.traffic)

    @property
    def url(self) -> str | None:
        """Where a browser shows the traces; None where there are none, or MLflow is a database."""
        return self.store.traces_url(self.experiment_id) if self.experiment_id else None

    def url_of(self, trace_id: str) -> str:
        """Where a browser shows a trace; empty where MLflow is a database."""
        return self.store.trace_url(self.experiment_id, trace_id) or ""

    def open(self, trace_id: str) -> ObservedTrace:
        """One trace with its spans, as a conversation is told of them.

        Raises:
            StoreError: it is gone, or MLflow failed.
        """
        trace = self.store.observe_one(trace_id)
        return replace(trace, spans=readable(trace.spans))

    def report(self) -> Report:
        """The same for programs.

        Returns:
            ``experiment``, ``experiment_id``, ``tracking_uri``, ``traces`` and ``outcomes``
            (counts), ``seconds`` and ``tokens`` (count, median, p90, p99, largest, total; None
            where not known), ``cost_usd``, ``errors``, ``tools``, ``sample`` and ``unread``.
        """
        traffic = self.traffic
        return {
            "experiment": self.experiment,
            "experiment_id": self.experiment_id,
            "tracking_uri": without_password(self.tracking.uri),
            "traces": len(traffic.glimpses),
            "outcomes": dict(traffic.outcomes),
            "seconds": _spread(traffic.seconds),
            "tokens": _spread(traffic.tokens),
            "cost_usd": sum(traffic.costs) if traffic.costs else None,
            "errors": [
                {
                    "outcome": each.outcome,
                    "place": each.place,
                    "text": each.text,
                    "traces": each.count,
                    "trace_ids": list(each.trace_ids),
                }
                for each in traffic.clusters
            ],
            "tools": [
                {
                    "name": each.name,
                    "calls": each.calls,
                    "failures": each.failures,
                    "traces": each.traces,
                    "seconds": _spread(each.seconds),
                }
                for each in traffic.tools
            ],
            "sample": [{"trace_id": p.glimpse.trace_id, "why": p.why} for p in self.picks],
            "unread": dict(traffic.unread),
        }


def watch(
    *,
    config: str = USUAL_CONFIG,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    most: int = 500,
    say: Say = lambda _: None,
) -> Watch:
    """Look at the newest traces of an experiment.

    Args:
        config: An evaluation's config. It names the MLflow and the experiment where nothing else
            does; where the experiment is named, there may be none.
        experiment: The experiment's name or id.
        tracking_uri: The MLflow.
        most: How many traces to look at.
        say: Told the progress, a line at a time.

    Raises:
        InputError: the config is wrong, or there is no experiment of that name.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    tracking, named = locate(config, experiment or None, tracking_uri)
    from evalkit.adapters.store import connect

    if most < 1:
        raise InputError(
            Problem(f"{most} traces cannot be read", field="--traces", fix="1 or more")
        )
    store = connect(tracking.uri)
    found = store.find_experiment(named)
    if found is None and experiment:
        where = without_password(tracking.uri)
        raise InputError(
            Problem(
                f"there is no experiment {named!r} in MLflow at {where}",
                field="--experiment-id",
                fix="name one that is there, by its name or its id",
            )
        )
    experiment_id, name = found or ("", named)
    traces = store.observe(experiment_id, most=most, outline=True) if experiment_id else iter(())
    return Watch(store, tracking, name, experiment_id, look(_telling(traces, say)))


def _telling(traces: Iterator[ObservedTrace], say: Say) -> Iterator[ObservedTrace]:
    for number, trace in enumerate(traces, 1):
        yield trace
        if number % SAID_EVERY == 0:
            say(f"{number} traces read")


def _spread(values: Any) -> Report | None:
    found = spread(values)
    if found is None:
        return None
    return {name: getattr(found, name) for name in found.__slots__}
