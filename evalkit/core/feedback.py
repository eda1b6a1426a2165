"""Assessments that evalkit writes to MLflow, and annotations that people left there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from evalkit.core.masking import mask_json, mask_text
from evalkit.core.results import Score
from evalkit.core.review import Annotation
from evalkit.documents import scalar_text
from evalkit.entities import HUMAN_REVIEW, MARKER, Assessment, Changes, SourceType
from evalkit.jsonable import Json, canonical, derive_id


@dataclass(frozen=True, slots=True)
class Target:
    """The trace that feedback goes to, and how feedback is written there.

    Attributes:
        trace_id: The trace.
        qualified: Name feedback ``{case_id}/{name}``: on a trace that holds several cases.
        key: The run's key, kept in the metadata as the mark of what evalkit wrote.
        time_ms: When the run took place, milliseconds since the epoch.
    """

    trace_id: str
    qualified: bool
    key: str
    time_ms: int

    def assessment(
        self, case_id: str, name: str, source_type: SourceType, source_id: str, value: Json
    ) -> Assessment:
        """An assessment of one case on this trace, without rationale and error."""
        full = f"{case_id}/{name}" if self.qualified else name
        return Assessment(
            assessment_id="a-" + derive_id(self.trace_id, case_id, full, source_type),
            trace_id=self.trace_id,
            name=full,
            value=value,
            source_type=source_type,
            source_id=source_id,
            metadata={MARKER: self.key, "case_id": case_id},
            time_ms=self.time_ms,
        )


def from_score(score: Score, target: Target) -> Assessment | None:
    """The assessment that a judge's score becomes; None where it has neither value nor error."""
    if score.value is None and not score.error:
        return None
    source: SourceType = "LLM_JUDGE" if score.by_model else "CODE"
    value = None if score.error else score.value
    who = score.model or score.judge
    bare = target.assessment(score.case_id, score.judge, source, who, value)
    facts = {key: scalar_text(fact) for key, fact in score.facts.items() if fact is not None}
    metadata = {**facts, **bare.metadata}
    return replace(bare, rationale=score.rationale, error=score.error, metadata=metadata)


def from_comment(case_id: str, comment: str, reviewer: str, target: Target) -> Assessment:
    """The assessment that a reviewer's comment becomes: accepted, if there is nothing to remark.

    True or false, so that MLflow's charts add up; the comment is the rationale.
    """
    return replace(
        from_verdict(case_id, HUMAN_REVIEW, not comment, reviewer, target), rationale=comment
    )


def from_verdict(case_id: str, name: str, value: Json, reviewer: str, target: Target) -> Assessment:
    """The assessment that a reviewer's own value becomes, beside the judge's of that name."""
    return target.assessment(case_id, name, "HUMAN", reviewer or "reviewer", value)


def changes(
    wanted: Iterable[Assessment], stored: Iterable[Assessment], *, sources: Collection[SourceType]
) -> Changes:
    """Compare what is wanted with what MLflow holds.

    Only assessments that evalkit wrote, and of these only the ones from ``sources``, are ever
    updated or deleted: people's are theirs.
    """
    mine = {a.assessment_id: a for a in stored if a.is_ours and a.source_type in sources}
    ahead = {a.assessment_id: a for a in wanted}
    known = [
        # who said it cannot be changed where a person overrode it, and would differ for ever
        (old if old.valid else replace(old, source_id=a.source_id), a)
        for key, a in ahead.items()
        if (old := mine.get(key)) is not None
    ]
    return Changes(
        create=tuple(a for key, a in ahead.items() if key not in mine),
        update=tuple(new for old, new in known if not new.says_the_same(old)),
        delete=tuple(a for key, a in mine.items() if key not in ahead),
        unchanged=sum(new.says_the_same(old) for old, new in known),
    )


def merge(parts: Iterable[Changes]) -> Changes:
    """The changes of several traces as one."""
    parts = list(parts)
    return Changes(
        create=tuple(a for part in parts for a in part.create),
        update=tuple(a for part in parts for a in part.update),
        delete=tuple(a for part in parts for a in part.delete),
        unchanged=sum(part.unchanged for part in parts),
    )


def masked(score: Score) -> Score:
    """The score without the secrets that its judge may have quoted."""
    return replace(
        score,
        value=mask_json(score.value),
        facts=mask_json(dict(score.facts)),
        rationale=mask_text(score.rationale)[0],
        error=mask_text(score.error)[0],
    )


def annotations_of_people(
    stored: Iterable[Assessment], case_of: Mapping[str, str], cases: Collection[str]
) -> list[Annotation]:
    """What people said, and nothing that evalkit pushed.

    Args:
        stored: Every assessment on the run's traces.
        case_of: Trace id to case; without the traces that hold several.
        cases: The run's cases, to find the case in a name such as ``{case_id}/tone``.

    Returns:
        Sorted, so that pulling again gives the same file. What a person replaced in MLflow by a
        later word of theirs is left out.
    """
    return sorted(
        (
            _annotation(a, case_of.get(a.trace_id, ""), cases)
            for a in stored
            if a.source_type == "HUMAN" and not a.is_ours and a.valid
        ),
        key=lambda a: (a.case_id, a.trace_id, a.name, a.source, a.time, canonical(a.value)),
    )


def _annotation(stored: Assessment, case_id: str, cases: Collection[str]) -> Annotation:
    name = stored.name
    if not case_id:
        fitting = [case for case in cases if name.startswith(case + "/")]
        case_id = max(fitting, key=len, default="")
    if case_id:
        name = name.removeprefix(case_id + "/")
    moment = dt.datetime.fromtimestamp(stored.time_ms / 1000, dt.UTC)
    return Annotation(
        case_id=case_id,
        trace_id=stored.trace_id,
        name=name,
        value=_as_said(stored.value),
        rationale=stored.rationale,
        source=stored.source_id,
        time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _as_said(value: Json) -> Json:
    """A whole number as a person writes it: MLflow gives back every number as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
