"""Traces out of the store, all in outline once and a sample whole; and which stand for all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from evalkit.jsonable import Json, canonical
from evalkit.store import assessments_of, run_of, spans_of
from evalkit.suite.model import Row
from evalkit.traces.analysis import Analysis, is_empty, json_shape, likeness, route_of
from evalkit.traces.counted import count_in_tables
from evalkit.traces.people import Scale, people_said
from evalkit.traces.transcript import system_prompts

if TYPE_CHECKING:
    from mlflow.entities import Trace

    from evalkit.store import Store

MOST_TRACES = 100_000
"""As many as an experiment may have on Databricks; the newest are looked at."""

MOST_ROWS = 400
MOST_BYTES = 32_000_000
"""What the whole traces of the rows may take together, as JSON."""

WEIGHTS = {"ok": 1.0, "not over": 0.5, "failed": 0.4}
"""How soon a trace has its turn by how it ended; bounds are learned from those that ended well."""

NO_TRACES = "the experiment holds no traces yet"
NO_SPANS = "no trace of the experiment has spans that can be read"
NO_INPUTS = "the traces' inputs are empty: there is nothing to ask an agent again"
HOPELESS = (NO_SPANS, NO_INPUTS)
"""Problems that the same command meets again, whenever it is given."""


@dataclass(frozen=True, slots=True)
class Survey:
    """An experiment's traces, read once.

    ``analysis`` is what was counted, of all traces: see :meth:`Analysis.report`; also ``prompts``
    (system prompts of the rows, with the number of rows), ``too_large`` (traces that were left out
    of the sample for their size) and ``gone`` (asked for, but no longer there).
    """

    analysis: Mapping[str, Json]
    rows: tuple[Row, ...]  # whole traces, those that people judged first
    trace_ids: tuple[str, ...]  # what a resumed session asks for
    is_sample: bool  # whether there are traces with inputs that are not among the rows
    problem: str  # why no suite can be made of these traces; empty where one can


def survey(
    store: Store,
    experiment_id: str,
    *,
    trace_ids: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Survey:
    """Count all traces of an experiment, by SQL where they lie in tables, and read a sample whole.

    Raises:
        StoreError: MLflow failed.
    """
    turns = {state.replace(" ", "_"): weight for state, weight in WEIGHTS.items()}
    # one row more than the sample has says that it is one
    by_sql = count_in_tables(store, experiment_id, say=say, rows=MOST_ROWS + 1, **turns)
    counted = by_sql or analyse(store, experiment_id)
    report, frame = counted.report(), counted.traces
    has_answer = frame["answered"] | (frame["state"] == "failed")
    usable = frame[frame["has_inputs"] & has_answer]
    picked = stratified(usable, ["route", "state", "verdict"], MOST_ROWS)
    rows: list[Row] = []
    too_large: list[str] = []
    room, scales = MOST_BYTES, counted.scales
    for trace in store.whole_traces(experiment_id, list(trace_ids or picked["trace_id"])):
        stated = trace.info.trace_metadata.get("mlflow.trace.sizeBytes", "")
        size = int(stated) if stated.isdecimal() else len(trace.to_json())
        if size > room and not trace_ids:
            too_large.append(trace.info.trace_id)
            continue
        room -= size
        if (row := row_of(trace, counted.skills, scales)) is not None:
            rows.append(row)
    found = tuple(row.trace_id for row in rows)
    prompts = Counter(prompt for row in rows for prompt in row.prompts).most_common(5)
    report["prompts"] = [{"text": text, "rows": count} for text, count in prompts]
    report |= {"too_large": too_large, "gone": sorted({*trace_ids} - {*found})}
    why = NO_TRACES if not report["traces"] else NO_INPUTS if report["without_inputs"] else NO_SPANS
    return Survey(report, tuple(rows), found, len(rows) < len(usable), "" if rows else why)


def analyse(
    store: Store,
    experiment_id: str,
    *,
    most: int = MOST_TRACES,
    say: Callable[[str], None] = lambda _: None,
) -> Analysis:
    """Count the newest traces of an experiment, in outline and one after the other.

    Raises:
        StoreError: MLflow failed.
    """
    counted = Analysis()
    for number, trace in enumerate(store.observe(experiment_id, most=most, outline=True), 1):
        if trace.run_id and trace.run_id not in counted.skills:
            counted.skills[trace.run_id] = store.skill_of(trace.run_id)
        counted.add(trace)
        if number % 25 == 0:
            say(f"{number} traces read")
    return counted


def row_of(
    trace: Trace, skills: Mapping[str, str] | None = None, scales: Mapping[str, Scale] | None = None
) -> Row | None:
    """A whole trace as a request and its answer; None where it shows no input."""
    spans = spans_of(trace.data.spans, whole=False)
    if not spans or is_empty(spans[0].inputs):
        return None
    root, info = spans[0], trace.info
    said = people_said(assessments_of(info), scales or {})
    took = info.execution_duration
    told = [prompt for s in spans if s.kind == "LLM" for prompt in system_prompts(s.inputs)]
    return Row(
        info.trace_id,
        route_of(root.name, run_of(info), skills or {}),
        root.inputs if isinstance(root.inputs, dict) else {"input": root.inputs},
        root.outputs,
        info.state.value == "ERROR" or is_empty(root.outputs),
        said.verdict,
        said.comments,
        said.expectations,
        tuple(dict.fromkeys(told)),
        (root.end_ns - root.start_ns) / 1e9 if took is None else took / 1000,
        trace,
    )


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
    place, is_judged = found.groupby(list(by), sort=False).cumcount(), found["verdict"] != "none"
    # half the room is theirs; where they are more, they take turns as all others do
    is_first = is_judged & (is_judged.cumsum() <= most // 2)
    found["turn"] = (place / found["state"].map(WEIGHTS).astype(float)).where(~is_first, -1.0)
    return found.sort_values(["turn", "again", "order"], kind="stable").head(most)


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
        "shape": [json_shape(dict(row.inputs)) for row in found.values()],
    }
    picked = stratified(pd.DataFrame(columns), ["route", "state", "verdict", "shape"], most)
    return [found[trace_id] for trace_id in picked["trace_id"]]
