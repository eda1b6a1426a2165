"""What the agent leaves in MLflow: evaluations of whole traces, scorers, issues, and notes.

What ``mlflow.genai.evaluate`` leaves is written from what is known; no scorer is run here.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.entities import KEY_TAG, OWN_TAGS, REQUEST_TAG, SOURCE_RUN, Assessment, Note
from evalkit.errors import InputError, Problem, StoreError
from evalkit.jsonable import Json, canonical, derive_id
from evalkit.store.datasets import Datasets
from evalkit.store.forms import NAME_LIMIT, TAG_LIMIT, as_kept, entity, sql_literal
from evalkit.store.spans import base64_of
from evalkit.store.traces_read import assessments_of
from evalkit.store.traces_write import TraceWriter
from evalkit.tracking import is_workspace

if TYPE_CHECKING:
    from mlflow.entities import Span, Trace, TraceInfo

AGENT = "evalkit-agent"  # source of the feedback and expectations that an agent leaves
SOURCE_TAG = "evalkit.source_trace_id"
CUSTOM_SCORERS = "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS"

AT_A_TIME = 20
"""Traces whose spans go in one request."""

Said: TypeAlias = tuple[str, str, Json, str, str]
"""What a scorer said: the scorer, the name of the value, the value, why, and what went wrong."""


class Evaluations(Datasets, TraceWriter):
    """The store's part for what the agent leaves; again is safe."""

    def write_evaluation(
        self,
        run_id: str,
        experiment_id: str,
        traces: Sequence[Trace],
        said: Mapping[str, Sequence[Said]],
    ) -> int:
        """Copy whole traces into a run's experiment, with what scorers said, by the trace's id.

        Gives how many values MLflow has of them; a StoreError where it kept less than was given.
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
            what = f"MLflow kept {kept} of {given} values of the evaluation {run_id}"
            raise StoreError(f"{what}: run the same command again")
        return kept

    def _masked_whole(self, trace: Trace) -> Trace:
        from mlflow.entities import Trace as MlflowTrace

        return MlflowTrace.from_dict(self._mask(json.loads(trace.to_json()), "traces"))

    def _copies(self, experiment_id: str, run_id: str) -> list[TraceInfo]:
        condition = f"metadata.`{SOURCE_RUN}` = {sql_literal(run_id)}"
        return list(self._search_traces(experiment_id, condition))

    def delete_unfinished(self, experiment_id: str, name: str, but: str) -> None:
        """Delete runs of a name that a kill left RUNNING, with the traces copied for them.

        That of the key ``but`` is gone on with.
        """
        condition = f"attributes.run_name = {sql_literal(name)} AND attributes.status = 'RUNNING'"
        with self._client.alone():
            for run in list(self._search(experiment_id, condition)):
                if run.tags.get(KEY_TAG) != but:
                    copies = self._copies(experiment_id, run.run_id)
                    self.delete_traces(experiment_id, [each.trace_id for each in copies])
                    self._client.doing("deleting a run that was killed").delete_run(run.run_id)

    def dataset_of_traces(self, name: str, experiment_id: str, traces: Sequence[Trace]) -> str:
        """The dataset of that name, with records as MLflow makes them of traces; its name."""
        if is_workspace(self._client.uri):  # where it is a table that somebody has to name
            return ""
        dataset_id, tracking = self.prepare_dataset(name, experiment_id), self._client.tracking
        records = [_record(self._masked_whole(trace)) for trace in traces]
        with self._client.alone(), self._client.answering(f"writing the dataset {name!r}"):
            # MLflow fails on an object that comes after an answer that is text (3.17, 3.18)
            records.sort(key=lambda record: not isinstance(record["outputs"], dict))
            schema = json.loads(tracking.get_dataset(dataset_id).schema or "{}")
            objects = [each for each in records if isinstance(each["outputs"], dict)]
            for each in objects if isinstance(schema.get("outputs"), str) else ():
                each["outputs"] = canonical(each["outputs"])
            tracking.upsert_dataset_records(dataset_id, records)
        return name

    def register_scorers(self, experiment_id: str, serialized: Mapping[str, str]) -> dict[str, str]:
        """Register scorers, each as MLflow serializes it; why MLflow does not hold one, by name."""
        if is_workspace(self._client.uri):
            return dict.fromkeys(serialized, "in a workspace its owner has to register it")
        try:
            listed = self._client.doing("listing scorers").list_scorers(experiment_id)
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
                registering = self._client.doing("registering a scorer")
                registering.register_scorer(experiment_id, name, json.dumps(wanted))
        except StoreError as error:  # such as a judge whose model this store does not allow
            return str(error)
        return ""

    def write_issue(
        self, experiment_id: str, name: str, description: str, trace_ids: Sequence[str]
    ) -> str:
        """The MLflow Issue of that name, with the traces that show it; its id."""
        from mlflow.entities import AssessmentSource, IssueReference

        name, description = self._mask([name, description], "issues")
        writing = self._client.doing(f"writing the issue {name!r}")
        found = next((i for i in writing.search_issues(experiment_id) if i.name == name), None)
        given = (experiment_id, name, description)
        issue = found or writing.create_issue(*given, created_by="evalkit")
        source = AssessmentSource("CODE", "evalkit")
        for trace_id in dict.fromkeys(trace_ids):
            said = writing.get_trace_info(trace_id).assessments
            if not any(each.name == issue.issue_id for each in said):
                reference = IssueReference(issue.issue_id, name, source, trace_id=trace_id)
                writing.create_assessment(reference)
        return str(issue.issue_id)

    def annotate_trace(self, experiment_id: str, note: Note) -> bool:
        """Note something on a trace, as an agent; False where just that is noted already."""
        if problem := _problem(note):
            raise InputError(Problem(problem))
        info = self._info(experiment_id, note.trace_id)
        if note.kind == "tag":
            if info.tags.get(note.name) == _tag(note):
                return False
            tag = (note.trace_id, note.name, _tag(note))
            self._client.doing("setting a tag").set_trace_tag(*tag)
            return True
        self._client.check_traces(experiment_id)
        wanted, said = _said(note), list(assessments_of(info))
        if any(as_kept(wanted).says_the_same(each) for each in said):
            return False
        is_there = any(each.assessment_id == wanted.assessment_id for each in said)
        (self._rejudge if is_there else self._judge)(wanted)
        return True


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
    named = {"mlflow.traceRequestId": json.dumps(trace_id)}
    own_id, forms = base64_of(trace_id[3:]), [span.to_dict() for span in trace.data.spans]
    renamed = ({**f, "trace_id": own_id, "attributes": f["attributes"] | named} for f in forms)
    return entry, list(map(Span.from_dict, renamed))


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
        known = made.model_dump() if isinstance(made, scorers.Scorer) else {}
        return dict(json.loads(json.dumps(known)))
    except Exception:  # noqa: BLE001 - whatever a suite's process wrote
        return {}


def _problem(note: Note) -> str:
    """Why a note is none; empty where it is one."""
    if not note.name.strip() or len(note.name) > NAME_LIMIT:
        return f"the name is empty or too long: name it, in {NAME_LIMIT} characters at most"
    if note.name.strip().lower().startswith(OWN_TAGS):
        return f"the name {note.name[:80]!r} is reserved: begin it otherwise"
    if note.value is None or note.value == "":
        return "there is no value: give one"
    is_long = note.kind == "tag" and len(_tag(note)) > TAG_LIMIT
    return f"the tag's value is too long: {TAG_LIMIT:,} characters at most" if is_long else ""


def _tag(note: Note) -> str:
    return note.value if isinstance(note.value, str) else canonical(note.value)


def _said(note: Note) -> Assessment:
    """A note as an assessment; of one name and kind an agent has one word on a trace."""
    is_feedback = note.kind == "feedback"
    return Assessment(
        "a-" + derive_id(AGENT, note.trace_id, note.kind, note.name),
        note.trace_id,
        note.name,
        note.value,
        "CODE",
        AGENT,
        note.rationale if is_feedback else "",
        # MLflow keeps none of an expectation
        metadata={"rationale": note.rationale} if note.rationale and not is_feedback else {},
        time_ms=round(time.time() * 1000),
        kind="feedback" if is_feedback else "expectation",
    )
