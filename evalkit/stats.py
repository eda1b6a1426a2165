"""Differences between two measurements of the same cases, and how sure one can be of them.

What varies from case to case alike in both measurements cancels out, so that a pair says more than
two separate means. Several measurements of a case are one here, their mean: the case is what is
drawn at random, not the trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
CHANCE = 0.05
"""How often chance alone may look like a difference."""

FEWEST = 6
"""Pairs before anything can be told.

Were all differences chance, five would still point the same way once in sixteen times, which is
more often than :data:`CHANCE` allows; six do once in thirty-two.
"""

EXACT = 50
"""Differing pairs up to which the signed-rank test counts all signs, as in MLflow's comparison."""

TINY = 1e-9
BEYOND = 1e6
"""Intervals to margins from which on no number of cases is worth saying."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a mean over pairs, after minus before; for passes and failures, of a rate.

    Attributes:
        pairs: How many cases were measured in both.
        differing: In how many of them the two differ.
        before: Mean before.
        after: Mean after.
        low: Lower end of the 95 percent interval of the difference; None for a single pair.
        high: Upper end.
        p: How often chance alone would show a difference at least as large, from 0 to 1.
        leaning: Which way the test saw it go: 1, 0 or -1.
        spread: Standard deviation of the differences, in their unit.
    """

    pairs: int
    differing: int
    before: float
    after: float
    low: float | None
    high: float | None
    p: float
    leaning: int
    spread: float

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    def direction(self, p: float | None = None) -> int:
        """Whether there is more (1) or less (-1), beyond what chance explains; 0 where not.

        Args:
            p: The p-value, where it is one of several that were adjusted; else the own one.

        A few large differences can move a mean one way and most pairs go the other: that is 0.
        """
        stands_out = (self.p if p is None else p) < CHANCE and self.pairs >= FEWEST
        return self.leaning if stands_out and self.leaning * self.difference > 0 else 0

    def is_within(self, margin: float) -> bool:
        """Whether the whole interval is no further from zero than the margin."""
        return (
            self.pairs >= FEWEST
            and self.low is not None
            and self.high is not None
            and -margin <= self.low
            and self.high <= margin
        )

    def needed(self, margin: float) -> int | None:
        """About how many pairs would tell: an interval no wider than the margin.

        That narrow, it either keeps within the margin on both sides or leaves zero out. None where
        that is beyond counting.
        """
        if self.spread < TINY:
            return max(FEWEST, math.ceil(math.log(CHANCE / 2) / math.log1p(-min(margin, 0.99))))
        reach = 2 * float(stats.norm.ppf(1 - CHANCE / 2))
        wide = reach * self.spread / margin
        return max(FEWEST, math.ceil(wide**2)) if wide < BEYOND else None


def paired_change(
    before: Sequence[float], after: Sequence[float], *, is_rate: bool = False
) -> Change:
    """The change of a mean, with McNemar's exact test or Wilcoxon's signed-rank test.

    McNemar's is for pairs of single passes and failures, of which only those that flipped say
    something. The interval is Student's over the differences; that of a rate whose differences
    have no spread reaches as far as :func:`scipy.stats.binomtest` says a share may that was not
    seen once.

    Args:
        before: Finite numbers, or booleans, one a case; at least one.
        after: The same cases in the same order.
        is_rate: Whether they are passes and failures, or shares of them.
    """
    old, new = np.asarray(before, float), np.asarray(after, float)
    differences = np.round(new - old, 9) + 0.0  # what floating point left is no difference
    count, differing = len(differences), int(np.count_nonzero(differences))
    mean = float(differences.mean())
    is_single = is_rate and bool(np.isin((old, new), (0.0, 1.0)).all())
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers beyond 1e154 nothing is told
        spread = float(differences.std(ddof=1)) if count > 1 else 0.0
    low = high = None
    if count > 1 and math.isfinite(spread):
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread / math.sqrt(count)
        if is_rate and spread < TINY:
            reach = float(stats.binomtest(0, count).proportion_ci(CONFIDENCE).high)
        low, high = mean - reach, mean + reach
        if is_rate:
            low, high = max(low, -1.0), min(high, 1.0)
    signs = np.sign(differences)
    ranks = signs if is_single else signs * stats.rankdata(np.abs(differences))
    p = _p_of_flips(differences) if is_single else _p_of_ranks(differences[differences != 0])
    leaning = int(np.sign(ranks.sum()))
    return Change(
        count, differing, float(old.mean()), float(new.mean()), low, high, p, leaning, spread
    )


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float] | None]:
    """A mean with its 95 percent interval: Student's, and for booleans Wilson's of their share.

    One number has no interval.

    Args:
        values: Finite numbers, or booleans; at least one.
    """
    count, mean = len(values), float(np.mean(values))
    if all(isinstance(each, bool) for each in values):
        share = stats.binomtest(sum(values), count).proportion_ci(CONFIDENCE, "wilson")
        return mean, (float(share.low), float(share.high))
    if count == 1:
        return mean, None
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * stats.sem(values))
    return mean, (mean - reach, mean + reach)


def adjusted(chances: Sequence[float]) -> list[float]:
    """Holm's p-values of several tests at once, which :data:`CHANCE` bounds together."""
    order, highest, found = np.argsort(chances, kind="stable"), 0.0, [0.0] * len(chances)
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, chances[place] * (len(chances) - rank)))
        found[place] = highest
    return found


def _p_of_flips(differences: np.ndarray) -> float:
    ups, downs = int((differences > 0).sum()), int((differences < 0).sum())
    return float(stats.binomtest(ups, ups + downs).pvalue) if ups + downs else 1.0


def _p_of_ranks(differences: np.ndarray) -> float:
    if not len(differences):
        return 1.0
    method = "exact" if len(differences) <= EXACT else "asymptotic"
    return float(stats.wilcoxon(differences, method=method).pvalue)
