"""The traces of the experiment that is looked at, read once and asked about often."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from evalkit.adapters.store import Store
from evalkit.core.agent.requests import Recorded, recorded
from evalkit.core.errors import InputError, Problem
from evalkit.core.examination import Examination, as_report, examine, profile
from evalkit.core.examination.assessed import is_negative
from evalkit.core.observed import ObservedTrace
from evalkit.core.values import Json

MOST_TRACES = 100_000
"""As many as an experiment may have on Databricks; the newest are looked at."""


class Evidence:
    """An experiment's traces: all of them together, and each by its id.

    They are read when they are first asked for. What a person assessed as bad does not count as
    having ended well.

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
        self._read: tuple[Examination, Mapping[str, Recorded]] | None = None

    @property
    def examination(self) -> Examination:
        """What all traces say together.

        Raises:
            InputError: no experiment was chosen.
            StoreError: MLflow failed.
        """
        return self._known()[0]

    @property
    def recorded(self) -> Mapping[str, Recorded]:
        """Every request and its answer, by trace.

        Raises:
            InputError: no experiment was chosen.
            StoreError: MLflow failed.
        """
        return self._known()[1]

    def of(self, trace_id: str) -> Recorded | None:
        """The request and the answer of a trace; None where the experiment has no such trace."""
        return self.recorded.get(trace_id)

    def report(self) -> Mapping[str, Json]:
        """What all traces say together, for a model, of bounded size."""
        return as_report(self.examination, experiment=(self.experiment_id, self.experiment))

    def profile(self, route: str, cases: Collection[str] = ()) -> Mapping[str, Json]:
        """What the good traces of a route have in common, for a model, of bounded size.

        Args:
            route: The name of the root span.
            cases: Traces that are to be rows of the dataset; those that the examination suggests
                where none are named.
        """
        suggested = cases or [case.trace_id for case in self.examination.cases]
        return profile(self.recorded.values(), route, cases=suggested)

    def chosen(self) -> str:
        """The id of the experiment.

        Raises:
            InputError: none was chosen yet.
        """
        if not self.experiment_id:
            raise InputError(Problem("no experiment is chosen", fix="use choose_experiment"))
        return self.experiment_id

    def _known(self) -> tuple[Examination, Mapping[str, Recorded]]:
        if self._read is None:
            taken: dict[str, Recorded] = {}
            found = self.store.observe(self.chosen(), most=MOST_TRACES)
            self._read = examine(_noted(found, taken)), taken
        return self._read


def _noted(traces: Iterable[ObservedTrace], taken: dict[str, Recorded]) -> Iterator[ObservedTrace]:
    """The traces as they come; their requests and answers are taken down."""
    for trace in traces:
        if (request := recorded(trace)) is not None:
            is_disliked = any(
                is_negative(each) and each.source_type == "HUMAN" for each in trace.assessments
            )
            taken[trace.trace_id] = replace(request, ok=request.ok and not is_disliked)
        yield trace
