"""Traces written in bulk, what is said of them, and those that give way to others.

A trace is written by its list entry, with what is said of it, and its spans, which go with those
of others in one request. A kill between the two leaves it without one of two tags, and so
recognisable: MLflow sets ``mlflow.trace.spansLocation`` with the spans, evalkit its hash with the
last entry. A trace that changed is another trace, with an id of its own: once that stands, what
people left on the earlier one moves there, and the earlier one goes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from evalkit.entities import (
    CASE_TAG,
    MARKER,
    OWN_TAGS,
    RUN_TAG,
    SESSION_TAG,
    SOURCE_RUN,
    Assessment,
    Changes,
    Trace,
)
from evalkit.errors import StoreError
from evalkit.jsonable import Json, derive_id
from evalkit.store.client import portions
from evalkit.store.failures import Refused
from evalkit.store.forms import Masking, as_kept, entity, entry_of, is_overwritten
from evalkit.store.traces_read import SPANS_LOCATION, TraceReader

if TYPE_CHECKING:
    from mlflow.entities import Assessment as Entity
    from mlflow.entities import Span, TraceInfo

Item: TypeAlias = tuple[Trace, Sequence[Assessment]]

BATCH_TRACES = 40  # whose spans go in one request
BATCH_BYTES = 4_000_000  # of spans that are in memory at a time; those of one trace may be more
MANY_IN_A_ROW = 5  # refused traces, after which it is the server's fault, not theirs
_WHOSE = (RUN_TAG, CASE_TAG, SESSION_TAG)  # by these a trace is found that a kill left half


@dataclass(slots=True)
class Written:
    """One trace: why MLflow did not take it, if it did not, and what had to be shortened.

    ``last`` is its entry after the spans, where MLflow overwrites the first by what it infers.
    """

    trace_id: str
    error: str = ""
    notices: tuple[str, ...] = ()
    first: TraceInfo | None = None
    spans: Sequence[tuple[Span, int]] = ()
    last: TraceInfo | None = None


class TraceWriter(TraceReader, Masking):
    """The store's part that writes traces, and what is said of those that are there."""

    _in_a_row: int  # refused traces, none written in between

    def write_traces(
        self, experiment_id: str, run_id: str | None, items: Iterable[Item]
    ) -> Iterator[Written]:
        """Write traces of one run, or of none, with their assessments; what became of each.

        A batch of them is in memory at a time. A StoreError says how many stood by then.
        """
        done = 0
        masked = ((self._masked_trace(trace), wanted) for trace, wanted in items)
        try:
            with self._client.alone():
                for written in self._write(experiment_id, run_id, masked):
                    done += not written.error
                    yield written
        except StoreError as error:
            stand = f"{done} traces stand complete, the others do not."
            raise StoreError(f"{error}\n{stand}") from error

    def record(self, experiment_id: str, items: Sequence[Item]) -> int:
        """Write those of no run's traces that are not there; how many that were."""
        masked = [(self._masked_trace(trace), wanted) for trace, wanted in items]
        there = self._fetch(experiment_id, [trace.trace_id for trace, _ in masked])
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
            yield from batch

    def _ready(
        self, experiment_id: str, run_id: str | None, trace: Trace, wanted: Sequence[Assessment]
    ) -> Written:
        try:
            with self._client.answering("writing a trace"):
                spans = list(self._client.spans(trace))
                info, notices = entry_of(trace, experiment_id, run_id, wanted)
        except Refused as error:
            return Written(trace.trace_id, str(error))
        except (ValueError, OverflowError) as error:
            return Written(trace.trace_id, f"MLflow has no form for it: {error}")
        if not is_overwritten(trace):
            return Written(trace.trace_id, "", notices, info, spans)
        marks = {key: text for key, text in info.tags.items() if key in _WHOSE}
        first = replace(info, tags=marks, assessments=[])
        return Written(trace.trace_id, "", notices, first, spans, info)

    def _enter(self, info: TraceInfo | None) -> None:
        if info is not None:
            self._client.doing("writing a trace").start_trace(info)

    def _send(self, experiment_id: str, spans: Iterable[tuple[Span, int]]) -> None:
        for some in portions(spans, 10**9, self._client.span_bytes):
            self._client.doing("writing spans").log_spans(experiment_id, some)

    def _each(self, batch: Iterable[Written], do: Callable[[Written], None]) -> None:
        """Do something with each that goes on; one that is refused goes no further."""

        def attempt(ready: Written) -> Refused | None:
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

    def write_assessments(self, changes: Changes) -> None:
        """Bring changes about on traces that are there, deletions first."""
        with self._client.alone():
            self._client.each(self._unsay, changes.delete)
            self._client.each(self._rejudge, changes.update)
            self._client.each(self._judge, changes.create)

    def annotate(self, trace_id: str, name: str, value: Json, rationale: str, who: str) -> None:
        """Leave feedback on a trace as a person does in MLflow's UI, with the time of now."""
        now = round(time.time() * 1000)
        self._judge(Assessment("", trace_id, name, value, "HUMAN", who, rationale, time_ms=now))

    def _judge(self, assessment: Assessment) -> None:
        with self._client.answering("writing an assessment"):
            self._client.tracking.create_assessment(entity(as_kept(assessment)))

    def _rejudge(self, assessment: Assessment) -> None:
        """Change one in place.

        MLflow changes neither who said it nor removes metadata: then it is written anew, unless a
        person overrode it.
        """
        with self._client.answering("updating an assessment"):
            made = entity(as_kept(assessment))
            stands = self._client.tracking.update_assessment(
                assessment.trace_id,
                assessment.assessment_id,
                name=made.name,
                feedback=made.feedback,
                expectation=made.expectation,
                rationale=made.rationale or "",
                metadata=dict(made.metadata or {}),
            )
        kept = (stands.source, stands.metadata, stands.rationale)
        if stands.valid is not False and kept != (made.source, made.metadata, made.rationale):
            self._unsay(assessment)
            self._judge(assessment)

    def _unsay(self, one: Assessment) -> None:
        doing = self._client.doing("deleting an assessment")
        doing.delete_assessment(one.trace_id, one.assessment_id)

    def adopt_traces(
        self, experiment_id: str, run_id: str, tags: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Take traces that the harness recorded into a run, each with tags, ``evalkit.run`` too."""
        infos = self._present(experiment_id, list(tags))
        masked = {each: self._mask(dict(own), "traces") for each, own in tags.items()}
        with self._client.alone():
            self._client.each(lambda each: self._adopt(infos[each], run_id, masked[each]), tags)

    def supersede(
        self,
        experiment_id: str,
        successors: Mapping[str, tuple[str, Mapping[str, str]]],
        without: Collection[str] = (),
    ) -> None:
        """Let traces give way to others: what was said of them moves there, and they go.

        ``successors`` has by id the one that takes its place, with the tags that this one gets;
        assessments ``without`` do not move.
        """
        new_ids = [new for new, _ in successors.values()]
        infos = self._present(experiment_id, list(dict.fromkeys([*successors, *new_ids])))
        with self._client.alone():
            for old, (new, marks) in successors.items():
                left, there = infos[old], infos[new]
                tags = {k: text for k, text in left.tags.items() if not k.startswith(OWN_TAGS)}
                tags |= marks
                run_id = left.trace_metadata.get(SOURCE_RUN)
                if not tags.items() <= there.tags.items():
                    self._adopt(there, run_id, tags)
                for row in _moved(left, there, without):
                    self._client.doing("moving an assessment").create_assessment(row)
            self.delete_traces(experiment_id, list(successors))

    def _present(self, experiment_id: str, trace_ids: Sequence[str]) -> dict[str, TraceInfo]:
        """Traces as they are now, by id; a StoreError where one is gone."""
        found = self._fetch(experiment_id, trace_ids)
        if gone := [each for each in trace_ids if each not in found]:
            raise StoreError(
                f"{len(gone)} of the traces are no longer in MLflow, such as {gone[0]};"
                " run the same command again"
            )
        return found

    def delete_traces(self, experiment_id: str, trace_ids: Sequence[str]) -> None:
        """Delete traces with everything on them; ids that are not there are passed over."""
        for begin in range(0, len(trace_ids), 100):  # which is what MLflow takes
            some = list(trace_ids[begin : begin + 100])
            self._client.doing("deleting traces").delete_traces(experiment_id, trace_ids=some)

    def _adopt(self, info: TraceInfo, run_id: str | None, tags: Mapping[str, str]) -> None:
        """Merge tags and the run into a trace's entry, and state again what MLflow overwrites."""
        run = {SOURCE_RUN: run_id} if run_id else {}
        merged = replace(info, tags=dict(tags), trace_metadata=run, assessments=[])
        self._enter(replace(merged, request_preview=None, response_preview=None))


def _stands(info: TraceInfo | None, trace: Trace) -> bool:
    """Whether both the spans and the list entry, known by its tags, have been written."""
    tags = info.tags if info else {}
    return SPANS_LOCATION in tags and tags.items() >= trace.tags.items()


def _moved(left: TraceInfo, there: TraceInfo, without: Collection[str]) -> Iterator[Entity]:
    """What is said of a trace as it is said of another; what overrides something follows it."""
    moved = {each.assessment_id: _id_on(each, there.trace_id) for each in left.assessments}
    known = {each.assessment_id for each in there.assessments}
    said = [each for each in left.assessments if each.assessment_id not in without]
    for row in sorted(said, key=lambda r: (bool(r.overrides), r.create_time_ms, r.assessment_id)):
        new, over = copy.copy(row), moved.get(row.overrides)
        new.assessment_id, new.trace_id = moved[row.assessment_id], there.trace_id
        new.overrides = over if over in known else None
        if new.assessment_id not in known:
            known.add(new.assessment_id)
            yield new


def _id_on(row: Entity, trace_id: str) -> str:
    """The id of an assessment on another trace: evalkit's own as it is derived there."""
    metadata = row.metadata or {}
    if MARKER not in metadata:
        return "a-" + derive_id("moved", trace_id, str(row.assessment_id))
    case_id = metadata.get("case_id", "")
    return "a-" + derive_id(trace_id, case_id, row.name, row.source.source_type)
