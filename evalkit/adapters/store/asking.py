"""Questions that somebody asks who looks around in an experiment, and notes left on its traces."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from evalkit.adapters.store.assessments import write_assessments
from evalkit.adapters.store.failures import BAD_REQUEST, Refused
from evalkit.adapters.store.gateway import PAGE, Gateway
from evalkit.adapters.store.observing import assessments_of, listed, with_spans, within
from evalkit.adapters.store.wire import as_kept
from evalkit.core.errors import InputError, Problem
from evalkit.core.feedback import Assessment, Changes
from evalkit.core.notes import Note, RunGlimpse
from evalkit.core.observed import ObservedTrace

if TYPE_CHECKING:
    from mlflow.entities import Run, TraceInfo

TRACE_FILTERS = (
    "filters that work: status = 'ERROR', name LIKE '%x%', timestamp_ms > 0,"
    " execution_time_ms > 1000, tags.`k` = 'v', metadata.`k` = 'v', feedback.`n` = 'false',"
    " expectation.`n` = 'v', span.name = 'n', trace.text LIKE '%x%'; joined by AND, never OR;"
    " texts in single quotes"
)
RUN_FILTERS = (
    "filters that work: metrics.`m` > 0.5, params.`p` = 'v', tags.`t` = 'v',"
    " attributes.status = 'FINISHED', attributes.run_name LIKE '%x%'; joined by AND, never OR"
)

MOST_TRACES = 100_000
"""Traces that are looked through for what was said of them."""

_IS_ID = re.compile(r"(?!.*\.\.)[\w.:/-]{1,250}")


def search_traces(
    gateway: Gateway, experiment_id: str, condition: str, offset: int, most: int
) -> tuple[list[ObservedTrace], bool]:
    """Traces without spans, newest first, and whether there are more.

    Raises:
        InputError: MLflow does not understand the condition.
        StoreError: MLflow failed.
    """
    with _understood(condition, TRACE_FILTERS):
        traces = listed(gateway, experiment_id, condition, offset + most + 1)
        return _page(traces, offset, most)


def trace_of(gateway: Gateway, experiment_id: str, trace_id: str) -> ObservedTrace:
    """One trace of an experiment with its spans.

    Raises:
        InputError: the experiment has no such trace.
        StoreError: MLflow failed.
    """
    return with_spans(gateway, _info(gateway, experiment_id, trace_id))


def search_assessments(
    gateway: Gateway, experiment_id: str, condition: str, offset: int, most: int
) -> tuple[list[Assessment], bool]:
    """What was said of the newest traces, and whether there is more.

    Raises:
        InputError: MLflow does not understand the condition, which is one on traces.
        StoreError: MLflow failed.
    """
    with _understood(condition, TRACE_FILTERS):
        traces = listed(gateway, experiment_id, condition, MOST_TRACES)
        return _page((each for trace in traces for each in trace.assessments), offset, most)


def search_runs(
    gateway: Gateway, experiment_id: str, condition: str, offset: int, most: int
) -> tuple[list[RunGlimpse], bool]:
    """Runs, newest first, and whether there are more.

    Raises:
        InputError: MLflow does not understand the condition.
        StoreError: MLflow failed.
    """
    with _understood(condition, RUN_FILTERS):
        return _page(_runs(gateway, experiment_id, condition), offset, most)


def annotate(gateway: Gateway, experiment_id: str, note: Note) -> bool:
    """Note something on a trace; False where just that is noted already.

    Raises:
        InputError: the note is not one, or the experiment has no such trace.
        StoreError: MLflow failed.
    """
    if problems := tuple(note.problems()):
        raise InputError(*problems)
    info = _info(gateway, experiment_id, note.trace_id)
    if note.kind == "tag":
        if info.tags.get(note.name) == note.text:
            return False
        with gateway.answering("setting a tag"):
            gateway.tracking.set_trace_tag(note.trace_id, note.name, note.text)
        return True
    wanted = note.assessment(round(time.time() * 1000))
    if any(as_kept(wanted).says_the_same(each) for each in assessments_of(info)):
        return False
    write_assessments(gateway, {note.trace_id: experiment_id}, Changes(create=(wanted,)))
    return True


def _info(gateway: Gateway, experiment_id: str, trace_id: str) -> TraceInfo:
    info = within(gateway, experiment_id, trace_id) if _IS_ID.fullmatch(trace_id) else None
    if info is None:
        what = f"there is no trace {trace_id[:80]!r} in this experiment"
        raise InputError(Problem(what, field="trace_id", fix="take an id from a search"))
    return info


def _runs(gateway: Gateway, experiment_id: str, condition: str) -> Iterator[RunGlimpse]:
    from mlflow.entities import ViewType

    page: str | None = None
    while True:
        with gateway.answering("looking for runs"):
            found = gateway.tracking.search_runs(
                [experiment_id],
                condition,
                ViewType.ACTIVE_ONLY,
                PAGE,
                ["attributes.start_time DESC"],
                page,
            )
        yield from map(_glimpse, found)
        page = found.token
        if not page:
            return


def _glimpse(run: Run) -> RunGlimpse:
    own = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    return RunGlimpse(
        run.info.run_id,
        run.info.run_name or "",
        run.info.status,
        run.info.start_time or 0,
        run.info.end_time,
        dict(run.data.params),
        dict(run.data.metrics),
        own,
    )


def _page(found: Iterator[Any], offset: int, most: int) -> tuple[list[Any], bool]:
    some = list(islice(found, offset, offset + most + 1))
    return some[:most], len(some) > most


@contextmanager
def _understood(condition: str, fix: str) -> Iterator[None]:
    """Turn MLflow's complaint about a condition into one that says which ones it understands."""
    try:
        yield
    except Refused as error:
        # numbers that are too large for a database are an internal error to MLflow
        if condition and (error.status == BAD_REQUEST or error.code == "INTERNAL_ERROR"):
            what = f"MLflow does not understand the filter {condition[:200]!r}: {error.said}"
            raise InputError(Problem(what, field="filter", fix=fix)) from error
        raise
