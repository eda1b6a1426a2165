"""What a model's tokens cost, beforehand: the price list's view.

What a log says that its tokens did cost is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.core.usage import Usage

OUTPUT_RATIO = 5.0
CACHE_READ_RATIO = 0.1
CACHE_WRITE_RATIO = 1.25
CACHE_WRITE_1H_RATIO = 2.0
"""What all of Anthropic's prices of a token are, to that of an input token."""

WEB_SEARCH_USD = 0.01


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price, in USD a token.

    Attributes:
        input: Of a token read afresh.
        output: Of a token written.
        cache_read: Of a token read from the cache.
        cache_write: Of a token written into the cache for some minutes.
        cache_write_1h: Of a token written into the cache for an hour.
        long_from: Tokens; a call that reads more of them has the price ``long``.
        long: The price of such a call; None where it is the same.
    """

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float
    long_from: int = 0
    long: Price | None = None

    def cost(self, usage: Usage) -> float:
        """USD for the tokens of one call."""
        if self.long and sum(usage.read) > self.long_from:
            return self.long.cost(usage)
        return (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + (usage.cache_write - usage.cache_write_1h) * self.cache_write
            + usage.cache_write_1h * self.cache_write_1h
        )
