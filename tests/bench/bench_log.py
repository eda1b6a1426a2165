"""Logs a large run to a local MLflow server and to SQLite, and prints what that cost.

    python tests/bench/bench_log.py [--cases 200] [--events 60] [--client-cases 20]

Both ends run on this machine. The yardstick in the same run is MLflow's own client, which logs
some of the same traces span by span and is scaled up. CPU seconds are this process's only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_MODEL_CATALOG_URI="",
    MLFLOW_ENABLE_ASYNC_LOGGING="false",
)

from generate import RUN_ID, write_project

from evalkit import log_results
from evalkit.claude_log.log_trace import build_trace
from evalkit.claude_log.timing import start_of
from evalkit.context import Workspace
from evalkit.entities import Trace


@dataclass
class Cost:
    """What a piece of work took: seconds on the wall, of CPU here, and HTTP requests."""

    name: str
    wall: float = 0
    cpu: float = 0
    requests: int = 0

    def __str__(self) -> str:
        figures = f"{self.wall:8.1f} s wall {self.cpu:7.2f} s cpu {self.requests:7} requests"
        return f"{self.name:<44}{figures}"


@contextlib.contextmanager
def measured(name: str) -> Iterator[Cost]:
    """Measure a block, counting every request that this process sends."""
    import requests

    cost = Cost(name)
    send = requests.Session.send

    def counting(self: requests.Session, *args: Any, **kwargs: Any) -> requests.Response:
        cost.requests += 1
        return send(self, *args, **kwargs)

    requests.Session.send = counting  # type: ignore[method-assign]
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield cost
    finally:
        cost.wall, cost.cpu = time.perf_counter() - wall, time.process_time() - cpu
        requests.Session.send = send  # type: ignore[method-assign]
    print(cost, flush=True)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """A local MLflow server on SQLite, with one worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_for(uri)
        yield uri
    finally:
        process.terminate()
        process.wait(30)


def wait_for(uri: str) -> None:
    """Wait until the server answers, two minutes at most."""
    import requests

    for _ in range(240):
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{uri}/health", timeout=2).ok:
                return
        time.sleep(0.5)
    raise SystemExit("the MLflow server did not start; see server.log")


def traces(config: Path, count: int) -> list[Trace]:
    """The first traces of the run, as evalkit builds them."""
    logs = list(Workspace.open(config).run(RUN_ID).logs.values())[:count]
    return [
        build_trace(
            log.lines(),
            trace_id=f"tr-{index:032x}",
            name=str(log.case_id),
            case_id=log.case_id,
            start=start_of(None, None, RUN_ID, 0),
        )
        for index, log in enumerate(logs)
    ]


def log_with_client(uri: str, found: list[Trace]) -> None:
    """Log traces the way MLflow's documentation does: one span after the other."""
    import mlflow

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
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--judges", type=int, default=5)
    parser.add_argument("--client-cases", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with server(folder) as uri:
            config = folder / "project" / "eval.yaml"
            write_project(
                config.parent,
                cases=arguments.cases,
                events=arguments.events,
                judges=arguments.judges,
                tracking_uri=uri,
                log_mb=0,
            )
            run(config, uri, folder, arguments)


def run(config: Path, uri: str, folder: Path, arguments: argparse.Namespace) -> None:
    """All measurements on one project."""
    Workspace.open(config).store.experiment("warm up", create=True)  # imports are not measured
    some = traces(config, arguments.client_cases)
    with measured(f"MLflow's client, {len(some)} traces") as client:
        log_with_client(uri, some)
    with measured(f"evalkit to the server, {arguments.cases} traces") as first:
        report = log_results(Workspace.open(config), run_id=RUN_ID)
    with measured("the same again, nothing changed") as again:
        repeated = log_results(Workspace.open(config), run_id=RUN_ID)
    sqlite = f"sqlite:///{folder}/direct.db"
    Workspace.open(config, tracking_uri=sqlite).store.experiment("warm up", create=True)
    with measured(f"evalkit to SQLite, {arguments.cases} traces") as direct:
        log_results(Workspace.open(config, tracking_uri=sqlite), run_id=RUN_ID)
    scale = arguments.cases / len(some)
    print(
        f"\n{report['traces']} traces, {report['spans']} spans, {report['assessments']} assessments"
        f"\nrequests a trace: {first.requests / arguments.cases:.2f}"
        f"\nMLflow's client, scaled, against evalkit: {client.wall * scale / first.wall:.1f} x"
        f" wall, {client.cpu * scale / first.cpu:.1f} x cpu"
        f"\nSQLite directly against the server: {direct.wall / first.wall:.2f} x wall"
        f"\nagain: {again.requests} requests,"
        f" {'something' if repeated['written'] else 'nothing'} written"
    )


if __name__ == "__main__":
    main()
