"""Tokens and what they cost: every figure of the demo's logs is a sum of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.core.values import Json

CHARACTERS_A_TOKEN = 4
"""How long a token is on average; good enough for figures that only have to be plausible."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model charges, in billionths of a US dollar a token (thousandths of USD a million).

    Cache writes are those that live for five minutes.
    """

    input: int
    output: int
    cache_read: int
    cache_create: int


SONNET = "claude-sonnet-4-6"
HAIKU = "claude-haiku-4-5-20251001"

PRICES: Mapping[str, Price] = {
    SONNET: Price(3_000, 15_000, 300, 3_750),
    HAIKU: Price(1_000, 5_000, 100, 1_250),
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind, as the API bills them: no token is counted under two kinds."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_create: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_create + other.cache_create,
        )

    @property
    def total(self) -> int:
        """All tokens, of whatever kind."""
        return self.input + self.output + self.cache_read + self.cache_create

    def cost_usd(self, model: str) -> float:
        """What they cost at the model's price."""
        price = PRICES[model]
        nano_usd = (
            self.input * price.input
            + self.output * price.output
            + self.cache_read * price.cache_read
            + self.cache_create * price.cache_create
        )
        return nano_usd / 1_000_000_000

    def as_usage(self, *, output: int | None = None) -> dict[str, Json]:
        """The ``usage`` of a message or result event.

        Args:
            output: Stands in for the output tokens where the log only has a placeholder.
        """
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_create,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_create,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": self.output if output is None else output,
            "service_tier": "standard",
        }

    def as_model_usage(self, model: str) -> dict[str, Json]:
        """One model's entry in the ``modelUsage`` of a result event."""
        return {
            "inputTokens": self.input,
            "outputTokens": self.output,
            "cacheReadInputTokens": self.cache_read,
            "cacheCreationInputTokens": self.cache_create,
            "webSearchRequests": 0,
            "costUSD": self.cost_usd(model),
            "contextWindow": 200_000,
            "maxOutputTokens": 64_000 if model == HAIKU else 32_000,
        }

    def as_run_usage(self) -> dict[str, int]:
        """The ``token_usage`` of a ``run_result.json``."""
        return {
            "input": self.input,
            "output": self.output,
            "cache_read": self.cache_read,
            "cache_create": self.cache_create,
        }


def estimate(text: str) -> int:
    """How many tokens a text has, roughly; at least one."""
    return max(1, -(-len(text) // CHARACTERS_A_TOKEN))


def total_cost(spent: Mapping[str, Tokens]) -> float:
    """What all models cost together, in USD."""
    return sum(tokens.cost_usd(model) for model, tokens in spent.items())
