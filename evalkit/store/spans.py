"""Spans as MLflow takes them, and as it hands them over, whole or in outline.

They are read from the form in which they are stored: MLflow's objects take longer to make.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from evalkit.entities import Span, SpanKind, Status, Trace
from evalkit.jsonable import Json, well_formed
from evalkit.store.forms import clean, json_text

if TYPE_CHECKING:
    from mlflow.entities import Span as StoredSpan

TOO_DEEP = "[nested too deeply to be read]"
KIND = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"

_KINDS: Mapping[str, SpanKind] = {
    "AGENT": "AGENT",
    "LLM": "LLM",
    "CHAT_MODEL": "LLM",
    "TOOL": "TOOL",
    "RETRIEVER": "TOOL",
}
"""What evalkit takes MLflow's span types for; all others are steps without a kind of their own."""

_SPAN_COST = "mlflow.llm.cost"
_PRICED = {"mlflow.chat.tokenUsage", "mlflow.llm.model"}
"""With both and no cost, MLflow looks the cost up in a price list; an empty one says: not known."""

_INT64 = range(-(2**63), 2**63)
_TIMES = range(2**63)
_FIELDS = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
_ODD = re.compile(r"\\u[dD]|NaN|Infinity|\d[eE]\+?\d{3}")  # in JSON, what is not well-formed
_ID_LENGTH = 12  # characters: eight bytes in base64
_STATUSES: dict[str, Status] = {"STATUS_CODE_OK": "OK", "STATUS_CODE_ERROR": "ERROR"}


def made_spans(trace: Trace, *, layered: bool) -> Iterator[tuple[StoredSpan, int]]:
    """A trace's spans as MLflow's objects, each with about how many bytes it takes.

    What travels as text is ``layered`` where MLflow unwraps a layer of it.
    """
    from mlflow.entities import Span as MlflowSpan

    if any(span.start_ns not in _TIMES or span.end_ns not in _TIMES for span in trace.spans):
        msg = "the times of its spans are out of range"
        raise ValueError(msg)
    trace_id, request_id = base64_of(trace.trace_id.removeprefix("tr-")), json.dumps(trace.trace_id)
    for span in trace.spans:
        attributes = {clean(key): _text(value, layered) for key, value in _attributes(span)}
        form = {
            "trace_id": trace_id,
            "span_id": base64_of(span.span_id),
            "parent_span_id": base64_of(span.parent_id or ""),
            "name": clean(span.name),
            "start_time_unix_nano": span.start_ns,
            "end_time_unix_nano": span.end_ns,
            "status": {"code": f"STATUS_CODE_{span.status}", "message": _failure(span)},
            "attributes": {**attributes, "mlflow.traceRequestId": request_id},
        }
        yield MlflowSpan.from_dict(form), sum(map(len, attributes.values()))


def base64_of(digits: str) -> str:
    """An id as MLflow's form of a span holds it."""
    return binascii.b2a_base64(bytes.fromhex(digits), newline=False).decode()


def sent_spans(trace: Trace) -> Iterator[tuple[Any, int]]:
    """A trace's spans for a server, each with its bytes.

    MLflow's client asks each for its form in OpenTelemetry's protocol and no more, and its own
    objects take twice as long to make and send.
    """
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
    from opentelemetry.proto.trace.v1.trace_pb2 import Status as MessageStatus

    trace_id = bytes.fromhex(trace.trace_id.removeprefix("tr-"))
    for span in trace.spans:
        code = MessageStatus.StatusCode.Value(f"STATUS_CODE_{span.status}")
        proto = Message(
            trace_id=trace_id,
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_id or ""),
            name=clean(span.name),
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
            attributes=[
                KeyValue(key=clean(key), value=AnyValue(**_field(_carried(value))))
                for key, value in _attributes(span)
            ],
            status=MessageStatus(code=code, message=_failure(span)),
        )
        yield SimpleNamespace(_span=None, to_otel_proto=lambda proto=proto: proto), proto.ByteSize()


def _carried(value: Json) -> Json:
    """A value as it travels: JSON as text, of which MLflow unwraps a layer."""
    if isinstance(value, str):
        return json_text(value) if _is_json(value) else clean(value)
    if isinstance(value, int) and value not in _INT64:
        return str(value)
    return json_text(value) if isinstance(value, (dict, list, tuple)) else value


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in {'"', "{", "["}


def _field(value: Json) -> dict[str, Json]:
    """Which field of a message holds a value; none where there is none."""
    return {} if value is None else {_FIELDS[type(value)]: value}


def _text(value: Json, layered: bool) -> str:
    """A value as MLflow keeps it: as JSON text."""
    carried = _carried(value)
    is_text = not layered and isinstance(carried, str) and _is_json(carried)
    return carried if is_text else json_text(carried)


def _failure(span: Span) -> str:
    """OpenTelemetry has a message for errors only."""
    return clean(span.message) if span.status == "ERROR" else ""


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


def spans_of(spans: Sequence[StoredSpan], *, whole: bool = True) -> tuple[Span, ...]:
    """A trace's spans, each parent before its children; attributes only where ``whole``."""
    return _in_order([_span(form, whole=whole) for form in map(_form, spans)])


def outline_of(spans: Sequence[StoredSpan]) -> tuple[Span, ...]:
    """The first span at the top; of the others tools and failures in time, without contents."""
    forms = sorted(map(_form, spans), key=_times)
    known = {form["span_id"] for form in forms}
    top = next((form for form in forms if form["parent_span_id"] not in known), None)
    if top is None:
        return ()
    told = (f for f in forms if _STATUSES.get(f["status"]["code"]) == "ERROR" or _kind(f) == "TOOL")
    return _span(top), *(_span(form, bare=True) for form in told if form is not top)


def _times(form: Mapping[str, Any]) -> tuple[int, int]:
    return form["start_time_unix_nano"] or 0, -(form["end_time_unix_nano"] or 0)


def _form(span: StoredSpan) -> Mapping[str, Any]:
    """A span as MLflow stores it now; older releases wrote ids and states in other ways."""
    form: Mapping[str, Any] = span.to_dict()
    if len(form.get("span_id", "")) == _ID_LENGTH:
        return form
    from mlflow.entities import Span as AnySpan

    renewed: Mapping[str, Any] = AnySpan.from_dict(dict(form)).to_dict()
    return renewed


def _span(form: Mapping[str, Any], *, whole: bool = False, bare: bool = False) -> Span:
    """A span with what it was given and gave, unless it is to be ``bare``."""
    parent, held = form["parent_span_id"], form["attributes"]
    start = form["start_time_unix_nano"] or 0
    wanted = {} if bare else held if whole else {n: held[n] for n in (INPUTS, OUTPUTS) if n in held}
    values = {well_formed(name): _decoded(raw) for name, raw in wanted.items()}
    return Span(
        binascii.a2b_base64(form["span_id"]).hex(),
        binascii.a2b_base64(parent).hex() if parent else None,
        well_formed(form["name"]),
        _kind(form),
        start,
        max(form["end_time_unix_nano"] or start, start),
        values.pop(INPUTS, None),
        values.pop(OUTPUTS, None),
        values,
        _STATUSES.get(form["status"]["code"], "UNSET"),
        _message(form),
    )


def _kind(form: Mapping[str, Any]) -> SpanKind:
    raw = form["attributes"].get(KIND)
    return _KINDS.get(raw.strip('"'), "CHAIN") if isinstance(raw, str) else "CHAIN"


def _decoded(raw: object) -> Json:
    """An attribute's value: MLflow writes JSON; others write what they like."""
    try:
        if not isinstance(raw, str):
            return well_formed(raw)
        try:
            value = json.loads(raw)
            return value if raw.isascii() and not _ODD.search(raw) else well_formed(value)
        except ValueError:
            return well_formed(raw)
    except RecursionError:
        return TOO_DEEP


def _message(form: Mapping[str, Any]) -> str:
    """Why a span failed: its own word, else that of an exception that it recorded."""
    own = form["status"].get("message")
    for event in () if own else form.get("events") or ():
        if event["name"] == "exception":
            attributes = event.get("attributes") or {}
            said = (attributes.get(f"exception.{part}", "") for part in ("type", "message"))
            own = ": ".join(str(each) for each in said if each)
            break
    message: str = well_formed(own or "")
    return message


def _in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Each parent before its children, siblings in time; who has no parent here is a root."""
    known = {span.span_id for span in spans}
    under: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns)):
        is_placed = span.parent_id is None or span.parent_id in known
        rooted = span if is_placed else replace(span, parent_id=None)
        under.setdefault(rooted.parent_id, []).append(rooted)
    walked: list[Span] = []
    pending = list(reversed(under.pop(None, [])))
    while pending:
        span = pending.pop()
        walked.append(span)
        pending += reversed(under.pop(span.span_id, []))
    return tuple(walked)
