"""How a trace looks in time: its spans as bars, each below the one that it is part of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt
import pandas as pd

from evalkit.entities import ObservedTrace, Span, Trace
from evalkit.traces.dialogue import NANOSECONDS, gist
from evalkit.ui.wording import BLUE, GREY, RED, dressed

MOST_BARS = 300
"""Bars of one chart; a person reads no more, and a page draws them at once."""

KINDS = {
    "AGENT": ("agent", "#8e4ec6"),
    "CHAIN": ("turn", GREY),
    "LLM": ("model call", BLUE),
    "TOOL": ("tool", "#f76b15"),
}
"""What each kind of span is called, and its colour."""

LOGGED, INFERRED = "from the log", "laid out in order"
TOLD = ("Step", "Kind", "Asked", "Took", "Times", "Outcome")
"""What pointing at a bar tells."""

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


def waterfall(trace: Trace | ObservedTrace, most: int = MOST_BARS) -> Any:
    """The first ``most`` spans of a trace in time, coloured by kind; inferred times are pale."""
    spans = trace.spans
    kept = list(_walk(spans))[:most]
    origin = spans[0].start_ns if spans else 0
    total = max((span.end_ns for span, _ in kept), default=origin) - origin
    bars = [_bar(place, *each, origin, total) for place, each in enumerate(kept)]
    title = alt.TitleParams("What took how long", subtitle=_subtitle(bars, len(spans) - len(bars)))
    names, colours = zip(*KINDS.values(), strict=True)
    chart = (
        alt.Chart(pd.DataFrame(bars), title=title)
        .mark_bar(cornerRadius=2, strokeWidth=2)
        .encode(
            y=alt.Y("row:O", sort=None, title=None, axis=LABELS, scale=alt.Scale(padding=0.3)),
            x=alt.X(
                "start:Q",
                title="seconds since it began",
                scale=alt.Scale(nice=False),
                axis=alt.Axis(labelFlush=True, labelOverlap=True),
            ),
            x2="drawn:Q",
            color=alt.Color("Kind:N", title=None).scale(domain=list(names), range=list(colours)),
            opacity=alt.condition(f"datum.Times == '{INFERRED}'", alt.value(0.45), alt.value(1)),
            stroke=alt.condition("datum.failed", alt.value(RED), alt.value("transparent")),
            tooltip=[f"{field}:N" for field in TOLD],
        )
        .properties(width="container", height=ROW_PX * max(len(bars), 2))
    )
    columns = alt.ExprRef("containerSize()[0] < 500 ? 2 : 4")
    return dressed(chart).configure_legend(
        orient="bottom", padding=8, columnPadding=16, columns=columns
    )


def _walk(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Each span with its depth, followed by what is under it."""
    under: dict[str | None, list[Span]] = {}
    for span in spans:
        under.setdefault(span.parent_id, []).append(span)
    pending = [(span, 0) for span in reversed(under.get(None, []))]
    while pending:
        span, depth = pending.pop()
        yield span, depth
        pending += [(child, depth + 1) for child in reversed(under.get(span.span_id, []))]


def _bar(place: int, span: Span, depth: int, origin: int, total: int) -> dict[str, Any]:
    start, end = (ns - origin for ns in (span.start_ns, span.end_ns))
    failed = span.status == "ERROR"
    return {
        "row": f"{place:0{PLACE}d}{EDGE}{INDENT * depth}{span.name}",
        "start": start / NANOSECONDS,
        "drawn": max(end, start + total * SMALLEST) / NANOSECONDS,
        "failed": failed,
        "Step": span.name,
        "Kind": KINDS[span.kind][0],
        "Asked": gist(span.inputs) if span.kind == "TOOL" else "",
        "Took": f"{(end - start) / NANOSECONDS:.2f} s",
        "Times": INFERRED if span.attributes.get("evalkit.time") == "inferred" else LOGGED,
        "Outcome": span.message or ("failed" if failed else "ok"),
    }


def _subtitle(bars: Sequence[dict[str, Any]], left_out: int) -> list[str]:
    """What the chart does not show, or shows only by inference."""
    told = {
        "Pale steps have no times of their own in the log: they are laid out in order.": any(
            bar["Times"] == INFERRED for bar in bars
        ),
        "Steps with a red edge failed.": any(bar["failed"] for bar in bars),
        f"{left_out:,} further steps are left out here; MLflow shows all.": left_out,
    }
    return [words for words, holds in told.items() if holds]
