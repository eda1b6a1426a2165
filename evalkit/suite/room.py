"""The rows' whole traces where code runs confined: with other answers, and as a pandas frame.

Copied beside ``harness.py``, with nothing of evalkit; ``from room import *`` is for the model.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["GOOD", "TRACES", "spans", "trace"]  # noqa: F822 - made when they are asked for

ROWS_FILE, TRACES_FILE = "rows.jsonl", "traces.jsonl"
SOURCES = {"TOOL", "RETRIEVER"}
SHORTEST_ANSWER = 12
"""Texts of fewer characters are not taken for the answer where other spans hold them."""


def rows_and_traces() -> tuple[list[dict[str, Any]], list[str]]:
    """The rows, and of each its trace as JSON."""
    place = Path(__file__).resolve().parent
    rows, traces = (
        (place / name).read_text("utf-8").splitlines() for name in (ROWS_FILE, TRACES_FILE)
    )
    return [json.loads(row) for row in rows], traces


def probe_trace(line: str, row: dict[str, Any], outputs: list[Any]) -> Any:
    """The row's trace as MLflow's object, under an id of its own, with another answer if given.

    An id that scorers have not seen keeps them from judging by it.
    """
    from mlflow.entities import Trace

    raw = os.urandom(16)
    if old := re.search(r"[0-9a-f]{32}$", row["trace_id"]):
        line = line.replace(old[0], raw.hex())
    trace = json.loads(line)
    for span in trace["data"]["spans"] if old else ():
        span["trace_id"] = base64.b64encode(raw).decode()
    if outputs:
        put_in_place(trace, row["outputs"], outputs[0])
    return Trace.from_dict(trace)


def put_in_place(trace: dict[str, Any], was: Any, answer: Any) -> None:
    """Let the trace have answered something else, wherever it holds its answer but in sources."""
    texts = [tuple(json.dumps(text)[1:-1] for text in pair) for pair in changed(was, answer)]
    for span in trace["data"]["spans"]:
        held, is_root = span["attributes"], not span.get("parent_span_id")
        kind = held.get("mlflow.spanType", "").strip('"')
        if not is_root and (kind in SOURCES or "mlflow.spanOutputs" not in held):
            continue
        try:
            outputs = json.loads(held.get("mlflow.spanOutputs"))
        except (ValueError, TypeError):  # it is the value, and no JSON text
            outputs = held.get("mlflow.spanOutputs")
        said = json.dumps(outputs)
        for old, new in texts:
            said = said.replace(old, new)
        is_answer = outputs == was or (is_root and said == json.dumps(outputs))
        held["mlflow.spanOutputs"] = json.dumps(answer) if is_answer else said
    trace["info"]["response_preview"] = json.dumps(answer)[:1000]
    trace["info"].get("trace_metadata", {}).pop("mlflow.traceOutputs", None)


def changed(was: Any, answer: Any) -> Iterator[tuple[str, str]]:
    """Texts that stand in both answers at the same place and differ, old and new."""
    if isinstance(was, str) and isinstance(answer, str):
        if was != answer and len(was) >= SHORTEST_ANSWER:
            yield was, answer
    elif isinstance(was, dict) and isinstance(answer, dict):
        for name in was.keys() & answer.keys():
            yield from changed(was[name], answer[name])
    elif isinstance(was, list) and isinstance(answer, list):
        for old, new in zip(was, answer, strict=False):
            yield from changed(old, new)


def __getattr__(name: str) -> Any:
    """TRACES and GOOD (frames, a row a trace), ``spans(trace_id)`` and ``trace(trace_id)``.

    Raises:
        AttributeError: it is none of them.
    """
    if name not in __all__:
        raise AttributeError(name)
    import pandas as pd
    from mlflow.entities import Trace

    rows, lines = rows_and_traces()
    traces = {row["trace_id"]: Trace.from_json(line) for row, line in zip(rows, lines, strict=True)}
    frame = pd.DataFrame(rows)
    whole = [traces[each] for each in frame["trace_id"]]
    frame["status"] = [each.info.state.value for each in whole]
    events = [[e for s in each.data.spans for e in s.events] for each in whole]
    errors = [[e.attributes.get("exception.message") for e in some] for some in events]
    frame["error"] = [next(filter(None, some), None) for some in errors]
    for column, kind, part in (("tools", "TOOL", "name"), ("retrieved", "RETRIEVER", "outputs")):
        frame[column] = [[getattr(s, part) for s in t.search_spans(span_type=kind)] for t in whole]
    frame["disliked"] = frame["verdict"] == "rejected"
    globals().update(
        TRACES=frame.drop(columns="is_good"),
        GOOD=frame[frame["is_good"]].drop(columns="is_good"),
        spans=lambda trace_id: traces[trace_id].data.spans,
        trace=traces.__getitem__,
    )
    return globals()[name]
