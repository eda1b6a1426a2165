"""Traces looked up by what they are marked with, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from evalkit.entities import RECORDED_TAG, RUN_TAG, SOURCE_RUN, StoredTrace
from evalkit.errors import StoreError
from evalkit.jsonable import Json
from evalkit.store.carry import PARKED_TAG
from evalkit.store.gateway import Gateway
from evalkit.store.wire import is_finished, stored_trace

_IDS_AT_A_TIME = 100


def quoted(text: str) -> str:
    """The text as a value in MLflow's search language.

    Raises:
        StoreError: it holds both kinds of quotes, for which the language has no form.
    """
    mark = "'" if "'" not in text else '"'
    if mark in text:
        raise StoreError(
            f"MLflow cannot be searched for {text!r}: it holds single and double quotes;"
            " use a name without them"
        )
    return f"{mark}{text}{mark}"


def find_traces(gateway: Gateway, experiment_id: str, run_key: str) -> list[StoredTrace]:
    """The traces that carry a run's key; one request for every 500.

    A trace whose rewriting was cut short counts as not complete, even where only its second
    trace is left of it.
    """
    condition = f"tags.`{RUN_TAG}` = {quoted(run_key)}"
    infos = list(search(gateway, experiment_id, condition))
    parked = {i["tags"][PARKED_TAG]: i for i in infos if PARKED_TAG in i.get("tags", {})}
    found = {i["trace_id"]: stored_trace(i) for i in infos if PARKED_TAG not in i.get("tags", {})}
    for trace_id, info in parked.items():
        alone = {**info, "trace_id": trace_id, "assessments": []}
        found[trace_id] = replace(found.get(trace_id) or stored_trace(alone), complete=False)
    return list(found.values())


def find_recorded(gateway: Gateway, experiment_id: str) -> list[StoredTrace]:
    """The finished traces that the harness recorded itself and that belong to no run yet."""
    condition = f"tags.`{RECORDED_TAG}` != '' AND metadata.`{SOURCE_RUN}` IS NULL"
    return [
        stored_trace(info)
        for info in search(gateway, experiment_id, condition)
        if is_finished(info) and RUN_TAG not in info.get("tags", {})
    ]


def fetch(gateway: Gateway, experiment_id: str, trace_ids: Sequence[str]) -> dict[str, Json]:
    """Traces as they are now, in MLflow's JSON form, by id; without those that are gone."""
    found: dict[str, Json] = {}
    for begin in range(0, len(trace_ids), _IDS_AT_A_TIME):
        ids = ", ".join(map(quoted, trace_ids[begin : begin + _IDS_AT_A_TIME]))
        for info in search(gateway, experiment_id, f"request_id IN ({ids})"):
            found[info["trace_id"]] = info
    return found


def search(gateway: Gateway, experiment_id: str, condition: str) -> Iterator[Json]:
    """Traces that meet a condition in MLflow's search language, in MLflow's JSON form."""
    page: str | None = None
    while True:
        infos, page = gateway.search_traces(experiment_id, condition, page)
        yield from infos
        if not page:
            return


def experiment_of(gateway: Gateway, trace_id: str) -> str:
    """The experiment that a trace lies in."""
    with gateway.answering(f"looking for the trace {trace_id}"):
        found: str = gateway.tracking.get_trace_info(trace_id).experiment_id
    return found
