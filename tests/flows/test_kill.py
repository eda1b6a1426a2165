"""A command killed at any point, or failed by its server half-way, and run again, is as once."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import until
from eval_project import CASES, RUN, EvalProject, log_of, score, scores_of
from in_mlflow import InMlflow
from servers import Proxy
from store_state import state

from evalkit.cli import main

SYNC, LOG, PUSH = ("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN)
WRITING = (SYNC, LOG, PUSH)
REVIEW = "feedback: {alpha: fine, beta: not quite}\n"


@pytest.fixture
def project(project):
    """The project with comments to push."""
    project.review.write_text(REVIEW)
    return project


@pytest.fixture
def run(evalkit):
    """Runs commands, one after the other; without names, all that write."""

    def run(uri, *stages):
        for stage in stages or WRITING:
            done = evalkit(*stage, uri=uri)
            assert done.code == 0, done.err

    return run


@pytest.fixture(scope="module")
def undisturbed(server, empty_server, tmp_path_factory):
    """What the server holds when nothing disturbs."""
    project = EvalProject(tmp_path_factory.mktemp("undisturbed"), "support")
    project.review.write_text(REVIEW)
    empty_server()
    config = ("--config", str(project.root), "--tracking-uri", server.uri)
    mapping = ("--mapping", str(project.root / "tmp/schema_mapping.json"))
    assert [main([*s, *config, *(mapping if s == SYNC else ())]) for s in WRITING] == [0, 0, 0]
    return state(server.database, "support")


@pytest.fixture
def kill_after(forge, project, fresh_server):
    """Runs a command and kills it while that many requests, and one more, are under way."""

    def kill(requests, stage, number=signal.SIGKILL):
        with Proxy(fresh_server.uri) as proxy:
            arguments = (*stage, "--json", "--tracking-uri", proxy.uri)
            running = forge.start(*arguments, cwd=project.root)
            proxy.on_request = lambda seen: running.kill(number) if seen == requests else None
            done = running.wait()
        if number == signal.SIGINT:  # one line and an object
            assert (done.code, done.report.get("error")) == (1, "interrupted"), done
            assert [("interrupted" in line) for line in done.err.splitlines()] == [True]
        else:
            assert done.code == -number

    return kill


DISTURBANCES = [
    # killed in the midst of so many requests
    *((SYNC, 6), (LOG, 5), (LOG, 12), (PUSH, 4), (LOG, 6, signal.SIGINT)),
    # one lost answer is asked for again
    (LOG, {"fault": "swallow", "after": 3, "times": 1}),
    # failed for good: before it was done, after it was done, and said so
    (SYNC, {"fault": "cut", "after": 5}),
    (SYNC, {"fault": "swallow", "after": 0, "path": "datasets/create"}),
    (LOG, {"fault": "swallow", "after": 0, "path": "/v1/traces"}),
    (LOG, {"fault": "cut", "after": 1, "path": "3.0/mlflow/traces"}),
    (LOG, {"fault": "cut", "after": 0, "path": "/artifacts/"}),
    (PUSH, {"fault": "refuse", "after": 3}),
]


@pytest.mark.parametrize("how", DISTURBANCES, ids=str)
def test_disturbed_while_writing_to_a_server(
    undisturbed, fresh_server, evalkit, run, kill_after, how
):
    stage, fault, *number = how
    if stage != SYNC:
        run(fresh_server.uri, *WRITING[: WRITING.index(stage)])
    if isinstance(fault, int):
        kill_after(fault, stage, *number)
    else:
        with Proxy(fresh_server.uri, **fault) as proxy:
            done = evalkit(*stage, uri=proxy.uri)
            assert len(proxy.requests) > fault["after"]
        assert done.code == ("times" not in fault), done
        if done.code:
            assert "run the same command again" in done.report["error"].lower()
        if fault.get("path") == "/artifacts/":  # the report says what stands
            figures = ("params", "traces", "assessments", "table_rows")
            assert [done.report[each] for each in figures] == [4, 3, 12, 0]
        assert "Traceback" not in done.err
    run(fresh_server.uri)
    assert state(fresh_server.database, "support") == undisturbed


@pytest.mark.parametrize("requests", [8, 12, 16])
def test_killed_while_replacing_what_changed(
    fresh_server, empty_server, project, run, kill_after, requests
):
    """The logs get shorter, so that other traces take the place of those that stand."""
    for case in CASES:
        project.log(case, log_of(case, tools=4))
    run(fresh_server.uri)
    mlflow = InMlflow(fresh_server.uri)
    for case in CASES:
        polite = mlflow.feedback(case)["polite"]
        more = {"overrides": polite.assessment_id, "metadata": {"seen": "yes"}}
        mlflow.say(case, "my view", case, who="ann", rationale="looks good", **more)
        mlflow.client.set_trace_tag(polite.trace_id, "reviewed", "by ann")
        project.log(case, log_of(case, tools=0))
    project.summarise({case: {"polite": score(False)} for case in CASES})
    kill_after(requests, LOG)
    run(fresh_server.uri, LOG, PUSH)
    found = {case: mlflow.feedback(case) for case in CASES}
    for case, said in found.items():
        view, polite = said["my view"], said["polite"]
        assert (view.value, view.rationale, view.metadata) == (case, "looks good", {"seen": "yes"})
        assert (view.overrides, polite.valid) == (polite.assessment_id, False)
        assert mlflow.traces()[case].info.tags["reviewed"] == "by ann"
    assert all(set(each) <= {"polite", "my view", "human_review"} for each in found.values())
    with closing(sqlite3.connect(fresh_server.database)) as connection, connection:
        connection.execute("DELETE FROM assessments WHERE name = 'my view'")
        connection.execute("UPDATE assessments SET valid = 1")
        connection.execute("DELETE FROM trace_tags WHERE key = 'reviewed'")
    now = state(fresh_server.database, "support")
    empty_server()
    run(fresh_server.uri)
    fresh = state(fresh_server.database, "support")
    for table in ("trace_info", "trace_tags", "trace_request_metadata", "spans", "assessments"):
        assert now[table] == fresh[table]


def test_killed_while_writing_to_a_database(
    forge, project, run, database_uri, empty_database, tmp_path
):
    """Killed as soon as some traces stand, wherever the process is then."""
    names = [f"case-{number:02}" for number in range(20)]
    for name in names:
        project.log(name, log_of(name, tools=6))
    project.summarise({name: scores_of("x") for name in names})
    database = Path(database_uri.removeprefix("sqlite:///"))

    def traces():
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            return connection.execute("SELECT count(*) FROM trace_info").fetchone()[0]

    running = forge.start(*LOG, "--tracking-uri", database_uri, cwd=project.root)
    until(lambda: traces() >= 12)
    running.kill()
    assert running.wait().code in (-signal.SIGKILL, 0)
    other = tmp_path / "other.db"
    other.write_bytes(empty_database.read_bytes())
    for uri in (database_uri, f"sqlite:///{other}"):
        run(uri, LOG, PUSH)
    assert state(database, "support") == state(other, "support")


def test_traces_that_mlflow_refuses_are_named_and_all_else_stands(fresh_server, evalkit):
    """The server refuses two list entries; before them come two searches."""
    fault = {"fault": "refuse", "status": 400, "path": "/mlflow/traces"}
    with Proxy(fresh_server.uri, after=2, times=2, **fault) as proxy:
        done = evalkit(*LOG, uri=proxy.uri)
    report = done.report
    assert (done.code, report["traces"], report["table_rows"]) == (1, 1, 12)
    assert [f"{case}: " in report["error"] for case in report["unwritten"]] == [True, True]
    assert len(InMlflow(fresh_server.uri).traces()) == 1
    again = evalkit(*LOG, uri=fresh_server.uri)
    assert (again.code, again.report["traces"]) == (0, 3)
    assert set(InMlflow(fresh_server.uri).traces()) == set(CASES)
