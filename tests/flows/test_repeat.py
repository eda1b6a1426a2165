"""Every command twice leaves MLflow as once; after a change, as if logged fresh."""

import os
import shutil
from pathlib import Path

import pytest
from eval_project import CASES, RUN, log_of, score, scores_of, unasked_log_of
from in_mlflow import InMlflow
from servers import Proxy
from store_state import artifacts, state

REVIEW = "reviewer: ann\nfeedback: {alpha: fine, beta: ''}\n"


@pytest.fixture
def everything(database_uri):
    """Gives all that MLflow holds: every table's rows and every artifact."""

    def look(uri=database_uri):
        at = Path(uri.removeprefix("sqlite:///"))
        return {**state(at, "support"), "artifacts": artifacts(at.parent / "mlruns")}

    return look


def in_batch(project):
    """One log for all cases; again, after other judges were wanted."""
    project.make_batch()


ODD = 'it\'s "odd" % ä😀 <b>'


def with_odd_names(project):
    project.add_case(ODD, ODD, ODD)
    project.log(ODD, log_of(ODD))
    project.summarise(
        {ODD: {ODD: score(ODD, ODD), "x" * 400: score("y" * 9000), "a/b:c": score({ODD: ODD})}}
    )
    project.review.write_text(f"reviewer: '{'z' * 400}'\nfeedback: {{alpha: 'ä😀 \"so\"'}}\n")


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


@pytest.mark.parametrize(
    "kind",
    [
        in_batch,
        with_odd_names,
        with_what_no_database_can_hold,
        without_a_log_and_without_prompts,
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_command_twice_is_as_once(evalkit, project, everything, kind):
    project.review.write_text(REVIEW)
    kind(project)
    for stage in (["sync-dataset"], ["log-results", *RUN], ["push-feedback", *RUN]):
        assert evalkit(*stage).code == 0
        once = everything()
        report = evalkit(*stage).report
        assert everything() == once
        assert not report.get("written")
        assert (report.get("created", 0), report.get("updated", 0)) == (0, 0)
    reviewed = project.review.read_bytes()
    evalkit("log-results", *RUN)
    evalkit("pull-feedback", *RUN)
    assert everything() == once
    assert project.review.read_bytes() == reviewed
    assert evalkit("all", *RUN).code == 0
    assert everything() == once


def test_neither_the_times_of_files_nor_where_they_lie_make_a_difference(
    evalkit, project, everything, tmp_path
):
    (project.root / project.run_dir).rename(project.root / "eval/runs/support/nightly")
    evalkit("log-results", "--run-id", "nightly")
    once = everything()
    for log in project.root.rglob("stdout.log"):
        os.utime(log, (1, 1))
    assert evalkit("log-results", "--run-id", "nightly").report["written"] is False
    shutil.copytree(project.root, tmp_path / "elsewhere")
    elsewhere = str(tmp_path / "elsewhere/eval.yaml")
    report = evalkit("log-results", "--run-id", "nightly", "--config", elsewhere).report
    assert report["written"] is False
    assert everything() == once


def test_a_second_time_asks_a_server_little_and_writes_nothing(fresh_server, evalkit, project):
    project.review.write_text(REVIEW)
    for stage in (("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN)):
        evalkit(*stage, uri=fresh_server.uri)
    with Proxy(fresh_server.uri) as proxy:
        assert evalkit("log-results", *RUN, uri=proxy.uri).report["written"] is False
        asked = [(request.method, request.path.partition("?")[0]) for request in proxy.requests]
    assert len(asked) < 5
    searches = ("/search", "/get-by-name", "/version")
    assert [each for each in asked if not each[1].endswith(searches)] == []


# -- after a change ---------------------------------------------------------------------------


def longer_log(project):
    project.log("beta", log_of("beta", reply="on second thought", tools=5))


def shorter_log(project):
    project.log("gamma", log_of("gamma", tools=1))


def log_that_is_cut_off(project):
    project.log("gamma", log_of("gamma")[:-300])


def changed_scores(project):
    scores = {case: scores_of(case, 2) for case in CASES}
    project.summarise(scores)


def score_of_another_type(project):
    scores = {case: scores_of(case, n) for n, case in enumerate(CASES)}
    scores["alpha"]["polite"] = score(1)
    scores["beta"]["tone"] = {"value": None, "error": "gave up"}
    scores["gamma"]["broken"] = score([1])
    project.summarise(scores)


def judge_removed(project):
    scores = {case: scores_of(case, n) for n, case in enumerate(CASES)}
    for judged in scores.values():
        del judged["tone"]
    project.summarise(scores)


def case_removed(project):
    project.unlog("beta")
    project.summarise({"alpha": scores_of("alpha", 0), "gamma": scores_of("gamma", 2)})


def review_changed(project):
    project.review.write_text("reviewer: bob\nfeedback: {alpha: no, gamma: fine}\n")


def all_comments_withdrawn(project):
    project.review.write_text("reviewer: ann\nfeedback: {}\n")


CHANGES = {
    "beta_longer_and_gamma_cut_off": (longer_log, log_that_is_cut_off),
    "gamma_shorter_and_no_comments": (shorter_log, all_comments_withdrawn),
    "a_log_at_last_and_scores_of_other_types": (longer_log, score_of_another_type),
    "other_scores_and_comments": (changed_scores, review_changed),
    "judge_removed_and_no_regression": (judge_removed, lambda p: p.configure(thresholds={})),
    "case_removed": (case_removed,),
    "from_case_to_batch": (in_batch,),
}
"""What happens to a project: in one go what concerns other traces."""


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
def test_after_a_change_mlflow_is_as_if_logged_fresh(
    evalkit, project, everything, name, empty_database, tmp_path
):
    project.review.write_text(REVIEW)
    if "at_last" in name:
        project.unlog("beta")
    elif "regression" in name:
        project.configure(thresholds={"quality": {"min_mean": 9}})
    stages = ("log-results", "push-feedback")
    for stage in stages:
        evalkit(stage, *RUN)
    for change in CHANGES[name]:
        change(project)
    for stage in stages:
        assert evalkit(stage, *RUN).code == 0
    fresh = tmp_path / "fresh" / "mlflow.db"
    fresh.parent.mkdir()
    shutil.copy(empty_database, fresh)
    for stage in stages:
        evalkit(stage, *RUN, uri=f"sqlite:///{fresh}")
    found, expected = everything(), everything(f"sqlite:///{fresh}")
    assert settled(found, expected) == settled(expected, expected)


@pytest.mark.parametrize(
    "change",
    [shorter_log, case_removed, review_changed],
    ids=lambda change: change.__name__,
)
def test_what_people_said_is_kept_through_a_change(evalkit, project, database_uri, change):
    project.review.write_text(REVIEW)
    evalkit("all", *RUN)
    mlflow = InMlflow(database_uri)
    for case in CASES:
        mlflow.say(case, "my view", case, who="ann", rationale="looked twice")
        mlflow.say(case, "ours", True)
    evalkit("pull-feedback", *RUN)
    pulled = said_in(project.review)
    change(project)
    for stage in ("log-results", "push-feedback"):
        assert evalkit(stage, *RUN).code == 0
    for case in CASES:
        assert mlflow.values(case)["my view"] == case
        assert mlflow.feedback(case)["my view"].rationale == "looked twice"
        assert mlflow.values(case)["ours"] is True
    if change is not review_changed:
        assert evalkit("pull-feedback", *RUN).report["annotations"] == 6
        assert said_in(project.review) == pulled


def said_in(review):
    """The file without the ids of traces: one that changed is another one."""
    return [line for line in review.read_text().splitlines() if "trace_id:" not in line]


def test_the_trace_of_a_gone_case_stays_for_what_people_said_and_loses_its_scores(
    evalkit, project, database_uri
):
    evalkit("log-results", *RUN)
    mlflow = InMlflow(database_uri)
    mlflow.say("beta", "my view", True)
    case_removed(project)
    report = evalkit("log-results", *RUN).report
    assert mlflow.values("beta") == {"my view": True}
    assert any("no longer has beta" in note for note in report["notes"])
    assert evalkit("log-results", *RUN).report["written"] is False


def test_a_lost_file_takes_nothing_back(evalkit, project, database_uri):
    project.review.write_text(REVIEW)
    evalkit("log-results", *RUN)
    evalkit("push-feedback", *RUN)
    mlflow = InMlflow(database_uri)
    before = {case: mlflow.values(case) for case in CASES}
    for lost in ("review.yaml", "summary.yaml", "run_result.json"):
        project.remove(f"{project.run_dir}/{lost}")
        for stage in ("log-results", "push-feedback"):
            assert evalkit(stage, *RUN).code == 0
        assert {case: mlflow.values(case) for case in CASES} == before


def test_a_log_that_is_no_longer_readable_leaves_the_trace_that_stands(
    evalkit, project, database_uri
):
    evalkit("log-results", *RUN)
    project.log("beta", b"\xff\xfe no log")
    done = evalkit("log-results", *RUN)
    assert (done.code, list(done.report["receipt"]["refused"])) == (0, ["beta"])
    assert done.report["unmatched"] == 0
    assert set(InMlflow(database_uri).traces()) == set(CASES)


def test_figures_of_a_judge_that_is_gone_are_named(evalkit, project):
    project.summarise({case: {"tone": score(3), "polite": score(True)} for case in CASES})
    evalkit("log-results", *RUN)
    project.summarise({case: {"polite": score(True)} for case in CASES})
    notes = evalkit("log-results", *RUN).report["notes"]
    assert any("tone/mean" in note for note in notes)
