"""An agent's traces as cards and tables: totals, errors, tools, and those worth a look."""

from __future__ import annotations

from typing import Any

import marimo as mo
import pandas as pd

from evalkit.core.observed import ObservedTrace
from evalkit.host.conversation import conversation
from evalkit.host.traffic_charts import tools_chart
from evalkit.host.waterfall import waterfall
from evalkit.traces.analysis import Analysis, spread
from evalkit.ui import page
from evalkit.ui.notebook import Host
from evalkit.ui.wording import as_text, duration
from evalkit.watching import Watch


def nothing_yet(host: Host[Any], watch: Watch) -> None:
    """Where there are no traces, the page ends here and says what to do."""
    if len(watch.traces) or not host.person:
        return
    name = page.quoted(watch.experiment)
    log = "**Log** page"
    if host.place.in_gallery:
        log = '<a href="?file=log_results.py">Log page</a>'
    host.halt(
        f"The experiment **{name}** holds **no traces** yet. An agent writes them when it runs "
        f"with MLflow's tracing; or log a finished run on the {log}, and look here again."
    )


def figures(traces: pd.DataFrame) -> Any:
    """How many traces, how they ended, and what is usual, in a row of cards."""
    if traces.empty:
        return None
    count, failed = len(traces), int((traces["state"] == "failed").sum())
    rejected, accepted = ((traces["verdict"] == word).sum() for word in ("rejected", "accepted"))
    seconds, tokens, costs = (spread(traces[name]) for name in ("seconds", "tokens", "cost_usd"))
    days = pd.to_datetime(traces["start_ms"], unit="ms", errors="coerce").dt.date.dropna()
    first, last = (str(days.min()), str(days.max())) if len(days) else ("", "")
    return page.cards(
        ("Traces", f"{count:,}", f"of {first}" if first == last else f"{first} to {last}"),
        ("Failed", f"{failed:,}", f"{failed / count:.1%} of them"),
        ("Rejected", f"{rejected:,}", f"by people, who accepted {accepted:,}"),
        (
            "Time",
            duration(seconds["median"]) if seconds else "-",
            f"the median; the longest {duration(seconds['largest'])}" if seconds else "not known",
        ),
        (
            "Tokens",
            f"{tokens['median']:,.0f}" if tokens else "-",
            f"the median; {tokens['total']:,.0f} in all" if tokens else "not known",
        ),
        (
            "Cost",
            f"${costs['total']:,.2f}" if costs else "-",
            f"of {costs['count']:,} traces that say" if costs else "no trace says",
        ),
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
    rows = [
        {
            "Traces": each["traces"],
            "They ended": "in failure" if each["state"] == "failed" else each["state"],
            "Failed at": each["place"],
            "Error": each["text"],
        }
        for each in errors.to_dict("records")
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["Error"],
        column_widths={"Traces": 70, "They ended": 110, "Failed at": 170, "Error": 680},
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
    return page.stack(page.table(rows), tools_chart(tools))


def pick_table(picks: pd.DataFrame) -> Any:
    """The traces that are worth a look, to select in; None where there are none."""
    if picks.empty:
        return None
    rows = [
        {
            "What it shows": pick["why"],
            "Ended": pick["state"],
            "Seconds": None if pd.isna(pick["seconds"]) else round(pick["seconds"], 1),
            "Tokens": None if pd.isna(pick["tokens"]) else int(pick["tokens"]),
            "Asked": pick["asked"],
        }
        for pick in picks.to_dict("records")
    ]
    return page.table(
        rows,
        select="single",
        page_size=8,
        wrapped_columns=["What it shows", "Asked"],
        column_widths={"What it shows": 320, "Seconds": 80, "Tokens": 80, "Asked": 430},
    )


def trace_view(trace: ObservedTrace, watch: Watch) -> Any:
    """One trace: what people said of it, as a conversation, and in time."""
    link = watch.url_of(trace.trace_id)
    head = mo.md(page.link(link, f"{trace.trace_id} in MLflow")) if link else None
    people = {
        f"{each.source_id} said": f"{each.name}: {as_text(each.value)}. {each.rationale}".rstrip()
        for each in trace.assessments
        if each.source_type == "HUMAN"
    }
    head = page.stack(head, page.record(people)) if people else head
    if trace.unread:
        summary = page.record({"Asked": trace.request, "Answered": trace.response})
        return page.stack(head, page.callout(f"Of this trace, {trace.unread}."), summary)
    return page.stack(head, conversation(trace), waterfall(trace))
