"""What the agent leaves in MLflow: evaluations of whole traces, datasets, scorers, issues.

What ``mlflow.genai.evaluate`` leaves is written from what is known, without judging once more; no
scorer is run here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.entities import KEY_TAG, REQUEST_TAG, SOURCE_RUN, Assessment
from evalkit.errors import StoreError
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.store.assessments import delete_traces
from evalkit.store.datasets import Datasets
from evalkit.store.forms import as_kept, entity, quoted
from evalkit.store.spans import base64_of
from evalkit.store.traces_read import search
from evalkit.tracking import is_workspace

if TYPE_CHECKING:
    from mlflow.entities import Span, Trace, TraceInfo

SOURCE_TAG = "evalkit.source_trace_id"
CUSTOM_SCORERS = "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS"

AT_A_TIME = 20
"""Traces whose spans go in one request."""

Said: TypeAlias = tuple[str, str, Json, str, str]
"""What a scorer said: the scorer, the name of the value, the value, why, and what went wrong."""


class Evaluations(Datasets):
    """The store's part for evaluations, and what belongs to them; again is safe."""

    def write_evaluation(
        self,
        run_id: str,
        experiment_id: str,
        traces: Sequence[Trace],
        said: Mapping[str, Sequence[Said]],
    ) -> int:
        """Copy whole traces into a run's experiment, with what scorers said, by the trace's id.

        The traces stay as they are. Each copy has the tag ``evalkit.source_trace_id``, and an id
        that is derived from its run and its source.

        Returns:
            How many values MLflow has of them; a StoreError where it kept less than was given.
        """
        client, given = self._client, 0
        in_files = is_workspace(client.uri)  # which the entries name
        for begin in range(0, len(traces), AT_A_TIME):
            copies = [
                _copy(self._masked_whole(trace), run_id, experiment_id, said[trace.info.trace_id])
                for trace in traces[begin : begin + AT_A_TIME]
            ]
            given += sum(len(entry.assessments) for entry, _ in copies)
            spans = [span for _, found in copies for span in found]
            with client.alone(), client.answering("writing the evaluation's traces"):
                if not in_files:  # a server infers an entry from spans, which ours replaces
                    client.tracking.log_spans(experiment_id, spans)
                for entry, _ in copies:
                    client.tracking.start_trace(entry)
                if in_files:
                    client.tracking.log_spans(experiment_id, spans)
        kept = sum(len(entry.assessments) for entry in self._copies(experiment_id, run_id))
        if kept < given:
            raise StoreError(
                f"MLflow kept {kept} of {given} values of the evaluation {run_id}: run the same "
                "command again"
            )
        return kept

    def _masked_whole(self, trace: Trace) -> Trace:
        from mlflow.entities import Trace as MlflowTrace

        return MlflowTrace.from_dict(self._mask(json.loads(trace.to_json()), "traces"))

    def _copies(self, experiment_id: str, run_id: str) -> list[TraceInfo]:
        condition = f"metadata.`{SOURCE_RUN}` = {quoted(run_id)}"
        return list(search(self._client, experiment_id, condition))

    def delete_unfinished(self, experiment_id: str, name: str, but: str) -> None:
        """Delete runs of a name that a kill left RUNNING, with the traces copied for them.

        That of the key ``but`` is gone on with. A run has its name from its first moment, unlike
        its tags.
        """
        from mlflow.entities import ViewType

        client = self._client
        condition = f"attributes.run_name = {quoted(name)} AND attributes.status = 'RUNNING'"
        with client.alone(), client.answering("looking for runs that were killed"):
            found = client.tracking.search_runs([experiment_id], condition, ViewType.ACTIVE_ONLY)
            for run in found:
                if run.data.tags.get(KEY_TAG) != but:
                    copies = self._copies(experiment_id, run.info.run_id)
                    delete_traces(client, experiment_id, [each.trace_id for each in copies])
                    client.tracking.delete_run(run.info.run_id)

    def dataset_of_traces(self, name: str, experiment_id: str, traces: Sequence[Trace]) -> str:
        """The dataset of that name, with records as MLflow makes them of traces.

        MLflow holds one record of equal inputs; one that is there is updated.

        Returns:
            Its name; empty on Databricks, where datasets are tables that somebody has to name.
        """
        if is_workspace(self._client.uri):
            return ""
        dataset_id, tracking = self.prepare_dataset(name, experiment_id), self._client.tracking
        records = [_record(self._masked_whole(trace)) for trace in traces]
        with self._client.alone(), self._client.answering(f"writing the dataset {name!r}"):
            # MLflow fails on an object that comes after an answer that is text (3.17, 3.18)
            records.sort(key=lambda record: not isinstance(record["outputs"], dict))
            schema = json.loads(tracking.get_dataset(dataset_id).schema or "{}")
            if isinstance(schema.get("outputs"), str):
                for each in records:
                    if isinstance(each["outputs"], dict):
                        each["outputs"] = canonical(each["outputs"])
            tracking.upsert_dataset_records(dataset_id, records)
        return name

    def register_scorers(self, experiment_id: str, serialized: Mapping[str, str]) -> dict[str, str]:
        """Register scorers and judges, each as MLflow serializes it, unless they are as they are.

        Returns:
            Why MLflow does not hold one, by its name; empty where it does.
        """
        client = self._client
        if is_workspace(client.uri):
            return dict.fromkeys(serialized, "in a workspace its owner has to register it")
        try:
            with client.answering("listing scorers"):
                listed = client.tracking.list_scorers(experiment_id)
        except StoreError as error:  # a store that holds none
            return dict.fromkeys(serialized, str(error))
        there = {each.scorer_name: json.loads(each._serialized_scorer) for each in listed}  # noqa: SLF001 - the public property builds what it describes
        return {
            name: self._register(experiment_id, name, _checked(name, text), there.get(name))
            for name, text in serialized.items()
        }

    def _register(self, experiment_id: str, name: str, wanted: Json, there: Json) -> str:
        allowed = os.environ.get(CUSTOM_SCORERS, "").casefold() in ("true", "1")
        if not wanted:
            return "it is none that MLflow knows"
        if wanted.get("call_source") and not allowed and self._client.uri.startswith("sqlite"):
            return f"MLflow takes code only where {CUSTOM_SCORERS} is true"
        try:
            if wanted != there:
                with self._client.answering("registering a scorer"):
                    self._client.tracking.register_scorer(experiment_id, name, json.dumps(wanted))
        except StoreError as error:  # such as a judge whose model this store does not allow
            return str(error)
        return ""

    def write_issue(
        self, experiment_id: str, name: str, description: str, trace_ids: Sequence[str]
    ) -> str:
        """The MLflow Issue of that name, with the traces that show it; its id."""
        from mlflow.entities import AssessmentSource, IssueReference

        tracking = self._client.tracking
        name, description = self._mask([name, description], "issues")
        with self._client.answering(f"writing the issue {name!r}"):
            found = next((i for i in tracking.search_issues(experiment_id) if i.name == name), None)
            issue = found or tracking.create_issue(
                experiment_id, name, description, created_by="evalkit"
            )
            source = AssessmentSource("CODE", "evalkit")
            for trace_id in dict.fromkeys(trace_ids):
                said = tracking.get_trace_info(trace_id).assessments
                if not any(each.name == issue.issue_id for each in said):
                    reference = IssueReference(issue.issue_id, name, source, trace_id=trace_id)
                    tracking.create_assessment(reference)
        return str(issue.issue_id)


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
    forms = (span.to_dict() for span in trace.data.spans)
    return entry, [Span.from_dict(_renamed(form, trace_id)) for form in forms]


def _renamed(form: dict[str, Any], trace_id: str) -> dict[str, Any]:
    attributes = {**form["attributes"], "mlflow.traceRequestId": json.dumps(trace_id)}
    own_id = base64_of(trace_id.removeprefix("tr-"))
    return {**form, "trace_id": own_id, "attributes": attributes}


def _checked(name: str, serialized: str) -> dict[str, Any]:
    """A scorer of MLflow's own, or code as MLflow keeps it; empty where it is neither."""
    from mlflow.genai import scorers

    try:
        said = json.loads(serialized)
        if said.get("call_source"):
            parts = ("call_source", "call_signature", "original_func_name", "mlflow_version")
            return {"name": name, "serialization_version": 1, **{p: str(said[p]) for p in parts}}
        kind: Any = getattr(scorers, said["builtin_scorer_class"])
        values = dict(said["builtin_scorer_pydantic_data"])
        fields = values.keys() & kind.__pydantic_fields__.keys()
        made: Any = kind(**{key: values[key] for key in fields})
        is_one = isinstance(made, scorers.Scorer)
        return dict(json.loads(json.dumps(made.model_dump()))) if is_one else {}
    except Exception:  # noqa: BLE001 - whatever a suite's process wrote
        return {}
