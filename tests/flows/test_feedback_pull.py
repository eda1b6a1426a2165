"""What people said in MLflow comes back into review.yaml, and nothing else does."""

import pytest
import yaml
from eval_project import RUN, RUN_ID
from in_mlflow import InMlflow


@pytest.fixture
def mlflow(database_uri, evalkit):
    """MLflow with the run logged."""
    evalkit("log-results", *RUN)
    return InMlflow(database_uri)


@pytest.fixture
def pull(evalkit, project):
    """Pulls, and gives what stands under mlflow_feedback afterwards."""

    def run(code=0):
        done = evalkit("pull-feedback", *RUN)
        assert done.code == code, done.err
        found = yaml.safe_load(project.review.read_text()) if project.review.exists() else {}
        return (found or {}).get("mlflow_feedback", [])

    return run


def test_an_annotation_comes_back_with_case_trace_name_value_why_who_and_when(
    pull, evalkit, mlflow
):
    said = mlflow.say("beta", "would_send", False, who="ann@team.example", rationale="too long")
    (found,) = pull()
    assert found == {
        "case_id": "beta",
        "trace_id": mlflow.traces()["beta"].info.trace_id,
        "name": "would_send",
        "value": False,
        "rationale": "too long",
        "source": "ann@team.example",
        "time": found["time"],
    }
    assert found["time"].endswith("Z")
    assert said.create_time_ms
    report = evalkit("pull-feedback", *RUN).report
    assert report["annotations"] == 1
    assert report["traces"] == 3
    assert report["file"].endswith("review.yaml")


VALUES = [True, False, 4, 0.5, "", "yes", "12", "a: b # c", [1, "a"], {"a": None}]


def test_what_people_said_comes_back_as_it_is_and_nothing_else_does(pull, evalkit, project, mlflow):
    from mlflow.entities import AssessmentSource, Feedback

    project.review.write_text("reviewer: ann\nfeedback: {alpha: fine, beta: ''}\n")
    evalkit("push-feedback", *RUN)
    for kind in ("CODE", "LLM_JUDGE"):
        source = AssessmentSource(kind, "another tool")
        mlflow._log("alpha", Feedback(name=kind, value=1.0, source=source))
    assert pull() == []
    assert mlflow.values("alpha")["human_review"] is False
    first = mlflow.say("beta", "fine", False, who="ann")
    mlflow.say("beta", "fine", True, who="ann", overrides=first.assessment_id)  # instead of it
    mlflow.say("beta", "fine", False, who="bob")
    mlflow.expect("alpha", "expected_response", {"refund": 20})
    for number, value in enumerate(VALUES):
        mlflow.say("gamma", f"value {number}", value)
    pulled = pull()
    found = {(each["case_id"], each["name"], each["source"]): each["value"] for each in pulled}
    assert len(pulled) == len(found) == 3 + len(VALUES)
    assert (found["beta", "fine", "ann"], found["beta", "fine", "bob"]) == (True, False)
    assert found["alpha", "expected_response", "default"] == {"refund": 20}
    values = [found["gamma", f"value {number}", "default"] for number in range(len(VALUES))]
    assert [(type(each), each) for each in values] == [(type(each), each) for each in VALUES]
    report = evalkit("push-feedback", *RUN).report  # and not as one's own
    assert (report["human"], report["created"]) == (2, 0)


def test_a_persons_correction_of_a_judge_comes_back_and_the_judge_stays_overridden(
    pull, evalkit, mlflow
):
    judge = mlflow.feedback("alpha")["quality"]
    by_person = mlflow.say("alpha", "quality", 1, who="ann", overrides=judge.assessment_id)
    assert [(each["name"], each["value"]) for each in pull()] == [("quality", 1)]
    for stage in ("log-results", "push-feedback"):
        report = evalkit(stage, *RUN).report
        assert not report.get("written")
        assert not report.get("updated")
    valid = {
        each.assessment_id: each.valid is not False
        for each in mlflow.traces()["alpha"].info.assessments
        if each.name == "quality"
    }
    assert valid == {judge.assessment_id: False, by_person.assessment_id: True}


def test_on_a_batch_trace_the_case_is_found_in_the_name(evalkit, project, database_uri, pull):
    project.make_batch()
    evalkit("log-results", *RUN)
    mlflow = InMlflow(database_uri)
    mlflow.say(RUN_ID, "beta/fine", True)
    mlflow.say(RUN_ID, "overall", "good")
    mlflow.say(RUN_ID, "omega/fine", True)
    assert [(each["case_id"], each["name"]) for each in pull()] == [
        ("", "omega/fine"),
        ("", "overall"),
        ("beta", "fine"),
    ]


# -- the file ---------------------------------------------------------------------------------

WRITTEN = """\
# what we thought of the run
run_id: "2026-07-09-v1"   # the first one
reviewer: ann

feedback:
  # the two that matter
  alpha: ''
  beta: "the reply is\\ttoo long"   # really
mlflow_feedback: []  # replaced on every pull
# see also the wiki
notes: |
  kept   as
   they are
"""


@pytest.mark.parametrize(
    "written",
    [WRITTEN, "feedback:\r\n  alpha: fine\r\nx: 1\r\n", "\ufeffx: 1"],
    ids=["rich", "of Windows", "with a byte order mark, without a line end"],
)
def test_pulling_twice_leaves_the_file_byte_identical(pull, project, mlflow, written):
    project.review.write_bytes(written.encode())
    mlflow.say("alpha", "fine", True, rationale="line one\nline two: ä😀\n")
    mlflow.say("beta", "fine", "no", who="ann")
    first = pull()
    once = project.review.read_bytes()
    modified = project.review.stat().st_mtime_ns
    assert pull() == first
    assert len(first) == 2
    assert project.review.read_bytes() == once
    assert project.review.stat().st_mtime_ns == modified
    assert once.decode().startswith(written.rstrip("\r\n")[:20])
    if written == WRITTEN:
        before, behind = WRITTEN.split("mlflow_feedback: []  # replaced on every pull\n")
        assert once.decode().startswith(before + "mlflow_feedback:\n")
        assert once.decode().endswith(behind)


KIM = """\
mlflow_feedback:  # as pulled in May
- {case_id: %s, trace_id: tr-0123, name: fine, value: true, rationale: '', source: kim, time: t}
# the end
"""


@pytest.mark.parametrize(
    "written",
    [KIM % "alpha", "mlflow_feedback:\n  alpha: {fine: true}\n", "mlflow_feedback: by hand\n"],
    ids=["a list", "the older form", "no form of ours"],
)
def test_where_mlflow_does_not_know_the_run_the_file_stays_as_it_was(evalkit, project, written):
    project.review.write_text(written)
    for _ in range(2):
        done = evalkit("pull-feedback", *RUN)
        assert (done.code, done.report["annotations"]) == (0, 0)
        assert "no traces of this run: mlflow_feedback is left as it was" in done.err
    assert project.review.read_text() == written


@pytest.mark.parametrize("emptied", ["another database", "another experiment"])
def test_what_was_pulled_survives_a_pull_from_elsewhere(
    pull, evalkit, project, mlflow, sqlite_uri, emptied
):
    mlflow.say("alpha", "fine", True, who="kim")
    assert len(pull()) == 1
    pulled = project.review.read_bytes()
    if emptied == "another experiment":
        project.configure(mlflow={"experiment": "elsewhere"})
    elsewhere = {"uri": sqlite_uri} if emptied == "another database" else {}
    assert evalkit("pull-feedback", *RUN, **elsewhere).code == 0
    assert project.review.read_bytes() == pulled


def test_what_was_said_of_a_trace_that_is_gone_stays_beside_what_is_new(pull, evalkit, mlflow):
    mlflow.say("alpha", "fine", True, who="kim")
    mlflow.say("beta", "fine", False, who="kim")
    assert len(pull()) == 2
    gone = mlflow.traces()["alpha"].info.trace_id
    mlflow.client.delete_traces(mlflow.experiment_id, trace_ids=[gone])
    mlflow.say("gamma", "fine", True, who="kim")
    done = evalkit("pull-feedback", *RUN)
    assert "left as they were where MLflow has no trace: alpha" in done.err
    found = pull()
    assert sorted(each["case_id"] for each in found) == ["alpha", "beta", "gamma"]
    assert pull() == found


def test_what_goes_from_the_file_is_named(pull, evalkit, mlflow):
    said = mlflow.say("alpha", "fine", True, who="kim")
    mlflow.say("beta", "fine", True, who="kim")
    assert len(pull()) == 2
    mlflow.tracing.delete_assessment(said.trace_id, said.assessment_id)
    done = evalkit("pull-feedback", *RUN)
    assert "no longer said in MLflow, and so removed from the file: alpha/fine by kim" in done.err


@pytest.mark.parametrize(
    "written",
    ["{feedback: {alpha: fine}}\n", "mlflow_feedback: &x []\nb: *x\n"],
    ids=["flow style", "an alias to what is replaced"],
)
def test_a_file_that_cannot_be_edited_is_left_alone(evalkit, project, mlflow, written):
    project.review.write_text(written)
    mlflow.say("beta", "fine", True)
    done = evalkit("pull-feedback", *RUN)
    assert done.code == 2
    assert "review.yaml" in done.report["problems"][0]["file"]
    assert project.review.read_text() == written
