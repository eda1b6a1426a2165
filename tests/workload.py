"""What is written to MLflow: a trace with its spans, and a score on it."""

import json
from dataclasses import replace

from evalkit.entities import MARKER, Assessment, Span, Trace
from evalkit.jsonable import derive_id
from evalkit.receipt import Receipt

START_NS = 1_783_591_200_123_456_789
START_MS = START_NS // 10**6
SECOND_NS = 10**9
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
PRICE = {"input_cost": 0.01, "output_cost": 0.02, "total_cost": 0.03}


def span(trace_id, number, **changes):
    model = {
        "mlflow.chat.tokenUsage": USAGE,
        "mlflow.llm.model": "m-1",
        "mlflow.llm.cost": PRICE,
    }
    usual = Span(
        span_id=derive_id(trace_id, str(number), length=16),
        parent_id=derive_id(trace_id, "0", length=16) if number else None,
        name=f"step {number}",
        kind="LLM" if number % 2 else "AGENT",
        start_ns=START_NS + number * SECOND_NS,
        end_ns=START_NS + (number + 1) * SECOND_NS,
        inputs={"command": "ls", "number": number},
        outputs=[{"type": "text", "text": f"output {number}"}],
        attributes=model if number % 2 else {},
    )
    return replace(usual, **changes)


def trace(key, case="case-1", *, steps=3, **changes):
    """A trace of a case; with other steps it is another one."""
    content = f"hash of {case} with {steps}"
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
            "mlflow.trace.tokenUsage": json.dumps(USAGE),
            "mlflow.trace.cost": json.dumps(PRICE),
        },
        content_hash=content,
        receipt=Receipt(),
    )
    return replace(usual, **changes)


def judged(key, of, name="tone", value=True, **changes):
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
