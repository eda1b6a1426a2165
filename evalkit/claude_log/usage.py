"""What a session's result event says it used and cost, model by model, and the price behind that.

All of Anthropic's prices stand in fixed ratios to the price of an input token, so tokens and cost
of a model leave one unknown; that it comes out as a round number of cents for a million tokens is
what shows that the ratios hold. No price list is needed, and none can be out of date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.claude_log.session import ModelCall, Session
from evalkit.jsonable import Json, is_number, list_of, mapping_of
from evalkit.tokens import (
    CACHE_READ_RATIO,
    CACHE_WRITE_1H_RATIO,
    CACHE_WRITE_RATIO,
    OUTPUT_RATIO,
    WEB_SEARCH_USD,
    Consumption,
    Usage,
    count,
    model_key,
    total,
    usage_from,
)

REPORTED_KINDS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_create": "cache_write",
}
"""The harness's names of the kinds of tokens, to :class:`~evalkit.tokens.Usage`'s."""

_CENTS = 100
_DEAREST = 1_000 * _CENTS  # for a million tokens; beyond it a round number explains nothing
_ROUND = 1e-6  # of how far from a whole number a price may be: by chance, one in 500,000 is


@dataclass(frozen=True, slots=True)
class StatedPrice:
    """What a model costs by a log's own figures."""

    per_million: float  # USD for input tokens, read afresh
    total: Usage  # that shows it, its cache writes told apart as they were priced
    by_duration: bool  # else those kept for an hour cost no more, as with older Claude Code

    def cost(self, usage: Usage) -> tuple[float, float]:
        """USD for what a call read and for what it wrote."""
        unit = self.per_million / 1_000_000
        usage = usage if self.by_duration else replace(usage, cache_write_1h=0)
        read, wrote = _weights(usage)
        return read * unit, wrote * unit


@dataclass(frozen=True, slots=True)
class ModelTotal:
    """One model's share of a session; an empty name where the result event names no models."""

    model: str
    usage: Usage
    cost: float | None = None
    searches: int = 0  # on the web, by the API

    def price(self, hour_writes: int) -> StatedPrice | None:
        """The price that explains the cost; None where none does.

        Totals do not tell cache writes apart: ``hour_writes`` of them, as the calls that the log
        shows have them, are tried as kept for an hour, then all, then none.
        """
        paid = (self.cost or 0.0) - self.searches * WEB_SEARCH_USD
        written = self.usage.cache_write
        for writes in dict.fromkeys((min(hour_writes, written), written, 0)):
            usage = replace(self.usage, cache_write_1h=writes)
            cents = paid / (sum(_weights(usage)) or 1.0) * 1_000_000 * _CENTS
            off = abs(cents - round(cents))
            if 1 <= cents <= _DEAREST and off <= _ROUND * max(1.0, cents / _CENTS):
                return StatedPrice(round(cents) / _CENTS, usage, writes > 0 or not hour_writes)
        return None


@dataclass(frozen=True, slots=True)
class Totals:
    """What one session used, helpers and subagents included, as far as the log says."""

    models: tuple[ModelTotal, ...] = ()
    main: Usage | None = None  # the main thread's tokens
    last_messages: tuple[Usage, ...] = ()  # of the main thread; their output is final
    cost: float | None = None
    is_of_more: bool = False  # than what the log holds, and it says so

    @property
    def are_stated(self) -> bool:
        """Whether the result, or the run, says tokens or cost."""
        return bool(self.models) or self.cost is not None

    @property
    def names_none(self) -> bool:
        """Whether the result says tokens, but not of which model."""
        return [share.model for share in self.models] == [""]

    @property
    def usage(self) -> Usage:
        """All models' tokens."""
        return total(share.usage for share in self.models)

    def share_of(self, model: str) -> ModelTotal | None:
        """The share of the model of this name, or of one that means the same."""
        exact = [share for share in self.models if model in {share.model, ""}]
        alike = exact or [s for s in self.models if model_key(s.model) == model_key(model)]
        return alike[0] if len(alike) == 1 else None

    def __sub__(self, before: Totals) -> Totals:
        """What is left without an earlier session's."""
        none, models = ModelTotal("", Usage()), []
        for now in self.models:
            then = before.share_of(now.model) or none
            cost, searches = _minus(now.cost, then.cost), max(0, now.searches - then.searches)
            models.append(ModelTotal(now.model, now.usage - then.usage, cost, searches))
        return replace(self, models=tuple(models), cost=_minus(self.cost, before.cost))


def _minus(now: float | None, before: float | None) -> float | None:
    return None if now is None else max(0.0, now - (before or 0.0))


def _weights(usage: Usage) -> tuple[float, float]:
    """How many input tokens, read afresh, cost as much as what was read, and what was written."""
    read = (
        usage.input
        + usage.cache_read * CACHE_READ_RATIO
        + (usage.cache_write - usage.cache_write_1h) * CACHE_WRITE_RATIO
        + usage.cache_write_1h * CACHE_WRITE_1H_RATIO
    )
    return read, usage.output * OUTPUT_RATIO


def logged_usage(calls: Iterable[ModelCall]) -> Usage:
    """What the log's messages say that these calls used."""
    return total(call.usage for call in calls if call.usage is not None)


def settle_output(call: ModelCall, output: int, basis: str) -> None:
    """Replace a call's logged output tokens by what is known to be true."""
    if call.usage is not None:
        call.facts["evalkit.usage.output_tokens_logged"] = call.usage.output
        call.usage = replace(call.usage, output=output)
        call.output_basis = basis


def settle_by_total(calls: Sequence[ModelCall], stated: Usage) -> None:
    """Settle outputs by what they have to add up to, if the log shows all the calls."""
    logged = logged_usage(calls)
    if any(call.usage is None for call in calls) or logged.output == 0:
        return
    unknown = [call for call in calls if not call.output_basis]
    if logged.output == stated.output:
        for call in unknown:
            call.output_basis = "result"
    elif len(unknown) == 1 and logged.read == stated.read:
        known = known_usage(calls).output
        if stated.output > known:
            settle_output(unknown[0], stated.output - known, "remainder")


def known_usage(calls: Sequence[ModelCall]) -> Usage:
    """What calls used, without outputs that are no facts."""
    final = logged_usage(call for call in calls if call.output_basis)
    return replace(logged_usage(calls), output=final.output)


def _totals_in(result: Mapping[str, Json]) -> Totals:
    """The totals in a result event."""
    main, cost = usage_from(result.get("usage")), _money(result.get("total_cost_usd"))
    shares = [
        ModelTotal(
            model,
            usage_from(used) or Usage(),
            _money(used.get("costUSD")),
            count(used.get("webSearchRequests")),
        )
        for model, used in mapping_of(result.get("modelUsage")).items()
        if isinstance(used, dict)
    ]
    if not shares and main is not None:
        shares = [ModelTotal("", main, cost)]
    last = map(usage_from, list_of(mapping_of(result.get("usage")).get("iterations")))
    known = tuple(usage for usage in last if usage is not None)
    return Totals(tuple(shares), main, known, cost, result.get("is_of_more") is True)


def _money(raw: Json) -> float | None:
    return float(raw) if is_number(raw) and 0 <= raw < 2**53 else None


def own_totals(sessions: Sequence[Session]) -> list[Totals]:
    """The totals of each session by itself.

    One process that answers several prompts restates, in each result, all that it used since it
    began; several processes that share a session's id do not. Only the figures tell which it is.
    """
    own: list[Totals] = []
    earlier: list[tuple[Session, Totals, float]] = []  # what it stated, and a token's price
    for session in sessions:
        stated = _totals_in(session.result or {})
        if not (stated.models or stated.cost):
            own.append(stated)
            continue
        alone, usage = stated, stated.usage if stated.models else logged_usage(session.calls)
        tokens = sum(_weights(usage))
        of_step = [each for each in earlier if each[0].step == session.step]  # one process
        same = [each for each in of_step if each[0].session_id == session.session_id]
        # other formats' ids tell threads apart for sure
        known = same or ([] if "evalkit.log_format" in session.facts else of_step)
        for _, before, price in known[-1:]:
            if _continues(before, stated, session):
                alone = stated - before
            elif same and _adds_cost(stated, before, price, tokens):
                alone = stated - Totals((ModelTotal("", Usage(), before.cost),), cost=before.cost)
        earlier.append((session, stated, (alone.cost or 0.0) / (tokens or 1.0)))
        own.append(alone)
    return own


def _adds_cost(stated: Totals, before: Totals, price: float, tokens: float) -> bool:
    """Whether a result without models restates an earlier one's cost, by what a token costs."""
    if any(share.model for share in stated.models) or stated.cost is None:
        return False
    rest = stated.cost - (before.cost or 0.0)
    return rest >= 0 and (not tokens or price**2 < rest * stated.cost / tokens**2)


def _continues(before: Totals, stated: Totals, session: Session) -> bool:
    """Whether a session's result restates what an earlier one said.

    It does if nothing in it is smaller, if what is left without the earlier figures covers what the
    session's own messages show, and if these do not already account for all of it.
    """
    logged = logged_usage(session.calls)
    pairs = [(stated.share_of(share.model), share) for share in before.models]
    grown = all(
        now is not None and now.usage.covers(then.usage) and now.usage.output >= then.usage.output
        for now, then in pairs
    )
    dearer = (stated.cost or 0.0) >= (before.cost or 0.0)
    is_left = (stated.usage - before.usage).covers(logged)
    return bool(pairs) and grown and dearer and is_left and logged.read != stated.usage.read


def complete_totals(own: Totals, reported: Consumption) -> Totals:
    """A session's totals, from what the run reports where the session itself is silent."""
    if own.models:
        return own if own.cost is not None else replace(own, cost=reported.cost_usd)
    tokens = reported_usage(reported.tokens)
    shares = tuple(
        ModelTotal(model, usage, used.get("cost_usd"))
        for model, used in reported.per_model.items()
        if (usage := reported_usage(used)) != Usage()
    )
    if not shares and tokens != Usage():
        shares = (ModelTotal("", tokens, reported.cost_usd),)
    cost = own.cost or reported.cost_usd
    return Totals(shares, cost=cost) if shares or cost else own


def reported_usage(tokens: Mapping[str, float]) -> Usage:
    """Tokens by the harness's names of their kinds."""
    return Usage(**{name: count(tokens.get(kind)) for kind, name in REPORTED_KINDS.items()})
