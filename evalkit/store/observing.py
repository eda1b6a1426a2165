"""The traces of an experiment as evalkit looks at them: newest first, with their spans."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from evalkit.core.content import mapping_of
from evalkit.core.observed import ObservedTrace
from evalkit.core.spans import Span, Status
from evalkit.entities import RUN_TAG, SOURCE_RUN, Assessment
from evalkit.jsonable import Json, well_formed
from evalkit.store.failures import NOT_FOUND, Refused
from evalkit.store.gateway import PAGE, Gateway
from evalkit.store.stored_spans import all_of, outline_of
from evalkit.store.wire import COST, SPANS_LOCATION, TOKEN_USAGE, assessment_from

if TYPE_CHECKING:
    from mlflow.entities import Span as StoredSpan
    from mlflow.entities import Trace as MlflowTrace
    from mlflow.entities import TraceInfo

AT_A_TIME = 25
"""Traces whose spans are read with one request."""

WHOLE_AT_A_TIME = 20
"""Traces of which everything is read with one request."""

IN_STORE = "TRACKING_STORE"
ELSEWHERE = "its spans lie among the artifacts, as older MLflow kept them"
GONE = "its spans are not there"

_STATUSES: dict[str, Status] = {"OK": "OK", "ERROR": "ERROR"}


def find_experiment(gateway: Gateway, named: str) -> tuple[str, str] | None:
    """Id and name of an experiment that is named by either; None where there is none.

    Raises:
        StoreError: MLflow failed.
    """
    with gateway.answering(f"looking for the experiment {named!r}"):
        found = gateway.tracking.get_experiment_by_name(named)
    if found is None and named.isdecimal():
        found = _by_id(gateway, named)
    if found is None or found.lifecycle_stage != "active":
        return None
    return found.experiment_id, found.name


def _by_id(gateway: Gateway, experiment_id: str) -> Any:
    try:
        with gateway.answering(f"looking for the experiment {experiment_id}"):
            return gateway.tracking.get_experiment(experiment_id)
    except Refused as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def observe(
    gateway: Gateway, experiment_id: str, most: int, *, outline: bool = False
) -> Iterator[ObservedTrace]:
    """The newest traces, newest first; a page of them is in memory at a time.

    Args:
        gateway: The way into MLflow.
        experiment_id: The experiment.
        most: How many to read.
        outline: Read inputs and outputs of the first span at the top, of the others only tools
            and those that failed, without contents: decoding takes most of the time.

    Raises:
        StoreError: MLflow failed.
    """
    found = _infos(gateway, experiment_id, most)
    while some := list(islice(found, AT_A_TIME)):
        yield from _with_spans(gateway, some, outline_of if outline else all_of)


def observe_one(gateway: Gateway, trace_id: str) -> ObservedTrace:
    """One trace with its spans.

    Raises:
        StoreError: there is no such trace, or MLflow failed.
    """
    with gateway.answering(f"reading the trace {trace_id}"):
        info = gateway.tracking.get_trace_info(trace_id)
    return with_spans(gateway, info)


def with_spans(gateway: Gateway, info: TraceInfo) -> ObservedTrace:
    """The trace that MLflow lists, with its spans.

    Raises:
        StoreError: MLflow failed.
    """
    return next(_with_spans(gateway, [info], all_of))


def listed(
    gateway: Gateway, experiment_id: str, condition: str, most: int
) -> Iterator[ObservedTrace]:
    """The newest traces that meet a condition in MLflow's search language, without spans.

    Raises:
        StoreError: MLflow failed, or does not understand the condition.
    """
    for info in _infos(gateway, experiment_id, most, condition):
        yield _trace(info, (), "")


def within(gateway: Gateway, experiment_id: str, trace_id: str) -> TraceInfo | None:
    """A trace of an experiment as MLflow lists it; None where the experiment has none of that id.

    Raises:
        StoreError: MLflow failed.
    """
    try:
        with gateway.answering(f"reading the trace {trace_id}"):
            info = gateway.tracking.get_trace_info(trace_id)
    except Refused as error:
        if error.status == NOT_FOUND:
            return None
        raise
    with gateway.answering(f"looking whose trace {trace_id} is"):
        return info if gateway.holds(experiment_id, info) else None


def _infos(
    gateway: Gateway, experiment_id: str, most: int, condition: str = ""
) -> Iterator[TraceInfo]:
    page: str | None = None
    left = most
    while left > 0:
        with gateway.answering("looking for traces"):
            found, page = gateway.tracking.search_traces(
                locations=[experiment_id],
                filter_string=condition or None,
                max_results=min(PAGE, left),
                order_by=["timestamp_ms DESC"],
                page_token=page,
            )
        yield from found
        left -= len(found)
        if not page:
            return


def _with_spans(
    gateway: Gateway,
    infos: Sequence[TraceInfo],
    read: Callable[[Sequence[StoredSpan]], tuple[Span, ...]],
) -> Iterator[ObservedTrace]:
    stored = [info.trace_id for info in infos if _is_in_store(info)]
    spans: dict[str, list[StoredSpan]] = {}
    if stored:
        with gateway.answering("reading spans"):
            found = gateway.tracking.batch_get_traces(stored)
        spans = {trace.info.trace_id: trace.data.spans for trace in found}
    for info in infos:
        own = read(spans.get(info.trace_id, ()))
        unread = "" if own else GONE if _is_in_store(info) else ELSEWHERE
        yield _trace(info, own, unread)


def _is_in_store(info: TraceInfo) -> bool:
    return bool(info.tags.get(SPANS_LOCATION) == IN_STORE)


def _trace(info: TraceInfo, spans: tuple[Span, ...], unread: str) -> ObservedTrace:
    tokens = _object(info.trace_metadata.get(TOKEN_USAGE))
    cost = _object(info.trace_metadata.get(COST)).get("total_cost")
    state = getattr(info.state, "value", str(info.state))
    return ObservedTrace(
        info.trace_id,
        info.tags.get("mlflow.traceName", ""),
        info.request_time,
        info.execution_duration,
        _STATUSES.get(state, "UNSET"),
        info.request_preview or "",
        info.response_preview or "",
        _count(tokens.get("input_tokens")),
        _count(tokens.get("output_tokens")),
        float(cost) if isinstance(cost, (int, float)) and math.isfinite(cost) else None,
        spans,
        unread,
        tuple(assessments_of(info)),
        run_of(info),
    )


def assessments_of(info: TraceInfo) -> Iterator[Assessment]:
    """What was said of a trace and counts: what somebody overrode has ``valid`` False."""
    for each in info.assessments:
        said = assessment_from(well_formed(each.to_dictionary()))
        if said is not None and said.valid:
            yield replace(said, trace_id=info.trace_id)


def run_of(info: TraceInfo) -> str:
    """The run that evalkit logged a trace under; empty for what others recorded."""
    return info.trace_metadata.get(SOURCE_RUN, "") if RUN_TAG in info.tags else ""


def whole(gateway: Gateway, experiment_id: str, trace_ids: Sequence[str]) -> Iterator[MlflowTrace]:
    """Traces with all their spans as MLflow's own objects, in the order of their ids.

    Those that are not there, are another experiment's, or have no spans in the tracking store, are
    passed over; a few are in memory at a time.

    Raises:
        StoreError: MLflow failed.
    """
    for start in range(0, len(trace_ids), WHOLE_AT_A_TIME):
        wanted = trace_ids[start : start + WHOLE_AT_A_TIME]
        with gateway.answering("reading whole traces"):
            found = {
                trace.info.trace_id: trace for trace in gateway.tracking.batch_get_traces(wanted)
            }
        ordered = (found[trace_id] for trace_id in wanted if trace_id in found)
        yield from (trace for trace in ordered if gateway.holds(experiment_id, trace.info))


def _object(text: str | None) -> dict[str, Json]:
    """A JSON object in a trace's metadata; empty where whoever wrote it did otherwise."""
    if not text:
        return {}
    try:
        return dict(mapping_of(json.loads(text)))
    except ValueError:
        return {}


def _count(value: Json) -> int | None:
    is_count = isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
    return int(value) if is_count else None
