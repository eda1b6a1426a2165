"""Names, texts, traces and assessments in MLflow's form, without secrets.

MLflow refuses a whole batch because of one name it does not like, so names are made to fit before.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from evalkit.entities import HASH_TAG, SESSION_TAG, SOURCE_RUN, Assessment, Trace
from evalkit.errors import StoreError
from evalkit.jsonable import Json, canonical, derive_id, exact, well_formed
from evalkit.masking import MASKED, mask_counted, mask_json, mask_text

if TYPE_CHECKING:
    from mlflow.entities import Assessment as Entity
    from mlflow.entities import TraceInfo

# characters that MLflow keeps: of names and metadata, of trace tags, of what the list shows
NAME_LIMIT, TAG_LIMIT, PREVIEW_LIMIT = 250, 4096, 1000

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

_UNFIT = re.compile("[\x00\ud800-\udfff]")
_ILLEGAL = re.compile(r"[^/\w.\- :]")
_HASH_LENGTH = 8


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


def sql_literal(text: str) -> str:
    """The text as a value in MLflow's search language, which has no form for both quotes."""
    mark = "'" if "'" not in text else '"'
    if mark in text:
        raise StoreError(
            f"MLflow cannot be searched for {text!r}: it holds single and double quotes;"
            " use a name without them"
        )
    return f"{mark}{text}{mark}"


def fit_name(name: str) -> str:
    """The name as MLflow takes it: itself, else with a hash of it, so that no two become one.

    MLflow allows letters, digits, ``_-.:/`` and spaces, and nothing that leads elsewhere as a path.
    """
    fitting = _ILLEGAL.sub("_", name)
    plain = posixpath.normpath(fitting)
    if plain != fitting or plain == "." or plain.startswith(("..", "/")):
        fitting = "/".join(part.strip(".") or "_" for part in fitting.split("/"))
    if fitting == name and len(name) <= NAME_LIMIT:
        return name
    mark = derive_id(name, length=_HASH_LENGTH)
    return f"{fitting[: NAME_LIMIT - _HASH_LENGTH - 1]}-{mark}"


class Masking:
    """Masks what is on its way to MLflow, but logs, assessments and rows, which are already."""

    masked: Counter[str]  # place to how many secrets were masked in what was to go there

    def _mask(self, value: Json, place: str) -> Json:
        return mask_counted(value, self.masked, place)

    def _masked_file(self, content: bytes) -> bytes:
        try:
            text = mask_text(content.decode())[0]
        except UnicodeDecodeError:  # a picture, an archive
            return content
        if marks := text.count(MASKED):  # most were masked as they were read
            self.masked["artifacts"] += marks
        return text.encode()

    def _masked_trace(self, trace: Trace) -> Trace:
        """The trace without secrets around its steps; those come from a log, which is masked."""
        root, *steps = trace.spans
        held = {part: getattr(root, part) for part in ("name", "inputs", "outputs", "message")}
        root = replace(root, **self._mask(held, "traces"))
        around = ("name", "case_id", "request", "response", "tags", "metadata")
        held = {part: getattr(trace, part) for part in around}
        return replace(trace, spans=(root, *steps), **self._mask(held, "traces"))


def entry_of(
    trace: Trace, experiment_id: str, run_id: str | None, wanted: Sequence[Assessment]
) -> tuple[TraceInfo, tuple[str, ...]]:
    """A trace's list entry, and what had to be shortened for it."""
    from mlflow.entities import TraceInfo, TraceLocation, TraceState

    start_ms, end_ms = trace.start_ns // 1_000_000, trace.end_ns // 1_000_000
    is_over = run_id is not None or trace.status != "UNSET" or SESSION_TAG in trace.tags
    unset = TraceState.STATE_UNSPECIFIED if is_over else TraceState.IN_PROGRESS
    totals = _totals(trace)
    metadata = {key: text for key, text in trace.metadata.items() if key not in totals}
    tags = {**trace.tags, "mlflow.traceName": trace.name}
    if run_id is not None:
        metadata[SOURCE_RUN] = run_id
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
        trace_metadata={**_fit(metadata, NAME_LIMIT), **totals, "mlflow.trace_schema.version": "3"},
        tags=_fit(tags, TAG_LIMIT),
        assessments=[entity(as_kept(each)) for each in wanted],
    )
    notices = tuple(
        f"{kind} {key} was shortened to {limit} characters"
        for kind, texts, limit in (("metadata", metadata, NAME_LIMIT), ("tag", tags, TAG_LIMIT))
        for key, text in texts.items()
        if len(text) > limit
    )
    return info, notices


def _preview(value: Json) -> str:
    text = value if isinstance(value, str) else "" if value is None else json_text(value)
    return shorten(text, PREVIEW_LIMIT)


def _fit(texts: Mapping[str, str], limit: int) -> dict[str, str]:
    return {shorten(key, NAME_LIMIT): shorten(text, limit) for key, text in texts.items()}


def is_overwritten(trace: Trace) -> bool:
    """Whether MLflow would overwrite what the trace says by what it infers from later spans."""
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


def as_kept(assessment: Assessment) -> Assessment:
    """The assessment as MLflow will give it back, fit to be compared: masked, cut, cleaned."""
    texts = (assessment.name, assessment.source_id, assessment.rationale, assessment.error)
    name, source_id, rationale, error = (clean(mask_text(clean(text))[0]) for text in texts)
    return replace(
        assessment,
        name=shorten(name, NAME_LIMIT),
        source_id=shorten(source_id, NAME_LIMIT),
        rationale=rationale,
        error=error,
        value=exact(json.loads(json_text(mask_json(json.loads(json_text(assessment.value)))))),
        metadata=mask_json({clean(k): clean(text) for k, text in assessment.metadata.items()}),
    )


def entity(assessment: Assessment) -> Entity:
    """An assessment that is as MLflow keeps it, in MLflow's own form."""
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
    # as a server gets it: numbers become floats whichever way they go
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
