"""Which traces stand for all: rows out of thousands of traces, and cases out of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import pandas as pd

from evalkit.core.values import canonical
from evalkit.suite.model import Row
from evalkit.traces.analysis import Analysis
from evalkit.traces.json_shape import likeness, shape_of

CASES = 60
"""Cases of a suite's project at most."""

WEIGHTS: Mapping[str, float] = {"ok": 1.0, "not over": 0.5, "failed": 0.4}
"""How soon a trace has its turn by how it ended; bounds are learned from those that ended well."""


def stratified(frame: pd.DataFrame, by: Sequence[str], most: int) -> pd.DataFrame:
    """The rows of the frame that stand for all, those that people judged first.

    Each stratum has its turn, so that thousands of one kind leave room for others; within one,
    different inputs come before repeats, and else the order of hashes decides, which stays the
    same however many traces there are.

    Args:
        frame: ``trace_id``, ``route``, ``likeness``, ``verdict``, ``state`` and the columns that
            ``by`` names.
        by: The columns that make a stratum.
        most: How many rows.
    """
    order = [hashlib.sha256(str(each).encode()).digest() for each in frame["trace_id"]]
    found = frame.assign(order=order).sort_values("order", kind="stable")
    found["again"] = found.groupby(["route", "likeness", "verdict", "state"]).cumcount()
    found = found.sort_values(["again", "order"], kind="stable")
    place = found.groupby(list(by), sort=False).cumcount()
    is_judged = found["verdict"] != "none"
    # half the room is theirs; where they are more, they take turns as all others do
    is_first = is_judged & (is_judged.cumsum() <= most // 2)
    turn = place / found["state"].map(WEIGHTS).astype(float)
    found["turn"] = turn.where(~is_first, -1.0)
    chosen = found.sort_values(["turn", "again", "order"], kind="stable").head(most)
    return chosen.drop(columns=["order", "again", "turn"])


def choose_cases(rows: Sequence[Row], most: int = CASES) -> list[Row]:
    """The rows that become cases: by route, verdict and form of inputs, no inputs twice.

    Args:
        rows: The rows, in the order in which the sample has them.
        most: How many cases at most.
    """
    # of equal inputs the one that says the most: what people judged, else an answer
    telling = sorted(rows, key=lambda row: (row.verdict == "none", not row.is_good))
    single = {(row.route, canonical(dict(row.inputs))): row for row in reversed(telling)}
    found = {row.trace_id: row for row in single.values()}
    columns = ["trace_id", "route", "verdict", "state", "likeness", "shape"]
    seen = [
        (
            *(row.trace_id, row.route, row.verdict, "failed" if row.failed else "ok"),
            *(likeness(dict(row.inputs)), shape_of(dict(row.inputs))),
        )
        for row in found.values()
    ]
    frame = pd.DataFrame(seen, columns=columns)
    picked = stratified(frame, ["route", "state", "verdict", "shape"], most)
    return [found[trace_id] for trace_id in picked["trace_id"]]


def worth_a_look(analysis: Analysis, most: int = 12) -> list[tuple[str, str]]:
    """Traces that a person looks at first, each once with what it shows, what is typical first.

    Args:
        analysis: What the traces say together.
        most: How many to name.
    """
    picked: dict[str, str] = {}
    for trace_id, why in _telling(analysis):
        if len(picked) < most:
            picked.setdefault(trace_id, why)
    return list(picked.items())


def _telling(analysis: Analysis) -> Iterator[tuple[str, str]]:
    frame = analysis.traces.set_index("trace_id", drop=False)
    by_time = frame["seconds"].dropna().astype(float).sort_values(kind="stable")
    timed = [str(each) for each in by_time.index]
    ok, tools = frame["state"] == "ok", dict(zip(frame["trace_id"], frame["tools"], strict=True))
    well = [each for each in timed if ok[each]]
    if well:
        yield well[len(well) // 2], "typical: takes as long as most"
    rejected = frame["trace_id"][frame["verdict"] == "rejected"]
    yield from ((each, "people rejected it") for each in rejected[:3])
    for text, ids in analysis.errors[["text", "trace_ids"]].head(4).to_numpy():
        yield ids[0], f"goes wrong: {text or 'no reason given'}"
    if timed:
        yield timed[-1], "the slowest"
    if frame["tokens"].notna().any():
        yield str(frame["tokens"].astype(float).idxmax()), "takes the most tokens"
    for tool in analysis.tools["tool"].head(4):
        uses = (each for each in well if tool in tools[each])
        yield from ((each, f"uses {tool}") for each in islice(uses, 1))
    if timed:
        yield timed[0], "the quickest"
    yield from ((each, "one of many") for each in frame["trace_id"][:: max(1, len(frame) // 8)])
