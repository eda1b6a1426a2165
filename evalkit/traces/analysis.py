"""One pass over an experiment's traces: what can be counted of them; their spans are not kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from evalkit.entities import Assessment, ObservedTrace
from evalkit.jsonable import Json
from evalkit.suite.model import passes
from evalkit.traces.likeness import Shape, errors_of, is_empty, likeness
from evalkit.traces.people import PeopleSaid, Scale, of_people, people_said, scales_of
from evalkit.traces.transcript import question
from evalkit.truncation import truncate

_EXAMPLES = 5  # traces that are named as examples of an error, a tool or a judge
_LISTED = 100  # groups of a kind that are told apart: errors, tools, routes, judges
_ASKED_CHARS, _EXAMPLE_CHARS, _VALUE_CHARS = 160, 500, 40
_STATES = {"OK": "ok", "ERROR": "failed", "UNSET": "not over"}
_TRACE_COLUMNS = (
    *("trace_id", "route", "start_ms", "seconds", "state", "tokens", "cost_usd", "asked"),
    *("tools", "is_read", "has_inputs", "answered", "likeness"),
)


class Analysis:
    """Traces as they pass by: :meth:`add` each, then ask for the frames or the report.

    Attributes:
        skills: By run, the skill of the traces that evalkit logged under it.
        unread: Why spans could not be read, with the number of traces.
    """

    def __init__(self) -> None:
        self.skills: dict[str, str] = {}
        self.unread: Counter[str] = Counter()
        self._noted: defaultdict[str, list[tuple[Json, ...]]] = defaultdict(list)
        self._people: dict[str, tuple[Assessment, ...]] = {}
        self._shapes: dict[str, tuple[Shape, Shape]] = {}

    def add(self, trace: ObservedTrace) -> None:
        """Count a trace; it is enough to have it in outline."""
        root = trace.spans[0] if trace.spans else None
        inputs, outputs = (root.inputs, root.outputs) if root else (None, None)
        route = route_of(root.name if root else trace.name, trace.run_id, self.skills)
        taken, given = self._shapes.setdefault(route, (Shape(), Shape()))
        if root:
            taken.add(inputs)
        else:
            self.unread[trace.unread] += 1
        if not is_empty(outputs):
            given.add(outputs)
        trace_id, state = trace.trace_id, _STATES[trace.status]
        for (place, text), said in errors_of(trace).items():
            example = "" if said == text else truncate(said, _EXAMPLE_CHARS)
            self._noted["errors"].append((state, place, text, example, trace_id))
        for span in (calls := [span for span in trace.spans if span.kind == "TOOL"]):
            seconds = (span.end_ns - span.start_ns) / 1e9
            self._noted["tools"].append((span.name, span.status == "ERROR", seconds, trace_id))
        self._note_assessments(trace)
        counted = [n for n in (trace.input_tokens, trace.output_tokens) if n is not None]
        self._noted["traces"].append(
            (
                trace_id,
                route,
                trace.start_ms,
                None if trace.duration_ms is None else trace.duration_ms / 1000,
                state,
                sum(counted) if counted else None,
                trace.cost_usd,
                truncate(question(inputs) if root else trace.request, _ASKED_CHARS),
                tuple(dict.fromkeys(span.name for span in calls)),
                root is not None,
                not is_empty(inputs),
                not is_empty(outputs),
                likeness(inputs),
            )
        )

    def _note_assessments(self, trace: ObservedTrace) -> None:
        if people := tuple(of_people(trace.assessments)):
            self._people[trace.trace_id] = people
        for each in trace.assessments:
            if each.source_type != "HUMAN" and each.kind == "feedback":
                source = f"{each.source_type} {each.source_id}".strip()
                value = "judge error" if each.error else truncate(str(each.value), _VALUE_CHARS)
                failed = passes(each.value) is False
                self._noted["judged"].append((each.name, source, failed, value, trace.trace_id))

    @property
    def scales(self) -> dict[str, Scale]:
        """The scale of people's numbers, by name."""
        return scales_of(each for said in self._people.values() for each in said)

    def said(self) -> dict[str, PeopleSaid]:
        """What people said, by trace."""
        scales = self.scales
        return {each: people_said(said, scales) for each, said in self._people.items()}

    @property
    def traces(self) -> pd.DataFrame:
        """A row a trace, in the order in which they came.

        Columns: ``trace_id``, ``route``, ``start_ms``, ``seconds``, ``state`` (ok, failed, not
        over), ``tokens``, ``cost_usd``, ``asked`` (in short), ``tools``, ``is_read``,
        ``has_inputs``, ``answered``, ``likeness`` (what alike inputs share), ``verdict`` (accepted,
        rejected, none).
        """
        said = self.said()
        frame = pd.DataFrame(self._noted["traces"], columns=_TRACE_COLUMNS)
        verdicts = [said[each].verdict if each in said else "none" for each in frame["trace_id"]]
        return frame.assign(verdict=verdicts)

    @property
    def errors(self) -> pd.DataFrame:
        """What went wrong, the most frequent first.

        Columns: ``state`` (how the traces ended), ``place`` (the step that failed), ``text`` (what
        the errors have in common), ``example``, ``traces`` (their number), ``trace_ids``.
        """
        frame = self._frame("errors", "state", "place", "text", "example")
        first = {"example": ("example", "first"), "trace_ids": ("trace_id", _first)}
        return _grouped(frame, ["state", "place", "text"], **first)

    @property
    def tools(self) -> pd.DataFrame:
        """Tools: ``tool, traces, calls, failures, median_s, p90_s, failed_in`` (the first)."""
        frame = self._frame("tools", "tool", "failed", "seconds")
        counts = {"calls": ("failed", "size"), "failures": ("failed", "sum")}
        times = {"median_s": ("seconds", "median"), "p90_s": ("seconds", lambda s: s.quantile(0.9))}
        return _grouped(frame, ["tool"], **counts, **times, failed_in=("failed_in", _first))

    def _frame(self, what: str, *columns: str) -> pd.DataFrame:
        frame = pd.DataFrame(self._noted[what], columns=[*columns, "trace_id"])
        if "failed" in frame:
            frame["failed_in"] = frame["trace_id"].where(frame["failed"].astype(bool))
        return frame

    def report(self) -> dict[str, Json]:
        """All that was counted, as JSON; what is listed names its examples.

        Returns:
            ``traces``, ``without_inputs``, ``unread``, ``window`` (first and last day), ``states``,
            ``seconds``, ``tokens``, ``cost_usd`` (as of :func:`spread`), ``routes``, ``errors``,
            ``tools``, ``people``, ``judges``.
        """
        frame, said = self.traces, self.said()
        days = pd.to_datetime(frame["start_ms"], unit="ms", errors="coerce").dropna()
        judges = _grouped(
            self._frame("judged", "name", "source", "failed", "value"),
            ["name", "source"],
            given=("value", lambda values: dict(Counter(values).most_common(6))),
            failed=("failed", "sum"),
            failed_in=("failed_in", _first),
        )
        routes = frame["route"].value_counts().index[:_LISTED]
        return {
            "traces": len(frame),
            "without_inputs": int((frame["is_read"] & ~frame["has_inputs"]).sum()),
            "unread": dict(self.unread),
            "window": [f"{day:%Y-%m-%d}" for day in (days.min(), days.max())] if len(days) else [],
            "states": _counts(frame["state"]),
            **{name: spread(frame[name]) for name in ("seconds", "tokens", "cost_usd")},
            "routes": [self._route(str(route), frame[frame["route"] == route]) for route in routes],
            "errors": _records(self.errors),
            "tools": _records(self.tools),
            "people": {
                "accepted": list(frame["trace_id"][frame["verdict"] == "accepted"]),
                "rejected": list(frame["trace_id"][frame["verdict"] == "rejected"]),
                "contradictory": [each for each, s in said.items() if s.is_contradictory],
                "comments": {each: list(s.comments) for each, s in said.items() if s.comments},
            },
            "judges": _records(judges),
        }

    def _route(self, route: str, some: pd.DataFrame) -> dict[str, Json]:
        inputs, outputs = map(str, self._shapes[route])
        tools = Counter(tool for used in some["tools"] for tool in used)
        return {
            "route": route,
            "traces": len(some),
            "states": _counts(some["state"]),
            "verdicts": _counts(some["verdict"]),
            "inputs": inputs,
            "outputs": outputs,
            "tools": dict(tools.most_common(12)),
            "seconds": spread(some["seconds"]),
            "trace_ids": _first(some["trace_id"]),
        }


def spread(values: pd.Series[float]) -> dict[str, float] | None:
    """Count, median, p90, p99, largest and total of what is known; None where nothing is."""
    known = pd.to_numeric(values).dropna()
    if known.empty:
        return None
    found = dict(zip(("median", "p90", "p99"), known.quantile([0.5, 0.9, 0.99]), strict=True))
    found |= {"largest": known.max(), "total": known.sum()}
    return {"count": len(known), **{name: float(f"{n:.6g}") for name, n in found.items()}}


def route_of(name: str, run_id: str, skills: Mapping[str, str]) -> str:
    """What kind of request a trace is: its root span's name, or the skill of evalkit's own."""
    return (skills.get(run_id) or f"run {run_id}") if run_id else name or "unnamed"


def _counts(values: pd.Series[str]) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}


def _grouped(frame: pd.DataFrame, keys: list[str], **named: Any) -> pd.DataFrame:
    """The largest groups of the frame by their number of ``traces``, with what is named of them."""
    sizes = frame.groupby(keys, sort=False)["trace_id"].nunique().rename("traces")
    largest = sizes.sort_values(ascending=False, kind="stable").head(_LISTED).reset_index()
    some = frame.merge(largest, on=keys).groupby(keys, sort=False)
    return largest.merge(some.agg(**named).reset_index(), on=keys)


def _first(trace_ids: pd.Series[str]) -> list[str]:
    return list(trace_ids.dropna().unique()[:_EXAMPLES])


def _records(frame: pd.DataFrame) -> list[dict[str, Json]]:
    known = frame.round(4).astype(object).where(frame.notna(), None)
    return [dict(zip(known.columns, row, strict=True)) for row in known.to_numpy().tolist()]
