"""Evaluate recorded answers, or a live agent, with the scorers beside this file.

    python evaluation/run_eval.py                        the answers that dataset.jsonl recorded
    python evaluation/run_eval.py --predict app:answer   a live agent, called with a row's inputs
    pytest -p mlflow.pytest.plugin evaluation/run_eval.py

Results go to EXPERIMENT of the MLflow that --tracking-uri or MLFLOW_TRACKING_URI names. It exits
with 1 where a scorer misses its bar in THRESHOLDS, or fails, or where none could judge anything.
It needs MLflow and nothing else.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")  # copies are read at once
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # SOURCE may be gone: minutes pass
os.environ.setdefault("MLFLOW_GENAI_EVAL_MAX_WORKERS", "4")  # more of them lose traces on sqlite

import mlflow
import pandas as pd

HERE = Path(__file__).resolve().parent
EXPERIMENT = "evalkit"
SOURCE = ""  # the MLflow that holds the traces of dataset.jsonl
THRESHOLDS: dict[str, float] = {}
"""By scorer the share of rows that has to pass, of those that it applies to."""


def evaluate(predict: str = "") -> list[str]:
    """What is wrong, a sentence each; ``predict`` is imported from the working directory."""
    sys.path[:0] = [str(HERE)]
    scorers = importlib.import_module("scorers").SCORERS
    if mlflow.active_run() is None:
        mlflow.set_experiment(EXPERIMENT)
    lines = (HERE / "dataset.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if predict:
        sys.path[:0] = [os.getcwd()]  # noqa: PTH109 - as `python -m` has it
        module, _, function = predict.partition(":")
        agent = getattr(importlib.import_module(module), function)
        asked = [{"inputs": row["inputs"], "expectations": row["expectations"]} for row in rows]
        result = mlflow.genai.evaluate(data=asked, scorers=scorers, predict_fn=agent)
    else:
        result = mlflow.genai.evaluate(data=recorded(rows), scorers=scorers)
    return missed(result.result_df, [scorer.name for scorer in scorers])


def recorded(rows: list[dict[str, Any]]) -> list[Any]:
    """The rows' whole traces where this store or SOURCE has them all, else inputs and outputs."""
    here = mlflow.get_tracking_uri()
    for store in dict.fromkeys(filter(None, (here, SOURCE))):
        with contextlib.suppress(Exception):  # no such trace, or a store that cannot be read
            client = mlflow.MlflowClient(store)
            traces = [client.get_trace(row["source_trace_id"], display=False) for row in rows]
            places = [trace.info.trace_location.mlflow_experiment for trace in traces]
            for place in places if store != here else ():
                place.experiment_id = "elsewhere"  # so that MLflow copies them, whatever it was
            if all(trace.data.spans for trace in traces):
                return traces
    print("not all traces are there any more: inputs and outputs are judged alone, and")  # noqa: T201
    print("scorers that need what a trace holds may give no verdict")  # noqa: T201
    return [{name: row[name] for name in ("inputs", "outputs", "expectations")} for row in rows]


def missed(frame: pd.DataFrame, scorers: list[str]) -> list[str]:
    """Bars that are missed, and scorers that failed; one that never applies misses no bar."""
    problems, judged = [], 0
    for name in scorers:
        columns = [c for c in frame.columns if c.split("/")[0] == name and c.endswith("/value")]
        places = [column.removesuffix("value") + "error_message" for column in columns]
        errors = [e for place in places if place in frame for e in frame[place].dropna()]
        said = [is_pass(value) for column in columns for value in frame[column].dropna()]
        judged, bar = judged + len(said), THRESHOLDS.get(name, 0.0)
        rate = sum(said) / len(said) if said else 1.0
        share = f"{rate:7.1%} of {len(said)} pass" if said else "gave no verdict"
        print(f"{name:40} {share}, bar {bar:.1%}")  # noqa: T201
        if errors:
            problems.append(f"{name} failed on {len(errors)} rows: {errors[0]}")
        if rate < bar:
            problems.append(f"{name} passes {rate:.1%} of the rows, its bar is {bar:.1%}")
    return problems if judged else [*problems, "no scorer gave a verdict: nothing was judged"]


def is_pass(value: Any) -> bool:
    """Whether a scorer's value is a pass: True, yes, or a number from 0.5 up."""
    if isinstance(value, str):
        return value.strip().casefold() in ("yes", "true", "pass")
    return float(value) >= 0.5  # noqa: PLR2004


def test_the_suite_meets_its_bars() -> None:
    """For pytest; with MLflow's plugin it is one of MLflow's own tests."""
    problems = evaluate(os.environ.get("EVAL_PREDICT", ""))
    assert not problems, "\n".join(problems)  # noqa: S101


with contextlib.suppress(ImportError):
    from mlflow.pytest import session

    if session.is_plugin_active():
        if "MLFLOW_EXPERIMENT_ID" not in os.environ:
            os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)  # of the plugin's own run
        test_the_suite_meets_its_bars = mlflow.test(test_the_suite_meets_its_bars)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predict", default="", help="module:function of a live agent")
    parser.add_argument("--tracking-uri", default="", help="else MLFLOW_TRACKING_URI")
    given = parser.parse_args()
    if given.tracking_uri:
        mlflow.set_tracking_uri(given.tracking_uri)
    found = evaluate(given.predict)
    print("\n".join(found) or "All bars are met.")  # noqa: T201
    sys.exit(bool(found))
