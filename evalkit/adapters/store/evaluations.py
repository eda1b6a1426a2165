"""The port's part for evaluations in MLflow's own way: whole traces, judged, with their dataset.

``genai.evaluate`` works on one tracking URI and experiment a process; both are put back.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.adapters.store import batch, internals
from evalkit.adapters.store.gateway import Gateway
from evalkit.core.errors import StoreError
from evalkit.core.tracking import is_workspace
from evalkit.core.values import Json, canonical, derive_id

if TYPE_CHECKING:
    from mlflow.entities import Trace

SOURCE_TAG = "evalkit.source_trace_id"
REQUEST_TAG = "mlflow.eval.requestId"
"""Trace tag by which MLflow's own comparison pairs the traces of two runs."""

WORKERS = "MLFLOW_GENAI_EVAL_MAX_WORKERS"

Said: TypeAlias = tuple[str, Json, str, str]
"""A value that a scorer gave: its name in MLflow, the value, why, and what went wrong."""


class Evaluations:
    """Evaluations, their datasets and scorers, and issues."""

    _gateway: Gateway
    _mask: Callable[[Json, str], Json]

    def evaluate(
        self,
        run_id: str,
        experiment_id: str,
        traces: Sequence[Trace],
        scores: Mapping[str, Mapping[str, Sequence[Said]]],
    ) -> int:
        """Run ``mlflow.genai.evaluate`` over copies of whole traces, as a run that is there.

        The copies of a run that was killed are taken back first; the traces themselves stay as
        they are. Each copy has the tag ``evalkit.source_trace_id``.

        Args:
            run_id: The run.
            experiment_id: Its experiment, where the copies go.
            traces: The traces, from whichever experiment; at most 500.
            scores: By scorer what it says of each trace, by the trace's id.

        Returns:
            How many values MLflow has of them.

        Raises:
            StoreError: MLflow failed, or kept less than was given; doing the same again finishes.
        """
        import mlflow

        if not all(trace.info.trace_location.mlflow_experiment for trace in traces):
            raise StoreError(
                "the traces lie in tables of Unity Catalog, of which MLflow makes no copies: its "
                "evaluation would write onto production, so none is kept; run evaluation/"
                "run_eval.py where you want one"
            )
        copies = [_copy(trace, run_id, experiment_id, self._mask) for trace in traces]
        self._write(experiment_id, copies)
        scorers = [_replaying(name, said) for name, said in scores.items()]
        with (
            self._gateway.answering("evaluating"),
            _evaluating(self._gateway.uri, experiment_id),
            mlflow.start_run(run_id=run_id),
        ):
            mlflow.genai.evaluate(data=copies, scorers=scorers)
        given = Counter(each[0] for said in scores.values() for f in said.values() for each in f)
        kept = self._feedback(experiment_id, run_id, set(given), len(copies))
        if kept < given.total():
            raise StoreError(
                f"MLflow kept {kept} of {given.total()} values of the evaluation {run_id}: run the "
                "same command again"
            )
        return kept

    def _write(self, experiment_id: str, copies: Sequence[Trace]) -> None:
        client = internals.TracingClient(self._gateway.uri)
        batch.delete_traces(self._gateway, experiment_id, [copy.info.trace_id for copy in copies])
        with self._gateway.alone(), self._gateway.answering("copying traces"):
            for copy in copies:
                if is_workspace(self._gateway.uri):  # which takes no spans but as artifacts
                    written = client.start_trace(copy.info)
                    client._upload_trace_data(written, copy.data)  # noqa: SLF001 - as its exporter
                    continue
                client.log_spans(experiment_id, copy.data.spans)
                client.start_trace(copy.info)

    def _feedback(self, experiment_id: str, run_id: str, names: set[str], most: int) -> int:
        from mlflow import MlflowClient

        client, here = MlflowClient(self._gateway.uri), [experiment_id]
        with self._gateway.answering("reading the evaluation back"):
            traces = client.search_traces(
                locations=here, run_id=run_id, include_spans=False, max_results=most
            )
        return sum(each.name in names for trace in traces for each in trace.info.assessments)

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
            with _evaluating(self._gateway.uri, experiment_id):
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

    def register_scorers(self, experiment_id: str, serialized: Sequence[str]) -> list[str]:
        """Register MLflow's own scorers and judges where they are not registered as they are.

        Args:
            experiment_id: The experiment.
            serialized: Each as MLflow serializes it; whatever is no scorer of MLflow's is left out.

        Returns:
            The names that are registered now.
        """
        from mlflow.exceptions import MlflowException
        from mlflow.genai.scorers import list_scorers

        names = []
        with _evaluating(self._gateway.uri, experiment_id):
            try:
                there = {
                    each.name: each.model_dump()
                    for each in list_scorers(experiment_id=experiment_id)
                }
            except MlflowException:  # a store that holds no scorers, or one that it cannot read
                return []
            for scorer in filter(None, map(_builtin, serialized)):
                try:
                    if there.get(scorer.name) != scorer.model_dump():
                        scorer.register(name=scorer.name, experiment_id=experiment_id)
                    names.append(scorer.name)
                except MlflowException:  # such as a judge whose model this store does not allow
                    continue
        return names

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
            _evaluating(self._gateway.uri, experiment_id),
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


def _replaying(scorer: str, said: Mapping[str, Sequence[Said]]) -> Any:
    """A scorer for MLflow that says of each copy what was said of its source."""
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback
    from mlflow.genai import scorers

    def replayed(trace: Any) -> list[Any]:
        return [
            Feedback(
                name=name,
                value=value,
                rationale=rationale or None,
                source=AssessmentSource("CODE", scorer),
                error=AssessmentError("SCORER_ERROR", error) if error else None,
            )
            for name, value, rationale, error in said.get(trace.info.tags.get(SOURCE_TAG, ""), ())
        ]

    return scorers.scorer(replayed, name=scorer)


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


def _copy(trace: Trace, run_id: str, experiment_id: str, mask: Callable[[Json, str], Json]) -> Any:
    """A trace as it goes into the experiment of an evaluation, under an id derived from both."""
    from mlflow.entities import Span, TraceLocation

    copy = _masked(trace, mask)
    source, info = trace.info.trace_id, copy.info
    info.tags = {
        **{key: value for key, value in info.tags.items() if not key.startswith("mlflow.")},
        "mlflow.traceName": info.tags.get("mlflow.traceName", ""),
        SOURCE_TAG: source,
        REQUEST_TAG: source,
    }
    # without its session: one for each trace would hide them all on MLflow's page
    info.trace_metadata = {"mlflow.sourceRun": run_id}
    digits = derive_id(experiment_id, run_id, source)
    info.trace_id = f"tr-{digits}"
    info.trace_location = TraceLocation.from_experiment_id(experiment_id)
    info.assessments = []
    spans = []
    for span in copy.data.spans:
        said = span.to_dict()
        said["trace_id"] = b64encode(bytes.fromhex(digits)).decode()
        said["attributes"]["mlflow.traceRequestId"] = json.dumps(info.trace_id)
        spans.append(Span.from_dict(said))
    copy.data.spans = spans
    return copy


def _builtin(serialized: str) -> Any:
    """A scorer of MLflow's own; None where the text says anything else. No code of it is run."""
    from mlflow.genai import scorers

    try:
        said = json.loads(serialized)
        kind: Any = getattr(scorers, said["builtin_scorer_class"])
        if not issubclass(kind, scorers.Scorer):
            return None
        values = dict(said["builtin_scorer_pydantic_data"])
        return kind(**{key: values[key] for key in values.keys() & kind.__pydantic_fields__.keys()})
    except Exception:  # noqa: BLE001 - whatever a suite's process wrote
        return None


@contextmanager
def _evaluating(uri: str, experiment_id: str) -> Iterator[None]:
    """MLflow's process-wide settings for an evaluation, quiet, and put back afterwards."""
    import mlflow

    fluent = internals.fluent
    env = {name: os.environ.get(name) for name in (WORKERS, "MLFLOW_TRACKING_URI")}
    before, active = mlflow.get_tracking_uri(), fluent._active_experiment_id  # noqa: SLF001
    os.environ[WORKERS] = "4"  # more of them lose traces on sqlite
    mlflow.set_tracking_uri(uri)
    fluent._active_experiment_id = experiment_id  # noqa: SLF001 - setting it would ask MLflow
    try:
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # MLflow's, about itself
            yield
    finally:
        mlflow.set_tracking_uri(before)
        fluent._active_experiment_id = active  # noqa: SLF001
        for name, value in env.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
