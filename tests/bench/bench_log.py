"""Logs a large run to a local MLflow server and to SQLite, and prints what that cost.

    python tests/bench/bench_log.py [--cases 200] [--turns 10] [--client-cases 20]

Both ends run on this machine. The yardstick in the same run is MLflow's own client, which logs
some of the same traces span by span and is scaled up. CPU seconds are this process's only.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import mlflow
import requests
from agentlogs import Story, as_lines, build_lines
from eval_project import CASES, RUN_ID, EvalProject, score, scores_of
from servers import MlflowServer

from evalkit import Workspace, log_results
from evalkit.entities import Trace
from evalkit.store import connect


def write_project(root: Path, cases: int, turns: int) -> list[list[bytes]]:
    """A project whose one run has so many cases, each with a log; the logs."""
    project = EvalProject(root, "bench")
    project.unlog(*CASES)
    project.remove("cases")
    logs = [as_lines(Story(number).tell(turns)) for number in range(cases)]
    for number, lines in enumerate(logs):
        project.add_case(f"case-{number:05}", f"please do thing {number}")
        project.log(f"case-{number:05}", b"".join(lines))
    scores = {f"case-{n:05}": {**scores_of("", n % 3), "fifth": score(n)} for n in range(cases)}
    project.summarise(scores)
    return logs


@contextlib.contextmanager
def counted() -> Iterator[list[int]]:
    """Counts every request that this process sends."""
    send, count = requests.Session.send, [0]

    def counting(*args: Any, **kwargs: Any) -> requests.Response:
        count[0] += 1
        return send(*args, **kwargs)

    requests.Session.send = counting  # type: ignore[method-assign]
    yield count
    requests.Session.send = send  # type: ignore[method-assign]


def measured(name: str, work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Do it and print what it took; what it gives, seconds on the wall and of CPU here."""
    wall, cpu = time.perf_counter(), time.process_time()
    with counted() as requests_:
        given = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<44}{wall:8.1f} s wall {cpu:7.2f} s cpu {requests_[0]:7} requests", flush=True)
    return given, wall, cpu


def log_with_client(uri: str, found: list[Trace]) -> None:
    """Log traces the way MLflow's documentation does: one span after the other."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mlflow-client")
    for trace in found:
        opened: dict[str, Any] = {}
        for span in trace.spans:
            opened[span.span_id] = mlflow.start_span_no_context(
                span.name,
                span_type=span.kind,
                parent_span=opened.get(span.parent_id or ""),
                inputs=span.inputs,
                attributes=dict(span.attributes),
                start_time_ns=span.start_ns,
            )
        for span in reversed(trace.spans):
            opened[span.span_id].end(outputs=span.outputs, end_time_ns=span.end_ns)
    mlflow.flush_trace_async_logging(terminate=False)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--turns", type=int, default=10, help="of each log")
    parser.add_argument("--client-cases", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logs = write_project(folder / "project", asked.cases, asked.turns)
        for uri in ("empty", "direct"):
            connect(f"sqlite:///{folder}/{uri}.db")  # what makes a database is not measured
        server = MlflowServer(folder / "server")
        server.start(folder / "empty.db")
        try:
            measure(folder, server.uri, logs[: asked.client_cases], asked.cases)
        finally:
            server.stop()
            shutil.rmtree(server.folder)


def measure(folder: Path, uri: str, some: list[list[bytes]], cases: int) -> None:
    """All measurements on one project."""

    def log(where: str) -> dict[str, Any]:
        workspace = Workspace.open(str(folder / "project"), tracking_uri=where)
        return log_results(workspace, run_id=RUN_ID)

    connect(uri).experiment("warm up", create=True)  # nor are imports
    traces = [build_lines(lines, trace_id=f"tr-{n:032x}") for n, lines in enumerate(some)]
    client = measured(f"MLflow's client, {len(some)} traces", lambda: log_with_client(uri, traces))
    report, *first = measured(f"evalkit to the server, {cases} traces", lambda: log(uri))
    again = measured("the same again, nothing changed", lambda: log(uri))
    _, direct, _ = measured("evalkit to SQLite", lambda: log(f"sqlite:///{folder}/direct.db"))
    wall, cpu = (
        one * cases / len(some) / ours for one, ours in zip(client[1:], first, strict=True)
    )
    print(
        f"\n{report['traces']} traces, {report['spans']} spans, {report['assessments']} assessments"
        f"\nMLflow's client, scaled, against evalkit: {wall:.1f} x wall, {cpu:.1f} x cpu"
        f"\nSQLite directly against the server: {direct / first[0]:.2f} x wall"
        f"\nagain: {'something' if again[0]['written'] else 'nothing'} written"
    )


if __name__ == "__main__":
    main()
