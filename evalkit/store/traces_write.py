"""Traces written in bulk, batch by batch.

A trace is written by its list entry, with what is said of it, and its spans, which go with those
of others in one request. A kill between the two leaves it without one of two tags, and so
recognisable: MLflow sets ``mlflow.trace.spansLocation`` with the spans, evalkit its hash with the
last entry. A trace that changed is another trace, with an id of its own: once that stands, what
people left on the earlier one moves there, and the earlier one goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from evalkit.entities import CASE_TAG, RUN_TAG, SESSION_TAG, Assessment, Trace
from evalkit.errors import StoreError
from evalkit.store.assessments import Assessments, delete_traces
from evalkit.store.client import Client, portions
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


@dataclass(frozen=True, slots=True)
class _Ready:
    """One trace in MLflow's form: its entry, and its spans, each with its bytes.

    ``last`` is its entry after them, where MLflow overwrites the first by what it infers from them.
    """

    first: TraceInfo
    spans: list[tuple[Span, int]]
    last: TraceInfo | None
    notices: tuple[str, ...]


class TraceWriter(Assessments):
    """The store's part that writes traces."""

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
        """
        masked = [(self._masked_trace(trace), wanted) for trace, wanted in items]
        there = fetch(self._client, experiment_id, [trace.trace_id for trace, _ in masked])
        new = [item for item in masked if not _stands(there.get(item[0].trace_id), item[0])]
        for written in _Batch(self._client, experiment_id).write(new, None):
            if written.error:
                raise StoreError(written.error)
        return len(new)


def _stands(info: TraceInfo | None, trace: Trace) -> bool:
    """Whether both the spans and the list entry, known by its tags, have been written."""
    tags = info.tags if info else {}
    return SPANS_LOCATION in tags and tags.items() >= trace.tags.items()


@dataclass(slots=True)
class _Batch:
    """Traces that are written together, one batch after the other.

    ``refused`` are those that MLflow does not take, by id, and why; ``in_a_row`` counts them since
    one was taken.
    """

    client: Client
    experiment_id: str
    refused: dict[str, str] = field(default_factory=dict)
    in_a_row: int = 0

    def write(self, items: Iterable[Item], run_id: str | None) -> Iterator[Written]:
        """Write them all; what MLflow refuses is left out and named."""
        unfit: list[Written] = []
        for some in portions(self._ready(items, run_id, unfit), BATCH_TRACES, BATCH_BYTES):
            yield from self._write(some)
        yield from unfit

    def _ready(
        self, items: Iterable[Item], run_id: str | None, unfit: list[Written]
    ) -> Iterator[tuple[_Ready, int]]:
        for trace, wanted in items:
            try:
                with self.client.answering("writing a trace"):
                    spans = list(self.client.spans(trace))
                    info, notices = entry_of(trace, self.experiment_id, run_id, wanted)
            except Refused as error:
                unfit.append(Written(trace.trace_id, str(error)))
                continue
            except (ValueError, OverflowError) as error:
                unfit.append(Written(trace.trace_id, f"MLflow has no form for it: {error}"))
                continue
            ready = _Ready(info, spans, None, notices)
            if is_overwritten(trace):
                marks = {key: text for key, text in info.tags.items() if key in _WHOSE}
                first = replace(info, tags=marks, assessments=[])
                ready = _Ready(first, spans, info, notices)
            yield ready, sum(bytes_ for _, bytes_ in spans)

    def _write(self, batch: Sequence[_Ready]) -> Iterator[Written]:
        self._each(batch, lambda each: self._enter(each.first))
        try:
            self._send([span for each in self._going(batch) for span in each.spans])
        except Refused as error:
            if error.concerns_access:
                raise
            # all or nothing: find out which trace it is
            self._each(batch, lambda each: self._send(each.spans))
        self._each(batch, lambda each: self._enter(each.last))
        half = [each.first.trace_id for each in batch if each.first.trace_id in self.refused]
        delete_traces(self.client, self.experiment_id, half)
        for each in batch:
            trace_id = each.first.trace_id
            yield Written(trace_id, self.refused.get(trace_id, ""), each.notices)

    def _enter(self, info: TraceInfo | None) -> None:
        if info is not None:
            with self.client.answering("writing a trace"):
                self.client.tracking.start_trace(info)

    def _send(self, spans: Iterable[tuple[Span, int]]) -> None:
        for some in portions(spans, 10**9, self.client.span_bytes):
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
