"""A small evaluation suite for the tests: of a shop's agent that answers with tools.

The files are as an agent leaves them; tests spoil single lines of them.
"""

from __future__ import annotations

from evalkit.core.agent.answer import Path
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE, Row, ToolStep
from evalkit.core.examination import place_of
from evalkit.core.values import Json

ANSWERS = {
    "Where is order A-1001?": "Your order A-1001 left us on Monday. It arrives tomorrow.",
    "Can I return a lamp?": "Yes, you may return the lamp within 30 days. The return is free.",
    "Do you ship to Norway?": "Yes, we ship to Norway. The parcel takes 5 days and costs 12 EUR.",
    "What does a gift card cost?": "A gift card costs 10 EUR or more. You choose the amount.",
}


def recorded(number: int, question: str, answer: str | None) -> Recorded:
    """What the experiment holds of a request."""
    steps = (ToolStep("search", output=f"found: {answer}"),) if answer else ()
    row = Row({"question": question}, answer, {}, trace_id(number), steps, 1.5 + number)
    return Recorded(trace_id(number), "agent", row, ok=answer is not None)


def trace_id(number: int) -> str:
    return f"tr-{number:032x}"


class Traced(dict[str, Recorded]):
    """What an experiment holds, by trace."""

    def of(self, trace_id: str) -> Recorded | None:
        return self.get(trace_id)

    def place_of(self, route: str) -> Path:
        return place_of(self.values(), route)


EXPERIMENT = Traced(
    {
        trace_id(number): recorded(number, question, answer)
        for number, (question, answer) in enumerate([*ANSWERS.items(), ("Hello?", None)], 1)
    }
)
"""The traces of the experiment; the last of them failed."""

BY_HAND = Row({"question": "¿Hablan español?"}, None, {"language": "es"}, None)


def dataset_file(rows: list[Row]) -> bytes:
    """``eval_dataset.py`` for rows."""
    dataset: list[Json] = [
        {
            "inputs": row.inputs,
            "outputs": row.outputs,
            "expectations": row.expectations,
            "source_trace_id": row.source_trace_id,
        }
        for row in rows
    ]
    said = {
        row.source_trace_id: {
            "steps": [
                {"name": step.name, "failed": step.failed, "output": step.output}
                for step in row.steps
            ],
            "seconds": row.seconds,
            "route": "agent",
        }
        for row in rows
        if row.source_trace_id
    }
    lines = "".join(f"    {row!r},\n" for row in dataset)
    return f"DATASET = [\n{lines}]\n\nRECORDED = {said!r}\n".encode()


SCORERS = '''
"""Scorers of the shop's agent."""

from mlflow.entities import Feedback, SpanType
from mlflow.genai.scorers import scorer


@scorer
def answers(outputs):
    """Says something that is no error."""
    if outputs is None:
        return False
    return isinstance(outputs, str) and outputs.strip() != "" and "Error" not in outputs


@scorer
def finished(outputs):
    """Ends with a full sentence."""
    said = isinstance(outputs, str) and outputs.rstrip().endswith(".")
    return Feedback(value="yes" if said or outputs is None else "no", rationale="the last mark")


@scorer
def grounded(outputs, trace):
    """The share of the answer's words that the tools gave."""
    given = " ".join(str(span.outputs) for span in trace.search_spans(span_type=SpanType.TOOL))
    words = str(outputs or "").split()
    return sum(word in given for word in words) / len(words) if words else 0.5


@scorer
def prompt(trace):
    """As quick and as short as it was, as two values."""
    root = trace.data.spans[0]
    seconds = root.attributes.get("evalkit.recorded_seconds")
    seconds = trace.info.execution_duration / 1000 if seconds is None else seconds
    return [
        Feedback(name="quick", value=seconds < 20),
        Feedback(name="brief", value=len(str(root.outputs)) < 500),
    ]


SCORERS = [answers, finished, grounded, prompt]
'''

SCRIPT = '''
"""Replays the recorded answers, and scores them."""

import os
import sys

os.environ["MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION"] = "true"

import mlflow
from mlflow.entities import SpanType

from eval_dataset import DATASET, RECORDED
from scorers import SCORERS

by_question = {row["inputs"]["question"]: row for row in DATASET}


def replay(question):
    row = by_question[question]
    said = RECORDED.get(row["source_trace_id"], {"steps": [], "seconds": None})
    with mlflow.start_span("agent", span_type=SpanType.AGENT) as root:
        root.set_inputs(row["inputs"])
        if said["seconds"] is not None:
            root.set_attribute("evalkit.recorded_seconds", said["seconds"])
        for step in said["steps"]:
            with mlflow.start_span(step["name"], span_type=SpanType.TOOL) as span:
                span.set_outputs(step["output"])
        root.set_outputs(row["outputs"])
    return row["outputs"]


mlflow.set_experiment("shop-evalkit")
data = [
    {
        "inputs": row["inputs"],
        "expectations": row["expectations"],
        "tags": {"source_trace_id": row["source_trace_id"] or f"row-{position}"},
    }
    for position, row in enumerate(DATASET)
]
result = mlflow.genai.evaluate(data=data, predict_fn=replay, scorers=SCORERS)
print(result.metrics)
'''


def suite() -> dict[str, bytes]:
    """A suite with nothing wrong in it."""
    rows = [each.row for each in EXPERIMENT.values()]
    return {
        DATASET_FILE: dataset_file([*rows, BY_HAND]),
        SCORERS_FILE: SCORERS.encode(),
        SCRIPT_FILE: SCRIPT.encode(),
    }


def spoiled(file: str, old: str, new: str) -> dict[str, bytes]:
    """The suite with one thing in it changed."""
    files = suite()
    text = files[file].decode()
    assert old in text
    return {**files, file: text.replace(old, new).encode()}
