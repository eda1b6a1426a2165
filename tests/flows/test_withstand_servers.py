"""Servers that refuse, hang, answer nonsense, or die half-way through the writing."""

import time

import pytest
from eval_project import CASES, RUN, EvalProject
from in_mlflow import InMlflow
from servers import Proxy, drip, free_port, raw_server, stay_silent
from store_state import state

from evalkit.cli import main

STAGES = {
    "sync-dataset": ["sync-dataset"],
    "log-results": ["log-results", *RUN],
    "push-feedback": ["push-feedback", *RUN],
    "pull-feedback": ["pull-feedback", *RUN],
}


@pytest.mark.parametrize("missing", ["refuses", "drips", "has no address"])
def test_without_mlflow_it_takes_seconds_to_tell_and_strict_minds(evalkit, missing):
    with raw_server(drip) as dripping:
        nobody = {"refuses": f"http://127.0.0.1:{free_port()}", "drips": dripping}
        uri = nobody.get(missing, "http://nowhere.invalid:5000")
        began = time.monotonic()
        for stage in STAGES if missing == "refuses" else ["log-results"]:
            done = evalkit(*STAGES[stage], uri=uri)
            assert (done.code, done.report["skipped"]) == (0, True)
            assert uri in done.report["reason"]
            assert "error" not in done.report
            (said,) = [line for line in done.err.splitlines() if "skipped" in line]
            assert done.err.splitlines()[-1] == said
        assert time.monotonic() - began < 6
        if missing == "refuses":
            report = evalkit("check", uri=uri).report
            assert (report["reachable"], report["cases"], report["runs"]) == (False, 3, 1)
            for command in (*STAGES.values(), ["all", *RUN], ["check"]):
                strict = evalkit(*command, "--strict", uri=uri)
                assert (strict.code, uri in strict.report["error"]) == (1, True)


def test_all_asks_an_absent_mlflow_once(evalkit, project):
    project.remove("tmp/schema_mapping.json")
    with raw_server(stay_silent) as uri:
        began = time.monotonic()
        done = evalkit("all", *RUN, uri=uri)
        assert time.monotonic() - began < 7
    assert done.code == 0
    assert [name for name, part in done.report.items() if part.get("skipped") is True] == [
        "sync-dataset",
        "log-results",
        "push-feedback",
    ]
    assert done.report["map"]["inputs"]
    assert (project.root / "tmp/schema_mapping.json").exists()
    assert done.err.count("skipped") == 1


@pytest.mark.parametrize(("stage", "status"), [("sync-dataset", 401), ("log-results", 503)])
def test_a_server_that_refuses_to_serve_is_an_error(evalkit, stage, status):
    with Proxy(after=0, fault="refuse", status=status) as proxy:
        began = time.monotonic()
        done = evalkit(*STAGES[stage], uri=proxy.uri)
        assert time.monotonic() - began < 10
    assert done.code == 1
    assert str(status) in done.report["error"]
    assert "What to do" in done.report["error"]
    assert "Traceback" not in done.err


def test_something_else_than_mlflow_is_an_error(evalkit):
    def greet(connection):
        connection.recv(1000)
        body = b"<html>It works!</html>"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)

    with raw_server(greet) as uri:
        done = evalkit(*STAGES["log-results"], uri=uri)
    assert done.code == 1
    assert "no MLflow server" in done.report["error"]


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(evalkit, tmp_path):
    (tmp_path / "x.db").write_text("precious")
    done = evalkit(*STAGES["log-results"], uri=f"sqlite:///{tmp_path / 'x.db'}")
    assert done.code == 1
    assert (tmp_path / "x.db").read_text() == "precious"


# -- a server that fails half-way -------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(server, empty_server, tmp_path_factory):
    """What a server holds after commands that nothing disturbed."""
    project = EvalProject(tmp_path_factory.mktemp("undisturbed"), "support")
    project.review.write_text(REVIEW)
    empty_server()
    config = ["--config", str(project.root), "--tracking-uri", server.uri]
    mapping = ["--mapping", str(project.root / "tmp/schema_mapping.json")]
    for stage in WRITING:
        assert main([*STAGES[stage], *config, *(mapping if stage == WRITING[0] else [])]) == 0
    return state(server.database, "support")


REVIEW = "feedback: {alpha: fine}\n"
WRITING = ("sync-dataset", "log-results", "push-feedback")
FAULTS = [
    ("sync-dataset", {"fault": "cut", "after": 5}),
    ("sync-dataset", {"fault": "swallow", "after": 4, "times": 1}),
    ("log-results", {"fault": "cut", "after": 5}),
    ("log-results", {"fault": "refuse", "after": 7}),
    ("log-results", {"fault": "swallow", "after": 9}),
    ("log-results", {"fault": "cut", "after": 12}),
    ("log-results", {"fault": "swallow", "after": 3, "times": 1}),
    ("log-results", {"fault": "swallow", "after": 0, "path": "/v1/traces"}),
    ("log-results", {"fault": "swallow", "after": 3, "path": "3.0/mlflow/traces"}),
    ("log-results", {"fault": "cut", "after": 1, "path": "3.0/mlflow/traces"}),
    ("push-feedback", {"fault": "refuse", "after": 3}),
]


@pytest.mark.parametrize(("stage", "fault"), FAULTS, ids=str)
def test_a_server_that_fails_half_way_is_told_and_the_rerun_finishes(
    undisturbed, fresh_server, evalkit, project, stage, fault
):
    project.review.write_text(REVIEW)
    for each in WRITING[: WRITING.index(stage)]:
        evalkit(*STAGES[each], uri=fresh_server.uri)
    with Proxy(fresh_server.uri, **fault) as proxy:
        done = evalkit(*STAGES[stage], uri=proxy.uri)
        assert len(proxy.requests) > fault["after"]
    if "times" not in fault:  # one lost answer is asked for again
        assert done.code == 1, done
        assert "run the same command again" in done.report["error"].lower()
    assert "Traceback" not in done.err
    for each in WRITING:
        assert evalkit(*STAGES[each], uri=fresh_server.uri).code == 0
    assert state(fresh_server.database, "support") == undisturbed


def test_the_report_of_a_failed_run_says_what_stands(fresh_server, evalkit):
    with Proxy(fresh_server.uri, after=0, fault="cut", path="/artifacts/") as proxy:
        done = evalkit(*STAGES["log-results"], uri=proxy.uri)
    assert done.code == 1
    report = done.report
    assert (report["params"], report["traces"], report["assessments"]) == (4, 3, 12)
    assert report["table_rows"] == 0
    assert report["mlflow_run_id"] == InMlflow(fresh_server.uri).run().info.run_id


def test_traces_that_mlflow_refuses_are_named_and_all_else_stands(fresh_server, evalkit):
    """The server refuses two list entries; before them come two searches."""
    with Proxy(
        fresh_server.uri, after=2, times=2, fault="refuse", status=400, path="/mlflow/traces"
    ) as proxy:
        done = evalkit(*STAGES["log-results"], uri=proxy.uri)
    assert done.code == 1
    report = done.report
    assert (report["traces"], len(report["unwritten"]), report["table_rows"]) == (1, 2, 12)
    assert all(f"{case}: " in report["error"] for case in report["unwritten"])
    assert len(InMlflow(fresh_server.uri).traces()) == 1
    again = evalkit(*STAGES["log-results"], uri=fresh_server.uri)
    assert (again.code, again.report["traces"]) == (0, 3)
    assert set(InMlflow(fresh_server.uri).traces()) == set(CASES)
