"""The port's part for evaluations: copies of whole traces with what was said of them, and issues.

What ``mlflow.genai.evaluate`` leaves is written from what is known, without judging once more.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.adapters.store import batch
from evalkit.adapters.store.gateway import Gateway
from evalkit.adapters.store.otlp import EncodedSpans
from evalkit.adapters.store.search import quoted, search
from evalkit.adapters.store.wire import assessment_json, instant, location
from evalkit.core.describe import KEY_TAG
from evalkit.core.errors import StoreError
from evalkit.core.feedback import Assessment
from evalkit.core.matching import SOURCE_RUN
from evalkit.core.tracking import is_workspace
from evalkit.core.values import Json, canonical, derive_id

if TYPE_CHECKING:
    from mlflow.entities import Trace

SOURCE_TAG = "evalkit.source_trace_id"
REQUEST_TAG = "mlflow.eval.requestId"
"""Trace tag by which MLflow's own comparison pairs the traces of two runs."""

AT_A_TIME = 20
"""Traces whose spans go in one request."""

CUSTOM_SCORERS = "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS"

Said: TypeAlias = tuple[str, str, Json, str, str]
"""What a scorer said: the scorer, the name of the value, the value, why, and what went wrong."""


class Evaluations:
    """Evaluations, their datasets and scorers, and issues."""

    _gateway: Gateway
    _mask: Callable[[Json, str], Json]

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
        gateway, given = self._gateway, 0
        for begin in range(0, len(traces), AT_A_TIME):
            copies = [
                _copy(
                    _masked(trace, self._mask),
                    run_id,
                    experiment_id,
                    said.get(trace.info.trace_id, ()),
                )
                for trace in traces[begin : begin + AT_A_TIME]
            ]
            given += sum(len(entry["assessments"]) for entry, _ in copies)
            with gateway.alone():
                gateway.send_spans(experiment_id, [spans for _, spans in copies])
                for entry, _ in copies:
                    gateway.start_trace(entry)
        condition = f"metadata.`{SOURCE_RUN}` = {quoted(run_id)}"
        found = search(gateway, experiment_id, condition)
        kept = sum(len(entry.get("assessments", ())) for entry in found)
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

        gateway = self._gateway
        condition = f"attributes.run_name = {quoted(name)} AND attributes.status = 'RUNNING'"
        with gateway.alone(), gateway.answering("looking for runs that were killed"):
            found = gateway.tracking.search_runs([experiment_id], condition, ViewType.ACTIVE_ONLY)
            killed = [run.info.run_id for run in found if run.data.tags.get(KEY_TAG) != but]
            for run_id in killed:
                condition = f"metadata.`{SOURCE_RUN}` = {quoted(run_id)}"
                copies = [e["trace_id"] for e in search(gateway, experiment_id, condition)]
                batch.delete_traces(gateway, experiment_id, copies)
                gateway.tracking.delete_run(run_id)
        return killed

    def dataset_of_traces(self, name: str, experiment_id: str, traces: Sequence[Trace]) -> str:
        """The dataset of that name, made of traces, with those of them that it lacks.

        Returns:
            Its name; empty on Databricks, where datasets are tables that somebody has to name.

        Raises:
            StoreError: MLflow failed.
        """
        if is_workspace(self._gateway.uri):
            return ""
        from mlflow.genai.datasets import get_dataset

        # Of equal inputs the first: MLflow holds one record for them, and fails to merge answers
        # that are text. Records as it makes them of traces, but for inputs that are no object.
        records = [_record(_masked(trace, self._mask)) for trace in reversed(traces)]
        by_inputs = {canonical(record["inputs"]): record for record in records}
        with self._gateway.alone(), self._gateway.answering(f"writing the dataset {name!r}"):
            found = self._gateway.datasets.find(name, experiment_id)
            dataset_id = found or self._gateway.datasets.create(name, experiment_id)
            with _speaking_to(self._gateway.uri):
                dataset = get_dataset(dataset_id=dataset_id)
                known = {canonical(inputs) for inputs in dataset.to_df()["inputs"]}
                new = [each for asked, each in by_inputs.items() if asked not in known]
                # objects first: MLflow fails on one that comes after an answer that is text
                new.sort(key=lambda record: not isinstance(record["outputs"], dict))
                if isinstance(json.loads(dataset.schema or "{}").get("outputs"), str):
                    for record in new:
                        if isinstance(record["outputs"], dict):
                            record["outputs"] = canonical(record["outputs"])
                if new:
                    dataset.merge_records(new)
        return name

    def register_scorers(self, experiment_id: str, serialized: Mapping[str, str]) -> dict[str, str]:
        """Register scorers and judges where they are not registered as they are.

        No code of theirs is run here.

        Args:
            experiment_id: The experiment.
            serialized: Each as MLflow serializes it, by name.

        Returns:
            Why MLflow does not hold one, by its name; empty where it does.
        """
        gateway, said = self._gateway, dict[str, str]()
        if is_workspace(gateway.uri):
            return dict.fromkeys(serialized, "in a workspace its owner has to register it")
        allowed = os.environ.get(CUSTOM_SCORERS, "").casefold() in ("true", "1")
        try:
            with gateway.answering("listing scorers"):
                listed = gateway.tracking.list_scorers(experiment_id)
            there = {each.scorer_name: json.loads(each._serialized_scorer) for each in listed}  # noqa: SLF001 - the public property builds what it describes
        except StoreError as error:  # a store that holds none
            return dict.fromkeys(serialized, str(error))
        for name, text in serialized.items():
            wanted = _checked(name, text)
            said[name] = ""
            if not wanted:
                said[name] = "it is none that MLflow knows"
            elif wanted.get("call_source") and not allowed and gateway.uri.startswith("sqlite"):
                said[name] = f"MLflow takes code only where {CUSTOM_SCORERS} is true"
            elif there.get(name) != wanted:
                try:
                    with gateway.answering("registering a scorer"):
                        gateway.tracking.register_scorer(experiment_id, name, json.dumps(wanted))
                except StoreError as error:  # such as a judge whose model this store does not allow
                    said[name] = str(error)
        return said

    def write_issue(
        self, experiment_id: str, name: str, description: str, trace_ids: Sequence[str]
    ) -> str | None:
        """An MLflow Issue with its evidence; again is safe.

        Args:
            experiment_id: The experiment of the traces.
            name: What is wrong, in short; there is one issue of a name.
            description: What was found.
            trace_ids: The traces that show it.

        Returns:
            Its id; None where this MLflow has no issues.

        Raises:
            StoreError: MLflow failed.
        """
        import mlflow
        from mlflow.entities import AssessmentSource

        tracking = self._gateway.tracking
        if not hasattr(mlflow, "log_issue") or not hasattr(tracking, "search_issues"):
            return None
        name, description = self._mask([name, description], "issues")
        with (
            self._gateway.answering(f"writing the issue {name!r}"),
            _speaking_to(self._gateway.uri),
        ):
            found = [i for i in tracking.search_issues(experiment_id) if i.name == name]
            issue = (
                found[0]
                if found
                else tracking.create_issue(experiment_id, name, description, created_by="evalkit")
            )
            for trace_id in dict.fromkeys(trace_ids):
                said = tracking.get_trace_info(trace_id).assessments
                if not any(each.name == issue.issue_id for each in said):
                    source = AssessmentSource("CODE", "evalkit")
                    mlflow.log_issue(trace_id=trace_id, issue_id=issue.issue_id, source=source)
        return str(issue.issue_id)


def criteria(rules: Sequence[tuple[str, str, float]]) -> str:
    """Bars as MLflow's evaluation pages read them: metric, ``GTE`` or ``LTE``, and the bound."""
    said = [{"metricKey": m, "comparator": c, "threshold": t} for m, c, t in rules]
    return json.dumps({"schemaVersion": 1, "revision": derive_id(canonical(said)), "rules": said})


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


def _masked(trace: Trace, mask: Callable[[Json, str], Json]) -> Trace:
    from mlflow.entities import Trace as MlflowTrace

    return MlflowTrace.from_dict(mask(json.loads(trace.to_json()), "traces"))


def _copy(
    trace: Trace, run_id: str, experiment_id: str, said: Sequence[Said]
) -> tuple[Json, EncodedSpans]:
    """A trace's entry and spans as they go into the experiment of an evaluation."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    info, source = trace.info, trace.info.trace_id
    digits = derive_id(experiment_id, run_id, source)
    trace_id, root = (
        f"tr-{digits}",
        next((s for s in trace.data.spans if s.parent_id is None), None),
    )
    rows = [
        assessment_json(
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
        )
        | ({"span_id": root.span_id} if root else {})
        for scorer, name, value, why, error in said
    ]
    own = {key: text for key, text in info.tags.items() if not key.startswith("mlflow.")}
    entry = {
        "trace_id": trace_id,
        "trace_location": location(experiment_id),
        "request_time": instant(info.request_time),
        "execution_duration": f"{(info.execution_duration or 0) / 1000:.3f}s",
        "state": info.state.value,
        "request_preview": info.request_preview or "",
        "response_preview": info.response_preview or "",
        # without its session: one for each trace would hide them all on MLflow's page
        "trace_metadata": {SOURCE_RUN: run_id, "mlflow.trace_schema.version": "3"},
        "tags": {
            **own,
            "mlflow.traceName": info.tags.get("mlflow.traceName", ""),
            SOURCE_TAG: source,
            REQUEST_TAG: source,
        },
        "assessments": rows,
    }
    spans = [span.to_otel_proto() for span in trace.data.spans]
    for span in spans:
        span.trace_id = bytes.fromhex(digits)
    proto = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
    return entry, EncodedSpans(proto, proto.ByteSize(), is_first=True, is_last=True)


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


@contextmanager
def _speaking_to(uri: str) -> Iterator[None]:
    """MLflow's one tracking URI a process, put back afterwards."""
    import mlflow

    before = mlflow.get_tracking_uri()
    env = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if env is not None:
            os.environ["MLFLOW_TRACKING_URI"] = env
