"""A run knows what it stands on: its dataset, its commit, its bar, and its traces their case."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from eval_project import CASES, RUN, RUN_ID, log_of

COMMIT = "mlflow.source.git.commit"
LATER = ("--run-id", "later")


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
    project.write("eval/runs/support/later/run_result.json", {"execution_mode": "case"})
    evalkit("all", *LATER, "--dataset-name", "by another name")  # the digest is of the content
    assert {digest for run in mlflow.runs() for _, digest in linked(run)} == {digest}
    project.add_case("delta", "please handle delta", "delta is handled")
    evalkit("sync-dataset")
    evalkit("log-results", *RUN)
    project.write("eval/runs/support/last/run_result.json", {"execution_mode": "case"})
    evalkit("log-results", "--run-id", "last")
    found = {run.info.run_name: linked(run) for run in mlflow.runs()}
    assert found[RUN_ID] == [("support", digest)]
    assert (len(found["last"]), found["last"] == found[RUN_ID]) == (1, False)


# -- the commit, and what else lies in a run ------------------------------------------------------


def commit(folder, when="2026-07-01T12:00:00Z"):
    """Make a commit at that time, its hash."""
    env = {**os.environ, "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
    who = ("-c", "user.name=an", "-c", "user.email=an@team.example")
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "work")):
        subprocess.run(["git", *who, *arguments], cwd=folder, env=env, check=True)
    head = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(head, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tags(evalkit, mlflow):
    def read(*more):
        assert evalkit("log-results", *RUN, *more).code == 0
        return mlflow.run().data.tags

    return read


def test_the_head_that_a_younger_run_lies_in_is_its_commit_but_inferred(project, tags, tmp_path):
    assert COMMIT not in tags()
    commit(project.root, "2026-07-10T12:00:00Z")  # after the run
    assert COMMIT not in tags()
    head = commit(project.root, "2026-07-01T12:00:00Z")
    runs = tmp_path / "runs"
    (project.root / "eval" / "runs").rename(runs)
    assert COMMIT not in tags("--runs-dir", str(runs))
    runs.rename(project.root / "eval" / "runs")
    found = tags()
    assert found[COMMIT] == head
    assert found["evalkit.commit"].startswith("inferred")
    commit(project.root, "2026-07-02T12:00:00Z")
    assert tags()[COMMIT] == head


SECRET = "sk-ant-api03-" + "a1B2" * 20
SNAPSHOT = {
    "agent": "writer",
    "ref_revision": "deadbeef",
    "pipeline_run_url": "https://ci.example/5",
    "mlflow.runName": "mine",
    "evalkit.key": "mine",
    "regressions_detected": "yes",
    "team": "red",
    "token": SECRET,
}


def test_a_snapshot_says_where_the_code_comes_from_and_what_lies_beside_becomes_artifacts(
    project, evalkit, mlflow, tags, tmp_path
):
    """Without secrets, and unless it leads out."""
    commit(project.root)
    besides = {
        "harness-snapshot.json": json.dumps(SNAPSHOT),
        "analysis.md": f"# key {SECRET}",
        "batch.yaml": f"- prompt: {SECRET}\n",
        "hook_answers.jsonl": "{}\n",
    }
    for name, text in besides.items():
        project.write(f"{project.run_dir}/{name}", text)
    (tmp_path / "elsewhere.html").write_text("private")
    report = project.root / project.run_dir / "report.html"
    report.symlink_to(tmp_path / "elsewhere.html")
    found = tags()
    wanted = {
        COMMIT: "deadbeef",
        "evalkit.commit": "harness-snapshot.json",
        "commit_sha": "deadbeef",
        **{name: SNAPSHOT[name] for name in ("agent", "ref_revision", "pipeline_run_url")},
        "mlflow.runName": RUN_ID,
        "regressions_detected": "no",
        "team": "blue",
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert "a1B2a1B2" not in str(found)
    outcome = evalkit("log-results", *RUN)
    assert outcome.report["written"] is False
    assert any("report.html" in note for note in outcome.report["notes"])
    assert "neither read nor an artifact: hook_answers.jsonl" in outcome.report["notes"]
    run_id = mlflow.run().info.run_id
    assert "report.html" not in [each.path for each in mlflow.client.list_artifacts(run_id)]
    report.unlink()
    report.write_text(f"<p>{SECRET}</p>")
    assert found.items() <= tags().items()
    for name in ("report.html", "analysis.md", "harness-snapshot.json", "inputs/batch.yaml"):
        path = mlflow.client.download_artifacts(run_id, name, str(tmp_path))
        text = Path(path).read_text("utf-8")
        assert (bool(text), SECRET in text) == (True, False)


def test_a_snapshot_that_nobody_can_read_is_named_and_stops_nothing(project, evalkit):
    for content in ("{cut", "[1]", b"\xff\xfe"):
        project.write(f"{project.run_dir}/harness-snapshot.json", content)
        outcome = evalkit("log-results", *RUN)
        assert (outcome.code, "harness-snapshot.json" in outcome.err) == (0, True)


# -- the traces -----------------------------------------------------------------------------------


def test_the_list_of_traces_shows_case_and_input_and_two_runs_are_paired_by_case(
    evalkit, project, mlflow
):
    """In no session: MLflow's view of an evaluation opens ungrouped."""
    evalkit("log-results", *RUN)
    previews = {name: trace.info.request_preview for name, trace in mlflow.traces().items()}
    assert previews == {case: f"{case}: please handle {case}" for case in CASES}
    for case in CASES:
        project.write(f"eval/runs/support/later/cases/{case}/stdout.log", log_of(case, tools=2))
    evalkit("log-results", *LATER)
    found = mlflow.client.search_traces(locations=[mlflow.experiment_id], include_spans=False)
    requests = sorted(trace.info.tags["mlflow.eval.requestId"] for trace in found)
    assert requests == sorted([*CASES, *CASES])
    assert not any("mlflow.trace.session" in trace.info.trace_metadata for trace in found)


@pytest.mark.parametrize("recorded", [False, True])
def test_traces_follow_the_run_that_stands_and_of_restored_ones_only_one_goes_on(
    evalkit, mlflow, recorded
):
    if recorded:
        mlflow.record("live", eval_run_id="alpha")
    ids = []
    for number in range(3):
        evalkit("log-results", *RUN)
        ids.append(mlflow.run().info.run_id)
        traces = mlflow.traces()
        sources = {t.info.trace_metadata["mlflow.sourceRun"] for t in traces.values()}
        assert sources == {ids[-1]}
        assert not recorded or traces["live"].info.tags["mlflow.eval.requestId"] == "alpha"
        if number == 0:
            mlflow.say("beta", "my view", "fine")
        assert mlflow.values("beta")["my view"] == "fine"
        assert evalkit("log-results", *RUN).report["written"] is False
        mlflow.client.delete_run(ids[-1])
        if number == 1:
            mlflow.client.restore_run(ids[0])
    assert ids[2] == ids[0] != ids[1]
    mlflow.client.delete_experiment(mlflow.experiment_id)
    outcome = evalkit("log-results", *RUN)
    assert (outcome.code, "Traceback" in outcome.err) == (1, False)
    assert "mlflow experiments restore" in outcome.report["error"]
