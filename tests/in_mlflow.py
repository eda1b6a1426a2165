"""MLflow as other people see and use it: through its own client, past evalkit."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from mlflow import MlflowClient
from mlflow.entities import (
    Assessment,
    AssessmentSource,
    Expectation,
    Feedback,
    Run,
    Trace,
    TraceInfo,
    TraceLocation,
    TraceState,
)
from mlflow.tracing.client import TracingClient


class InMlflow:
    """One experiment in MLflow, by its name."""

    def __init__(self, uri: str, experiment: str = "support") -> None:
        self.uri, self.experiment = uri, experiment
        self.client, self.tracing = MlflowClient(uri), TracingClient(uri)

    @property
    def experiment_id(self) -> str | None:
        found = self.client.get_experiment_by_name(self.experiment)
        return found.experiment_id if found else None

    # -- what there is --------------------------------------------------------------------------

    def rows(self, dataset: str = "support") -> list[dict[str, Any]]:
        """The rows of a dataset: inputs, expectations and the case, sorted by case."""
        found = self._dataset(dataset)
        rows, _ = self.tracing.store._load_dataset_records(found.dataset_id)
        told = (
            {
                "case": row.tags.get("evalkit.case", ""),
                "inputs": row.inputs,
                "expectations": row.expectations,
            }
            for row in rows
        )
        return sorted(told, key=lambda row: (row["case"], str(row["inputs"])))

    def datasets(self) -> list[str]:
        return [found.name for found in self.client.search_datasets()]

    def runs(self) -> list[Run]:
        assert self.experiment_id is not None
        return list(self.client.search_runs([self.experiment_id]))

    def run(self) -> Run:
        (only,) = self.runs()
        return only

    def traces(self) -> dict[str, Trace]:
        """The traces of the experiment, by name."""
        found = self.client.search_traces(
            locations=[self.experiment_id], max_results=500, include_spans=False
        )
        by_name = {trace.info.tags.get("mlflow.traceName", ""): trace for trace in found}
        assert len(by_name) == len(found)
        return by_name

    def feedback(self, case: str) -> dict[str, Assessment]:
        """The assessments on the trace of that name, by their name."""
        found = self.traces()[case].info.assessments
        by_name = {each.name: each for each in found}
        assert len(by_name) == len(found)
        return by_name

    def values(self, case: str) -> dict[str, Any]:
        """The values of the assessments on a trace, by name; of a failed judge, its error."""
        return {
            name: each.feedback.error.error_message if each.feedback.error else each.value
            for name, each in self.feedback(case).items()
        }

    # -- what others do there -------------------------------------------------------------------

    def add_row(self, inputs: dict[str, Any], dataset: str = "support") -> None:
        found = self._dataset(dataset)
        self.tracing.store.upsert_dataset_records(found.dataset_id, [{"inputs": inputs}])

    def say(
        self, case: str, name: str, value: Any, *, who: str = "default", **more: Any
    ) -> Assessment:
        """A person leaves feedback on the trace of a case."""
        return self._log(case, Feedback(name=name, value=value, source=_person(who), **more))

    def expect(self, case: str, name: str, value: Any, *, who: str = "default") -> Assessment:
        """A person says what would have been right."""
        return self._log(case, Expectation(name=name, value=value, source=_person(who)))

    def record(self, name: str, state: str = "OK", **tags: str) -> str:
        """A trace as the harness records it while a run goes on; its id."""
        trace_id = "tr-" + uuid4().hex
        where = self.experiment_id or self.client.create_experiment(self.experiment)
        self.tracing.start_trace(
            TraceInfo(
                trace_id=trace_id,
                trace_location=TraceLocation.from_experiment_id(where),
                request_time=1_783_591_200_000,
                execution_duration=1500,
                state=TraceState(state),
                tags={"mlflow.traceName": name, **tags},
            )
        )
        return trace_id

    def _log(self, case: str, assessment: Assessment) -> Assessment:
        trace_id = self.traces()[case].info.trace_id
        assessment.trace_id = trace_id
        return self.tracing.log_assessment(trace_id, assessment)

    def _dataset(self, name: str) -> Any:
        (found,) = (each for each in self.client.search_datasets() if each.name == name)
        return found


def _person(who: str) -> AssessmentSource:
    return AssessmentSource("HUMAN", who)
