"""Runs brought up to date by differences, datasets found by name, links, MLflow's releases."""

import mlflow
import pytest
import requests
from eval_project import RUN_ID
from mlflow import MlflowClient

from evalkit.entities import Record
from evalkit.errors import StoreError
from evalkit.store import RunRecord, connect
from evalkit.store.internals import TRIED


@pytest.fixture
def client(store):
    return MlflowClient(store.uri)


@pytest.fixture
def write(store, experiment_id):
    def write_(**changes):
        usual = {
            "key": "k1",
            "name": "2026-07-09",
            "params": {"model": "m-1"},
            "metrics": (("tone/mean", 0.75), ("cost_usd", 1.25)),
            "tags": {"team": "blue"},
            "start_ms": 1_783_591_200_000,
            "end_ms": 1_783_591_260_000,
        }
        return store.write_run(experiment_id, RunRecord(**{**usual, **changes}))

    return write_


def test_what_changed_is_written_and_what_people_changed_is_not(client, write):
    run_id = write().run_id
    client.set_tag(run_id, "mlflow.runName", "our best")
    other = {"metrics": (("tone/mean", 0.5),), "params": {"model": "m-2"}}
    changed = write(**other)
    assert (changed.written, changed.others) == (True, ("cost_usd",))
    assert "param model is 'm-1' in MLflow" in changed.notes[0]
    run = client.get_run(run_id)
    assert run.data.metrics == {"tone/mean": 0.5, "cost_usd": 1.25}
    assert (run.data.params["model"], run.data.tags["evalkit.param.model"]) == ("m-1", "m-2")
    assert run.info.run_name == "our best"
    assert not write(**other).written
    assert len(client.get_metric_history(run_id, "tone/mean")) == 2
    write()
    assert "evalkit.param.model" not in client.get_run(run_id).data.tags


def test_more_than_mlflow_takes_at_a_time_is_written_all_the_same(client, write):
    large = {
        "metrics": tuple((f"m{i}", float(i)) for i in range(1100)),
        "params": {"odd": "a\x00b\ud800c😀", **{f"p{i}": "ü" * 7000 for i in range(120)}},
        "tags": {f"t{i}": "ü" * 9000 for i in range(120)},
    }
    written = write(**large)
    data = client.get_run(written.run_id).data
    assert (len(data.params), len(data.metrics)) == (121, 1100)
    assert len([name for name in data.tags if name.startswith("t")]) == 120
    assert (len(data.params["p1"]), len(data.tags["t1"])) == (6000, 8000)
    assert data.params["odd"] == "a\ufffdb\ufffdc😀"
    assert len(written.notes) == 1 + 120 + 120
    assert not write(**large).written


def test_of_several_datasets_of_a_name_the_right_one_is_used(store, key, experiment_id, client):
    def write(number, into=experiment_id):
        record = Record(f"case-{number}", {"prompt": f"do {number}"}, {"answer": number})
        store.apply_records(key, into, delete=(), upsert=[record])

    def cases(where):
        return [row.tags.get("evalkit.case") for row in store.records(key, where)]

    elsewhere = store.experiment("elsewhere", create=True)
    write(9, into=elsewhere)
    assert store.records(key, experiment_id) is None
    client.create_dataset(key, experiment_id=[experiment_id])
    write(1)  # into a person's only one
    assert cases(experiment_id) == ["case-1"]
    client.create_dataset(key, experiment_id=[experiment_id])
    with pytest.raises(StoreError, match="2 datasets called .* --dataset-name"):
        store.records(key, experiment_id)
    client.create_dataset(key, experiment_id=[experiment_id], tags={"evalkit.dataset": key})
    write(2)
    assert cases(experiment_id) == ["case-2"]
    assert cases(elsewhere) == ["case-9"]
    with pytest.raises(StoreError, match="single and double quotes"):
        store.records('it\'s "odd"', experiment_id)


def test_a_servers_pages_have_links_and_a_databases_have_none(server, store):
    on_server = connect(server.uri)
    pages = f"{server.uri}/#/experiments/1"
    assert on_server.url("1", "runs", "r") == f"{pages}/runs/r"
    assert on_server.url("1", "traces", "tr-1") == f"{pages}/traces?selectedEvaluationId=tr-1"
    assert requests.get(on_server.url("1", "runs", "r"), timeout=10).ok
    assert store.url("1", "runs", "r") is store.url("1", "traces", "tr-1") is None


def test_a_release_that_was_not_tried_or_has_moved_its_inside_is_named(evalkit, monkeypatch):
    assert ".".join(mlflow.__version__.split(".")[:2]) in TRIED
    for moved in (
        "mlflow.tracking._tracking_service.utils._get_store",
        "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository",
    ):
        with monkeypatch.context() as patched:
            patched.delattr(moved)
            ended = evalkit("log-results", "--run-id", RUN_ID)
        assert (ended.code, "Traceback" in ended.err) == (1, False)
        assert f"MLflow {mlflow.__version__} has no {moved}, which evalkit needs" in ended.err
