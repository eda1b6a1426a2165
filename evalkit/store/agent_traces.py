"""The port's part for traces of agents at work: looking at them, and leaving notes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evalkit.core.notes import Note
from evalkit.core.observed import ObservedTrace
from evalkit.entities import Assessment
from evalkit.jsonable import Json
from evalkit.store import asking, assessments, observing
from evalkit.store.gateway import Gateway

if TYPE_CHECKING:
    from mlflow.entities import Trace as MlflowTrace


class AgentTraces:
    """What agents did, whoever recorded it; nothing here is evalkit's own."""

    _gateway: Gateway

    def find_experiment(self, named: str) -> tuple[str, str] | None:
        """Id and name of an experiment that is named by either; None where there is none.

        Raises:
            StoreError: MLflow failed.
        """
        return observing.find_experiment(self._gateway, named)

    def observe(
        self, experiment_id: str, *, most: int, outline: bool = False
    ) -> Iterator[ObservedTrace]:
        """The newest traces of an experiment with their spans, newest first, as they are read.

        Args:
            experiment_id: The experiment.
            most: How many to read.
            outline: Read inputs and outputs only of the first span at the top, and of the others
                only tools and those that failed, which is several times as quick.

        Raises:
            StoreError: MLflow failed.
        """
        return observing.observe(self._gateway, experiment_id, most, outline=outline)

    def observe_one(self, trace_id: str) -> ObservedTrace:
        """One trace with its spans.

        Raises:
            StoreError: there is no such trace, or MLflow failed.
        """
        return observing.observe_one(self._gateway, trace_id)

    def whole_traces(self, experiment_id: str, trace_ids: Sequence[str]) -> Iterator[MlflowTrace]:
        """Traces with all their spans as MLflow's own objects, in the order of their ids.

        Those that are not there, or have no spans in the tracking store, are passed over.

        Raises:
            StoreError: MLflow failed.
        """
        return observing.whole(self._gateway, experiment_id, trace_ids)

    def trace_of(self, experiment_id: str, trace_id: str) -> ObservedTrace:
        """One trace of an experiment with its spans.

        Raises:
            InputError: the experiment has no such trace.
            StoreError: MLflow failed.
        """
        return asking.trace_of(self._gateway, experiment_id, trace_id)

    def annotate_trace(self, experiment_id: str, note: Note) -> bool:
        """Note something on a trace, as an agent; False where just that is noted already.

        A later word of the same kind and name replaces the earlier one.

        Raises:
            InputError: the note is not one, or the experiment has no such trace.
            StoreError: MLflow failed.
        """
        return asking.annotate(self._gateway, experiment_id, note)

    def annotate(self, trace_id: str, name: str, value: Json, rationale: str, who: str) -> None:
        """Leave feedback on a trace as a person does in MLflow's UI, with the time of now.

        Raises:
            StoreError: MLflow failed.
        """
        now = round(time.time() * 1000)
        remark = Assessment("", trace_id, name, value, "HUMAN", who, rationale, time_ms=now)
        assessments.create(self._gateway, remark)
