"""Traces: written with their assessments, found, kept exact, replaced without loss, read back."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from servers import Proxy
from shop_agent import BEGIN_NS
from store_state import state
from workload import START_MS, START_NS, USAGE, judged, record, span, trace

from evalkit.errors import StoreError
from evalkit.store import connect

ASSESSMENTS = [
    ("bool", True),
    ("no", False),
    ("number", 0.5),
    ("whole", 3),
    ("label", "good"),
    ("list", [1, "a"]),
    ("dict", {"a": {"b": None}}),
]
VALUES = [
    *("plain", "", '{"a": 1}', "  [1, 2]", '"quoted"', "{ no json", "null", "true", "12"),
    *(None, False, 0, -1.5, 2**40, [], {}, [1, "two", None, {"three": [True]}]),
    *({"deep": {"er": ["ä", "😀", "\u2028"]}}, "line\nbreak\ttab"),
]


@pytest.fixture
def run_id(store, experiment_id, key):
    return store.write_run(experiment_id, record(key)).run_id


@pytest.fixture
def write(store, experiment_id, run_id):
    def write_(*items):
        written = list(store.write_traces(experiment_id, run_id, items))
        assert [each.error for each in written] == [""] * len(items)
        return written

    return write_


def in_mlflow(store, of):
    """The trace as MLflow's own client reads it."""
    return TracingClient(store.uri).get_trace(of.trace_id)


def people_say(store, of, name, value, who="ann", **more):
    feedback = Feedback(name=name, value=value, source=AssessmentSource("HUMAN", who), **more)
    feedback.trace_id = of.trace_id
    return TracingClient(store.uri).log_assessment(of.trace_id, feedback)


def test_both_ways_store_the_same_and_values_keep_their_type(server, store, key):
    one = trace(key, steps=len(VALUES))
    spans = (
        span(one.trace_id, n, outputs=value, attributes={"evalkit.x": value})
        for n, value in enumerate(VALUES)
    )
    items = [(replace(one, spans=tuple(spans)), [judged(key, one, n, v) for n, v in ASSESSMENTS])]
    for each in (connect(server.uri), store):
        experiment_id = each.experiment(key, create=True)
        run_id = each.write_run(experiment_id, record(key)).run_id
        assert [w.error for w in each.write_traces(experiment_id, run_id, items)] == [""]
    database = Path(store.uri.removeprefix("sqlite:///"))
    assert state(server.database, key) == state(database, key)
    for value, found in zip(VALUES, in_mlflow(store, one).data.spans, strict=True):
        assert (found.outputs, type(found.outputs)) == (value, type(value))
        assert found.attributes.get("evalkit.x") == value


def test_what_no_database_can_hold_does_not_stop_the_writing(store, write, key):
    odd = "a\x00b\ud800c😀"
    one = trace(key, steps=1)
    bad = replace(
        one,
        name=odd,
        request=odd,
        response={"x": odd},
        tags={**one.tags, "odd": odd, "long": "t" * 9000},
        metadata={"odd": odd, "long": "m" * 900, "mlflow.trace.session": "s" * 900},
        spans=(span(one.trace_id, 0, name=odd, message=odd, inputs={odd: odd}, outputs=odd),),
    )
    (written,) = write((bad, [judged(key, bad, odd, odd, rationale=odd, metadata={"m": odd})]))
    clean = "a\ufffdb\ufffdc😀"
    found = in_mlflow(store, bad)
    assert found.data.spans[0].name == clean
    assert found.data.spans[0].inputs.values()
    assert found.info.tags["odd"] == found.info.trace_metadata["odd"] == clean
    assert found.info.assessments[0].name == clean
    assert len(found.info.tags["long"]) == 4096
    assert len(found.info.trace_metadata["long"]) == 250
    assert {note.split()[1] for note in written.notices} == {"long", "mlflow.trace.session"}


def test_what_the_trace_says_is_not_inferred_from_its_spans(store, write, key):
    cost = {"mlflow.trace.cost": '{"total_cost": 9.0}'}
    made = {
        "silent": trace(key, "silent", metadata={}),
        "part": trace(key, "part", metadata=cost),
        "short": trace(key, "short", start_ns=START_NS + 10**9, end_ns=START_NS + 2 * 10**9),
        "unpriced": trace(key, "unpriced", steps=2, metadata={}),
        **{status: trace(key, status, status=status) for status in ("ERROR", "UNSET")},
    }
    priced = {"mlflow.chat.tokenUsage": USAGE, "mlflow.llm.model": "claude-sonnet-4-5"}
    one = made["unpriced"]
    bare = (one.spans[0], span(one.trace_id, 1, attributes=priced))
    made["unpriced"] = replace(one, spans=bare)
    write(*((each, []) for each in made.values()))
    found = {name: in_mlflow(store, each) for name, each in made.items()}
    infos = {name: each.info for name, each in found.items()}

    def known(figures):
        """Without those that are null, which MLflow 3.14 shows."""
        return {name: figure for name, figure in (figures or {}).items() if figure is not None}

    assert (known(infos["silent"].token_usage), known(infos["silent"].cost)) == ({}, {})
    assert known(infos["part"].token_usage) == {}
    assert known(infos["part"].cost) == {"total_cost": 9.0}
    times = (infos["short"].request_time, infos["short"].execution_duration)
    assert times == (START_MS + 1000, 1000)
    assert found["unpriced"].data.spans[1].attributes["mlflow.llm.cost"] == {}
    assert known(infos["unpriced"].cost) == {}
    states = [infos[name].state.value for name in ("silent", "ERROR", "UNSET")]
    assert states == ["OK", "ERROR", "STATE_UNSPECIFIED"]


def test_many_traces_are_written_and_read_in_few_requests_as_they_are_needed(server, key):
    made = []

    def items():
        for n in range(500):
            made.append(trace(key, f"case-{n}", steps=1))
            yield made[-1], [judged(key, made[-1])]

    with Proxy(server.uri) as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(key, create=True)
        before = len(proxy.requests)
        writing = store.write_traces(experiment_id, "run", items())
        assert [next(writing).error for _ in range(80)] == [""] * 80
        assert len(made) <= 81
        paths = proxy.paths()[before:]
        assert (paths.count("/api/3.0/mlflow/traces"), paths.count("/v1/traces")) == (80, 2)
        assert len(paths) <= 83  # and one for the server's version
        writing.close()
        proxy.requests.clear()  # and read only as far as somebody looks
        next(store.observe(experiment_id, most=500))
        assert sum("batchGet" in path for path in proxy.paths()) == 1
        assert len(list(store.observe(experiment_id, most=500))) == 80


def test_a_large_trace_goes_in_parts_and_counts_only_when_all_are_there(
    store, write, key, experiment_id
):
    one = trace(key, steps=6)
    parts = tuple(span(one.trace_id, n, outputs="x" * 1_500_000) for n in range(6))
    large = replace(one, spans=parts)
    write((large, [judged(key, large)]))
    found = in_mlflow(store, large)
    assert [len(each.outputs) for each in found.data.spans] == [1_500_000] * 6
    assert store.find_traces(experiment_id, key)[0].complete


def test_what_people_left_on_a_trace_survives_its_replacement(store, write, key, experiment_id):
    one = trace(key)
    write((one, [judged(key, one), judged(key, one, "score", 0.5)]))
    people_say(store, one, "my view", "fine", metadata={"seen": "yes"}, rationale="looks good")
    people_say(store, one, "my view", "no", who="bob", span_id=one.spans[0].span_id)
    overridden = judged(key, one, "score").assessment_id
    people_say(store, one, "score", 1.0, overrides=overridden)
    MlflowClient(store.uri).set_trace_tag(one.trace_id, "reviewed", "by ann")
    before = in_mlflow(store, one).info

    new = trace(key, steps=2)
    write((new, [judged(key, new, value=False), judged(key, new, "score", 0.5)]))
    mine = [judged(key, one).assessment_id, overridden]
    for _ in range(2):
        with suppress(StoreError):  # the second time it is gone
            store.supersede(experiment_id, {one.trace_id: (new.trace_id, {})}, mine)

    after = in_mlflow(store, new).info
    assert after.tags["reviewed"] == "by ann"
    assert len(after.assessments) == len(before.assessments) == 5

    def said(info, who):
        found = [a.to_dictionary() for a in info.assessments if a.source.source_type == who]
        own = ("assessment_id", "trace_id", "overrides", "last_update_time")
        return sorted(({k: v for k, v in a.items() if k not in own} for a in found), key=str)

    assert said(after, "HUMAN") == said(before, "HUMAN")
    ours = {a.assessment_id: a for a in after.assessments}
    assert ours[judged(key, new).assessment_id].value is False
    score = judged(key, new, "score").assessment_id
    assert ours[score].valid is False
    assert [each.overrides for each in ours.values() if each.overrides] == [score]
    assert [each.trace_id for each in store.find_traces(experiment_id, key)] == [new.trace_id]
    assert len(TracingClient(store.uri).search_traces(locations=[experiment_id])) == 1


def test_a_trace_without_spans_or_without_its_list_entry_is_not_complete(store, key, experiment_id):
    one, late = trace(key, "one"), trace(key, "late", status="UNSET")
    for each, more in ((one, {"evalkit.hash": one.content_hash}), (late, {})):
        tags = {"evalkit.run": key, "evalkit.case": each.name, **more}
        place = TraceLocation.from_experiment_id(experiment_id)
        info = TraceInfo(each.trace_id, place, START_MS, TraceState.OK, tags=tags)
        TracingClient(store.uri).start_trace(info)
    found = {each.case_id: each.complete for each in store.find_traces(experiment_id, key)}
    assert found == {"one": False, "late": False}
    list(store.write_traces(experiment_id, "run", [(one, []), (late, [])]))
    assert all(each.complete for each in store.find_traces(experiment_id, key))


def test_recorded_traces_are_found_until_a_run_has_them(store, key, experiment_id, run_id):
    def recorded(name, ended=TraceState.OK):
        """A trace as MLflow's own tracing leaves it."""
        info = TraceInfo(
            trace(name).trace_id,
            TraceLocation.from_experiment_id(experiment_id),
            START_MS,
            ended,
            request_preview="hello",
            client_request_id=f"session {name}",
            execution_duration=1500,
            tags={"eval_run_id": name},
        )
        return TracingClient(store.uri).start_trace(info).trace_id

    mine, other, _ = recorded("a"), recorded("b"), recorded("c", TraceState.IN_PROGRESS)
    list(store.write_traces(experiment_id, run_id, [(trace(key), [])]))
    assert {each.trace_id for each in store.find_recorded(experiment_id)} == {mine, other}
    marks = {"evalkit.run": key, "evalkit.case": "case-9"}
    store.adopt_traces(experiment_id, run_id, {mine: marks})
    assert [each.trace_id for each in store.find_recorded(experiment_id)] == [other]
    adopted = {each.case_id: each for each in store.find_traces(experiment_id, key)}["case-9"]
    assert adopted.complete
    found = TracingClient(store.uri).get_trace_info(mine)
    assert found.trace_metadata["mlflow.sourceRun"] == run_id
    assert (found.client_request_id, found.tags["eval_run_id"]) == ("session a", "a")
    assert (found.request_preview, found.execution_duration) == ("hello", 1500)


# -- somebody else's traces -------------------------------------------------------------------


def test_the_newest_traces_come_first_with_their_spans(store, experiment_id, agent):
    ids = [agent.answer(f"question {number}") for number in range(4)]
    found = list(store.observe(experiment_id, most=3))
    assert [trace.trace_id for trace in found] == ids[:0:-1]
    newest = found[0]
    assert (newest.name, newest.status, newest.duration_ms) == ("answer", "OK", 2000)
    assert (newest.request, newest.response) == ("question 3", "It is on its way.")
    assert (newest.input_tokens, newest.output_tokens) == (100, 20)
    assert newest.start_ms == BEGIN_NS // 10**6 + 4 * 60_000
    kinds = {"answer": "CHAIN", "policies": "TOOL", "lookup": "TOOL", "chat": "LLM"}
    assert [(span.name, span.kind) for span in newest.spans] == [*kinds.items()]
    lookup = newest.spans[2]
    assert (lookup.inputs, lookup.outputs) == ({"order": "QM-4"}, "paid")
    assert lookup.parent_id == newest.spans[0].span_id
    assert store.observe_one(ids[0]).request == "question 0"
    with pytest.raises(StoreError, match="reading the trace tr-0"):
        store.observe_one("tr-0")


def test_an_outline_has_what_was_asked_and_answered_tools_and_failures(store, experiment_id, agent):
    agent.answer("Where is it?", error="no capacity", tool_error="order not found")
    (whole,) = store.observe(experiment_id, most=5)
    assert {span.name: span.message for span in whole.spans if span.status == "ERROR"} == {
        "answer": "ShopError: no capacity",
        "lookup": "ShopError: order not found",
        "chat": "ShopError: no capacity",
    }
    agent.answer("And now?", tool_error="order not found")
    whole, _ = store.observe(experiment_id, most=5)
    outline, _ = store.observe(experiment_id, most=5, outline=True)
    first, *others = whole.spans
    told = [first, *(s for s in others if s.kind == "TOOL" or s.status == "ERROR")]
    assert 1 < len(told) < len(whole.spans)
    bare = [replace(each, inputs=None, outputs=None, attributes={}) for each in told[1:]]
    assert [*outline.spans] == [replace(first, attributes={}), *bare]


@pytest.mark.parametrize(
    ("tags", "why"),
    [({}, "artifacts"), ({"mlflow.trace.spansLocation": "TRACKING_STORE"}, "not there")],
)
def test_a_trace_without_spans_says_why(store, experiment_id, tags, why):
    place = TraceLocation.from_experiment_id(experiment_id)
    odd = {"mlflow.trace.tokenUsage": "[1]", "mlflow.trace.cost": "no JSON"}
    info = TraceInfo(
        "tr-" + "5" * 32, place, 1, TraceState.IN_PROGRESS, trace_metadata=odd, tags=tags
    )
    TracingClient(store.uri).start_trace(info)
    (trace,) = store.observe(experiment_id, most=10)
    assert (trace.spans, trace.status, trace.input_tokens) == ((), "UNSET", None)
    assert why in trace.unread
