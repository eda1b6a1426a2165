"""How a trace looks in time: its span tree as a waterfall."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from evalkit.entities import ObservedTrace, Trace
from evalkit.traces.timeline import Bar, Timeline, timeline
from evalkit.ui.wording import BLUE, GREY, RED, dressed

KINDS = {
    "AGENT": ("agent", "#8e4ec6"),
    "CHAIN": ("turn", GREY),
    "LLM": ("model call", BLUE),
    "TOOL": ("tool", "#f76b15"),
}
"""What each kind of span is called, and its colour."""

LOGGED, INFERRED = "from the log", "laid out in order"
TOLD = {
    "name": "Step",
    "kind": "Kind",
    "does": "Asked",
    "took": "Took",
    "time": "Times",
    "tokens": "Tokens",
    "outcome": "Outcome",
}
"""What pointing at a bar tells, and what it is called."""

ROW_PX = 18
PLACE = 6
"""Digits before a step's label, by which bars of the same name stay apart; they are not shown."""
INDENT = "\u2003"
EDGE = "\u200b"
"""Has no width, and keeps the chart from trimming the indent."""
LABELS_PX = "min(250, 0.4 * containerSize()[0])"
LABELS = alt.Axis(
    labelExpr=f"slice(datum.value, {PLACE})",
    labelAlign="left",
    labelPadding=alt.ExprRef(LABELS_PX),
    labelLimit=alt.ExprRef(f"{LABELS_PX} - 10"),
    ticks=False,
    domain=False,
)
SMALLEST = 0.004
"""Part of the whole that a bar takes at least, so that it can be seen."""


def waterfall(trace: Trace | ObservedTrace) -> Any:
    """The spans of a trace in time, coloured by kind; those with inferred times are pale.

    Args:
        trace: One case's, or a whole batch run's.
    """
    found = timeline(trace.spans)
    total = max((bar.end_s for bar in found.bars), default=0.0)
    rows = pd.DataFrame([_row(place, bar, total) for place, bar in enumerate(found.bars)])
    chart = (
        alt.Chart(rows, title=alt.TitleParams("What took how long", subtitle=_subtitle(found)))
        .mark_bar(cornerRadius=2)
        .encode(
            y=alt.Y("row:O", sort=None, title=None, axis=LABELS, scale=alt.Scale(padding=0.3)),
            x=alt.X(
                "start:Q",
                title="seconds since it began",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(labelFlush=True, labelOverlap=True),
            ),
            x2="drawn:Q",
            color=_colours(),
            opacity=alt.condition(f"datum.time == '{INFERRED}'", alt.value(0.45), alt.value(1)),
            stroke=alt.condition("datum.failed", alt.value(RED), alt.value("transparent")),
            strokeWidth=alt.value(2),
            tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in TOLD.items()],
        )
        .properties(width="container", height=max(ROW_PX * len(rows), 2 * ROW_PX))
    )
    return dressed(chart).configure_legend(
        orient="bottom",
        padding=8,
        columnPadding=16,
        columns=alt.ExprRef("containerSize()[0] < 500 ? 2 : 4"),
    )


def _row(place: int, bar: Bar, total: float) -> dict[str, Any]:
    return {
        "row": f"{place:0{PLACE}d}{EDGE}{INDENT * bar.depth}{bar.name}",
        "name": bar.name,
        "does": bar.gist,
        "kind": KINDS[bar.kind][0],
        "start": bar.start_s,
        "drawn": max(bar.end_s, bar.start_s + total * SMALLEST),
        "took": f"{bar.end_s - bar.start_s:.2f} s",
        "time": INFERRED if bar.inferred else LOGGED,
        "failed": bar.status == "ERROR",
        "outcome": bar.message or ("failed" if bar.status == "ERROR" else "ok"),
        "tokens": bar.tokens,
    }


def _colours() -> alt.Color:
    names, colours = zip(*KINDS.values(), strict=True)
    return alt.Color("kind:N", title=None, scale=alt.Scale(domain=list(names), range=list(colours)))


def _subtitle(found: Timeline) -> list[str]:
    """What the chart does not show, or shows only by inference."""
    told = []
    if found.inferred == len(found.bars):
        told.append("The log holds the order, not the times: all of them are laid out.")
    elif found.inferred:
        told.append("Pale steps have no times of their own in the log; they are laid out in order.")
    if any(bar.status == "ERROR" for bar in found.bars):
        told.append("Steps with a red edge failed.")
    if found.left_out:
        told.append(f"{found.left_out:,} further steps are left out here; MLflow shows all.")
    return told
