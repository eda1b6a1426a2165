"""An examination as a report that a model reads: complete where it fits, never beyond a size."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evalkit.core.brevity import short, size
from evalkit.core.distribution import spread
from evalkit.core.examination.assessed import AssessmentSummary
from evalkit.core.examination.examining import Examination, Repeated, Route, StepTimes
from evalkit.core.traffic import ErrorCluster, ToolUse
from evalkit.core.values import Json

LIMIT = 11_900
"""Bytes of JSON that a report takes at most."""

NAME_CHARS = 80
TEXT_CHARS = 200
FORM_CHARS = 300
EXAMPLE_CHARS = 300
WHY_CHARS = 320
WHOLE = 1_000
"""Numbers from here on are told without a fraction."""

NAMES = 8
"""Names that are listed within an entry."""

SHARES: Mapping[str, int] = {
    "errors": 3,
    "tools": 2,
    "routes": 4,
    "latency_by_span": 2,
    "duplicates": 2,
    "assessments": 3,
    "cases": 5,
}
"""Where not everything fits, what share of the room each list has a claim to."""


def as_report(examination: Examination, experiment: tuple[str, str]) -> dict[str, Json]:
    """The examination as JSON, under 12,000 bytes whatever the traces hold.

    Args:
        examination: What is reported.
        experiment: The experiment's id and name.

    Returns:
        ``experiment``, ``traces``, ``unread``, ``window``, ``outcomes``, ``latency_s``,
        ``latency_by_span``, ``tokens``, ``cost_usd``, ``errors``, ``tools``, ``routes``,
        ``duplicates``, ``assessments``, ``cases``, and ``left_out``: of each list, how many
        entries did not fit.
    """
    traffic = examination.traffic
    head: dict[str, Json] = {
        "experiment": {"id": short(experiment[0], NAME_CHARS), "name": _name(experiment[1])},
        "traces": len(traffic.glimpses),
        "unread": {short(why, TEXT_CHARS): n for why, n in list(traffic.unread.items())[:NAMES]},
        "window": _window(examination.window_ms),
        "outcomes": dict(traffic.outcomes),
        "latency_s": _spread(traffic.seconds),
        "tokens": _spread(traffic.tokens, total=True),
        "cost_usd": _spread(traffic.costs, total=True),
    }
    lists: dict[str, Sequence[Json]] = {
        "errors": [_error(each) for each in traffic.clusters[:MOST]],
        "tools": [_tool(each) for each in traffic.tools[:MOST]],
        "routes": [_route(each) for each in examination.routes[:MOST]],
        "latency_by_span": [_step(each) for each in examination.steps[:MOST]],
        "duplicates": [_repeated(each) for each in examination.repeated[:MOST]],
        "assessments": [_assessed(each) for each in examination.assessments[:MOST]],
        "cases": [_case(each.trace_id, each.route, each.why) for each in examination.cases],
    }
    lengths = {
        "errors": len(traffic.clusters),
        "tools": len(traffic.tools),
        "routes": len(examination.routes),
        "latency_by_span": len(examination.steps),
        "duplicates": len(examination.repeated),
        "assessments": len(examination.assessments),
        "cases": len(examination.cases),
    }
    room = LIMIT - size({**head, **{name: [] for name in lists}, "left_out": lengths})
    kept = fitting(lists, room)
    left_out = {name: n - len(kept[name]) for name, n in lengths.items() if n > len(kept[name])}
    return {**head, **kept, "left_out": left_out}


MOST = 100
"""Entries of a list that are made ready; more would never fit."""


def fitting(lists: Mapping[str, Sequence[Json]], room: int) -> dict[str, list[Json]]:
    """Of each list the first entries, so that together they fit and each list has its share.

    Whichever list has used the least of its share is the next to get an entry in. What one list
    does not need falls to the others.

    Args:
        lists: The lists, each with what matters most first.
        room: Bytes of JSON that their entries may take together.
    """
    open_ = [_List(name, SHARES.get(name, 1), list(entries)) for name, entries in lists.items()]
    kept: dict[str, list[Json]] = {name: [] for name in lists}
    while open_ := [each for each in open_ if each.pending]:
        poorest = min(open_, key=lambda each: each.used / each.share)
        entry = poorest.pending.pop(0)
        needed = size(entry) + len(", ")
        if needed > room:
            poorest.pending.clear()
            continue
        room -= needed
        poorest.used += needed
        kept[poorest.name].append(entry)
    return kept


@dataclass(slots=True)
class _List:
    name: str
    share: int
    pending: list[Json]
    used: int = field(default=0)


# -- entries -------------------------------------------------------------------------------------


def _error(cluster: ErrorCluster) -> Json:
    return {
        "outcome": cluster.outcome,
        "place": _name(cluster.place),
        "text": short(cluster.text, TEXT_CHARS),
        # what a signature leaves out of quotations is often the reason
        **({"example": short(cluster.example, EXAMPLE_CHARS)} if "<text>" in cluster.text else {}),
        "traces": cluster.count,
        "trace_ids": _ids(cluster.trace_ids),
    }


def _tool(tool: ToolUse) -> Json:
    return {
        "name": _name(tool.name),
        "calls": tool.calls,
        "failures": tool.failures,
        "failure_rate": _rounded(tool.failure_rate),
        "traces": tool.traces,
        "failed_in": _ids(tool.failed_in),
    }


def _route(route: Route) -> Json:
    times = _spread(route.seconds)
    return {
        "route": _name(route.name),
        "traces": route.traces,
        "failed": route.failed,
        "inputs": short(route.inputs, FORM_CHARS),
        "outputs": short(route.outputs, FORM_CHARS),
        "tools": list(_names(name for name, _ in route.tools)),
        "latency_s": times and {name: times[name] for name in ("median", "p90")},
        "trace_ids": _ids(route.trace_ids),
    }


def _step(step: StepTimes) -> Json:
    times = _spread(step.seconds) or {}
    calls = times.pop("count", 0)
    return {"name": _name(step.name), "kind": step.kind, "calls": calls, **times}


def _repeated(repeated: Repeated) -> Json:
    return {
        "route": _name(repeated.route),
        "inputs": short(repeated.inputs, TEXT_CHARS),
        "traces": repeated.traces,
        "answers": repeated.answers,
        "trace_ids": _ids(repeated.trace_ids),
    }


def _assessed(summary: AssessmentSummary) -> Json:
    values = dict(summary.values[:NAMES])
    others = summary.other_values + sum(count for _, count in summary.values[NAMES:])
    if others:
        values["other values"] = others
    mean = None if summary.mean is None else _rounded(summary.mean)
    return {
        "name": _name(summary.name),
        "kind": summary.kind,
        "source": _name(summary.source),
        "count": summary.count,
        **({"judge_errors": summary.errors} if summary.errors else {}),
        **({"mean": mean} if mean is not None else {}),
        **({"values": values} if values else {}),
        "failing": _ids(summary.failing),
    }


def _case(trace_id: str, route: str, why: str) -> Json:
    return {
        "trace_id": short(trace_id, NAME_CHARS),
        "route": _name(route),
        "why": short(why, WHY_CHARS),
    }


# -- parts of them -------------------------------------------------------------------------------


def _name(text: str) -> str:
    return short(text, NAME_CHARS)


def _ids(ids: Sequence[str]) -> list[str]:
    return [short(each, NAME_CHARS) for each in ids]


def _names(names: Iterator[str]) -> Iterator[str]:
    found = list(names)
    yield from map(_name, found[:NAMES])
    if len(found) > NAMES:
        yield f"… {len(found) - NAMES} more"


def _spread(values: Sequence[float], *, total: bool = False) -> dict[str, Json] | None:
    found = spread(values)
    if found is None:
        return None
    shown: dict[str, Json] = {
        "count": found.count,
        "median": _rounded(found.median),
        "p90": _rounded(found.p90),
        "p99": _rounded(found.p99),
        "largest": _rounded(found.largest),
    }
    return shown | ({"total": _rounded(found.total)} if total else {})


def _rounded(value: float) -> Json:
    """The number as a person would write it: four digits that matter, whole ones whole."""
    whole = round(value)
    return whole if value == whole or abs(value) >= WHOLE else float(f"{value:.4g}")


def _window(window_ms: tuple[int, int] | None) -> list[str] | None:
    return None if window_ms is None else [moment(each) for each in window_ms]


def moment(time_ms: int) -> str:
    """A time in ISO 8601, UTC, to the second; milliseconds as they are where it is no date."""
    try:
        return dt.datetime.fromtimestamp(time_ms / 1000, dt.UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{time_ms} ms"
