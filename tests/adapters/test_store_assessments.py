"""What is said of traces: created, changed, withdrawn, noted by an agent; people's left alone."""

import pytest
from mlflow.entities import AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from workload import START_MS, judged, trace

from evalkit.entities import Changes, Note
from evalkit.errors import InputError, StoreError
from evalkit.feedback.assessments import changes
from evalkit.store import connect


@pytest.fixture(params=["server", "workspace"])
def any_store(request):
    """The store behind each way over the network; the commands' tests are on a database."""
    found = request.getfixturevalue(request.param)
    return connect(found.uri if request.param == "server" else "databricks")


@pytest.fixture
def one(any_store, key):
    """A trace that stands in MLflow, without any assessment."""
    experiment_id, made = any_store.experiment(f"/tests/{key}", create=True), trace(key)
    assert [w.error for w in any_store.write_traces(experiment_id, "run", [(made, [])])] == [""]
    return made


@pytest.fixture
def bring_about(any_store, key):
    """Makes what is said just what is wanted; gives it by its id."""

    def run(*wanted):
        experiment_id = any_store.experiment(f"/tests/{key}", create=True)
        for _ in range(2):
            (found,) = any_store.find_traces(experiment_id, key)
            due = changes(wanted, found.assessments, sources=("CODE", "HUMAN", "LLM_JUDGE"))
            any_store.write_assessments(due)
        assert not due  # the second time there is nothing to do
        return {each.assessment_id: each for each in found.assessments}

    return run


def test_feedback_is_created_changed_and_withdrawn(bring_about, key, one):
    tone, score = judged(key, one, "tone", True), judged(key, one, "score", 3)
    assert bring_about(tone, score) == {tone.assessment_id: tone, score.assessment_id: score}
    broken = judged(key, one, "tone", None, error="timed out", rationale="")
    assert bring_about(broken) == {broken.assessment_id: broken}
    comment = judged(key, one, "human_review", "ok", source_type="HUMAN", source_id="an")
    bring_about(comment)
    renamed = judged(key, one, "human_review", "ok", source_type="HUMAN", source_id="ann")
    assert bring_about(renamed) == {renamed.assessment_id: renamed}
    assert bring_about() == {}


def test_what_people_say_is_neither_changed_nor_deleted(any_store, bring_about, key, one):
    before = TracingClient(any_store.uri).get_trace(one.trace_id).to_dict()
    any_store.annotate(one.trace_id, "tone", False, "too curt", "ann")
    mine = judged(key, one, "tone", True)
    bring_about(mine)
    tracing = TracingClient(any_store.uri)
    there = {a.name: a for a in tracing.get_trace_info(one.trace_id).assessments if a.metadata}
    person = AssessmentSource("HUMAN", "bob")
    overrides = there["tone"].assessment_id
    correction = Feedback(name="tone", value=False, source=person, overrides=overrides)
    correction.trace_id = one.trace_id
    tracing.log_assessment(one.trace_id, correction)
    changed = judged(key, one, "tone", True, rationale="on second thoughts")
    found = bring_about(changed, judged(key, one, "new", 1.0))
    assert found[mine.assessment_id].rationale == "on second thoughts"
    assert found[mine.assessment_id].valid is False
    left = [each for each in bring_about().values() if each.source_type == "HUMAN"]
    assert {(each.source_id, each.value, each.rationale, each.is_ours) for each in left} == {
        ("ann", False, "too curt", False),
        ("bob", False, "", False),
    }
    after = TracingClient(any_store.uri).get_trace(one.trace_id).to_dict()
    assert after["info"].pop("assessments")
    before["info"].pop("assessments", None)
    assert after == before


def test_feedback_on_a_trace_that_is_gone_is_an_error(any_store, key, one):
    any_store.delete_traces(any_store.experiment(f"/tests/{key}", create=True), [one.trace_id])
    with pytest.raises(StoreError, match="What to do: see in MLflow's UI whether it was deleted"):
        any_store.write_assessments(Changes(create=(judged(key, one),)))


def test_feedback_on_a_trace_still_being_recorded_does_not_end_it(any_store, bring_about, key):
    made, experiment_id = trace(key), any_store.experiment(f"/tests/{key}", create=True)
    place, tags = TraceLocation.from_experiment_id(experiment_id), {"evalkit.run": key}
    info = TraceInfo(made.trace_id, place, START_MS, TraceState.IN_PROGRESS, tags=tags)
    TracingClient(any_store.uri).start_trace(info)
    for value in (True, False):
        said = judged(key, made, "tone", value)
        assert bring_about(said) == {said.assessment_id: said}
    info = TracingClient(any_store.uri).get_trace_info(made.trace_id)
    assert info.state.value == "IN_PROGRESS"


# -- an agent's notes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tag", "late parcel"),
        ("feedback", 0.5),
        ("expectation", {"facts": ["paid", "sent"]}),
    ],
)
def test_the_same_said_twice_is_noted_once_and_a_later_word_replaces_it(
    store, experiment_id, agent, kind, value
):
    trace_id = agent.answer("Where is it?")
    why = "as the steps show" if kind != "tag" else ""
    for noted in ("something else", value):
        note = Note(trace_id, kind, "topic", noted, why)
        assert [store.annotate_trace(experiment_id, note) for _ in range(2)] == [True, False]
    (trace,) = store.observe(experiment_id, most=5)
    if kind == "tag":
        info = TracingClient(store.uri).get_trace_info(trace_id)
        assert (info.tags["topic"], trace.assessments) == ("late parcel", ())
        return
    (said,) = trace.assessments
    assert (said.kind, said.value) == (kind, value)
    assert said.rationale or said.metadata["rationale"] == why  # MLflow keeps none of expectations
    assert (said.source_type, said.source_id) == ("CODE", "evalkit-agent")
    # what is there of the trace stays as it was
    assert (trace.request, trace.duration_ms, trace.input_tokens) == ("Where is it?", 2000, 100)


def test_what_was_overridden_is_not_told(store, experiment_id, agent):
    trace_id = agent.answer("Where is it?")
    tracing, overridden = TracingClient(store.uri), None
    for source, value in (("LLM_JUDGE", False), ("HUMAN", True)):
        said = Feedback("correct", value=value, source=AssessmentSource(source, "x"))
        said.trace_id, said.overrides = trace_id, overridden
        overridden = tracing.log_assessment(trace_id, said).assessment_id
        (trace,) = store.observe(experiment_id, most=5)
        (found,) = trace.assessments
        assert (found.name, found.value, found.source_type) == ("correct", value, source)
        assert (found.trace_id, found.kind) == (trace_id, "feedback")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "evalkit.run"}, "reserved"),
        ({"name": "x" * 300}, "empty or too long"),
        ({"value": ""}, "no value"),
        ({"value": "x" * 9000}, "too long"),
        ({"trace_id": "../runs"}, "no trace '../runs' in this experiment"),
        ({}, "in this experiment"),
    ],
)
def test_what_cannot_be_noted_is_refused(store, experiment_id, agent, change, why):
    trace_id = agent.answer("Hi")
    given = {"trace_id": trace_id, "kind": "tag", "name": "topic", "value": "parcel", **change}
    where = experiment_id if change else store.experiment("another one", create=True)
    with pytest.raises(InputError, match=why):
        store.annotate_trace(where, Note(**given))
    assert "topic" not in TracingClient(store.uri).get_trace_info(trace_id).tags
