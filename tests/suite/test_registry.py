"""What a suite leaves: its files, as an evalkit project and a script; and its run in MLflow."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import until
from mlflow import MlflowClient
from mlflow.tracing.client import TracingClient
from store_state import state
from suite_rows import BAD_FIGURES, FIGURES, row, shop_rows, suite, trace_id

from evalkit.store import connect
from evalkit.suite.model import LIMITS_FILE
from evalkit.suite.registry import keep, suite_files
from evalkit.suite.runner import Runner
from evalkit.suite.verify import verify

ROWS = shop_rows(10)
LIMIT = (
    f"# Limits\n\n- {trace_id(11)}: too vague about the time. Guideline for a judge: a number.\n"
)
FILES = suite(limits=LIMIT)


@pytest.fixture(scope="module")
def found(sandbox):
    verification = verify(Runner(sandbox, ROWS), FILES, ROWS, per_fault=1)
    assert verification.problems == ()
    return verification


def database_of(uri):
    return Path(uri.removeprefix("sqlite:///"))


def write(uri, rows):
    """The rows' traces in an experiment called shop."""
    experiment_id = MlflowClient(uri).create_experiment("shop")
    client = TracingClient(uri)
    for each in rows:
        each.trace.info.trace_location.mlflow_experiment.experiment_id = experiment_id
        client.log_spans(experiment_id, each.trace.data.spans)
        client.start_trace(each.trace.info)


def kept(uri, found, rows=ROWS, files=FILES, session="s1"):
    return keep(connect(uri), "shop", rows, files, found, session_id=session, params={})


def test_all_of_it_is_in_mlflow_and_production_is_untouched(sqlite_uri, found):
    from mlflow.genai.utils.trace_utils import extract_retrieval_context_from_trace

    write(sqlite_uri, ROWS)
    before = state(database_of(sqlite_uri), "shop")
    report = kept(sqlite_uri, found)
    assert state(database_of(sqlite_uri), "shop") == before
    assert (report["experiment"], report["traces"], report["values"]) == ("shop-evalkit", 12, 36)
    assert report["scorers"] == ["pii_detection"], report
    client = MlflowClient(sqlite_uri)
    run = client.get_run(report["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["figures/pass_rate"] == 0.91
    assert run.data.metrics["rejected/failed"] == 1
    rules = json.loads(run.data.tags["mlflow.genaiEvaluate.qualityCriteria"])["rules"]
    assert rules[0] == {"metricKey": "figures/pass_rate", "comparator": "GTE", "threshold": 0.91}
    assert all(rule["metricKey"] in run.data.metrics for rule in rules)
    assert "shop-evalkit" in [each.dataset.name for each in run.inputs.dataset_inputs]
    traces = client.search_traces(locations=[report["experiment_id"]], run_id=report["run_id"])
    by_source = {trace.info.tags["evalkit.source_trace_id"]: trace for trace in traces}
    assert len(by_source) == 12
    wrong = by_source[trace_id(10)]
    said = {a.name: (a.value, a.rationale, a.source.source_id) for a in wrong.info.assessments}
    assert said["figures"] == (False, "not in the sources: ['99']", "figures")
    assert extract_retrieval_context_from_trace(wrong)
    assert [span.inputs for span in wrong.search_spans(name="order")] == [{"no": 110}]
    assert wrong.info.execution_duration == 90


KEEPING = """
import pickle, sys
from test_registry import kept
kept(sys.argv[1], pickle.loads(open(sys.argv[2], "rb").read()))
"""


def test_one_that_was_killed_is_finished_or_deleted_and_one_run_counts(sqlite_uri, found, tmp_path):
    write(sqlite_uri, ROWS)
    client = MlflowClient(sqlite_uri)
    (tmp_path / "found").write_bytes(pickle.dumps(found))
    argv = [sys.executable, "-c", KEEPING, sqlite_uri, str(tmp_path / "found")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def running():
        known = client.get_experiment_by_name("shop-evalkit")
        runs = client.search_runs([known.experiment_id]) if known else []
        return [run.info.run_id for run in runs if run.info.status == "RUNNING"]

    def killed():
        """The run of a process that was killed as soon as there was one."""
        with subprocess.Popen(argv, env=env, cwd=tmp_path) as process:
            until(lambda: process.poll() is not None or running(), 60)
            process.kill()
        return running()[0]

    first = killed()
    report = kept(sqlite_uri, found)
    assert report["run_id"] == first
    before = state(database_of(sqlite_uri), "shop-evalkit")
    assert kept(sqlite_uri, found) == report
    assert state(database_of(sqlite_uri), "shop-evalkit") == before
    traces = client.search_traces(locations=[report["experiment_id"]])
    assert [len(trace.info.assessments) for trace in traces] == [3] * 12
    client.delete_run(first)

    killed()
    other = kept(sqlite_uri, found, files={**FILES, LIMITS_FILE: LIMIT.encode() + b"\n"})
    runs = client.search_runs([report["experiment_id"]])
    assert [run.info.run_id for run in runs] == [other["run_id"]]
    assert running() == []


SIMPLE = """
@scorer
def short(outputs):
    return len(outputs) < 200


"""


def test_scorers_are_registered_where_mlflow_can_hold_them(sqlite_uri, sandbox, monkeypatch):
    from mlflow.genai.scorers.registry import MlflowTrackingStore

    code = f"{FIGURES}{SIMPLE}SCORERS = [figures, short]\n"
    long = (trace_id(0), "Your lamp no. 100 arrives within 2 days, as our terms say. " * 4)
    files = suite(code, f"{{'figures': {BAD_FIGURES}, 'short': {long!r}}}", LIMIT)
    found = verify(Runner(sandbox, ROWS), files, ROWS, per_fault=1)
    first = kept(sqlite_uri, found, files=files, session="a")
    assert first["scorers"] == []
    reasons = {names[0]: why for why, names in first["not_registered"].items()}
    assert "other code of scorers.py" in reasons["figures"]
    assert "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS" in reasons["short"]
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS", "true")
    second = kept(sqlite_uri, found, files=files, session="b")
    assert second["scorers"] == ["short"]
    held = MlflowTrackingStore(sqlite_uri).get_scorer(second["experiment_id"], "short")
    assert [held(outputs="x" * n) for n in (9, 900)] == [True, False]


def test_secrets_stay_behind_and_personal_data_is_marked(sqlite_uri, sandbox):
    key = "sk-ant-api03-" + "Ab1" * 20
    answer = f"Your lamp no. 110 comes, use {key}, ask otto@example.org, as our terms say."
    rows = [*(row(n) for n in range(10)), row(10, answer=answer)]
    files = suite(limits="")
    found = verify(Runner(sandbox, rows), files, rows, per_fault=1)
    write(sqlite_uri, rows)
    kept(sqlite_uri, found, rows, files)
    assert key in str(state(database_of(sqlite_uri), "shop"))
    assert key not in str(state(database_of(sqlite_uri), "shop-evalkit"))
    written = str(suite_files(rows, found, "shop"))
    assert key not in written
    assert r"personal_data:\n  recorded_answer:\n  - an email address" in written


# -- files ------------------------------------------------------------------------------------


def laid_out(place, found, source=""):
    rows = [replace(ROWS[0], expectations={"days": 2}), *ROWS[1:]]
    for path, content in {**FILES, **suite_files(rows, found, "shop", source)}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)


def run(place, *argv, uri):
    env = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, *argv], cwd=place, env=env, capture_output=True, text=True, check=False
    )


SCRIPT = "evaluation/run_eval.py"


def test_the_script_judges_whole_traces_wherever_they_are_or_says_what_it_cannot_judge(
    sqlite_uri, empty_database, tmp_path, found
):
    laid_out(tmp_path, found, sqlite_uri)
    ended = run(tmp_path, SCRIPT, uri=sqlite_uri)
    assert "not all traces are there any more" in ended.stdout
    assert re.search(r"figures +gave no verdict, bar 91.0%", ended.stdout), ended.stdout
    assert ended.returncode == 0, ended.stderr  # polite and pii_detection need no trace
    write(sqlite_uri, ROWS)
    elsewhere = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'elsewhere.db')}"
    ended = run(tmp_path, SCRIPT, uri=elsewhere)
    assert (ended.returncode, "All bars are met." in ended.stdout) == (0, True), ended.stderr
    assert re.search(r"figures +91.7% of 12 pass", ended.stdout)
    plugin = ("-p", "no:cacheprovider", "-p", "mlflow.pytest.plugin")
    ended = run(tmp_path, "-m", "pytest", "-q", *plugin, SCRIPT, uri=sqlite_uri)
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr


def test_the_script_asks_a_live_agent_and_ends_with_1_where_a_bar_is_missed(
    sqlite_uri, tmp_path, found
):
    laid_out(tmp_path, found)
    agent = "def answer(question):\n    return 'It comes in 999 days, as our terms say'[:{}]\n"
    argv = (SCRIPT, "--predict", "app:answer", "--tracking-uri", sqlite_uri)
    for length, code in ((99, 0), (19, 1)):
        (tmp_path / "app.py").write_text(agent.format(length))
        ended = run(tmp_path, *argv, uri="")
        assert ended.returncode == code, ended.stderr
    assert "polite passes 0.0% of the rows, its bar is" in ended.stdout


def test_the_suite_is_a_project_that_evalkit_takes(
    evalkit, sqlite_uri, tmp_path, found, monkeypatch
):
    laid_out(tmp_path, found)
    monkeypatch.chdir(tmp_path)
    config = ("--config", "evaluation/eval.yaml", "--tracking-uri", sqlite_uri)
    checked = evalkit("check", *config).report
    assert (checked["cases"], checked["problems"]) == (12, [])
    mapped = evalkit("map", *config).report
    assert mapped["inputs"] == {"question": "input.yaml:question"}
    assert mapped["coverage"]["input.yaml:question"] == [12, 12]
    assert mapped["expectations"]["verdict"] == "annotations.yaml:verdict"
    assert evalkit("sync-dataset", *config).report["created"] == 12
