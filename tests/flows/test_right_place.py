"""A case's scores land on the trace of that case and nowhere else, as what they are."""

import json

import pandas as pd
import pytest
from eval_project import CASES, RUN, RUN_ID, log_of, score, scores_of, unasked_log_of


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


ALL = {case: expected(case, number) for number, case in enumerate(CASES)}
REVIEW = "reviewer: ann@team.example\nfeedback: {alpha: '', beta: The reply is too long.}\n"
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


def test_a_score_stands_on_the_trace_of_its_case_as_what_it_is_and_says_who_judged_and_why(
    judged, project, mlflow
):
    judged()
    assert {case: mlflow.values(case) for case in CASES} == ALL
    found = mlflow.feedback("beta")
    kinds = {"polite": "CODE", "quality": "LLM_JUDGE", "tone": "CODE", "broken": "CODE"}
    sources = {n: (each.source.source_type, each.source.source_id) for n, each in found.items()}
    assert sources == {name: (kind, name) for name, kind in kinds.items()}
    assert found["quality"].rationale == "beta read well"
    assert {each.metadata["case_id"] for each in found.values()} == {"beta"}
    judged("--names", "seed")  # leaves none under the old names
    assert set(mlflow.values("beta")) == {f"beta/{judge}" for judge in kinds}

    silent = {"value": None, "rationale": "condition is false"}
    failed = {"value": 3, "error": "timed out", "rationale": "so far so good"}
    typed = {name: score(value) for name, value in TYPED.items()}
    of_alpha = {**typed, "silent": silent, "failed": failed}
    project.summarise({"alpha": of_alpha, "omega": scores_of("omega")})  # which has no log
    assert judged()["unmatched"] == 0
    values = mlflow.values("alpha")
    assert values == {**TYPED, "failed": "timed out"}
    assert {name for name, value in values.items() if type(value) is bool} == {"no"}
    assert set(mlflow.traces()) == {*CASES, "omega"}
    assert (mlflow.values("beta"), set(mlflow.values("omega"))) == ({}, set(scores_of("")))


def test_a_batch_run_has_one_trace_on_which_feedback_names_its_case(judged, project, mlflow):
    project.make_batch()
    project.review.write_text(REVIEW)
    report = judged()
    assert report["traces"] == 1
    said = mlflow.values(RUN_ID)
    people = {case: said.pop(f"{case}/human_review", None) for case in ("alpha", "beta")}
    pushed = "judge" in report
    assert people == ({"alpha": True, "beta": False} if pushed else {"alpha": None, "beta": None})
    assert said == {f"{case}/{judge}": v for case in CASES for judge, v in ALL[case].items()}
    assert mlflow.feedback(RUN_ID)["beta/tone"].metadata["case_id"] == "beta"


def test_comments_are_feedback_of_a_person_and_one_source_is_pushed_without_the_other(
    evalkit, project, mlflow
):
    missing = evalkit("push-feedback", *RUN)
    assert (missing.code, missing.report["traces"], missing.report["unmatched"]) == (0, 0, 12)
    assert f"evalkit log-results --run-id {RUN_ID}" in missing.err
    assert mlflow.experiment_id is None
    project.review.write_text(REVIEW)
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["traces"]) == (12, 2, 3)
    found = {case: mlflow.feedback(case).get("human_review") for case in CASES}
    assert (found["alpha"].value, found["beta"].value, found["gamma"]) == (True, False, None)
    source = found["beta"].source
    assert (source.source_type, source.source_id) == ("HUMAN", "ann@team.example")
    project.summarise({"alpha": {"polite": score(False)}})
    project.review.write_text("feedback: {gamma: not fine}\n")
    for source, counts, of_gamma in (
        ("human", (0, 1), {*scores_of(""), "human_review"}),
        ("judge", (1, 0), {"human_review"}),
    ):
        report = evalkit("push-feedback", *RUN, "--source", source).report
        assert (report["judge"], report["human"]) == counts
        assert set(mlflow.values("gamma")) == of_gamma
        assert "human_review" not in mlflow.values("alpha")


# -- traces that the harness recorded ---------------------------------------------------------


LIVE, BATCH = {"name": "live", "eval_run_id": RUN_ID}, {"name": "batch", "eval_run_id": RUN_ID}
RECORDED = [  # traces, and on which the feedback of a case lands that does not on its own
    ([{"name": "live", "eval_run_id": "beta"}], {"beta": "live"}),
    ([{**LIVE, "case_id": "beta"}], {"beta": "live"}),
    ([{**LIVE, "case_id": "beta", "state": "IN_PROGRESS"}], {}),
    ([LIVE], {}),
    ([{**LIVE, "eval_run_id": "another"}], {}),
    ([{**LIVE, "name": name, "eval_case_id": "alpha"} for name in ("first", "second")], {}),
    ([{"name": "batch", "eval_run_id": "beta"}], dict.fromkeys(CASES, RUN_ID)),
    ([BATCH], dict.fromkeys(CASES, "batch")),
    ([{"name": "single", "eval_run_id": RUN_ID}], {"alpha": "single"}),
]


@pytest.mark.parametrize(("recorded", "places"), RECORDED, ids=str)
def test_a_recorded_trace_is_used_for_the_case_that_it_names_or_the_only_one_and_none_is_guessed(
    evalkit, project, mlflow, recorded, places
):
    ids = {given["name"]: mlflow.record(**given) for given in recorded}
    cases = CASES
    if "batch" in ids:
        project.make_batch()
    elif "single" in ids:
        cases = CASES[:1]
        project.unlog(*CASES[1:])
        project.summarise({case: scores_of(case) for case in cases})
    notes = evalkit("log-results", *RUN).report["notes"]
    assert any("2 traces recorded for alpha" in note for note in notes) == (len(ids) == 2)
    assert evalkit("push-feedback", *RUN).report["created"] == 0
    traces = mlflow.traces()
    assert {
        (trace, value)
        for trace in traces
        for name, value in mlflow.values(trace).items()
        if name.endswith("quality")
    } == {(places.get(case, case), 3 + number) for number, case in enumerate(cases)}
    for name in ids.keys() & {*places.values()}:
        info = traces[name].info
        assert info.trace_id == ids[name]
        assert info.trace_metadata["mlflow.sourceRun"] == mlflow.run().info.run_id
    report = evalkit("log-results", *RUN).report
    assert (report["written"], report["assessments"]) == (False, 4 * len(cases))


# -- the run itself, and what was asked -------------------------------------------------------


def test_the_run_holds_what_the_files_say_its_table_and_its_receipt(
    evalkit, project, mlflow, tmp_path
):
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
    wanted = {
        **dict.fromkeys(("polite/mean", "polite/pass_rate"), pytest.approx(2 / 3)),
        "quality/mean": 4,
        "duration_s": 30,
        "cost_usd": 0.25,
        "num_turns": 9,
        "cost_usd/claude-sonnet-4-6": 0.25,
        "tokens/output/claude-sonnet-4-6": 45,
    }
    assert {name: figures.get(name) for name in wanted} == wanted
    assert "tone/mean" not in figures
    tags = {"team": "blue", "num_judges": "4", "regressions_detected": "no"}
    assert tags.items() <= run.data.tags.items()
    assert (report["params"], report["metrics"]) == (len(run.data.params), len(figures))
    assert (report["traces"], report["spans"], report["table_rows"]) == (3, 27, 12)

    for name in ("summary.yaml", "run_result.json", "receipt.json", "per_case_results.json"):
        mlflow.client.download_artifacts(run.info.run_id, name, str(tmp_path))
    assert (tmp_path / "summary.yaml").read_text() == project.read(project.summary)
    shown = [{"path": "per_case_results.json", "type": "table"}]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == shown
    # as MlflowClient.load_table reads it, which knows one tracking URI only
    table = pd.read_json(tmp_path / "per_case_results.json", orient="split")
    assert [*table.columns[:4]] == ["case_id", "judge", "value", "rationale"]
    assert len(table) == 12
    assert [*table.iloc[0]] == ["alpha", "polite", True, "alpha was greeted", "", ""]
    logs = json.loads((tmp_path / "receipt.json").read_text())["logs"]
    assert {case: each["verdict"] for case, each in logs.items()} == dict.fromkeys(
        CASES, "reconciled"
    )


def test_what_was_asked_is_what_the_log_holds_else_the_runs_copy_else_the_case_of_today(
    evalkit, project, mlflow
):
    def asked():
        """What the root span of alpha was given."""
        assert evalkit("log-results", *RUN).code == 0
        trace = mlflow.client.get_trace(mlflow.traces()["alpha"].info.trace_id)
        (root,) = (span for span in trace.data.spans if span.parent_id is None)
        return root.inputs

    copy = f"{project.run_dir}/cases/alpha/input.yaml"
    project.log("alpha", unasked_log_of("alpha"))
    assert asked() == {"prompt": "please handle alpha"}
    for unread, said in (("a: [", asked()), (b"\xff\xfe", asked()), ("", None)):
        project.write(copy, unread)
        assert asked() == said
    project.write(copy, {"prompt": "as it was then"})
    assert asked() == {"prompt": "as it was then"}
    project.remove(copy)
    project.add_case("alpha", "sk-ant-api03-" + "a" * 90 + " " + "long " * 40_000)
    (prompt,) = asked().values()
    assert ("aaaa" in prompt, "characters left out" in prompt) == (False, True)
    project.remove("cases")
    assert asked() is None
    project.log("alpha", log_of("alpha"))
    assert "please handle alpha" in str(asked())
