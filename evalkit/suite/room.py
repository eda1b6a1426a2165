"""The rows' whole traces where code runs confined: with other answers, and as a pandas frame.

Copied beside ``harness.py``, with nothing of evalkit; ``from room import *`` is for the model.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
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


def probe_trace(line: str, row: dict[str, Any], outputs: list[Any], number: int) -> Any:
    """The row's trace as MLflow's object, under an id of its own, with another answer if given.

    An id that scorers have not seen keeps them from judging by it.
    """
    from mlflow.entities import Trace

    if old := re.search(r"[0-9a-f]{32}$", row["trace_id"]):
        new = hashlib.md5(f"{number}".encode() + os.urandom(8), usedforsecurity=False).hexdigest()
        line = line.replace(old[0], new)
    trace = json.loads(line)
    for span in trace["data"]["spans"] if old else ():
        span["trace_id"] = base64.b64encode(bytes.fromhex(new)).decode()
    if outputs:
        put_in_place(trace, row["outputs"], outputs[0])
    return Trace.from_dict(trace)


def put_in_place(trace: dict[str, Any], was: Any, answer: Any) -> None:
    """Let the trace have answered something else, wherever it holds its answer but in sources."""
    texts = dict(changed_texts(was, answer))
    for span in trace["data"]["spans"]:
        attributes, is_root = span["attributes"], not span.get("parent_span_id")
        kind = attributes.get("mlflow.spanType", "").strip('"')
        if not is_root and (kind in SOURCES or "mlflow.spanOutputs" not in attributes):
            continue
        held = plain(attributes.get("mlflow.spanOutputs"))
        said = answer if held == was else exchanged(held, texts)
        attributes["mlflow.spanOutputs"] = json.dumps(answer if is_root and said == held else said)
    info = trace["info"]
    info["response_preview"] = json.dumps(answer)[:1000]
    info.get("trace_metadata", {}).pop("mlflow.traceOutputs", None)


def plain(held: Any) -> Any:
    """A span's attribute, which is JSON text or already the value."""
    with contextlib.suppress(ValueError, TypeError):
        return json.loads(held)
    return held


def changed_texts(was: Any, answer: Any) -> Iterator[tuple[str, str]]:
    """Texts that stand in both answers at the same place and differ, old and new."""
    if isinstance(was, str) and isinstance(answer, str):
        if was != answer and len(was) >= SHORTEST_ANSWER:
            yield was, answer
    elif isinstance(was, dict) and isinstance(answer, dict):
        for name in was.keys() & answer.keys():
            yield from changed_texts(was[name], answer[name])
    elif isinstance(was, list) and isinstance(answer, list):
        for old, new in zip(was, answer, strict=False):
            yield from changed_texts(old, new)


def exchanged(value: Any, texts: dict[str, str]) -> Any:
    """A value with the old texts exchanged for the new ones."""
    if isinstance(value, str):
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {name: exchanged(each, texts) for name, each in value.items()}
    return [exchanged(each, texts) for each in value] if isinstance(value, list) else value


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
    table = []
    for row in rows:
        spans = traces[row["trace_id"]].data.spans
        events = [event for span in spans for event in span.events if event.name == "exception"]
        table.append(
            {
                **{name: value for name, value in row.items() if name != "is_good"},
                "status": str(traces[row["trace_id"]].info.state.value),
                "error": events[0].attributes.get("exception.message") if events else None,
                "tools": [span.name for span in spans if span.span_type == "TOOL"],
                "retrieved": [span.outputs for span in spans if span.span_type == "RETRIEVER"],
                "disliked": row["verdict"] == "rejected",
            }
        )
    frame = pd.DataFrame(table)
    globals().update(
        TRACES=frame,
        GOOD=frame[[bool(row["is_good"]) for row in rows]],
        spans=lambda trace_id: traces[trace_id].data.spans,
        trace=lambda trace_id: traces[trace_id],
    )
    return globals()[name]
