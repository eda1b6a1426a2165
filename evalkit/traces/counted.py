"""Traces that a SQL warehouse counts: the report of all, and the few that a sample is taken from.

What only Python knows is done here with what SQL has grouped: what errors have in common, and what
people's words mean. The forms of inputs and outputs are those of the traces that come out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from evalkit.entities import Assessment
from evalkit.errors import EvalkitError
from evalkit.jsonable import Json, truncate
from evalkit.suite.model import passes
from evalkit.traces.analysis import fingerprint, forms_of, json_shape
from evalkit.traces.people import of_people, people_said, scales_of

if TYPE_CHECKING:
    from evalkit.store import Store
    from evalkit.store.warehouse import Warehouse

_EXAMPLES, _LISTED = 5, 100  # as where traces are counted one by one
_EXAMPLE_CHARS, _VALUE_CHARS = 500, 40
_CANDIDATE = ("trace_id", "route", "state", "has_inputs", "answered", "likeness")

Records = list[dict[str, Json]]


def count_in_tables(
    store: Store, experiment_id: str, *, say: Callable[[str], None], **sample: float
) -> CountedTraces | None:
    """The traces of an experiment, counted by SQL; None, and why is said, where that cannot be.

    ``sample`` is how many ``rows`` come out, and how soon the ``ok``, ``failed`` and ``not_over``
    have their turn.
    """
    warehouse = store.warehouse(experiment_id)
    if warehouse is None:
        return None
    try:
        found = CountedTraces(warehouse, say, sample)
        if found.number:
            return found
        why = "it finds none there"
    except EvalkitError as error:
        why = str(error)
    say(f"{warehouse.tables} cannot be counted by SQL, so the traces are read instead: {why}")
    return None


class CountedTraces:
    """As :class:`Analysis`, of traces that a warehouse has counted.

    Attributes:
        traces: Those that the sample may hold, with the columns that choosing it needs.
        scales: The scale of people's numbers, by name.
        skills: None; what evalkit logged does not lie in tables.
        number: How many traces there are.
    """

    def __init__(
        self, warehouse: Warehouse, say: Callable[[str], None], sample: Mapping[str, float]
    ) -> None:
        say(f"counting the traces in {warehouse.tables} by SQL")
        self.skills: dict[str, str] = {}
        names = ("routes", "tools", "errors", "judges", "people")
        self._found = {name: warehouse.ask(name) for name in names}
        self._sample = warehouse.ask("sample", **sample)
        routes = self._found["routes"]
        self._routes = [row for row in routes if row["route"] is not None]
        self._all: Mapping[str, Json] = next((row for row in routes if row["route"] is None), {})
        self.number: int = self._all.get("traces", 0)
        for name, rows in self._found.items():
            if len(rows) == warehouse.most:
                say(f"of {name} {len(rows):,} groups are counted, the largest or newest")
        people = self._found["people"]
        words = list(of_people(map(_assessment, people)))
        by_trace: defaultdict[str, list[Assessment]] = defaultdict(list)
        for each in words:
            by_trace[each.trace_id].append(each)
        self.scales = scales_of(words)
        self._said = {trace: people_said(own, self.scales) for trace, own in by_trace.items()}
        newest = sorted(people, key=lambda row: -row["start_ms"])
        self._judged = {row["trace_id"]: row for row in newest}
        candidates = [
            {name: row[name] for name in _CANDIDATE} | {"verdict": self._verdict(row["trace_id"])}
            for row in (*self._judged.values(), *self._sample)
        ]
        self.traces = pd.DataFrame(candidates, columns=[*_CANDIDATE, "verdict"])

    def _verdict(self, trace_id: str) -> str:
        return self._said[trace_id].verdict if trace_id in self._said else "none"

    def report(self) -> dict[str, Json]:
        """As :meth:`Analysis.report`; as examples the newest trace and the oldest are named."""
        days = pd.to_datetime([self._all["first_ms"], self._all["last_ms"]], unit="ms")
        verdicts = {each: self._verdict(each) for each in self._judged}
        return {
            "traces": self.number,
            "without_inputs": self._all["without_inputs"],
            "unread": {},
            "window": [f"{day:%Y-%m-%d}" for day in days],
            "states": _states(self._all),
            **{name: _spread(self._all, name) for name in ("seconds", "tokens", "cost_usd")},
            "routes": [self._route(row) for row in self._routes[:_LISTED]],
            "errors": _errors(self._found["errors"]),
            "tools": _tools(row for row in self._found["tools"] if row["route"] is None),
            "people": {
                **{w: [t for t, v in verdicts.items() if v == w] for w in ("accepted", "rejected")},
                "contradictory": [each for each, s in self._said.items() if s.is_contradictory],
                "comments": {
                    each: list(s.comments) for each, s in self._said.items() if s.comments
                },
            },
            "judges": _judges(self._found["judges"]),
        }

    def _route(self, row: Mapping[str, Json]) -> dict[str, Json]:
        route = row["route"]
        judged = [each for each, known in self._judged.items() if known["route"] == route]
        verdicts = Counter(self._verdict(each) for each in judged)
        verdicts["none"] += row["traces"] - len(judged)
        mine = [each for each in self._sample if each["route"] == route]
        tools = [each for each in self._found["tools"] if each["route"] == route]
        return {
            "route": route,
            "traces": row["traces"],
            "states": _states(row),
            "verdicts": {each: count for each, count in verdicts.most_common() if count},
            **{part: _forms(each[part] for each in mine) for part in ("inputs", "outputs")},
            "tools": {each["tool"]: each["traces"] for each in tools[:12]},
            "seconds": _spread(row, "seconds"),
            "trace_ids": [each["trace_id"] for each in mine[:_EXAMPLES]] or judged[:_EXAMPLES],
        }


def _forms(texts: Iterable[str | None]) -> str:
    return forms_of(json_shape(_value(text)) for text in texts if text is not None)


def _errors(rows: Records) -> Records:
    """Groups by what errors have in common: each of a trace's errors counts once."""
    found: dict[tuple[str, str, str], dict[str, Json]] = {}
    for row in rows:
        said = {(e["place"], fingerprint(e["text"])): e["text"] for e in json.loads(row["errors"])}
        for (place, text), words in said.items():
            example = "" if words == text else truncate(words, _EXAMPLE_CHARS)
            new = {"state": row["state"], "place": place, "text": text, "traces": 0}
            group = found.setdefault(
                (row["state"], place, text), {**new, "example": example, "trace_ids": []}
            )
            group["traces"] += row["traces"]
            group["trace_ids"] = _examples([row], group["trace_ids"])
    return sorted(found.values(), key=lambda group: -group["traces"])[:_LISTED]


def _tools(rows: Iterable[Mapping[str, Json]]) -> Records:
    return [
        {
            **{name: row[name] for name in ("tool", "traces", "calls", "failures")},
            **{name: round(row[name], 4) for name in ("median_s", "p90_s")},
            "failed_in": _examples([row]),
        }
        for row in rows
    ][:_LISTED]


def _judges(rows: Records) -> Records:
    by_judge: defaultdict[tuple[str, str], Records] = defaultdict(list)
    for row in rows:
        if row["is_error"] is not None:
            by_judge[row["name"], row["source"]].append(row)
    found = []
    for row in (row for row in rows if row["is_error"] is None):
        values = by_judge[row["name"], row["source"]]
        given: Counter[str] = Counter()
        for each in values:
            value = truncate(str(_value(each["value"])), _VALUE_CHARS)
            given["judge error" if each["is_error"] else value] += each["given"]
        failing = [each for each in values if passes(_value(each["value"])) is False]
        found.append(
            {
                **{name: row[name] for name in ("name", "source", "traces")},
                "given": dict(given.most_common(6)),
                "failed": sum(each["given"] for each in failing),
                "failed_in": _examples(failing),
            }
        )
    return sorted(found, key=lambda each: -each["traces"])[:_LISTED]


def _examples(rows: Sequence[Mapping[str, Json]], known: Sequence[str] = ()) -> list[str]:
    ids = [row[which] for which in ("newest", "oldest") for row in rows]
    return list(dict.fromkeys([*known, *filter(None, ids)]))[:_EXAMPLES]


def _states(row: Mapping[str, Json]) -> dict[str, int]:
    counts = Counter({n: row[n.replace(" ", "_")] for n in ("ok", "failed", "not over")})
    return {state: count for state, count in counts.most_common() if count}


def _spread(row: Mapping[str, Json], what: str) -> dict[str, float] | None:
    """As of :func:`evalkit.traces.analysis.spread`."""
    if not (count := row[f"{what}_count"]):
        return None
    named = {name: row[f"{what}_{name}"] for name in ("median", "p90", "p99", "largest", "total")}
    return {"count": count, **{name: float(f"{n:.6g}") for name, n in named.items()}}


def _assessment(row: Mapping[str, Json]) -> Assessment:
    return Assessment(
        *(row["assessment_id"], row["trace_id"], row["name"], _value(row["value"]), "HUMAN"),
        source_id=row["source_id"] or "",
        rationale=row["rationale"] or "",
        error=row["error"] or "",
        time_ms=row["time_ms"] or 0,
        kind=row["kind"],
    )


def _value(text: str | None) -> Json:
    """A value that SQL gave as text; the tables do not say of a text whether it was a number."""
    try:
        return json.loads(text or "", parse_int=float)
    except ValueError:
        return text
