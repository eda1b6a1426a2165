"""A case's scores land on the trace of that case and nowhere else, as what they are."""

import json

import pytest
from eval_project import CASES, RUN, RUN_ID, score, scores_of


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


def test_a_score_stands_on_the_trace_of_its_case_and_says_who_judged_and_why(judged, mlflow):
    judged()
    assert {case: mlflow.values(case) for case in CASES} == {
        case: expected(case, number) for number, case in enumerate(CASES)
    }
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


REVIEW = """\
reviewer: ann@team.example
feedback:
  alpha: ""
  beta: The reply is too long.
"""

TYPED = {
    "no": False,
    "whole": 4,
    "half": 0.5,
    "digits": "12",
    "empty": "",
    "list": [1, "a", True, None],
    "dict": {"a": {"b": [1.5, False]}},
    "long": "wörter 😀 " * 500,
}


def test_values_go_through_mlflow_as_what_they_are(judged, evalkit, project, mlflow):
    silent = {"value": None, "rationale": "condition is false"}
    failed = {"value": 3, "error": "timed out", "rationale": "so far so good"}
    typed = {name: score(value) for name, value in TYPED.items()}
    project.summarise({"alpha": {**typed, "silent": silent, "failed": failed}})
    judged()
    found = mlflow.values("alpha")
    assert found == {**TYPED, "failed": "timed out"}
    assert {name for name, value in found.items() if type(value) is bool} == {"no"}
    assert evalkit("push-feedback", *RUN).report["updated"] == 0


def test_scores_of_a_case_that_only_the_summary_knows_have_a_trace(judged, project, mlflow):
    project.summarise({"alpha": scores_of("alpha"), "omega": scores_of("omega")})
    assert judged()["unmatched"] == 0
    assert set(mlflow.traces()) == {*CASES, "omega"}
    assert mlflow.values("beta") == {}


def test_a_batch_run_has_one_trace_on_which_feedback_names_its_case(judged, project, mlflow):
    project.make_batch()
    project.review.write_text(REVIEW)
    report = judged()
    assert report["traces"] == 1
    said = mlflow.values(RUN_ID)
    people = {case: said.pop(f"{case}/human_review", None) for case in ("alpha", "beta")}
    assert people in ({"alpha": True, "beta": False}, {"alpha": None, "beta": None})
    assert ("judge" in report) == (people["alpha"] is True)  # the report of the push
    assert said == {
        f"{case}/{judge}": value
        for number, case in enumerate(CASES)
        for judge, value in expected(case, number).items()
    }
    assert mlflow.feedback(RUN_ID)["beta/tone"].metadata["case_id"] == "beta"


def test_changing_the_names_leaves_no_feedback_under_the_old_ones(judged, mlflow):
    judged()
    judged("--names", "seed")
    assert set(mlflow.values("beta")) == {f"beta/{judge}" for judge in scores_of("beta")}


# -- what people said -------------------------------------------------------------------------


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
@pytest.mark.parametrize(
    ("recorded", "places"),
    [
        ({"name": "live", "eval_run_id": RUN_ID, "case_id": "beta"}, {"beta": "live"}),
        ({"name": "live", "eval_run_id": RUN_ID}, {}),
        ({"name": "live", "eval_run_id": "another"}, {}),
        ({"name": "batch", "eval_run_id": "beta"}, dict.fromkeys(CASES, RUN_ID)),
        ({"name": "batch", "eval_run_id": RUN_ID}, dict.fromkeys(CASES, "batch")),
        ({"name": "single", "eval_run_id": RUN_ID}, {"alpha": "single"}),
    ],
    ids=str,
)
def test_a_recorded_trace_is_of_the_case_that_it_names_or_of_the_only_one(
    evalkit, project, mlflow, recorded, places
):
    mlflow.record(**recorded)
    cases = CASES
    if recorded["name"] == "batch":
        project.make_batch()
    elif recorded["name"] == "single":
        cases = CASES[:1]
        project.unlog(*CASES[1:])
        project.summarise({case: scores_of(case) for case in cases})
    evalkit("log-results", *RUN)
    assert {
        (trace, value)
        for trace in mlflow.traces()
        for name, value in mlflow.values(trace).items()
        if name.endswith("quality")
    } == {(places.get(case, case), 3 + number) for number, case in enumerate(cases)}


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("stage", ["log-results", "push-feedback"])
def test_where_several_recorded_traces_fit_none_is_guessed(evalkit, mlflow, stage):
    for name in ("first", "second"):
        mlflow.record(name, eval_run_id="alpha")
    report = evalkit(stage, *RUN).report
    assert mlflow.values("first") == mlflow.values("second") == {}
    assert any("2 traces recorded for alpha" in note for note in report["notes"])
    assert ("alpha" in mlflow.traces()) == (stage == "log-results")


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
