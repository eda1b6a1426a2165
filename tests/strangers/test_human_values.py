"""What people say in review.yaml, as values beside the judges'; and who a judge is."""

from collections import defaultdict

import pytest
from eval_project import CASES, RUN, score


@pytest.fixture
def said(mlflow):
    """By name, who says what of the trace of a case: source type, source, value, rationale."""

    def read(case):
        found = defaultdict(set)
        for each in mlflow.traces()[case].info.assessments:
            source = (each.source.source_type, each.source.source_id)
            found[each.name].add((*source, each.value, each.rationale or ""))
        return dict(found)

    return read


def test_verdicts_stand_beside_the_judges_values_until_they_are_taken_back(evalkit, project, said):
    """Those of cases without a trace are named."""
    project.review.write_text(
        "reviewer: human\nreviewer_id: kim\nfeedback: {alpha: too dry}\n"
        "verdicts: {alpha: {polite: false, quality: 2, tone: null}, gamma: {tone: warm}}\n"
    )
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["unmatched"]) == (12, 4, 0)
    by_judge = ("CODE", "polite", True, "alpha was greeted")
    assert said("alpha")["polite"] == {by_judge, ("HUMAN", "kim", False, "")}
    assert ("HUMAN", "kim", 2, "") in said("alpha")["quality"]
    assert ("HUMAN", "kim", "warm", "") in said("gamma")["tone"]
    assert said("alpha")["human_review"] == {("HUMAN", "kim", False, "too dry")}
    assert evalkit("push-feedback", *RUN).report["created"] == 0
    assert evalkit("pull-feedback", *RUN).report["annotations"] == 0
    project.review.write_text(
        "reviewer_id: kim\nfeedback: {alpha: too dry}\n"
        "verdicts: {gamma: {tone: cold}, omega: {polite: true, tone: cold}}\n"
    )
    report = evalkit("push-feedback", *RUN).report
    assert (report["updated"], report["deleted"]) == (1, 2)
    assert report["unmatched_names"] == ["omega/polite", "omega/tone"]
    assert said("alpha")["polite"] == {by_judge}
    assert ("HUMAN", "kim", "cold", "") in said("gamma")["tone"]
    for text, field in (
        ("verdicts: [alpha]\n", "verdicts"),
        ("verdicts: {alpha: yes}\n", "verdicts.alpha"),
        ("feedback: fine\nverdicts: {}\n", "feedback"),
    ):
        project.review.write_text(text)
        refused = evalkit("push-feedback", *RUN)
        assert (refused.code, refused.report["problems"][0]["field"]) == (2, field)


JUDGES = {  # what the config and the summary say of a judge; its source, where none is usual
    "own": ({"model": "m-own"}, {}, ("LLM_JUDGE", "m-own")),
    "panel": ({"model": ["m-a", "m-b"]}, {}, ("LLM_JUDGE", "m-a, m-b")),
    "used": ({}, {"usage": {"model": "m-used"}}, ("LLM_JUDGE", "m-used")),
    "numeric": ({}, {"judge_type": "numeric"}, ("LLM_JUDGE", "numeric")),
    "plain": ({}, {}, ("LLM_JUDGE", "plain")),
    "check": ({}, {"judge_type": "check"}, ("CODE", "check")),
    "unknown": (None, {"judge_type": "llm"}, ("LLM_JUDGE", "unknown")),
    "unknown code": (None, {"judge_type": "code"}, ("CODE", "unknown code")),
}


@pytest.mark.parametrize("usual", ["", "m-usual"])
def test_a_judge_that_is_a_model_is_named_by_its_model(evalkit, project, said, usual):
    listed = [{"name": n, "prompt": "?", **c} for n, (c, *_) in JUDGES.items() if c is not None]
    project.configure(judges=listed, **({"models": {"judge": usual}} if usual else {}))
    scores = {name: score(3, "fine", **given) for name, (_, given, _) in JUDGES.items()}
    project.summarise(dict.fromkeys(CASES, scores))
    evalkit("log-results", *RUN)
    wanted = {
        name: {(kind, usual if usual and (kind, by) == ("LLM_JUDGE", name) else by, 3, "fine")}
        for name, (_, _, (kind, by)) in JUDGES.items()
    }
    assert said("alpha") == wanted
