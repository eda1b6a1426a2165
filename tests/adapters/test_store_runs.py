"""Runs: found by their key, written once, brought up to date by differences."""

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


def test_a_new_run_holds_everything(store, experiment_id):
    written = store.write_run(experiment_id, record())
    run = in_mlflow(store, written.run_id)
    assert (written.written, written.notes) == (True, ())
    assert run.info.run_name == "2026-07-09"
    assert (run.info.start_time, run.info.end_time) == (1_783_591_200_000, 1_783_591_260_000)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "m-1", "skill": "support"}
    assert run.data.metrics == {"tone/mean": 0.75, "cost_usd": 1.25}
    assert run.data.tags["team"] == "blue"


def test_the_same_again_writes_nothing(store, experiment_id):
    first = store.write_run(experiment_id, record())
    again = connect(store.uri).write_run(experiment_id, record())
    assert again.run_id == first.run_id
    assert not again.written
    assert not again.written


def test_a_changed_metric_shows_its_new_value_even_where_it_is_lower(store, experiment_id):
    run_id = store.write_run(experiment_id, record()).run_id
    changed = record(metrics=(("tone/mean", 0.5), ("cost_usd", 1.25)))
    assert store.write_run(experiment_id, changed).written
    assert in_mlflow(store, run_id).data.metrics == {"tone/mean": 0.5, "cost_usd": 1.25}
    assert not store.write_run(experiment_id, changed).written
    history = MlflowClient(store.uri).get_metric_history(run_id, "cost_usd")
    assert len(history) == 1


def test_a_changed_param_is_said_and_kept_in_a_tag_until_it_is_as_it_was(store, experiment_id):
    run_id = store.write_run(experiment_id, record()).run_id
    changed = store.write_run(experiment_id, record(params={"model": "m-2"}))
    assert "param model is 'm-1' in MLflow" in changed.notes[0]
    run = in_mlflow(store, run_id)
    assert run.data.params["model"] == "m-1"
    assert run.data.tags["evalkit.param.model"] == "m-2"
    store.write_run(experiment_id, record())
    assert "evalkit.param.model" not in in_mlflow(store, run_id).data.tags


def test_names_that_mlflow_refuses_are_made_to_fit_and_stay_apart(store, experiment_id):
    odd = record(metrics=(("a?b", 1.0), ("a!b", 2.0), ("../up", 3.0), ("/abs", 4.0), ("ok", 5.0)))
    written = store.write_run(experiment_id, odd)
    metrics = in_mlflow(store, written.run_id).data.metrics
    assert sorted(metrics.values()) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert metrics["ok"] == 5.0
    assert len(written.notes) == 4
    assert not store.write_run(experiment_id, odd).written


def test_figures_that_are_no_numbers_are_named_and_left_out(store, experiment_id):
    odd = record(metrics=(("nan", math.nan), ("inf", math.inf), ("huge", 10**400), ("ok", 1.0)))
    written = store.write_run(experiment_id, odd)
    assert in_mlflow(store, written.run_id).data.metrics == {"ok": 1.0}
    assert [note.split("'")[1] for note in written.notes] == ["nan", "inf", "huge"]


def test_long_and_odd_texts_are_shortened_and_said(store, experiment_id):
    odd = record(params={"long": "x" * 9000, "odd": "a\x00b\ud800c😀"}, tags={"t": "y" * 9000})
    written = store.write_run(experiment_id, odd)
    data = in_mlflow(store, written.run_id).data
    assert len(data.params["long"]) == 6000
    assert data.params["odd"] == "a\ufffdb\ufffdc😀"
    assert len(data.tags["t"]) == 8000
    assert len(written.notes) == 3
    assert not store.write_run(experiment_id, odd).written


def test_more_than_mlflow_takes_at_a_time_is_written_all_the_same(store, experiment_id):
    large = record(
        params={f"p{i}": "ü" * 5000 for i in range(120)},
        tags={f"t{i}": "ü" * 7000 for i in range(120)},
        metrics=tuple((f"m{i}", float(i)) for i in range(1500)),
    )
    data = in_mlflow(store, store.write_run(experiment_id, large).run_id).data
    assert len(data.params) == 120
    assert len([name for name in data.tags if name.startswith("t")]) == 120
    assert len(data.metrics) == 1500


def test_a_renamed_run_keeps_the_name_that_a_person_gave_it(store, experiment_id):
    run_id = store.write_run(experiment_id, record()).run_id
    MlflowClient(store.uri).set_tag(run_id, "mlflow.runName", "our best")
    store.write_run(experiment_id, record(tags={"team": "red"}))
    assert in_mlflow(store, run_id).info.run_name == "our best"


def test_of_two_runs_with_one_key_always_the_same_is_used(store, experiment_id):
    client = MlflowClient(store.uri)
    ids = [client.create_run(experiment_id, tags={"evalkit.key": "k1"}).info.run_id for _ in "ab"]
    assert store.write_run(experiment_id, record()).run_id == min(ids)
    assert store.find_run(experiment_id, "k1").run_id == min(ids)


def test_a_deleted_run_is_not_found_again(store, experiment_id):
    run_id = store.write_run(experiment_id, record()).run_id
    MlflowClient(store.uri).delete_run(run_id)
    assert store.find_run(experiment_id, "k1") is None
    assert store.write_run(experiment_id, record()).written


def test_keys_with_quotes_are_found(store, experiment_id):
    for key in ("it's", 'say "so"'):
        run_id = store.write_run(experiment_id, record(key=key)).run_id
        assert store.find_run(experiment_id, key).run_id == run_id


def artifact(store, run_id, path, tmp_path):
    local = MlflowClient(store.uri).download_artifacts(run_id, path, str(tmp_path))
    return Path(local).read_bytes()


def test_artifacts_are_sent_when_they_changed(store, experiment_id, tmp_path):
    run_id = store.write_run(experiment_id, record()).run_id
    files = {"summary.yaml": b"a: 1\n", "logs/receipt.json": "ä😀".encode()}
    assert store.write_artifacts(run_id, files) == ("summary.yaml", "logs/receipt.json")
    assert artifact(store, run_id, "logs/receipt.json", tmp_path) == "ä😀".encode()
    again = connect(store.uri)
    assert again.write_artifacts(run_id, files) == ()
    assert again.write_artifacts(run_id, {**files, "summary.yaml": b"a: 2\n"}) == ("summary.yaml",)
    assert artifact(store, run_id, "summary.yaml", tmp_path) == b"a: 2\n"


def test_a_table_is_one_that_mlflow_shows_and_reads_back(store, experiment_id, tmp_path):
    run_id = store.write_run(experiment_id, record()).run_id
    table = {"case": ["a", "b"], "value": [True, "good"], "why": ["", "so"]}
    assert store.write_artifacts(run_id, {}, {"results.json": table}) == ("results.json",)
    assert store.write_artifacts(run_id, {}, {"results.json": table}) == ()
    run = in_mlflow(store, run_id)
    listed = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    assert listed == [{"path": "results.json", "type": "table"}]
    # as MlflowClient.load_table reads it, which knows one tracking URI only
    found = pd.read_json(BytesIO(artifact(store, run_id, "results.json", tmp_path)), orient="split")
    assert found.to_dict(orient="list") == table


@pytest.mark.parametrize("path", ["../up.txt", "/abs.txt", "a//b.txt", "dir/"])
def test_artifacts_do_not_leave_the_run(store, experiment_id, path):
    run_id = store.write_run(experiment_id, record()).run_id
    with pytest.raises(StoreError, match="no path of an artifact"):
        store.write_artifacts(run_id, {path: b"x"})


def test_an_experiment_is_found_or_made(store):
    assert store.experiment("not there", create=False) is None
    made = store.experiment("made", create=True)
    assert store.experiment("made", create=False) == store.experiment("made", create=True) == made


def test_a_deleted_experiment_says_how_to_get_it_back(store, experiment_id, request):
    MlflowClient(store.uri).delete_experiment(experiment_id)
    for create in (False, True):
        with pytest.raises(StoreError, match=f"mlflow experiments restore .*{experiment_id}"):
            store.experiment(request.node.name, create=create)


def test_a_servers_pages_have_links_and_a_databases_have_none(server, sqlite_uri):
    on_server, on_disk = connect(server.uri), connect(sqlite_uri)
    pages = f"{server.uri}/#/experiments/1"
    assert on_server.run_url("1", "r") == f"{pages}/runs/r"
    assert on_server.trace_url("1", "tr-1") == f"{pages}/traces?selectedEvaluationId=tr-1"
    assert requests.get(on_server.run_url("1", "r"), timeout=10).ok
    assert on_disk.run_url("1", "r") is None
    assert on_disk.trace_url("1", "tr-1") is None
