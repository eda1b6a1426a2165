"""Looking around in an experiment, and leaving notes on its traces."""

import pytest
from mlflow.entities import AssessmentSource, Feedback

from evalkit.entities import Note
from evalkit.errors import InputError


def test_what_was_said_comes_with_a_trace_and_what_was_overridden_does_not(
    store, experiment_id, agent
):
    trace_id = agent.answer("Where is it?")
    judge = AssessmentSource("LLM_JUDGE", "judge")
    tracking = store._client.tracking
    said = Feedback(trace_id=trace_id, name="correct", value=False, source=judge, rationale="no")
    first = tracking.create_assessment(said)
    (trace,) = store.observe(experiment_id, most=5)
    (found,) = trace.assessments
    assert (found.name, found.value, found.source_id) == ("correct", False, "judge")
    assert (found.rationale, found.trace_id, found.kind) == ("no", trace_id, "feedback")
    person = AssessmentSource("HUMAN", "ada")
    tracking.create_assessment(
        Feedback(
            trace_id=trace_id,
            name="correct",
            value=True,
            source=person,
            overrides=first.assessment_id,
        )
    )
    (trace,) = store.observe(experiment_id, most=5)
    (kept,) = trace.assessments
    assert (kept.value, kept.source_type) == (True, "HUMAN")


def test_an_outline_has_what_was_asked_and_answered_tools_and_failures(store, experiment_id, agent):
    agent.answer("Where is it?", tool_error="order not found")
    (whole,) = store.observe(experiment_id, most=5)
    (outline,) = store.observe(experiment_id, most=5, outline=True)
    first, *others = whole.spans
    told = [first, *(s for s in others if s.kind == "TOOL" or s.status == "ERROR")]
    assert 1 < len(told) < len(whole.spans)
    assert [(s.span_id, s.parent_id, s.name, s.kind, s.status, s.message) for s in told] == [
        (s.span_id, s.parent_id, s.name, s.kind, s.status, s.message) for s in outline.spans
    ]
    assert outline.spans[0].inputs == whole.spans[0].inputs == {"question": "Where is it?"}
    assert outline.spans[0].outputs == whole.spans[0].outputs
    assert all(each.inputs is None and not each.attributes for each in outline.spans[1:])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tag", "late parcel"),
        ("feedback", False),
        ("feedback", 0.5),
        ("feedback", 3),
        ("expectation", {"facts": ["paid", "sent"]}),
    ],
)
def test_the_same_said_twice_is_noted_once(store, experiment_id, agent, kind, value):
    trace_id = agent.answer("Where is it?")
    note = Note(trace_id, kind, "topic", value, "as the steps show" if kind != "tag" else "")
    assert [store.annotate_trace(experiment_id, note) for _ in range(2)] == [True, False]
    trace = store.observe_one(trace_id)
    info = store._client.tracking.get_trace_info(trace_id)
    if kind == "tag":
        assert (info.tags["topic"], trace.assessments) == ("late parcel", ())
        return
    (said,) = trace.assessments
    why = said.rationale or said.metadata["rationale"]  # MLflow keeps none of an expectation
    assert (said.kind, said.value, why) == (kind, value, "as the steps show")
    assert (said.source_type, said.source_id) == ("CODE", "evalkit-agent")
    # what is there of the trace stays as it was
    assert (trace.request, trace.duration_ms, trace.input_tokens) == ("Where is it?", 2000, 100)


def test_a_later_word_replaces_the_earlier_one(store, experiment_id, agent):
    trace_id = agent.answer("Where is it?")
    for value in (True, False):
        assert store.annotate_trace(experiment_id, Note(trace_id, "feedback", "good", value))
    (said,) = store.observe_one(trace_id).assessments
    assert said.value is False


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "mlflow.traceName"}, "reserved"),
        ({"name": "evalkit.run"}, "reserved"),
        ({"name": " "}, "empty or too long"),
        ({"name": "x" * 300}, "empty or too long"),
        ({"value": ""}, "no value"),
        ({"value": "x" * 9000}, "too long"),
        ({"kind": "note"}, "no kind of note"),
        ({"trace_id": "tr-none"}, "no trace 'tr-none' in this experiment"),
        ({"trace_id": "../runs"}, "in this experiment"),
    ],
)
def test_what_cannot_be_noted_is_refused(store, experiment_id, agent, change, why):
    given = {"trace_id": agent.answer("Hi"), "kind": "tag", "name": "topic", "value": "parcel"}
    with pytest.raises(InputError, match=why):
        store.annotate_trace(experiment_id, Note(**{**given, **change}))


def test_traces_of_other_experiments_are_neither_shown_nor_annotated(store, experiment_id, agent):
    trace_id = agent.answer("Where is it?")
    other = store.experiment(f"not {experiment_id}", create=True)
    with pytest.raises(InputError, match="in this experiment"):
        store.annotate_trace(other, Note(trace_id, "tag", "topic", "parcel"))
    assert "topic" not in store._client.tracking.get_trace_info(trace_id).tags
