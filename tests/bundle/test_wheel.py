"""The wheel in an environment of its own, its tasks started as Databricks starts them."""

import shutil
import signal
import subprocess
from pathlib import Path

from in_mlflow import InMlflow
from servers import clean_environment, free_port
from tasks import started

from evalkit.demo.project import EVAL_NAME, RUN_ID, write_project

ROOT = Path(__file__).parents[2]


def test_what_runs_is_the_wheel_and_not_the_checkout(installed, tmp_path):
    code, said = installed.run(("mlflow-evalkit", "evalkit-job", ["--stages="]), cwd=tmp_path)
    assert (code, str(installed.site) in said, "no stage is named" in said) == (1, True, True)


def test_the_bridge_runs_step_by_step_and_a_step_that_cannot_be_done_fails_its_task(
    bundle, installed, empty_database, tmp_path, evalkit
):
    """The demo project, as it lies on a volume, and an empty MLflow."""
    project, elsewhere = tmp_path / "volume/project", tmp_path / "driver"
    elsewhere.mkdir()
    write_project(project)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    mapping = project / "tmp/schema_mapping.json"
    assert evalkit("map", "--config", f"{project}/eval.yaml", "--out", str(mapping)).code == 0

    def run(*keys, **chosen):
        chosen = {"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db", **chosen}
        at = {"var.volume_path": str(project.parent)}
        tasks = started(bundle, "eval_bridge_job", at, **chosen)
        return installed.run(*(tasks[key] for key in keys), cwd=elsewhere)

    steps = ("sync", "run", "run")
    code, said = run(*steps, input=RUN_ID, run_ids=f'["{RUN_ID}"]')
    assert code == 0, said
    assert said.count("a job on a Databricks cluster") == len(steps)
    assert len(InMlflow(f"sqlite:///{tmp_path}/mlflow.db", EVAL_NAME).traces()) == 12
    for chosen, complaint in (
        ({"input": ""}, "arguments are required: --run-id"),
        ({"input": RUN_ID, "tracking_uri": "http://127.0.0.1:9"}, "not reachable"),
    ):
        code, said = run("run", **chosen)
        last = said.splitlines()[-1]
        assert (code, "EvalkitError: log-results: " in said, complaint in last) == (1, True, True)


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
