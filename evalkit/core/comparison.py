"""Two finished runs of one project held against each other, case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from evalkit.core.consumption import UsageChange, usage_changes
from evalkit.core.flips import Flip, FlipKind, flips_of_judge
from evalkit.core.paired import Change, Standing, mean_change, rate_change
from evalkit.core.project import Project
from evalkit.core.results import Run, Score
from evalkit.core.score_values import Kind, Scores, differ, kind_in, value_of

Verdict: TypeAlias = Literal[
    "better", "worse", "within noise", "too few cases", "same", "changed", "not in both"
]

VERDICTS: Mapping[Standing, Verdict] = {
    "more": "better",
    "less": "worse",
    "same": "same",
    "within noise": "within noise",
    "too few cases": "too few cases",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One run's share in the comparison of a judge.

    Attributes:
        values: Cases it gave a value.
        errors: Cases on which it failed.
    """

    values: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class JudgeChange:
    """How one judge's scores changed. More is better, and to pass is better than to fail.

    Attributes:
        judge: The judge.
        kind: What its values are.
        pairs: Cases with a value in both runs; everything here is about them.
        differing: In how many of them the values differ.
        scale: How far its scores can lie apart: by the project's ``score_range``, else by what
            both runs hold; 1 for passes and failures.
        before: The baseline's share.
        after: The candidate's.
        change: The change of the mean or the pass rate; None for other kinds, and without pairs.
        moves: For labels: before, after, and in how many cases; the most frequent first.
    """

    judge: str
    kind: Kind
    pairs: int
    differing: int
    scale: float
    before: Judged
    after: Judged
    change: Change | None = None
    moves: tuple[tuple[str, str, int], ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What can be said of it."""
        if not self.pairs:
            return "not in both"
        if self.change is not None:
            return VERDICTS[self.change.standing]
        return "changed" if self.differing else "same"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate run held against a baseline.

    Attributes:
        baseline: The run that was there before.
        candidate: The run that is judged.
        common: Cases that both know.
        judges: By judge, in the baseline's order.
        flips: One for each case and judge with a value in at least one run, by case.
        usage: By figure; only those that a run has.
    """

    baseline: Run
    candidate: Run
    common: tuple[str, ...]
    judges: tuple[JudgeChange, ...]
    flips: tuple[Flip, ...]
    usage: tuple[UsageChange, ...]

    @property
    def only_before(self) -> tuple[str, ...]:
        """Cases that only the baseline knows."""
        return tuple(case for case in self.baseline.cases if case not in set(self.common))

    @property
    def only_after(self) -> tuple[str, ...]:
        """Cases that only the candidate knows."""
        return tuple(case for case in self.candidate.cases if case not in set(self.common))

    def having(self, *verdicts: Verdict) -> tuple[JudgeChange, ...]:
        """The judges with one of these verdicts."""
        return tuple(each for each in self.judges if each.verdict in verdicts)

    def counted(self) -> Counter[FlipKind]:
        """How many flips there are of each kind."""
        return Counter(flip.kind for flip in self.flips)


def compare(baseline: Run, candidate: Run, project: Project) -> Comparison:
    """Hold a run against a baseline, over the cases that are in both.

    Args:
        baseline: The run that was there before.
        candidate: The run that is judged.
        project: Says how far the scores of its judges reach.
    """
    known = set(candidate.cases)
    ranges = {judge.name: judge.score_range for judge in project.judges}
    old, new = _by_judge(baseline), _by_judge(candidate)
    names = list(dict.fromkeys((*old, *new)))
    judges: list[JudgeChange] = []
    flips: list[Flip] = []
    for name in names:
        scores = old.get(name, {}), new.get(name, {})
        kind = kind_in(scores)
        judges.append(_judge_change(name, kind, *scores, ranges.get(name)))
        flips += flips_of_judge(name, kind, *scores)
    order = {name: place for place, name in enumerate(names)}
    return Comparison(
        baseline=baseline,
        candidate=candidate,
        common=tuple(case for case in baseline.cases if case in known),
        judges=tuple(judges),
        flips=tuple(sorted(flips, key=lambda flip: (flip.case_id, order[flip.judge]))),
        usage=tuple(usage_changes(baseline, candidate)),
    )


def _by_judge(run: Run) -> dict[str, dict[str, Score]]:
    found: dict[str, dict[str, Score]] = {judge: {} for judge in run.judges}
    for score in run.scores:
        found.setdefault(score.judge, {})[score.case_id] = score
    return found


def _judge_change(
    name: str,
    kind: Kind,
    before: Scores,
    after: Scores,
    score_range: tuple[float, float] | None,
) -> JudgeChange:
    pairs = [
        (old, new)
        for case in before
        if (old := value_of(before[case])) is not None
        and (new := value_of(after.get(case))) is not None
    ]
    olds, news = [old for old, _ in pairs], [new for _, new in pairs]
    statistics: Mapping[Kind, Callable[[list[Any], list[Any]], Change]] = {
        "pass": rate_change,
        "number": mean_change,
    }
    known = statistics.get(kind)
    return JudgeChange(
        judge=name,
        kind=kind,
        pairs=len(pairs),
        differing=sum(differ(*pair) for pair in pairs),
        scale=_scale(score_range, [*olds, *news]) if kind == "number" else 1.0,
        before=_judged(before),
        after=_judged(after),
        change=known(olds, news) if known and pairs else None,
        moves=_moves(pairs) if kind == "label" else (),
    )


def _scale(score_range: tuple[float, float] | None, values: Sequence[float]) -> float:
    low, high = score_range or (min(values, default=0), max(values, default=0))
    return float(high - low) or 1.0


def _judged(scores: Scores) -> Judged:
    found = scores.values()
    values = sum(value_of(score) is not None for score in found)
    return Judged(values, sum(bool(score.error) for score in found))


def _moves(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    counted = Counter((old, new) for old, new in pairs if old != new)
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return tuple((old, new, count) for (old, new), count in ranked)
