"""What a session's result event says it used and cost, model by model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.core.content import list_of, mapping_of, text_of
from evalkit.core.conversation import ModelCall, Session
from evalkit.core.pricing import weight
from evalkit.core.usage import Usage, count, model_key, total, usage_from
from evalkit.core.values import Json


@dataclass(frozen=True, slots=True)
class ModelTotal:
    """One model's share of a session.

    Attributes:
        model: Its name, as the result event writes it; empty where that names no models.
        usage: Its tokens.
        cost: USD for them; None where the log does not say.
        searches: Web searches that the API ran for it.
        provider: Who served it, where the log says so.
    """

    model: str
    usage: Usage
    cost: float | None = None
    searches: int = 0
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Totals:
    """What one session used.

    Attributes:
        models: Share of each model, helpers and subagents included.
        main: The main thread's tokens; None where the log does not say.
        last_messages: Tokens of the main thread's last messages, their output final.
        cost: USD for the session; None where the log does not say.
    """

    models: tuple[ModelTotal, ...] = ()
    main: Usage | None = None
    last_messages: tuple[Usage, ...] = ()
    cost: float | None = None

    @property
    def names_none(self) -> bool:
        """Whether the result says tokens, but not of which model."""
        return [share.model for share in self.models] == [""]

    @property
    def usage(self) -> Usage:
        """All models' tokens."""
        return total(share.usage for share in self.models)

    def share_of(self, model: str) -> ModelTotal | None:
        """The share of the model that goes by this name or one that means the same.

        A call that names no model is the only model's there is.
        """
        exact = [share for share in self.models if model in {share.model, ""}]
        alike = exact or [s for s in self.models if model_key(s.model) == model_key(model)]
        return alike[0] if len(alike) == 1 else None


def totals_of(result: Mapping[str, Json] | None) -> Totals | None:
    """The totals in a result event; None where there is no such event or it holds none."""
    if result is None:
        return None
    main = usage_from(result.get("usage"))
    cost = _money(result.get("total_cost_usd"))
    shares = tuple(
        ModelTotal(
            model=model,
            usage=usage_from(told) or Usage(),
            cost=_money(told.get("costUSD")),
            searches=count(told.get("webSearchRequests")),
            provider=text_of(told.get("provider")),
        )
        for model, told in mapping_of(result.get("modelUsage")).items()
        if isinstance(told, dict)
    )
    if not shares and main is not None:
        shares = (ModelTotal("", main, cost),)
    if not shares and cost is None:
        return None
    last = (usage_from(each) for each in list_of(mapping_of(result.get("usage")).get("iterations")))
    return Totals(shares, main, tuple(usage for usage in last if usage is not None), cost)


def shown(calls: Iterable[ModelCall]) -> Usage:
    """What the log's messages say that these calls used."""
    return total(call.usage for call in calls if call.usage is not None)


def own_totals(sessions: Sequence[Session]) -> list[Totals | None]:
    """The totals of each session by itself.

    One process of Claude Code that answers several prompts restates, in each result, all that it
    used since it began; several processes that share a session's id do not. The log does not say
    which it is, but its figures do: see :func:`_continues` and :func:`_adds_cost`.
    """
    own: list[Totals | None] = []
    told: list[tuple[str, Totals, float]] = []  # session's id, what it stated, its price of a token
    for session in sessions:
        if own and session.step != sessions[len(own) - 1].step:
            told = []  # each step is a process of its own
        stated = alone = totals_of(session.result)
        if stated is not None and alone is not None and (stated.models or stated.cost):
            tokens = weight(stated.usage if stated.models else shown(session.calls))
            same = [each for each in told if each[0] == session.session_id]
            for _, before, price in (same or told)[-1:]:
                if _continues(before, stated, session):
                    alone = _less(stated, before)
                elif same and _adds_cost(stated, before, price, tokens):
                    known = (ModelTotal("", Usage(), before.cost),)
                    alone = _less(stated, Totals(known, cost=before.cost))
            told.append((session.session_id, stated, (alone.cost or 0.0) / (tokens or 1.0)))
        own.append(alone)
    return own


def _adds_cost(stated: Totals, before: Totals, price: float, tokens: float) -> bool:
    """Whether a result without models restates the cost of an earlier one, not its tokens.

    It does if a token's price is nearer to the earlier one's that way.
    """
    if any(share.model for share in stated.models) or stated.cost is None:
        return False
    rest = stated.cost - (before.cost or 0.0)
    return rest >= 0 and (not tokens or price**2 < rest * stated.cost / tokens**2)


def _continues(before: Totals, stated: Totals, session: Session) -> bool:
    """Whether a session's result restates what an earlier one said.

    It does if nothing in it is smaller, if what is left when the earlier figures are taken off
    still covers what the session's own messages show, and if the session's messages do not
    already account for all of it.
    """
    logged = shown(session.calls)
    pairs = [(stated.share_of(share.model), share) for share in before.models]
    grown = all(
        now is not None and now.usage.covers(then.usage) and now.usage.output >= then.usage.output
        for now, then in pairs
    )
    dearer = (stated.cost or 0.0) >= (before.cost or 0.0)
    left = stated.usage - before.usage
    accounted = logged.read == stated.usage.read
    return bool(pairs) and grown and dearer and left.covers(logged) and not accounted


def _less(stated: Totals, before: Totals) -> Totals:
    models = []
    for share in stated.models:
        earlier = before.share_of(share.model)
        if earlier is not None:
            share = replace(  # noqa: PLW2901 - the share of this session alone
                share,
                usage=share.usage - earlier.usage,
                cost=_minus(share.cost, earlier.cost),
                searches=max(0, share.searches - earlier.searches),
            )
        models.append(share)
    cost = _minus(stated.cost, before.cost)
    return Totals(tuple(models), stated.main, stated.last_messages, cost)


def _minus(now: float | None, before: float | None) -> float | None:
    return None if now is None else max(0.0, now - (before or 0.0))


def _money(raw: Json) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw < float(2**53):
        return None
    return float(raw)
