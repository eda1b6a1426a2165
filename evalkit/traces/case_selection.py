"""Which traces stand for all: rows out of thousands of traces, and cases out of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import pandas as pd

from evalkit.jsonable import canonical
from evalkit.suite.model import Row
from evalkit.traces.json_shape import Shape, likeness

WEIGHTS: Mapping[str, float] = {"ok": 1.0, "not over": 0.5, "failed": 0.4}
"""How soon a trace has its turn by how it ended; bounds are learned from those that ended well."""


def stratified(frame: pd.DataFrame, by: Sequence[str], most: int) -> pd.DataFrame:
    """The rows of the frame that stand for all, those that people judged first.

    Each stratum has its turn, so that thousands of one kind leave room for others; within one,
    different inputs come before repeats, and else the order of hashes decides, which stays the
    same however many traces there are.
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


def choose_cases(rows: Sequence[Row], most: int = 60) -> list[Row]:
    """The rows that become cases: by route, verdict and form of inputs, no inputs twice."""
    # of equal inputs the one that says the most: what people judged, else an answer
    telling = sorted(rows, key=lambda row: (row.verdict == "none", not row.is_good))
    single = {(row.route, canonical(dict(row.inputs))): row for row in reversed(telling)}
    found = {row.trace_id: row for row in single.values()}
    columns = {
        "trace_id": list(found),
        "route": [row.route for row in found.values()],
        "verdict": [row.verdict for row in found.values()],
        "state": ["failed" if row.failed else "ok" for row in found.values()],
        "likeness": [likeness(dict(row.inputs)) for row in found.values()],
        "shape": [str(Shape().add(dict(row.inputs))) for row in found.values()],
    }
    picked = stratified(pd.DataFrame(columns), ["route", "state", "verdict", "shape"], most)
    return [found[trace_id] for trace_id in picked["trace_id"]]
