"""Spans in the form of OpenTelemetry's protocol, as MLflow's stores take them.

Both ways into MLflow end in the same conversion, which decodes each attribute, writes it as JSON,
and unwraps one layer where the value was JSON text already. So lists and dicts travel as JSON text,
which is several times as fast to write and to read as the protocol's own nested values, and has no
limit on the size of whole numbers. Text that itself looks like JSON gets a second layer, or a log
line such as ``{"a": 1}`` would come out as a dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from evalkit.core.spans import Span, Trace
from evalkit.jsonable import Json, derive_id
from evalkit.store.wire import clean, json_text

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

BATCH_BYTES = 4_000_000
"""Bytes of spans that are sent at a time; a single span may be larger."""

COST = "mlflow.llm.cost"
USAGE = "mlflow.chat.tokenUsage"

_PRICED = {USAGE, "mlflow.llm.model"}
"""With both and no cost, MLflow looks the cost up in a price list; an empty one says: not known."""

LOOKS_LIKE_JSON = ('"', "{", "[")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class EncodedSpans:
    """Spans of one trace, ready to be sent.

    Attributes:
        proto: The message.
        size: Its size in bytes.
        is_first: Whether no spans of the trace go before these.
        is_last: Whether no spans of the trace follow.
    """

    proto: trace_pb2.ResourceSpans
    size: int
    is_first: bool
    is_last: bool


def encode(trace: Trace, marks: Mapping[str, str]) -> list[EncodedSpans]:
    """A trace's spans, in parts of at most :data:`BATCH_BYTES`, nearly always one.

    Args:
        trace: The trace.
        marks: Tags that the trace gets with its very first span.

    Raises:
        ValueError: an id is no hex number, or a time is out of range.
    """
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    # tags are texts, of which MLflow unwraps no layer
    resource = Resource(
        attributes=[
            KeyValue(key=key, value=AnyValue(string_value=clean(text)))
            for key, text in marks.items()
        ]
    )
    trace_id = bytes.fromhex(trace.trace_id.removeprefix("tr-"))
    spans = (_span(trace_id, span) for span in trace.spans)
    protos = [
        ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=part)])
        for part in _portions(spans, BATCH_BYTES)
    ]
    last = len(protos) - 1
    return [
        EncodedSpans(proto, proto.ByteSize(), number == 0, number == last)
        for number, proto in enumerate(protos)
    ]


def message(traces: Sequence[EncodedSpans]) -> ExportTraceServiceRequest:
    """The request that writes the spans of several traces."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return ExportTraceServiceRequest(resource_spans=[trace.proto for trace in traces])


def fingerprint(trace: Trace) -> str:
    """How many spans a trace has, and a hash of their ids, for :func:`covers`."""
    return f"{len(trace.spans)}-{_hash_of_ids(trace, len(trace.spans))}"


def covers(trace: Trace, stored: str) -> bool:
    """Whether a trace holds all spans of an earlier version of it, so that none goes stale.

    Args:
        trace: The trace as it is now.
        stored: The fingerprint of the earlier version; empty where it is not known.
    """
    count, _, ids = stored.partition("-")
    return count.isdecimal() and _hash_of_ids(trace, int(count)) == ids


def _hash_of_ids(trace: Trace, count: int) -> str:
    return derive_id(*(span.span_id for span in islice(trace.spans, count)), length=16)


def _portions(spans: Iterator[trace_pb2.Span], most_bytes: int) -> Iterator[list[trace_pb2.Span]]:
    portion: list[trace_pb2.Span] = []
    size = 0
    for span in spans:
        bytes_ = span.ByteSize()
        if portion and size + bytes_ > most_bytes:
            yield portion
            portion, size = [], 0
        portion.append(span)
        size += bytes_
    if portion:
        yield portion


def _span(trace_id: bytes, span: Span) -> trace_pb2.Span:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

    return SpanMessage(
        trace_id=trace_id,
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id) if span.parent_id else b"",
        name=clean(span.name),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=[_pair(key, value) for key, value in _attributes(span)],
        status=_status(span),
    )


def _status(span: Span) -> trace_pb2.Status:
    """The status; OpenTelemetry has a message for errors only, else it becomes an attribute."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    code = Status.StatusCode.Value(f"STATUS_CODE_{span.status}")
    return Status(code=code, message=clean(span.message) if span.status == "ERROR" else "")


def _attributes(span: Span) -> Iterator[tuple[str, Json]]:
    yield "mlflow.spanType", span.kind
    if span.inputs is not None:
        yield "mlflow.spanInputs", span.inputs
    if span.outputs is not None:
        yield "mlflow.spanOutputs", span.outputs
    if span.message and span.status != "ERROR":
        yield "evalkit.message", span.message
    yield from span.attributes.items()
    if span.attributes.keys() >= _PRICED and COST not in span.attributes:
        yield COST, {}


def _pair(key: str, value: Json) -> KeyValue:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    return KeyValue(key=clean(key), value=_value(value))


def _value(value: Json) -> AnyValue:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    if isinstance(value, str):
        layered = value.lstrip()[:1] in LOOKS_LIKE_JSON
        return AnyValue(string_value=json_text(value) if layered else clean(value))
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and value in _INT64:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=json_text(value))
