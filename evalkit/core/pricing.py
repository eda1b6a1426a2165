"""What a model costs, worked out from a log's own totals.

A result event says how many tokens of each kind a model used and what they cost together. All
of Anthropic's prices stand in fixed ratios to the price of an input token. So there is one
unknown, and it always has a solution; that the solution is a round number of cents for a million
tokens is what shows that the ratios hold. No price list is needed, and none can be out of date.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evalkit.core.usage import Usage

OUTPUT_RATIO = 5.0
CACHE_READ_RATIO = 0.1
CACHE_WRITE_RATIO = 1.25
CACHE_WRITE_1H_RATIO = 2.0
WEB_SEARCH_USD = 0.01

_CENTS = 100
_DEAREST = 1_000 * _CENTS
"""Cents for a million tokens; beyond it a round number explains nothing."""

_ROUND = 1e-6
"""How far from a whole number of cents a price may be: by chance, one in 500,000 is."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs in one log.

    Attributes:
        per_million: USD for a million input tokens, read afresh.
        total: The usage that shows it, its cache writes told apart as they were priced.
        by_duration: Whether cache writes kept for an hour cost more; older versions of Claude
            Code priced all alike.
    """

    per_million: float
    total: Usage
    by_duration: bool

    def cost(self, usage: Usage) -> tuple[float, float]:
        """USD for what a call read and for what it wrote."""
        unit = self.per_million / 1_000_000
        if not self.by_duration:
            usage = replace(usage, cache_write_1h=0)
        return _read(usage) * unit, usage.output * OUTPUT_RATIO * unit


def price_of(total: Usage, cost: float, *, searches: int, hour_writes: int) -> Price | None:
    """The price that explains what the log says the tokens cost; None where none does.

    Args:
        total: The model's tokens.
        cost: USD for them and for the searches.
        searches: Web searches that the API ran for the model.
        hour_writes: Cache writes, among the calls the log shows, that are kept for an hour. The
            totals do not tell cache writes apart: those of calls that are not shown are tried
            as all of one duration, and at last all writes as priced alike.
    """
    paid = cost - searches * WEB_SEARCH_USD
    if paid <= 0:
        return None
    for writes in dict.fromkeys((min(hour_writes, total.cache_write), total.cache_write, 0)):
        usage = replace(total, cache_write_1h=writes)
        tokens = weight(usage)
        cents = paid / tokens * 1_000_000 * _CENTS if tokens else 0.0
        if 1 <= cents <= _DEAREST and abs(cents - round(cents)) <= _ROUND * max(
            1.0, cents / _CENTS
        ):
            return Price(round(cents) / _CENTS, usage, by_duration=writes > 0 or not hour_writes)
    return None


def weight(usage: Usage) -> float:
    """How many input tokens, read afresh, cost as much as all of these."""
    return _read(usage) + usage.output * OUTPUT_RATIO


def _read(usage: Usage) -> float:
    return (
        usage.input
        + usage.cache_read * CACHE_READ_RATIO
        + (usage.cache_write - usage.cache_write_1h) * CACHE_WRITE_RATIO
        + usage.cache_write_1h * CACHE_WRITE_1H_RATIO
    )
