"""An agent's traces as cards and tables: totals, errors, tools, and those worth a look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import marimo as mo

from evalkit.core.distribution import spread
from evalkit.core.observed import ObservedTrace
from evalkit.core.sampling import Pick
from evalkit.core.traffic import ErrorCluster, ToolUse, Traffic
from evalkit.host import page
from evalkit.host.conversation import conversation
from evalkit.host.host import Host
from evalkit.host.traffic_charts import tools_chart
from evalkit.host.waterfall import waterfall
from evalkit.host.wording import duration
from evalkit.watching import Watch

SHORT = 160
"""Characters of a request that a table shows."""


def nothing_yet(host: Host[Any], watch: Watch) -> None:
    """Where there are no traces, the page ends here and says what to do."""
    if watch.traffic.glimpses or not host.person:
        return
    name = page.quoted(watch.experiment)
    log = "**Log** page"
    if host.place.in_gallery:
        log = '<a href="?file=log_results.py">Log page</a>'
    host.halt(
        f"The experiment **{name}** holds **no traces** yet. An agent writes them when it runs "
        f"with MLflow's tracing; or log a finished run on the {log}, and look here again."
    )


def figures(traffic: Traffic) -> Any:
    """How many traces, how they ended, and what is usual, in a row of cards."""
    if not traffic.glimpses:
        return None
    count, failed = len(traffic.glimpses), traffic.outcomes.get("failed", 0)
    seconds, tokens, costs = (
        spread(values) for values in (traffic.seconds, traffic.tokens, traffic.costs)
    )
    return page.cards(
        ("Traces", f"{count:,}", _days(traffic)),
        ("Failed", f"{failed:,}", f"{failed / count:.1%} of them"),
        (
            "Time",
            duration(seconds.median) if seconds else "-",
            f"the median; the longest {duration(seconds.largest)}" if seconds else "not known",
        ),
        (
            "Tokens",
            f"{tokens.median:,.0f}" if tokens else "-",
            f"the median; {tokens.total:,.0f} in all" if tokens else "not known",
        ),
        (
            "Cost",
            f"${costs.total:,.2f}" if costs else "-",
            f"of the {costs.count:,} traces that say" if costs else "no trace says",
        ),
    )


def unread(traffic: Traffic) -> Any:
    """The traces whose steps could not be read, and why; None where all could."""
    told = "; ".join(
        f"of **{count:,}** traces, {page.quoted(why)}" for why, count in traffic.unread.items()
    )
    return page.callout(f"Not everything is seen: {told}.", "warn") if told else None


def error_table(clusters: Sequence[ErrorCluster]) -> Any:
    """What goes wrong, to select in; a word about it where nothing does."""
    if not clusters:
        return page.callout("No trace failed, and no step of any.", "success")
    rows = [
        {
            "Traces": each.count,
            "They ended": "in failure" if each.outcome == "failed" else each.outcome,
            "Failed at": each.place,
            "Error": each.text,
        }
        for each in clusters
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["Error"],
        column_widths={"Traces": 70, "They ended": 110, "Failed at": 170, "Error": 680},
    )


def error_view(cluster: ErrorCluster, watch: Watch) -> Any:
    """One error in full, with the traces in which it occurs."""
    ids = [page.link(watch.url_of(each), each) for each in cluster.trace_ids]
    more = cluster.count - len(ids)
    seen = f"Seen in {', '.join(ids)}" + (f" and {more:,} more." if more else ".")
    return page.stack(page.text(cluster.example or "The trace does not say why."), mo.md(seen))


def tools_view(tools: Sequence[ToolUse]) -> Any:
    """The tools as a table and as a chart; a word about it where none was used."""
    if not tools:
        return page.callout("No trace shows the use of a tool.")
    return page.stack(tool_table(tools), tools_chart(tools))


def tool_table(tools: Sequence[ToolUse]) -> Any:
    """The tools with their failures and times; None where there are none."""
    if not tools:
        return None
    rows = []
    for tool in tools:
        seconds = spread(tool.seconds)
        rows.append(
            {
                "Tool": tool.name,
                "Calls": tool.calls,
                "Failed": tool.failures,
                "Failure rate": f"{tool.failure_rate:.1%}",
                "In traces": tool.traces,
                "Median": duration(seconds.median) if seconds else "",
                "9 in 10 up to": duration(seconds.p90) if seconds else "",
            }
        )
    return page.table(rows)


def pick_table(picks: Sequence[Pick]) -> Any:
    """The traces that are worth a look, to select in; None where there are none."""
    if not picks:
        return None
    rows = [
        {
            "What it shows": pick.why,
            "Ended": pick.glimpse.outcome,
            "Seconds": None if pick.glimpse.seconds is None else round(pick.glimpse.seconds, 1),
            "Tokens": pick.glimpse.tokens,
            "Asked": _short(pick.glimpse.request),
        }
        for pick in picks
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["What it shows", "Asked"],
        column_widths={"What it shows": 320, "Seconds": 80, "Tokens": 80, "Asked": 460},
    )


def trace_view(trace: ObservedTrace, watch: Watch) -> Any:
    """One trace: as a conversation, and in time."""
    link = watch.url_of(trace.trace_id)
    head = mo.md(page.link(link, f"{trace.trace_id} in MLflow")) if link else None
    if trace.unread:
        summary = page.record({"Asked": trace.request, "Answered": trace.response})
        return page.stack(head, page.callout(f"Of this trace, {trace.unread}."), summary)
    return page.stack(head, conversation(trace), waterfall(trace))


def _days(traffic: Traffic) -> str:
    times = [glimpse.start_ms / 1000 for glimpse in traffic.glimpses]
    first, last = (
        dt.datetime.fromtimestamp(each, dt.UTC).date().isoformat()
        for each in (min(times), max(times))
    )
    return f"of {first}" if first == last else f"{first} to {last}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHORT else line[: SHORT - 1] + "…"
