"""Experiments and runs: found by their key, written once, brought up to date by differences."""

import json
import math
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from evalkit.errors import StoreError
from evalkit.store import RunRecord, connect


def record(**changes):
    usual = {
        "key": "k1",
        "name": "2026-07-09",
        "params": {"model": "m-1", "skill": "support"},
        "metrics": (("tone/mean", 0.75), ("cost_usd", 1.25)),
        "tags": {"team": "blue"},
        "start_ms": 1_783_591_200_000,
        "end_ms": 1_783_591_260_000,
    }
    return RunRecord(**{**usual, **changes})


def in_mlflow(store, run_id):
    return MlflowClient(store.uri).get_run(run_id)


def test_what_changed_is_written_and_what_people_changed_is_not(store, experiment_id):
    run_id = store.write_run(experiment_id, record()).run_id
    MlflowClient(store.uri).set_tag(run_id, "mlflow.runName", "our best")
    other = record(metrics=(("tone/mean", 0.5),), params={"model": "m-2"})
    changed = store.write_run(experiment_id, other)
    assert (changed.written, changed.others) == (True, ("cost_usd",))
    assert "param model is 'm-1' in MLflow" in changed.notes[0]
    run = in_mlflow(store, run_id)
    assert run.data.metrics == {"tone/mean": 0.5, "cost_usd": 1.25}
    assert (run.data.params["model"], run.data.tags["evalkit.param.model"]) == ("m-1", "m-2")
    assert run.info.run_name == "our best"
    assert not store.write_run(experiment_id, other).written
    assert len(MlflowClient(store.uri).get_metric_history(run_id, "tone/mean")) == 2
    store.write_run(experiment_id, record())
    assert "evalkit.param.model" not in in_mlflow(store, run_id).data.tags


def test_what_mlflow_refuses_is_made_to_fit_stays_apart_and_is_said(store, experiment_id):
    odd = record(
        metrics=(
            *(("a?b", 1.0), ("a!b", 2.0), ("../up", 3.0), ("/abs", 4.0), ("ok", 5.0)),
            *(("nan", math.nan), ("inf", math.inf), ("huge", 10**400)),
        ),
        params={"long": "x" * 9000, "odd": "a\x00b\ud800c😀"},
        tags={"t": "y" * 9000},
    )
    written = store.write_run(experiment_id, odd)
    data = in_mlflow(store, written.run_id).data
    assert sorted(data.metrics.values()) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert data.metrics["ok"] == 5.0
    assert (len(data.params["long"]), len(data.tags["t"])) == (6000, 8000)
    assert data.params["odd"] == "a\ufffdb\ufffdc😀"
    said = [note.split("'")[1] for note in written.notes]
    assert sorted(said) == sorted(
        ["a?b", "a!b", "../up", "/abs", "nan", "inf", "huge", "long", "odd", "t"]
    )
    assert not store.write_run(experiment_id, odd).written


def test_more_than_mlflow_takes_at_a_time_is_written_all_the_same(store, experiment_id):
    large = record(
        params={f"p{i}": "ü" * 5000 for i in range(120)},
        tags={f"t{i}": "ü" * 7000 for i in range(120)},
        metrics=tuple((f"m{i}", float(i)) for i in range(1100)),
    )
    data = in_mlflow(store, store.write_run(experiment_id, large).run_id).data
    assert (len(data.params), len(data.metrics)) == (120, 1100)
    assert len([name for name in data.tags if name.startswith("t")]) == 120


def test_of_two_runs_with_one_key_always_the_same_is_used_and_no_deleted_one(store, experiment_id):
    client = MlflowClient(store.uri)
    ids = [client.create_run(experiment_id, tags={"evalkit.key": "k1"}).info.run_id for _ in "ab"]
    assert store.write_run(experiment_id, record()).run_id == min(ids)
    assert store.find_run(experiment_id, "k1").run_id == min(ids)
    for each in ids:
        client.delete_run(each)
    assert store.find_run(experiment_id, "k1") is None
    assert store.write_run(experiment_id, record()).run_id not in ids
    for key in ("it's", 'say "so"'):
        run_id = store.write_run(experiment_id, record(key=key)).run_id
        assert store.find_run(experiment_id, key).run_id == run_id


def test_artifacts_are_sent_when_they_changed_and_tables_are_shown(store, experiment_id, tmp_path):
    def sent(path):
        local = MlflowClient(store.uri).download_artifacts(run_id, path, str(tmp_path))
        return Path(local).read_bytes()

    run_id = store.write_run(experiment_id, record()).run_id
    files = {"summary.yaml": b"a: 1\n", "logs/receipt.json": "ä😀".encode()}
    table = {"case": ["a", "b"], "value": [True, "good"], "why": ["", "so"]}
    tables = {"results.json": table}
    assert store.write_artifacts(run_id, files, tables) == (*files, "results.json")
    assert sent("logs/receipt.json") == "ä😀".encode()
    again = connect(store.uri)
    assert again.write_artifacts(run_id, files, tables) == ()
    assert again.write_artifacts(run_id, {**files, "summary.yaml": b"a: 2\n"}) == ("summary.yaml",)
    assert sent("summary.yaml") == b"a: 2\n"
    listed = json.loads(in_mlflow(store, run_id).data.tags["mlflow.loggedArtifacts"])
    assert listed == [{"path": "results.json", "type": "table"}]
    # as MlflowClient.load_table reads it, which knows one tracking URI only
    found = pd.read_json(BytesIO(sent("results.json")), orient="split")
    assert found.to_dict(orient="list") == table


def test_an_experiment_is_found_or_made_and_a_deleted_one_says_how_to_get_it_back(store):
    assert store.experiment("made", create=False) is None
    made = store.experiment("made", create=True)
    assert store.experiment("made", create=False) == store.experiment("made", create=True) == made
    MlflowClient(store.uri).delete_experiment(made)
    for create in (False, True):
        with pytest.raises(StoreError, match=f"mlflow experiments restore .*{made}"):
            store.experiment("made", create=create)


def test_a_servers_pages_have_links_and_a_databases_have_none(server, store):
    on_server = connect(server.uri)
    pages = f"{server.uri}/#/experiments/1"
    assert on_server.url("1", "runs", "r") == f"{pages}/runs/r"
    assert on_server.url("1", "traces", "tr-1") == f"{pages}/traces?selectedEvaluationId=tr-1"
    assert requests.get(on_server.url("1", "runs", "r"), timeout=10).ok
    assert store.url("1", "runs", "r") is store.url("1", "traces", "tr-1") is None
