"""``check`` counts what it looked at and where, and calls nothing good that it did not see."""

import sqlite3
from contextlib import closing

import pytest
from eval_project import RUN_ID
from servers import Proxy

FINE = "nothing is wrong"


def test_it_counts_what_there_is_and_says_where(evalkit, project):
    done = evalkit("check")
    report = done.report
    counts = [report[key] for key in ("cases", "runs", "logs", "reviews")]
    assert counts == [3, 1, 3, 0]
    assert report["places"]["cases"] == "cases"
    assert "eval/runs/helper" in report["places"]["runs"]
    assert report["places"]["mapping"] == "tmp/schema_mapping.json"
    run = {"run_id": RUN_ID, "cases": 3, "failed": 0, "failures": {}}
    assert report["open"] == [{**run, "reviewed": False, "logged": False}]
    evalkit("log-results", "--run-id", RUN_ID)
    project.review.write_text("feedback: {alpha: ''}\n")
    report = evalkit("check").report
    assert (report["reviews"], report["open"]) == (1, [{**run, "reviewed": True, "logged": True}])
    assert (done.code, FINE in done.err) == (0, True)


def test_no_run_is_no_problem_and_is_said_with_every_place(evalkit, project):
    project.remove("eval/runs")
    done = evalkit("check")
    assert (done.code, done.report["runs"], FINE in done.err) == (0, 0, False)
    for place in ("eval/runs/helper", "eval/runs/support", "no run was found"):
        assert place in done.err


def test_an_unreachable_mlflow_is_exit_1(evalkit):
    done = evalkit("check", uri="http://127.0.0.1:1")
    assert (done.code, done.report["reachable"], FINE in done.err) == (1, False, False)
    assert "not reachable" in done.report["error"]
    assert done.report["cases"] == 3


@pytest.mark.parametrize("status", [401, 500])
@pytest.mark.parametrize("after", [0, 1])
def test_an_mlflow_that_refuses_is_exit_1(evalkit, server, status, after):
    with Proxy(server.uri, after=after, fault="refuse", status=status) as proxy:
        done = evalkit("check", uri=proxy.uri)
    assert (done.code, done.report["reachable"], FINE in done.err) == (1, False, False)
    assert done.report["error"]


def test_a_server_without_tls_where_some_is_expected_is_exit_1(evalkit, server):
    done = evalkit("check", uri=server.uri.replace("http:", "https:"))
    assert (done.code, done.report["reachable"], FINE in done.err) == (1, False, False)


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_store_that_another_program_locks_is_exit_1(evalkit, shared_database, lock):
    with closing(sqlite3.connect(shared_database, isolation_level=None)) as other:
        other.execute(f"BEGIN {lock}")
        done = evalkit("check")
    assert (done.code, done.report["reachable"], FINE in done.err) == (1, False, False)
    assert "locked" in done.report["error"]


@pytest.mark.parametrize("text", ["feedback: [", "feedback: {a: [1]}\n"])
def test_a_review_that_cannot_be_read_is_a_problem(evalkit, project, text):
    project.review.write_text(text)
    done = evalkit("check")
    assert (done.code, FINE in done.err) == (2, False)
    assert done.report["problems"][0]["file"].endswith("review.yaml")


def test_keys_that_are_not_understood_are_named_and_kept(evalkit, project):
    judge = {"name": "polite", "check": "1", "samples": 3, "consequence": "safety"}
    project.configure(judges=[judge], thresholds={}, matrix={"factors": {}}, ours={"a": 1})
    done = evalkit("check")
    assert done.code == 0
    told = "matrix, ours, consequence of the judge polite, samples of the judge polite"
    assert done.report["notes"] == [f"eval.yaml: not read by evalkit: {told}"]
    assert "ours" in project.read("eval.yaml")


def test_cases_of_the_working_directory_are_said_to_be_from_there(evalkit, project):
    project.write("sub/eval.yaml", project.read("eval.yaml"))
    for stage in (["check"], ["map", "--out", "m.json"]):
        done = evalkit(*stage, "--config", "sub/eval.yaml")
        assert done.report["notes"] == ["the cases are taken from cases of the working directory"]


def test_a_likely_mistake_in_the_config_is_a_problem(evalkit, project):
    project.configure(thresholds={"nobody": {"min_mean": 1}})
    fields = [problem["field"] for problem in evalkit("check").report["problems"]]
    assert fields == ["thresholds.nobody"]
