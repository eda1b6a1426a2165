"""Every command twice leaves MLflow as once; after a change, as if logged fresh."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from eval_project import CASES, RUN, log_of, score, scores_of, unasked_log_of
from servers import Proxy
from store_state import artifacts, state

REVIEW = "reviewer: ann\nfeedback: {alpha: fine, beta: ''}\n"
SYNC, LOG, PUSH = ("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN)


@pytest.fixture
def everything(database_uri):
    """Gives all that MLflow holds: every table's rows and every artifact."""

    def look(uri=database_uri):
        at = Path(uri.removeprefix("sqlite:///"))
        return {**state(at, "support"), "artifacts": artifacts(at.parent / "mlruns")}

    return look


def with_what_no_database_can_hold(project):
    odd = '{value: "a\\0b", rationale: "c\\0d"}'
    failed = '{value: null, error: "\\0"}'
    project.write(
        project.summary, f"per_case:\n  alpha:\n    polite: {odd}\n    broken: {failed}\n"
    )
    project.review.write_text('reviewer: "r\\0"\nfeedback: {alpha: "so\\0so"}\n')
    project.write(f"{project.run_dir}/run_result.json", r'{"model": "m\u0000\ud800"}')
    project.log("alpha", log_of("alpha").replace(b"alpha is fine", rb"\u0000 \udfff"))


def without_a_log_and_without_prompts(project):
    """The logs do not hold what the agent was asked; the files of the cases do."""
    for case in CASES:
        project.log(case, unasked_log_of(case))
    project.unlog("beta")


KINDS = {
    "in batch": lambda project: project.make_batch(),
    "with what no database can hold": with_what_no_database_can_hold,
    "without a log and without prompts": without_a_log_and_without_prompts,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_twice_is_as_once(evalkit, project, everything, kind):
    project.review.write_text(REVIEW)
    KINDS[kind](project)
    for stage in (SYNC, LOG, PUSH):
        assert evalkit(*stage).code == 0
        once = everything()
        report = evalkit(*stage).report
        assert everything() == once
        assert not report.get("written")
        assert (report.get("created", 0), report.get("updated", 0)) == (0, 0)
    reviewed = project.review.read_bytes()
    for stage in ("pull-feedback", "all"):
        assert evalkit(stage, *RUN).code == 0
    assert everything() == once
    assert project.review.read_bytes() == reviewed


def test_neither_the_times_of_files_nor_where_they_lie_make_a_difference(
    evalkit, project, everything, tmp_path
):
    run = ("log-results", "--run-id", "nightly")
    (project.root / project.run_dir).rename(project.root / "eval/runs/support/nightly")
    evalkit(*run)
    once = everything()
    for log in project.root.rglob("stdout.log"):
        os.utime(log, (1, 1))
    assert evalkit(*run).report["written"] is False
    shutil.copytree(project.root, tmp_path / "elsewhere")
    elsewhere = str(tmp_path / "elsewhere/eval.yaml")
    assert evalkit(*run, "--config", elsewhere).report["written"] is False
    assert everything() == once


def test_a_second_time_asks_a_server_little_and_writes_nothing(fresh_server, evalkit, project):
    project.review.write_text(REVIEW)
    for stage in (SYNC, LOG, PUSH):
        evalkit(*stage, uri=fresh_server.uri)
    with Proxy(fresh_server.uri) as proxy:
        assert evalkit(*LOG, uri=proxy.uri).report["written"] is False
    asked = [request.path.partition("?")[0] for request in proxy.requests]
    assert len(asked) < 5
    assert all(path.endswith(("/search", "/get-by-name", "/version")) for path in asked)


# -- after a change ---------------------------------------------------------------------------

SCORES = {case: scores_of(case, number) for number, case in enumerate(CASES)}
OTHER_TYPES = {
    "alpha": {**SCORES["alpha"], "polite": score(1)},
    "beta": {**SCORES["beta"], "tone": {"value": None, "error": "gave up"}},
    "gamma": {**SCORES["gamma"], "broken": score([1])},
}
LONGER = {"beta": log_of("beta", reply="on second thought", tools=5)}
CHANGES = {
    "a log grows, one is cut off": {"logs": {**LONGER, "gamma": log_of("gamma")[:-300]}},
    "a log shrinks, other comments": {
        "logs": {"gamma": log_of("gamma", tools=1)},
        "review": "reviewer: bob\nfeedback: {alpha: no, gamma: fine}\n",
    },
    "a log at last, other types": {"logs": LONGER, "scores": OTHER_TYPES},
    "a judge goes, and the bar": {
        "scores": {c: {j: s for j, s in SCORES[c].items() if j != "quality"} for c in CASES},
        "thresholds": {},
    },
    "a case goes, and comments": {
        "scores": {case: SCORES[case] for case in ("alpha", "gamma")},
        "review": "reviewer: ann\nfeedback: {}\n",
    },
    "one batch": {},
}
"""What happens to a project: in one go what concerns other traces."""


def change(project, name):
    given = CHANGES[name]
    for case, log in given.get("logs", {}).items():
        project.log(case, log)
    if "scores" in given:
        project.summarise(given["scores"])
    if "review" in given:
        project.review.write_text(given["review"])
    if "thresholds" in given:
        project.configure(thresholds=given["thresholds"])
    if "a case goes" in name:
        project.unlog("beta")
    if name == "one batch":
        project.make_batch()


def settled(found, fresh):
    """What MLflow holds, without what it never forgets: metrics, params and their history."""
    figures, now = (
        {row["key"]: row["value"] for row in map(dict, each["latest_metrics"])}
        for each in (found, fresh)
    )
    forgotten = {"metrics", "latest_metrics", "params"}
    kept = {table: rows for table, rows in found.items() if table not in forgotten}
    return {**kept, "tags": [row for row in found["tags"] if "evalkit.param." not in str(row)]} | {
        "figures": {name: figures[name] for name in now}
    }


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_mlflow_is_as_if_logged_fresh_but_for_what_people_said(
    evalkit, project, everything, mlflow, name, empty_database, tmp_path
):
    project.review.write_text(REVIEW)
    if "at last" in name:
        project.unlog("beta")
    elif "bar" in name:
        project.configure(thresholds={"quality": {"min_mean": 9}})
    for stage in (LOG, PUSH):
        evalkit(*stage)
    people = CASES if name not in ("a case goes, and comments", "one batch") else ()
    for case in people:
        mlflow.say(case, "my view", case, who="ann", rationale="looked twice")
    change(project, name)
    notes = evalkit(*LOG).report["notes"]
    assert evalkit(*PUSH).code == 0
    assert "judge" not in name or any("quality/mean" in note for note in notes)
    for case in people:
        assert mlflow.feedback(case)["my view"].rationale == "looked twice"
    assert evalkit("pull-feedback", *RUN).report["annotations"] == len(people)
    database = mlflow.uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM assessments WHERE name = 'my view'")
    fresh = tmp_path / "fresh" / "mlflow.db"
    fresh.parent.mkdir()
    shutil.copy(empty_database, fresh)
    for stage in (LOG, PUSH):
        evalkit(*stage, uri=f"sqlite:///{fresh}")
    found, expected = everything(), everything(f"sqlite:///{fresh}")
    assert settled(found, expected) == settled(expected, expected)


def test_the_trace_of_a_gone_case_stays_for_what_people_said_and_loses_its_scores(
    evalkit, project, mlflow
):
    evalkit(*LOG)
    mlflow.say("beta", "my view", True)
    change(project, "a case goes, and comments")
    report = evalkit(*LOG).report
    assert mlflow.values("beta") == {"my view": True}
    assert any("no longer has beta" in note for note in report["notes"])
    assert evalkit(*LOG).report["written"] is False


def test_what_is_lost_or_no_longer_readable_takes_nothing_back(evalkit, project, mlflow):
    project.review.write_text(REVIEW)
    for stage in (LOG, PUSH):
        evalkit(*stage)
    before = {case: mlflow.values(case) for case in CASES}
    project.log("beta", b"\xff\xfe no log")
    done = evalkit(*LOG)
    assert (done.code, list(done.report["receipt"]["refused"])) == (0, ["beta"])
    for lost in ("review.yaml", "summary.yaml", "run_result.json"):
        project.remove(f"{project.run_dir}/{lost}")
        for stage in (LOG, PUSH):
            assert evalkit(*stage).code == 0
        assert {case: mlflow.values(case) for case in CASES} == before
