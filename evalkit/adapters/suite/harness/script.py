"""Running the script in a process of its own, and reading what it left in MLflow in this one.

This process imports MLflow while the script runs, and nothing of the suite ever.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

STORE = "mlflow.store.tracking.sqlalchemy_store"
TAIL_BYTES = 8_000
CHUNK = 65_536
MOST_TRACES = 5_000
MOST_TEXT = 1_500
PATIENCE_S = 5.0


def run_script(request: dict[str, Any], evaluation: Path) -> dict[str, Any]:
    """What came of ``run_eval.py``; see ``core.agent.suite.ScriptRun``."""
    script = evaluation / "run_eval.py"
    if not script.exists():
        return {"error": "there is no evaluation/run_eval.py: write it first"}
    begun = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    tail = _Tail(child.stdout)
    # Importing MLflow takes as long as the script; where that fails there is nothing to read.
    importing = threading.Thread(target=importlib.import_module, args=[STORE], daemon=True)
    importing.start()
    error = _ended(child, begun + request["seconds"])
    done = {
        "error": error,
        "seconds": time.monotonic() - begun,
        "output": tail.text().replace(str(evaluation.parent) + os.sep, ""),
    }
    if error:
        return done
    importing.join()  # two threads that import the same packages see half of them
    return done | _left_in(Path(request["database"]))


def _ended(child: subprocess.Popen[bytes], deadline: float) -> str:
    """Wait for the script, and end what it leaves behind; why it failed, if it did."""
    try:
        code = child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return "run_eval.py did not end in time and was stopped"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return f"run_eval.py ended with exit code {code}" if code else ""


class _Tail:
    """The last bytes of what a process prints, however much that is."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream = stream
        self._kept = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._stream and (chunk := os.read(self._stream.fileno(), CHUNK)):
            self._kept += chunk
            del self._kept[:-TAIL_BYTES]

    def text(self) -> str:
        """What is kept, once the process is gone."""
        self._reader.join(PATIENCE_S)
        return self._kept.decode(errors="replace")


def _left_in(database: Path) -> dict[str, Any]:
    """Runs, metrics and scores in a database; an empty answer where nobody made it."""
    if not database.exists():
        return {}
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiments = {each.experiment_id: each.name for each in client.search_experiments()}
    runs = client.search_runs(list(experiments))
    if not runs:
        return {}
    metrics = {name: value for run in runs for name, value in run.data.metrics.items()}
    return {
        "mlflow_runs": len(runs),
        "experiment": experiments[runs[0].info.experiment_id],
        "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
        "scores": _scores(client, list(experiments)),
    }


def _scores(client: Any, experiments: list[str]) -> dict[str, list[dict[str, Any]]]:
    traces = client.search_traces(locations=experiments, include_spans=False, max_results=500)
    scores: dict[str, list[dict[str, Any]]] = {}
    while True:
        for trace in traces:
            given = [_score(each) for each in trace.info.assessments if each.feedback is not None]
            if given:
                key = trace.info.tags.get("source_trace_id", "")
                scores.setdefault(key, []).extend(given)
        if not traces.token or len(scores) > MOST_TRACES:
            return scores
        traces = client.search_traces(
            locations=experiments,
            include_spans=False,
            max_results=500,
            page_token=traces.token,
        )


def _score(assessment: Any) -> dict[str, Any]:
    value, error = assessment.feedback.value, assessment.feedback.error
    plain = isinstance(value, bool | int | float | str) and not (
        isinstance(value, float) and not math.isfinite(value)
    )
    return {
        "scorer": assessment.name,
        "value": value if plain else None,
        "rationale": str(assessment.rationale or "")[:MOST_TEXT],
        "error": str(error.error_message or error.error_code)[-MOST_TEXT:] if error else "",
    }
