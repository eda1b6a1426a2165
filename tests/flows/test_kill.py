"""A command killed at any point, and run again, leaves MLflow as if it had run once."""

import signal
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from commands import until
from eval_project import CASES, RUN, EvalProject, log_of, score, scores_of
from in_mlflow import InMlflow
from servers import Proxy
from store_state import artifacts, state

COMMANDS = {
    "sync-dataset": ["sync-dataset"],
    "log-results": ["log-results", *RUN],
    "push-feedback": ["push-feedback", *RUN],
}


REVIEW = "feedback: {alpha: fine, beta: not quite}\n"


@pytest.fixture
def project(project):
    """The project with comments to push."""
    project.review.write_text(REVIEW)
    return project


def run_all(forge, project, uri, *stages):
    """Run commands, one after the other, in processes of their own."""
    for stage in stages or COMMANDS:
        done = forge.run(*COMMANDS[stage], "--tracking-uri", uri, cwd=project.root)
        assert done.code == 0, done.err


@pytest.fixture
def run(forge, project):
    return partial(run_all, forge, project)


@pytest.fixture(scope="module")
def undisturbed(server, empty_server, forge, tmp_path_factory):
    """What the server holds when nothing disturbs."""
    project = EvalProject(tmp_path_factory.mktemp("undisturbed"), "support")
    project.review.write_text(REVIEW)
    empty_server()
    run_all(forge, project, server.uri)
    return state(server.database, "support")


def kill_after(requests, forge, project, server, stage, number=signal.SIGKILL):
    """Run a command and kill it while that many requests, and one more, are under way."""
    with Proxy(server.uri) as proxy:
        arguments = (*COMMANDS[stage], "--json", "--tracking-uri", proxy.uri)
        running = forge.start(*arguments, cwd=project.root)
        proxy.on_request = lambda seen: running.kill(number) if seen == requests else None
        return running.wait()


@pytest.mark.parametrize(
    ("stage", "requests"),
    [("sync-dataset", 6), ("log-results", 5), ("log-results", 12), ("push-feedback", 4)],
)
def test_killed_while_writing_to_a_server(
    undisturbed, fresh_server, forge, project, run, stage, requests
):
    stages = list(COMMANDS)
    for before in stages[: stages.index(stage)]:
        run(fresh_server.uri, before)
    assert kill_after(requests, forge, project, fresh_server, stage).code == -signal.SIGKILL
    run(fresh_server.uri)
    assert state(fresh_server.database, "support") == undisturbed


@pytest.mark.parametrize("requests", [8, 16])
def test_killed_while_replacing_what_changed(
    fresh_server, empty_server, forge, project, run, requests
):
    """The logs get shorter, so that other traces take the place of those that stand."""

    def change():
        for case in CASES:
            project.log(case, log_of(case, tools=0))
        project.summarise({case: {"polite": score(False)} for case in CASES})

    for case in CASES:
        project.log(case, log_of(case, tools=4))
    run(fresh_server.uri)
    mlflow = InMlflow(fresh_server.uri)
    for case in CASES:
        mlflow.say(case, "my view", case, who="ann")
    change()
    killed = kill_after(requests, forge, project, fresh_server, "log-results")
    assert killed.code == -signal.SIGKILL
    run(fresh_server.uri, "log-results", "push-feedback")
    found = {case: mlflow.feedback(case) for case in CASES}
    assert {case: each["my view"].value for case, each in found.items()} == {c: c for c in CASES}
    assert all(set(each) <= {"polite", "my view", "human_review"} for each in found.values())
    forget(fresh_server.database, "my view")
    now = state(fresh_server.database, "support")
    empty_server()
    run(fresh_server.uri)
    fresh = state(fresh_server.database, "support")
    for table in ("trace_info", "trace_tags", "trace_request_metadata", "spans", "assessments"):
        assert now[table] == fresh[table]


def forget(database, name):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM assessments WHERE name = ?", [name])


def test_killed_while_writing_to_a_database(
    forge, project, run, database_uri, empty_database, tmp_path
):
    """Killed as soon as so many traces stand, wherever the process is then."""
    for number in range(20):
        project.log(f"case-{number:02}", log_of(f"case-{number:02}", tools=6))
    project.summarise({f"case-{number:02}": scores_of("x") for number in range(20)})
    database = Path(database_uri.removeprefix("sqlite:///"))
    running = forge.start(
        *COMMANDS["log-results"], "--tracking-uri", database_uri, cwd=project.root
    )
    until(lambda: count(database, "trace_info") >= 12)
    running.kill()
    assert running.wait().code in (-signal.SIGKILL, 0)
    run(database_uri, "log-results", "push-feedback")
    other = tmp_path / "other" / "mlflow.db"
    other.parent.mkdir()
    other.write_bytes(empty_database.read_bytes())
    run(f"sqlite:///{other}", "log-results", "push-feedback")
    assert state(database, "support") == state(other, "support")
    assert artifacts(database.parent / "mlruns") == artifacts(other.parent / "mlruns")


def count(database, table):
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - a constant
        return found


def test_a_killed_pull_leaves_the_old_review_or_the_new_one(forge, project, run, database_uri):
    run(database_uri, "log-results")
    mlflow = InMlflow(database_uri)
    for number in range(40):
        mlflow.say("alpha", f"remark {number}", "word " * 200)
    before = project.review.read_bytes()
    pull = ["pull-feedback", *RUN, "--tracking-uri", database_uri]
    running = forge.start(*pull, cwd=project.root)
    until(lambda: len(list(project.review.parent.glob(".review.yaml.*"))) > 0 or _ended(running))
    running.kill()
    running.wait()
    assert project.review.read_bytes() == before or b"remark 39" in project.review.read_bytes()
    assert forge.run(*pull, cwd=project.root).code == 0
    assert b"remark 39" in project.review.read_bytes()


def _ended(running):
    return (running.streams / "out").read_text() != "" or not Path(f"/proc/{running.pid}").exists()


def test_ctrl_c_is_one_line_and_an_object_and_the_rerun_finishes(
    fresh_server, undisturbed, forge, project, run
):
    done = kill_after(6, forge, project, fresh_server, "log-results", signal.SIGINT)
    assert (done.code, done.report["error"]) == (1, "interrupted")
    (line,) = done.err.splitlines()
    assert "interrupted" in line
    run(fresh_server.uri)
    assert state(fresh_server.database, "support") == undisturbed
