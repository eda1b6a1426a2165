"""Traces: written and kept exact, read back, noted by an agent; servers that fail meanwhile."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from servers import Proxy
from shop_agent import BEGIN_NS
from store_state import state
from workload import START_MS, START_NS, USAGE, judged, span, trace

from evalkit.entities import Note
from evalkit.errors import InputError, StoreError
from evalkit.store import connect

VALUES = [
    *("plain", "", '{"a": 1}', "  [1, 2]", '"quoted"', "{ no json", "null", "true", "12"),
    *(None, False, 0, -1.5, 2**40, [], {}, [1, "two", None, {"three": [True]}]),
    *({"deep": {"er": ["ä", "😀", "\u2028"]}}, "line\nbreak\ttab"),
]


@pytest.fixture
def write(store, experiment_id):
    def write_(*items):
        written = list(store.write_traces(experiment_id, "run", items))
        assert [each.error for each in written] == [""] * len(items)
        return written

    return write_


def in_mlflow(store, of):
    """The trace as MLflow's own client reads it."""
    return TracingClient(store.uri).get_trace(of.trace_id)


def test_both_ways_store_the_same_and_values_keep_their_type(server, store, key):
    one = trace(key, steps=len(VALUES))
    spans = (
        span(one.trace_id, n, outputs=value, attributes={"evalkit.x": value})
        for n, value in enumerate(VALUES)
    )
    said = {"no": False, "half": 0.5, "whole": 3, "label": "good", "list": [1, "a"], "dict": {}}
    items = [(replace(one, spans=tuple(spans)), [judged(key, one, *each) for each in said.items()])]
    for each in (connect(server.uri), store):
        experiment_id = each.experiment(key, create=True)
        assert [w.error for w in each.write_traces(experiment_id, "run", items)] == [""]
    database = Path(store.uri.removeprefix("sqlite:///"))
    assert state(server.database, key) == state(database, key)
    for value, found in zip(VALUES, in_mlflow(store, one).data.spans, strict=True):
        assert (found.outputs, type(found.outputs)) == (value, type(value))
        assert found.attributes.get("evalkit.x") == value


def test_what_no_database_can_hold_is_cleaned_or_cut_and_what_was_cut_is_named(store, write, key):
    odd, clean = "a\x00b\ud800c😀", "a\ufffdb\ufffdc😀"
    one = trace(key, steps=1)
    bad = replace(
        one,
        name=odd,
        tags={**one.tags, "odd": odd, "long": "t" * 9000},
        metadata={"odd": odd, "long": "m" * 900},
        spans=(span(one.trace_id, 0, name=odd, message=odd, inputs={odd: odd}, outputs=odd),),
    )
    (written,) = write((bad, [judged(key, bad, odd, odd, rationale=odd, metadata={"m": odd})]))
    found = in_mlflow(store, bad)
    names = (found.data.spans[0].name, found.info.tags["odd"], found.info.assessments[0].name)
    assert names == (clean, clean, clean)
    lengths = (len(found.info.tags["long"]), len(found.info.trace_metadata["long"]))
    assert (lengths, {note.split()[1] for note in written.notices}) == ((4096, 250), {"long"})


def test_what_the_trace_says_is_not_inferred_from_its_spans(store, write, key):
    priced = {"mlflow.chat.tokenUsage": USAGE, "mlflow.llm.model": "claude-sonnet-4-5"}
    one = trace(key, "unpriced", steps=2, metadata={})
    unpriced = replace(one, spans=(one.spans[0], span(one.trace_id, 1, attributes=priced)))
    part = trace(key, "part", metadata={"mlflow.trace.cost": '{"total_cost": 9.0}'})
    short = trace(key, "short", start_ns=START_NS + 10**9, end_ns=START_NS + 2 * 10**9)
    states = {status: trace(key, status, status=status) for status in ("ERROR", "UNSET")}
    write(*((each, []) for each in (unpriced, part, short, *states.values())))

    def known(figures):
        """Without those that are null, which MLflow 3.14 shows."""
        return {name: figure for name, figure in (figures or {}).items() if figure is not None}

    found = in_mlflow(store, unpriced)
    assert found.data.spans[1].attributes["mlflow.llm.cost"] == {}
    assert (known(found.info.token_usage), known(found.info.cost)) == ({}, {})
    info = in_mlflow(store, part).info
    assert (known(info.token_usage), known(info.cost)) == ({}, {"total_cost": 9.0})
    info = in_mlflow(store, short).info
    assert (info.request_time, info.execution_duration) == (START_MS + 1000, 1000)
    shown = [in_mlflow(store, each).info.state.value for each in states.values()]
    assert shown == ["ERROR", "STATE_UNSPECIFIED"]


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


def test_a_large_trace_goes_in_parts_or_one_at_a_time_and_is_there_whole(server, store, write, key):
    one = trace(key, steps=6)
    parts = tuple(span(one.trace_id, n, outputs="x" * 1_500_000) for n in range(6))
    write((replace(one, spans=parts), []))
    found = in_mlflow(store, one)
    assert [len(each.outputs) for each in found.data.spans] == [1_500_000] * 6
    fault = {"after": 0, "fault": "refuse", "status": 413, "times": 1}
    with Proxy(server.uri, path="/v1/traces", **fault) as proxy:
        too_large = connect(proxy.uri)
        experiment_id = too_large.experiment(key, create=True)
        three = [(trace(key, f"case-{n}"), []) for n in range(3)]
        assert [w.error for w in too_large.write_traces(experiment_id, "run", three)] == [""] * 3
        assert proxy.paths().count("/v1/traces") == 1 + 3
    assert [len(each.spans) for each in connect(server.uri).observe(experiment_id, most=5)] == [
        3
    ] * 3


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"fault": "hang", "path": "/v1/traces", "after": 0}, "stayed silent"),
        ({"fault": "refuse", "status": 500, "after": 30}, "server's own log"),
        ({"fault": "refuse", "status": 401, "after": 30}, "TRACKING_TOKEN"),
        ({"fault": "refuse", "status": 422, "path": "3.0/mlflow/traces", "after": 1}, "one trace"),
    ],
)
def test_a_server_that_fails_on_the_way_is_left_soon_and_it_is_said_how_far_it_got(
    server, key, monkeypatch, fault, says
):
    if fault["fault"] == "hang":
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    many = [(trace(key, f"case-{n}", steps=1), []) for n in range(45)]
    begun = time.monotonic()
    with Proxy(server.uri, **fault) as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(key, create=True)
        with pytest.raises(StoreError, match=says) as caught:
            list(store.write_traces(experiment_id, "run", many))
        assert len(proxy.requests) < 100
    assert "traces stand complete, the others do not" in str(caught.value)
    assert time.monotonic() - begun < 60


def test_a_trace_without_spans_or_without_its_list_entry_is_not_complete(store, key, experiment_id):
    one, late = trace(key, "one"), trace(key, "late", status="UNSET")
    for each, more in ((one, {"evalkit.hash": one.content_hash}), (late, {})):
        tags = {"evalkit.run": key, "evalkit.case": each.name, **more}
        place = TraceLocation.from_experiment_id(experiment_id)
        info = TraceInfo(each.trace_id, place, START_MS, TraceState.OK, tags=tags)
        TracingClient(store.uri).start_trace(info)
    assert not any(each.complete for each in store.find_traces(experiment_id, key))
    list(store.write_traces(experiment_id, "run", [(one, []), (late, [])]))
    assert all(each.complete for each in store.find_traces(experiment_id, key))


# -- somebody else's traces -------------------------------------------------------------------


def test_the_newest_traces_come_first_with_their_spans_or_in_outline(store, experiment_id, agent):
    ids = [agent.answer(f"question {number}") for number in range(3)]
    ids.append(agent.answer("Where is it?", error="no capacity", tool_error="order not found"))
    failed, newest, *others = store.observe(experiment_id, most=3)
    assert [each.trace_id for each in (failed, newest, *others)] == ids[:0:-1]
    assert {span.name: span.message for span in failed.spans if span.status == "ERROR"} == {
        "answer": "ShopError: no capacity",
        "lookup": "ShopError: order not found",
        "chat": "ShopError: no capacity",
    }
    assert (newest.name, newest.status, newest.duration_ms) == ("answer", "OK", 2000)
    assert (newest.request, newest.response) == ("question 2", "It is on its way.")
    assert (newest.input_tokens, newest.output_tokens) == (100, 20)
    assert newest.start_ms == BEGIN_NS // 10**6 + 3 * 60_000
    kinds = {"answer": "CHAIN", "policies": "TOOL", "lookup": "TOOL", "chat": "LLM"}
    assert [(span.name, span.kind) for span in newest.spans] == [*kinds.items()]
    lookup = newest.spans[2]
    assert (lookup.inputs, lookup.outputs) == ({"order": "QM-3"}, "paid")
    assert lookup.parent_id == newest.spans[0].span_id
    assert store.observe_one(ids[0]).request == "question 0"
    with pytest.raises(StoreError, match="reading the trace tr-0"):
        store.observe_one("tr-0")
    _, outline, *_ = store.observe(experiment_id, most=3, outline=True)
    root, *tools = (replace(each, attributes={}) for each in newest.spans[:3])
    assert [*outline.spans] == [root, *(replace(t, inputs=None, outputs=None) for t in tools)]


@pytest.mark.parametrize(
    ("tags", "why"),
    [({}, "artifacts"), ({"mlflow.trace.spansLocation": "TRACKING_STORE"}, "not there")],
)
def test_a_trace_without_spans_says_why(store, experiment_id, tags, why):
    place = TraceLocation.from_experiment_id(experiment_id)
    odd = {"mlflow.trace.tokenUsage": "[1]", "mlflow.trace.cost": "no JSON"}
    running = {"state": TraceState.IN_PROGRESS, "trace_metadata": odd, "tags": tags}
    TracingClient(store.uri).start_trace(TraceInfo("tr-" + "5" * 32, place, 1, **running))
    (trace,) = store.observe(experiment_id, most=10)
    assert (trace.spans, trace.status, trace.input_tokens) == ((), "UNSET", None)
    assert why in trace.unread


# -- an agent's notes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [("tag", "late parcel"), ("feedback", 0.5), ("expectation", {"facts": ["paid", "sent"]})],
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
    # what is there of the trace stays as it was
    assert (trace.request, trace.duration_ms, trace.input_tokens) == ("Where is it?", 2000, 100)
    if kind == "tag":
        info = TracingClient(store.uri).get_trace_info(trace_id)
        assert (info.tags["topic"], trace.assessments) == ("late parcel", ())
        return
    (said,) = trace.assessments
    assert (said.kind, said.value) == (kind, value)
    assert said.rationale or said.metadata["rationale"] == why  # MLflow keeps none of expectations
    assert (said.source_type, said.source_id) == ("CODE", "evalkit-agent")


def test_what_cannot_be_noted_is_refused(store, experiment_id, agent):
    trace_id = agent.answer("Hi")
    usual = {"trace_id": trace_id, "kind": "tag", "name": "topic", "value": "parcel"}
    for change, why in (
        ({"name": "evalkit.run"}, "reserved"),
        ({"name": "x" * 300}, "empty or too long"),
        ({"value": ""}, "no value"),
        ({"value": "x" * 9000}, "too long"),
        ({"trace_id": "../runs"}, "no trace '../runs' in this experiment"),
        ({}, "in this experiment"),
    ):
        where = experiment_id if change else store.experiment("another one", create=True)
        with pytest.raises(InputError, match=why):
            store.annotate_trace(where, Note(**{**usual, **change}))
    assert "topic" not in TracingClient(store.uri).get_trace_info(trace_id).tags
