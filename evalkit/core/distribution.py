"""How values lie: percentiles, and how many fall into which range."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SKEWED = 50.0
"""Where the largest value is so many times the smallest, ranges grow with the values."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie.

    Attributes:
        count: How many there are.
        median: Half of them are at most this.
        p90: Nine in ten are at most this.
        p99: 99 in 100 are at most this.
        largest: The largest.
        total: All of them added up.
    """

    count: int
    median: float
    p90: float
    p99: float
    largest: float
    total: float


@dataclass(frozen=True, slots=True)
class Range:
    """Values between two bounds.

    Attributes:
        low: The lower bound.
        high: The upper bound; the last range includes it.
        count: How many values lie between.
    """

    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread | None:
    """How the values lie; None where there are none."""
    if not values:
        return None
    # the inclusive method never leaves the range of the values
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else values
    median, p90, p99 = (cuts[min(place, len(cuts) - 1)] for place in (49, 89, 98))
    return Spread(len(values), median, p90, p99, max(values), math.fsum(values))


def ranges(values: Sequence[float], most: int = 24) -> list[Range]:
    """How many values lie in which range, for a histogram.

    Ranges are equally wide; where the values differ by orders of magnitude, each is so many times
    as wide as the one before.

    Args:
        values: The values, none of them negative.
        most: How many ranges there may be.
    """
    if not values:
        return []
    low, high = min(values), max(values)
    if low == high:
        return [Range(low, high, len(values))]
    number = max(1, min(most, len(values)))
    skewed = low > 0 and high / low > SKEWED
    scale = (math.log(low), math.log(high)) if skewed else (low, high)
    step = (scale[1] - scale[0]) / number
    edges = [scale[0] + step * place for place in range(1, number)]
    bounds = [low, *(math.exp(edge) if skewed else edge for edge in edges), high]
    counts: Counter[int] = Counter()
    for value in values:
        place = ((math.log(value) if skewed else value) - scale[0]) / step
        counts[min(int(place), number - 1)] += 1
    return [Range(bounds[n], bounds[n + 1], counts[n]) for n in range(number)]
