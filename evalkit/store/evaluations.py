"""The port's part for evaluations: copies of whole traces with what was said of them, datasets.

What ``mlflow.genai.evaluate`` leaves is written from what is known, without judging once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.entities import KEY_TAG, SOURCE_RUN, Assessment
from evalkit.errors import StoreError
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.store.assessments import delete_traces
from evalkit.store.datasets import Datasets
from evalkit.store.forms import as_kept, entity
from evalkit.store.naming import quoted
from evalkit.store.scorers_and_issues import ScorersAndIssues
from evalkit.store.stored_spans import base64_of
from evalkit.store.traces_read import search
from evalkit.tracking import is_workspace

if TYPE_CHECKING:
    from mlflow.entities import Span, Trace, TraceInfo

SOURCE_TAG = "evalkit.source_trace_id"
REQUEST_TAG = "mlflow.eval.requestId"
"""Trace tag by which MLflow's own comparison pairs the traces of two runs."""

AT_A_TIME = 20
"""Traces whose spans go in one request."""

Said: TypeAlias = tuple[str, str, Json, str, str]
"""What a scorer said: the scorer, the name of the value, the value, why, and what went wrong."""


class Evaluations(Datasets, ScorersAndIssues):
    """Evaluations, and what belongs to them: datasets, scorers, issues."""

    def write_evaluation(
        self,
        run_id: str,
        experiment_id: str,
        traces: Sequence[Trace],
        said: Mapping[str, Sequence[Said]],
    ) -> int:
        """Copy whole traces into a run's experiment, with what scorers said; again is safe.

        The traces stay as they are. Each copy has the tag ``evalkit.source_trace_id``, and an id
        that is derived from its run and its source.

        Args:
            run_id: The run.
            experiment_id: Its experiment.
            traces: The traces, from whichever experiment.
            said: What was said of each, by the trace's id.

        Returns:
            How many values MLflow has of them.

        Raises:
            StoreError: MLflow failed, or kept less than was given; doing the same again finishes.
        """
        client, given = self._client, 0
        in_files = is_workspace(client.uri)  # which the entries name
        for begin in range(0, len(traces), AT_A_TIME):
            copies = [
                _copy(_masked(trace, self._mask), run_id, experiment_id, said[trace.info.trace_id])
                for trace in traces[begin : begin + AT_A_TIME]
            ]
            given += sum(len(entry.assessments) for entry, _ in copies)
            with client.alone(), client.answering("writing the evaluation's traces"):
                spans = [span for _, found in copies for span in found]
                if not in_files:  # a server infers an entry from spans, which ours replaces
                    client.tracking.log_spans(experiment_id, spans)
                for entry, _ in copies:
                    client.tracking.start_trace(entry)
                if in_files:
                    client.tracking.log_spans(experiment_id, spans)
        condition = f"metadata.`{SOURCE_RUN}` = {quoted(run_id)}"
        found = search(client, experiment_id, condition)
        kept = sum(len(entry.assessments) for entry in found)
        if kept < given:
            raise StoreError(
                f"MLflow kept {kept} of {given} values of the evaluation {run_id}: run the same "
                "command again"
            )
        return kept

    def delete_unfinished(self, experiment_id: str, name: str, but: str) -> list[str]:
        """Delete runs that a kill left RUNNING, with the traces that were copied for them.

        Args:
            experiment_id: The experiment.
            name: The name of them all, which a run has from its first moment, unlike its tags.
            but: The key of the run that is gone on with.

        Returns:
            Their ids.

        Raises:
            StoreError: MLflow failed.
        """
        from mlflow.entities import ViewType

        client = self._client
        condition = f"attributes.run_name = {quoted(name)} AND attributes.status = 'RUNNING'"
        with client.alone(), client.answering("looking for runs that were killed"):
            found = client.tracking.search_runs([experiment_id], condition, ViewType.ACTIVE_ONLY)
            killed = [run.info.run_id for run in found if run.data.tags.get(KEY_TAG) != but]
            for run_id in killed:
                condition = f"metadata.`{SOURCE_RUN}` = {quoted(run_id)}"
                copies = [each.trace_id for each in search(client, experiment_id, condition)]
                delete_traces(client, experiment_id, copies)
                client.tracking.delete_run(run_id)
        return killed

    def dataset_of_traces(self, name: str, experiment_id: str, traces: Sequence[Trace]) -> str:
        """The dataset of that name, with records as MLflow makes them of traces; again is safe.

        MLflow holds one record of equal inputs; one that is there is updated.

        Returns:
            Its name; empty on Databricks, where datasets are tables that somebody has to name.

        Raises:
            StoreError: MLflow failed.
        """
        if is_workspace(self._client.uri):
            return ""
        records = [_record(_masked(trace, self._mask)) for trace in traces]
        tracking = self._client.tracking
        with self._client.alone(), self._client.answering(f"writing the dataset {name!r}"):
            found = self._datasets.find(name, experiment_id)
            dataset_id = found or self._datasets.create(name, experiment_id)
            # MLflow fails on an object that comes after an answer that is text (3.17, 3.18)
            records.sort(key=lambda record: not isinstance(record["outputs"], dict))
            schema = json.loads(tracking.get_dataset(dataset_id).schema or "{}")
            if isinstance(schema.get("outputs"), str):
                records = [{**each, "outputs": _as_text(each["outputs"])} for each in records]
            tracking.upsert_dataset_records(dataset_id, records)
        return name


def _record(trace: Trace) -> dict[str, Any]:
    root = next((span for span in trace.data.spans if span.parent_id is None), None)
    inputs = root.inputs if root else None
    said = trace.search_assessments(type="expectation")
    return {
        "inputs": inputs if isinstance(inputs, dict) else {"input": inputs},
        "outputs": root.outputs if root else None,
        "expectations": {each.name: each.value for each in said},
        "source": {"source_type": "TRACE", "source_data": {"trace_id": trace.info.trace_id}},
    }


def _as_text(outputs: Json) -> Json:
    return canonical(outputs) if isinstance(outputs, dict) else outputs


def _masked(trace: Trace, mask: Callable[[Json, str], Json]) -> Trace:
    from mlflow.entities import Trace as MlflowTrace

    return MlflowTrace.from_dict(mask(json.loads(trace.to_json()), "traces"))


def _copy(
    trace: Trace, run_id: str, experiment_id: str, said: Sequence[Said]
) -> tuple[TraceInfo, list[Span]]:
    """A trace's entry and spans as they go into the experiment of an evaluation."""
    from mlflow.entities import Span, TraceLocation

    info, source = trace.info, trace.info.trace_id
    trace_id = "tr-" + derive_id(experiment_id, run_id, source)
    root = next((span.span_id for span in trace.data.spans if span.parent_id is None), None)
    feedback = [
        Assessment(
            assessment_id="a-" + derive_id(trace_id, name),
            trace_id=trace_id,
            name=name,
            value=value,
            source_type="CODE",
            source_id=scorer,
            rationale=why,
            error=error,
            metadata={"mlflow.assessment.sourceRunId": run_id},
            time_ms=info.request_time,
        )
        for scorer, name, value, why, error in (said if root else ())
    ]
    made = [entity(as_kept(each)) for each in feedback]
    for each in made:
        each.span_id = root
    own = {key: text for key, text in info.tags.items() if not key.startswith("mlflow.")}
    name = info.tags.get("mlflow.traceName", "")
    entry = replace(
        info,
        trace_id=trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        # without its session: one for each trace would hide them all on MLflow's page
        trace_metadata={SOURCE_RUN: run_id, "mlflow.trace_schema.version": "3"},
        tags={**own, "mlflow.traceName": name, SOURCE_TAG: source, REQUEST_TAG: source},
        assessments=made,
        client_request_id=None,
    )
    known = {"mlflow.traceRequestId": json.dumps(trace_id)}
    spans = [
        Span.from_dict(
            {
                **form,
                "trace_id": base64_of(trace_id.removeprefix("tr-")),
                "attributes": {**form["attributes"], **known},
            }
        )
        for form in (span.to_dict() for span in trace.data.spans)
    ]
    return entry, spans
