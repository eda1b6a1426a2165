"""Which figures of a log are facts, which are left over, and what its receipt says in the end.

A message's line is logged while the message is being written, so its output tokens are often a
placeholder. The result event knows the truth, but only by model. A call carries its output tokens
where the log determines them: by the final usage of its pieces (``stream``), by a line written
after its end (``logged``, ``stop_reason``), by a subagent's result (``tool result``), by the last
message that the result lists or a sum that is exactly the result's (``result``), or as all that is
left for it (``remainder``). Everything else is a remainder, which has a model and no span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose

from evalkit.claude_log.session import ModelCall, Session
from evalkit.claude_log.subagents import add_closing_calls
from evalkit.claude_log.usage import (
    REPORTED_KINDS,
    ModelTotal,
    StatedPrice,
    Totals,
    complete_totals,
    known_usage,
    logged_usage,
    own_totals,
    settle_by_total,
    settle_output,
)
from evalkit.jsonable import Json, canonical
from evalkit.receipt import Cause, Difference, Receipt, verdict_on
from evalkit.tokens import KINDS, Consumption, Usage, total

_SAME_MONEY = 1e-9  # USD; floats that were added up in another order differ by less
_RUN_DISAGREES = "run_result.json says so of the case, and the log says otherwise"
_EXCEEDED = "the log's messages exceed its own result; the result is taken for the trace"
_NO_CALL = "the log shows no call of this model: helper calls, or a subagent's"
_UNSHOWN = "calls that the log does not show: helper calls, or a subagent's"


@dataclass(slots=True)
class Figures:
    """What a session's figures amount to."""

    session: Session
    totals: Totals
    usage: Usage  # all of it: what the result says, else what the messages say
    is_output_known: bool
    prices: dict[str, StatedPrice] = field(default_factory=dict)  # by the result's names of models
    priced: bool = False  # every call that the log shows has a cost
    # model to what belongs to it but to no span: tokens by kind and ``cost_usd``
    remainder: dict[str, dict[str, Json]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_stated(self) -> bool:
        """Whether the result says tokens; of a session that used none it need not."""
        return bool(self.totals.models) or (self.totals.cost == 0 and self.usage == Usage())

    @property
    def cost(self) -> dict[str, Json] | None:
        """USD for the session, split into input and output where prices explain all of it."""
        if self.totals.cost is None:
            return None
        if not (self.totals.cost or self.totals.models) and self.usage != Usage():
            return None  # an error's result: nothing in it, though messages did cost
        cost: dict[str, Json] = {"total_cost": self.totals.cost}
        prices = [self.prices.get(share.model) for share in self.totals.models]
        if prices and all(prices):
            output = sum((price.cost(price.total)[1] for price in prices if price), 0.0)
            cost |= {"input_cost": max(0.0, self.totals.cost - output), "output_cost": output}
        return cost


def settle(
    sessions: Sequence[Session], reported: Consumption, streamed: Mapping[str, Usage]
) -> tuple[list[Figures], bool]:
    """The figures of a log's sessions, and whether the run had to say what the log does not.

    Fills ``usage``, ``output_basis`` and ``cost`` of the sessions' calls; ``streamed`` are the
    final figures of messages by their ids.
    """
    own = own_totals(sessions)
    totals = [complete_totals(own[0], reported)] if len(own) == 1 else own
    figures = []
    for session, of_session in zip(sessions, totals, strict=True):
        add_closing_calls(session, of_session)
        figures.append(_reconcile(session, of_session, streamed))
    return figures, totals != own


def _reconcile(session: Session, totals: Totals, streamed: Mapping[str, Usage]) -> Figures:
    """Settle which figures of a session's calls are facts, and compare them with its totals."""
    calls = session.calls
    for call in calls:
        if final := streamed.get(call.message_id):
            call.usage = final if call.usage is None else call.usage.largest(final)
            call.output_basis = "stream"
        elif call.stop_reason and call.usage is not None and not call.output_basis:
            call.output_basis = "stop_reason"
    found = Figures(session, totals, logged_usage(calls), all(call.output_basis for call in calls))
    if not totals.models:
        return found
    found.usage, found.is_output_known = totals.usage, True
    main = [call for call in session.main.calls if not call.synthetic]
    for last in totals.last_messages:
        same = [c for c in main if c.usage is not None and c.usage.read == last.read]
        if len(same) == 1 and not same[0].output_basis:
            settle_output(same[0], last.output, "result")
    if totals.main is not None:
        settle_by_total(main, totals.main)
    by_share = _by_share(totals, session)
    is_main_complete = totals.main is not None and logged_usage(main).read == totals.main.read
    has_others = is_main_complete or (totals.main is None and len(list(session.main.threads)) > 1)
    for share in totals.models:
        own = by_share.get(share.model, [])
        is_unseen = not own and (totals.main is None or not calls)
        is_silent = any(call.usage is None for call in own)
        is_explained = has_others or is_unseen or is_silent or totals.is_of_more
        _settle_share(found, own, share, is_explained=is_explained)
    _name_beyond(found, by_share.get(None, []), totals)
    if totals.cost is not None:
        _compare_cost(found, calls, totals.cost)
    return found


def _by_share(totals: Totals, session: Session) -> dict[str | None, list[ModelCall]]:
    """Model, as the result names it, to its calls; None to those that it does not tell of.

    A result that names no models tells of the main thread, unless its tokens are those of all.
    """
    calls, found = session.calls, dict[str | None, list[ModelCall]]()
    main = set(session.main.calls)
    is_main = totals.names_none and logged_usage(calls).read != totals.usage.read
    for call in calls:
        share = totals.models[0] if totals.names_none else totals.share_of(call.model)
        outside = share is None or (is_main and call not in main)
        found.setdefault(None if outside or share is None else share.model, []).append(call)
    return found


def _spent(calls: Sequence[ModelCall]) -> float:
    return sum((call.spent or 0.0 for call in calls), 0.0)


def _settle_calls(found: Figures, calls: Sequence[ModelCall], share: ModelTotal) -> bool:
    """Settle outputs and costs by one model's share; whether the outputs exceed it."""
    settle_by_total(calls, share.usage)
    contradicted = known_usage(calls).output > share.usage.output
    if contradicted:  # then none of these outputs is a fact
        for call in calls:
            call.output_basis = ""
    if price := share.price(logged_usage(calls).cache_write_1h):
        found.prices[share.model] = price
        for call in calls:
            if call.usage is not None and call.output_basis:
                call.cost = price.cost(call.usage)
    return contradicted


def _settle_share(
    found: Figures, calls: Sequence[ModelCall], share: ModelTotal, *, is_explained: bool
) -> None:
    """Settle one model's calls, and name what they and its share do not agree on."""
    contradicted = _settle_calls(found, calls, share)
    known, rest = known_usage(calls), dict[str, Json]()
    is_all_read = known.read == share.usage.read
    for kind, name in KINDS.items():
        there, stated = getattr(known, name), getattr(share.usage, name)
        is_output = name == "output"
        if there != stated:
            is_rest = is_explained and not (is_output and is_all_read)
            why = _why(calls, is_output=is_output, is_rest=is_rest)
            why = (_EXCEEDED, "") if there > stated or (contradicted and is_output) else why
            found.differences.append(Difference(kind, share.model, there, stated, *why))
        if stated > there:
            rest[kind] = stated - there
    if share.cost is not None and (unspent := share.cost - _spent(calls)) > _SAME_MONEY:
        rest["cost_usd"] = unspent
    if rest:
        found.remainder[share.model or "all models"] = rest


def _why(calls: Sequence[ModelCall], *, is_output: bool, is_rest: bool) -> tuple[str, Cause]:
    """Why calls show less than their model's share; ``is_rest`` where others may have used it."""
    if not calls:
        return _NO_CALL, "unlogged tokens"
    silent = sum(call.usage is None for call in calls)
    vague = sum(call.usage is not None and not call.output_basis for call in calls)
    reasons = [f"{silent} of {len(calls)} calls log no tokens"] if silent else []
    if vague and is_output:
        reasons.append(f"{vague} of {len(calls)} calls log only a placeholder for their output")
    if is_rest:
        return "; ".join(reasons) or _UNSHOWN, "unlogged tokens"
    if vague and is_output:
        return "; ".join(reasons), "output tokens"
    return "; ".join([*reasons, "nothing in the log says who used the rest"]), ""


def _name_beyond(found: Figures, calls: Sequence[ModelCall], totals: Totals) -> None:
    """Name the tokens of calls that the result does not tell of."""
    why = "the result names no such model: the spans exceed its total by these"
    if totals.names_none:
        why = "the result tells of the main thread alone; a subagent's are added to the trace's"
        found.usage += logged_usage(calls)
        found.is_output_known = all(call.output_basis for call in calls)
    for model in dict.fromkeys(call.model for call in calls):
        own = known_usage([call for call in calls if call.model == model])
        found.differences += [
            Difference(kind, model, getattr(own, name), 0, why)
            for kind, name in KINDS.items()
            if getattr(own, name)
        ]


def _compare_cost(found: Figures, calls: Sequence[ModelCall], cost: float) -> None:
    known = _spent(calls)
    unknown = sum(call.spent is None for call in calls)
    found.priced = bool(calls) and not unknown
    if abs(known - cost) <= max(_SAME_MONEY, 1e-6 * cost):
        return
    cause: Cause = "cost"
    why = f"of {unknown} of {len(calls)} calls, output tokens or price are not known"
    if unknown and not found.prices:
        why = "no price explains the result's cost, so it cannot be told how calls share it"
    elif found.priced:
        why = "the rest was spent on calls that the log does not show"
        is_explained = any(each.cause == "unlogged tokens" for each in found.differences)
        cause = "unlogged tokens" if is_explained else ""
    cause = cause if known <= cost else ""
    found.differences.append(Difference("cost_usd", "", known, cost, why, cause))


def conclude(receipt: Receipt, figures: Sequence[Figures], reported: Consumption) -> bool:
    """Say on the receipt whether figures add up; returns whether the run reports others."""
    misfits = list(_misfits(reported, figures))
    receipt.sessions = len(figures)
    receipt.differences = [*(d for each in figures for d in each.differences), *misfits]
    for number, each in enumerate(figures, start=1):
        session, said = each.session, ""
        if session.result is None and not session.has_result_event:
            said = "logs of this format state no totals; what messages say stands"
            if vague := sum(not call.output_basis for call in session.calls):
                of = f"{vague} of {len(session.calls)}"
                said += f"; of {of}, output tokens are mere placeholders"
        elif session.result is None:
            said = "the log is cut off: it ends before the result event"
        elif not each.is_stated:
            said = "the result event says no tokens; what messages say stands"
        if said:
            receipt.note(f"session {number}: {said}" if len(figures) > 1 else said)
    if all(each.session.result and each.is_stated for each in figures):
        receipt.verdict = verdict_on(receipt.differences)
    return bool(misfits)


def _misfits(reported: Consumption, figures: Sequence[Figures]) -> Iterator[Difference]:
    """The figures of a trace that are not those which the run reports.

    A run whose agent was killed reports nothing: no cost, and zero tokens.
    """
    used = total(each.usage for each in figures)
    main = total(each.totals.main or Usage() for each in figures)
    is_output_known = all(each.is_output_known for each in figures)
    for kind, name in REPORTED_KINDS.items():
        stated, there = reported.tokens.get(kind), getattr(used, name)
        is_known = is_output_known or kind != "output"
        if stated and is_known and stated not in {there, getattr(main, name)}:
            yield Difference(f"{kind} tokens", "", there, stated, _RUN_DISAGREES)
    if usd := reported.cost_usd:
        cost = _cost_of(figures).get("total_cost", 0.0)
        decimals = max(2, len(f"{usd:.12f}".rstrip("0").partition(".")[2]))
        same = round(cost, decimals) == round(usd, decimals)  # as precisely as it is stated
        if not same and not isclose(cost, usd, rel_tol=1e-6):
            yield Difference("cost_usd", "", cost, usd, _RUN_DISAGREES)


def _cost_of(figures: Sequence[Figures]) -> dict[str, float]:
    """USD for all sessions, by the parts that all of them with a cost have."""
    costs = [cost for each in figures if (cost := each.cost) is not None]
    parts = set.intersection(*map(set, costs)) if costs else ()
    return {part: sum(each[part] for each in costs) for part in parts}


def metadata_of(figures: Sequence[Figures]) -> dict[str, str]:
    """Totals of a trace, as MLflow keeps them.

    It is in no session of MLflow's: by these, evaluations of one case each would be grouped.
    """
    metadata: dict[str, str] = {}
    usage = total(each.usage for each in figures)
    if usage != Usage() or all(each.is_stated for each in figures):
        known = all(each.is_output_known for each in figures)
        metadata["mlflow.trace.tokenUsage"] = canonical(usage.as_mlflow(with_output=known))
    if cost := _cost_of(figures):
        metadata["mlflow.trace.cost"] = canonical(cost)
    return metadata
