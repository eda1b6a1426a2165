"""Production traces of agents that no check was written for, in an MLflow store of their own.

    python tests/stranger_stores.py FOLDER

Each YAML file in stores/ is one agent: what it was asked, what it saw, what it answered, what
people said of it. The traces are made with MLflow's own tracing API.
"""

import json
import os
import sys
from pathlib import Path

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
}

import mlflow
import yaml
from mlflow.entities import AssessmentSource, Document, SpanType

HERE = Path(__file__).parent / "stores"
AGENTS = sorted(path.stem for path in HERE.glob("*.yaml"))


def write(agent, folder):
    """Write an agent's traces; gives the store's URI and the experiment's id."""
    story = story_of(agent)
    uri = f"sqlite:///{folder / agent}.db"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(story["name"])
    for event in story["traces"]:
        try:
            trace_id = answer(story, event)
        except RuntimeError:
            continue
        if "good" in event:
            mlflow.log_feedback(
                trace_id=trace_id,
                name="correct",
                value=event["good"],
                rationale=event.get("why"),
                source=AssessmentSource(source_type="HUMAN", source_id="reviewer"),
            )
    return uri, experiment.experiment_id


def story_of(agent):
    return yaml.safe_load((HERE / f"{agent}.yaml").read_text("utf-8"))


def exchange(story, event):
    """The turns before the answer, and the root span's inputs and outputs."""
    turns = event["ask"] if isinstance(event["ask"], list) else [event["ask"]]
    roles = ["user", "assistant"] * len(turns)
    asked = [{"role": r, "content": text} for r, text in zip(roles, turns, strict=False)]
    say = event.get("say")
    if story.get("form") == "json text":
        say = json.dumps(say, ensure_ascii=False)
    if story["asks"] != "messages":
        return asked, {story["asks"]: event["ask"]}, say
    return asked, {"messages": asked}, {"messages": [*asked, {"role": "assistant", "content": say}]}


def answer(story, event):
    """One trace: an agent that retrieves, calls a tool and asks a model."""
    asked, inputs, outputs = exchange(story, event)
    with mlflow.start_span(story["route"], span_type=SpanType.AGENT) as root:
        root.set_inputs(inputs)
        if "docs" in event:
            retrieve(asked[-1]["content"], {key: story["documents"][key] for key in event["docs"]})
        if "tool" in event:
            call(event["tool"], event.get("error"))
        with mlflow.start_span("generate", span_type=SpanType.CHAT_MODEL) as span:
            system = {"role": "system", "content": story["prompt"].strip()}
            span.set_inputs({"messages": [system, *asked], "model": "claude-haiku-5-5"})
            say = event.get("say")
            text = say if isinstance(say, str) else json.dumps(say, ensure_ascii=False)
            span.set_outputs({"choices": [{"message": {"role": "assistant", "content": text}}]})
        root.set_outputs(outputs)
    return str(root.trace_id)


def retrieve(query, found):
    with mlflow.start_span("search_handbook", span_type=SpanType.RETRIEVER) as span:
        span.set_inputs({"query": query})
        span.set_outputs(
            [Document(page_content=text, metadata={"doc_uri": key}) for key, text in found.items()]
        )


def call(tool, error):
    with mlflow.start_span(tool["name"], span_type=SpanType.TOOL) as span:
        span.set_inputs(tool["args"])
        if error:
            raise RuntimeError(error)
        span.set_outputs(tool["gives"])


if __name__ == "__main__":
    for name in AGENTS:
        sys.stdout.write(" ".join((name, *write(name, Path(sys.argv[1]).resolve()))) + "\n")
