"""An agent of strangers: writes traces into MLflow past evalkit, in whatever form is asked for."""

import base64
import hashlib
import json

from mlflow.entities import AssessmentSource, Expectation, Feedback, Span
from mlflow.tracing.client import TracingClient
from mlflow.tracking import MlflowClient

NOON_NS = 1_778_587_200_000_000_000
SECOND_NS = 10**9


class Recorder:
    """One experiment into which traces are written."""

    def __init__(self, uri, experiment="production"):
        self.experiment_id = MlflowClient(uri).create_experiment(experiment)
        self.tracing = TracingClient(uri)
        self._experiment = experiment
        self._number = 0

    def trace(
        self,
        inputs,
        outputs="fine",
        *steps,
        name="answer",
        kind="AGENT",
        error="",
        took=1.0,
        said=(),
    ):
        """Write a trace; its id."""
        self._number += 1
        key = hashlib.sha256(f"{self._experiment} {self._number}".encode()).hexdigest()[:32]
        root = step(name, inputs, outputs, kind=kind, error=error, took=took)
        start = NOON_NS + self._number * 60 * SECOND_NS
        spans = [span(key, at, each, start + at) for at, each in enumerate([root, *steps], 1)]
        self.tracing.log_spans(self.experiment_id, [Span.from_dict(each) for each in spans])
        trace_id = f"tr-{key}"
        for each in said:
            self.tracing.log_assessment(trace_id, each)
        return trace_id


def span(key, place, said, start_ns, event=False):
    """A span in MLflow's form, of the trace of that number in hex; see :func:`step`."""
    end_ns, error = start_ns + int(said["took"] * SECOND_NS), said["error"]
    under = said["under"] if place > 1 else 0
    attributes = {
        "mlflow.traceRequestId": f"tr-{key}",
        "mlflow.spanType": said["kind"],
        "mlflow.spanInputs": said["inputs"],
        "mlflow.spanOutputs": said["outputs"],
    }
    failed = {
        "name": "exception",
        "time_unix_nano": end_ns,
        "attributes": {"exception.type": "ShopError", "exception.message": error},
    }
    return {
        "trace_id": _encoded(bytes.fromhex(key)),
        "span_id": _encoded(place.to_bytes(8, "big")),
        "parent_span_id": _encoded(under.to_bytes(8, "big")) if under else None,
        "name": said["name"],
        "start_time_unix_nano": start_ns,
        "end_time_unix_nano": end_ns,
        "events": [failed] if event and error else [],
        "status": {
            "code": "STATUS_CODE_ERROR" if error else "STATUS_CODE_OK",
            "message": "" if event else error,
        },
        "attributes": {name: json.dumps(value) for name, value in attributes.items()},
    }


def step(name, inputs=None, outputs=None, *, kind="TOOL", error="", took=0.1, under=1):
    """A span within the trace; ``under`` is the place of the one above it, 1 for the root."""
    keys = ("name", "inputs", "outputs", "kind", "error", "took", "under")
    values = (name, inputs, None if error else outputs, kind, error, took, under)
    return dict(zip(keys, values, strict=True))


def person(value, name="ok", *, why="", who="ann"):
    """What a person says of a trace."""
    return Feedback(name=name, value=value, rationale=why or None, source=_source("HUMAN", who))


def judge(value, name="correct"):
    """What a model says of a trace."""
    return Feedback(name=name, value=value, source=_source("LLM_JUDGE", "a model"))


def wish(name, value, source_type="HUMAN"):
    """What a right answer has to hold to."""
    return Expectation(name=name, value=value, source=_source(source_type, "ann"))


def _source(source_type, who):
    return AssessmentSource(source_type=source_type, source_id=who)


def _encoded(raw):
    return base64.b64encode(raw).decode()
