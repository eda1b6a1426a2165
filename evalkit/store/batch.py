"""A few traces written together: their list entries one by one, their spans in one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from evalkit.errors import StoreError
from evalkit.store.assessments import patch
from evalkit.store.carry import on_trace, park, parked_id, together, unpark
from evalkit.store.failures import Refused
from evalkit.store.gateway import Gateway
from evalkit.store.otlp import BATCH_BYTES, EncodedSpans
from evalkit.store.parcel import Parcel
from evalkit.store.search import fetch

MANY_IN_A_ROW = 5
"""Refused traces, none written in between, after which it is the server's fault, not theirs."""

_DELETED_AT_A_TIME = 100


def delete_traces(gateway: Gateway, experiment_id: str, trace_ids: Sequence[str]) -> None:
    """Delete traces with everything on them; ids that are not there are passed over."""
    for begin in range(0, len(trace_ids), _DELETED_AT_A_TIME):
        some = list(trace_ids[begin : begin + _DELETED_AT_A_TIME])
        with gateway.answering("deleting traces"):
            gateway.tracking.delete_traces(experiment_id, trace_ids=some)


@dataclass(slots=True)
class Refusals:
    """The traces that MLflow does not take, over all batches.

    Attributes:
        by_trace: Trace id to why.
        in_a_row: How many were refused since one was taken.
    """

    by_trace: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0

    def note(self, trace_id: str, error: Refused) -> None:
        """Note a refusal.

        Raises:
            StoreError: MLflow refuses everything.
        """
        if error.concerns_access:
            raise error
        self.by_trace[trace_id] = str(error)
        self.in_a_row += 1
        if self.in_a_row >= MANY_IN_A_ROW:
            raise StoreError(f"MLflow refuses one trace after the other. {error}") from error


@dataclass(slots=True)
class Batch:
    """Traces that are written together.

    Attributes:
        gateway: The way into MLflow.
        experiment_id: The experiment they go to.
        parcels: The traces.
        refusals: The traces that MLflow does not take.
    """

    gateway: Gateway
    experiment_id: str
    parcels: list[Parcel]
    refusals: Refusals

    def write(self) -> None:
        """Write them all; what MLflow refuses is left out and named in ``refusals``.

        Raises:
            StoreError: MLflow refuses everything, or stopped answering.
        """
        parked = self._make_room()
        self._each([p for p in self.parcels if not p.spans_first], self._enter)
        self._send()
        self._each([p for p in self.parcels if p.spans_first], self._enter)
        self._clear_away()
        self._each([p for p in self.parcels if p.carried], self._add_overriding)
        self._delete(parked_id(p.trace_id) for p in self._going(parked))

    def _make_room(self) -> list[Parcel]:
        """Park what others left on traces that are replaced, and delete these.

        Returns:
            The traces with something parked, now or since a run that was cut short.
        """
        old = [p for p in self.parcels if p.stored is not None and not p.in_place]
        if not old:
            return []
        ids = [p.trace_id for p in old]
        now = fetch(self.gateway, self.experiment_id, [*ids, *map(parked_id, ids)])
        for parcel in old:
            earlier, present = now.get(parked_id(parcel.trace_id)), now.get(parcel.trace_id)
            left = together(unpark(earlier), on_trace(present))
            parcel.carried = left.without(parcel.wanted_ids)
        self._each([p for p in old if p.carried], self._park)
        # what could not be parked stays where it is
        self.parcels = list(self._going(self.parcels))
        self._delete(p.trace_id for p in self._going(old) if p.trace_id in now)
        return [p for p in old if p.carried or parked_id(p.trace_id) in now]

    def _park(self, parcel: Parcel) -> None:
        self.gateway.start_trace(
            park(
                parcel.trace_id,
                parcel.carried,
                experiment_id=self.experiment_id,
                tags=parcel.info["tags"],
                time=parcel.info["request_time"],
            )
        )

    def _enter(self, parcel: Parcel) -> None:
        self.gateway.start_trace(parcel.entry())
        for assessment in parcel.overridden:
            patch(self.gateway, assessment)

    def _add_overriding(self, parcel: Parcel) -> None:
        for row in parcel.carried.afterwards(parcel.wanted_ids):
            self.gateway.create_assessment(row)

    def _send(self) -> None:
        parts = [part for p in self._going(self.parcels) for part in p.parts]
        for some in _requests(parts):
            try:
                self.gateway.send_spans(self.experiment_id, some)
            except Refused as error:
                if error.concerns_access:
                    raise
                # all or nothing: find out which trace it is
                self._each(self._going(self.parcels), self._send_alone)
                return

    def _send_alone(self, parcel: Parcel) -> None:
        for part in parcel.parts:
            self.gateway.send_spans(self.experiment_id, [part])

    def _clear_away(self) -> None:
        """Delete what stands half written of traces that MLflow refuses."""
        refused = [p for p in self.parcels if p.trace_id in self.refusals.by_trace]
        self._delete(p.trace_id for p in refused if not p.in_place)

    def _delete(self, trace_ids: Iterable[str]) -> None:
        delete_traces(self.gateway, self.experiment_id, list(trace_ids))

    def _going(self, parcels: Iterable[Parcel]) -> Iterator[Parcel]:
        return (p for p in parcels if p.trace_id not in self.refusals.by_trace)

    def _each(self, parcels: Iterable[Parcel], do: Callable[[Parcel], None]) -> None:
        for parcel in self._going(parcels):
            try:
                do(parcel)
            except Refused as error:
                self.refusals.note(parcel.trace_id, error)
            else:
                self.refusals.in_a_row = 0


def _requests(parts: Iterable[EncodedSpans]) -> Iterator[list[EncodedSpans]]:
    """Parts that go in one request each, of bounded size."""
    some: list[EncodedSpans] = []
    size = 0
    for part in parts:
        if some and size + part.size > BATCH_BYTES:
            yield some
            some, size = [], 0
        some.append(part)
        size += part.size
    if some:
        yield some
