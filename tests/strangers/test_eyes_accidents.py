"""What goes wrong by accident: odd names, killed writers, sign-in pages, races, absurd figures."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from agentlogs import as_lines, ask, finish, init, say, system, text
from eval_project import CASES, RUN_ID, EvalProject, log_of, score
from in_mlflow import InMlflow

from evalkit.cli import main

RUN = ("--run-id", RUN_ID)


def in_one_line(outcome) -> str:
    """What the command says of its failure: one line, no traceback, and the same as an object."""
    assert "Traceback" not in outcome.err + outcome.out
    said = outcome.report["error"]
    assert said
    return outcome.err + json.dumps(outcome.report)


# -- names that look like JSON ------------------------------------------------------------------


def test_judges_runs_and_evals_in_brackets_are_logged_twice_like_any_other(
    tmp_path, evalkit, database_uri, monkeypatch
):
    project = EvalProject(tmp_path / "bracketed", "[nightly] eval")
    monkeypatch.chdir(project.root)
    project.summarise({case: {"[polite]": score(value=True)} for case in CASES})
    project.configure(judges=[{"name": "[polite]", "check": "..."}], thresholds={})
    project.write("eval/runs/[nightly] eval/{one}/summary.yaml", project.read(project.summary))
    for case in CASES:
        project.write(f"eval/runs/[nightly] eval/{{one}}/cases/{case}/stdout.log", log_of(case))
    for _ in range(2):
        assert evalkit("log-results", "--run-id", "{one}").code == 0
        outcome = evalkit("push-feedback", "--run-id", "{one}")
        assert outcome.code == 0
        assert outcome.report["judge"] == 3
    there = InMlflow(database_uri, "[nightly] eval")
    assert len(there.runs()) == 1
    found = there.tracing.search_traces(locations=[there.experiment_id])
    assert [[each.name for each in trace.info.assessments] for trace in found] == [["[polite]"]] * 3


# -- a writer that was killed -------------------------------------------------------------------

_WRITE_AND_DIE = """
import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("pragma journal_mode=" + sys.argv[2])
c.execute("pragma cache_size=1")
c.execute("begin immediate")
add = "insert into experiment_tags(key,value,experiment_id) values(?,?,0)"
for i in range(2000):
    c.execute(add, (f"k{i}", "x" * 400))
if sys.argv[2] == "wal":
    c.execute("rollback")
    c.execute("insert into experiment_tags(key,value,experiment_id) values('kept','x',0)")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("mode", ["wal", "persist", "truncate"])
def test_a_store_whose_writer_was_killed_rolls_back_whatever_its_journal(mode, evalkit, sqlite_uri):
    path = sqlite_uri.removeprefix("sqlite:///")
    subprocess.run([sys.executable, "-c", _WRITE_AND_DIE, path, mode], check=False)
    assert evalkit("check", uri=sqlite_uri).code == 0
    assert evalkit("log-results", *RUN, uri=sqlite_uri).code == 0
    assert len(InMlflow(sqlite_uri).traces()) == 3
    with sqlite3.connect(path) as store:
        kept = store.execute("select key from experiment_tags where experiment_id=0").fetchall()
    assert kept == ([("kept",)] if mode == "wal" else [])


# -- a page instead of an answer ----------------------------------------------------------------


class _SignIn:
    """A server that answers what it knows, and everything else with ``body``."""

    def __init__(self, body: bytes, kind: str, status: int = 200) -> None:
        known = {
            "/version": (b"3.17.2", "text/plain"),
            "/api/2.0/mlflow/experiments/get-by-name": (
                json.dumps(
                    {
                        "experiment": {
                            "experiment_id": "1",
                            "name": "support",
                            "artifact_location": "x",
                            "lifecycle_stage": "active",
                        }
                    }
                ).encode(),
                "application/json",
            ),
        }

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                said, form = known.get(path, (body, kind))
                self.send_response(200 if path in known else status)
                self.send_header("Content-Type", form)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


PAGES = {
    "a page that says it is JSON": (b"<html>Sign in</html>", "application/json", 200),
    "nothing": (b"", "text/html", 200),
    "JSON of the proxy's own": (b'"sign in"', "application/json", 200),
    "a list": (b"[]", "application/json", 200),
    "bytes": (b"\xff\xfe\x00", "application/octet-stream", 200),
    "JSON with a word of its own": (b'{"login": "/signin"}', "application/json", 200),
    "a page with 203": (b"<html>Sign in</html>", "text/html", 203),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("command", ["sync-dataset", "log-results", "push-feedback"])
def test_whatever_a_proxy_says_instead_is_told_in_one_line(page, command, evalkit):
    with _SignIn(*PAGES[page]) as uri:
        outcome = evalkit(command, *(RUN if command != "sync-dataset" else ()), uri=uri)
    if command == "push-feedback" and page == "JSON with a word of its own":
        assert "Traceback" not in outcome.err + outcome.out
        return
    assert outcome.code == 1, outcome.out + outcome.err
    assert uri in in_one_line(outcome)


# -- messages -----------------------------------------------------------------------------------


def test_nothing_that_a_file_says_is_dressed_up_when_it_is_printed(project: EvalProject, evalkit):
    """Codes of emojis and markup in a run's id, a judge, a comment's case and a selector."""
    project.configure(
        judges=[{"name": "[red]polite:100:", "check": "..."}],
        thresholds={"[red]polite:100:": {"min_mean": 2}},
    )
    project.summarise({"alpha": {"[red]polite:100:": score(1)}, ":smile:": {"x": score(1)}})
    project.write(str(project.review), {"feedback": {"[bold]:warning:[/bold]": "no"}})
    outcome = evalkit("log-results", *RUN)
    assert "[red]polite:100: min_mean" in outcome.err
    pushed = evalkit("push-feedback", *RUN)
    assert "[bold]:warning:[/bold]" in pushed.err
    missing = evalkit("log-results", "--run-id", ":tada:[/x]")
    assert ":tada:[/x]" in missing.err


# -- tracebacks ---------------------------------------------------------------------------------


def _loop_in_case(project: EvalProject) -> None:
    (project.root / "cases/alpha/me").symlink_to("me")


def _loop_to_parent(project: EvalProject) -> None:
    (project.root / "cases/alpha/up").symlink_to("..")


def _loop_of_two(project: EvalProject) -> None:
    (project.root / "cases/alpha/a.yaml").symlink_to("b.yaml")
    (project.root / "cases/alpha/b.yaml").symlink_to("a.yaml")


def _loop_is_case(project: EvalProject) -> None:
    (project.root / "cases/delta").symlink_to("delta")


def _loop_in_run(project: EvalProject) -> None:
    project.remove(f"{project.run_dir}/cases/alpha/stdout.log")
    (project.root / project.run_dir / "cases/alpha/stdout.log").symlink_to("stdout.log")


@pytest.mark.parametrize(
    "tie", [_loop_in_case, _loop_to_parent, _loop_of_two, _loop_is_case, _loop_in_run]
)
@pytest.mark.parametrize("command", ["check", "map", "sync-dataset", "log-results"])
def test_a_link_to_itself_is_no_traceback(tie, command, project: EvalProject, evalkit):
    tie(project)
    given = RUN if command == "log-results" else ("--force",) if command == "map" else ()
    outcome = evalkit(command, *given)
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in {0, 2}
    if outcome.code:
        in_one_line(outcome) if command != "check" else None


@pytest.mark.parametrize("tie", ["eval.yaml", "summary.yaml", "run_result.json", "review.yaml"])
@pytest.mark.parametrize("command", ["check", "log-results", "push-feedback", "pull-feedback"])
def test_a_file_that_links_to_itself_is_named(tie, command, project: EvalProject, evalkit):
    path = project.root / (tie if tie == "eval.yaml" else f"{project.run_dir}/{tie}")
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)
    outcome = evalkit(command, *(RUN if command != "check" else ()))
    assert "Traceback" not in outcome.err + outcome.out
    if outcome.code:
        assert tie in outcome.err


@pytest.mark.parametrize(
    "name", ["x" * 256, "評価" * 60, "n" * 5000, "e\u0301" * 200, "a/" * 200, "\0x"]
)
@pytest.mark.parametrize("command", ["check", "all"])
def test_a_name_that_is_no_file_name_is_no_traceback(name, command, project: EvalProject, evalkit):
    project.configure(name=name)
    outcome = evalkit(command, *(RUN if command in {"log-results", "all"} else ()))
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in {0, 1, 2}


@pytest.mark.parametrize(
    "given",
    [
        ("log-results", "--run-id", "r" * 300),
        ("log-results", "--run-id", "a\0b"),
        ("log-results", "--run-id", "../../../../etc"),
        ("push-feedback", "--run-id", "r" * 5000),
        ("sync-dataset", "--mapping", "m" * 300),
        ("sync-dataset", "--mapping", "cases"),
        ("map", "--out", "cases"),
        ("map", "--out", "eval.yaml/x.json"),
        ("check", "--config", "cases"),
        ("check", "--config", "eval.yaml/eval.yaml"),
    ],
    ids=lambda given: " ".join(given)[:40].replace("\0", "0"),
)
def test_an_argument_that_cannot_be_a_path_is_told_in_one_line(given, evalkit):
    outcome = evalkit(*given)
    assert outcome.code in {1, 2}, outcome.out
    in_one_line(outcome)


@pytest.mark.parametrize(
    "uri",
    [
        "oracle://x@127.0.0.1:1/db",
        "mssql+pyodbc://x@127.0.0.1:1/db",
        "sqlite:////proc/none/mlflow.db",
        "sqlite:///" + "x" * 300 + ".db",
        "sqlite://" + "host/x.db",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "ftp://127.0.0.1/x",
        "databricks://nobody",
        "uc:main",
    ],
)
def test_an_address_that_no_store_has_is_told_in_one_line(uri, evalkit):
    outcome = evalkit("log-results", *RUN, uri=uri)
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in {0, 1, 2}
    assert outcome.report.get("error") or outcome.report.get("reason")


# -- figures beyond what a store holds ----------------------------------------------------------


def _log(*, first: dict | None = None, **last: object) -> bytes:
    when = first or {}
    events = [init(**when), ask("please", **when), say("m1", text("done"), **when)]
    return b"".join(as_lines([*events, finish("done", **last)]))


DURATION, TIME = "no time that a session takes", "time"
ABSURD_LOGS = {
    "1e30 ms": (_log(duration_ms=1e30), DURATION),
    "1e400 ms": (_log(duration_ms=1).replace(b'"duration_ms": 1,', b'"duration_ms": 1e400,'), ""),
    "no number of ms": (_log(duration_ms=float("nan")), DURATION),
    "a negative duration": (_log(duration_ms=-5), DURATION),
    "a duration of many digits": (_log(duration_ms=10**40), DURATION),
    "a year before 1970": (_log(first={"timestamp": "1066-10-14T09:00:00Z"}), TIME),
    "a year 0": (_log(first={"timestamp": "0001-01-01T00:00:00+23:00"}), TIME),
    "an end in 9999": (
        _log(first={"timestamp": "2026-07-09T10:00:00Z"}, timestamp="9999-12-31T23:59:59-12:00"),
        TIME,
    ),
    "turns of 10**40": (_log(num_turns=10**40), ""),
    "a cost of 1e400": (
        _log(total_cost_usd=1).replace(b'"total_cost_usd": 1', b'"total_cost_usd": 1e400'), "",
    ),
    "tokens of 10**40": (
        _log(usage={"input_tokens": 10**40, "output_tokens": 1e300}, total_cost_usd=1e300), "",
    ),
    "a wait of 1e30 ms": (
        b"".join(as_lines([init(), system("api_retry", retry_delay_ms=1e30), finish("x")])), "",
    ),
}  # fmt: skip


def test_absurd_logs_still_make_traces(project: EvalProject, evalkit, database_uri):
    project.unlog(*CASES)
    for case, (log, _) in ABSURD_LOGS.items():
        project.log(case, log)
    for _ in range(2):
        outcome = evalkit("log-results", *RUN)
        assert outcome.code == 0, outcome.err
    there = InMlflow(database_uri)
    folder = Path(there.run().info.artifact_uri.removeprefix("file://"))
    receipts = yaml.safe_load((folder / "receipt.json").read_text("utf-8"))["logs"]
    unnoted = [c for c, (_, note) in ABSURD_LOGS.items() if note not in str(receipts[c]["notes"])]
    assert unnoted == []
    found = there.traces()
    assert set(ABSURD_LOGS) <= set(found)
    for case in ABSURD_LOGS:
        assert 0 <= (found[case].info.execution_duration or 0) < 10**11
        assert 946_684_800_000 < found[case].info.request_time < 4_102_444_800_000
    assert there.run().info.status == "FINISHED"


ABSURD_RESULTS = {
    "duration 8e12": {"duration_s": 8e12},
    "duration 1e400": {"duration_s": float("inf")},
    "duration 10**400": {"duration_s": 10**400},
    "negative": {"duration_s": -3, "cost_usd": -1},
    "cost 10**400": {"cost_usd": 10**400, "num_turns": 10**400},
    "turns": {"num_turns": 1e30},
    "tokens": {"token_usage": {"input": 10**400, "output": float("nan")}},
    "models": {"per_model_usage": {"m": {"input": 10**400, "cost_usd": float("inf")}}},
    "a case": {
        "per_case": {"alpha": {"duration_s": 1e30, "cost_usd": float("inf"), "num_turns": 10**400}}
    },
    "began in 9999": {"started_at": "9999-12-31T23:59:59Z", "start_time": 1e30},
}


@pytest.mark.parametrize("absurd", ABSURD_RESULTS)
def test_an_absurd_result_still_makes_a_run(absurd, project: EvalProject, evalkit, database_uri):
    result = {"execution_mode": "case", "exit_code": 0, "model": "m", "duration_s": 3}
    project.write(f"{project.run_dir}/run_result.json", {**result, **ABSURD_RESULTS[absurd]})
    project.unlog("alpha")
    outcome = evalkit("log-results", *RUN)
    assert outcome.code == 0, outcome.err
    again = evalkit("log-results", *RUN)
    assert again.code == 0, again.err
    there = InMlflow(database_uri)
    assert len(there.traces()) == 3
    run = there.run()
    assert run.info.end_time is None or 0 < run.info.end_time < 10**14
    if absurd not in {"turns", "began in 9999", "began in 1066"}:
        assert "no number MLflow can show" in outcome.err or "no time that a run" in outcome.err


@pytest.mark.parametrize(
    "value", [".inf", "-.inf", ".nan", "1e400", "1" + "0" * 400, "1e308", "9999-12-31", "-1"]
)
def test_an_absurd_score_is_kept_as_far_as_it_goes(
    value, project: EvalProject, evalkit, database_uri
):
    """The other scores of the case, and the run's other figures, are all there."""
    project.write(
        project.summary,
        f"judges:\n  quality: {{mean: {value}, pass_rate: {value}, n: {value}}}\n"
        f"  polite: {{mean: 1}}\n"
        f"per_case:\n  alpha:\n    quality: {{value: {value}, rationale: odd}}\n"
        f"    polite: {{value: true, rationale: kind}}\n",
    )
    for command in ("log-results", "push-feedback", "log-results"):
        outcome = evalkit(command, *RUN)
        assert outcome.code == 0, outcome.err
    there = InMlflow(database_uri)
    assert there.run().data.metrics["polite/mean"] == 1
    (case,) = (name for name in there.traces() if "alpha" in name)
    assert there.values(case)["polite"] is True
    if value in {".inf", "-.inf", ".nan"}:
        assert "quality" not in there.values(case) or isinstance(there.values(case)["quality"], str)


# -- what a kill left ---------------------------------------------------------------------------


def test_what_a_kill_left_beside_a_file_goes_with_the_next_write(
    project: EvalProject, evalkit, database_uri, monkeypatch
):
    """A pull, a map and a session are killed as they put a file in its place, and run again."""
    evalkit("log-results", *RUN)
    InMlflow(database_uri).say("alpha", "nice", value=True, who="ada")
    monkeypatch.chdir(project.root)
    session = ("agent", "-e", "support", "--model", "offline", "--max-iterations", "1")
    commands = (("pull-feedback", *RUN), ("map", "--force"), (*session, "--session", "one"))
    foreign = project.write(f"{project.run_dir}/.review.yaml.swp", "an editor's")
    for command in commands:
        _killed_at_rename(*command, "--tracking-uri", database_uri)
    hidden = ("eval", "tmp", "sessions")
    left = [each for folder in hidden for each in Path(folder).rglob(".*.*")]
    assert len(left) == 1 + len(commands), left
    for command in commands:
        evalkit(*command)  # the agent has more to do than its one iteration
    left = [each for folder in hidden for each in Path(folder).rglob(".*.*")]
    assert [each.name for each in left] == [foreign.name]


def _killed_at_rename(*command: str) -> None:
    """Run a command in a process that is killed where it first renames a file."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        try:
            main(command)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
