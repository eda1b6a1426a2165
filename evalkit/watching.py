"""An agent's work as its traces in MLflow show it: an experiment, looked at as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from evalkit.core.errors import InputError, Problem
from evalkit.core.observed import ObservedTrace
from evalkit.core.tracking import Tracking, without_password
from evalkit.traces.analysis import Analysis
from evalkit.traces.case_selection import worth_a_look
from evalkit.traces.sample import analyse
from evalkit.traces.transcript import readable
from evalkit.workspace import USUAL_CONFIG, locate

if TYPE_CHECKING:
    import pandas as pd

    from evalkit.adapters.store import Store

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
        analysis: What the traces say, as data frames.
    """

    store: Store
    tracking: Tracking
    experiment: str
    experiment_id: str
    analysis: Analysis

    @cached_property
    def traces(self) -> pd.DataFrame:
        """A row a trace: see :attr:`Analysis.traces`."""
        return self.analysis.traces

    @cached_property
    def picks(self) -> pd.DataFrame:
        """The traces that are worth a look, each with ``why``."""
        found = dict(worth_a_look(self.analysis))
        picked = self.traces.set_index("trace_id", drop=False).loc[list(found)]
        return picked.assign(why=list(found.values())).reset_index(drop=True)

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

    def told(number: int) -> None:
        if number % SAID_EVERY == 0:
            say(f"{number} traces read")

    analysis = analyse(store, experiment_id, most=most, watch=told) if experiment_id else Analysis()
    return Watch(store, tracking, name, experiment_id, analysis)
