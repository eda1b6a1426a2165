"""databricks.yml holds together, and fits the code; whatever breaks that is found here."""

import copy
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from bundle_check import problems
from task_argv import EDITED, task_argv, wheel_tasks

from evalkit import cli, ui
from evalkit.cli.export import export
from evalkit.cli.jobs import read_parameters, stage_commands

ROOT = Path(__file__).parents[2]


def test_nothing_is_wrong_with_the_bundle(bundle, code):
    assert problems(bundle, code) == []


def test_it_is_short_and_makes_nothing_but_jobs(bundle):
    assert len((ROOT / "databricks.yml").read_text("utf-8").splitlines()) <= 120
    assert set(bundle["resources"]) == {"jobs"}
    assert not any("resources" in target for target in bundle["targets"].values())


def test_three_variables_are_to_be_edited_and_come_first(bundle):
    first = list(bundle["variables"])[:3]
    assert first == ["experiment_id", "volume_path", "mlflow_agent_experiment_id"]
    told = {name for name, each in bundle["variables"].items() if "YOUR_" in each["default"]}
    assert told == set(first)


def test_it_has_what_the_quick_start_names(bundle):
    jobs = {"eval_agent_notebook", "eval_agent_job", "eval_bridge_job", "eval_fanout_job"}
    assert set(bundle["resources"]["jobs"]) == jobs
    assert bundle["variables"]["secret_scope"]["default"] == ""
    assert "model" in bundle["variables"]
    assert set(bundle["targets"]) == {"dev", "prod"}
    assert bundle["targets"]["dev"] == {"mode": "development", "default": True}
    assert "run_as" in bundle["targets"]["prod"]


def test_a_repaired_run_goes_on_with_its_session_and_code_stays_confined(bundle):
    jobs = bundle["resources"]["jobs"]
    for name in ("eval_agent_notebook", "eval_agent_job"):
        given = {each["name"]: each["default"] for each in jobs[name]["parameters"]}
        assert (given["session"], given["unconfined"]) == ("{{job.run_id}}", "false")


def test_nothing_in_it_is_personal(bundle):
    text = yaml.safe_dump(bundle)
    assert "@" not in text
    assert "https://" not in text
    assert "dapi" not in text


def test_the_notebook_that_is_shipped_is_the_page_of_today(tmp_path):
    kept = ROOT / "notebooks/run_eval_agent.ipynb"
    (tmp_path / "only").mkdir()
    shutil.copy(ui.folder() / "run_eval_agent.py", tmp_path / "only")
    export(tmp_path / "out", tmp_path / "only")
    today = (tmp_path / "out" / kept.name).read_text("utf-8")
    advice = "run `python -m evalkit export DIR` and copy DIR/run_eval_agent.ipynb to notebooks/"
    assert kept.read_text("utf-8") == today, advice


def test_no_command_but_the_build_of_the_wheel_needs_python(bundle):
    assert "experimental" not in bundle
    assert [each["build"] for each in bundle["artifacts"].values()] == ["uv build --wheel"]
    shipped = "notebooks/run_eval_agent.ipynb"
    assert not any(fnmatch(shipped, pattern) for pattern in bundle["sync"]["exclude"])


def test_every_task_of_the_wheel_is_a_command_that_can_be_read(bundle):
    chosen = {"run_id": "2026-05-12", "input": "an-input"}
    stages = set()
    for job, task in wheel_tasks(bundle):
        argv = task_argv(bundle, job, task, EDITED, **chosen)
        for command in stage_commands(read_parameters(argv)):
            assert cli.read_command(command)
            stages.add(command[0])
    assert stages == {"sync-dataset", "log-results", "push-feedback", "agent"}


def test_each_iteration_of_the_fan_out_has_a_session_of_its_own(bundle):
    (task,) = (
        task for job, task in wheel_tasks(bundle) if task["task_key"] == "agent" and "out" in job
    )
    given = [task_argv(bundle, "eval_fanout_job", task, EDITED, input=each) for each in "78"]
    sessions = [value for each in given for value in each if value.startswith("--session=")]
    assert sessions == ["--session=4711-7", "--session=4711-8"]


# -- what breaks it ---------------------------------------------------------------------------

JOBS = "resources.jobs"
AGENT = f"{JOBS}.eval_agent_job.tasks.0"
BRIDGE = f"{JOBS}.eval_bridge_job.tasks"
NOTEBOOK = f"{JOBS}.eval_agent_notebook.tasks.0.notebook_task.notebook_path"
LOOP = f"{JOBS}.eval_fanout_job.tasks.0.for_each_task"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (f"{AGENT}.timeout_second", 5, "Unexpected field 'timeout_second'"),
        ("targets.prod.variable", {}, "targets.prod.variable: there is no such field"),
        ("variables.volume_path.default", "${var.volumn}", "${var.volumn} leads nowhere"),
        (f"{BRIDGE}.1.depends_on", [{"task_key": "snyc"}], "runs: depends on snyc, which is not"),
        (f"{AGENT}.max_retries", 3, "an agent that is retried spends again"),
        (f"{LOOP}.inputs", "{{job.parameters.experiments}}", "experiments}} has no value"),
        (f"{AGENT}.python_wheel_task.entry_point", "agent", "the wheel has no entry point agent"),
        (f"{LOOP}.task.python_wheel_task.named_parameters.dry_run", "1", "agent takes no dry_run"),
        (f"{JOBS}.eval_bridge_job.parameters.0.name", "cfg", "the job's parameter cfg"),
        (NOTEBOOK, "./notebooks/run_agent.ipynb", "ships no ./notebooks/run_agent.ipynb"),
    ],
)
def test_a_change_that_breaks_it_is_found(bundle, code, path, value, complaint):
    changed = copy.deepcopy(bundle)
    *way, last = path.split(".")
    node = changed
    for step in way:
        node = node[int(step)] if isinstance(node, list) else node[step]
    node[last] = value
    new = set(problems(changed, code)) - set(problems(bundle, code))
    assert any(complaint in said for said in new), new
