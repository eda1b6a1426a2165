"""MLflow that fails on the way: nobody loses anything, and it is said how far the writing got."""

import time
from dataclasses import replace

import pytest
from mlflow.entities import AssessmentSource, Feedback
from mlflow.tracing.client import TracingClient
from servers import Proxy
from workload import judged, span, trace

from evalkit.errors import StoreError
from evalkit.store import connect

# starting a server is not what is timed here
pytestmark = pytest.mark.timeout(300, func_only=True)

NIGHTLY = "nightly"


def write(uri, name, *traces):
    """Write traces with a score each; the id of their experiment."""
    store = connect(uri)
    experiment_id = store.experiment(name, create=True)
    items = ((each, [judged(NIGHTLY, each)]) for each in traces)
    assert [w.error for w in store.write_traces(experiment_id, "run", items)] == [""] * len(traces)
    return experiment_id


@pytest.mark.parametrize(("fault", "after"), [("cut", 0), ("swallow", 1)])
def test_people_lose_nothing_however_a_replacement_is_cut_short(server, key, fault, after):
    store = connect(server.uri)
    old, new = trace(NIGHTLY), trace(NIGHTLY, steps=2)
    theirs, ours = judged(NIGHTLY, old), judged(NIGHTLY, new)

    def replace_it(uri):
        store = connect(uri)
        known = store.find_traces(experiment_id, NIGHTLY)
        if not any(each.holds(new.content_hash) for each in known):
            list(store.write_traces(experiment_id, "run", [(new, [ours])]))
        if any(each.trace_id == old.trace_id for each in known):
            gone = {old.trace_id: (new.trace_id, {})}
            store.supersede(experiment_id, gone, [theirs.assessment_id])

    died = True
    while died:
        experiment_id = write(server.uri, f"{key} {after}", old)
        store.annotate(old.trace_id, "view", "fine", "reads well", "ann")
        person = AssessmentSource("HUMAN", "bob")
        said = Feedback("tone", value=False, source=person, overrides=theirs.assessment_id)
        TracingClient(server.uri).log_assessment(old.trace_id, said)
        with Proxy(server.uri, after=after, fault=fault) as proxy:
            try:
                replace_it(proxy.uri)
                died = False
            except StoreError:
                pass
        replace_it(server.uri)
        (found,) = store.find_traces(experiment_id, NIGHTLY)
        assert found.holds(new.content_hash)
        people = {(a.source_id, a.value, a.rationale) for a in found.assessments if not a.is_ours}
        assert people == {("ann", "fine", "reads well"), ("bob", False, "")}
        mine = [(a.valid, a.assessment_id) for a in found.assessments if a.is_ours]
        assert mine == [(False, ours.assessment_id)]
        assert len(found.assessments) == 3
        store.delete_traces(experiment_id, [new.trace_id])
        after += 2
    assert after >= 8


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
    many = [trace(key, f"case-{n}", steps=1) for n in range(45)]
    begun = time.monotonic()
    with (
        Proxy(server.uri, **fault) as proxy,
        pytest.raises(StoreError, match=says) as caught,
    ):
        write(proxy.uri, key, *many)
    assert "traces stand complete, the others do not" in str(caught.value)
    assert (time.monotonic() - begun < 60, len(proxy.requests) < 100) == (True, True)


def test_a_trace_that_mlflow_refuses_does_not_stop_the_others(store, experiment_id, key):
    good = [trace(key, f"case-{n}") for n in range(3)]
    empty, early = trace(key, "empty"), trace(key, "early")
    unfit = judged(key, empty, "expected", None, kind="expectation")
    early = replace(early, spans=(span(early.trace_id, 0, start_ns=-1),))
    items = [(good[0], []), (empty, [unfit]), (good[1], []), (early, []), (good[2], [])]
    written = {w.trace_id: w.error for w in store.write_traces(experiment_id, "run", items)}
    assert "must be specified" in written[empty.trace_id]
    assert "no form for it" in written[early.trace_id]
    assert [written[each.trace_id] for each in good] == ["", "", ""]
    found = store.find_traces(experiment_id, key)
    assert {each.trace_id for each in found} == {each.trace_id for each in good}


def test_spans_too_large_together_are_sent_one_trace_at_a_time(server, key):
    three = [trace(NIGHTLY, f"case-{n}") for n in range(3)]
    fault = {"after": 0, "fault": "refuse", "status": 413, "times": 1}
    with Proxy(server.uri, path="/v1/traces", **fault) as proxy:
        experiment_id = write(proxy.uri, key, *three)
        assert proxy.paths().count("/v1/traces") == 1 + 3
    found = connect(server.uri).observe(experiment_id, most=5)
    assert [len(each.spans) for each in found] == [3, 3, 3]
