"""What people say in review.yaml, as values beside the judges'."""

from collections import defaultdict

import pytest
from eval_project import CASES, RUN_ID, score
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


@pytest.fixture
def said(mlflow):
    """By name, who says what of the trace of a case: source type, source, value, rationale."""

    def read(case):
        found = defaultdict(set)
        for each in mlflow.traces()[case].info.assessments:
            source = each.source
            found[each.name].add(
                (source.source_type, source.source_id, each.value, each.rationale or "")
            )
        return dict(found)

    return read


def test_verdicts_stand_beside_the_judges_values(evalkit, project, said):
    project.review.write_text(
        "reviewer: human\nreviewer_id: kim\nfeedback: {alpha: too dry}\n"
        "verdicts: {alpha: {polite: false, quality: 2, tone: null}, gamma: {tone: warm}}\n"
    )
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["unmatched"]) == (12, 4, 0)
    assert said("alpha")["polite"] == {
        ("CODE", "polite", True, "alpha was greeted"),
        ("HUMAN", "kim", False, ""),
    }
    assert ("HUMAN", "kim", 2, "") in said("alpha")["quality"]
    assert ("HUMAN", "kim", "warm", "") in said("gamma")["tone"]
    assert said("alpha")["human_review"] == {("HUMAN", "kim", False, "too dry")}
    assert evalkit("push-feedback", *RUN).report["created"] == 0
    assert evalkit("pull-feedback", *RUN).report["annotations"] == 0


def test_a_verdict_that_is_taken_back_goes_and_others_stay(evalkit, project, said):
    project.review.write_text("verdicts: {alpha: {polite: false}, beta: {polite: true}}\n")
    evalkit("log-results", *RUN)
    evalkit("push-feedback", *RUN)
    project.review.write_text("verdicts: {beta: {polite: false}}\n")
    report = evalkit("push-feedback", *RUN).report
    assert (report["updated"], report["deleted"]) == (1, 1)
    assert {each[0] for each in said("alpha")["polite"]} == {"CODE"}
    assert ("HUMAN", "reviewer", False, "") in said("beta")["polite"]


def test_verdicts_without_a_trace_are_named(evalkit, project):
    project.review.write_text("verdicts: {omega: {polite: true, tone: cold}}\n")
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert report["unmatched_names"] == ["omega/polite", "omega/tone"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("verdicts: [alpha]\n", "verdicts"),
        ("verdicts: {alpha: yes}\n", "verdicts.alpha"),
        ("feedback: fine\nverdicts: {}\n", "feedback"),
    ],
)
def test_verdicts_of_another_form_are_refused(evalkit, project, text, field):
    evalkit("log-results", *RUN)
    project.review.write_text(text)
    refused = evalkit("push-feedback", *RUN)
    assert (refused.code, refused.report["problems"][0]["field"]) == (2, field)


def test_reviews_of_the_earlier_form_are_replaced(evalkit, project, mlflow, said):
    project.review.write_text("reviewer: ann\nfeedback: {alpha: '', beta: too long}\n")
    evalkit("log-results", *RUN)
    evalkit("push-feedback", *RUN)
    before = mlflow.feedback("beta")["human_review"]
    for case, old in (
        ("alpha", "accepted"),
        ("beta", "too long"),
    ):  # as an earlier evalkit wrote it
        now = mlflow.feedback(case)["human_review"]
        now.value = old
        mlflow.tracing.store.update_assessment(
            now.trace_id, now.assessment_id, feedback=now.feedback
        )
    report = evalkit("push-feedback", *RUN).report
    assert (report["created"], report["updated"]) == (0, 2)
    assert said("alpha")["human_review"] == {("HUMAN", "ann", True, "")}
    assert said("beta")["human_review"] == {("HUMAN", "ann", False, "too long")}
    assert mlflow.feedback("beta")["human_review"].assessment_id == before.assessment_id


LLM = {"name": "quality", "prompt": "how good is it?"}


@pytest.mark.parametrize(
    ("config", "given", "source"),
    [
        ({"judges": [{**LLM, "model": "m-own"}]}, {}, ("LLM_JUDGE", "m-own")),
        ({"judges": [{**LLM, "model": ["m-a", "m-b"]}]}, {}, ("LLM_JUDGE", "m-a, m-b")),
        ({"judges": [LLM], "models": {"judge": "m-usual"}}, {}, ("LLM_JUDGE", "m-usual")),
        ({"judges": [LLM]}, {"usage": {"model": "m-used"}}, ("LLM_JUDGE", "m-used")),
        ({"judges": [LLM]}, {"judge_type": "numeric"}, ("LLM_JUDGE", "quality")),
        ({"judges": [LLM]}, {"judge_type": "check"}, ("CODE", "quality")),
        ({"judges": [], "models": {"judge": "m"}}, {"judge_type": "llm"}, ("LLM_JUDGE", "m")),
        ({"judges": [], "models": {"judge": "m"}}, {"judge_type": "code"}, ("CODE", "quality")),
    ],
    ids=str,
)
def test_a_judge_that_is_a_model_is_named_by_its_model(
    evalkit, project, said, config, given, source
):
    project.configure(**config)
    project.summarise({case: {"quality": score(3, "fine", **given)} for case in CASES})
    evalkit("log-results", *RUN)
    assert said("alpha")["quality"] == {(*source, 3, "fine")}
