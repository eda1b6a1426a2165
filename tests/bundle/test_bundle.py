"""databricks.yml holds together, and fits the code; whatever breaks that is found here."""

import copy
import dataclasses

import pytest
import yaml
from bundle_check import problems
from task_argv import AS_DEPLOYED, task_argv, wheel_tasks

from evalkit import InputError, cli, notebooks
from evalkit.export import export
from evalkit.jobs import read_parameters, stage_commands


def test_nothing_is_wrong_with_the_bundle(bundle, code):
    assert problems(bundle, code) == []


def test_it_has_what_the_quick_start_names(bundle):
    jobs = {"eval_agent_notebook", "eval_agent_job", "eval_bridge_job", "eval_fanout_job"}
    assert set(bundle["resources"]["jobs"]) == jobs
    named = {"experiment_id", "volume_path", "mlflow_agent_experiment_id", "secret_scope", "model"}
    assert named | {"max_iterations"} <= set(bundle["variables"])
    assert set(bundle["targets"]) == {"dev", "prod"}
    assert bundle["targets"]["dev"] == {"mode": "development", "default": True}
    assert "run_as" in bundle["targets"]["prod"]


def test_the_scope_that_is_made_by_hand_is_not_made_again(bundle):
    assert "secret_scopes" not in bundle["resources"]
    assert bundle["variables"]["secret_scope"]["default"] == "mlflow-eval"
    assert bundle["variables"]["secret_key"]["default"] == "databricks-token"


def test_nothing_in_it_is_personal(bundle):
    text = yaml.safe_dump(bundle)
    assert "@" not in text
    assert "https://" not in text
    assert "dapi" not in text


def test_the_notebooks_are_exported_before_their_paths_are_looked_at(bundle):
    assert bundle["experimental"]["scripts"]["preinit"].endswith("evalkit export build/notebooks")
    assert "build/notebooks/*.ipynb" in bundle["sync"]["include"]


def test_every_task_of_the_wheel_is_a_command_that_can_be_read(bundle):
    chosen = {"run_id": "2026-05-12", "input": "an-input"}
    stages = set()
    for job, task in wheel_tasks(bundle):
        argv = task_argv(bundle, job, task, AS_DEPLOYED, **chosen)
        for command in stage_commands(read_parameters(argv)):
            assert cli._parser().parse_args(command).stage
            stages.add(command[0])
    assert stages == {"sync-dataset", "log-results", "push-feedback", "agent"}


def test_each_iteration_of_the_fan_out_has_a_folder_of_its_own(bundle):
    (task,) = (
        task for job, task in wheel_tasks(bundle) if task["task_key"] == "agent" and "out" in job
    )
    folders = [
        value
        for each in ("7", "8")
        for value in task_argv(bundle, "eval_fanout_job", task, AS_DEPLOYED, input=each)
        if value.startswith("--volume_path=")
    ]
    root = "--volume_path=/Volumes/main/evalkit/state/experiments"
    assert folders == [f"{root}/7", f"{root}/8"]


# -- what breaks it ---------------------------------------------------------------------------

JOBS = "resources.jobs"
AGENT = f"{JOBS}.eval_agent_job.tasks.0"
BRIDGE = f"{JOBS}.eval_bridge_job.tasks"
LOOP = f"{JOBS}.eval_fanout_job.tasks.1.for_each_task"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        # misspelt fields
        (f"{JOBS}.eval_agent_job.max_concurent_runs", 1, "Unexpected field 'max_concurent_runs'"),
        (f"{AGENT}.timeout_second", 5, "Unexpected field 'timeout_second'"),
        (f"{AGENT}.python_wheel_task.entrypoint", "x", "Unexpected field 'entrypoint'"),
        ("resources.volumes.state.volume_type", "MANGED", "'MANGED' is not a valid VolumeType"),
        ("resources.experiments.agent.nmae", "x", "Unexpected field 'nmae'"),
        ("resources.secret_scopes", {}, "resources.secret_scopes: there is no such field"),
        ("sync.includes", [], "sync.includes: there is no such field"),
        ("targets.prod.variable", {}, "targets.prod.variable: there is no such field"),
        ("variables.model.defualt", "x", "variables.model.defualt: there is no such field"),
        ("experimental.script", {}, "experimental.script: there is no such field"),
        # references
        ("variables.volume_path.default", "${var.volumn}", "${var.volumn} leads nowhere"),
        (
            "variables.experiment_id.default",
            "${resources.experiments.trace.id}",
            "${resources.experiments.trace.id} leads nowhere",
        ),
        (
            "variables.volume_path.default",
            "${resources.volumes.state.path}",
            "${resources.volumes.state.path} leads nowhere",
        ),
        (f"{JOBS}.eval_agent_job.name", "${bundle.nam}", "${bundle.nam} leads nowhere"),
        (f"{JOBS}.eval_agent_job.name", "${var.model", "holds a malformed reference"),
        ("variables.extra", {"default": "", "description": "x"}, "variables.extra: is not used"),
        ("variables.model", {"description": "x"}, "variables.model: lacks its default"),
        ("targets.prod.variables.modle", "x", "targets.prod.variables.modle: is not declared"),
        # the shape of jobs
        (f"{BRIDGE}.1.depends_on", [{"task_key": "snyc"}], "log: depends on snyc, which is not"),
        (f"{BRIDGE}.1.task_key", "sync", "there are 2 tasks sync"),
        (f"{AGENT}.environment_key", "evalkt", "runs in environment evalkt, which is not there"),
        (f"{AGENT}.notebook_task", {"notebook_path": "./x"}, "agent: is of 2 kinds"),
        (f"{AGENT}.timeout_seconds", None, "agent: has no timeout"),
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
            "./build/notebooks/run_agent.ipynb",
            "the export makes no ./build/notebooks/run_agent.ipynb",
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
        ("stages", lambda s: without(s, "volume_path"), "agent takes no volume_path"),
        ("notebooks", lambda _: {}, "the export makes no ./build/notebooks/run_eval_agent.ipynb"),
        ("notebooks", lambda n: renamed(n, "model", "llm"), "has no parameter model"),
    ],
)
def test_a_change_of_the_code_that_breaks_it_is_found(bundle, code, field, change, complaint):
    changed = dataclasses.replace(code, **{field: change(getattr(code, field))})
    assert any(complaint in said for said in problems(bundle, changed))


def test_a_notebook_that_cannot_be_exported_breaks_the_build(tmp_path):
    place = tmp_path / "notebooks"
    place.mkdir()
    source = (notebooks.folder() / "run_eval_agent.py").read_text("utf-8")
    broken = source.replace("    host.header()\n", "    mo.stop(True)\n", 1)
    assert broken != source
    (place / "run_eval_agent.py").write_text(broken, "utf-8")
    with pytest.raises(InputError, match="mo.stop"):
        export(tmp_path / "build", place)
