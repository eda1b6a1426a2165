"""Traces written in bulk, batch by batch.

A trace is written by its list entry, with what is said of it, and its spans, which go with those
of others in one request. A kill between the two leaves it without one of two tags, and so
recognisable: MLflow sets ``mlflow.trace.spansLocation`` with the spans, evalkit its hash with the
last entry. A trace that changed is another trace, with an id of its own: once that stands, what
people left on the earlier one moves there, and the earlier one goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from evalkit.entities import CASE_TAG, RUN_TAG, SESSION_TAG, Assessment, Trace
from evalkit.errors import StoreError
from evalkit.store.assessments import Assessments
from evalkit.store.client import portions
from evalkit.store.failures import Refused
from evalkit.store.forms import entry_of, is_overwritten
from evalkit.store.traces_read import SPANS_LOCATION, fetch

if TYPE_CHECKING:
    from mlflow.entities import Span, TraceInfo

Item: TypeAlias = tuple[Trace, Sequence[Assessment]]

BATCH_TRACES = 40  # whose spans go in one request
BATCH_BYTES = 4_000_000  # of spans that are in memory at a time; those of one trace may be more
MANY_IN_A_ROW = 5  # refused traces, after which it is the server's fault, not theirs
_WHOSE = (RUN_TAG, CASE_TAG, SESSION_TAG)  # by these a trace is found that a kill left half


@dataclass(frozen=True, slots=True)
class Written:
    """One trace: why MLflow did not take it, if it did not, and what had to be shortened."""

    trace_id: str
    error: str = ""
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Ready:
    """One trace in MLflow's form: its entry, and its spans, each with its bytes.

    ``last`` is its entry after them, where MLflow overwrites the first by what it infers from them;
    ``error`` why MLflow does not take it.
    """

    trace_id: str
    error: str = ""
    first: TraceInfo | None = None
    spans: Sequence[tuple[Span, int]] = ()
    last: TraceInfo | None = None
    notices: tuple[str, ...] = ()


class TraceWriter(Assessments):
    """The store's part that writes traces."""

    _in_a_row: int  # refused traces, none written in between

    def write_traces(
        self, experiment_id: str, run_id: str | None, items: Iterable[Item]
    ) -> Iterator[Written]:
        """Write traces of one run, or of none, with their assessments; one there is overwritten.

        ``items`` is read as the writing goes on; a batch of it is in memory at a time.

        Yields:
            What became of each trace, batch by batch: it stands complete, or MLflow refuses it.

        Raises:
            StoreError: MLflow failed as a whole; says how many traces stood by then.
        """
        done = 0
        masked = ((self._masked_trace(trace), wanted) for trace, wanted in items)
        try:
            with self._client.alone():
                for written in self._write(experiment_id, run_id, masked):
                    done += not written.error
                    yield written
        except StoreError as error:
            raise StoreError(
                f"{error}\n{done} traces stand complete, the others do not."
            ) from error

    def record(self, experiment_id: str, items: Sequence[Item]) -> int:
        """Write those traces that are not there, as an agent leaves them that no run owns.

        One whose status is UNSET is not over. Gives how many had to be written.
        """
        masked = [(self._masked_trace(trace), wanted) for trace, wanted in items]
        there = fetch(self._client, experiment_id, [trace.trace_id for trace, _ in masked])
        new = [item for item in masked if not _stands(there.get(item[0].trace_id), item[0])]
        for written in self._write(experiment_id, None, new):
            if written.error:
                raise StoreError(written.error)
        return len(new)

    def _write(
        self, experiment_id: str, run_id: str | None, items: Iterable[Item]
    ) -> Iterator[Written]:
        """Write them all, batch by batch; what MLflow refuses is left out and named."""
        self._in_a_row = 0
        made = (self._ready(experiment_id, run_id, *item) for item in items)
        sized = ((each, sum(bytes_ for _, bytes_ in each.spans)) for each in made)
        for batch in portions(sized, BATCH_TRACES, BATCH_BYTES):
            self._each(batch, lambda each: self._enter(each.first))
            try:
                going = (each for each in batch if not each.error)
                self._send(experiment_id, [span for each in going for span in each.spans])
            except Refused as error:
                if error.concerns_access:
                    raise
                # all or nothing: find out which trace it is
                self._each(batch, lambda each: self._send(experiment_id, each.spans))
            self._each(batch, lambda each: self._enter(each.last))
            half = [each.trace_id for each in batch if each.error and each.first]
            self.delete_traces(experiment_id, half)
            yield from (Written(each.trace_id, each.error, each.notices) for each in batch)

    def _ready(
        self, experiment_id: str, run_id: str | None, trace: Trace, wanted: Sequence[Assessment]
    ) -> _Ready:
        try:
            with self._client.answering("writing a trace"):
                spans = list(self._client.spans(trace))
                info, notices = entry_of(trace, experiment_id, run_id, wanted)
        except Refused as error:
            return _Ready(trace.trace_id, str(error))
        except (ValueError, OverflowError) as error:
            return _Ready(trace.trace_id, f"MLflow has no form for it: {error}")
        if not is_overwritten(trace):
            return _Ready(trace.trace_id, "", info, spans, None, notices)
        marks = {key: text for key, text in info.tags.items() if key in _WHOSE}
        first = replace(info, tags=marks, assessments=[])
        return _Ready(trace.trace_id, "", first, spans, info, notices)

    def _enter(self, info: TraceInfo | None) -> None:
        if info is not None:
            with self._client.answering("writing a trace"):
                self._client.tracking.start_trace(info)

    def _send(self, experiment_id: str, spans: Iterable[tuple[Span, int]]) -> None:
        for some in portions(spans, 10**9, self._client.span_bytes):
            with self._client.answering("writing spans"):
                self._client.tracking.log_spans(experiment_id, some)

    def _each(self, batch: Iterable[_Ready], do: Callable[[_Ready], None]) -> None:
        """Do something with each that goes on; one that is refused goes no further."""

        def attempt(ready: _Ready) -> Refused | None:
            try:
                do(ready)
            except Refused as error:
                if error.concerns_access:
                    raise
                return error
            return None

        going = [each for each in batch if not each.error]
        for ready, error in zip(going, self._client.each(attempt, going), strict=True):
            self._in_a_row = self._in_a_row + 1 if error else 0
            ready.error = str(error or "")
            if self._in_a_row >= MANY_IN_A_ROW:
                raise StoreError(f"MLflow refuses one trace after the other. {error}") from error


def _stands(info: TraceInfo | None, trace: Trace) -> bool:
    """Whether both the spans and the list entry, known by its tags, have been written."""
    tags = info.tags if info else {}
    return SPANS_LOCATION in tags and tags.items() >= trace.tags.items()
