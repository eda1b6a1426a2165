"""One pass over an experiment's traces: what can be counted of them; their spans are not kept."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from evalkit.entities import Assessment, ObservedTrace
from evalkit.jsonable import Json, canonical, truncate
from evalkit.suite.model import passes
from evalkit.traces.people import PeopleSaid, Scale, of_people, people_said, scales_of
from evalkit.traces.transcript import question

LONGEST, READ = 200, 2_000  # characters of a fingerprint, and of an error that are looked at
_EXAMPLES = 5  # traces that are named as examples of an error, a tool or a judge
_LISTED = 100  # groups of a kind that are told apart: errors, tools, routes, judges
_ASKED_CHARS, _EXAMPLE_CHARS, _VALUE_CHARS = 160, 500, 40
_DEPTH, _FIELDS, _FORMS = 3, 12, 3  # levels and fields of a form that are shown, and forms
_SENTENCE, _COMPARED = 3, 6_000  # words beside a number that is a detail; characters compared
_STATES = {"OK": "ok", "ERROR": "failed", "UNSET": "not over"}
_KINDS = {str: "text", int: "number", float: "number", bool: "bool", dict: "object"}
_TRACE_COLUMNS = (
    *("trace_id", "route", "start_ms", "seconds", "state", "tokens", "cost_usd", "asked"),
    *("tools", "is_read", "has_inputs", "answered", "likeness"),
)
_DIFFERING = re.compile(
    r"""(?ix)(?P<url>\b[a-z][a-z0-9+.-]*://[^\s'"<>)\]}]+)
    |(?P<time>\b\d{4}-\d\d-\d\d(?:[t\ ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?)
    |(?P<address>[\w.+-]{1,80}@[\w-]+\.[\w.]*\w)
    |(?P<path>(?<![\w.<])(?:[a-z]:|~|\.{1,2})?(?:[\\/][\w.@+-]+)+[\\/]?)
    |(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|(?<![\w-])(?=[\w-]*[a-z])[\w-]*\d{4,}\w*\b
    |\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,}\b|\b(?=\w*\d)\w{16,}\b
    |\b(?=(?:\w*\d[a-z]){2})\w{8,}\b)
    |(?P<kept>(?:http|status|code|error)\W{0,4}(?:code\W{0,4})?[45]\d\d\b
    |(?P<mark>['"`])[^\W\d][^\W\d.-]*(?P=mark)(?:\W{1,3}[45]\d\d\b)?)
    |['"`](?P<text>[^'"`\n]{1,300})(?=['"`]).
    |(?P<n>\d+(?:[.,:]\d+)*)"""
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

    def add(self, trace: ObservedTrace) -> None:
        """Count a trace; it is enough to have it in outline."""
        root = trace.spans[0] if trace.spans else None
        inputs, outputs = (root.inputs, root.outputs) if root else (None, None)
        route = route_of(root.name if root else trace.name, trace.run_id, self.skills)
        trace_id, state = trace.trace_id, _STATES[trace.status]
        if root:
            self._noted["inputs"].append((route, json_shape(inputs)))
        else:
            self.unread[trace.unread] += 1
        if not is_empty(outputs):
            self._noted["outputs"].append((route, json_shape(outputs)))
        for (place, text), said in errors_of(trace).items():
            example = "" if said == text else truncate(said, _EXAMPLE_CHARS)
            self._noted["errors"].append((state, place, text, example, trace_id))
        for span in (calls := [span for span in trace.spans if span.kind == "TOOL"]):
            seconds = (span.end_ns - span.start_ns) / 1e9
            self._noted["tools"].append((span.name, span.status == "ERROR", seconds, trace_id))
        if people := tuple(of_people(trace.assessments)):
            self._people[trace_id] = people
        for each in trace.assessments:
            if each.source_type != "HUMAN" and each.kind == "feedback":
                source = f"{each.source_type} {each.source_id}".strip()
                value = "judge error" if each.error else truncate(str(each.value), _VALUE_CHARS)
                failed = passes(each.value) is False
                self._noted["judged"].append((each.name, source, failed, value, trace_id))
        counted = (trace.input_tokens, trace.output_tokens)  # half of them would look like all
        self._noted["traces"].append(
            (
                trace_id,
                route,
                trace.start_ms,
                None if trace.duration_ms is None else trace.duration_ms / 1000,
                state,
                None if None in counted else sum(n for n in counted if n is not None),
                trace.cost_usd,
                truncate(question(inputs) if root else trace.request, _ASKED_CHARS),
                tuple(dict.fromkeys(span.name for span in calls)),
                root is not None,
                not is_empty(inputs),
                not is_empty(outputs),
                likeness(inputs),
            )
        )

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
        tools = Counter(tool for used in some["tools"] for tool in used)
        noted = {part: self._noted[part] for part in ("inputs", "outputs")}
        forms = {part: forms_of(f for of, f in all_ if of == route) for part, all_ in noted.items()}
        return {
            "route": route,
            "traces": len(some),
            "states": _counts(some["state"]),
            "verdicts": _counts(some["verdict"]),
            **forms,
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


def json_shape(value: Json, depth: int = _DEPTH) -> str:
    """The form of a value, such as ``object{question: text, tools: list[object]}``."""
    if depth and isinstance(value, dict) and value:
        fields = [(n, json_shape(value[n], depth - 1)) for n in list(value)[:_FIELDS]]
        shown = [f"{truncate(name, 40)}: {shape}" for name, shape in fields]
        more = ["…"] if len(value) > _FIELDS else []
        return f"object{{{', '.join(shown + more)}}}"
    if isinstance(value, list):
        return f"list[{json_shape(value[0], depth - 1)}]" if depth and value else "list"
    return _KINDS.get(type(value), "null")


def forms_of(shapes: Iterable[str]) -> str:
    """The most common of the shapes."""
    return " or ".join(shape for shape, _ in Counter(shapes).most_common(_FORMS)) or "nothing"


def is_empty(value: Json) -> bool:
    """Whether inputs or outputs hold nothing: no text, no fields, only fields without a value."""
    if isinstance(value, dict):
        return all(map(is_empty, value.values()))
    return value is None or value in ("", [])


def likeness(inputs: Json) -> int:
    """What alike inputs share in this process: they differ in numbers, case and spaces at most."""
    text = " ".join(canonical(inputs).casefold().split())
    plain, numbers = re.subn(r"\w*\d\w*", "#", text) if len(text) <= _COMPARED else (text, 0)
    return hash(plain if text.count(" ") - numbers >= _SENTENCE - 1 else text)


def errors_of(trace: ObservedTrace) -> dict[tuple[str, str], str]:
    """Each error of a trace once, by place and fingerprint; of nested ones the innermost."""
    failed = [span for span in trace.spans if span.status == "ERROR"]
    above = {span.parent_id for span in failed}
    inner = [span for span in reversed(failed) if span.span_id not in above]
    if not inner and trace.status == "ERROR":
        return {("", fingerprint(trace.response)): trace.response}
    return {(span.name, fingerprint(span.message)): span.message for span in inner}


def fingerprint(error: str) -> str:
    """The error with placeholders for what differs from one occurrence to the next.

    Names in quotes stay, since ``KeyError: 'order'`` and ``KeyError: 'name'`` are two errors; so
    do status codes such as ``HTTP 429``.
    """

    def placeholder(found: re.Match[str]) -> str:
        kind = next(name for name, text in found.groupdict().items() if text and name != "mark")
        return found[0] if kind == "kept" else found[0].replace(found[kind], f"<{kind}>", 1)

    text = _DIFFERING.sub(placeholder, error[:READ])
    return truncate(" ".join(text.split()), LONGEST)


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
