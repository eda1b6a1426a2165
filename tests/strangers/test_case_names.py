"""Cases may be called whatever a folder can be: each keeps its trace and its scores."""

import pytest
import yaml
from eval_project import RUN_ID, EvalProject, log_of, scores_of
from in_mlflow import InMlflow
from mlflow import MlflowClient

RUN = ("--run-id", RUN_ID)
NAMES = (
    "[slow] refund",
    "{draft} reply",
    '"quoted" order',
    '"all quoted"',
    "[",
    "{}",
    "[1, 2]",
    '{"a": 1}',
    "123",
    "null",
    "' [x]",
    "a: b # c",
)


@pytest.fixture
def named(project: EvalProject):
    """A project whose cases have such names; the file says what was commented on each."""
    project.unlog("alpha", "beta", "gamma")
    project.remove("cases")
    for name in NAMES:
        project.add_case(name, f"do {name}", "fine")
        project.log(name, log_of("x"))
    project.summarise({name: {"polite": scores_of(name)["polite"]} for name in NAMES})
    project.write(str(project.review), {"feedback": {name: f"on {name}" for name in NAMES}})
    return project


@pytest.mark.usefixtures("named")
def test_each_name_keeps_its_trace_and_scores_however_often_it_is_logged_and_pushed(
    evalkit, server, database_uri
):
    for uri in (database_uri, server.uri):
        for stage in ("log-results", "push-feedback", "log-results", "push-feedback"):
            done = evalkit(stage, *RUN, uri=uri)
            assert done.code == 0, done.err
        assert (done.report["traces"], done.report["unmatched"]) == (len(NAMES), 0)
        assert (done.report["created"], done.report["updated"], done.report["deleted"]) == (0, 0, 0)
        assert evalkit("log-results", *RUN, uri=uri).report["written"] is False
        found = InMlflow(uri)
        traces = found.traces()
        assert {name: trace.info.tags["evalkit.case"] for name, trace in traces.items()} == {
            name: name for name in NAMES
        }
        assert all(found.values(name)["polite"] is True for name in NAMES)
        assert all(found.feedback(name)["human_review"].rationale == f"on {name}" for name in NAMES)


def test_what_people_say_of_each_name_comes_back_to_it(named, evalkit, database_uri):
    for stage in (["log-results", *RUN], ["sync-dataset"], ["push-feedback", *RUN]):
        assert evalkit(*stage).code == 0
    found = InMlflow(database_uri)
    assert sorted(row["case"] for row in found.rows()) == sorted(NAMES)
    for name in NAMES:
        found.say(name, "nice", value=True, who="ada")
    assert evalkit("pull-feedback", *RUN).code == 0
    pulled = yaml.safe_load(named.review.read_text("utf-8"))["mlflow_feedback"]
    assert sorted(each["case_id"] for each in pulled) == sorted(NAMES)


@pytest.mark.usefixtures("named")
def test_what_an_older_release_marked_with_quotes_is_written_anew_and_never_deleted(
    evalkit, database_uri
):
    evalkit("log-results", *RUN)
    found = InMlflow(database_uri)
    first = found.traces()["[slow] refund"].info.trace_id
    client = MlflowClient(database_uri)
    client.set_trace_tag(first, "evalkit.case", '"[slow] refund"')
    for _ in range(2):
        assert evalkit("log-results", *RUN).code == 0
        assert found.traces()["[slow] refund"].info.trace_id == first
        assert found.values("[slow] refund")["polite"] is True
        assert len(found.traces()) == len(NAMES)
    assert evalkit("push-feedback", *RUN).report["unmatched"] == 0
