"""An agent's traces as cards, tables and charts: totals, errors, tools, and those worth a look."""

from __future__ import annotations

from typing import Any

import altair as alt
import marimo as mo
import numpy as np
import pandas as pd

from evalkit.entities import ObservedTrace
from evalkit.traces.analysis import Analysis, spread
from evalkit.traces.experiment import Watch
from evalkit.ui import page
from evalkit.ui.conversation import conversation
from evalkit.ui.notebook import Host
from evalkit.ui.waterfall import waterfall
from evalkit.ui.wording import BLUE, GREEN, RED, as_text, dressed, duration, figure

MOST_TOOLS = 15
MOST_BARS = 24
SKEWED = 50.0
"""Times that the largest is the smallest, from which on the ranges of a chart widen."""


def nothing_yet(host: Host[Any], watch: Watch) -> None:
    """Where there are no traces, the page ends here and says what to do."""
    if len(watch.traces) or not host.person:
        return
    log = (
        '<a href="?file=log_results.py">Log page</a>' if "file" in host.place.query else "Log page"
    )
    host.halt(
        f"The experiment **{page.quoted(watch.experiment)}** holds **no traces** yet. An agent "
        f"writes them when it runs with MLflow's tracing; or log a finished run on the {log}, and "
        "look here again."
    )


def figures(traces: pd.DataFrame) -> Any:
    """How many traces, how they ended, and what is usual, in a row of cards."""
    if traces.empty:
        return None
    count, failed = len(traces), int((traces["state"] == "failed").sum())
    rejected, accepted = ((traces["verdict"] == word).sum() for word in ("rejected", "accepted"))
    seconds, tokens, costs = (spread(traces[name]) for name in ("seconds", "tokens", "cost_usd"))
    days = pd.to_datetime(traces["start_ms"], unit="ms", errors="coerce").dt.date.dropna()
    when = " to ".join(dict.fromkeys(map(str, (days.min(), days.max())))) if len(days) else ""
    return page.cards(
        ("Traces", f"{count:,}", when),
        ("Failed", f"{failed:,}", f"{failed / count:.1%} of them"),
        ("Rejected", f"{rejected:,}", f"by people, who accepted {accepted:,}"),
        ("Time", duration(seconds["median"]), f"the median; longest {duration(seconds['largest'])}")
        if seconds
        else ("Time", "-", "not known"),
        ("Tokens", f"{tokens['median']:,.0f}", f"the median; {tokens['total']:,.0f} in all")
        if tokens
        else ("Tokens", "-", "not known"),
        ("Cost", f"${costs['total']:,.2f}", f"of {costs['count']:,} traces that say")
        if costs
        else ("Cost", "-", "no trace says"),
    )


def unread(analysis: Analysis) -> Any:
    """The traces whose steps could not be read, and why; None where all could."""
    told = "; ".join(
        f"of **{count:,}** traces, {page.quoted(why)}" for why, count in analysis.unread.items()
    )
    return page.callout(f"Not everything is seen: {told}.", "warn") if told else None


def error_table(errors: pd.DataFrame) -> Any:
    """What goes wrong, to select in; a word about it where nothing does."""
    if errors.empty:
        return page.callout("No trace failed, and no step of any.", "success")
    ended = errors["state"].replace("failed", "in failure")
    rows = errors.assign(ended=ended)[["traces", "ended", "place", "text"]]
    rows.columns = pd.Index(["Traces", "They ended", "Failed at", "Error"])
    widths = {"Traces": 70, "They ended": 110, "Failed at": 170, "Error": 680}
    return page.table(
        rows, select="single", page_size=8, wrapped_columns=["Error"], column_widths=widths
    )


def error_view(error: dict[str, Any], watch: Watch) -> Any:
    """One error in full, with the traces in which it occurs."""
    ids = [page.link(watch.url_of(each), each) for each in error["trace_ids"]]
    more = error["traces"] - len(ids)
    seen = f"Seen in {', '.join(ids)}" + (f" and {more:,} more." if more else ".")
    text = error["example"] or error["text"] or "The trace does not say why."
    return page.stack(page.text(text), mo.md(seen))


def tools_view(tools: pd.DataFrame) -> Any:
    """The tools as a table and as a chart; a word about it where none was used."""
    if tools.empty:
        return page.callout("No trace shows the use of a tool.")
    rows = [
        {
            "Tool": tool["tool"],
            "Calls": tool["calls"],
            "Failed": tool["failures"],
            "Failure rate": f"{tool['failures'] / tool['calls']:.1%}",
            "In traces": tool["traces"],
            "Median": duration(tool["median_s"]),
            "9 in 10 up to": duration(tool["p90_s"]),
        }
        for tool in tools.to_dict("records")
    ]
    most = tools.head(MOST_TOOLS)
    ended = pd.concat(
        [
            most[["tool"]].assign(ended="well", calls=most["calls"] - most["failures"]),
            most[["tool"]].assign(ended="failed", calls=most["failures"]),
        ]
    )
    hues = alt.Scale(domain=["well", "failed"], range=[GREEN, RED])
    title = f"Calls of the {MOST_TOOLS} busiest tools" if len(tools) > MOST_TOOLS else "Calls"
    chart = alt.Chart(ended, title=title).mark_bar()
    chart = chart.encode(
        y=alt.Y("tool:N", title=None, sort=list(most["tool"]), axis=alt.Axis(labelLimit=170)),
        x=alt.X("calls:Q", title=None, axis=alt.Axis(tickMinStep=1, format="d")),
        color=alt.Color("ended:N", title=None, scale=hues, legend=alt.Legend(orient="top")),
        tooltip=["tool:N", "ended:N", "calls:Q"],
    ).properties(width="container", height=22 * max(2, len(most)))
    return page.stack(page.table(rows), dressed(chart))


def spread_charts(traces: pd.DataFrame) -> Any:
    """How long the traces took, beside how many tokens; None where neither is known."""
    found = [_histogram(traces[name], name) for name in ("seconds", "tokens")]
    charts = [dressed(chart) for chart in found if chart is not None]
    if page.is_live() and charts:
        return page.side_by_side(*charts, least_px=330)
    return page.stack(*charts)


def _histogram(values: pd.Series[float], unit: str) -> Any:
    """How many traces lie in which range; None without values."""
    known = pd.to_numeric(values).dropna()
    if (found := spread(values)) is None:
        return None
    low, high = known.min(), known.max()
    # where values differ by orders of magnitude, each range is so many times as wide as the last
    widening = low > 0 and high / low > SKEWED
    edges = (np.geomspace if widening else np.linspace)(low, high, min(MOST_BARS, len(known)) + 1)
    counts, bounds = np.histogram(known, bins=edges if high > low else 1)
    rows = pd.DataFrame({"low": bounds[:-1], "high": bounds[1:], "traces": counts})
    # a bar over a range of nothing would not be seen
    rows["high"] = rows["high"].where(rows["high"] > rows["low"], rows["low"] * 1.05 + 0.01)
    usual = f"half up to {figure(found['median'])}, nine in ten up to {figure(found['p90'])}"
    scale = alt.Scale(type="log" if widening else "linear", nice=False, zero=False)
    chart = alt.Chart(rows, title=alt.TitleParams(unit.capitalize(), subtitle=usual))
    return (
        chart.mark_bar(color=BLUE, binSpacing=1)
        .encode(
            x=alt.X("low:Q", title=None, scale=scale, axis=alt.Axis(format="~s", tickCount=6)),
            x2="high:Q",
            y=alt.Y("traces:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            tooltip=[alt.Tooltip(f"{name}:Q", format=",.4~r") for name in rows],
        )
        .properties(width="container", height=190)
    )


def pick_table(picks: pd.DataFrame) -> Any:
    """The traces that are worth a look, to select in; None where there are none."""
    if picks.empty:
        return None
    rows = picks[["why", "state", "seconds", "tokens", "asked"]].round({"seconds": 1})
    rows.columns = pd.Index(["What it shows", "Ended", "Seconds", "Tokens", "Asked"])
    widths = {"What it shows": 320, "Seconds": 80, "Tokens": 80, "Asked": 430}
    wide = ["What it shows", "Asked"]
    return page.table(
        rows, select="single", page_size=8, wrapped_columns=wide, column_widths=widths
    )


def trace_view(trace: ObservedTrace, watch: Watch) -> Any:
    """One trace: what people said of it, as a conversation, and in time."""
    link = watch.url_of(trace.trace_id)
    people = {
        f"{each.source_id} said": f"{each.name}: {as_text(each.value)}. {each.rationale}".rstrip()
        for each in trace.assessments
        if each.source_type == "HUMAN"
    }
    head = page.stack(
        mo.md(page.link(link, f"{trace.trace_id} in MLflow")) if link else None,
        page.record(people) if people else None,
    )
    if trace.unread:
        summary = page.record({"Asked": trace.request, "Answered": trace.response})
        return page.stack(head, page.callout(f"Of this trace, {trace.unread}."), summary)
    return page.stack(head, conversation(trace), waterfall(trace))
