"""What judges and people said, as assessments on traces; asks no store and reads no file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.documents import scalar_text
from evalkit.entities import HUMAN_REVIEW, MARKER, Assessment, Changes, SourceType
from evalkit.feedback.review_file import ANNOTATION, Review
from evalkit.feedback.trace_index import TraceIndex
from evalkit.jsonable import Json, canonical, derive_id, exact
from evalkit.masking import mask_json, mask_text
from evalkit.runs.run import Score

JUDGES: tuple[SourceType, ...] = ("CODE", "LLM_JUDGE")
PEOPLE: tuple[SourceType, ...] = ("HUMAN",)


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
        self, case_id: str, name: str, value: Json, source: tuple[SourceType, str], why: str = ""
    ) -> Assessment:
        """An assessment of one case on this trace."""
        full = f"{case_id}/{name}" if self.qualified else name
        kind, who = source
        return Assessment(
            assessment_id="a-" + derive_id(self.trace_id, case_id, full, kind),
            trace_id=self.trace_id,
            name=full,
            value=value,
            source_type=kind,
            source_id=who,
            rationale=why,
            metadata={MARKER: self.key, "case_id": case_id},
            time_ms=self.time_ms,
        )

    def scores(self, scores: Iterable[Score]) -> Iterator[Assessment]:
        """What judges said; nothing of a score with neither value nor error."""
        for score in scores:
            if score.value is None and not score.error:
                continue
            kind: SourceType = "LLM_JUDGE" if score.by_model else "CODE"
            source = (kind, score.model or score.judge)
            value = None if score.error else score.value
            bare = self.assessment(score.case_id, score.judge, value, source, score.rationale)
            facts = {
                key: scalar_text(each) for key, each in score.facts.items() if each is not None
            }
            yield replace(bare, error=score.error, metadata={**facts, **bare.metadata})


def masked(score: Score) -> Score:
    """The score without the secrets that its judge may have quoted."""
    return replace(
        score,
        value=mask_json(score.value),
        facts=mask_json(dict(score.facts)),
        rationale=mask_text(score.rationale)[0],
        error=mask_text(score.error)[0],
    )


def feedback_of(
    index: TraceIndex, review: Review, *, judges: bool, people: bool, seed_names: bool
) -> Iterator[tuple[str, Sequence[Assessment] | None]]:
    """The name of each thing that judges or people said, and what it becomes; None: no trace.

    A comment is false with the comment as its rationale, none is true, so that MLflow's charts
    add up. A verdict stands beside the judge's of the same name.
    """

    def target_of(case_id: str) -> Target | None:
        if (trace := index.of(case_id)) is None:
            return None
        return Target(trace.trace_id, seed_names or trace is index.whole, index.key, trace.time_ms)

    for score in index.run.scores if judges else ():
        target = target_of(score.case_id)
        name = f"{score.case_id}/{score.judge}"
        yield name, list(target.scores([score])) if target else None
    said: list[tuple[str, str, Json, str, str]] = [
        (case, HUMAN_REVIEW, not comment, review.reviewer_of(case), comment)
        for case, comment in review.feedback.items()
    ]
    said += [
        (case, judge, value, review.reviewer, "")
        for case, verdicts in review.verdicts.items()
        for judge, value in verdicts.items()
        if value is not None
    ]
    for case, name, value, who, why in said if people else ():
        target = target_of(case) if case in index.run.cases else None
        source: tuple[SourceType, str] = ("HUMAN", who or "reviewer")
        given = [target.assessment(case, name, value, source, why)] if target else None
        yield f"{case}/{name}", given


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
    update = tuple(new for old, new in known if not new.says_the_same(old))
    return Changes(
        create=tuple(a for key, a in ahead.items() if key not in mine),
        update=update,
        delete=tuple(a for key, a in mine.items() if key not in ahead),
        unchanged=len(known) - len(update),
    )


def merge(parts: Sequence[Changes]) -> Changes:
    """The changes of several traces as one."""
    return Changes(
        create=tuple(a for part in parts for a in part.create),
        update=tuple(a for part in parts for a in part.update),
        delete=tuple(a for part in parts for a in part.delete),
        unchanged=sum(part.unchanged for part in parts),
    )


def annotations_of_people(index: TraceIndex) -> list[dict[str, Json]]:
    """What people said of the run's traces, and nothing that evalkit pushed.

    Sorted, so that pulling again gives the same file. What a person replaced in MLflow by a later
    word of theirs is left out.
    """
    return sorted(
        (
            _annotation(said, case or "", index.run.cases)
            for case, trace in index.placed.items()
            for said in trace.assessments
            if said.source_type == "HUMAN" and not said.is_ours and said.valid
        ),
        key=lambda a: (
            [a[k] for k in ("case_id", "trace_id", "name", "source", "time")],
            canonical(a["value"]),
        ),
    )


def _annotation(said: Assessment, case_id: str, cases: Collection[str]) -> dict[str, Json]:
    """An assessment as the file holds it; on a shared trace its name may say which case."""
    name, value = said.name, said.value
    case_id = case_id or max((c for c in cases if name.startswith(c + "/")), key=len, default="")
    name = name.removeprefix(case_id + "/") if case_id else name
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # MLflow gives back every number as a float
    moment = dt.datetime.fromtimestamp(said.time_ms / 1000, dt.UTC)
    time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = (case_id, said.trace_id, name, value, said.rationale, said.source_id, time)
    return dict(zip(ANNOTATION, told, strict=True))


def about_scores(scores: Sequence[Score]) -> Iterator[str]:
    """What people should know of a run's scores."""
    if empty := sum(s.value is None and not s.error for s in scores):
        yield f"{empty} scores have neither value nor error; they stand in the table only"
    yield from beyond_floats((s.case_id, s.judge, s.value) for s in scores)
    if not scores:
        yield "there are no scores; judge feedback that stands in MLflow is left as it is"


def beyond_floats(values: Iterable[tuple[str, str, Json]]) -> Iterator[str]:
    """That some values (case, judge, value) are text in MLflow, which would round them."""
    large = dict.fromkeys(f"{case}/{judge}" for case, judge, each in values if exact(each) != each)
    if large:
        whose = ", ".join(large)
        yield f"whole numbers beyond 2^53, which MLflow would round, are text there: {whose}"
