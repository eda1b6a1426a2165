"""The tasks of databricks.yml: the arguments that Databricks hands to them, and their start."""

from __future__ import annotations

import json
import re
import subprocess
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from servers import clean_environment

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


def started(bundle, job, values=(), **chosen):
    """The job's tasks as they are started: package, entry point and arguments, by task key.

    ``values`` are of the bundle's variables, ``chosen`` of the job's parameters.
    """
    parameters = bundle["resources"]["jobs"][job].get("parameters", [])
    pushed = {each["name"]: each["default"] for each in parameters}
    found = {}
    for task in (task for name, task in wheel_tasks(bundle) if name == job):
        wheel = task["python_wheel_task"]
        given = {**wheel["named_parameters"], **pushed, **chosen}
        dynamic = {"input": given.pop("input", ""), "job.run_id": "4711"}
        argv = [
            f"--{name}={_filled(_resolved(bundle, text, {**EDITED, **dict(values)}), dynamic)}"
            for name, text in given.items()
        ]
        found[task["task_key"]] = (wheel["package_name"], wheel["entry_point"], argv)
    return found


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


AS_TASKS = """
import json, sys
from importlib.metadata import distribution

for package, entry_point, argv in json.load(sys.stdin):
    (entry,) = distribution(package).entry_points.select(name=entry_point)
    sys.argv[1:] = argv
    entry.load()()
"""
"""How wheel tasks start, one after the other until one raises an error."""


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    python: Path
    site: Path

    def entry_points(self):
        """The distribution's name, and the names of its entry points."""
        (metadata,) = self.site.glob("*.dist-info")
        name = re.search(r"^Name: (.+)$", (metadata / "METADATA").read_text("utf-8"), re.MULTILINE)
        listed = ConfigParser()
        listed.read(metadata / "entry_points.txt", "utf-8")
        return name[1], frozenset(listed["console_scripts"])

    def start(self, *tasks, cwd, **env):
        """Start entry points as wheel tasks do, in one process, to be waited for or killed."""
        process = subprocess.Popen(
            [self.python, "-c", AS_TASKS],
            cwd=cwd,
            env=clean_environment(DATABRICKS_RUNTIME_VERSION="17.3", **env),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(json.dumps(tasks))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *tasks, cwd, **env):
        """The exit code of these tasks, and what they wrote to stderr."""
        process = self.start(*tasks, cwd=cwd, **env)
        _, said = process.communicate(timeout=400)
        return process.returncode, said
