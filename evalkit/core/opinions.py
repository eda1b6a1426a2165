"""What people and judges said of the same case, as labels that can be compared.

Two comparisons, each for itself:

``review``
    A reviewer accepted the case (*pass*) or had something to remark (*fail*). That is compared with
    every judge that can be read as pass or fail: yes or no by itself; a number by whether it
    reaches the judge's ``min_mean`` threshold, else the middle of its ``score_range``; the words
    pass, yes, true and fail, no, false. Other labels and lists say nothing of pass or fail and are
    left out.

``annotations``
    A person gave an annotation in MLflow the name of a judge, or wrote a verdict of their own
    beside the judge's. That is compared value by value: yes
    with yes, label with label, whole number with the same number. Where a judge's numbers are no
    whole ones, both sides are read as pass or fail as above, since nobody hits 0.82 exactly. Each
    person's word on a case counts.

Where a judge failed or gave no value there is nothing to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.agreement import Agreement, agreement
from evalkit.core.results import Run, Score
from evalkit.core.review import Annotation, Review, annotations_in
from evalkit.jsonable import Json
from evalkit.project import Project

Basis: TypeAlias = Literal["review", "annotations"]

ACCEPTED = "accepted"
"""What a reviewer said who had nothing to remark."""

PASS, FAIL = "pass", "fail"
WORDS = {"pass": PASS, "yes": PASS, "true": PASS, "fail": FAIL, "no": FAIL, "false": FAIL}


@dataclass(frozen=True, slots=True)
class Pair:
    """What a person and a judge said of the same case.

    Attributes:
        case_id: The case.
        judge: The judge's name.
        basis: Which of the two comparisons it belongs to.
        person: Who; may be empty.
        said: The person's label.
        judged: The judge's label.
        word: What the person said: the comment, ``accepted``, or the annotation's value.
        score: The judge's value.
        why: The person's rationale; empty where the word is all they said.
        rationale: The judge's.
    """

    case_id: str
    judge: str
    basis: Basis
    person: str
    said: str
    judged: str
    word: Json
    score: Json
    why: str = ""
    rationale: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both said the same."""
        return self.said == self.judged


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """How far people agree with one judge.

    Attributes:
        judge: The judge's name.
        basis: Which of the two comparisons.
        agreement: People first, the judge second.
        reading: How the judge's values were read, for people; with empty ``agreement`` why not.
    """

    judge: str
    basis: Basis
    agreement: Agreement
    reading: str


def pairs(project: Project, run: Run, review: Review) -> list[Pair]:
    """Everything that a person and a judge both said something about, by case and judge."""
    found = [*_reviewed(project, run, review), *_annotated(project, run, review)]
    return sorted(found, key=lambda pair: (pair.case_id, pair.judge, pair.basis, pair.person))


def agreements(project: Project, run: Run, found: Iterable[Pair]) -> list[JudgeAgreement]:
    """How far people agree with each judge of the run, in the judges' order.

    Every judge is there with the review, whether it can be compared or not, and once more with
    annotations where there are any.
    """
    bounds = pass_bounds(project)
    grouped: dict[tuple[str, Basis], list[Pair]] = {}
    for judge in dict.fromkeys(score.judge for score in run.scores):
        grouped[judge, "review"] = []
        grouped[judge, "annotations"] = []
    for pair in found:
        grouped[pair.judge, pair.basis].append(pair)
    return [
        JudgeAgreement(
            judge,
            basis,
            agreement([pair.said for pair in group], [pair.judged for pair in group]),
            _reading(basis, [s.value for s in run.scores if s.judge == judge], bounds.get(judge)),
        )
        for (judge, basis), group in grouped.items()
        if group or basis == "review"
    ]


def pass_bounds(project: Project) -> dict[str, float]:
    """Judge to the number from which on its score is a pass, where the project says any."""
    middles = {each.name: sum(each.score_range) / 2 for each in project.judges if each.score_range}
    demanded = project.thresholds.items()
    return middles | {judge: found["min_mean"] for judge, found in demanded if "min_mean" in found}


def pass_or_fail(value: Json, bound: float | None) -> str | None:
    """``pass`` or ``fail``; None where the value says neither.

    Args:
        value: A judge's or a person's value.
        bound: The number from which on a number is a pass; None where nobody says.
    """
    if isinstance(value, bool):
        return PASS if value else FAIL
    if isinstance(value, (int, float)):
        return None if bound is None else PASS if value >= bound else FAIL
    return WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _reviewed(project: Project, run: Run, review: Review) -> Iterator[Pair]:
    bounds = pass_bounds(project)
    for score in run.scores:
        comment = review.feedback.get(score.case_id)
        judged = None if score.error else pass_or_fail(score.value, bounds.get(score.judge))
        if comment is not None and judged is not None:
            said = FAIL if comment else PASS
            by = review.reviewer_of(score.case_id)
            yield _pair(score, "review", by, (said, judged), comment or ACCEPTED)


def _annotated(project: Project, run: Run, review: Review) -> Iterator[Pair]:
    scores = {(s.case_id, s.judge): s for s in run.scores if not s.error and s.value is not None}
    verdicts = [
        Annotation(case, "", judge, value, "", review.reviewer, "")
        for case, given in review.verdicts.items()
        for judge, value in given.items()
        if value is not None
    ]
    both = [
        (said, scores[said.case_id, said.name])
        for said in (*annotations_in(review), *verdicts)
        if (said.case_id, said.name) in scores
    ]
    bounds = pass_bounds(project)
    graded = {score.judge for said, score in both if _is_graded([said.value, score.value])}
    for said, score in both:
        values = said.value, score.value
        if score.judge in graded:
            bound = bounds.get(score.judge)
            first, second = (pass_or_fail(value, bound) for value in values)
        else:
            first, second = map(_label, values)
        if first is not None and second is not None:
            labels = first, second
            yield _pair(score, "annotations", said.source, labels, said.value, said.rationale)


def _pair(
    score: Score, basis: Basis, person: str, labels: tuple[str, str], word: Json, why: str = ""
) -> Pair:
    said, judged = labels
    return Pair(
        score.case_id,
        score.judge,
        basis,
        person,
        said,
        judged,
        word,
        score.value,
        why,
        score.rationale,
    )


def _is_graded(values: Iterable[Json]) -> bool:
    """Whether one of the numbers is no whole one."""
    return any(isinstance(value, float) and not value.is_integer() for value in values)


def _label(value: Json) -> str | None:
    """A value as a label; MLflow hands whole numbers back as floats."""
    if isinstance(value, str):
        word = value.strip().lower()
        return WORDS.get(word, word)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value))
    return pass_or_fail(value, None)


def _reading(basis: Basis, values: Iterable[Json], bound: float | None) -> str:
    """How a judge's values are read, or why they are not."""
    given = [value for value in values if value is not None]
    if basis == "annotations" and not _is_graded(given):
        return "value by value"
    if not given:
        return "not compared: it gave no values"
    if all(isinstance(value, bool) for value in given):
        return "true is a pass"
    if all(isinstance(value, (int, float)) for value in given):
        if bound is None:
            return "not compared: no min_mean and no score_range says which numbers are a pass"
        return f"{bound:g} or more is a pass"
    if any(pass_or_fail(value, bound) for value in given):
        return "its words for yes are a pass"
    return "not compared: its values say nothing of pass or fail"
