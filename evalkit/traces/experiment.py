"""An experiment as a person looks at it: its newest traces counted, and those worth a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from evalkit.config_files import USUAL_CONFIG
from evalkit.context import locate
from evalkit.entities import ObservedTrace
from evalkit.errors import InputError, Problem
from evalkit.traces.analysis import Analysis
from evalkit.traces.dialogue import as_told
from evalkit.traces.sample import analyse
from evalkit.tracking import Tracking, without_password

if TYPE_CHECKING:
    from evalkit.store import Store


MOST_PICKS = 12


@dataclass(frozen=True)
class Watch:
    """An experiment, and what its newest traces say together."""

    store: Store
    tracking: Tracking  # which MLflow that is, and why that one
    experiment: str
    experiment_id: str  # empty where there is none of that name yet
    analysis: Analysis

    @cached_property
    def traces(self) -> pd.DataFrame:
        """A row a trace: see :attr:`Analysis.traces`."""
        return self.analysis.traces

    @cached_property
    def picks(self) -> pd.DataFrame:
        """The traces that a person looks at first, each with ``why``."""
        frame, errors = self.traces, self.analysis.errors.head(4)
        slow, large = (frame.dropna(subset=[n]).sort_values(n) for n in ("seconds", "tokens"))
        well = slow[slow["state"] == "ok"]["trace_id"]
        reasons = [f"goes wrong: {text or 'no reason given'}" for text in errors["text"]]
        shown = {
            "people rejected it": frame["trace_id"][frame["verdict"] == "rejected"][:3],
            **{why: ids[:1] for why, ids in zip(reasons, errors["trace_ids"], strict=True)},
            "typical: takes as long as most": well[len(well) // 2 :][:1],
            "the slowest": slow["trace_id"][-1:],
            "takes the most tokens": large["trace_id"][-1:],
            "one of many": frame["trace_id"][:: max(1, len(frame) // 8)],
        }
        pairs = [(each, why) for why, ids in shown.items() for each in ids]
        found = pd.DataFrame(pairs, columns=["trace_id", "why"]).drop_duplicates("trace_id")
        return found.head(MOST_PICKS).merge(frame, on="trace_id")

    def url_of(self, trace_id: str) -> str:
        """Where a browser shows a trace; empty where MLflow is a database."""
        return self.store.url(self.experiment_id, "traces", trace_id) or ""

    def open(self, trace_id: str) -> ObservedTrace:
        """One trace with its spans, as a conversation is told of them."""
        trace = self.store.observe_one(trace_id)
        return replace(trace, spans=tuple(as_told(trace.spans)))


def watch(
    *,
    config: str = USUAL_CONFIG,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    most: int = 500,
    say: Callable[[str], None] = lambda _: None,
) -> Watch:
    """Look at the ``most`` newest traces of an experiment; ``say`` is told the progress.

    ``config`` names the MLflow and the experiment where nothing else does; where the experiment is
    named, by its name or id, there may be no config.

    Raises:
        InputError: the config is wrong, or there is no experiment of that name.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    tracking, named = locate(config, experiment or None, tracking_uri)
    from evalkit.store import connect

    if most < 1:
        problem = Problem(f"{most} traces cannot be read", field="--traces", fix="1 or more")
        raise InputError(problem)
    store = connect(tracking.uri)
    found = store.find_experiment(named)
    if found is None and experiment:
        what = f"there is no experiment {named!r} in MLflow at {without_password(tracking.uri)}"
        fix = "name one that is there, by its name or its id"
        raise InputError(Problem(what, field="--experiment-id", fix=fix))
    experiment_id, name = found or ("", named)
    analysis = analyse(store, experiment_id, most=most, say=say) if experiment_id else Analysis()
    return Watch(store, tracking, name, experiment_id, analysis)
