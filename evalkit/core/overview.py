"""A run at a glance: what each judge said over all cases, and all judges about each case."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evalkit.core.project import Project
from evalkit.core.results import Run, Score, Usage
from evalkit.core.thresholds import Bound, thresholds
from evalkit.jsonable import Json

MOST_LABELS = 4
"""Labels that are counted by name before the rest is added up."""


@dataclass(frozen=True, slots=True)
class JudgeOverview:
    """What one judge said over all cases.

    Attributes:
        judge: The judge.
        judge_type: How the summary marks it; may be empty.
        scores: What it said, one a case.
        pass_rate: Share of cases that pass, from 0 to 1, as the summary says, else as the scores
            do; None where the judge does not pass or fail cases.
        mean: Mean of its numbers, as the summary says, else as the scores do; None without any.
    """

    judge: str
    judge_type: str
    scores: tuple[Score, ...]
    pass_rate: float | None
    mean: float | None

    @property
    def given(self) -> list[Json]:
        """The values that it gave."""
        return [s.value for s in self.scores if s.value is not None and not s.error]

    @property
    def errors(self) -> int:
        """Cases in which it failed."""
        return sum(bool(score.error) for score in self.scores)

    @property
    def silent(self) -> int:
        """Cases that it passed over, without a value and without an error."""
        return len(self.scores) - len(self.given) - self.errors

    @property
    def shape(self) -> Literal["pass", "number", "label", "other"]:
        """What all of its values are: true or false, numbers, or text."""
        values = self.given
        if values and all(isinstance(value, bool) for value in values):
            return "pass"
        if values and len(_numbers(values)) == len(values):
            return "number"
        if values and all(isinstance(value, str) for value in values):
            return "label"
        return "other"

    @property
    def spread(self) -> str:
        """How far its values lie apart, in words."""
        values = self.given
        match self.shape:
            case "pass":
                passed = sum(value is True for value in values)
                return f"{passed} pass, {len(values) - passed} fail"
            case "number":
                return _range(_numbers(values))
            case "label":
                return _counts([str(value) for value in values])
            case _:
                return "lists or objects" if values else ""


@dataclass(frozen=True, slots=True)
class CaseOverview:
    """What is known of one case of a run.

    Attributes:
        case_id: The case.
        scores: What the judges said about it.
        usage: What its session consumed.
        logged: Whether there is a log that tells of it.
        failure: Why its execution failed; empty where it did not.
    """

    case_id: str
    scores: tuple[Score, ...]
    usage: Usage
    logged: bool
    failure: str = ""

    @property
    def execution(self) -> str:
        """How its execution ended, in words."""
        if self.failure:
            return f"failed: {self.failure}"
        return "" if self.usage.exit_code is None else "ended well"

    @property
    def failed(self) -> tuple[str, ...]:
        """The judges that say no."""
        return tuple(score.judge for score in self.scores if score.value is False)

    @property
    def broken(self) -> tuple[str, ...]:
        """The judges that failed themselves."""
        return tuple(score.judge for score in self.scores if score.error)

    @property
    def passes(self) -> str:
        """How many of the judges that pass or fail cases say yes, such as ``2 of 3``."""
        said = [score.value for score in self.scores if isinstance(score.value, bool)]
        return f"{sum(said)} of {len(said)}" if said else ""


def judges(run: Run) -> list[JudgeOverview]:
    """What each judge said, in the summary's order."""
    names = dict.fromkeys([*run.judges, *(score.judge for score in run.scores)])
    said: dict[str, list[Score]] = {name: [] for name in names}
    for score in run.scores:
        said[score.judge].append(score)
    return [_judge(name, run.judges.get(name, {}), scores) for name, scores in said.items()]


def cases(run: Run, logged: Collection[str | None]) -> list[CaseOverview]:
    """What is known of each case.

    Args:
        run: The run.
        logged: The cases that a log tells of.
    """
    scores = run.scores_by_case()
    return [
        CaseOverview(
            case,
            tuple(scores.get(case, ())),
            run.case_usage.get(case, Usage()),
            case in logged,
            run.failed.get(case, ""),
        )
        for case in run.cases
    ]


def demands(project: Project, run: Run) -> list[Bound]:
    """Every threshold of the project, and whether the run meets it; those that fail first."""
    order = ("fails", "not measured", "met")
    return sorted(thresholds(project, run), key=lambda each: order.index(each.verdict))


def _judge(
    name: str, figures: Mapping[str, float | None], scores: Sequence[Score]
) -> JudgeOverview:
    kinds = (score.judge_type for score in scores if score.judge_type)
    bare = JudgeOverview(name, next(kinds, ""), tuple(scores), None, None)
    rate, mean = figures.get("pass_rate"), figures.get("mean")
    if rate is None and bare.shape == "pass":
        rate = statistics.fmean(value is True for value in bare.given)
    if bare.shape == "number" and mean is None:
        mean = statistics.fmean(_numbers(bare.given))
    return JudgeOverview(name, bare.judge_type, bare.scores, rate, mean)


def _numbers(values: Sequence[Json]) -> list[float]:
    return [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _range(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    if low == high:
        return f"all {low:g}"
    return f"{low:g} to {high:g}, standard deviation {statistics.stdev(numbers):.2g}"


def _counts(labels: Sequence[str]) -> str:
    common = Counter(labels).most_common()
    told = [f"{count} {label}" for label, count in common[:MOST_LABELS]]
    rest = sum(count for _, count in common[MOST_LABELS:])
    return ", ".join([*told, *([f"{rest} other"] if rest else [])])
