"""The traces of the experiment that is looked at, read once and asked about often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalkit.adapters.store import Store
from evalkit.core.agent.answer import Path
from evalkit.core.agent.requests import Recorded, recorded
from evalkit.core.errors import InputError, Problem
from evalkit.core.examination import Examination, as_report, examine, place_of, profile
from evalkit.core.examination.assessed import is_negative
from evalkit.core.observed import ObservedTrace
from evalkit.core.values import Json

MOST_TRACES = 100_000
"""As many as an experiment may have on Databricks; the newest are looked at."""

MOST_RECORDED = 20_000
"""Requests and answers that are kept in memory, the newest; others are read one by one."""


class Evidence:
    """An experiment's traces: all of them together, and each by its id.

    They are read when they are first asked for: in outline to be examined, in full for their
    requests and answers. What a person assessed as bad does not count as having ended well.

    Attributes:
        store: The MLflow that they lie in.
        experiment_id: The experiment; empty where none was chosen yet.
        experiment: Its name.
    """

    def __init__(self, store: Store, experiment_id: str, experiment: str) -> None:
        self.store = store
        self.look_at(experiment_id, experiment)

    def look_at(self, experiment_id: str, experiment: str) -> None:
        """Turn to an experiment; what was read of another is forgotten."""
        self.experiment_id = experiment_id
        self.experiment = experiment
        self._examination: Examination | None = None
        self._recorded: dict[str, Recorded | None] | None = None
        self._places: dict[str, Path] = {}

    def chosen(self) -> str:
        """The id of the experiment.

        Raises:
            InputError: none was chosen yet.
        """
        if not self.experiment_id:
            raise InputError(Problem("no experiment is chosen", fix="use choose_experiment"))
        return self.experiment_id

    @property
    def examination(self) -> Examination:
        """What all traces say together.

        Raises:
            InputError: no experiment was chosen.
            StoreError: MLflow failed.
        """
        if self._examination is None:
            found = self.store.observe(self.chosen(), most=MOST_TRACES, outline=True)
            self._examination = examine(found)
        return self._examination

    @property
    def recorded(self) -> list[Recorded]:
        """The newest requests and their answers.

        Raises:
            InputError: no experiment was chosen.
            StoreError: MLflow failed.
        """
        return [each for each in self._kept().values() if each is not None]

    def of(self, trace_id: str) -> Recorded | None:
        """The request and the answer of a trace; None where the experiment has no such trace.

        Raises:
            InputError: no experiment was chosen.
            StoreError: MLflow failed.
        """
        kept = self._kept()
        if trace_id not in kept:
            try:
                kept[trace_id] = _taken(self.store.trace_of(self.chosen(), trace_id))
            except InputError:
                kept[trace_id] = None
        return kept[trace_id]

    def report(self) -> Mapping[str, Json]:
        """What all traces say together, for a model, of bounded size."""
        return as_report(self.examination, experiment=(self.experiment_id, self.experiment))

    def profile(self, route: str) -> Mapping[str, Json]:
        """What the good traces of a route have in common, for a model, of bounded size.

        Args:
            route: The name of the root span.
        """
        suggested = [case.trace_id for case in self.examination.cases]
        return profile(self.recorded, route, cases=suggested)

    def place_of(self, route: str) -> Path:
        """Where the answers of a route have their words: where its profile says that they do.

        Args:
            route: The name of the root span.
        """
        if route not in self._places:
            self._places[route] = place_of(self.recorded, route)
        return self._places[route]

    def _kept(self) -> dict[str, Recorded | None]:
        if self._recorded is None:
            found = self.store.observe(self.chosen(), most=MOST_RECORDED)
            self._recorded = {trace.trace_id: _taken(trace) for trace in found}
        return self._recorded


def _taken(trace: ObservedTrace) -> Recorded | None:
    """A request and its answer; None where the trace does not show them."""
    request = recorded(trace)
    if request is None:
        return None
    is_disliked = any(
        is_negative(each) and each.source_type == "HUMAN" for each in trace.assessments
    )
    return replace(request, ok=request.ok and not is_disliked)
