"""One trace made ready for MLflow: what is sent of it, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.core.spans import Trace
from evalkit.entities import CASE_TAG, HASH_TAG, RUN_TAG, Assessment, StoredTrace
from evalkit.jsonable import Json
from evalkit.store.carry import Carried
from evalkit.store.otlp import EncodedSpans, covers, encode, fingerprint
from evalkit.store.wire import assessment_json, order_matters, trace_info

SPANS_TAG = "evalkit.spans"
"""Trace tag: how many spans it has and a hash of their ids."""

_SET_BY_MLFLOW = {"mlflow.trace.infoFinalized"}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where traces go.

    Attributes:
        experiment_id: The experiment.
        run_id: The run.
        earlier: Gives the earlier version of a trace; None where there is none.
    """

    experiment_id: str
    run_id: str
    earlier: Callable[[Trace], StoredTrace | None]


@dataclass(slots=True)
class Parcel:
    """One trace on its way.

    Attributes:
        info: Its list entry, in MLflow's JSON form, without assessments.
        parts: Its spans.
        wanted: Its assessments.
        notices: What had to be shortened.
        spans_first: Whether the spans have to be there before the list entry.
        stored: The earlier version; None where there is none.
        in_place: Whether it overwrites the earlier version.
        carried: What the earlier version leaves to it.
    """

    info: Json
    parts: list[EncodedSpans]
    wanted: Sequence[Assessment]
    notices: tuple[str, ...]
    spans_first: bool
    stored: StoredTrace | None = None
    in_place: bool = False
    carried: Carried = field(default_factory=Carried)

    @property
    def trace_id(self) -> str:
        """The trace."""
        trace_id: str = self.info["trace_id"]
        return trace_id

    @property
    def size(self) -> int:
        """Bytes of its spans."""
        return sum(part.size for part in self.parts)

    @property
    def wanted_ids(self) -> set[str]:
        """The ids of its assessments."""
        return {each.assessment_id for each in self.wanted}

    @property
    def overridden(self) -> list[Assessment]:
        """Those of its assessments that a person has overridden and that stay so.

        Writing them together with the trace would make them count again.
        """
        old = self.stored.assessments if self.stored is not None and self.in_place else ()
        invalid = {each.assessment_id for each in old if not each.valid}
        return [each for each in self.wanted if each.assessment_id in invalid]

    def entry(self) -> Json:
        """The list entry with everything that is written together with it."""
        apart = {each.assessment_id for each in self.overridden}
        rows = [assessment_json(each) for each in self.wanted if each.assessment_id not in apart]
        rows += self.carried.at_once(self.wanted_ids)
        tags = {**self.carried.tags, **self.info["tags"]}
        return {**self.info, "assessments": rows, "tags": tags}


def make_parcel(trace: Trace, wanted: Sequence[Assessment], destination: Destination) -> Parcel:
    """Make a trace ready.

    Raises:
        ValueError: MLflow has no form for something in it, such as a time out of range.
    """
    marks = {key: trace.tags[key] for key in (RUN_TAG, CASE_TAG) if key in trace.tags}
    own = {**trace.tags, HASH_TAG: trace.content_hash, SPANS_TAG: fingerprint(trace)}
    stored = destination.earlier(trace)
    in_place = stored is not None and _overwrites(trace, own, stored)
    parts = encode(trace, marks)
    spans_first = in_place or len(parts) > 1 or order_matters(trace)
    info, notices = trace_info(
        trace,
        experiment_id=destination.experiment_id,
        run_id=destination.run_id,
        tags=own,
        after_spans=spans_first,
    )
    return Parcel(info, parts, wanted, notices, spans_first, stored, in_place)


def _overwrites(trace: Trace, tags: Mapping[str, str], stored: StoredTrace) -> bool:
    """Whether writing the trace leaves nothing of its earlier version behind.

    Spans, metadata and evalkit's own tags that the new version lacks would stay.
    """
    old_tags = {key for key in stored.tags if key.startswith("evalkit.")}
    old_metadata = {key for key in stored.metadata if not key.startswith("mlflow.")}
    promoted = {key for key in stored.metadata if key.startswith("mlflow.trace.")} - _SET_BY_MLFLOW
    return (
        stored.complete
        and covers(trace, stored.tags.get(SPANS_TAG, ""))
        and old_tags <= set(tags)
        and old_metadata | promoted <= set(trace.metadata)
    )
