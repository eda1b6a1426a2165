"""databricks.yml holds together, and fits the code that it starts."""

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest
import yaml
from databricks.bundles.jobs import Job
from tasks import REFERENCE, started

from evalkit import cli, ui
from evalkit.cli.export import export
from evalkit.cli.jobs import OWN, read_parameters, stage_commands

ROOT = Path(__file__).parents[2]
JOBS = ("eval_agent_notebook", "eval_agent_job", "eval_bridge_job", "eval_fanout_job")
FIELDS = {
    "": "artifacts bundle resources sync targets variables",
    "artifacts.*": "type build dynamic_version",
    "bundle": "name",
    "resources": "jobs",
    "sync": "include exclude",
    "targets.*": "mode default run_as workspace",
    "targets.*.run_as": "service_principal_name",
    "targets.*.workspace": "root_path",
    "variables.*": "description default",
}
"""The fields outside of jobs, which Databricks' own models know; where it says ``*``, any name."""


def nodes(node, path):
    """What stands there, whatever the names are where it says ``*``."""
    first, _, rest = path.partition(".")
    found = [node] if not first else node.values() if first == "*" else [node.get(first, {})]
    return [each for one in found for each in (nodes(one, rest) if rest else [one])]


def strings(value):
    """Every text in it."""
    if isinstance(value, str):
        return [value]
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in below for text in strings(each)]


def tasks_of(job):
    """The job's tasks, those in loops too, and whether each is in one."""
    for task in job["tasks"]:
        yield task, False
        if "for_each_task" in task:
            yield task["for_each_task"]["task"], True


@pytest.fixture(params=JOBS)
def job(bundle, request):
    return bundle["resources"]["jobs"][request.param]


def test_it_is_short_names_nobody_and_every_reference_leads_somewhere(bundle):
    """It makes nothing but the jobs; three variables are to be edited."""
    assert len((ROOT / "databricks.yml").read_text("utf-8").splitlines()) <= 120
    for path, known in FIELDS.items():
        assert {name for node in nodes(bundle, path) for name in node} <= {*known.split()}, path
    assert set(bundle["resources"]["jobs"]) == {*JOBS}
    assert set(bundle["targets"]) == {"dev", "prod"}
    assert bundle["targets"]["dev"] == {"mode": "development", "default": True}
    assert "run_as" in bundle["targets"]["prod"]
    assert [each["build"] for each in bundle["artifacts"].values()] == ["uv build --wheel"]
    shipped = "notebooks/run_eval_agent.ipynb"
    assert not any(fnmatch(shipped, pattern) for pattern in bundle["sync"]["exclude"])
    told = yaml.safe_dump(bundle)
    assert not any(personal in told for personal in ("@", "https://", "dapi"))

    variables = bundle["variables"]
    first = ["experiment_id", "volume_path", "mlflow_agent_experiment_id"]
    assert list(variables)[:3] == first
    assert {name for name, each in variables.items() if "YOUR_" in each["default"]} == {*first}
    assert all({"default", "description"} <= set(each) for each in variables.values())
    known = {f"var.{name}" for name in variables} | {"bundle.name", "bundle.target"}
    texts = strings(bundle)
    found = [name for text in texts for name in REFERENCE.findall(text)]
    assert sum(text.count("${") for text in texts) == len(found)
    assert {f"var.{name}" for name in variables} <= {*found} <= known


def test_a_job_is_bounded_visible_and_alone_and_an_agent_is_not_retried(job):
    Job.from_dict(job)  # Databricks' own models know its fields
    assert job["timeout_seconds"]
    assert job["max_concurrent_runs"] == 1, "it would run beside itself, in the same folder"
    assert job["permissions"]
    keys = [task["task_key"] for task in job["tasks"]]
    assert len({*keys}) == len(keys)
    named = {each["name"]: each["default"] for each in job.get("parameters", [])}
    if "session" in named:  # it stays confined and goes on with its session
        assert (named["session"], named["unconfined"]) == ("{{job.run_id}}", "false")
    environments = {each["environment_key"] for each in job.get("environments", [])}
    for task, in_loop in tasks_of(job):
        assert {each["task_key"] for each in task.get("depends_on", [])} <= {*keys}
        loop = task.get("for_each_task")
        assert loop["concurrency"] if loop else task["environment_key"] in environments
        allowed = {"job.id", "job.run_id", *(f"job.parameters.{name}" for name in named)}
        allowed |= {"input"} if in_loop else set()
        own = {key: each for key, each in task.items() if key != "for_each_task"}
        texts = strings(own) + ([loop["inputs"]] if loop else [])
        dynamic = {name for text in texts for name in re.findall(r"\{\{\s*(.*?)\s*\}\}", text)}
        assert dynamic <= allowed
        given = task.get("python_wheel_task", {}).get("named_parameters", {})
        if "agent" in given.get("stages", "") or "notebook_task" in task:
            assert (task["max_retries"], task["disable_auto_optimization"]) == (0, True)


def test_a_task_gives_what_its_code_takes(job, installed):
    package, entry_points = installed.entry_points()
    takes = {
        stage: {flag.removeprefix("--").replace("-", "_") for flag in flags}
        for stage, flags in cli.stage_flags().items()
    }
    named = {each["name"] for each in job.get("parameters", [])}
    for task, _ in tasks_of(job):
        if wheel := task.get("python_wheel_task"):
            given = wheel["named_parameters"]
            assert (wheel["package_name"], wheel["entry_point"] in entry_points) == (package, True)
            assert "parameters" not in wheel, "those of the job reach named_parameters only"
            stages = given["stages"].split(",")
            assert {*given} <= {*OWN}.union(*(takes[stage] for stage in stages))
            assert named <= {*OWN}.union(*takes.values())
            assert not named & {*given}, "a parameter of the job overrides the task's"
        if notebook := task.get("notebook_task"):
            shipped = nbformat.read(ROOT / notebook["notebook_path"], as_version=4)
            code = "\n".join(each.source for each in shipped.cells if each.cell_type == "code")
            given = {*notebook.get("base_parameters", {})}
            assert not named & given
            assert named | given <= {*re.findall(r"dbutils\.widgets\.\w+\('(\w+)', ", code)}


def test_every_task_of_the_wheel_is_a_command_that_can_be_read(bundle):
    stages = set()
    for name in JOBS:
        for key, (_, _, argv) in started(bundle, name, run_id="a-run", input="an-input").items():
            for command in stage_commands(read_parameters(argv)):
                assert cli.read_command(command)
                stages.add(command[0])
            if (name, key) == ("eval_fanout_job", "agent"):
                assert "--session=4711-an-input" in argv  # one of its own for each iteration
    assert stages == {"sync-dataset", "log-results", "push-feedback", "agent"}


def test_the_notebook_that_is_shipped_is_the_page_of_today(tmp_path):
    kept = ROOT / "notebooks/run_eval_agent.ipynb"
    (tmp_path / "only").mkdir()
    shutil.copy(ui.folder() / "run_eval_agent.py", tmp_path / "only")
    export(tmp_path / "out", tmp_path / "only")
    today = (tmp_path / "out" / kept.name).read_text("utf-8")
    advice = "run `python -m evalkit export DIR` and copy DIR/run_eval_agent.ipynb to notebooks/"
    assert kept.read_text("utf-8") == today, advice
