"""Logs a large run to a local MLflow server and to SQLite, and prints what that cost.

    python tests/bench/bench_log.py [--cases 200] [--turns 10] [--client-cases 20]

Both ends run on this machine. The yardstick in the same run is MLflow's own client, which logs
some of the same traces span by span and is scaled up. CPU seconds are this process's only; the
first line is the building of spans alone, masking included.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import mlflow
import requests
from agentlogs import Story, as_lines, build_lines
from eval_project import CASES, RUN_ID, EvalProject, score, scores_of
from servers import MlflowServer

from evalkit import Workspace, log_results
from evalkit.store import connect


def write_project(root, cases, turns):
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


SENT = []
"""Every request of this process."""

SEND = requests.Session.send


def counting(session, request, **options):
    SENT.append(request.url)
    return SEND(session, request, **options)


def measured(name, work):
    """Do it and print what it took; what it gives, seconds on the wall and of CPU here."""
    wall, cpu, before = time.perf_counter(), time.process_time(), len(SENT)
    given = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sent = len(SENT) - before
    print(f"{name:<44}{wall:8.1f} s wall {cpu:7.2f} s cpu {sent:7} requests", flush=True)
    return given, wall, cpu


def log_with_client(uri, found):
    """Log traces the way MLflow's documentation does: one span after the other."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mlflow-client")
    for trace in found:
        opened = {}
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


def measure(folder, uri, logs, few):
    """All measurements on one project; MLflow's client logs only a few of the cases."""

    def log(where):
        workspace = Workspace.open(str(folder / "project"), tracking_uri=where)
        return log_results(workspace, run_id=RUN_ID)

    def build(some):
        return [build_lines(lines, trace_id=f"tr-{n:032x}") for n, lines in enumerate(some)]

    size = sum(len(line) for lines in logs for line in lines) / 1e6
    measured(f"spans of {size:.0f} MB of logs", lambda: build(logs))
    connect(uri).experiment("warm up", create=True)  # imports are not measured
    traces = build(logs[:few])
    client = measured(f"MLflow's client, {few} traces", lambda: log_with_client(uri, traces))
    report, *first = measured(f"evalkit to the server, {len(logs)} traces", lambda: log(uri))
    again = measured("the same again, nothing changed", lambda: log(uri))
    _, direct, _ = measured("evalkit to SQLite", lambda: log(f"sqlite:///{folder}/direct.db"))
    wall, cpu = (one * len(logs) / few / ours for one, ours in zip(client[1:], first, strict=True))
    print(
        f"\n{report['traces']} traces, {report['spans']} spans, {report['assessments']} assessments"
        f"\nMLflow's client, scaled, against evalkit: {wall:.1f} x wall, {cpu:.1f} x cpu"
        f"\nSQLite directly against the server: {direct / first[0]:.2f} x wall"
        f"\nagain: {'something' if again[0]['written'] else 'nothing'} written"
    )


def main():
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--turns", type=int, default=10, help="of each log")
    parser.add_argument("--client-cases", type=int, default=20)
    asked = parser.parse_args()
    requests.Session.send = counting
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logs = write_project(folder / "project", asked.cases, asked.turns)
        for store in ("empty", "direct"):
            connect(f"sqlite:///{folder}/{store}.db")  # what makes a database is not measured
        server = MlflowServer(folder / "server")
        server.start(folder / "empty.db")
        try:
            measure(folder, server.uri, logs, asked.client_cases)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
