"""The wheel in an environment of its own, its tasks started as Databricks starts them."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from in_mlflow import InMlflow
from servers import clean_environment, free_port
from task_argv import started

from evalkit.demo.project import EVAL_NAME, RUN_ID, write_project

ROOT = Path(__file__).parents[2]
ON_A_CLUSTER = {"DATABRICKS_RUNTIME_VERSION": "17.3"}


@pytest.fixture
def project(empty_database, tmp_path):
    """The demo project with its mapping, as it lies on a volume, and an empty MLflow."""
    folder = tmp_path / "volume/project"
    write_project(folder)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return folder


@pytest.fixture
def run(bundle, installed, project, tmp_path):
    """Runs tasks of the bridge with the very arguments that they get; ``chosen`` are the job's."""
    elsewhere = tmp_path / "driver"
    elsewhere.mkdir()
    at = {"var.volume_path": str(project.parent)}

    def run(*keys, **chosen):
        chosen = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", **chosen}
        tasks = started(bundle, "eval_bridge_job", at, **chosen)
        wanted = [tasks[key] for key in keys]
        return installed.run_tasks(*wanted, cwd=elsewhere, env=ON_A_CLUSTER)

    return run


def test_what_runs_is_the_wheel_and_not_the_checkout(installed, tmp_path):
    done = installed.run_tasks(("mlflow-evalkit", "evalkit-job", ["--stages="]), cwd=tmp_path)
    assert str(installed.site) in done.stderr
    assert "no stage is named" in done.stderr


def test_the_bridge_runs_step_by_step_and_a_step_again(run, project, tmp_path, evalkit):
    mapping = project / "tmp/schema_mapping.json"
    assert evalkit("map", "--config", f"{project}/eval.yaml", "--out", str(mapping)).code == 0
    steps = ("sync", "run", "run")
    done = run(*steps, input=RUN_ID, run_ids=f'["{RUN_ID}"]')
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("a job on a Databricks cluster") == len(steps)
    found = InMlflow(f"sqlite:///{tmp_path}/mlflow.db", EVAL_NAME)
    assert len(found.traces()) == 12


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ({"input": ""}, "arguments are required: --run-id"),
        ({"input": "no-such-run"}, "no-such-run"),
        ({"input": RUN_ID, "tracking_uri": "http://127.0.0.1:9"}, "not reachable"),
    ],
)
def test_a_step_that_cannot_be_done_fails_its_task_by_an_error(run, chosen, complaint):
    done = run("run", **chosen)
    assert done.returncode == 1
    assert "EvalkitError: log-results: " in done.stderr
    assert complaint in done.stderr.splitlines()[-1]


def test_it_carries_the_notebooks_and_who_edits_one_there_edits_a_copy(installed, tmp_path):
    for kind in ("*.py", "*.css"):
        packed = {path.name for path in (installed.site / "evalkit/_notebooks").glob(kind)}
        assert packed == {path.name for path in (ROOT / "notebooks").glob(kind)}
    command = [installed.python, "-m", "evalkit", "open", "--edit", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--port", str(free_port())],
        cwd=tmp_path,
        env=clean_environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert "you edit copies in evalkit-notebooks" in said
    for name in ("sync_dataset.py", "evalkit.css"):
        assert (tmp_path / "evalkit-notebooks" / name).is_file()
