"""How a trace looks in time: its spans as bars, each below the one that it is part of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import altair as alt
import pandas as pd

from evalkit.entities import ObservedTrace, Span, Trace
from evalkit.jsonable import Json, mapping_of
from evalkit.tokens import TOKEN_USAGE
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

TOKENS_TOLD = {
    "input_tokens": "read",
    "cache_read_input_tokens": "read from the cache",
    "cache_creation_input_tokens": "written to the cache",
    "output_tokens": "written",
}

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
    """The spans of a trace, root first, in time, coloured by kind; inferred times are pale.

    Of more than ``most`` whole levels of the tree are left out, the deepest first; where even the
    upper ones are too many, the last steps.
    """
    walked = list(_walk(trace.spans))
    levels = Counter(depth for _, depth in walked)
    sums = accumulate(levels[depth] for depth in sorted(levels))
    deepest = max(1, sum(count <= most for count in sums) - 1)
    kept = [(span, depth) for span, depth in walked if depth <= deepest][:most]
    origin = trace.spans[0].start_ns if trace.spans else 0
    total = max((span.end_ns for span, _ in kept), default=origin) - origin
    bars = [_bar(place, *each, origin, total) for place, each in enumerate(kept)]
    rows, subtitle = pd.DataFrame(bars), _subtitle(bars, len(trace.spans) - len(bars))
    names, colours = zip(*KINDS.values(), strict=True)
    hues = alt.Scale(domain=list(names), range=list(colours))
    chart = (
        alt.Chart(rows, title=alt.TitleParams("What took how long", subtitle=subtitle))
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
            color=alt.Color("kind:N", title=None, scale=hues),
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
    usage: dict[str, Json] = dict(mapping_of(span.attributes.get(TOKEN_USAGE)))
    tokens = (f"{usage[kind]:,} {words}" for kind, words in TOKENS_TOLD.items() if usage.get(kind))
    failed = span.status == "ERROR"
    return {
        "row": f"{place:0{PLACE}d}{EDGE}{INDENT * depth}{span.name}",
        "name": span.name,
        "does": gist(span.inputs) if span.kind == "TOOL" else "",
        "kind": KINDS[span.kind][0],
        "start": start / NANOSECONDS,
        "drawn": max(end, start + total * SMALLEST) / NANOSECONDS,
        "took": f"{(end - start) / NANOSECONDS:.2f} s",
        "time": INFERRED if span.attributes.get("evalkit.time") == "inferred" else LOGGED,
        "failed": failed,
        "outcome": span.message or ("failed" if failed else "ok"),
        "tokens": ", ".join(tokens),
    }


def _subtitle(bars: Sequence[dict[str, Any]], left_out: int) -> list[str]:
    """What the chart does not show, or shows only by inference."""
    told, inferred = [], sum(bar["time"] == INFERRED for bar in bars)
    if inferred == len(bars):
        told.append("The log holds the order, not the times: all of them are laid out.")
    elif inferred:
        told.append("Pale steps have no times of their own in the log; they are laid out in order.")
    if any(bar["failed"] for bar in bars):
        told.append("Steps with a red edge failed.")
    if left_out:
        told.append(f"{left_out:,} further steps are left out here; MLflow shows all.")
    return told
