"""What is written to MLflow: a trace with its spans, a score on it, a run's params and metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from evalkit.entities import MARKER, Assessment, Span, Trace
from evalkit.jsonable import derive_id
from evalkit.receipt import Receipt
from evalkit.store import RunRecord

START_NS = 1_783_591_200_123_456_789
START_MS = START_NS // 10**6
SECOND_NS = 10**9

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
PRICE = {"input_cost": 0.01, "output_cost": 0.02, "total_cost": 0.03}


def span(trace_id: str, number: int, **changes: Any) -> Span:
    usual = Span(
        span_id=derive_id(trace_id, str(number), length=16),
        parent_id=derive_id(trace_id, "0", length=16) if number else None,
        name=f"step {number}",
        kind="LLM" if number % 2 else "AGENT",
        start_ns=START_NS + number * SECOND_NS,
        end_ns=START_NS + (number + 1) * SECOND_NS,
        inputs={"command": "ls", "number": number},
        outputs=[{"type": "text", "text": f"output {number}"}],
        attributes={
            "mlflow.chat.tokenUsage": USAGE,
            "mlflow.llm.model": "m-1",
            "mlflow.llm.cost": PRICE,
        }
        if number % 2
        else {},
    )
    return replace(usual, **changes)


def trace(key: str, case: str = "case-1", *, steps: int = 3, **changes: Any) -> Trace:
    """A trace of a case; with other steps it is another one."""
    content = changes.get("content_hash", f"hash of {case} with {steps}")
    trace_id = "tr-" + derive_id(key, "case", case, content)
    usual = Trace(
        trace_id=trace_id,
        name=case,
        case_id=case,
        start_ns=START_NS,
        end_ns=START_NS + steps * SECOND_NS,
        status="OK",
        request="do it",
        response={"answer": 42},
        spans=tuple(span(trace_id, number) for number in range(steps)),
        tags={"evalkit.run": key, "evalkit.case": case, "evalkit.verdict": "reconciled"},
        metadata={
            "mlflow.trace.session": f"session of {case}",
            "mlflow.trace.tokenUsage": json.dumps(
                {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
            ),
            "mlflow.trace.cost": json.dumps(
                {"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}
            ),
        },
        content_hash=content,
        receipt=Receipt(),
    )
    return replace(usual, **changes)


def judged(
    key: str, of: Trace, name: str = "tone", value: Any = True, **changes: Any
) -> Assessment:
    usual = Assessment(
        assessment_id="a-" + derive_id(of.trace_id, str(of.case_id), name, "CODE"),
        trace_id=of.trace_id,
        name=name,
        value=value,
        source_type="CODE",
        source_id=name,
        rationale=f"{name} looked right",
        metadata={MARKER: key, "case_id": str(of.case_id)},
        time_ms=START_MS,
    )
    return replace(usual, **changes)


def record(key: str) -> RunRecord:
    return RunRecord(
        key=key,
        name="nightly",
        params={"model": "m-1"},
        metrics=(("tone/mean", 0.5), ("cost_usd", 1.5)),
        tags={"team": "blue"},
        start_ms=START_MS,
        end_ms=START_MS + 60_000,
    )
