"""Traces as an instrumented agent leaves them: no run of evalkit owns them or looks for them.

They carry none of evalkit's tags, so what works on the traces of a run passes them by.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from operator import not_

from evalkit.core.spans import Trace
from evalkit.entities import Assessment
from evalkit.jsonable import Json
from evalkit.store.gateway import Gateway
from evalkit.store.otlp import encode
from evalkit.store.search import fetch
from evalkit.store.wire import SPANS_LOCATION, assessment_json, order_matters, trace_info

AT_A_TIME = 40
"""Traces whose spans go in one request."""


def record(
    gateway: Gateway, experiment_id: str, items: Sequence[tuple[Trace, Sequence[Assessment]]]
) -> int:
    """Write those traces that are not there, with their assessments.

    Args:
        gateway: The way into MLflow.
        experiment_id: The experiment they go to.
        items: The traces; one whose status is UNSET is still being recorded.

    Returns:
        How many had to be written.

    Raises:
        StoreError: MLflow failed; doing the same again finishes.
        ValueError: MLflow has no form for something in a trace, such as a time out of range.
    """
    there = fetch(gateway, experiment_id, [trace.trace_id for trace, _ in items])
    new = [item for item in items if not _stands(there.get(item[0].trace_id), item[0])]
    for begin in range(0, len(new), AT_A_TIME):
        _write(gateway, experiment_id, new[begin : begin + AT_A_TIME])
    return len(new)


def _write(
    gateway: Gateway, experiment_id: str, items: Sequence[tuple[Trace, Sequence[Assessment]]]
) -> None:
    # merging an entry into what MLflow made of the spans takes twice as long as the other order
    late = [order_matters(trace) for trace, _ in items]
    entries = [
        _entry(experiment_id, *item, after_spans=is_late)
        for item, is_late in zip(items, late, strict=True)
    ]
    for entry in compress(entries, map(not_, late)):
        gateway.start_trace(entry)
    gateway.send_spans(experiment_id, [part for trace, _ in items for part in encode(trace, {})])
    for entry in compress(entries, late):
        gateway.start_trace(entry)


def _stands(info: Json | None, trace: Trace) -> bool:
    """Whether both the spans and the list entry, known by its tags, have been written."""
    tags = info.get("tags", {}) if info else {}
    return SPANS_LOCATION in tags and tags.items() >= trace.tags.items()


def _entry(
    experiment_id: str, trace: Trace, said: Sequence[Assessment], *, after_spans: bool
) -> Json:
    info, _ = trace_info(
        trace,
        experiment_id=experiment_id,
        run_id=None,
        tags=trace.tags,
        after_spans=after_spans,
    )
    if trace.status == "UNSET":
        info = {**info, "state": "IN_PROGRESS"}
        del info["execution_duration"]
    return {**info, "assessments": [assessment_json(each) for each in said]}
