"""Tokens as Claude's API counts them, what they cost, and models' names as places write them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from evalkit.jsonable import Json

KINDS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read",
    "cache_creation_input_tokens": "cache_write",
}
"""The API's names of the four kinds of tokens, as receipts use them, to :class:`Usage`'s."""

TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - a key of MLflow's
"""Attribute of a span, as MLflow reads it."""

_CAMEL = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
OUTPUT_RATIO = 5.0
CACHE_READ_RATIO = 0.1
CACHE_WRITE_RATIO = 1.25
CACHE_WRITE_1H_RATIO = 2.0
"""What all of Anthropic's prices of a token are, to that of an input token."""

WEB_SEARCH_USD = 0.01
LONGEST_S = 366 * 86_400  # a longer duration is not believed

_LARGEST = 2**53  # beyond it a count is garbage, and no JSON reader keeps it exact


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by kind; none is counted under two kinds."""

    input: int = 0  # read afresh, neither from nor into the cache
    output: int = 0  # thinking included
    cache_read: int = 0
    cache_write: int = 0  # read and written into the cache, for however long
    cache_write_1h: int = 0  # the part of it that is kept for an hour, at another price

    def __add__(self, other: Usage) -> Usage:
        return self._with(other, operator.add)

    def __sub__(self, other: Usage) -> Usage:
        return self._with(other, operator.sub)

    def largest(self, other: Usage) -> Usage:
        """The larger figure of each kind: a message's later lines only ever add."""
        return self if self == other else self._with(other, max)

    def _with(self, other: Usage, combine: Callable[[int, int], int]) -> Usage:
        return Usage(*map(combine, self.counts, other.counts))

    @property
    def counts(self) -> tuple[int, ...]:
        """The tokens by kind, in the order of the attributes."""
        return self.input, self.output, self.cache_read, self.cache_write, self.cache_write_1h

    def covers(self, other: Usage) -> bool:
        """Whether no kind that the model read is larger in ``other``."""
        return all(a >= b for a, b in zip(self.read, other.read, strict=True))

    @property
    def read(self) -> tuple[int, int, int]:
        """What the model read, by kind: facts in every log, where the output is not."""
        return self.input, self.cache_read, self.cache_write

    def as_mlflow(self, *, with_output: bool) -> dict[str, Json]:
        """The usage in MLflow's names.

        Without output tokens, where they are not known, there is no total either: MLflow's UI would
        take the total less the input for the output.
        """
        usage: dict[str, Json] = {"input_tokens": self.input}
        if with_output:  # as MLflow counts it for Claude: without the cache
            usage |= {"output_tokens": self.output, "total_tokens": self.input + self.output}
        usage["cache_read_input_tokens"] = self.cache_read
        usage["cache_creation_input_tokens"] = self.cache_write
        if self.cache_write_1h:
            usage["cache_creation_input_tokens_above_1hr"] = self.cache_write_1h
        return usage


def usage_from(raw: Json) -> Usage | None:
    """The usage in an event, in either spelling; None where it says nothing.

    A message whose counts are all zero is a placeholder: no call reads nothing.
    """
    if not isinstance(raw, dict):
        return None
    names = _CAMEL if "inputTokens" in raw else KINDS
    read, output, cached, written = [count(raw.get(name)) for name in names]
    if not (read or output or cached or written):
        return None
    hour = 0
    if isinstance(by_duration := raw.get("cache_creation"), dict):
        hour = min(count(by_duration.get("ephemeral_1h_input_tokens")), written)
    return Usage(read, output, cached, written, hour)


def count(raw: Json) -> int:
    """A count in an event; zero where it is none."""
    if type(raw) is int and 0 <= raw < _LARGEST:
        return raw
    return int(raw) if isinstance(raw, float) and 0 <= raw < _LARGEST else 0


def total(usages: Iterable[Usage]) -> Usage:
    """The sum; columns are added up, for objects in between would take most of the time."""
    columns = zip(*(usage.counts for usage in usages), strict=True)
    return Usage(*map(sum, columns))


_SUFFIX = re.compile(r"(?:[-@]20\d{6})?(?:-v\d+(?::\d+)?)?(?:\[[^\]]*\])?$")


def model_key(name: str) -> str:
    """What two names of one model have in common: no date, no version, no provider's prefix.

    ``claude-haiku-4-5@20251001``, ``claude-haiku-4-5[1m]`` and
    ``us.anthropic.claude-haiku-4-5-20251001-v1:0`` are one.
    """
    name = _SUFFIX.sub("", name.strip().lower())
    return name[max(name.find("claude"), 0) :]


def provider_of(model: str) -> str:
    """Who made the model, where its name says so."""
    return "anthropic" if "claude" in model.lower() else ""


_WORKSPACES = re.compile(r"^(system\.ai\.)?(databricks/)?databricks-|^anthropic/")
_REGIONS = re.compile(r"([a-z-]+\.)?anthropic\.claude")


def cost_of(model: str, usage: Usage, moment: datetime | None = None) -> float | None:
    """USD for the tokens of one call; None where the price is not known, which is never nothing.

    A model that a Databricks workspace offers costs what Anthropic takes for it, one of a region on
    Bedrock what the region does; a name of one's own, such as that of an endpoint, says no price.
    Prices change: ``moment`` is when it was, None for now. Longer calls of some models cost more.
    """
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price  # by the list that it brings along: nothing is fetched

    name = _WORKSPACES.sub("", model.strip().lower())
    provider = "aws" if _REGIONS.match(name) else "anthropic"
    if provider == "anthropic" and not name.startswith("claude"):
        return None
    tokens = Tokens(
        input_tokens=sum(usage.read),
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
    )
    try:
        found = calc_price(tokens, name, provider_id=provider, genai_request_timestamp=moment)
    except LookupError:
        return None
    return float(found.total_price)


@dataclass(frozen=True, slots=True)
class Consumption:
    """What an agent session, or a whole run, consumed; None where it is not said.

    Attributes:
        exit_code: The agent process's.
        tokens: Tokens by kind: ``input``, ``output``, ``cache_read``, ``cache_create``.
        per_model: The same by model, with ``cost_usd``.
        steps: Ids of the steps that it took, in order; empty where it took only one.
    """

    duration_s: float | None = None
    cost_usd: float | None = None
    num_turns: int | None = None
    exit_code: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    per_model: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
