"""MLflow that fails on the way: the next run finishes the work, and nobody loses anything."""

import shutil
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from mlflow.entities import AssessmentSource, Feedback
from mlflow.tracing.client import TracingClient
from servers import Proxy
from store_state import state
from workload import judged, span, trace, write_all

from evalkit.errors import StoreError
from evalkit.store import connect

# starting a server is not what is timed here
pytestmark = pytest.mark.timeout(300, func_only=True)

EXPERIMENT = "nightly"
CASES = 3
MANY = 45


@pytest.fixture(scope="module")
def few(empty_database, tmp_path_factory):
    """What stands in MLflow after one undisturbed run, of a database."""
    database = tmp_path_factory.mktemp("few") / "mlflow.db"
    shutil.copy(empty_database, database)
    write_all(connect(f"sqlite:///{database}"), EXPERIMENT, cases=CASES)
    return state(database, EXPERIMENT)


@pytest.fixture
def on_server(server):
    """Names of experiments on the server; afterwards their traces are gone, for the next test."""
    names: list[str] = []

    def name() -> str:
        names.append(f"{EXPERIMENT} {time.monotonic_ns()}")
        return names[-1]

    yield name
    store = connect(server.uri)
    for each in names:
        if experiment_id := store.experiment(each, create=False):
            forget(store, experiment_id)


def forget(store, experiment_id):
    ids = [each.trace_id for each in store.find_traces(experiment_id, EXPERIMENT)]
    store.delete_traces(experiment_id, ids)


def breaks_off(write, *arguments):
    """Write something; whether MLflow failed on the way."""
    try:
        write(*arguments)
    except StoreError:
        return True
    return False


def write_few(uri, name):
    write_all(connect(uri), name, cases=CASES)


def test_an_undisturbed_run_on_a_server_leaves_the_same_and_again_asks_little(
    server, on_server, few
):
    name = on_server()
    write_few(server.uri, name)
    with Proxy(server.uri) as proxy:
        write_few(proxy.uri, name)
        assert len(proxy.requests) <= 6
    assert state(server.database, name) == few


@pytest.mark.parametrize("fault", ["cut", "swallow"])
@pytest.mark.parametrize(
    "path", ["", "/v1/traces", "/mlflow/traces"], ids=["any", "spans", "entries"]
)
def test_a_server_that_dies_after_any_number_of_requests(server, on_server, few, fault, path):
    step = 1 if path else 3
    after, died = (1 if fault == "swallow" else 0), True
    while died:
        name = on_server()
        with Proxy(server.uri, after=after, fault=fault, path=path) as proxy:
            died = breaks_off(write_few, proxy.uri, name)
        write_few(server.uri, name)
        assert state(server.database, name) == few, f"after {after} requests"
        forget(connect(server.uri), connect(server.uri).experiment(name, create=True))
        after += step
    assert after >= (1 if path else 20)


def test_a_single_lost_answer_changes_nothing(server, on_server, few):
    """A request is carried out and its answer lost; most are then simply repeated."""
    for lost in range(1, 24, 3):
        name = on_server()
        with Proxy(server.uri, after=lost, fault="swallow", times=1) as proxy, suppress(StoreError):
            write_few(proxy.uri, name)
        write_few(server.uri, name)
        assert state(server.database, name) == few, f"answer {lost} was lost"
        forget(connect(server.uri), connect(server.uri).experiment(name, create=True))


@pytest.mark.parametrize("fault", ["cut", "swallow"])
def test_people_lose_nothing_however_a_replacement_is_cut_short(server, on_server, fault):
    store = connect(server.uri)
    old, new = trace(EXPERIMENT), trace(EXPERIMENT, steps=2)
    theirs, ours = judged(EXPERIMENT, old), judged(EXPERIMENT, new)

    def replace_it(uri):
        store = connect(uri)
        known = store.find_traces(experiment_id, EXPERIMENT)
        if not any(each.holds(new.content_hash) for each in known):
            list(store.write_traces(experiment_id, "run", [(new, [ours])]))
        if any(each.trace_id == old.trace_id for each in known):
            mine = [judged(EXPERIMENT, old).assessment_id]
            store.supersede(experiment_id, {old.trace_id: (new.trace_id, {})}, mine)

    after, died = 0, True
    while died:
        experiment_id = store.experiment(on_server(), create=True)
        list(store.write_traces(experiment_id, "run", [(old, [theirs])]))
        store.annotate(old.trace_id, "view", "fine", "reads well", "ann")
        person = AssessmentSource("HUMAN", "bob")
        said = Feedback("tone", value=False, source=person, overrides=theirs.assessment_id)
        TracingClient(server.uri).log_assessment(old.trace_id, said)
        with Proxy(server.uri, after=after, fault=fault) as proxy:
            died = breaks_off(replace_it, proxy.uri)
        replace_it(server.uri)
        (found,) = store.find_traces(experiment_id, EXPERIMENT)
        assert found.holds(new.content_hash)
        people = {(a.source_id, a.value, a.rationale) for a in found.assessments if not a.is_ours}
        assert people == {("ann", "fine", "reads well"), ("bob", False, "")}
        assert [(a.valid, a.assessment_id) for a in found.assessments if a.is_ours] == [
            (False, ours.assessment_id)
        ]
        assert len(found.assessments) == 3
        forget(store, experiment_id)
        after += 1
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
    server, on_server, monkeypatch, fault, says
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    begun = time.monotonic()
    with (
        Proxy(server.uri, **fault) as proxy,
        pytest.raises(StoreError, match=says) as caught,
    ):
        write_all(connect(proxy.uri), on_server(), cases=MANY)
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


def test_spans_too_large_together_are_sent_one_trace_at_a_time(server, on_server, few):
    name = on_server()
    with Proxy(
        server.uri, after=0, fault="refuse", status=413, times=1, path="/v1/traces"
    ) as proxy:
        write_few(proxy.uri, name)
        assert proxy.paths().count("/v1/traces") == 1 + CASES
    assert state(server.database, name) == few
