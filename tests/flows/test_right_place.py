"""A case's scores land on the trace of that case and nowhere else, as what they are."""

import json

import pytest
from eval_project import CASES, RUN_ID, log_of, score, scores_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


@pytest.fixture(params=["log-results", "push-feedback"])
def judged(request, evalkit):
    """Brings the judges' feedback to MLflow, in each of the two ways in which it gets there."""

    def bring(*more):
        done = evalkit("log-results", *RUN, *more)
        if request.param == "push-feedback":
            done = evalkit("push-feedback", *RUN, *more)
        assert done.code == 0
        return done.report

    return bring


def expected(case, number):
    return {
        "polite": number != 1,
        "quality": 3 + number,
        "tone": ("warm", "plain", "cold")[number],
        "broken": f"no answer about {case}",
    }


def test_scores_stand_on_the_trace_of_their_case(judged, mlflow):
    judged()
    assert {case: mlflow.values(case) for case in CASES} == {
        case: expected(case, number) for number, case in enumerate(CASES)
    }


def test_a_score_says_who_judged_why_and_about_which_case(judged, mlflow):
    judged()
    found = mlflow.feedback("beta")
    assert {name: each.source.source_type for name, each in found.items()} == {
        "polite": "CODE",
        "quality": "LLM_JUDGE",
        "tone": "CODE",
        "broken": "CODE",
    }
    assert {name: each.source.source_id for name, each in found.items()} == {
        name: name for name in found
    }
    assert found["quality"].rationale == "beta read well"
    assert {each.metadata["case_id"] for each in found.values()} == {"beta"}


TYPED = {
    "yes": True,
    "no": False,
    "whole": 4,
    "zero": 0,
    "half": 0.5,
    "below": -1.25,
    "label": "good",
    "digits": "12",
    "true in words": "true",
    "empty": "",
    "list": [1, "a", True, None],
    "dict": {"a": {"b": [1.5, False]}},
    "long": "wörter 😀 " * 500,
}


def test_values_go_through_mlflow_as_what_they_are(judged, evalkit, project, mlflow):
    project.summarise({"alpha": {name: score(value) for name, value in TYPED.items()}})
    judged()
    found = mlflow.values("alpha")
    assert found == TYPED
    assert {name for name, value in found.items() if type(value) is bool} == {"yes", "no"}
    assert evalkit("push-feedback", *RUN).report["updated"] == 0


def test_values_go_through_a_server_as_what_they_are(fresh_server, evalkit, project):
    project.summarise({"alpha": {name: score(value) for name, value in TYPED.items()}})
    for stage in ("log-results", "push-feedback"):
        report = evalkit(stage, *RUN, uri=fresh_server.uri).report
    assert (report["created"], report["updated"], report["judge"]) == (0, 0, len(TYPED))
    found = InMlflow(fresh_server.uri).values("alpha")
    assert found == TYPED
    assert {name for name, value in found.items() if type(value) is bool} == {"yes", "no"}


def test_a_judge_that_failed_is_an_error_and_one_without_a_word_is_nothing(judged, project, mlflow):
    silent = {"value": None, "rationale": "condition is false"}
    failed = {"value": 3, "error": "timed out", "rationale": "so far so good"}
    project.summarise({"alpha": {"silent": silent, "failed": failed}})
    judged()
    (found,) = mlflow.feedback("alpha").values()
    assert (found.name, found.feedback.error.error_message) == ("failed", "timed out")
    assert found.value is None


@pytest.mark.parametrize("log", [None, b"Segmentation fault\n"], ids=["no log", "refused"])
def test_a_case_without_steps_has_a_trace_with_its_scores(judged, project, mlflow, log):
    project.unlog("beta")
    if log:
        project.log("beta", log)
    assert judged()["unmatched"] == 0
    assert {case: mlflow.values(case) for case in CASES} == {
        case: expected(case, number) for number, case in enumerate(CASES)
    }


def test_scores_of_a_case_that_only_the_summary_knows_have_a_trace(judged, project, mlflow):
    project.summarise({"alpha": scores_of("alpha"), "omega": scores_of("omega")})
    assert judged()["unmatched"] == 0
    assert set(mlflow.traces()) == {*CASES, "omega"}
    assert mlflow.values("beta") == {}


def test_a_batch_run_has_one_trace_on_which_feedback_names_its_case(judged, project, mlflow):
    project.make_batch()
    report = judged()
    assert report["traces"] == 1
    assert mlflow.values(RUN_ID) == {
        f"{case}/{judge}": value
        for number, case in enumerate(CASES)
        for judge, value in expected(case, number).items()
    }
    assert mlflow.feedback(RUN_ID)["beta/tone"].metadata["case_id"] == "beta"


def test_the_names_of_the_seed_are_there_for_who_wants_them(judged, mlflow):
    judged("--names", "seed")
    assert set(mlflow.values("beta")) == {f"beta/{judge}" for judge in scores_of("beta")}


def test_changing_the_names_leaves_no_feedback_under_the_old_ones(judged, mlflow):
    judged()
    judged("--names", "seed")
    assert set(mlflow.values("beta")) == {f"beta/{judge}" for judge in scores_of("beta")}


def test_a_refused_batch_log_leaves_one_trace_for_all_scores(judged, project, mlflow):
    project.make_batch()
    project.write(f"{project.run_dir}/stdout.log", b"Segmentation fault\n")
    assert judged()["unmatched"] == 0
    assert len(mlflow.values(RUN_ID)) == 12
    assert set(mlflow.traces()) == {RUN_ID}


# -- what people said -------------------------------------------------------------------------

REVIEW = """\
reviewer: ann@team.example
feedback:
  alpha: ""
  beta: The reply is too long.
"""


def test_comments_are_feedback_of_a_person(evalkit, project, mlflow):
    project.review.write_text(REVIEW)
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["traces"]) == (12, 2, 3)
    found = {case: mlflow.feedback(case).get("human_review") for case in CASES}
    assert (found["alpha"].value, found["beta"].value) == (True, False)
    assert found["gamma"] is None
    assert found["beta"].source.source_type == "HUMAN"
    assert found["beta"].source.source_id == "ann@team.example"


@pytest.mark.parametrize(
    ("source", "judges", "people"), [("judge", 12, 0), ("human", 0, 1), ("all", 12, 1)]
)
def test_one_source_is_pushed_without_touching_the_other(
    evalkit, project, mlflow, source, judges, people
):
    project.review.write_text("feedback: {alpha: fine}\n")
    evalkit("log-results", *RUN)
    evalkit("push-feedback", *RUN)
    project.summarise({"alpha": {"polite": score(False)}})
    project.review.write_text("feedback: {beta: not fine}\n")
    report = evalkit("push-feedback", *RUN, "--source", source).report
    assert (report["judge"], report["human"]) == (min(judges, 1), people)
    assert ("tone" in mlflow.values("gamma")) == (source == "human")
    assert ("human_review" in mlflow.values("beta")) == (source != "judge")
    assert ("human_review" in mlflow.values("alpha")) == (source == "judge")


def test_comments_on_a_batch_run_name_their_case(evalkit, project, mlflow):
    project.make_batch()
    project.review.write_text(REVIEW)
    evalkit("log-results", *RUN)
    evalkit("push-feedback", *RUN)
    assert mlflow.values(RUN_ID)["alpha/human_review"] is True
    assert mlflow.values(RUN_ID)["beta/human_review"] is False


def test_a_comment_on_a_case_that_the_run_does_not_have_is_named(evalkit, project):
    project.review.write_text("feedback: {omega: fine}\n")
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["human"], report["unmatched_names"]) == (0, ["omega/human_review"])


def test_without_traces_nothing_is_pushed_and_that_is_said(evalkit, mlflow):
    done = evalkit("push-feedback", *RUN)
    assert (done.code, done.report["traces"], done.report["unmatched"]) == (0, 0, 12)
    assert "no traces" in done.err
    assert mlflow.experiment_id is None


# -- traces that the harness recorded ---------------------------------------------------------


@pytest.fixture
def experiment(mlflow):
    mlflow.client.create_experiment("support")


@pytest.mark.usefixtures("experiment")
def test_traces_that_the_harness_recorded_are_used_and_not_built_again(
    evalkit, project, mlflow, judged
):
    by_case = {case: mlflow.record(f"live {case}", eval_run_id=case) for case in CASES[:2]}
    project.unlog("beta")
    judged()
    assert set(mlflow.traces()) == {"live alpha", "live beta", "gamma"}
    assert mlflow.values("live alpha") == expected("alpha", 0)
    assert mlflow.values("live beta") == expected("beta", 1)
    run_id = mlflow.run().info.run_id
    for case, trace_id in by_case.items():
        info = mlflow.traces()[f"live {case}"].info
        assert info.trace_id == trace_id
        assert info.trace_metadata["mlflow.sourceRun"] == run_id
    report = evalkit("log-results", *RUN).report
    assert (report["written"], report["traces"], report["assessments"]) == (False, 3, 12)


@pytest.mark.usefixtures("experiment")
def test_a_trace_recorded_for_a_run_and_a_case_is_that_cases(judged, mlflow):
    mlflow.record("live", eval_run_id=RUN_ID, eval_case_id="beta")
    judged()
    assert set(mlflow.traces()) == {"alpha", "gamma", "live"}
    assert mlflow.values("live") == expected("beta", 1)


@pytest.mark.usefixtures("experiment")
def test_a_recorded_batch_run_is_used(judged, project, mlflow):
    mlflow.record("live", eval_run_id=RUN_ID)
    project.make_batch()
    judged()
    assert set(mlflow.traces()) == {"live"}
    assert mlflow.values("live")["gamma/quality"] == 5


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("stage", ["log-results", "push-feedback"])
def test_where_several_recorded_traces_fit_none_is_guessed(evalkit, mlflow, stage):
    for name in ("first", "second"):
        mlflow.record(name, eval_run_id="alpha")
    report = evalkit(stage, *RUN).report
    assert mlflow.values("first") == mlflow.values("second") == {}
    assert any("2 traces recorded for alpha" in note for note in report["notes"])
    assert ("alpha" in mlflow.traces()) == (stage == "log-results")


@pytest.mark.usefixtures("experiment")
def test_recorded_traces_get_their_feedback_even_if_the_run_is_logged_later(
    evalkit, project, mlflow
):
    mlflow.record("live", eval_run_id="alpha")
    report = evalkit("push-feedback", *RUN).report
    assert (report["traces"], report["judge"], report["unmatched"]) == (1, 4, 8)
    assert mlflow.values("live") == expected("alpha", 0)
    project.review.write_text("feedback: {alpha: fine}\n")
    evalkit("push-feedback", *RUN)
    assert evalkit("log-results", *RUN).report["assessments"] == 12
    assert mlflow.values("live") == {**expected("alpha", 0), "human_review": False}


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("tag", ["another-run", "", "ALPHA"])
def test_traces_of_other_runs_are_nobodys(judged, mlflow, tag):
    mlflow.record("live", eval_run_id=tag)
    judged()
    assert mlflow.values("live") == {}
    assert set(mlflow.traces()) == {*CASES, "live"}


# -- the run itself ---------------------------------------------------------------------------


def test_the_run_holds_what_the_files_say(evalkit, mlflow):
    report = evalkit("log-results", *RUN).report
    run = mlflow.run()
    assert run.info.run_name == RUN_ID
    assert run.data.params == {
        "skill": "helper",
        "model": "claude-sonnet-4-6",
        "run_id": RUN_ID,
        "execution_mode": "case",
    }
    figures = run.data.metrics
    assert figures["polite/mean"] == figures["polite/pass_rate"] == pytest.approx(2 / 3)
    assert figures["quality/mean"] == 4
    assert "tone/mean" not in figures
    assert (figures["duration_s"], figures["cost_usd"], figures["num_turns"]) == (30, 0.25, 9)
    assert figures["cost_usd/claude-sonnet-4-6"] == 0.25
    assert figures["tokens/output/claude-sonnet-4-6"] == 45
    assert run.data.tags["team"] == "blue"
    assert run.data.tags["num_judges"] == "4"
    assert run.data.tags["regressions_detected"] == "no"
    assert (report["params"], report["metrics"]) == (len(run.data.params), len(figures))
    assert (report["traces"], report["spans"], report["table_rows"]) == (3, 27, 12)


def test_the_run_has_its_files_its_table_and_its_receipt(evalkit, project, mlflow, tmp_path):
    evalkit("log-results", *RUN)
    run_id = mlflow.run().info.run_id
    folder = tmp_path / "down"
    folder.mkdir()
    for name in ("summary.yaml", "run_result.json", "receipt.json", "per_case_results.json"):
        mlflow.client.download_artifacts(run_id, name, str(folder))
    assert (folder / "summary.yaml").read_text() == project.read(project.summary)
    table = json.loads((folder / "per_case_results.json").read_text())
    assert table["columns"][:4] == ["case_id", "judge", "value", "rationale"]
    assert len(table["data"]) == 12
    assert table["data"][0] == ["alpha", "polite", True, "alpha was greeted", "", ""]
    receipt = json.loads((folder / "receipt.json").read_text())
    assert set(receipt["logs"]) == set(CASES)
    assert {each["verdict"] for each in receipt["logs"].values()} == {"reconciled"}


@pytest.mark.parametrize(
    ("bound", "missed", "found"),
    [
        ({"polite": {"min_pass_rate": 0.5}}, [], "no"),
        ({"polite": {"min_pass_rate": 0.9}}, ["polite min_pass_rate 0.9, is 0.666667"], "yes"),
        ({"quality": {"min_mean": 4.5}}, ["quality min_mean 4.5, is 4"], "yes"),
        ({"tone": {"min_win_rate": 0.5}}, [], "unknown"),
        ({"broken": {"max_error_rate": 0.5}}, ["broken max_error_rate 0.5, is 1"], "yes"),
    ],
    ids=str,
)
def test_regressions_are_found_by_every_kind_of_threshold(
    evalkit, project, mlflow, bound, missed, found
):
    project.configure(thresholds=bound)
    report = evalkit("log-results", *RUN).report
    tags = mlflow.run().data.tags
    assert tags["regressions_detected"] == found
    assert tags["evalkit.regressions"] == ("; ".join(missed) or "none")
    assert report["regressions"] == missed


def test_a_log_that_is_cut_off_still_gives_a_trace_that_says_so(evalkit, project, mlflow):
    project.log("beta", log_of("beta")[:-200])
    report = evalkit("log-results", *RUN).report
    assert report["receipt"]["verdicts"] == {"reconciled": 2, "incomplete": 1}
    assert mlflow.traces()["beta"].info.tags["evalkit.receipt"] == "incomplete"
