"""databricks.yml holds together, and fits the code; whatever breaks that is found here."""

import copy
import dataclasses
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
    assert {"secret_scope", "model"} <= set(bundle["variables"])
    assert set(bundle["targets"]) == {"dev", "prod"}
    assert bundle["targets"]["dev"] == {"mode": "development", "default": True}
    assert "run_as" in bundle["targets"]["prod"]


def test_the_run_is_itself_where_no_scope_is_named(bundle):
    assert bundle["variables"]["secret_scope"]["default"] == ""


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
LOOP = f"{JOBS}.eval_fanout_job.tasks.0.for_each_task"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        # misspelt fields
        (f"{JOBS}.eval_agent_job.max_concurent_runs", 1, "Unexpected field 'max_concurent_runs'"),
        (f"{AGENT}.timeout_second", 5, "Unexpected field 'timeout_second'"),
        (f"{AGENT}.python_wheel_task.entrypoint", "x", "Unexpected field 'entrypoint'"),
        (f"{JOBS}.eval_agent_job.permissions", [{"level": "CAN_SEE"}], "valid JobPermissionLevel"),
        ("resources.secret_scopes", {}, "resources.secret_scopes: there is no such field"),
        ("sync.includes", [], "sync.includes: there is no such field"),
        ("targets.prod.variable", {}, "targets.prod.variable: there is no such field"),
        ("variables.model.defualt", "x", "variables.model.defualt: there is no such field"),
        # references
        ("variables.volume_path.default", "${var.volumn}", "${var.volumn} leads nowhere"),
        ("variables.model.default", "${resources.volumes.state.path}", "path} leads nowhere"),
        (f"{JOBS}.eval_agent_job.name", "${bundle.nam}", "${bundle.nam} leads nowhere"),
        (f"{JOBS}.eval_agent_job.name", "${var.model", "holds a malformed reference"),
        ("variables.extra", {"default": "", "description": "x"}, "variables.extra: is not used"),
        ("variables.model", {"description": "x"}, "variables.model: lacks its default"),
        ("targets.prod.variables", {"modle": "x"}, "targets.prod.variables.modle: is not declared"),
        # the shape of jobs
        (f"{BRIDGE}.1.depends_on", [{"task_key": "snyc"}], "runs: depends on snyc, which is not"),
        (f"{BRIDGE}.1.task_key", "sync", "there are 2 tasks sync"),
        (f"{AGENT}.environment_key", "evalkt", "runs in environment evalkt, which is not there"),
        (f"{AGENT}.notebook_task", {"notebook_path": "./x"}, "agent: is of 2 kinds"),
        (f"{JOBS}.eval_agent_job.timeout_seconds", None, "eval_agent_job: has no timeout"),
        (f"{AGENT}.max_retries", 3, "an agent that is retried spends again"),
        (f"{AGENT}.disable_auto_optimization", False, "an agent that is retried spends again"),
        (f"{LOOP}.task.max_retries", 3, "an agent that is retried spends again"),
        (f"{LOOP}.concurrency", None, "agents: has no bound on what runs side by side"),
        (f"{LOOP}.inputs", "{{job.parameters.experiments}}", "experiments}} has no value"),
        (f"{LOOP}.inputs", "{{input}}", "{{input}} has no value"),
        (f"{JOBS}.eval_bridge_job.max_concurrent_runs", 4, "may run beside itself"),
        (f"{JOBS}.eval_bridge_job.permissions", [], "nobody but its owner may see it"),
        # entry points, notebooks, parameters
        (f"{AGENT}.python_wheel_task.package_name", "evalkit", "there is no package evalkit"),
        (f"{AGENT}.python_wheel_task.entry_point", "agent", "the wheel has no entry point agent"),
        (f"{AGENT}.python_wheel_task.named_parameters.stages", "agnt", "there is no stage agnt"),
        (
            f"{BRIDGE}.0.python_wheel_task.named_parameters.runid",
            "7",
            "sync-dataset takes no runid",
        ),
        (f"{LOOP}.task.python_wheel_task.named_parameters.dry_run", "1", "agent takes no dry_run"),
        (f"{AGENT}.python_wheel_task.parameters", ["x"], "reach named_parameters only"),
        (f"{AGENT}.python_wheel_task.named_parameters.model", "x", "model overrides the task's"),
        (f"{JOBS}.eval_bridge_job.parameters.0.name", "cfg", "the job's parameter cfg"),
        (
            f"{JOBS}.eval_agent_notebook.tasks.0.notebook_task.notebook_path",
            "./notebooks/run_agent.ipynb",
            "the bundle ships no ./notebooks/run_agent.ipynb",
        ),
        (
            f"{JOBS}.eval_agent_notebook.tasks.0.notebook_task.base_parameters",
            {"modell": "x"},
            "has no parameter modell",
        ),
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


def without(taken, name):
    return {owner: set(names) - {name} for owner, names in taken.items()}


def renamed(taken, old, new):
    return {
        stage: {new if each == old else each for each in names} for stage, names in taken.items()
    }


@pytest.mark.parametrize(
    ("field", "change", "complaint"),
    [
        ("entry_points", lambda _: frozenset({"evalkit"}), "the wheel has no entry point evalkit-"),
        ("package", lambda _: "evalkit", "there is no package mlflow-evalkit"),
        ("stages", lambda s: renamed(s, "run_id", "run"), "takes no run_id"),
        (
            "stages",
            lambda s: renamed(s, "mapping", "map"),
            "takes the job's parameter map",
        ),
        ("stages", lambda s: without(s, "session"), "agent takes no session"),
        ("notebooks", lambda _: {}, "the bundle ships no ./notebooks/run_eval_agent.ipynb"),
        ("notebooks", lambda n: renamed(n, "model", "llm"), "has no parameter model"),
    ],
)
def test_a_change_of_the_code_that_breaks_it_is_found(bundle, code, field, change, complaint):
    changed = dataclasses.replace(code, **{field: change(getattr(code, field))})
    assert any(complaint in said for said in problems(bundle, changed))
