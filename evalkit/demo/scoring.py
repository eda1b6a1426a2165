"""Scores of the demo's runs: those that can be computed are, and all are summed up as usual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from evalkit.core.values import Json

Score: TypeAlias = dict[str, Json]
"""``value`` and ``rationale``, or ``error``; and ``judge_type``."""

Scores: TypeAlias = dict[str, dict[str, Score]]
"""Case to judge to score."""

JUDGE_TYPES: Mapping[str, str] = {
    "cost_budget": "builtin",
    "order_quoted": "check",
    "refund_amount": "check",
    "policies_cited": "code",
    "resolution": "llm",
    "policy_grounding": "llm",
    "tone": "llm",
    "pairwise": "llm",
}

BUDGET_USD = 0.25
POLICY_SECTION = re.compile(r"^## ([RSAE]\d)\b", re.MULTILINE)


def with_type(judge: str, score: Score) -> Score:
    """A score as a summary holds it."""
    return {"value": None, **score, "judge_type": JUDGE_TYPES[judge]}


def computed_scores(
    conversation: Mapping[str, Any], expected: Mapping[str, Any], reply: str, read: Iterable[str]
) -> dict[str, Score]:
    """What the judges that are code say about a conversation, by judge.

    Args:
        conversation: The case's ``input.yaml``.
        expected: The case's ``annotations.yaml``.
        reply: The reply to the customer; empty where there is none.
        read: Texts of the policies that the agent read.
    """
    sections = sorted({name for text in read for name in POLICY_SECTION.findall(text)})
    return {
        "order_quoted": _order_quoted(conversation.get("order"), reply),
        "refund_amount": _refund_amount(expected.get("expected_refund"), reply),
        "policies_cited": {
            "value": list(sections),
            "rationale": f"{len(sections)} sections were open when the reply was written",
        },
    }


def budget_score(cost_usd: float | None) -> Score:
    """What the built-in judge of the cost says."""
    if cost_usd is None:
        return {"rationale": "No cost recorded"}
    kept = cost_usd <= BUDGET_USD
    verdict = "within" if kept else "above"
    return {"value": kept, "rationale": f"Cost ${cost_usd:.2f} {verdict} budget ${BUDGET_USD:.2f}"}


def _order_quoted(order: Mapping[str, Any] | None, reply: str) -> Score:
    if not reply:
        return {"value": False, "rationale": "There is no reply"}
    if not order:
        return {"value": True, "rationale": "Not about an order"}
    found = order["number"] in reply
    verdict = "is in" if found else "is not in"
    return {"value": found, "rationale": f"{order['number']} {verdict} the reply"}


def _refund_amount(refund: Mapping[str, Any] | None, reply: str) -> Score:
    if not refund:
        condition = 'annotations.get("expected_refund")'
        return {"rationale": f"Skipped: condition '{condition}' is false"}
    amount = f"{refund['amount']:.2f}"
    found = amount in reply.replace(",", ".")
    return {"value": found, "rationale": f"Expected {amount}"}


def summarise(run_id: str, scores: Scores) -> dict[str, Json]:
    """The content of a ``summary.yaml``."""
    judged: dict[str, list[Json]] = {}
    for found in scores.values():
        for judge, score in found.items():
            values = judged.setdefault(judge, [])
            if score["value"] is not None:
                values.append(score["value"])
    judges = {judge: _figures(judge, values) for judge, values in judged.items()}
    return {"run_id": run_id, "judges": judges, "per_case": scores}


def _figures(judge: str, values: Sequence[Json]) -> dict[str, Json]:
    figures: dict[str, Json] = {"mean": None, "pass_rate": None}
    if judge == "pairwise":
        counts = {f"{kind}s": values.count(name) for kind, name in OUTCOMES.items()}
        return {**figures, "win_rate": round(values.count("win") / len(values), 4), **counts}
    if all(isinstance(value, bool) for value in values):
        figures["mean"] = figures["pass_rate"] = round(sum(values) / len(values), 4)
    elif all(isinstance(value, (int, float)) for value in values):
        figures["mean"] = round(sum(values) / len(values), 4)
    return figures


OUTCOMES: Mapping[str, str] = {"win": "win", "tie": "tie", "losse": "loss"}
"""Outcome of a comparison, by the stem of the figure that counts it."""
