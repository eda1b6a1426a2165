"""Two measurements of the same cases held against each other, and how sure one can be of a change.

Several measurements of a case are one here, their mean: the case is drawn at random, not the trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CHANCE = 0.05  # how often chance alone may look like a difference
FEWEST = 6  # pairs, to tell anything: by chance five point the same way once in sixteen times
EXACT = 50  # differing pairs up to which signed ranks count all signs, as in MLflow's comparison
_TINY = 1e-9
_BEYOND = 1e6  # intervals to a margin, from which on no number of cases is worth saying


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a mean over pairs, after minus before; for passes and failures, of a rate.

    ``interval`` is that of 95 percent, None for a single pair; ``p`` says how often chance alone
    would show as large a difference; ``leaning`` is where both the mean and most of the pairs that
    differ went: 1, -1, or 0 where they disagree; ``spread`` is the differences' deviation.
    """

    pairs: int
    differing: int
    before: float
    after: float
    interval: list[float] | None
    p: float
    leaning: int
    spread: float

    @property
    def figures(self) -> dict[str, Any]:
        """What a report holds of it."""
        found = {name: getattr(self, name) for name in ("before", "after", "interval", "p")}
        return {**found, "difference": self.after - self.before}

    def direction(self, p: float) -> int:
        """Whether, by this p-value, there is more (1) or less (-1) beyond chance; else 0."""
        return self.leaning if p < CHANCE and self.pairs >= FEWEST else 0

    def is_within(self, margin: float) -> bool:
        """Whether the whole interval is no further from zero than the margin."""
        reach = max(map(abs, self.interval)) if self.interval else math.inf
        return self.pairs >= FEWEST and reach <= margin

    def needed(self, margin: float) -> int | None:
        """About how many pairs would give an interval no wider than the margin; None beyond count.

        That narrow, it either keeps within the margin on both sides or leaves zero out.
        """
        if self.spread < _TINY:
            return max(FEWEST, math.ceil(math.log(CHANCE / 2) / math.log1p(-min(margin, 0.99))))
        wide = 2 * float(stats.norm.ppf(1 - CHANCE / 2)) * self.spread / margin
        return max(FEWEST, math.ceil(wide**2)) if wide < _BEYOND else None


def paired_change(
    before: Sequence[float], after: Sequence[float], *, is_rate: bool = False
) -> Change:
    """The change of a mean over the same cases in the same order, at least one.

    Single passes and failures are tested by McNemar's exact test, all else by Wilcoxon's
    signed-rank test. The interval is Student's over the differences; that of a rate reaches at
    least as far as a share may that was not seen once.
    """
    old, new = np.asarray(before, float), np.asarray(after, float)
    differences = np.round(new - old, 9) + 0.0  # what floating point left is no difference
    moved = differences[differences != 0]
    count, mean = len(differences), float(differences.mean())
    p, interval, ranks = 1.0, None, np.sign(moved)
    if is_rate and bool(np.isin((old, new), (0.0, 1.0)).all()):
        if len(moved):
            p = float(stats.binomtest(int((moved > 0).sum()), len(moved)).pvalue)
    elif len(moved):
        method = "exact" if len(moved) <= EXACT else "asymptotic"
        p = float(stats.wilcoxon(moved, method=method).pvalue)
        ranks = ranks * stats.rankdata(np.abs(moved))
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers beyond 1e154 nothing is told
        spread = float(differences.std(ddof=1)) if count > 1 else 0.0
    if count > 1 and math.isfinite(spread):
        reach = float(stats.t.ppf(1 - CHANCE / 2, count - 1)) * spread / math.sqrt(count)
        if is_rate:  # a few differences tell no more than none does
            reach = max(reach, float(stats.binomtest(0, count).proportion_ci().high))
        least, most = (-1.0, 1.0) if is_rate else (-math.inf, math.inf)
        interval = [max(mean - reach, least), min(mean + reach, most)]
    lean = int(np.sign(ranks.sum())) if ranks.sum() * mean > 0 else 0
    means = (float(old.mean()), float(new.mean()))
    return Change(count, len(moved), *means, interval, p, lean, spread)


def mean_interval(values: Sequence[float]) -> tuple[float, list[float] | None]:
    """A mean with its 95 percent interval: Student's, of booleans Wilson's; of one number none."""
    count, mean = len(values), float(np.mean(values))
    if all(isinstance(each, bool) for each in values):
        share = stats.binomtest(sum(values), count).proportion_ci(method="wilson")
        return mean, [float(share.low), float(share.high)]
    if count == 1:
        return mean, None
    reach = float(stats.t.ppf(1 - CHANCE / 2, count - 1) * stats.sem(values))
    return mean, [mean - reach, mean + reach]


def adjusted(chances: Sequence[float]) -> list[float]:
    """Holm's p-values of several tests at once, which :data:`CHANCE` bounds together."""
    order, found = np.argsort(chances, kind="stable"), np.zeros(len(chances))
    steps = np.asarray(chances, float)[order] * np.arange(len(chances), 0, -1)
    found[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return [float(each) for each in found]
