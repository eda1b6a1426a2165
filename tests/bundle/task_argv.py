"""What Databricks hands to a task: its arguments, with every reference resolved."""

import re

REFERENCE = re.compile(r"\$\{([A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)+)\}")
EDITED = {
    "var.experiment_id": "101",
    "var.volume_path": "/Volumes/main/evals/agent",
    "var.mlflow_agent_experiment_id": "102",
}
"""The three variables that a person edits."""


def wheel_tasks(bundle):
    """Every task that starts the wheel, those in loops too, as ``(job, task)``."""
    for name, job in bundle["resources"]["jobs"].items():
        for task in job["tasks"]:
            inner = task.get("for_each_task", {}).get("task", task)
            if "python_wheel_task" in inner:
                yield name, inner


def started(bundle, job, values, **chosen):
    """The job's tasks as they are started: package, entry point and arguments, by task key."""
    found = {task["task_key"]: task for name, task in wheel_tasks(bundle) if name == job}
    return {
        key: (
            task["python_wheel_task"]["package_name"],
            task["python_wheel_task"]["entry_point"],
            task_argv(bundle, job, task, {**EDITED, **values}, **chosen),
        )
        for key, task in found.items()
    }


def task_argv(bundle, job, task, values, **chosen):
    """The arguments of a task."""
    parameters = bundle["resources"]["jobs"][job].get("parameters", [])
    pushed = {each["name"]: each["default"] for each in parameters}
    given = {**task["python_wheel_task"]["named_parameters"], **pushed, **chosen}
    dynamic = {"input": given.pop("input", ""), "job.run_id": "4711"}
    return [
        f"--{name}={_filled(_resolved(bundle, text, values), dynamic)}"
        for name, text in given.items()
    ]


def _resolved(bundle, text, values):
    def value(match):
        reference = match[1]
        if reference in values:
            return values[reference]
        root, _, name = reference.partition(".")
        assert root == "var", f"nothing is known of {reference}"
        return _resolved(bundle, str(bundle["variables"][name]["default"]), values)

    return REFERENCE.sub(value, text)


def _filled(text, dynamic):
    for name, value in dynamic.items():
        text = text.replace("{{" + name + "}}", value)
    assert "{{" not in text, text
    return text
