"""An agent's traces read back from MLflow: newest first, page by page, whoever wrote them."""

import pytest
from mlflow import MlflowClient
from mlflow.entities import TraceInfo, TraceLocation, TraceState
from mlflow.tracing.client import TracingClient
from servers import Proxy
from shop_agent import BEGIN_NS, ShopAgent

from evalkit.errors import StoreError
from evalkit.store import connect, traces_read


def test_an_experiment_is_found_by_its_name_or_its_id(store, experiment_id, request):
    found = (experiment_id, request.node.name)
    assert store.find_experiment(request.node.name) == found
    assert store.find_experiment(experiment_id) == found
    assert store.find_experiment("nowhere") is None
    assert store.find_experiment("987654321") is None
    MlflowClient(store.uri).delete_experiment(experiment_id)
    assert store.find_experiment(experiment_id) is None


def test_the_newest_traces_come_first_with_their_spans(store, experiment_id, agent):
    ids = [agent.answer(f"question {number}") for number in range(4)]
    found = list(store.observe(experiment_id, most=3))
    assert [trace.trace_id for trace in found] == ids[:0:-1]
    newest = found[0]
    assert (newest.name, newest.status, newest.duration_ms) == ("answer", "OK", 2000)
    assert (newest.request, newest.response) == ("question 3", "It is on its way.")
    assert (newest.input_tokens, newest.output_tokens) == (100, 20)
    assert newest.start_ms == BEGIN_NS // 10**6 + 4 * 60_000
    assert [(span.name, span.kind) for span in newest.spans] == [
        ("answer", "CHAIN"),
        ("policies", "TOOL"),
        ("lookup", "TOOL"),
        ("chat", "LLM"),
    ]
    lookup = newest.spans[2]
    assert (lookup.inputs, lookup.outputs) == ({"order": "QM-4"}, "paid")
    assert lookup.parent_id == newest.spans[0].span_id
    assert store.observe_one(ids[0]).request == "question 0"


def test_what_went_wrong_is_read_from_the_exception(store, experiment_id, agent):
    agent.answer("where is it?", error="no capacity", tool_error="order not found")
    (trace,) = store.observe(experiment_id, most=10)
    assert trace.status == "ERROR"
    assert {span.name: (span.status, span.message) for span in trace.spans if span.message} == {
        "answer": ("ERROR", "ShopError: no capacity"),
        "lookup": ("ERROR", "ShopError: order not found"),
        "chat": ("ERROR", "ShopError: no capacity"),
    }


@pytest.mark.parametrize(
    ("tags", "why"),
    [({}, "artifacts"), ({"mlflow.trace.spansLocation": "TRACKING_STORE"}, "not there")],
)
def test_a_trace_without_spans_says_why(store, server, experiment_id, tags, why):
    # a server sets that tag itself, and from 3.18 on takes it from nobody
    database = store.uri if store.uri.startswith("sqlite") else f"sqlite:///{server.database}"
    TracingClient(database).start_trace(
        TraceInfo(
            "tr-" + "5" * 32 if tags else "tr-" + "6" * 32,
            TraceLocation.from_experiment_id(experiment_id),
            request_time=1,
            state=TraceState.IN_PROGRESS,
            trace_metadata={"mlflow.trace.tokenUsage": "[1]", "mlflow.trace.cost": "no JSON"},
            tags=tags,
        )
    )
    (trace,) = store.observe(experiment_id, most=10)
    assert (trace.spans, trace.status, trace.input_tokens) == ((), "UNSET", None)
    assert why in trace.unread


def test_a_trace_that_is_gone_is_an_error(store):
    with pytest.raises(StoreError, match="reading the trace tr-0"):
        store.observe_one("tr-0")


def test_spans_are_read_only_as_far_as_somebody_looks(server, request):
    with Proxy(server.uri) as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(request.node.name, create=True)
        agent = ShopAgent(server.uri, experiment_id)
        for number in range(traces_read.AT_A_TIME + 1):
            agent.answer(f"question {number}")
        proxy.requests.clear()
        next(store.observe(experiment_id, most=500))
        assert sum("batchGet" in path for path in proxy.paths()) == 1
        assert len(list(store.observe(experiment_id, most=500))) == traces_read.AT_A_TIME + 1
        assert sum("batchGet" in path for path in proxy.paths()) == 3
