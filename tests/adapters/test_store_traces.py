"""Traces: written with their assessments, found, kept exact, replaced without loss."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from servers import Proxy
from store_state import state
from workload import PRICE, SECOND_NS, START_MS, START_NS, USAGE, judged, record, span, trace

from evalkit.errors import StoreError
from evalkit.store import RunRecord, connect

ASSESSMENTS = [
    ("bool", True),
    ("no", False),
    ("number", 0.5),
    ("whole", 3),
    ("label", "good"),
    ("list", [1, "a"]),
    ("dict", {"a": {"b": None}}),
]


@pytest.fixture
def key(request):
    return request.node.name


@pytest.fixture
def experiment_id(store, key):
    return store.experiment(key, create=True)


@pytest.fixture
def run_id(store, experiment_id, key):
    return store.write_run(experiment_id, RunRecord(key, "r", {}, (), {}, 0, 1)).run_id


@pytest.fixture
def write(store, experiment_id, run_id):
    def write_(*items, using=None):
        written = list((using or store).write_traces(experiment_id, run_id, items))
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


def test_a_trace_reads_back_as_it_was_written(store, write, key, run_id):
    one = trace(key)
    write((one, [judged(key, one)]))
    found = in_mlflow(store, one)
    info = found.info
    assert (info.trace_id, info.state.value) == (one.trace_id, "OK")
    assert (info.request_time, info.execution_duration) == (START_MS, 3000)
    assert (info.request_preview, info.response_preview) == ("case-1: do it", '{"answer":42}')
    assert info.tags["mlflow.traceName"] == "case-1"
    assert info.tags["evalkit.hash"] == one.content_hash
    assert info.trace_metadata["mlflow.sourceRun"] == run_id
    assert info.token_usage == {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
    assert info.cost == {"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}
    root, child, _ = found.data.spans
    assert (root.parent_id, child.parent_id) == (None, root.span_id)
    assert child.span_id == one.spans[1].span_id
    assert (child.name, child.span_type, child.status.status_code.value) == ("step 1", "LLM", "OK")
    assert (child.start_time_ns, child.end_time_ns) == (
        START_NS + SECOND_NS,
        START_NS + 2 * SECOND_NS,
    )
    assert child.inputs == {"command": "ls", "number": 1}
    assert child.outputs == [{"type": "text", "text": "output 1"}]
    assert child.attributes["mlflow.chat.tokenUsage"] == USAGE
    assert child.attributes["mlflow.llm.cost"] == PRICE


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        '{"a": 1}',
        "  [1, 2]",
        '"quoted"',
        "{ no json",
        "null",
        "true",
        "12",
        None,
        False,
        0,
        -1.5,
        [],
        {},
        [1, "two", None, {"three": [True]}],
        {"deep": {"er": ["ä", "😀", "\u2028"]}},
        "line\nbreak\ttab",
    ],
)
def test_values_keep_their_type_and_content(sqlite_uri, value):
    store = connect(sqlite_uri)
    experiment_id = store.experiment("e", create=True)
    one = trace("k", steps=1)
    odd = replace(
        one, spans=(span(one.trace_id, 0, outputs=value, attributes={"evalkit.x": value}),)
    )
    list(store.write_traces(experiment_id, "no run", [(odd, [])]))
    (found,) = in_mlflow(store, odd).data.spans
    assert found.outputs == value
    assert type(found.outputs) is type(value)
    if value is not None:
        assert found.attributes["evalkit.x"] == value


def test_both_ways_store_the_same(server, sqlite_uri):
    texts = ['{"a": 1}', '"q"', "null", 2**40, "😀", {"n": None}]
    one = trace("both ways", steps=len(texts))
    spans = tuple(span(one.trace_id, n, outputs=text) for n, text in enumerate(texts))
    assessments = [judged("both ways", one, n, v) for n, v in ASSESSMENTS]
    for uri in (server.uri, sqlite_uri):
        store = connect(uri)
        experiment_id = store.experiment("both ways", create=True)
        run_id = store.write_run(experiment_id, record("both ways")).run_id
        items = [(replace(one, spans=spans), assessments)]
        assert [w.error for w in store.write_traces(experiment_id, run_id, items)] == [""]
    database = Path(sqlite_uri.removeprefix("sqlite:///"))
    assert state(server.database, "both ways") == state(database, "both ways")


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


@pytest.mark.parametrize("status", ["OK", "ERROR", "UNSET"])
def test_a_trace_keeps_saying_how_it_ended(store, write, key, status):
    one = trace(key, status=status)
    write((one, []))
    words = {"OK": "OK", "ERROR": "ERROR", "UNSET": "STATE_UNSPECIFIED"}
    assert in_mlflow(store, one).info.state.value == words[status]


def test_totals_are_the_traces_own_and_not_the_sum_of_its_spans(store, write, key):
    silent = trace(key, "silent", metadata={})
    part = trace(key, "part", metadata={"mlflow.trace.cost": '{"total_cost": 9.0}'})
    write((silent, []), (part, []))
    assert in_mlflow(store, silent).info.token_usage is None
    assert in_mlflow(store, silent).info.cost is None
    assert in_mlflow(store, part).info.cost == {"total_cost": 9.0}
    assert in_mlflow(store, part).info.token_usage is None


def test_a_cost_that_is_not_known_is_not_looked_up(store, write, key):
    one = trace(key, steps=2)
    bare = span(
        one.trace_id,
        1,
        attributes={"mlflow.chat.tokenUsage": USAGE, "mlflow.llm.model": "claude-sonnet-4-5"},
    )
    write((replace(one, spans=(one.spans[0], bare), metadata={}), []))
    found = in_mlflow(store, one)
    assert found.data.spans[1].attributes["mlflow.llm.cost"] == {}
    assert found.info.cost is None


def test_times_are_the_traces_own_where_its_spans_go_beyond(store, write, key):
    one = trace(key, start_ns=START_NS + SECOND_NS, end_ns=START_NS + 2 * SECOND_NS, metadata={})
    write((one, []))
    info = in_mlflow(store, one).info
    assert (info.request_time, info.execution_duration) == (START_MS + 1000, 1000)


def test_assessments_keep_their_type_and_come_back_equal(store, write, key, experiment_id):
    one = trace(key)
    failed = judged(key, one, "failed", None, error="timed out")
    model = judged(key, one, "model", True, source_type="LLM_JUDGE")
    expected = judged(key, one, "expected", {"x": [1]}, kind="expectation", rationale="")
    wanted = [*(judged(key, one, n, v) for n, v in ASSESSMENTS), failed, model, expected]
    write((one, wanted))
    (found,) = store.find_traces(experiment_id, key)
    by_id = {each.assessment_id: each for each in found.assessments}
    assert len(by_id) == len(wanted)
    for each in wanted:
        assert by_id[each.assessment_id] == each
        assert by_id[each.assessment_id].says_the_same(each)
        assert isinstance(by_id[each.assessment_id].value, bool) == isinstance(each.value, bool)


def test_traces_are_found_with_all_that_is_needed_to_leave_them_alone(
    store, write, key, experiment_id
):
    traces = [trace(key, f"case-{n}") for n in range(3)]
    write(*((each, [judged(key, each)]) for each in traces))
    other = trace("another run")
    write((other, []))
    found = connect(store.uri).find_traces(experiment_id, key)
    assert {each.case_id for each in found} == {"case-0", "case-1", "case-2"}
    assert all(each.complete and each.time_ms == START_MS for each in found)
    assert {each.trace_id: each.holds(f"hash of {each.case_id} with 3") for each in found} == {
        each.trace_id: True for each in traces
    }


def test_many_traces_are_written_in_few_requests(server, key):
    with Proxy(server.uri) as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(key, create=True)
        items = [(t, [judged(key, t)]) for t in (trace(key, f"case-{n}") for n in range(60))]
        before = len(proxy.requests)
        assert len(list(store.write_traces(experiment_id, "run", iter(items)))) == 60
        paths = proxy.paths()[before:]
        assert paths.count("/api/3.0/mlflow/traces") == 60
        assert paths.count("/v1/traces") == 2
        assert len(paths) <= 63  # and one for the server's version
        assert len(store.find_traces(experiment_id, key)) == 60


def test_what_is_written_is_read_as_the_writing_goes_on(store, experiment_id, run_id, key):
    made = []

    def items():
        for n in range(500):
            made.append(n)
            yield trace(key, f"case-{n}", steps=1), []

    writing = store.write_traces(experiment_id, run_id, items())
    next(writing)
    assert len(made) <= 41
    writing.close()


def test_a_large_trace_goes_in_parts_and_counts_only_when_all_are_there(
    store, write, key, experiment_id
):
    one = trace(key, steps=6)
    large = replace(
        one, spans=tuple(span(one.trace_id, n, outputs="x" * 1_500_000) for n in range(6))
    )
    write((large, [judged(key, large)]))
    found = in_mlflow(store, large)
    assert len(found.data.spans) == 6
    assert all(len(each.outputs) == 1_500_000 for each in found.data.spans)
    assert store.find_traces(experiment_id, key)[0].complete


# -- replaced ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4, 2], ids=["more spans", "fewer spans"])
def test_what_people_left_on_a_trace_survives_its_replacement(
    store, write, key, experiment_id, steps
):
    one = trace(key)
    write((one, [judged(key, one), judged(key, one, "score", 0.5)]))
    people_say(store, one, "my view", "fine", metadata={"seen": "yes"}, rationale="looks good")
    people_say(store, one, "my view", "no", who="bob", span_id=one.spans[0].span_id)
    overridden = judged(key, one, "score").assessment_id
    people_say(store, one, "score", 1.0, overrides=overridden)
    MlflowClient(store.uri).set_trace_tag(one.trace_id, "reviewed", "by ann")
    before = in_mlflow(store, one).info

    new = trace(key, steps=steps)
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
    tracking = TracingClient(store.uri)
    made = [
        TraceInfo(
            each.trace_id,
            TraceLocation.from_experiment_id(experiment_id),
            START_MS,
            TraceState.OK,
            tags={"evalkit.run": key, "evalkit.case": each.name, **more},
        )
        for each, more in ((one, {"evalkit.hash": one.content_hash}), (late, {}))
    ]
    for each in made:
        tracking.start_trace(each)
    found = {each.case_id: each.complete for each in store.find_traces(experiment_id, key)}
    assert found == {"one": False, "late": False}
    list(store.write_traces(experiment_id, "run", [(one, []), (late, [])]))
    assert all(each.complete for each in store.find_traces(experiment_id, key))


# -- recorded by the harness ------------------------------------------------------------------


def recorded(store, experiment_id, name, state=TraceState.OK):
    """A trace as MLflow's own tracing leaves it."""
    info = TraceInfo(
        trace(name).trace_id,
        TraceLocation.from_experiment_id(experiment_id),
        START_MS,
        state,
        request_preview="hello",
        client_request_id=f"session {name}",
        execution_duration=1500,
        tags={"eval_run_id": name},
    )
    return TracingClient(store.uri).start_trace(info)


def test_recorded_traces_are_found_until_a_run_has_them(store, key, experiment_id, run_id):
    mine, other = (recorded(store, experiment_id, f"{key} {n}") for n in "ab")
    list(store.write_traces(experiment_id, run_id, [(trace(key), [])]))
    found = store.find_recorded(experiment_id)
    assert {each.trace_id for each in found} == {mine.trace_id, other.trace_id}

    store.adopt_traces(
        experiment_id, run_id, {mine.trace_id: {"evalkit.run": key, "evalkit.case": "case-9"}}
    )
    assert [each.trace_id for each in store.find_recorded(experiment_id)] == [other.trace_id]
    adopted = {each.case_id: each for each in store.find_traces(experiment_id, key)}["case-9"]
    assert adopted.complete
    found = TracingClient(store.uri).get_trace_info(mine.trace_id)
    assert found.trace_metadata["mlflow.sourceRun"] == run_id
    assert found.client_request_id == f"session {key} a"
    assert (found.request_preview, found.execution_duration) == ("hello", 1500)
    assert found.tags["eval_run_id"] == f"{key} a"


def test_a_trace_still_being_recorded_is_left_alone(store, key, experiment_id):
    recorded(store, experiment_id, key, TraceState.IN_PROGRESS)
    assert store.find_recorded(experiment_id) == []
