"""How far two raters agree beyond chance: Cohen's kappa, its interval, the confusion matrix.

Kappa is 1 where they always agree and 0 where they agree as often as two raters would who know
nothing of the case and only keep to their own habits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

MIN_LABELS = 10
"""Cases that both have labelled, below which kappa says nothing: at 10 its interval is already
as wide as from "chance" to "perfect"."""

CONFIDENCE = 0.95

FIRST = ("pass", "fail")
"""Labels that come first in a matrix, in this order."""

Standing: TypeAlias = Literal["too few labels", "one label", "not above chance", "above chance"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two raters agree.

    Attributes:
        labels: Every label that either used: pass, fail, numbers by size, words by alphabet.
        matrix: Cases by label: a row for each label of the first rater, in it a count for each
            label of the second.
        kappa: Cohen's kappa, -1 to 1; None where ``standing`` says that there is none.
        low: Lower end of its 95 % interval; None where kappa is.
        high: Upper end of its 95 % interval; None where kappa is.
    """

    labels: tuple[str, ...] = ()
    matrix: tuple[tuple[int, ...], ...] = ()
    kappa: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def count(self) -> int:
        """Cases that both have labelled."""
        return sum(map(sum, self.matrix))

    @property
    def agreed(self) -> int:
        """Cases to which both gave the same label."""
        return sum(row[place] for place, row in enumerate(self.matrix))

    @property
    def standing(self) -> Standing:
        """What can be said of it.

        ``one label``: both said the same of every case, so that there is no telling agreement
        from habit. ``not above chance``: the interval reaches down to 0.
        """
        if self.count < MIN_LABELS:
            return "too few labels"
        if self.low is None:
            return "one label"
        return "above chance" if self.low > 0 else "not above chance"


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Compare the labels that two raters gave to the same cases.

    The interval takes chance agreement as given and is Wilson's for the share of cases on which
    the raters agree, put on the scale of kappa. With 10 to 50 cases it covers the truth 93 to 99.9
    times in 100; the usual large-sample interval and the bootstrap were found to cover it only 53
    and 55 times at worst, and shrink to a point where all agree.

    Args:
        first: The labels of one rater, a label a case.
        second: The labels of the other, of the same cases in the same order.
    """
    # it takes seconds to import; also without labels, so that the first one does not wait for it
    from scipy.stats import binomtest
    from scipy.stats.contingency import crosstab, expected_freq

    if not first:
        return Agreement()
    labels = tuple(sorted({*first, *second}, key=_place))
    counts = crosstab(first, second, levels=(labels, labels)).count
    matrix = tuple(tuple(int(count) for count in row) for row in counts)
    bare = Agreement(labels, matrix)
    chance = float(expected_freq(counts).trace()) / bare.count
    if bare.count < MIN_LABELS or chance == 1:
        return bare
    share = binomtest(bare.agreed, bare.count).proportion_ci(CONFIDENCE, method="wilson")
    kappa, low, high = (
        max(-1.0, (observed - chance) / (1 - chance))
        for observed in (bare.agreed / bare.count, float(share.low), float(share.high))
    )
    return Agreement(labels, matrix, kappa, low, high)


def _place(label: str) -> tuple[int, float, str]:
    """Where a label stands among the others."""
    if label in FIRST:
        return 0, FIRST.index(label), ""
    try:
        return 1, float(label), label
    except ValueError:
        return 2, 0.0, label
