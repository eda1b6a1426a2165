"""Differences between two measurements of the same cases, and how sure one can be of them.

What varies from case to case alike in both measurements cancels out, so that a pair says more than
two separate means. The intervals say how far the difference could lie elsewhere had other cases
like these been chosen; how much one case varies from run to run they know only as far as it shows
here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from scipy import stats

CONFIDENCE = 0.95
CHANCE = 0.05
"""How often chance alone may look like a difference."""

FEWEST = 6
"""Pairs that must differ before anything can be told.

Were all differences chance, five would still point the same way once in sixteen times, which is
more often than :data:`CHANCE` allows; six do once in thirty-two.
"""

POWER = 0.8
"""How often a suite that is called large enough shows a difference that is there."""

TINY = 1e-12
"""Differences below this come from floating point."""

Standing: TypeAlias = Literal["more", "less", "same", "within noise", "too few cases"]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a mean over pairs, after minus before.

    For passes and failures the means are rates between 0 and 1.

    Attributes:
        pairs: How many cases were measured in both.
        differing: In how many of them the two differ.
        before: Mean before.
        after: Mean after.
        low: Lower end of the 95 percent interval of the difference; None where the pairs do not
            say how much it varies.
        high: Upper end.
        p: How often chance alone would show a difference at least as large, from 0 to 1; None
            where that cannot be said.
        resolution: The smallest difference, as an absolute value, that would stand out from chance
            among these pairs; None where none would.
        needed: About how many pairs would show a difference of this size four times in five; None
            where there is no difference, or nothing is known of its spread.
    """

    pairs: int
    differing: int
    before: float
    after: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    resolution: float | None = None
    needed: int | None = None

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def standing(self) -> Standing:
        """Whether there is more or less than before, beyond what chance explains.

        ``same``: no pair differs. ``too few cases``: too few were measured in both, or too few of
        them differ, for anything to be told.
        """
        stands_out = self.p is not None and self.p < CHANCE
        if not self.differing:
            return "same"
        if stands_out and self.differing >= FEWEST:
            return "more" if self.difference > 0 else "less"
        return "too few cases" if stands_out or self.pairs < FEWEST else "within noise"


def mean_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """The change of a mean, by Student's t over the pairs' differences.

    Args:
        before: A finite number a case; at least one.
        after: The same cases in the same order.
    """
    differences = _differences(before, after)
    known = _known(before, differences)
    count, mean, spread = known.pairs, statistics.fmean(differences), _spread(differences)
    if spread < TINY:  # all differ alike: only their direction can be held against chance
        return replace(known, p=_sign_test(known.differing, known.differing) if count > 1 else None)
    error = spread / math.sqrt(count)
    low, high = _interval(count, mean, error)
    return replace(
        known,
        low=low,
        high=high,
        p=float(2 * stats.t.sf(abs(mean) / error, count - 1)),
        resolution=high - mean if count >= FEWEST else None,
        needed=_needed(mean, spread),
    )


def rate_change(before: Sequence[bool], after: Sequence[bool]) -> Change:
    """The change of a pass rate, by McNemar's exact test: only cases that flipped say something.

    The interval is Student's over the differences, each -1, 0 or 1, and no wider than rates can
    differ. It reaches to zero at least where the exact test does not speak against chance.

    Args:
        before: Whether each case passed; at least one.
        after: The same cases in the same order.
    """
    differences = _differences(before, after)
    known = _known(before, differences)
    count, flips, mean = known.pairs, known.differing, statistics.fmean(differences)
    if count >= FEWEST:
        known = replace(known, resolution=_net_flips(flips) / count)
    if not flips:
        return known
    p = _sign_test(sum(each > 0 for each in differences), flips)
    spread = _spread(differences)
    if spread < TINY:
        return replace(known, p=p)
    low, high = _interval(count, mean, spread / math.sqrt(count))
    if p is None or p >= CHANCE:
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(
        known, low=max(low, -1.0), high=min(high, 1.0), p=p, needed=_needed(mean, spread)
    )


def _known(before: Sequence[float], differences: Sequence[float]) -> Change:
    first = statistics.fmean(before)
    differing = sum(each != 0 for each in differences)
    return Change(len(differences), differing, first, first + statistics.fmean(differences))


def _spread(differences: Sequence[float]) -> float:
    return statistics.stdev(differences) if len(differences) > 1 else 0.0


def _interval(count: int, mean: float, error: float) -> tuple[float, float]:
    low, high = stats.t.interval(CONFIDENCE, count - 1, loc=mean, scale=error)
    return float(low), float(high)


def _differences(before: Sequence[float], after: Sequence[float]) -> list[float]:
    found = (late - early for early, late in zip(before, after, strict=True))
    return [0.0 if abs(each) < TINY else float(each) for each in found]


def _sign_test(ups: int, differing: int) -> float | None:
    """How often a fair coin is at least that one-sided."""
    return float(stats.binomtest(ups, differing).pvalue) if differing else None


def _net_flips(flips: int) -> int:
    """By how many the flips one way must outnumber the others, with that many or the fewest."""
    among = max(flips, FEWEST)
    one_way = int(stats.binom.isf(CHANCE / 2, among, 0.5)) + 1
    return 2 * one_way - among


def _needed(mean: float, spread: float) -> int | None:
    if abs(mean) < TINY:
        return None
    reach = stats.norm.ppf(1 - CHANCE / 2) + stats.norm.ppf(POWER)
    return max(FEWEST, math.ceil(float(reach * spread / mean) ** 2))
