"""Traces written in bulk, batch by batch, a few batches at a time.

A trace is written in two requests: its list entry, with assessments and tags, and its spans. A
kill between the two leaves it without one of two tags, and so recognisable: MLflow sets
``mlflow.trace.spansLocation`` with the spans, evalkit its hash with the list entry.

A trace that changed is overwritten in place where that overwrites all its old spans. Else it has
to be deleted first, because MLflow deletes no single spans; ``carry`` says what becomes of what
others left on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from evalkit.core.spans import Trace
from evalkit.entities import Assessment
from evalkit.errors import StoreError
from evalkit.store.batch import Batch, Refusals
from evalkit.store.gateway import Gateway
from evalkit.store.otlp import BATCH_BYTES
from evalkit.store.parcel import Destination, Parcel, make_parcel

BATCH_TRACES = 40
"""Traces whose spans go in one request."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one trace.

    Attributes:
        trace_id: The trace.
        error: Why MLflow did not take it; empty where it stands complete.
        notices: What had to be shortened.
    """

    trace_id: str
    error: str = ""
    notices: tuple[str, ...] = ()


def write_traces(
    gateway: Gateway,
    destination: Destination,
    items: Iterable[tuple[Trace, Sequence[Assessment]]],
) -> Iterator[Written]:
    """Write traces, as many batches at a time as the gateway bears.

    Yields:
        What became of each trace, batch by batch.

    Raises:
        StoreError: MLflow failed as a whole; says how many traces stood by then.
    """
    done = 0
    try:
        for written in _pipeline(gateway, destination, items):
            done += not written.error
            yield written
    except StoreError as error:
        raise StoreError(f"{error}\n{done} traces stand complete, the others do not.") from error


def _pipeline(
    gateway: Gateway,
    destination: Destination,
    items: Iterable[tuple[Trace, Sequence[Assessment]]],
) -> Iterator[Written]:
    refusals = Refusals()
    failed = Event()

    def write(parcels: list[Parcel]) -> list[Written]:
        if failed.is_set():
            return []
        try:
            Batch(gateway, destination.experiment_id, parcels, refusals).write()
        except StoreError:
            failed.set()
            raise
        why = refusals.by_trace
        return [Written(p.trace_id, why.get(p.trace_id, ""), p.notices) for p in parcels]

    flying: deque[Future[list[Written]]] = deque()
    with ThreadPoolExecutor(gateway.workers, thread_name_prefix="evalkit-store") as pool:
        try:
            for ready in _batches(destination, items):
                yield from (each for each in ready if isinstance(each, Written))
                parcels = [each for each in ready if isinstance(each, Parcel)]
                flying.append(pool.submit(write, parcels))
                while len(flying) > gateway.workers:
                    yield from flying.popleft().result()
            while flying:
                yield from flying.popleft().result()
        except StoreError:
            yield from _landed(flying)
            raise


def _batches(
    destination: Destination, items: Iterable[tuple[Trace, Sequence[Assessment]]]
) -> Iterator[list[Parcel | Written]]:
    """Traces made ready, bounded in number and in bytes."""
    some: list[Parcel | Written] = []
    size = 0
    for trace, wanted in items:
        try:
            parcel = make_parcel(trace, wanted, destination)
        except (ValueError, OverflowError) as error:
            some.append(Written(trace.trace_id, f"MLflow has no form for it: {error}"))
            continue
        some.append(parcel)
        size += parcel.size
        if len(some) >= BATCH_TRACES or size >= BATCH_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _landed(flying: Iterable[Future[list[Written]]]) -> Iterator[Written]:
    """The results of the batches that were under way and came through."""
    for future in flying:
        if future.exception() is None:
            yield from future.result()
