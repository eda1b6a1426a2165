"""``check`` counts what it looked at and where, and calls nothing good that it did not see."""

import sqlite3
from contextlib import ExitStack, closing

import pytest
from eval_project import RUN_ID
from servers import Proxy

FINE = "nothing is wrong"


def test_it_counts_what_there_is_and_says_where_or_that_there_is_none(evalkit, project):
    judge = {"name": "polite", "check": "1", "samples": 3, "consequence": "safety"}
    project.configure(judges=[judge], thresholds={}, matrix={"factors": {}}, ours={"a": 1})
    report = evalkit("check").report
    counts = [report[key] for key in ("cases", "runs", "logs", "reviews")]
    assert counts == [3, 1, 3, 0]
    assert report["places"]["cases"] == "cases"
    assert "eval/runs/helper" in report["places"]["runs"]
    assert report["places"]["mapping"] == "tmp/schema_mapping.json"
    run = {"run_id": RUN_ID, "cases": 3, "failed": 0, "failures": {}}
    assert report["open"] == [{**run, "reviewed": False, "logged": False}]
    unread = "matrix, ours, consequence of the judge polite, samples of the judge polite"
    assert report["notes"] == [f"eval.yaml: not read by evalkit: {unread}"]
    evalkit("log-results", "--run-id", RUN_ID)
    project.review.write_text("feedback: {alpha: ''}\n")
    done = evalkit("check")
    report = done.report
    assert (report["reviews"], report["open"]) == (1, [{**run, "reviewed": True, "logged": True}])
    assert (done.code, FINE in done.err) == (0, True)
    project.remove("eval/runs")
    done = evalkit("check")
    assert (done.code, done.report["runs"], FINE in done.err) == (0, 0, False)
    for place in ("eval/runs/helper", "eval/runs/support", "no run was found"):
        assert place in done.err


@pytest.mark.parametrize("how", ["http://127.0.0.1:1", "https", 401, 500, "EXCLUSIVE", "IMMEDIATE"])
def test_an_mlflow_that_is_away_refuses_or_is_locked_is_exit_1(
    evalkit, server, database_uri, shared_database, how
):
    uri = {"http://127.0.0.1:1": how, "https": server.uri.replace("http:", "https:")}
    with ExitStack() as stack:
        if isinstance(how, int):
            proxy = Proxy(server.uri, after=how == 500, fault="refuse", status=how)
            uri[how] = stack.enter_context(proxy).uri
        if how in ("EXCLUSIVE", "IMMEDIATE"):
            other = sqlite3.connect(shared_database, isolation_level=None)
            stack.enter_context(closing(other)).execute(f"BEGIN {how}")
        done = evalkit("check", uri=uri.get(how, database_uri))
    assert (done.code, done.report["reachable"], FINE in done.err) == (1, False, False)
    busy = "another program writes to it; run the same command again"
    assert how not in ("EXCLUSIVE", "IMMEDIATE") or busy in done.report["error"]
    assert (bool(done.report["error"]), done.report["cases"]) == (True, 3)
