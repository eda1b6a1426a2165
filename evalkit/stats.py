"""Differences between two measurements of the same cases, and how sure one can be of them.

What varies from case to case alike in both measurements cancels out, so that a pair says more than
two separate means. The intervals say how far the difference could lie elsewhere had other cases
like these been chosen; how much one case varies from run to run they know only as far as it shows
here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
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

Direction: TypeAlias = Literal["more", "less", "same", "within noise", "too few cases"]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a mean over pairs, after minus before; for passes and failures, of a rate.

    Attributes:
        pairs: How many cases were measured in both.
        differing: In how many of them the two differ.
        before: Mean before.
        after: Mean after.
        low: Lower end of the 95 percent interval of the difference; None where the pairs do not
            say how much it varies.
        high: Upper end.
        p: How often chance alone would show a difference at least as large, from 0 to 1; None
            where no pair differs.
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
    def direction(self) -> Direction:
        """Whether there is more or less than before, beyond what chance explains.

        ``same``: no pair differs. ``too few cases``: too few were measured in both, or too few of
        them differ, for anything to be told.
        """
        if not self.differing:
            return "same"
        stands_out = self.p is not None and self.p < CHANCE
        if stands_out and self.differing >= FEWEST:
            return "more" if self.after > self.before else "less"
        return "too few cases" if stands_out or self.pairs < FEWEST else "within noise"


def paired_change(before: Sequence[float], after: Sequence[float]) -> Change:
    """The change of a mean by Student's t, or of a pass rate by McNemar's exact test.

    Of passes and failures only cases that flipped say something. Their interval is Student's over
    the differences, each -1, 0 or 1, no wider than rates can differ; it reaches to zero at least
    where the exact test does not speak against chance. Numbers that all differ alike have no
    spread: then too, only their direction is held against chance.

    Args:
        before: Booleans or finite numbers, one a case; at least one.
        after: The same cases in the same order.
    """
    old, new = np.asarray(before, float), np.asarray(after, float)
    differences = np.where(np.abs(new - old) < TINY, 0.0, new - old)
    count, differing = len(differences), int(np.count_nonzero(differences))
    first, mean = float(old.mean()), float(differences.mean())
    is_rate = all(isinstance(each, bool) for each in (*before, *after))
    ups = int((differences > 0).sum())
    sign_p = float(stats.binomtest(ups, differing).pvalue) if differing else None
    change = Change(count, differing, first, first + mean, p=sign_p)
    if is_rate and count >= FEWEST:
        change = replace(change, resolution=_fewest_net_flips(differing) / count)
    spread = float(differences.std(ddof=1)) if count > 1 else 0.0
    if spread < TINY:
        return change
    error = spread / math.sqrt(count)
    low, high = map(float, stats.t.interval(CONFIDENCE, count - 1, loc=mean, scale=error))
    change = replace(change, needed=_needed(mean, spread))
    if is_rate:
        if sign_p is None or sign_p >= CHANCE:
            low, high = min(low, 0.0), max(high, 0.0)
        return replace(change, low=max(low, -1.0), high=min(high, 1.0))
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1))
    resolution = high - mean if count >= FEWEST else None
    return replace(change, low=low, high=high, p=p, resolution=resolution)


def _fewest_net_flips(flips: int) -> int:
    """By how many the flips one way must outnumber the others, with that many or the fewest."""
    among = max(flips, FEWEST)
    one_way = int(stats.binom.isf(CHANCE / 2, among, 0.5)) + 1
    return 2 * one_way - among


def _needed(mean: float, spread: float) -> int | None:
    if abs(mean) < TINY:
        return None
    reach = stats.norm.ppf(1 - CHANCE / 2) + stats.norm.ppf(POWER)
    return max(FEWEST, math.ceil(float(reach * spread / mean) ** 2))
