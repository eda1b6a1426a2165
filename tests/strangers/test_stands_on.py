"""A run knows what it stands on: its dataset, its commit, its bar, and its traces their case."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from eval_project import CASES, RUN_ID, log_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)
COMMIT = "mlflow.source.git.commit"


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


def linked(run):
    return [(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs]


# -- the dataset ----------------------------------------------------------------------------------


def test_a_run_is_linked_to_the_dataset_as_it_was_then_or_it_is_said_that_there_is_none(
    evalkit, project, mlflow
):
    first = evalkit("log-results", *RUN).report
    assert linked(mlflow.run()) == []
    assert any("no dataset support in MLflow yet" in note for note in first["notes"])
    evalkit("sync-dataset")
    second = evalkit("log-results", *RUN).report
    ((name, digest),) = linked(mlflow.run())
    assert (name, second["written"]) == ("support", True)
    assert not any("no dataset" in note for note in second["notes"])
    assert evalkit("log-results", *RUN).report["written"] is False
    project.add_case("delta", "please handle delta", "delta is handled")
    evalkit("sync-dataset")
    evalkit("log-results", *RUN)
    assert linked(mlflow.run()) == [("support", digest)]
    project.write("eval/runs/support/later/run_result.json", {"execution_mode": "case"})
    evalkit("log-results", "--run-id", "later")
    assert sorted(len(linked(run)) for run in mlflow.runs()) == [1, 1]
    assert len({linked(run)[0] for run in mlflow.runs()}) == 2


def test_in_a_workspace_where_no_table_is_named_it_is_said_that_none_is_linked(
    project, evalkit, workspace
):
    assert workspace
    project.configure(mlflow={"experiment": "/Users/kim@example.com/support"})
    outcome = evalkit("log-results", *RUN, uri="databricks")
    assert outcome.code == 0, outcome.err
    assert "linked to none; name one with --dataset-name" in outcome.err


def test_the_digest_is_of_the_content_alone(evalkit, project, mlflow):
    evalkit("all", *RUN, "--dataset-name", "one")
    project.write("eval/runs/support/other/run_result.json", {"execution_mode": "case"})
    evalkit("all", "--run-id", "other", "--dataset-name", "two")
    assert len({digest for run in mlflow.runs() for _, digest in linked(run)}) == 1


# -- the commit -----------------------------------------------------------------------------------


def commit(folder, when="2026-07-01T12:00:00Z"):
    """Make a commit at that time, its hash."""
    env = {**os.environ, "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
    who = ("-c", "user.name=an", "-c", "user.email=an@team.example")
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "work")):
        subprocess.run(["git", *who, *arguments], cwd=folder, env=env, check=True)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def tags(evalkit, mlflow):
    def read():
        assert evalkit("log-results", *RUN).code == 0
        return mlflow.run().data.tags

    return read


@pytest.mark.parametrize("when", ["2026-07-01T12:00:00Z", "2026-07-10T12:00:00Z", ""])
def test_the_head_that_a_younger_run_lies_in_is_its_commit_but_inferred(project, tags, when):
    head = commit(project.root, when) if when else ""
    found = tags()
    if not head or when.startswith("2026-07-10"):
        assert COMMIT not in found
        return
    assert found[COMMIT] == head
    assert found["evalkit.commit"].startswith("inferred")
    commit(project.root, "2026-07-02T12:00:00Z")
    assert tags()[COMMIT] == head


def test_a_run_outside_the_projects_repository_has_no_commit(project, evalkit, mlflow, tmp_path):
    commit(project.root)
    (project.root / "eval" / "runs").rename(tmp_path / "runs")
    assert evalkit("log-results", *RUN, "--runs-dir", str(tmp_path / "runs")).code == 0
    assert COMMIT not in mlflow.run().data.tags


SNAPSHOT = {
    "agent": "writer",
    "ref_revision": "deadbeef",
    "pipeline_run_url": "https://ci.example/5",
    "mlflow.runName": "mine",
    "evalkit.key": "mine",
    "regressions_detected": "yes",
    "team": "red",
    "token": "sk-ant-api03-" + "a1B2" * 20,
}


def test_a_snapshot_says_where_the_code_comes_from(project, tags):
    commit(project.root)
    project.write(f"{project.run_dir}/harness-snapshot.json", SNAPSHOT)
    found = tags()
    assert (found[COMMIT], found["evalkit.commit"]) == ("deadbeef", "harness-snapshot.json")
    assert (found["commit_sha"], found["ref_revision"]) == ("deadbeef", "deadbeef")
    assert (found["agent"], found["pipeline_run_url"]) == ("writer", "https://ci.example/5")
    assert (found["mlflow.runName"], found["regressions_detected"]) == (RUN_ID, "no")
    assert found["team"] == "blue"
    assert "a1B2a1B2" not in str(found)
    assert tags() == found


@pytest.mark.parametrize("content", ["{cut", "[1]", "", '{"a": 1, "a": 2}', b"\xff\xfe"], ids=repr)
def test_a_snapshot_that_nobody_can_read_is_named_and_stops_nothing(project, evalkit, content):
    project.write(f"{project.run_dir}/harness-snapshot.json", content)
    outcome = evalkit("log-results", *RUN)
    assert outcome.code == 0
    assert "harness-snapshot.json" in outcome.err


# -- what lies in a run besides -------------------------------------------------------------------


def test_what_lies_beside_becomes_artifacts_without_secrets_unless_it_leads_out(
    evalkit, project, mlflow, tmp_path
):
    secret = "sk-ant-api03-" + "a" * 90
    besides = {
        "analysis.md": f"# key {secret}",
        "harness-snapshot.json": json.dumps({**SNAPSHOT, "token": secret}),
        "batch.yaml": f"- prompt: {secret}\n",
    }
    for name, text in besides.items():
        project.write(f"{project.run_dir}/{name}", text)
    (tmp_path / "elsewhere.html").write_text("private")
    report = project.root / project.run_dir / "report.html"
    report.symlink_to(tmp_path / "elsewhere.html")
    outcome = evalkit("log-results", *RUN)
    assert outcome.code == 0
    assert any("report.html" in note for note in outcome.report["notes"])
    run_id = mlflow.run().info.run_id
    assert "report.html" not in [each.path for each in mlflow.client.list_artifacts(run_id)]
    report.unlink()
    report.write_text(f"<p>{secret}</p>")
    evalkit("log-results", *RUN)
    for name in ("report.html", "analysis.md", "harness-snapshot.json", "inputs/batch.yaml"):
        path = mlflow.client.download_artifacts(run_id, name, str(tmp_path))
        text = Path(path).read_text("utf-8")
        assert text
        assert secret not in text
    assert evalkit("log-results", *RUN).report["written"] is False


# -- the traces -----------------------------------------------------------------------------------


def test_traces_of_two_runs_are_paired_by_their_case_and_in_no_session(evalkit, project, mlflow):
    evalkit("log-results", *RUN)
    for case in CASES:
        project.write(f"eval/runs/support/later/cases/{case}/stdout.log", log_of(case, tools=2))
    evalkit("log-results", "--run-id", "later")
    found = mlflow.client.search_traces(locations=[mlflow.experiment_id], include_spans=False)
    requests = sorted(trace.info.tags["mlflow.eval.requestId"] for trace in found)
    assert requests == sorted([*CASES, *CASES])
    assert not any("mlflow.trace.session" in trace.info.trace_metadata for trace in found)


@pytest.mark.parametrize("recorded", [False, True])
def test_traces_follow_the_run_that_stands(evalkit, mlflow, recorded):
    if recorded:
        evalkit("sync-dataset")
        mlflow.record("live", eval_run_id="alpha")
    evalkit("log-results", *RUN)
    mlflow.say("beta", "my view", "fine")
    first = mlflow.run().info.run_id
    mlflow.client.delete_run(first)
    evalkit("log-results", *RUN)
    second = mlflow.run().info.run_id
    assert second != first
    traces = mlflow.traces()
    assert {t.info.trace_metadata["mlflow.sourceRun"] for t in traces.values()} == {second}
    assert not recorded or traces["live"].info.tags["mlflow.eval.requestId"] == "alpha"
    assert mlflow.values("beta")["my view"] == "fine"
    assert evalkit("log-results", *RUN).report["written"] is False


@pytest.mark.parametrize("way", ["sqlite_uri", "fresh_server"])
def test_the_list_of_traces_shows_case_and_input_first(evalkit, request, way):
    found = request.getfixturevalue(way)
    uri = found if isinstance(found, str) else found.uri
    evalkit("log-results", *RUN, uri=uri)
    infos = [trace.info for trace in InMlflow(uri).traces().values()]
    assert {info.request_preview for info in infos} == {
        f"{case}: please handle {case}" for case in CASES
    }
    assert {info.tags["mlflow.traceName"] for info in infos} == set(CASES)


def test_of_a_deleted_run_that_is_restored_only_one_goes_on(evalkit, mlflow):
    ids = []
    for _ in range(2):
        evalkit("log-results", *RUN)
        ids.append(mlflow.run().info.run_id)
        mlflow.client.delete_run(ids[-1])
    mlflow.say("alpha", "clear", True, who="kim")
    mlflow.client.restore_run(ids[0])
    evalkit("log-results", *RUN)
    assert mlflow.run().info.run_id == ids[0]
    sources = {t.info.trace_metadata["mlflow.sourceRun"] for t in mlflow.traces().values()}
    assert sources == {ids[0]}
    assert mlflow.values("alpha")["clear"] is True
    assert evalkit("log-results", *RUN).report["written"] is False


def test_a_deleted_experiment_is_said_in_one_line(evalkit, mlflow):
    evalkit("log-results", *RUN)
    mlflow.client.delete_experiment(mlflow.experiment_id)
    outcome = evalkit("log-results", *RUN)
    assert (outcome.code, "deleted" in outcome.report["error"]) == (1, True)
    assert "Traceback" not in outcome.err
