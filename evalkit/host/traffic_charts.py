"""Charts of an agent's traces: how long they took, how many tokens, how its tools fared."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from evalkit.traces.analysis import spread
from evalkit.ui import page
from evalkit.ui.wording import BLUE, GREEN, GREY, RED, dressed, figure

VIOLET = "#8e4ec6"
HALF = 380
TALL = 190
MOST_TOOLS = 15
ROW_PX = 22
MOST_BARS = 24
SKEWED = 50.0


def spread_charts(traces: pd.DataFrame) -> Any:
    """How long the traces took, beside how many tokens; None where neither is known."""
    charts = [
        chart
        for chart in (
            _histogram(traces["seconds"], "How long traces take", "seconds", VIOLET, ",.3~r"),
            _histogram(traces["tokens"], "How many tokens they take", "tokens", BLUE, "~s"),
        )
        if chart is not None
    ]
    if not page.is_live():
        return alt.hconcat(*charts) if charts else None
    return page.side_by_side(*map(dressed, charts), least_px=HALF) if charts else None


def tools_chart(tools: pd.DataFrame) -> Any:
    """How often each tool was called, and how many of the calls failed."""
    most = tools.head(MOST_TOOLS)
    well, failed = most["calls"] - most["failures"], most["failures"]
    rows = pd.concat(
        most[["tool"]].assign(calls=calls, ended=ended, order=order)
        for order, (ended, calls) in enumerate([("well", well), ("failed", failed)])
    )
    left_out = len(tools) - MOST_TOOLS
    more = f"{left_out} further tools are in the table only" if left_out > 0 else ""
    names = list(most["tool"])
    chart = (
        alt.Chart(rows, title=alt.TitleParams("Calls of each tool", subtitle=more))
        .mark_bar()
        .encode(
            y=alt.Y("tool:N", title=None, sort=names, axis=alt.Axis(labelLimit=220)),
            x=alt.X("calls:Q", title="calls", axis=alt.Axis(tickMinStep=1, format="d")),
            color=alt.Color(
                "ended:N",
                title=None,
                scale=alt.Scale(domain=["well", "failed"], range=[GREEN, RED]),
            ),
            order=alt.Order("order:Q"),
            tooltip=["tool:N", "ended:N", "calls:Q"],
        )
        .properties(width="container", height=ROW_PX * max(2, len(names)))
    )
    return dressed(chart)


def _histogram(values: pd.Series[float], title: str, unit: str, colour: str, ticks: str) -> Any:
    """How many traces lie in which range, with the percentiles marked; None without values."""
    found = spread(values)
    if found is None:
        return None
    known = pd.to_numeric(values).dropna()
    low, high = known.min(), known.max()
    # where values differ by orders of magnitude, each range is so many times as wide as the last
    widening = low > 0 and high / low > SKEWED
    edges = (np.geomspace if widening else np.linspace)(low, high, min(MOST_BARS, len(known)) + 1)
    counts, bounds = np.histogram(known, bins=edges if high > low else 1)
    rows = pd.DataFrame({"low": bounds[:-1], "high": bounds[1:], "traces": counts})
    # a bar over a range of nothing would not be seen
    rows["high"] = rows["high"].where(rows["high"] > rows["low"], rows["low"] * 1.05 + 0.01)
    scale = alt.Scale(type="log" if widening else "linear", nice=False, zero=False, padding=4)
    axis = alt.Axis(format=ticks, tickCount=6, labelOverlap=True)
    bars = (
        alt.Chart(rows)
        .mark_bar(color=colour, binSpacing=1)
        .encode(
            x=alt.X("low:Q", title=unit, scale=scale, axis=axis),
            x2="high:Q",
            y=alt.Y("traces:Q", title="traces", axis=alt.Axis(tickMinStep=1, format="d")),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("low:Q", title=f"from ({unit})", format=",.4~r"),
                alt.Tooltip("high:Q", title=f"to ({unit})", format=",.4~r"),
                alt.Tooltip("traces:Q"),
            ],
        )
    )
    told = alt.TitleParams(title, subtitle=_told(found, unit, widening=widening), offset=20)
    return alt.layer(bars, *_marks(found, scale), title=told).properties(
        width="container", height=TALL
    )


def _marks(found: dict[str, float], scale: Any) -> list[Any]:
    """Two lines, with their names above the bars, each on the side that is free."""
    marks = []
    for at, name, outwards in ((found["median"], "half", -1), (found["p90"], "9 in 10", 1)):
        base = alt.Chart(pd.DataFrame([{"at": at, "is": name}])).encode(
            x=alt.X("at:Q", scale=scale)
        )
        rule = base.mark_rule(color=GREY, strokeDash=[4, 3], strokeWidth=1.5)
        word = base.mark_text(
            align="left" if outwards > 0 else "right",
            dx=4 * outwards,
            baseline="bottom",
            color=GREY,
        )
        marks += [rule, word.encode(y=alt.value(-2), text="is:N")]
    return marks


def _told(found: dict[str, float], unit: str, *, widening: bool) -> list[str]:
    known = f"{found['count']:,} traces. Half take up to {figure(found['median'])} {unit},"
    told = f"nine in ten up to {figure(found['p90'])}."
    return [known, f"{told} Ranges widen to the right." if widening else told]
