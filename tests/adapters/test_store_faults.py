"""MLflow that fails on the way, and writers that are killed: the next run finishes the work."""

import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

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


def whole(empty_database: Path, folder: Path, cases: int):
    """What stands in MLflow after one undisturbed run."""
    database = folder / "mlflow.db"
    shutil.copy(empty_database, database)
    write_all(connect(f"sqlite:///{database}"), EXPERIMENT, cases=cases)
    return state(database, EXPERIMENT)


@pytest.fixture(scope="module")
def few(empty_database, tmp_path_factory):
    return whole(empty_database, tmp_path_factory.mktemp("few"), CASES)


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
        forget(store, each)


def forget(store, experiment, experiment_id=None):
    experiment_id = experiment_id or store.experiment(experiment, create=False)
    if experiment_id is not None:
        ids = [each.trace_id for each in store.find_traces(experiment_id, EXPERIMENT)]
        store.delete_traces(experiment_id, ids)


def breaks_off(uri, experiment):
    """Write a run; whether MLflow failed on the way."""
    try:
        write_all(connect(uri), experiment, cases=CASES)
    except StoreError:
        return True
    return False


def test_an_undisturbed_run_on_a_server_leaves_the_same_as_on_disk(server, on_server, few):
    name = on_server()
    write_all(connect(server.uri), name, cases=CASES)
    assert state(server.database, name) == few
    with Proxy(server.uri) as proxy:
        write_all(connect(proxy.uri), name, cases=CASES)
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
            died = breaks_off(proxy.uri, name)
        write_all(connect(server.uri), name, cases=CASES)
        assert state(server.database, name) == few, f"after {after} requests"
        forget(connect(server.uri), name)
        after += step
    assert after >= (1 if path else 20)


def test_a_single_lost_answer_changes_nothing(server, on_server, few):
    """A request is carried out and its answer lost; most are then simply repeated."""
    for lost in range(1, 24, 3):
        name = on_server()
        with Proxy(server.uri, after=lost, fault="swallow", times=1) as proxy, suppress(StoreError):
            write_all(connect(proxy.uri), name, cases=CASES)
        write_all(connect(server.uri), name, cases=CASES)
        assert state(server.database, name) == few, f"answer {lost} was lost"
        forget(connect(server.uri), name)


@pytest.mark.parametrize("fault", ["cut", "swallow"])
def test_people_lose_nothing_however_a_replacement_is_cut_short(server, on_server, fault):
    store = connect(server.uri)
    old, new = trace(EXPERIMENT), trace(EXPERIMENT, steps=2)
    theirs, ours = judged(EXPERIMENT, old), judged(EXPERIMENT, new)
    after, died = 0, True
    while died:
        experiment_id = store.experiment(on_server(), create=True)
        list(store.write_traces(experiment_id, "run", [(old, [theirs])]))
        store.annotate(old.trace_id, "view", "fine", "reads well", "ann")
        person = AssessmentSource("HUMAN", "bob")
        said = Feedback("tone", value=False, source=person, overrides=theirs.assessment_id)
        TracingClient(server.uri).log_assessment(old.trace_id, said)
        with Proxy(server.uri, after=after, fault=fault) as proxy:
            died = replacing_breaks_off(proxy.uri, experiment_id, old, new, ours)
        assert not replacing_breaks_off(server.uri, experiment_id, old, new, ours)
        (found,) = store.find_traces(experiment_id, EXPERIMENT)
        assert found.holds(new.content_hash)
        people = {(a.source_id, a.value, a.rationale) for a in found.assessments if not a.is_ours}
        assert people == {("ann", "fine", "reads well"), ("bob", False, "")}
        assert [(a.valid, a.assessment_id) for a in found.assessments if a.is_ours] == [
            (False, ours.assessment_id)
        ]
        assert len(found.assessments) == 3
        forget(store, "", experiment_id)
        after += 1
    assert after >= 8


def replacing_breaks_off(uri, experiment_id, old, new, ours):
    """Write a trace where it does not stand yet, in another's place; whether MLflow failed."""
    try:
        store = connect(uri)
        known = store.find_traces(experiment_id, EXPERIMENT)
        if not any(each.holds(new.content_hash) for each in known):
            list(store.write_traces(experiment_id, "run", [(new, [ours])]))
        if any(each.trace_id == old.trace_id for each in known):
            mine = [judged(EXPERIMENT, old).assessment_id]
            store.supersede(experiment_id, {old.trace_id: (new.trace_id, {})}, mine)
    except StoreError:
        return True
    return False


def test_a_server_that_hangs_on_the_way_is_left_in_bounded_time(server, on_server, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    with Proxy(server.uri, after=0, fault="hang", path="/v1/traces") as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(on_server(), create=True)
        made = ((trace(EXPERIMENT, f"case-{n}", steps=1), []) for n in range(500))
        begun = time.monotonic()
        with pytest.raises(StoreError, match="stayed silent") as caught:
            list(store.write_traces(experiment_id, "run", made))
    assert time.monotonic() - begun < 60
    assert "0 traces stand complete, the others do not" in str(caught.value)


@pytest.mark.parametrize(("status", "says"), [(500, "server's own log"), (401, "TRACKING_TOKEN")])
def test_a_server_that_turns_away_on_the_way_says_how_far_it_got(server, on_server, status, says):
    with (
        Proxy(server.uri, after=30, fault="refuse", status=status) as proxy,
        pytest.raises(StoreError, match=says) as caught,
    ):
        write_all(connect(proxy.uri), on_server(), cases=MANY)
    assert "traces stand complete, the others do not" in str(caught.value)


def test_a_trace_that_mlflow_refuses_does_not_stop_the_others(tracking_uri, request):
    key = request.node.name
    store = connect(tracking_uri)
    experiment_id = store.experiment(key, create=True)
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
        write_all(connect(proxy.uri), name, cases=CASES)
        assert proxy.paths().count("/v1/traces") == 1 + CASES
    assert state(server.database, name) == few


def test_a_server_that_refuses_every_trace_is_not_asked_forever(server, on_server):
    made = ((trace("stubborn", f"case-{n}"), []) for n in range(1000))
    with Proxy(server.uri, after=0, fault="refuse", status=422, path="3.0/mlflow/traces") as proxy:
        proxy.fault = "none"
        store = connect(proxy.uri)
        experiment_id = store.experiment(on_server(), create=True)
        assert store.find_traces(experiment_id, "stubborn") == []
        proxy.fault = "refuse"
        with pytest.raises(StoreError, match="one trace after the other"):
            list(store.write_traces(experiment_id, "run", made))
    assert len(proxy.requests) < 500
