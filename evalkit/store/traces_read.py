"""Traces as MLflow holds them: looked up by their marks, and looked at with their spans."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from evalkit.entities import (
    HASH_TAG,
    RECORDED_TAG,
    RUN_TAG,
    SESSION_TAG,
    SOURCE_RUN,
    Assessment,
    ObservedTrace,
    Span,
    Status,
    StoredTrace,
)
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, is_number, mapping_of
from evalkit.store.client import Client
from evalkit.store.failures import unless_gone
from evalkit.store.forms import COST, TOKEN_USAGE, assessment_of, sql_literal
from evalkit.store.spans import outline_of, spans_of

if TYPE_CHECKING:
    from mlflow.entities import Span as StoredSpan
    from mlflow.entities import Trace as MlflowTrace
    from mlflow.entities import TraceInfo

    from evalkit.store.warehouse import Warehouse

PAGE = 500  # traces that a search returns at a time; MLflow refuses more
AT_A_TIME = 25  # traces whose spans are read with one request

SPANS_LOCATION = "mlflow.trace.spansLocation"
IN_STORE = "TRACKING_STORE"
ELSEWHERE = "its spans lie among the artifacts, as older MLflow kept them"
GONE = "its spans are not there"

_IDS_AT_A_TIME = 100
_IS_ID = re.compile(r"(?!.*\.\.)[\w.:/-]{1,250}")
_STATES: dict[str, Status] = {"OK": "OK", "ERROR": "ERROR"}

_Read: TypeAlias = Callable[[Sequence["StoredSpan"]], tuple[Span, ...]]


class TraceReader:
    """The store's part that looks at traces, whoever recorded them."""

    _client: Client

    def find_traces(self, experiment_id: str, run_key: str) -> list[StoredTrace]:
        """The traces of a run, whether evalkit wrote or adopted them; a request for every 500."""
        return self._find(experiment_id, f"tags.`{RUN_TAG}` = {sql_literal(run_key)}")

    def find_imported(self, experiment_id: str) -> list[StoredTrace]:
        """The traces of sessions that were imported; a request for every 500."""
        return self._find(experiment_id, f"tags.`{SESSION_TAG}` != ''")

    def find_recorded(self, experiment_id: str) -> list[StoredTrace]:
        """The finished traces that the harness recorded itself and that no run has yet."""
        condition = f"tags.`{RECORDED_TAG}` != '' AND metadata.`{SOURCE_RUN}` IS NULL"
        found = self._find(experiment_id, condition)
        return [each for each in found if each.complete and RUN_TAG not in each.tags]

    def _find(self, experiment_id: str, condition: str) -> list[StoredTrace]:
        self._client.check_traces(experiment_id)
        return list(map(_stored, self._search_traces(experiment_id, condition)))

    def _search_traces(
        self, experiment_id: str, condition: str, most: float = math.inf
    ) -> Iterator[TraceInfo]:
        """The newest traces that meet a condition in MLflow's search language, page by page."""
        page = None
        while most > 0:
            found, page = self._client.doing("looking for traces").search_traces(
                locations=[experiment_id],
                filter_string=condition or None,
                max_results=min(PAGE, most),
                order_by=["timestamp_ms DESC"],
                page_token=page,
            )
            yield from found
            if not page:
                return
            most -= len(found)

    def _fetch(self, experiment_id: str, trace_ids: Sequence[str]) -> dict[str, TraceInfo]:
        """Traces as they are now, by id; without those that are gone."""
        found: dict[str, TraceInfo] = {}
        for begin in range(0, len(trace_ids), _IDS_AT_A_TIME):
            ids = ", ".join(map(sql_literal, trace_ids[begin : begin + _IDS_AT_A_TIME]))
            some = self._search_traces(experiment_id, f"request_id IN ({ids})")
            found.update((info.trace_id, info) for info in some)
        return found

    def find_experiment(self, named: str) -> tuple[str, str] | None:
        """Id and name of an experiment that is named by either; None where there is none."""
        looking = self._client.doing(f"looking for the experiment {named}")
        found = looking.get_experiment_by_name(named)
        if found is None and named.isdecimal():
            found = unless_gone(looking.get_experiment, named)
        if found is None or found.lifecycle_stage != "active":
            return None
        return found.experiment_id, found.name

    def observe(
        self, experiment_id: str, *, most: int, outline: bool = False
    ) -> Iterator[ObservedTrace]:
        """The newest traces of an experiment with their spans, newest first, as they are read.

        An ``outline`` of them is several times as quick.
        """
        found = self._search_traces(experiment_id, "", most)
        while some := list(islice(found, AT_A_TIME)):
            yield from self._with_spans(some, outline_of if outline else spans_of)

    def observe_one(self, trace_id: str) -> ObservedTrace:
        """One trace with its spans; a StoreError where there is none."""
        info = self._client.doing(f"reading the trace {trace_id}").get_trace_info(trace_id)
        return next(self._with_spans([info], spans_of))

    def warehouse(self, experiment_id: str) -> Warehouse | None:
        """What answers SQL on an experiment's traces; None where they are in no tables."""
        return self._client.warehouse(experiment_id)

    def whole_traces(self, experiment_id: str, trace_ids: Sequence[str]) -> Iterator[MlflowTrace]:
        """Traces with all their spans as MLflow's own objects, in the order of their ids.

        Those that are not there, or another experiment's, are passed over.
        """
        for begin in range(0, len(trace_ids), AT_A_TIME):
            wanted = trace_ids[begin : begin + AT_A_TIME]
            read = self._client.doing("reading whole traces").batch_get_traces(wanted)
            found = {trace.info.trace_id: trace for trace in read}
            ordered = (found[each] for each in wanted if each in found)
            yield from (t for t in ordered if self._client.holds(experiment_id, t.info))

    def _info(self, experiment_id: str, trace_id: str) -> TraceInfo:
        """A trace of an experiment as MLflow lists it; an InputError where it has none."""
        info = None
        if _IS_ID.fullmatch(trace_id):
            looking = self._client.doing(f"looking for the trace {trace_id}")
            info = unless_gone(looking.get_trace_info, trace_id)
        with self._client.answering(f"looking whose trace {trace_id} is"):
            if info is not None and self._client.holds(experiment_id, info):
                return info
        what = f"there is no trace {trace_id[:80]!r} in this experiment"
        raise InputError(Problem(what, field="trace_id", fix="take an id from a search"))

    def _with_spans(self, infos: Sequence[TraceInfo], read: _Read) -> Iterator[ObservedTrace]:
        stored = [i.trace_id for i in infos if i.tags.get(SPANS_LOCATION) == IN_STORE]
        found = self._client.doing("reading spans").batch_get_traces(stored) if stored else ()
        spans = {trace.info.trace_id: trace.data.spans for trace in found}
        for info in infos:
            own = read(spans.get(info.trace_id, ()))
            unread = "" if own else GONE if info.trace_id in stored else ELSEWHERE
            yield _observed(info, own, unread)


def assessments_of(info: TraceInfo) -> Iterator[Assessment]:
    """What was said of a trace and counts: what somebody overrode has ``valid`` False."""
    for each in info.assessments:
        said = assessment_of(each)
        if said is not None and said.valid:
            yield replace(said, trace_id=info.trace_id)


def run_of(info: TraceInfo) -> str:
    """The run that evalkit logged a trace under; empty for what others recorded."""
    return info.trace_metadata.get(SOURCE_RUN, "") if RUN_TAG in info.tags else ""


def _stored(info: TraceInfo) -> StoredTrace:
    """A trace as MLflow lists it; it is complete where whoever writes it is done."""
    is_over = str(info.state.value) != "IN_PROGRESS"
    is_written = HASH_TAG in info.tags and SPANS_LOCATION in info.tags
    return StoredTrace(
        trace_id=info.trace_id,
        tags=info.tags,
        metadata=info.trace_metadata,
        time_ms=info.request_time,
        complete=is_over if RECORDED_TAG in info.tags else is_written,
        assessments=tuple(filter(None, map(assessment_of, info.assessments))),
        status=_STATES.get(str(info.state.value), "UNSET"),
    )


def _observed(info: TraceInfo, spans: tuple[Span, ...], unread: str) -> ObservedTrace:
    tokens = _object(info.trace_metadata.get(TOKEN_USAGE))
    cost: Json = _object(info.trace_metadata.get(COST)).get("total_cost")
    return ObservedTrace(
        info.trace_id,
        info.tags.get("mlflow.traceName", ""),
        info.request_time,
        info.execution_duration,
        _STATES.get(str(info.state.value), "UNSET"),
        info.request_preview or "",
        info.response_preview or "",
        _count(tokens.get("input_tokens")),
        _count(tokens.get("output_tokens")),
        float(cost) if is_number(cost) else None,
        spans,
        unread,
        tuple(assessments_of(info)),
        run_of(info),
    )


def _object(text: str | None) -> Mapping[str, Json]:
    """A JSON object in a trace's metadata; empty where whoever wrote it did otherwise."""
    try:
        return mapping_of(json.loads(text or "{}"))
    except ValueError:
        return {}


def _count(value: Json) -> int | None:
    return int(value) if is_number(value) and value >= 0 else None
