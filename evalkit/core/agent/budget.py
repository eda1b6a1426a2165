"""What may be spent, what was, and whether the next call fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from evalkit.core.usage import Usage
from evalkit.core.values import Json

SECONDS_A_MINUTE = 60
LEAST_TOKENS = 256
"""Tokens that an answer needs room for to be worth asking."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be spent; None where there is no limit.

    Attributes:
        turns: Calls of the model.
        tokens: Tokens that it reads and writes, cached ones included.
        usd: What it costs.
        minutes: Time, tools and waiting included.
    """

    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent.

    Attributes:
        turns: Calls of the model.
        usage: Tokens by kind.
        usd: What the calls cost whose price is known.
        unpriced: Calls whose price is not known.
        seconds: Time.
    """

    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.turns + other.turns,
            self.usage + other.usage,
            self.usd + other.usd,
            self.unpriced + other.unpriced,
            self.seconds + other.seconds,
        )

    @property
    def tokens(self) -> int:
        """Tokens of all kinds."""
        return sum(self.usage.read) + self.usage.output

    def as_json(self) -> dict[str, Json]:
        """The same by name; ``cost_usd`` is None where a call's price is not known."""
        return {
            "turns": self.turns,
            "tokens": self.tokens,
            "input_tokens": self.usage.input,
            "output_tokens": self.usage.output,
            "cache_read_input_tokens": self.usage.cache_read,
            "cache_creation_input_tokens": self.usage.cache_write,
            "cost_usd": None if self.unpriced else round(self.usd, 6),
            "priced_usd": round(self.usd, 6),
            "unpriced_calls": self.unpriced,
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """What one session may spend, and all of them together.

    Attributes:
        session: For each session.
        total: For all sessions of a session directory.
        sessions: How many sessions there may be.
    """

    session: Limits
    total: Limits
    sessions: int | None = None

    def session_over(self, spent: Spent) -> str:
        """Which limit of a session is reached, in words; empty where the next call fits."""
        return next(_reached(self.session, spent, "this session's"), "")

    def over(self, spent: Spent) -> str:
        """Which limit of all sessions together is reached; empty where the next call fits."""
        return next(_reached(self.total, spent, "the total"), "")

    def output_tokens(self, wanted: int, session: Spent, total: Spent) -> int:
        """How many tokens the next answer may have."""
        left = [
            limits.tokens - spent.tokens
            for limits, spent in ((self.session, session), (self.total, total))
            if limits.tokens is not None
        ]
        return max(LEAST_TOKENS, min([wanted, *left]))


def _reached(limits: Limits, spent: Spent, whose: str) -> Iterator[str]:
    if limits.turns is not None and spent.turns >= limits.turns:
        yield f"{whose} budget of {limits.turns} turns is spent"
    if limits.tokens is not None and spent.tokens + LEAST_TOKENS > limits.tokens:
        yield f"{whose} budget of {limits.tokens:,} tokens is spent ({spent.tokens:,} used)"
    if limits.usd is not None and spent.usd >= limits.usd > 0:
        yield f"{whose} budget of {limits.usd:g} USD is spent ({spent.usd:.2f} used)"
    if limits.usd is not None and spent.unpriced and limits.tokens is None:
        yield f"{whose} budget in USD cannot be kept: the model's price is not known"
    if limits.minutes is not None and spent.seconds >= limits.minutes * SECONDS_A_MINUTE:
        yield f"{whose} budget of {limits.minutes:g} minutes is spent"
