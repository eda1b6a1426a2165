"""Feedback pushed later: created, changed, withdrawn, and people's left alone."""

import pytest
from mlflow.entities import AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from workload import START_MS, judged, trace

from evalkit.entities import Changes
from evalkit.errors import StoreError
from evalkit.feedback.assessments import changes
from evalkit.store import connect


@pytest.fixture(params=["sqlite_uri", "server", "workspace"])
def store(request):
    """The store behind each of the three ways into MLflow."""
    found = request.getfixturevalue(request.param)
    uris = {"sqlite_uri": found, "server": getattr(found, "uri", ""), "workspace": "databricks"}
    return connect(uris[request.param])


@pytest.fixture
def key(request):
    return request.node.name


@pytest.fixture
def experiment_id(store, key):
    return store.experiment(f"/tests/{key}", create=True)


@pytest.fixture
def one(store, experiment_id, key):
    """A trace that stands in MLflow, without any assessment."""
    made = trace(key)
    assert [w.error for w in store.write_traces(experiment_id, "run", [(made, [])])] == [""]
    return made


def standing(store, experiment_id, key):
    (found,) = store.find_traces(experiment_id, key)
    return {each.assessment_id: each for each in found.assessments}


def bring_about(store, experiment_id, key, wanted):
    there = standing(store, experiment_id, key).values()
    store.write_assessments(changes(wanted, there, sources=("CODE", "HUMAN", "LLM_JUDGE")))
    return standing(store, experiment_id, key)


def test_feedback_is_created_changed_and_withdrawn(store, experiment_id, key, one):
    tone, score = judged(key, one, "tone", True), judged(key, one, "score", 0.5)
    found = bring_about(store, experiment_id, key, [tone, score])
    assert found == {tone.assessment_id: tone, score.assessment_id: score}

    broken = judged(key, one, "tone", None, error="timed out", rationale="")
    found = bring_about(store, experiment_id, key, [broken])
    assert found == {broken.assessment_id: broken}
    assert bring_about(store, experiment_id, key, []) == {}


def test_the_same_again_finds_nothing_to_do(store, experiment_id, key, one):
    wanted = [judged(key, one, "whole", 3), judged(key, one, "flag", False)]
    bring_about(store, experiment_id, key, wanted)
    there = standing(store, experiment_id, key).values()
    assert not changes(wanted, there, sources=("CODE",))


def test_a_reviewer_who_is_renamed_is_renamed_in_mlflow(store, experiment_id, key, one):
    comment = judged(key, one, "human_review", "ok", source_type="HUMAN", source_id="an")
    bring_about(store, experiment_id, key, [comment])
    renamed = judged(key, one, "human_review", "ok", source_type="HUMAN", source_id="ann")
    assert bring_about(store, experiment_id, key, [renamed])[renamed.assessment_id] == renamed


def test_what_people_say_is_neither_changed_nor_deleted(store, experiment_id, key, one):
    store.annotate(one.trace_id, "tone", False, "too curt", "ann")
    mine = judged(key, one, "tone", True)
    bring_about(store, experiment_id, key, [mine])
    found = bring_about(store, experiment_id, key, [])
    (left,) = found.values()
    assert (left.name, left.value, left.rationale) == ("tone", False, "too curt")
    assert (left.source_type, left.source_id, left.is_ours) == ("HUMAN", "ann", False)


def test_what_a_person_has_overridden_stays_overridden(store, experiment_id, key, one):
    mine = judged(key, one, "tone", True)
    bring_about(store, experiment_id, key, [mine])
    (there,) = TracingClient(store.uri).get_trace_info(one.trace_id).assessments
    correction = Feedback(
        name="tone",
        value=False,
        source=AssessmentSource("HUMAN", "ann"),
        overrides=there.assessment_id,
    )
    correction.trace_id = one.trace_id
    TracingClient(store.uri).log_assessment(one.trace_id, correction)
    changed = judged(key, one, "tone", True, rationale="on second thoughts")
    found = bring_about(store, experiment_id, key, [changed, judged(key, one, "new", 1.0)])
    assert found[mine.assessment_id].rationale == "on second thoughts"
    assert found[mine.assessment_id].valid is False
    assert len(found) == 3


def test_writing_feedback_leaves_the_trace_itself_as_it_was(store, experiment_id, key, one):
    before = TracingClient(store.uri).get_trace(one.trace_id).to_dict()
    bring_about(store, experiment_id, key, [judged(key, one)])
    after = TracingClient(store.uri).get_trace(one.trace_id).to_dict()
    assert after["info"].pop("assessments")
    before["info"].pop("assessments", None)
    assert after == before


def test_feedback_on_a_trace_that_is_gone_is_an_error(store, experiment_id, key, one):
    store.delete_traces(experiment_id, [one.trace_id])
    with pytest.raises(StoreError, match="What to do: see in MLflow's UI whether it was deleted"):
        store.write_assessments(Changes(create=(judged(key, one),)))


def test_feedback_on_a_trace_still_being_recorded_does_not_end_it(store, experiment_id, key):
    made = trace(key)
    info = TraceInfo(
        made.trace_id,
        TraceLocation.from_experiment_id(experiment_id),
        START_MS,
        TraceState.IN_PROGRESS,
        tags={"evalkit.run": key},
    )
    TracingClient(store.uri).start_trace(info)
    first, second = judged(key, made, "tone", True), judged(key, made, "tone", False)
    assert bring_about(store, experiment_id, key, [first])[first.assessment_id] == first
    assert bring_about(store, experiment_id, key, [second])[first.assessment_id].value is False
    info = TracingClient(store.uri).get_trace_info(made.trace_id)
    assert info.state.value == "IN_PROGRESS"
