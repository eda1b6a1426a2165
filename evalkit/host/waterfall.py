"""How a trace looks in time: its span tree as a waterfall."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from evalkit.core.spans import Trace
from evalkit.core.timeline import Bar, Timeline, timeline
from evalkit.host.dress import BLUE, GREY, RED, dressed

KINDS = {
    "AGENT": ("agent", "#8e4ec6"),
    "CHAIN": ("turn", GREY),
    "LLM": ("model call", BLUE),
    "TOOL": ("tool", "#f76b15"),
}
"""What each kind of span is called, and its colour."""

LOGGED, INFERRED = "from the log", "laid out in order"
ROW_PX = 18
LABELS_PX = 260
BARS_PX = 760
INDENT_PX = 12
SMALLEST = 0.004
"""Part of the whole that a bar takes at least, so that it can be seen."""


def waterfall(trace: Trace) -> Any:
    """The spans of a trace in time, coloured by kind; those with inferred times are pale.

    Args:
        trace: One case's, or a whole batch run's.
    """
    found = timeline(trace.spans)
    total = max((bar.end_s for bar in found.bars), default=0.0)
    rows = pd.DataFrame([_row(place, bar, total) for place, bar in enumerate(found.bars)])
    base = alt.Chart(rows).encode(
        y=alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.3, paddingOuter=0.3))
    )
    height = max(ROW_PX * len(rows), 2 * ROW_PX)
    labels = base.mark_text(align="left", limit=LABELS_PX, style="guide-label").encode(
        x=alt.X("indent:Q", axis=None, scale=alt.Scale(domain=[0, LABELS_PX], nice=False)),
        text="name:N",
        tooltip=_tooltip(),
    )
    bars = base.mark_bar(cornerRadius=2).encode(
        x=alt.X("start:Q", title="seconds since the agent began", scale=alt.Scale(nice=False)),
        x2="drawn:Q",
        color=_colours(),
        opacity=alt.Opacity(
            "time:N",
            title="Times",
            scale=alt.Scale(domain=[LOGGED, INFERRED], range=[1.0, 0.45]),
            legend=alt.Legend(symbolFillColor=GREY),
        ),
        stroke=alt.condition("datum.failed", alt.value(RED), alt.value("transparent")),
        strokeWidth=alt.value(2),
        tooltip=_tooltip(),
    )
    both = alt.hconcat(
        labels.properties(width=LABELS_PX, height=height),
        bars.properties(width=BARS_PX, height=height),
        spacing=8,
        title=alt.TitleParams("What took how long", subtitle=_subtitle(found)),
    )
    return dressed(both.resolve_scale(y="shared")).configure_legend(
        orient="bottom", titleOrient="left", titlePadding=12, padding=8, columnPadding=16
    )


def _row(place: int, bar: Bar, total: float) -> dict[str, Any]:
    return {
        "row": place,
        "indent": bar.depth * INDENT_PX,
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
    return alt.Color(
        "kind:N", title="Steps", scale=alt.Scale(domain=list(names), range=list(colours))
    )


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="Step"),
        alt.Tooltip("kind:N", title="Kind"),
        alt.Tooltip("does:N", title="Asked"),
        alt.Tooltip("took:N", title="Took"),
        alt.Tooltip("time:N", title="Times"),
        alt.Tooltip("tokens:N", title="Tokens"),
        alt.Tooltip("outcome:N", title="Outcome"),
    ]


def _subtitle(found: Timeline) -> list[str]:
    """What the chart does not show, or shows only by inference."""
    told = []
    if found.inferred == len(found.bars):
        told.append("The log holds the order, not the times: all of them are laid out.")
    elif found.inferred:
        told.append("Pale steps have no times of their own in the log; they are laid out in order.")
    if found.left_out:
        told.append(f"{found.left_out:,} further steps are left out here; MLflow shows all.")
    return told
