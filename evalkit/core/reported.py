"""A trace held against what the run itself reports of its case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isclose

from evalkit.core.conversation import Session
from evalkit.core.receipt import Difference
from evalkit.core.results import Usage as Reported
from evalkit.core.timing import Tick
from evalkit.core.totals import ModelTotal, Totals
from evalkit.core.tree import SessionView
from evalkit.core.usage import Usage, count, total

KINDS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_create": "cache_write",
}
"""The harness's names of the kinds of tokens, to :class:`~evalkit.core.usage.Usage`'s."""

_SOURCE = "run_result.json says so of the case, and the log says otherwise"
_SECOND = 10**9
"""Seconds; nothing that an agent did took longer."""


def complete_totals(own: Totals | None, reported: Reported) -> Totals | None:
    """A session's totals, from what the run reports where the session itself is silent."""
    if own is not None and own.models:
        return own
    tokens = _usage_of(reported.tokens)
    shares = tuple(
        ModelTotal(model, _usage_of(used), used.get("cost_usd"))
        for model, used in reported.per_model.items()
        if _usage_of(used) != Usage()
    )
    if not shares and tokens != Usage():
        shares = (ModelTotal("", tokens, reported.cost_usd),)
    cost = (own.cost if own is not None else None) or reported.cost_usd
    return Totals(shares, cost=cost) if shares or cost else own


def complete_duration(sessions: Sequence[Session], reported: Reported) -> bool:
    """Let the last session last as long as the run reports, where the log does not say.

    Returns:
        Whether it does now.
    """
    last = sessions[-1].line
    stated = reported.duration_s or 0
    if last.duration is not None or not stated:
        return False
    rest = int(stated * _SECOND) - sum(s.line.length for s in sessions[:-1])
    stamps = [tick.stamp for tick in last.ticks if tick.stamp is not None]
    if rest <= (max(stamps) - min(stamps) if stamps else 0):
        return False
    last.duration = rest
    if sessions[-1].result is None:  # it went on after the last event, until somebody ended it
        last.ticks.append(Tick(place=last.ticks[-1].place))
    return True


def differences(
    reported: Reported, views: Sequence[SessionView], cost: Mapping[str, float]
) -> Iterator[Difference]:
    """The figures of a trace that are not those which the run reports.

    A run whose agent was killed reports nothing: no cost, and zero tokens.
    """
    used = total(view.figures.usage for view in views)
    main = total(v.figures.totals.main or Usage() for v in views if v.figures.totals is not None)
    is_output_known = all(view.figures.is_output_known for view in views)
    for kind, name in KINDS.items():
        stated = reported.tokens.get(kind)
        there = getattr(used, name)
        is_known = is_output_known or kind != "output"
        if stated and is_known and stated not in {there, getattr(main, name)}:
            yield Difference(f"{kind} tokens", "", there, stated, _SOURCE)
    paid, stated_cost = cost.get("total_cost", 0.0), reported.cost_usd
    if stated_cost and not _is_same(paid, stated_cost):
        yield Difference("cost_usd", "", paid, stated_cost, _SOURCE)


def remarks(reported: Reported, views: Sequence[SessionView], lasted_ns: int) -> Iterator[str]:
    """What else the trace and the run do not agree on: figures that each may count its own way."""
    seconds, stated = lasted_ns / _SECOND, reported.duration_s
    if stated is not None and abs(seconds - stated) > max(10.0, stated / 4):
        yield f"run_result.json says that the case took {stated:,.1f} s, the log {seconds:,.1f} s"
    said = sum(turns for view in views if (turns := _turns(view.session)))
    messages = sum(len(view.session.main.calls) for view in views)
    calls = sum(len(view.session.calls) for view in views)
    if reported.num_turns and reported.num_turns not in {said, messages, calls}:
        yield f"run_result.json counts {reported.num_turns} turns, the log {said or messages}"


def _turns(session: Session) -> int:
    turns = (session.result or {}).get("num_turns")
    return turns if isinstance(turns, int) else 0


def _usage_of(tokens: Mapping[str, float]) -> Usage:
    return Usage(**{name: count(tokens.get(kind)) for kind, name in KINDS.items()})


def _is_same(there: float, stated: float) -> bool:
    """Whether a cost is the stated one, as precisely as that is stated."""
    decimals = max(2, len(f"{stated:.12f}".rstrip("0").partition(".")[2]))
    return round(there, decimals) == round(stated, decimals) or isclose(there, stated, rel_tol=1e-6)
