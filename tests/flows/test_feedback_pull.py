"""What people said in MLflow comes back into review.yaml, and nothing else does."""

import pytest
import yaml
from eval_project import RUN, RUN_ID
from mlflow.entities import AssessmentSource, Feedback


@pytest.fixture
def logged(mlflow, evalkit):
    """MLflow with the run logged."""
    evalkit("log-results", *RUN)
    return mlflow


@pytest.fixture
def pull(evalkit, project):
    """Pulls, and gives what stands under mlflow_feedback afterwards."""

    def run():
        done = evalkit("pull-feedback", *RUN)
        assert done.code == 0, done.err
        found = yaml.safe_load(project.review.read_text()) if project.review.exists() else {}
        return (found or {}).get("mlflow_feedback", [])

    return run


VALUES = [True, False, 4, 0.5, "", "yes", "12", "a: b # c", [1, "a"], {"a": None}]


def test_what_people_said_comes_back_as_it_is_and_nothing_else_does(pull, evalkit, project, logged):
    """Not what tools said nor one's own comments; corrected judges stay so after the next push."""
    project.review.write_text("reviewer: ann\nfeedback: {alpha: fine, beta: ''}\n")
    evalkit("push-feedback", *RUN)
    for kind in ("CODE", "LLM_JUDGE"):
        source = AssessmentSource(kind, "another tool")
        logged._log("alpha", Feedback(name=kind, value=1.0, source=source))
    assert pull() == []
    first = logged.say("beta", "fine", False, who="ann")
    again = {"rationale": "too long", "overrides": first.assessment_id}
    logged.say("beta", "fine", True, who="ann", **again)  # instead of it
    logged.say("beta", "fine", False, who="bob")
    logged.expect("alpha", "expected_response", {"refund": 20})
    judge = logged.feedback("alpha")["quality"]
    corrected = logged.say("alpha", "quality", 1, who="ann", overrides=judge.assessment_id)
    for number, value in enumerate(VALUES):
        logged.say("gamma", f"value {number}", value)
    pulled = pull()
    found = {(each["case_id"], each["name"], each["source"]): each for each in pulled}
    assert len(pulled) == len(found) == 4 + len(VALUES)
    (anns, bobs) = (found["beta", "fine", who] for who in ("ann", "bob"))
    assert anns == {
        "case_id": "beta",
        "trace_id": logged.traces()["beta"].info.trace_id,
        "name": "fine",
        "value": True,
        "rationale": "too long",
        "source": "ann",
        "time": anns["time"],
    }
    assert (anns["time"][-1], bobs["value"]) == ("Z", False)
    assert found["alpha", "expected_response", "default"]["value"] == {"refund": 20}
    assert found["alpha", "quality", "ann"]["value"] == 1
    values = [found["gamma", f"value {n}", "default"]["value"] for n in range(len(VALUES))]
    assert [(type(each), each) for each in values] == [(type(each), each) for each in VALUES]
    assert evalkit("pull-feedback", *RUN).report["annotations"] == len(pulled)
    assert not evalkit("log-results", *RUN).report["written"]
    report = evalkit("push-feedback", *RUN).report  # what people said is not pushed as one's own
    assert (report["human"], report["created"], report["updated"]) == (2, 0, 0)
    held = [each for each in logged.traces()["alpha"].info.assessments if each.name == "quality"]
    valid = {each.assessment_id: each.valid is not False for each in held}
    assert valid == {judge.assessment_id: False, corrected.assessment_id: True}


def test_on_a_batch_trace_the_case_is_found_in_the_name(evalkit, project, mlflow, pull):
    project.make_batch()
    evalkit("log-results", *RUN)
    for name in ("beta/fine", "overall", "omega/fine"):
        mlflow.say(RUN_ID, name, True)
    found = [("", "omega/fine"), ("", "overall"), ("beta", "fine")]
    assert [(each["case_id"], each["name"]) for each in pull()] == found


RICH = """\
# what we thought of the run
reviewer: ann   # the first one

feedback:
  beta: "the reply is\\ttoo long"   # really
mlflow_feedback: []  # replaced on every pull
# see also the wiki
notes: |
  kept   as
   they are
"""


@pytest.mark.parametrize(
    "written",
    [RICH, "feedback:\r\n  alpha: fine\r\nx: 1\r\n", "\ufeffx: 1"],
    ids=["rich", "of Windows", "with a byte order mark, without a line end"],
)
def test_pulling_twice_leaves_the_file_byte_identical(pull, project, logged, written):
    project.review.write_bytes(written.encode())
    logged.say("alpha", "fine", True, rationale="line one\nline two: ä😀\n")
    logged.say("beta", "fine", "no", who="ann")
    first = pull()
    once, modified = project.review.read_bytes(), project.review.stat().st_mtime_ns
    assert (len(first), pull()) == (2, first)
    assert (project.review.read_bytes(), project.review.stat().st_mtime_ns) == (once, modified)
    before, _, behind = written.partition(" []  # replaced on every pull\n")
    assert once.decode().startswith(before.rstrip("\r\n"))
    assert once.decode().endswith(behind)


KIM = """\
mlflow_feedback:  # as pulled in May
- {case_id: alpha, trace_id: tr-0, name: fine, value: true, rationale: '', source: kim, time: t}
# the end
"""


def test_a_file_that_cannot_be_edited_or_has_no_counterpart_in_mlflow_is_left_alone(
    evalkit, project, mlflow
):
    for written in (KIM, "mlflow_feedback:\n  alpha: {fine: true}\n", "mlflow_feedback: by hand\n"):
        project.review.write_text(written)
        for _ in range(2):
            done = evalkit("pull-feedback", *RUN)
            assert (done.code, done.report["annotations"]) == (0, 0)
            assert "no traces of this run: mlflow_feedback is left as it was" in done.err
        assert project.review.read_text() == written
    evalkit("log-results", *RUN)
    mlflow.say("beta", "fine", True)
    for written in ("{feedback: {alpha: fine}}\n", "mlflow_feedback: &x []\nb: *x\n"):
        project.review.write_text(written)
        done = evalkit("pull-feedback", *RUN)
        assert (done.code, project.review.read_text()) == (2, written)
        assert "review.yaml" in done.report["problems"][0]["file"]


def test_what_is_gone_from_mlflow_stays_with_its_trace_gone_and_goes_with_a_word_otherwise(
    pull, evalkit, logged
):
    of_alpha, of_beta = (logged.say(case, "fine", True, who="kim") for case in ("alpha", "beta"))
    assert len(pull()) == 2
    logged.client.delete_traces(logged.experiment_id, trace_ids=[of_alpha.trace_id])
    logged.tracing.delete_assessment(of_beta.trace_id, of_beta.assessment_id)
    logged.say("gamma", "fine", True, who="kim")
    said = evalkit("pull-feedback", *RUN).err
    assert "left as they were where MLflow has no trace: alpha" in said
    assert "no longer said in MLflow, and so removed from the file: beta/fine by kim" in said
    found = pull()
    assert sorted(each["case_id"] for each in found) == ["alpha", "gamma"]
    assert pull() == found
