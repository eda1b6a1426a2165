"""Charts of differences: each with its interval beside zero, and case by case beside the diagonal.

Colours and strokes are of a middle brightness, so that they read on a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

HUES: Mapping[str, str] = {
    "better": "#2f9e6e",
    "worse": "#e5484d",
    "within noise": "#8b8d98",
    "too few cases": "#c2a15a",
    "same": "#8b8d98",
}
"""Colour of each verdict."""

INK = "#8b8d98"
ROW = 30
"""Pixels from one line of the chart to the next."""

PLOT_WIDTH = 420
PLOT_HEIGHT = 320


def intervals(rows: Sequence[Mapping[str, Any]], *, title: str, axis: str) -> Any:
    """Differences from a baseline with their intervals, one line each; None where there are none.

    Args:
        rows: ``Name``, ``Candidate``, ``Share`` of the whole with ``Low`` and ``High`` (None where
            not known), ``Verdict``, ``Change`` in words, and ``Cases``.
        title: The chart's title.
        axis: What the horizontal axis measures.
    """
    if not rows:
        return None
    frame = pd.DataFrame(list(rows))
    names = list(dict.fromkeys(frame["Name"]))
    candidates = list(dict.fromkeys(frame["Candidate"]))
    several = len(candidates) > 1
    lane: dict[str, Any] = (
        {"yOffset": alt.YOffset("Candidate:N", sort=candidates)} if several else {}
    )
    base = alt.Chart(frame).encode(
        y=alt.Y("Name:N", sort=names, title=None, axis=alt.Axis(labelLimit=260, ticks=False)),
        tooltip=["Name", "Candidate", "Change", "Verdict", "Cases"],
        **lane,
    )
    verdicts = [verdict for verdict in HUES if verdict in set(frame["Verdict"])]
    hue = alt.Color(
        "Verdict:N",
        scale=alt.Scale(domain=verdicts, range=[HUES[verdict] for verdict in verdicts]),
        legend=alt.Legend(title=None, orient="top", symbolType="circle"),
    )
    percent = alt.Axis(format="+.0%", title=axis, tickCount=7)
    known = base.transform_filter("isValid(datum.Low)")
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=INK, strokeWidth=1.5)
    lines = known.mark_rule(strokeWidth=3, opacity=0.55, strokeCap="round")
    points = base.mark_point(filled=True, size=110, opacity=1)
    words = base.mark_text(align="left", dx=10, color=INK, fontSize=12)
    shape = {"shape": _shape(candidates)} if several else {}
    chart = alt.layer(
        zero.encode(x=alt.X("zero:Q", axis=percent)),
        lines.encode(x=alt.X("Low:Q", axis=percent), x2="High:Q", color=hue),
        points.encode(x=alt.X("Share:Q", axis=percent), color=hue, **shape),
        words.encode(x=alt.value("width"), text="Change:N"),
    ).properties(
        title=alt.Title(title, anchor="start", offset=8),
        width="container",
        height=max(3, len(names) * len(candidates)) * ROW,
    )
    return _plain(chart)


def _shape(candidates: list[str]) -> alt.Shape:
    legend = alt.Legend(title=None, orient="bottom", symbolFillColor=INK, symbolStrokeColor=INK)
    return alt.Shape("Candidate:N", sort=candidates, legend=legend)


def diagonal(rows: Sequence[Mapping[str, Any]], *, title: str, unit: str) -> Any:
    """What each case took before and after; above the line it took more. None without cases.

    Args:
        rows: ``Case``, ``Baseline`` and ``Candidate``, a case each.
        title: The chart's title.
        unit: What both axes measure.
    """
    if not rows:
        return None
    frame = pd.DataFrame(list(rows))
    most = float(frame[["Baseline", "Candidate"]].to_numpy().max()) or 1.0
    scale = alt.Scale(type="sqrt", domain=[0, most * 1.05])
    line = pd.DataFrame({"Baseline": [0.0, most * 1.05], "Candidate": [0.0, most * 1.05]})
    few = alt.Axis(tickCount=6)
    across = alt.X("Baseline:Q", scale=scale, title=f"baseline, {unit}", axis=few)
    up = alt.Y("Candidate:Q", scale=scale, title=f"candidate, {unit}", axis=few)
    same = alt.Chart(line).mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.5)
    dots = alt.Chart(frame).mark_circle(size=70, opacity=0.65, color="#4f83cc")
    chart = alt.layer(
        same.encode(x=across, y=up),
        dots.encode(x=across, y=up, tooltip=["Case", "Baseline", "Candidate"]),
    ).properties(title=alt.Title(title, anchor="start"), width=PLOT_WIDTH, height=PLOT_HEIGHT)
    return _plain(chart)


def _plain(chart: Any) -> Any:
    """Without a ground of its own, and with a grid that stays behind what it measures."""
    return (
        chart.configure(background="transparent")
        .configure_view(strokeOpacity=0)
        .configure_axis(gridColor=INK, gridOpacity=0.2, domainColor=INK, tickColor=INK)
    )
