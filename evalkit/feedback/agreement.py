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
from itertools import product
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.feedback.assessments import masked
from evalkit.feedback.review_file import Review, read_review
from evalkit.jsonable import Json
from evalkit.project import Project
from evalkit.runs.run import Score
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
"""Of a case that both spoke about: who said so, both labels, what they were read from, and why."""


def agreement_frames(found: RunFiles) -> tuple[pd.DataFrame, list[dict[str, Json]]]:
    """Compare what people said, here and in MLflow as last pulled, with the judges of a run.

    Returns:
        What both spoke about, by case and judge, in :data:`COLUMNS`. And how far people agree
        with each judge, in the judges' order: each with the review, whether it can be compared
        or not, and once more with annotations where there are any; the figures of
        :func:`agreement`, and as ``reading`` how the judge's values were read.
    """
    import pandas as pd

    bounds, review = _pass_bounds(found.project), read_review(found)
    scores = [masked(score) for score in found.run.scores]
    judges = list(dict.fromkeys(score.judge for score in scores))
    pairs = sorted(
        _pairs(bounds, review, scores, judges), key=lambda pair: [pair[key] for key in COLUMNS[:4]]
    )
    bases: tuple[Basis, Basis] = ("review", "annotations")
    rows: list[dict[str, Json]] = []
    for judge, basis in product(judges, bases):
        both = [pair for pair in pairs if (pair["judge"], pair["basis"]) == (judge, basis)]
        if both or basis == "review":
            values = [s.value for s in scores if s.judge == judge and s.value is not None]
            figures = agreement(*([pair[key] for pair in both] for key in ("said", "judged")))
            reading = _reading(basis, values, bounds.get(judge))
            rows.append({"judge": judge, "basis": basis, **figures, "reading": reading})
    return pd.DataFrame(pairs, columns=COLUMNS, dtype=object), rows


def _pairs(
    bounds: dict[str, float], review: Review, scores: Sequence[Score], judges: Sequence[str]
) -> Iterator[dict[str, Json]]:
    """What both a person and a judge said of a case, where both can be read as labels."""
    judged = {(s.case_id, s.judge): s for s in scores if not s.error and s.value is not None}
    said: list[tuple[str, str, Basis, str, Json, str]] = [
        (case, judge, "review", review.reviewer_of(case), comment, "")
        for case, comment in review.feedback.items()
        for judge in judges
    ]
    said += [
        (a["case_id"], a["name"], "annotations", a["source"], a["value"], a["rationale"])
        for a in review.annotations
    ]
    said += [
        (case, judge, "annotations", review.reviewer, value, "")
        for case, verdicts in review.verdicts.items()
        for judge, value in verdicts.items()
    ]
    said = [each for each in said if each[:2] in judged and each[4] is not None]
    graded = {s[1] for s in said if _is_graded([s[4], judged[s[:2]].value])}
    for case, judge, basis, person, word, why in said:
        score, bound = judged[case, judge], bounds.get(judge)
        read = _label if basis == "annotations" and judge not in graded else _pass_or_fail
        is_review = basis == "review"
        first = (FAIL if word else PASS) if is_review else read(word, bound)
        second = read(score.value, bound)
        if first is not None and second is not None:
            shown = word or "accepted" if is_review else word
            row = (case, judge, basis, person, first, second, shown, score.value, why)
            yield dict(zip(COLUMNS, (*row, score.rationale), strict=True))


def agreement(first: Sequence[str], second: Sequence[str]) -> dict[str, Json]:
    """Compare the labels that two raters gave to the same cases, in the same order.

    The interval takes chance agreement as given and is Wilson's for the share of cases on which
    the raters agree, put on the scale of kappa. With 10 to 50 cases it covers the truth 93 to 99.9
    times in 100; the usual large-sample interval and the bootstrap were found to cover it only 53
    and 55 times at worst, and shrink to a point where all agree.

    Returns:
        How many ``labels`` both gave and how many ``agreed``; ``kappa`` from -1 to 1 (0: chance)
        with its 95 % interval from ``low`` to ``high``, None without one; and the ``standing``:
        *too few labels*, *one label* (no telling agreement from habit), *not above chance* (the
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


def _pass_bounds(project: Project) -> dict[str, float]:
    """Judge to the number from which on its score is a pass, where the project says any."""
    middles = {each.name: sum(each.score_range) / 2 for each in project.judges if each.score_range}
    demanded = project.thresholds.items()
    return middles | {judge: found["min_mean"] for judge, found in demanded if "min_mean" in found}


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
    if not any(_pass_or_fail(value, bound) for value in values):
        return "not compared: its values, min_mean and score_range say nothing of pass or fail"
    if any(isinstance(value, str) for value in values):
        return "its words for yes are a pass"
    if bound is None or all(isinstance(value, bool) for value in values):
        return "true is a pass"
    return f"{bound:g} or more is a pass"
