"""One pass over an experiment's traces: what can be counted of them; their spans are not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from evalkit.core.brevity import short
from evalkit.core.feedback import Assessment
from evalkit.core.observed import ObservedTrace
from evalkit.core.signature import signature
from evalkit.core.values import Json
from evalkit.suite.model import passes
from evalkit.traces.json_shape import Shape, fingerprint, is_empty, likeness
from evalkit.traces.people import PeopleSaid, Scale, of_people, people_said, scales_of
from evalkit.traces.transcript import question

EXAMPLES = 5
"""Traces that are named as examples of an error, a tool or a judge."""

NANOSECONDS = 1e9

LISTED = 100
"""Groups of a kind that are told apart: errors, tools, routes, judges."""

ASKED_CHARS = 160
EXAMPLE_CHARS = 500
VALUE_CHARS = 40

STATES = {"OK": "ok", "ERROR": "failed", "UNSET": "not over"}
"""How a trace ended, in a word."""


class Analysis:
    """Traces as they pass by: :meth:`add` each, then ask for the frames or the report.

    Attributes:
        skills: By run, the skill of the traces that evalkit logged under it.
        unread: Why spans could not be read, with the number of traces.
    """

    def __init__(self, skills: Mapping[str, str] | None = None) -> None:
        self.skills = {} if skills is None else skills
        self.unread: Counter[str] = Counter()
        self._traces: list[tuple[Json, ...]] = []
        self._errors: list[tuple[Json, ...]] = []
        self._tools: list[tuple[Json, ...]] = []
        self._judged: list[tuple[Json, ...]] = []
        self._people: dict[str, tuple[Assessment, ...]] = {}
        self._shapes: dict[str, tuple[Shape, Shape]] = {}

    def add(self, trace: ObservedTrace) -> None:
        """Count a trace; it is enough to have it in outline."""
        root = trace.spans[0] if trace.spans else None
        inputs, outputs = (root.inputs, root.outputs) if root else (None, None)
        route = route_of(root.name if root else trace.name, trace.run_id, self.skills)
        shapes = self._shapes.setdefault(route, (Shape(), Shape()))
        if root is None:
            self.unread[trace.unread] += 1
        else:
            shapes[0].add(inputs)
            if not is_empty(outputs):
                shapes[1].add(outputs)
        trace_id, state = trace.trace_id, STATES[trace.status]
        self._errors += [
            (state, *key, "" if text == key[1] else short(text, EXAMPLE_CHARS), trace_id)
            for key, text in _errors_of(trace).items()
        ]
        self._note_assessments(trace)
        counted = [n for n in (trace.input_tokens, trace.output_tokens) if n is not None]
        self._traces.append(
            (
                trace_id,
                route,
                trace.start_ms,
                None if trace.duration_ms is None else trace.duration_ms / 1000,
                state,
                sum(counted) if counted else None,
                trace.cost_usd,
                short(question(inputs) if root else trace.request, ASKED_CHARS),
                self._note_tools(trace),
                root is not None,
                not is_empty(inputs),
                not is_empty(outputs),
                likeness(inputs),
                fingerprint(outputs),
            )
        )

    def _note_tools(self, trace: ObservedTrace) -> tuple[str, ...]:
        """The tools that the trace used; of each, what it took of it, together."""
        used: dict[str, list[float]] = {}
        for span in trace.spans:
            if span.kind == "TOOL":
                sums = used.setdefault(span.name, [0, 0, 0.0])
                sums[0] += 1
                sums[1] += span.status == "ERROR"
                sums[2] += (span.end_ns - span.start_ns) / NANOSECONDS
        self._tools += [
            (name, calls, failures, seconds / calls, trace.trace_id)
            for name, (calls, failures, seconds) in used.items()
        ]
        return tuple(used)

    def _note_assessments(self, trace: ObservedTrace) -> None:
        if people := tuple(of_people(trace.assessments)):
            self._people[trace.trace_id] = people
        self._judged += [
            (
                each.name,
                f"{each.source_type} {each.source_id}".strip(),
                passes(each.value) is False,
                "judge error" if each.error else short(str(each.value), VALUE_CHARS),
                trace.trace_id,
            )
            for each in trace.assessments
            if each.source_type != "HUMAN" and each.kind == "feedback"
        ]

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
        ``has_inputs``, ``answered``, ``likeness`` and ``answer`` (what equal inputs and answers
        share), ``verdict`` (accepted, rejected, none).
        """
        frame = pd.DataFrame(self._traces, columns=_COLUMNS)
        said = self.said()
        frame["verdict"] = [said[t].verdict if t in said else "none" for t in frame["trace_id"]]
        return frame

    @property
    def errors(self) -> pd.DataFrame:
        """What went wrong, the most frequent first.

        Columns: ``state`` (how the traces ended), ``place`` (the step that failed), ``text`` (what
        the errors have in common), ``example``, ``traces`` (their number), ``trace_ids``.
        """
        keys = ["state", "place", "text"]
        frame = pd.DataFrame(self._errors, columns=[*keys, "example", "trace_id"])
        first = {"example": ("example", "first"), "trace_ids": ("trace_id", _first)}
        return _grouped(frame, keys, **first)

    @property
    def tools(self) -> pd.DataFrame:
        """Tools: ``tool, traces, calls, failures, median_s, p90_s, failed_in`` (the first)."""
        frame = pd.DataFrame(self._tools, columns=_TOOL_COLUMNS)
        frame["failed_in"] = frame["trace_id"].where(frame["failures"] > 0)
        return _grouped(
            frame,
            ["tool"],
            calls=("calls", "sum"),
            failures=("failures", "sum"),
            median_s=("seconds", "median"),
            p90_s=("seconds", lambda seconds: seconds.quantile(0.9)),
            failed_in=("failed_in", _first),
        )

    @property
    def judges(self) -> pd.DataFrame:
        """Code and models: ``name, source, traces, given`` (values), ``failed, failed_in``."""
        frame = pd.DataFrame(self._judged, columns=_JUDGE_COLUMNS)
        frame["failed_in"] = frame["trace_id"].where(frame["failed"].astype(bool))
        return _grouped(
            frame,
            ["name", "source"],
            given=("value", lambda values: dict(Counter(values).most_common(6))),
            failed=("failed", "sum"),
            failed_in=("failed_in", _first),
        )

    def report(self) -> dict[str, Json]:
        """All that was counted, as JSON; what is listed names its examples.

        Returns:
            ``traces``, ``without_inputs``, ``unread``, ``window`` (first and last day), ``states``,
            ``seconds``, ``tokens``, ``cost_usd`` (count, median, p90, p99, largest, total; None
            where no trace says), ``routes``, ``errors``, ``tools``, ``repeated``, ``people``,
            ``judges``.
        """
        frame, said = self.traces, self.said()
        days = pd.to_datetime(frame["start_ms"], unit="ms", errors="coerce").dropna()
        answered = frame[frame["answered"] & frame["has_inputs"]]
        told: dict[str, Any] = {"asked": ("asked", "first"), "answers": ("answer", "nunique")}
        keys, told["trace_ids"] = ["route", "likeness"], ("trace_id", _first)
        repeated = _grouped(answered, keys, **told).drop(columns="likeness")
        return {
            "traces": len(frame),
            "without_inputs": int((frame["is_read"] & ~frame["has_inputs"]).sum()),
            "unread": dict(self.unread),
            "window": [f"{day:%Y-%m-%d}" for day in (days.min(), days.max())] if len(days) else [],
            "states": _counts(frame["state"]),
            **{name: spread(frame[name]) for name in ("seconds", "tokens", "cost_usd")},
            "routes": [
                self._route(str(route), frame[frame["route"] == route])
                for route in frame["route"].value_counts().index[:LISTED]
            ],
            "errors": _records(self.errors),
            "tools": _records(self.tools),
            "repeated": _records(repeated[repeated["traces"] > 1].head(20)),
            "people": {
                "accepted": list(frame["trace_id"][frame["verdict"] == "accepted"]),
                "rejected": list(frame["trace_id"][frame["verdict"] == "rejected"]),
                "contradictory": [each for each, s in said.items() if s.is_contradictory],
                "comments": {each: list(s.comments) for each, s in said.items() if s.comments},
                "expectations": dict(Counter(n for s in said.values() for n in s.expectations)),
            },
            "judges": _records(self.judges),
        }

    def _route(self, route: str, some: pd.DataFrame) -> dict[str, Json]:
        inputs, outputs = self._shapes[route]
        tools = Counter(tool for used in some["tools"] for tool in used)
        return {
            "route": route,
            "traces": len(some),
            "states": _counts(some["state"]),
            "verdicts": _counts(some["verdict"]),
            "inputs": str(inputs),
            "outputs": str(outputs),
            "tools": dict(tools.most_common(12)),
            "seconds": spread(some["seconds"]),
            "trace_ids": list(some["trace_id"][:EXAMPLES]),
        }


_COLUMNS = [
    *("trace_id", "route", "start_ms", "seconds", "state", "tokens", "cost_usd", "asked"),
    *("tools", "is_read", "has_inputs", "answered", "likeness", "answer"),
]
_TOOL_COLUMNS = ["tool", "calls", "failures", "seconds", "trace_id"]
_JUDGE_COLUMNS = ["name", "source", "failed", "value", "trace_id"]


def spread(values: pd.Series[float]) -> dict[str, float] | None:
    """Count, median, p90, p99, largest and total of what is known; None where nothing is."""
    known = pd.to_numeric(values).dropna()
    if known.empty:
        return None
    found = dict(zip(("median", "p90", "p99"), known.quantile([0.5, 0.9, 0.99]), strict=True))
    found |= {"largest": known.max(), "total": known.sum()}
    return {"count": len(known), **{name: float(f"{n:.6g}") for name, n in found.items()}}


def _counts(values: pd.Series[str]) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().items()}


def _grouped(frame: pd.DataFrame, keys: list[str], **named: Any) -> pd.DataFrame:
    """The largest groups of the frame by their number of ``traces``, with what is named of them."""
    sizes = frame.groupby(keys, sort=False)["trace_id"].nunique().rename("traces")
    largest = sizes.sort_values(ascending=False, kind="stable").head(LISTED).reset_index()
    some = frame.merge(largest, on=keys).groupby(keys, sort=False)
    return largest.merge(some.agg(**named).reset_index(), on=keys)


def _first(trace_ids: pd.Series[str]) -> list[str]:
    return list(dict.fromkeys(trace_ids.dropna()))[:EXAMPLES]


def _records(frame: pd.DataFrame) -> list[dict[str, Json]]:
    known = frame.round(4).astype(object).where(frame.notna(), None)
    return [dict(zip(known.columns, row, strict=True)) for row in known.to_numpy().tolist()]


def route_of(name: str, run_id: str, skills: Mapping[str, str]) -> str:
    """What kind of request a trace is: its root span's name, or the skill of evalkit's own."""
    return (skills.get(run_id) or f"run {run_id}") if run_id else name or "unnamed"


def _errors_of(trace: ObservedTrace) -> dict[tuple[str, str], str]:
    """Each error of a trace once, by place and signature; of nested ones the innermost."""
    failed = [span for span in trace.spans if span.status == "ERROR"]
    above = {span.parent_id for span in failed}
    found = {
        (span.name, signature(span.message)): span.message
        for span in reversed(failed)
        if span.span_id not in above
    }
    if not found and trace.status == "ERROR":
        return {("", signature(trace.response)): trace.response}
    return found
