"""Traces, spans and assessments in MLflow's form.

Both ways into MLflow, a server and a database, get the same objects, and hold the same afterwards.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalkit.core.masking import mask_json, mask_text
from evalkit.core.spans import Span, Trace
from evalkit.entities import HASH_TAG, SOURCE_RUN, Assessment
from evalkit.jsonable import Json, canonical, exact, well_formed
from evalkit.store.naming import NAME_LIMIT, clean, json_text, shorten

if TYPE_CHECKING:
    from mlflow.entities import Assessment as Entity
    from mlflow.entities import Span as StoredSpan
    from mlflow.entities import TraceInfo

TOKEN_USAGE = "mlflow.trace.tokenUsage"  # noqa: S105 - a key of MLflow's
COST = "mlflow.trace.cost"
KIND = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"

TAG_LIMIT = 4096
"""Characters MLflow keeps of the value of a trace tag; of metadata, as many as of a name."""

PREVIEW_LIMIT = 1000
"""Characters MLflow keeps of a request or response in the list of traces."""

_TOTALS = {
    # trace metadata, and the parts it has
    TOKEN_USAGE: (
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation_input_tokens_above_1hr",
    ),
    COST: ("input_cost", "output_cost", "total_cost"),
}
_ADDED_UP = {"mlflow.chat.tokenUsage", "mlflow.llm.cost"}
"""Attributes of spans that MLflow adds up where a trace does not state its totals."""
_SPAN_COST = "mlflow.llm.cost"
_PRICED = {"mlflow.chat.tokenUsage", "mlflow.llm.model"}
"""With both and no cost, MLflow looks the cost up in a price list; an empty one says: not known."""
_INT64 = range(-(2**63), 2**63)
_TIMES = range(2**63)
_LOOKS_LIKE_JSON = ('"', "{", "[")


def entry_of(
    trace: Trace, experiment_id: str, run_id: str | None, wanted: Sequence[Assessment]
) -> tuple[TraceInfo, tuple[str, ...]]:
    """A trace's list entry, and what had to be shortened for it.

    Raises:
        ValueError: the totals in the metadata are no JSON objects.
    """
    from mlflow.entities import TraceInfo, TraceLocation, TraceState

    start_ms, end_ms = trace.start_ns // 1_000_000, trace.end_ns // 1_000_000
    is_over = run_id is not None or trace.status != "UNSET"
    unset = TraceState.STATE_UNSPECIFIED if is_over else TraceState.IN_PROGRESS
    totals = _totals(trace)
    metadata = {**trace.metadata, **({SOURCE_RUN: run_id} if run_id is not None else {})}
    plain = {key: text for key, text in metadata.items() if key not in totals}
    tags = {**trace.tags, "mlflow.traceName": trace.name}
    if run_id is not None:
        tags[HASH_TAG] = trace.content_hash
    asked = ": ".join(filter(None, (trace.case_id, _preview(trace.request))))
    info = TraceInfo(
        trace_id=trace.trace_id,
        trace_location=TraceLocation.from_experiment_id(experiment_id),
        request_time=start_ms,
        state=unset if trace.status == "UNSET" else TraceState(trace.status),
        request_preview=shorten(asked, PREVIEW_LIMIT),
        response_preview=_preview(trace.response),
        execution_duration=end_ms - start_ms if is_over else None,
        trace_metadata={
            **_fit(plain, NAME_LIMIT),
            **totals,
            "mlflow.trace_schema.version": "3",
        },
        tags=_fit(tags, TAG_LIMIT),
        assessments=[entity(as_kept(each)) for each in wanted],
    )
    notices = tuple(
        f"{kind} {key} was shortened to {limit} characters"
        for kind, texts, limit in (("metadata", plain, NAME_LIMIT), ("tag", tags, TAG_LIMIT))
        for key, text in texts.items()
        if len(text) > limit
    )
    return info, notices


def _preview(value: Json) -> str:
    """What the list of traces shows of a request or response."""
    text = value if isinstance(value, str) else "" if value is None else json_text(value)
    return shorten(text, PREVIEW_LIMIT)


def _fit(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    return {shorten(key, NAME_LIMIT): shorten(text, limit) for key, text in texts.items()}


def is_overwritten(trace: Trace) -> bool:
    """Whether MLflow would overwrite what the trace says by what it infers from later spans.

    It does so where the trace does not say how it ended, leaves out tokens or cost that its spans
    have, or is narrower than its spans.
    """
    return (
        trace.status == "UNSET"
        or (not trace.metadata.keys() >= _TOTALS.keys() and _adds_up(trace))
        or any(s.start_ns < trace.start_ns or s.end_ns > trace.end_ns for s in trace.spans)
    )


def _adds_up(trace: Trace) -> bool:
    return any(not _ADDED_UP.isdisjoint(span.attributes) for span in trace.spans)


def _totals(trace: Trace) -> dict[str, str]:
    """The totals that a trace states.

    Where MLflow has added its spans up by then, every part has to be there, null if not known.
    """
    stated = {key: trace.metadata[key] for key in _TOTALS if key in trace.metadata}
    if not is_overwritten(trace):
        return stated
    return {
        key: canonical({**dict.fromkeys(parts), **json.loads(stated.get(key, "{}"))})
        for key, parts in _TOTALS.items()
        if key in stated or _adds_up(trace)
    }


def spans_of(trace: Trace, *, layered: bool) -> Iterator[tuple[StoredSpan, int]]:
    """A trace's spans as MLflow's objects, each with about how many bytes it takes.

    Args:
        trace: The trace.
        layered: Whether MLflow unwraps one layer of text that is JSON. What is no plain text gets
            a second layer then: a log line such as ``{"a": 1}`` stays text, and lists and objects
            travel as text, several times as fast as in OpenTelemetry's own form.

    Raises:
        ValueError: an id is no hex number, or a time is out of range.
    """
    from mlflow.entities import Span as MlflowSpan

    trace_id, request_id = base64_of(trace.trace_id.removeprefix("tr-")), json.dumps(trace.trace_id)
    for span in trace.spans:
        if span.start_ns not in _TIMES or span.end_ns not in _TIMES:
            msg = f"the times of {span.name!r} are out of range"
            raise ValueError(msg)
        attributes = {clean(key): _text(value, layered) for key, value in _attributes(span)}
        form = {
            "trace_id": trace_id,
            "span_id": base64_of(span.span_id),
            "parent_span_id": base64_of(span.parent_id) if span.parent_id else "",
            "name": clean(span.name),
            "start_time_unix_nano": span.start_ns,
            "end_time_unix_nano": span.end_ns,
            # OpenTelemetry has a message for errors only
            "status": {
                "code": f"STATUS_CODE_{span.status}",
                "message": clean(span.message) if span.status == "ERROR" else "",
            },
            "attributes": {**attributes, "mlflow.traceRequestId": request_id},
        }
        yield MlflowSpan.from_dict(form), sum(map(len, attributes.values()))


def base64_of(digits: str) -> str:
    """An id as MLflow's form of a span holds it."""
    return binascii.b2a_base64(bytes.fromhex(digits), newline=False).decode()


def _attributes(span: Span) -> Iterator[tuple[str, Json]]:
    yield KIND, span.kind
    if span.inputs is not None:
        yield INPUTS, span.inputs
    if span.outputs is not None:
        yield OUTPUTS, span.outputs
    if span.message and span.status != "ERROR":
        yield "evalkit.message", span.message
    yield from span.attributes.items()
    if span.attributes.keys() >= _PRICED and _SPAN_COST not in span.attributes:
        yield _SPAN_COST, {}


def _text(value: Json, layered: bool) -> str:
    """A value as MLflow keeps it: as JSON text."""
    if isinstance(value, int) and value not in _INT64:
        value = str(value)
    text = json_text(clean(value) if isinstance(value, str) else value)
    is_plain = value is None or isinstance(value, (bool, int, float))
    if isinstance(value, str):
        is_plain = value.lstrip()[:1] not in _LOOKS_LIKE_JSON
    return json_text(text) if layered and not is_plain else text


def as_kept(assessment: Assessment) -> Assessment:
    """The assessment as MLflow will give it back, fit to be compared: masked, cut, cleaned."""
    texts = (assessment.name, assessment.source_id, assessment.rationale, assessment.error)
    name, source_id, rationale, error = (clean(mask_text(clean(text))[0]) for text in texts)
    metadata = mask_json({clean(k): clean(text) for k, text in assessment.metadata.items()})
    return replace(
        assessment,
        name=shorten(name, NAME_LIMIT),
        source_id=shorten(source_id, NAME_LIMIT),
        rationale=rationale,
        error=error,
        value=exact(json.loads(json_text(mask_json(json.loads(json_text(assessment.value)))))),
        metadata=metadata,
    )


def entity(assessment: Assessment) -> Entity:
    """An assessment that is as MLflow keeps it, in MLflow's own form.

    By way of MLflow's message, as a server gets it: numbers become floats whichever way they go.

    Raises:
        MlflowException: MLflow has no form for it.
    """
    from mlflow.entities import AssessmentError, AssessmentSource, Expectation, Feedback

    common: dict[str, Any] = {
        "name": assessment.name,
        "value": assessment.value,
        "source": AssessmentSource(assessment.source_type, assessment.source_id),
        "trace_id": assessment.trace_id,
        "metadata": dict(assessment.metadata),
        "create_time_ms": assessment.time_ms,
        "last_update_time_ms": assessment.time_ms,
    }
    made: Entity
    if assessment.kind == "expectation":
        made = Expectation(**common)
    else:
        why = assessment.error
        error = AssessmentError("ASSESSMENT_ERROR", why) if why else None
        made = Feedback(**common, error=error, rationale=assessment.rationale)
    made.assessment_id = assessment.assessment_id or None
    return type(made).from_proto(made.to_proto())


def assessment_of(row: Entity) -> Assessment | None:
    """An assessment as MLflow returns it; None for kinds that are no judgement, such as issues."""
    value = row.feedback or row.expectation
    if value is None:
        return None
    failed = row.feedback.error if row.feedback else None
    return Assessment(
        assessment_id=row.assessment_id or "",
        trace_id=row.trace_id or "",
        name=well_formed(row.name),
        value=well_formed(value.value),
        source_type=row.source.source_type,
        source_id=row.source.source_id,
        rationale=well_formed(row.rationale or ""),
        error=well_formed((failed.error_message or failed.error_code) if failed else ""),
        metadata=row.metadata or {},
        time_ms=row.create_time_ms or 0,
        kind="feedback" if row.feedback else "expectation",
        valid=row.valid is not False,
    )
