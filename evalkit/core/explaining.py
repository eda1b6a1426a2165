"""A receipt in plain words, for who reads a log's trace and wants to know how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.core.receipt import Receipt

VERDICTS = {
    "reconciled": "The tokens and the cost of the spans add up to what the log itself says in the "
    "end. Every token and every dollar in the trace can be relied on.",
    "reconciled, output tokens from the result": "What the models read adds up. What they wrote is "
    "the log's own total: its messages hold placeholders only, so single calls do not show it.",
    "reconciled, cost from the result": "The tokens of the spans add up. The cost is the log's own "
    "total, which it does not say how to share among the calls.",
    "reconciled, unlogged tokens from the result": "What the log shows fits its own totals, which "
    "also count calls, or tokens of calls, that it does not show: a subagent's, helpers'.",
    "differs": "Some figures contradict each other, and nothing in the log explains it; they are "
    "listed below. The totals on the trace are the log's own.",
    "incomplete": "The log does not say its own totals, so there is nothing to check the spans "
    "against. Most often it was cut off.",
    "refused": "No trace can be made of this log.",
}
"""What each verdict means."""

MOST_LINES = 5
"""Unreadable lines that are named before the rest is only counted."""


def explain(receipt: Receipt) -> dict[str, str]:
    """What became of the log, by heading. Words of the log itself may be among it."""
    told = {
        "Verdict": f"{receipt.verdict}. {VERDICTS.get(receipt.verdict, '')}".strip(),
        "Lines": _lines(receipt),
        "Skipped": _listed(receipt.skipped, "{name}: {count:,}"),
        "Unreadable": _unreadable(receipt),
        "Masked": _listed(
            receipt.masked, "{name}: {count:,}, replaced by a mark before anything is shown or sent"
        ),
        "Shortened": _listed(receipt.truncated, "{name}: {count:,} characters left out"),
        "Sessions": f"{receipt.sessions}, one after the other" if receipt.sessions > 1 else "",
        "To know": "\n".join(receipt.notes),
    }
    return {heading: text for heading, text in told.items() if text}


def _lines(receipt: Receipt) -> str:
    skipped, unreadable = sum(receipt.skipped.values()), len(receipt.unreadable)
    parts = [f"{receipt.used:,} became part of the trace"]
    if skipped:
        parts.append(f"{skipped:,} carry nothing for a trace")
    if unreadable:
        parts.append(f"{unreadable:,} could not be read")
    return f"{receipt.lines:,} lines: {', '.join(parts)}"


def _listed(counts: Mapping[str, int], form: str) -> str:
    return "\n".join(form.format(name=name, count=count) for name, count in counts.items())


def _unreadable(receipt: Receipt) -> str:
    named = [f"line {number}: {why}" for number, why in receipt.unreadable[:MOST_LINES]]
    more = len(receipt.unreadable) - len(named)
    return "\n".join([*named, *([f"and {more:,} more"] if more else [])])
