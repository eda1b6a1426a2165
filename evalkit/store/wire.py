"""Traces and assessments in MLflow's JSON form, both ways.

A server speaks it as it is; a database opened in this process reads and writes the same through
MLflow's own messages. So both hold the same afterwards.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from evalkit.core.masking import mask_json, mask_text
from evalkit.core.spans import Trace
from evalkit.entities import HASH_TAG, RECORDED_TAG, SOURCE_RUN, Assessment, StoredTrace
from evalkit.jsonable import Json, canonical, exact

METADATA_LIMIT = 250
"""Characters MLflow keeps of a key or value of trace metadata, and of names."""

TAG_LIMIT = 4096
"""Characters MLflow keeps of the value of a trace tag."""

PREVIEW_LIMIT = 1000
"""Characters MLflow keeps of a request or response in the list of traces."""

SPANS_LOCATION = "mlflow.trace.spansLocation"
TOKEN_USAGE = "mlflow.trace.tokenUsage"  # noqa: S105 - a key of MLflow's
COST = "mlflow.trace.cost"

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

_STATES = {"OK": "OK", "ERROR": "ERROR", "UNSET": "STATE_UNSPECIFIED"}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_UNFIT = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what databases and UTF-8 have no place for: NUL and halves of characters."""
    return text if text.isascii() and "\x00" not in text else _UNFIT.sub("\ufffd", text)


def shorten(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, an ellipsis in place of what is left out."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def json_text(value: Json) -> str:
    """The value as JSON text, whatever is in its texts."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return clean(json.dumps(value, ensure_ascii=False))


def location(experiment_id: str) -> Json:
    """Where a trace lies."""
    return {
        "type": "MLFLOW_EXPERIMENT",
        "mlflow_experiment": {"experiment_id": experiment_id},
    }


def instant(time_ms: int) -> str:
    """Milliseconds since the epoch as MLflow writes them: ``2026-07-09T10:00:00.250Z``."""
    moment = _EPOCH + time_ms * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(instant_: str) -> int:
    """The other way round."""
    return (dt.datetime.fromisoformat(instant_) - _EPOCH) // _MILLISECOND if instant_ else 0


def preview(value: Json) -> str:
    """What the list of traces shows of a request or response."""
    if value is None:
        return ""
    return shorten(value if isinstance(value, str) else json_text(value), PREVIEW_LIMIT)


def trace_info(
    trace: Trace,
    *,
    experiment_id: str,
    run_id: str | None,
    tags: Mapping[str, str],
    after_spans: bool,
) -> tuple[Json, tuple[str, ...]]:
    """What MLflow keeps of a trace beside its spans, and what had to be shortened for it.

    Args:
        trace: The trace.
        experiment_id: The experiment it goes to.
        run_id: The run it belongs to; None where it belongs to none.
        tags: Its tags, in place of the trace's own.
        after_spans: Whether it is written after the spans. MLflow has added up their tokens and
            cost by then, and every part has to be stated, with null where it is not known.

    Raises:
        ValueError: a time is out of range, or the totals in the metadata are no JSON objects.
    """
    start_ms, end_ms = trace.start_ns // 1_000_000, trace.end_ns // 1_000_000
    metadata = {**trace.metadata, "mlflow.trace_schema.version": "3"}
    if run_id is not None:
        metadata[SOURCE_RUN] = run_id
    named = {**tags, "mlflow.traceName": trace.name}
    plain = {key: text for key, text in metadata.items() if key not in _TOTALS}
    totals = _explicit(trace) if after_spans else _stated(trace)
    info = {
        "trace_id": trace.trace_id,
        "trace_location": location(experiment_id),
        "request_preview": shorten(
            ": ".join(filter(None, (trace.case_id, preview(trace.request)))), PREVIEW_LIMIT
        ),
        "response_preview": preview(trace.response),
        "request_time": instant(start_ms),
        "execution_duration": f"{(end_ms - start_ms) / 1000:.3f}s",
        "state": _STATES[trace.status],
        "trace_metadata": _fit(plain, METADATA_LIMIT) | totals,
        "tags": _fit(named, TAG_LIMIT),
    }
    notices = [
        f"{kind} {key} was shortened to {limit} characters"
        for kind, texts, limit in (("metadata", plain, METADATA_LIMIT), ("tag", named, TAG_LIMIT))
        for key, text in texts.items()
        if len(text) > limit
    ]
    return info, tuple(notices)


def order_matters(trace: Trace) -> bool:
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


def _stated(trace: Trace) -> dict[str, str]:
    return {key: trace.metadata[key] for key in _TOTALS if key in trace.metadata}


def _explicit(trace: Trace) -> dict[str, str]:
    stated = _stated(trace)
    adds_up = _adds_up(trace)
    return {
        key: canonical({**dict.fromkeys(parts), **json.loads(stated.get(key, "{}"))})
        for key, parts in _TOTALS.items()
        if key in stated or adds_up
    }


def _fit(texts: Mapping[str, str], limit: int) -> Json:
    return {shorten(key, METADATA_LIMIT): shorten(text, limit) for key, text in texts.items()}


def assessment_json(assessment: Assessment) -> Json:
    """An assessment in MLflow's JSON form, with its secrets masked."""
    said = (assessment.name, assessment.source_id, assessment.rationale, assessment.error)
    name, source_id, rationale, error = (mask_text(clean(text))[0] for text in said)
    assessment = replace(
        assessment,
        name=name,
        source_id=source_id,
        rationale=rationale,
        error=error,
        value=mask_json(json.loads(json_text(assessment.value))),
        metadata=mask_json({clean(k): clean(v) for k, v in assessment.metadata.items()}),
    )
    moment = instant(assessment.time_ms)
    return {
        "assessment_id": assessment.assessment_id,
        "assessment_name": shorten(assessment.name, METADATA_LIMIT),
        "trace_id": assessment.trace_id,
        "source": {
            "source_type": assessment.source_type,
            "source_id": shorten(assessment.source_id, METADATA_LIMIT),
        },
        "create_time": moment,
        "last_update_time": moment,
        "rationale": clean(assessment.rationale),
        "metadata": {clean(key): clean(text) for key, text in assessment.metadata.items()},
        "valid": True,
        **_judgement(assessment),
    }


def _judgement(assessment: Assessment) -> Json:
    value = exact(json.loads(json_text(assessment.value)))
    if assessment.kind == "expectation":
        if isinstance(value, (list, dict)):
            serialized = {"serialization_format": "JSON_FORMAT", "value": json_text(value)}
            return {"expectation": {"serialized_value": serialized}}
        return {"expectation": {"value": value}}
    feedback: dict[str, Json] = {"value": value}
    if assessment.error:
        feedback["error"] = {
            "error_code": "ASSESSMENT_ERROR",
            "error_message": clean(assessment.error),
        }
    return {"feedback": feedback}


def assessment_from(found: Json) -> Assessment | None:
    """An assessment as MLflow returns it; None for kinds that are no judgement, such as issues."""
    kind = next((k for k in ("feedback", "expectation") if k in found), None)
    if kind is None:
        return None
    held = found[kind]
    error = held.get("error", {})
    serialized = held.get("serialized_value")
    source = found.get("source", {})
    return Assessment(
        assessment_id=found.get("assessment_id", ""),
        trace_id=found.get("trace_id", ""),
        name=found.get("assessment_name", ""),
        value=json.loads(serialized["value"]) if serialized else held.get("value"),
        source_type=source.get("source_type", "CODE"),
        source_id=source.get("source_id", ""),
        rationale=found.get("rationale", ""),
        error=error.get("error_message") or error.get("error_code", ""),
        metadata=found.get("metadata", {}),
        time_ms=milliseconds(found.get("create_time", "")),
        kind="expectation" if kind == "expectation" else "feedback",
        valid=found.get("valid") is not False,
    )


def as_kept(assessment: Assessment) -> Assessment:
    """The assessment as MLflow will give it back: shortened, cleaned, and so fit to be compared."""
    return assessment_from(assessment_json(assessment)) or assessment


def stored_trace(info: Json) -> StoredTrace:
    """A trace as MLflow lists it."""
    tags = info.get("tags", {})
    metadata = info.get("trace_metadata", {})
    found = (assessment_from(each) for each in info.get("assessments", []))
    return StoredTrace(
        trace_id=info["trace_id"],
        tags=tags,
        metadata=metadata,
        time_ms=milliseconds(info.get("request_time", "")),
        complete=is_complete(info),
        assessments=tuple(each for each in found if each is not None),
    )


def is_complete(info: Json) -> bool:
    """Whether everything that was to be written of a trace is there."""
    tags = info.get("tags", {})
    if RECORDED_TAG in tags:
        return is_finished(info)
    return HASH_TAG in tags and SPANS_LOCATION in tags


def is_finished(info: Json) -> bool:
    """Whether whoever records a trace is done with it."""
    state: str = info.get("state", "")
    return state != "IN_PROGRESS"
