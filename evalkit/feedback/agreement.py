"""How far people and judges agree: what both said of a case as labels, and Cohen's kappa.

``review``: a reviewer accepted the case (*pass*) or had something to remark (*fail*). That is
compared with every judge that can be read as pass or fail: yes or no by itself; a number by whether
it reaches the judge's ``min_mean`` threshold, else the middle of its ``score_range``; the words
pass, yes, true and fail, no, false.

``annotations``: a person gave an annotation in MLflow the name of a judge, or wrote a verdict of
their own beside the judge's. That is compared value by value; where a judge's numbers are no whole
ones, both sides are read as pass or fail as above, since nobody hits 0.82 exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.feedback.assessments import masked
from evalkit.feedback.review_file import Annotation, Review, read_review
from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles

if TYPE_CHECKING:
    import pandas as pd

Basis: TypeAlias = Literal["review", "annotations"]

MIN_LABELS = 10
"""Cases that both have labelled, below which kappa says nothing: at 10 its interval is already
as wide as from "chance" to "perfect"."""

CONFIDENCE = 0.95
PASS, FAIL = "pass", "fail"
WORDS = {"pass": PASS, "yes": PASS, "true": PASS, "fail": FAIL, "no": FAIL, "false": FAIL}


COLUMNS = (
    *("case_id", "judge", "basis", "person", "said", "judged"),
    *("word", "score", "why", "rationale"),
)
"""Of a case that both spoke about: who said so, both labels, from what they were read (the comment,
``accepted`` or the annotation's value; the judge's value), and what either gave as a reason."""


def agreement_frames(found: RunFiles) -> tuple[pd.DataFrame, list[dict[str, Json]]]:
    """Compare what people said, here and in MLflow as last pulled, with the judges of a run.

    Returns:
        What both spoke about, by case and judge, in :data:`COLUMNS`. And how far people agree
        with each judge, in the judges' order: each with the review, whether it can be compared
        or not, and once more with annotations where there are any. ``reading`` says how the
        judge's values were read; the figures are those of :func:`agreement`.

    Raises:
        InputError: ``review.yaml`` cannot be read or is no review.
    """
    import pandas as pd

    run = replace(found.run, scores=tuple(map(masked, found.run.scores)))
    bounds = _pass_bounds(found.project)
    review = read_review(found)
    pairs = [*_reviewed(bounds, run, review), *_annotated(bounds, run, review)]
    pairs.sort(key=lambda pair: [pair[name] for name in COLUMNS[:4]])
    bases: tuple[Basis, Basis] = ("review", "annotations")
    rows: list[dict[str, Json]] = []
    for judge in dict.fromkeys(score.judge for score in run.scores):
        values = [s.value for s in run.scores if s.judge == judge and s.value is not None]
        for basis in bases:
            both = [pair for pair in pairs if (pair["judge"], pair["basis"]) == (judge, basis)]
            if both or basis == "review":
                figures = agreement(
                    *([pair[label] for pair in both] for label in ("said", "judged"))
                )
                reading = _reading(basis, values, bounds.get(judge))
                rows.append({"judge": judge, "basis": basis, **figures, "reading": reading})
    return pd.DataFrame(pairs, columns=COLUMNS, dtype=object), rows


def agreement(first: Sequence[str], second: Sequence[str]) -> dict[str, Json]:
    """Compare the labels that two raters gave to the same cases.

    The interval takes chance agreement as given and is Wilson's for the share of cases on which
    the raters agree, put on the scale of kappa. With 10 to 50 cases it covers the truth 93 to 99.9
    times in 100; the usual large-sample interval and the bootstrap were found to cover it only 53
    and 55 times at worst, and shrink to a point where all agree.

    Args:
        first: The labels of one rater, a label a case.
        second: The labels of the other, of the same cases in the same order.

    Returns:
        How many ``labels`` both gave and how many ``agreed``; ``kappa`` from -1 to 1 (0: no more
        than two who know nothing and keep to their habits) with its 95 % interval from ``low`` to
        ``high``; and the ``standing``: *too few labels*, *one label* (both said the same of every
        case, no telling agreement from habit; no kappa in either), *not above chance* (the
        interval reaches down to 0), *above chance*.
    """
    # they take seconds to import; also without labels, so that the first one does not wait for it
    from scipy.stats import binomtest
    from sklearn.metrics import cohen_kappa_score

    count, agreed = len(first), sum(a == b for a, b in zip(first, second, strict=True))
    found: dict[str, Json] = {"labels": count, "agreed": agreed}
    if count < MIN_LABELS or len({*first, *second}) == 1:
        standing = "too few labels" if count < MIN_LABELS else "one label"
        return {**found, "kappa": None, "low": None, "high": None, "standing": standing}
    chance = sum(first.count(label) * second.count(label) for label in {*first}) / count**2
    share = binomtest(agreed, count).proportion_ci(CONFIDENCE, method="wilson")
    low, high = (max(-1.0, (float(end) - chance) / (1 - chance)) for end in (share.low, share.high))
    kappa = float(cohen_kappa_score(first, second))
    standing = "above chance" if low > 0 else "not above chance"
    return {**found, "kappa": kappa, "low": low, "high": high, "standing": standing}


def in_order(labels: Iterable[str]) -> list[str]:
    """Labels as a reader expects them: pass, fail, numbers by size, words by alphabet."""
    return sorted(labels, key=_place)


def _place(label: str) -> tuple[int, float, str]:
    if label in {PASS, FAIL}:
        return 0, float(label == FAIL), ""
    try:
        return 1, float(label), label
    except ValueError:
        return 2, 0.0, label


def _pass_bounds(project: Project) -> dict[str, float]:
    """Judge to the number from which on its score is a pass, where the project says any."""
    middles = {each.name: sum(each.score_range) / 2 for each in project.judges if each.score_range}
    demanded = project.thresholds.items()
    return middles | {judge: found["min_mean"] for judge, found in demanded if "min_mean" in found}


def _reviewed(bounds: dict[str, float], run: Run, review: Review) -> Iterator[dict[str, Json]]:
    for score in run.scores:
        comment = review.feedback.get(score.case_id)
        judged = None if score.error else _pass_or_fail(score.value, bounds.get(score.judge))
        if comment is not None and judged is not None:
            labels = (FAIL if comment else PASS, judged)
            by = review.reviewer_of(score.case_id)
            yield _pair(score, "review", by, labels, comment or "accepted")


def _annotated(bounds: dict[str, float], run: Run, review: Review) -> Iterator[dict[str, Json]]:
    scores = {(s.case_id, s.judge): s for s in run.scores if not s.error and s.value is not None}
    verdicts = (
        Annotation(case, "", judge, value, "", review.reviewer, "")
        for case, given in review.verdicts.items()
        for judge, value in given.items()
        if value is not None
    )
    both = [
        (said, scores[said.case_id, said.name])
        for said in (*review.annotations, *verdicts)
        if (said.case_id, said.name) in scores
    ]
    graded = {score.judge for said, score in both if _is_graded([said.value, score.value])}
    for said, score in both:
        read = _pass_or_fail if score.judge in graded else _label
        bound = bounds.get(score.judge)
        first, second = read(said.value, bound), read(score.value, bound)
        if first is not None and second is not None:
            labels = (first, second)
            yield _pair(score, "annotations", said.source, labels, said.value, said.rationale)


def _pair(
    score: Score, basis: Basis, person: str, labels: tuple[str, str], word: Json, why: str = ""
) -> dict[str, Json]:
    told = (*labels, word, score.value, why, score.rationale)
    return dict(zip(COLUMNS, (score.case_id, score.judge, basis, person, *told), strict=True))


def _pass_or_fail(value: Json, bound: float | None) -> str | None:
    """``pass`` or ``fail``; None where the value says neither, or nobody says from where on."""
    if isinstance(value, bool):
        return PASS if value else FAIL
    if isinstance(value, (int, float)):
        return None if bound is None else PASS if value >= bound else FAIL
    return WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _label(value: Json, _: float | None) -> str | None:
    """A value as a label; MLflow hands whole numbers back as floats."""
    if isinstance(value, str):
        word = value.strip().lower()
        return WORDS.get(word, word)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(int(value))
    return _pass_or_fail(value, None)


def _is_graded(values: Iterable[Json]) -> bool:
    """Whether one of the numbers is no whole one."""
    return any(isinstance(value, float) and not value.is_integer() for value in values)


def _reading(basis: Basis, values: Sequence[Json], bound: float | None) -> str:
    """How a judge's values are read, or why they are not."""
    if basis == "annotations" and not _is_graded(values):
        return "value by value"
    if not values:
        return "not compared: it gave no values"
    if all(isinstance(value, bool) for value in values):
        return "true is a pass"
    if all(isinstance(value, (int, float)) for value in values):
        if bound is None:
            return "not compared: no min_mean and no score_range says which numbers are a pass"
        return f"{bound:g} or more is a pass"
    if any(_pass_or_fail(value, bound) for value in values):
        return "its words for yes are a pass"
    return "not compared: its values say nothing of pass or fail"
