"""Databricks' own MLflow: traces read and written there by MLflow's own way, limits named."""

from dataclasses import replace

import pytest
from eval_project import RUN_ID
from mlflow import MlflowClient
from mlflow.tracing.client import TracingClient
from trace_tables import BOUND_TAG
from workload import judged, trace
from workspace_server import Fault

from evalkit.entities import Changes
from evalkit.errors import InputError, StoreError
from evalkit.feedback.assessments import changes
from evalkit.store import RunRecord, connect, probe
from evalkit.store.traces_write import BATCH_BYTES


@pytest.fixture
def store(workspace):
    assert workspace.url
    return connect("databricks")


@pytest.fixture
def experiment_id(store, key):
    return store.experiment(f"/Users/dev/{key}", create=True)


@pytest.fixture
def write(store, experiment_id):
    """Writes one trace; what became of it."""

    def write_(each, *said):
        (written,) = store.write_traces(experiment_id, "run", [(each, said)])
        return written

    return write_


def test_traces_are_written_and_read_back_by_mlflows_own_client_too(
    store, experiment_id, write, workspace, key
):
    one = trace(key)
    assert write(one).error == ""
    assert set(workspace.cloud) == {one.trace_id}
    (found,) = store.observe(experiment_id, most=10)
    wanted = [(each.name, each.kind, each.outputs) for each in one.spans]
    assert [(each.name, each.kind, each.outputs) for each in found.spans] == wanted
    theirs = TracingClient("databricks").get_trace(one.trace_id).data.spans
    assert [(each.name, each.outputs) for each in theirs] == [(n, o) for n, _, o in wanted]
    workspace.cloud.clear()
    (found,) = store.observe(experiment_id, most=10)
    assert (found.spans, found.unread) == ((), "its spans are not there")
    large = [replace(each, outputs="x" * BATCH_BYTES) for each in one.spans]
    assert write(replace(one, spans=tuple(large))).error == ""
    assert len(workspace.seen("PUT /cloud/")) == 2  # it has one file, however large
    workspace.tokens = {}
    with pytest.raises(StoreError, match="401 .*DATABRICKS_TOKEN, or log in") as refused:
        list(store.observe(experiment_id, most=1))
    assert "Config:" not in str(refused.value)


def test_a_trace_counts_as_complete_once_its_spans_are_there(
    store, experiment_id, write, workspace, key
):
    one = trace(key)
    workspace.faults = [Fault("/cloud/", 403)] * 3
    with pytest.raises(StoreError):
        write(one)
    assert [each.complete for each in store.find_traces(experiment_id, key)] == [False]
    workspace.faults = [Fault("/credentials-for-data-upload$", 400)] * 2
    refused = write(one)  # which is asked for once more
    assert refused.error
    assert "http" not in refused.error
    workspace.faults = [Fault("/credentials-for-data-upload$", 400)]
    assert [write(one, judged(key, one)).error for _ in range(2)] == ["", ""]
    (found,) = connect("databricks").find_traces(experiment_id, key)
    assert (found.complete, len(found.assessments)) == (True, 1)


def test_runs_and_their_files_are_written_once_though_an_answer_is_lost(
    store, experiment_id, workspace
):
    workspace.faults = [Fault("/runs/create$", 503, {"Retry-After": "0"}, done=True)]
    record = RunRecord("a-key", "r", {"a": "b"}, [("m", 1.0)], {}, 0, 1)
    run_id = store.write_run(experiment_id, record).run_id
    assert len(workspace.seen("/runs/create$")) == 2
    assert store.write_artifacts(run_id, {"report.md": b"# good"}) == ("report.md",)
    path = f"/WorkspaceInternal/Mlflow/Artifacts/{experiment_id}/Runs/{run_id}/artifacts/report.md"
    assert workspace.artifacts == {path: b"# good"}
    (run,) = MlflowClient("databricks").search_runs([experiment_id])
    assert (run.info.run_id, run.data.params) == (run_id, {"a": "b"})
    assert run.data.metrics == {"m": 1.0}


def test_a_score_written_twice_is_withdrawn_and_a_changed_trace_takes_over_what_people_said(
    store, experiment_id, write, workspace, key
):
    """MLflow's client for workspaces asks again, whatever it is told."""
    one, new = trace(key), trace(key, steps=4)
    write(one)
    wanted = [judged(key, one), judged(key, one, "score", 0.5)]
    workspace.faults = [Fault("/assessments$", 503, done=True)]
    store.write_assessments(Changes(create=tuple(wanted)))
    (found,) = connect("databricks").find_traces(experiment_id, key)
    assert len(found.assessments) == 3
    store.write_assessments(changes(wanted, found.assessments, sources=["CODE"]))
    store.annotate(one.trace_id, "my view", "fine", "looks good", "ann")
    later = judged(key, new, "score", 0.7)
    assert write(new, later).error == ""
    gone = {one.trace_id: (new.trace_id, {})}
    store.supersede(experiment_id, gone, [each.assessment_id for each in wanted])
    (found,) = connect("databricks").find_traces(experiment_id, key)
    assert found.holds(new.content_hash)
    assert later in found.assessments
    (people,) = (each for each in found.assessments if each != later)
    assert (people.value, people.source_id, people.is_ours) == ("fine", "ann", False)
    assert len(TracingClient("databricks").get_trace(new.trace_id).data.spans) == 4


@pytest.mark.timeout(60)
@pytest.mark.parametrize("by", ["variables", "profile", "usual profile", "named as default"])
def test_a_workspace_that_nobody_answers_for_is_absent_at_once(
    tmp_path, monkeypatch, by, evalkit, project, key
):
    host, file = "host = http://127.0.0.1:9\n", tmp_path / "databrickscfg"
    settings = "[__settings__]\ndefault_profile = mine\n[mine]\n"
    profiles = f"[DEFAULT]\n{host}[work]\n{host}token = t\n"
    file.write_text(f"{settings}{host}" if by == "named as default" else profiles)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(file))
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    if by == "variables":
        monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
        monkeypatch.setenv("DATABRICKS_TOKEN", "t")
    uri = "databricks://work" if by == "profile" else "databricks"
    project.configure(mlflow={"experiment": f"/Users/dev/{key}"})
    skipped = evalkit("sync-dataset", "--dataset-name=main.evals.x", uri=uri)
    assert (skipped.code, skipped.report["skipped"]) == (0, True)
    assert "127.0.0.1:9 is not reachable: the connection was refused" in skipped.report["reason"]


def test_an_experiment_with_traces_in_tables_or_without_a_path_is_refused_before_anything(
    evalkit, project, store, experiment_id, server, key
):
    MlflowClient(server.uri).set_experiment_tag(experiment_id, BOUND_TAG, "main.evals.traces")
    project.configure(mlflow={"experiment": f"/Users/dev/{key}"})
    for command in ("log-results", "push-feedback", "pull-feedback"):
        refused = evalkit(command, "--run-id", RUN_ID, uri="databricks")
        assert refused.code == 1
        assert "tables of Unity Catalog (main.evals.traces)" in refused.report["error"]
    assert MlflowClient(server.uri).search_runs([experiment_id]) == []
    with pytest.raises(InputError, match="an absolute name, such as /Users/.*/no-path-leads-here"):
        store.experiment("no-path-leads-here", create=True)
    project.configure(mlflow={"experiment": "support"})
    for arguments in (["check"], ["sync-dataset", "--dry-run", "--dataset-name=main.evals.x"]):
        refused = evalkit(*arguments, uri="databricks")
        assert refused.code == 2
        assert [each["field"] for each in refused.report["problems"]] == ["mlflow.experiment"]


def test_what_is_no_address_of_a_workspace_is_said_at_once(workspace, monkeypatch):
    port = workspace.url.rpartition(":")[2]
    for host in ("https://my workspace", "ftp://x", "http://[bad", f"https://127.0.0.1:{port}"):
        monkeypatch.setenv("DATABRICKS_HOST", host)
        found = probe("databricks")
        assert (found.ok, "see DATABRICKS_HOST" in found.detail) == (False, True)
