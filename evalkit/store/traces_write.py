"""Traces written in bulk, batch by batch, and made to give way to others.

A trace is written by its list entry, with what is said of it, and its spans, which go with those
of others in one request. A kill between the two leaves it without one of two tags, and so
recognisable: MLflow sets ``mlflow.trace.spansLocation`` with the spans, evalkit its hash with the
last entry. A trace that changed is another trace, with an id of its own: once that stands, what
people left on the earlier one moves there, and the earlier one goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evalkit.entities import CASE_TAG, RUN_TAG, Assessment, Trace
from evalkit.errors import StoreError
from evalkit.store.assessments import Assessments, delete_traces
from evalkit.store.client import Client
from evalkit.store.failures import Refused
from evalkit.store.forms import entry_of, is_overwritten
from evalkit.store.traces_read import SPANS_LOCATION, fetch

if TYPE_CHECKING:
    from mlflow.entities import Span, TraceInfo

Item: TypeAlias = tuple[Trace, Sequence[Assessment]]

BATCH_TRACES = 40
"""Traces whose spans go in one request."""

BATCH_BYTES = 4_000_000
"""Bytes of spans that are in memory at a time, and in one request; one span may be larger."""

MANY_IN_A_ROW = 5
"""Refused traces, none written in between, after which it is the server's fault, not theirs."""


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


@dataclass(frozen=True, slots=True)
class _Ready:
    """One trace in MLflow's form.

    Attributes:
        first: Its entry before its spans come.
        spans: Its spans, and about how many bytes each takes.
        last: Its entry afterwards, where MLflow overwrites the first by what it infers from spans.
        notices: What had to be shortened.
    """

    first: TraceInfo
    spans: list[tuple[Span, int]]
    last: TraceInfo | None
    notices: tuple[str, ...]


class TraceWriter(Assessments):
    """The port's part that writes traces."""

    def write_traces(
        self, experiment_id: str, run_id: str, items: Iterable[Item]
    ) -> Iterator[Written]:
        """Write traces of one run with their assessments; what is there of one is overwritten.

        ``items`` is read as the writing goes on; a batch of it is in memory at a time.

        Yields:
            What became of each trace, batch by batch: it stands complete, or MLflow refuses it.

        Raises:
            StoreError: MLflow failed as a whole; says how many traces stood by then.
        """
        batch, done = _Batch(self._client, experiment_id), 0
        masked = ((self._masked_trace(trace), wanted) for trace, wanted in items)
        try:
            with self._client.alone():
                for written in batch.write(masked, run_id):
                    done += not written.error
                    yield written
        except StoreError as error:
            raise StoreError(
                f"{error}\n{done} traces stand complete, the others do not."
            ) from error

    def record(self, experiment_id: str, items: Sequence[Item]) -> int:
        """Write those traces that are not there, as an agent leaves them that no run owns.

        Args:
            experiment_id: The experiment.
            items: The traces with their assessments; one whose status is UNSET is not over.

        Returns:
            How many had to be written.

        Raises:
            StoreError: MLflow failed; doing the same again finishes.
        """
        masked = [(self._masked_trace(trace), wanted) for trace, wanted in items]
        there = fetch(self._client, experiment_id, [trace.trace_id for trace, _ in masked])
        new = [item for item in masked if not _stands(there.get(item[0].trace_id), item[0])]
        for written in _Batch(self._client, experiment_id).write(new, None):
            if written.error:
                raise StoreError(written.error)
        return len(new)


@dataclass(slots=True)
class _Batch:
    """Traces that are written together, one batch after the other.

    Attributes:
        client: The way into MLflow.
        experiment_id: The experiment they go to.
        refused: The traces that MLflow does not take, by id, and why.
        in_a_row: How many were refused since one was taken.
    """

    client: Client
    experiment_id: str
    refused: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0

    def write(self, items: Iterable[Item], run_id: str | None) -> Iterator[Written]:
        """Write them all; what MLflow refuses is left out and named.

        Raises:
            StoreError: MLflow refuses everything, or stopped answering.
        """
        some: list[_Ready] = []
        size = 0
        for trace, wanted in items:
            try:
                with self.client.answering("writing a trace"):
                    ready = self._ready(trace, wanted, run_id)
            except Refused as error:
                yield Written(trace.trace_id, str(error))
            except (ValueError, OverflowError) as error:
                yield Written(trace.trace_id, f"MLflow has no form for it: {error}")
            else:
                some.append(ready)
                size += sum(bytes_ for _, bytes_ in ready.spans)
            if len(some) >= BATCH_TRACES or size >= BATCH_BYTES:
                yield from self._write(some)
                some, size = [], 0
        yield from self._write(some)

    def _ready(self, trace: Trace, wanted: Sequence[Assessment], run_id: str | None) -> _Ready:
        spans = list(self.client.spans(trace))
        info, notices = entry_of(trace, self.experiment_id, run_id, wanted)
        if not is_overwritten(trace):
            return _Ready(info, spans, None, notices)
        marks = {key: text for key, text in info.tags.items() if key in (RUN_TAG, CASE_TAG)}
        return _Ready(replace(info, tags=marks, assessments=[]), spans, info, notices)

    def _write(self, batch: Sequence[_Ready]) -> Iterator[Written]:
        tracking = self.client.tracking
        self._each(batch, lambda each: self._ask(tracking.start_trace, each.first))
        try:
            self._send([span for each in self._going(batch) for span in each.spans])
        except Refused as error:
            if error.concerns_access:
                raise
            # all or nothing: find out which trace it is
            self._each(batch, lambda each: self._send(each.spans))
        late = [each for each in batch if each.last is not None]
        self._each(late, lambda each: self._ask(tracking.start_trace, each.last))
        ids = [each.first.trace_id for each in batch]
        half = [each for each in ids if each in self.refused]
        delete_traces(self.client, self.experiment_id, half)
        for each in batch:
            trace_id = each.first.trace_id
            yield Written(trace_id, self.refused.get(trace_id, ""), each.notices)

    def _ask(self, do: Callable[[Any], Any], info: Any) -> None:
        with self.client.answering("writing a trace"):
            do(info)

    def _send(self, spans: Iterable[tuple[Span, int]]) -> None:
        for some in _portions(spans, self.client.span_bytes):
            with self.client.answering("writing spans"):
                self.client.tracking.log_spans(self.experiment_id, some)

    def _going(self, batch: Iterable[_Ready]) -> list[_Ready]:
        return [each for each in batch if each.first.trace_id not in self.refused]

    def _each(self, batch: Iterable[_Ready], do: Callable[[_Ready], None]) -> None:
        def attempt(ready: _Ready) -> Refused | None:
            try:
                do(ready)
            except Refused as error:
                if error.concerns_access:
                    raise
                return error
            return None

        going = self._going(batch)
        for ready, error in zip(going, self.client.each(attempt, going), strict=True):
            self.in_a_row = self.in_a_row + 1 if error else 0
            if error:
                self.refused[ready.first.trace_id] = str(error)
            if self.in_a_row >= MANY_IN_A_ROW:
                raise StoreError(f"MLflow refuses one trace after the other. {error}") from error


def _stands(info: TraceInfo | None, trace: Trace) -> bool:
    """Whether both the spans and the list entry, known by its tags, have been written."""
    tags = info.tags if info else {}
    return SPANS_LOCATION in tags and tags.items() >= trace.tags.items()


def _portions(spans: Iterable[tuple[Span, int]], most_bytes: int) -> Iterator[list[Span]]:
    some: list[Span] = []
    size = 0
    for span, bytes_ in spans:
        if some and size + bytes_ > most_bytes:
            yield some
            some, size = [], 0
        some.append(span)
        size += bytes_
    if some:
        yield some
