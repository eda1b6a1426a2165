"""What is wrong with a bundle, as far as it can be told without a workspace.

The typed models of ``databricks-bundles`` know the fields of resources. The rest is here: the
fields around them, references, the shape of jobs, and whether entry points, notebooks and
parameters are those that the code has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databricks.bundles.jobs import Job

FIELDS = {
    "": "artifacts bundle include resources sync targets variables workspace",
    "artifacts.*": "type path build dynamic_version files executable",
    "bundle": "name databricks_cli_version uuid",
    "resources": "jobs",
    "sync": "include exclude paths",
    "targets.*": "mode default workspace run_as variables resources",
    "targets.*.run_as": "service_principal_name user_name",
    "targets.*.workspace": "host profile root_path artifact_path file_path",
    "variables.*": "description default type lookup",
}
"""The fields outside of resources; where the path says ``*``, names are free."""

KNOWN = {
    "bundle": {"name", "target"},
    "workspace": {"root_path", "file_path", "current_user.userName", "current_user.short_name"},
}
REFERENCE = re.compile(r"\$\{([A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*)+)\}")
DYNAMIC = re.compile(r"\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Code:
    """What the code has, as the bundle may use it.

    Attributes:
        package: The distribution's name.
        entry_points: The names of the wheel's entry points.
        stages: The parameters of each stage, by the stage's name.
        own: The parameters of the entry point itself.
        notebooks: The parameters of each exported notebook, by its path in the bundle.
    """

    package: str
    entry_points: frozenset[str]
    stages: Mapping[str, frozenset[str]]
    own: frozenset[str]
    notebooks: Mapping[str, frozenset[str]]


def problems(bundle: Mapping[str, Any], code: Code) -> list[str]:
    """Everything that is wrong, each in one line."""
    found = [*_fields(bundle), *_models(bundle), *_references(bundle)]
    for name, job in bundle.get("resources", {}).get("jobs", {}).items():
        found += [f"jobs.{name}: {said}" for said in JobCheck(job, code).problems()]
    return found


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in it, with the path that leads there."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from strings(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from strings(each, f"{path}[{number}]")
    elif isinstance(value, str):
        yield path, value


def _fields(bundle: Mapping[str, Any]) -> Iterator[str]:
    for pattern, allowed in FIELDS.items():
        for path, node in _nodes(bundle, pattern.split(".") if pattern else []):
            for key in sorted(set(node) - set(allowed.split())):
                yield f"{'.'.join([*path, key])}: there is no such field"


def _nodes(node: Any, pattern: list[str]) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    if not isinstance(node, Mapping):
        return
    if not pattern:
        yield [], node
        return
    for key in node if pattern[0] == "*" else set(pattern[:1]) & set(node):
        for path, found in _nodes(node[key], pattern[1:]):
            yield [key, *path], found


def _models(bundle: Mapping[str, Any]) -> Iterator[str]:
    for name, job in bundle["resources"]["jobs"].items():
        try:
            Job.from_dict(job)
        except (ValueError, TypeError) as error:
            yield f"jobs.{name}: {error}"


def _references(bundle: Mapping[str, Any]) -> Iterator[str]:
    declared = bundle.get("variables", {})
    used = set()
    for path, text in strings(bundle):
        if len(REFERENCE.findall(text)) != text.count("${"):
            yield f"{path}: {text!r} holds a malformed reference"
        for reference in REFERENCE.findall(text):
            root, _, rest = reference.partition(".")
            used.add(rest if root == "var" else "")
            if not _resolves(bundle, root, rest):
                yield f"{path}: ${{{reference}}} leads nowhere"
    for name in sorted(set(declared) - used):
        yield f"variables.{name}: is not used"
    for name, variable in declared.items():
        if "default" not in variable or "description" not in variable:
            yield f"variables.{name}: lacks its default or description"
    for target, settings in bundle.get("targets", {}).items():
        for name in sorted(set(settings.get("variables", {})) - set(declared)):
            yield f"targets.{target}.variables.{name}: is not declared"


def _resolves(bundle: Mapping[str, Any], root: str, rest: str) -> bool:
    if root == "var":
        return rest in bundle.get("variables", {})
    return rest in KNOWN.get(root, ())


@dataclass(frozen=True)
class JobCheck:
    """What is wrong with one job."""

    job: Mapping[str, Any]
    code: Code

    def problems(self) -> Iterator[str]:
        """Everything that is wrong, each in one line."""
        tasks = self.job.get("tasks", [])
        for key, count in Counter(task["task_key"] for task in tasks).items():
            if count > 1:
                yield f"there are {count} tasks {key}"
        if not self.job.get("timeout_seconds"):
            yield "has no timeout"
        if self.job.get("max_concurrent_runs") != 1:
            yield "may run beside itself, in the same folder"
        if not self.job.get("permissions"):
            yield "nobody but its owner may see it"
        if self.job.get("schedule", {}).get("pause_status"):
            yield "pause_status keeps a dev target from pausing it"
        for task in tasks:
            for said in self._task(task, in_loop=False):
                yield f"{task['task_key']}: {said}"

    @property
    def parameters(self) -> frozenset[str]:
        """The names of the job's parameters."""
        return frozenset(each["name"] for each in self.job.get("parameters", []))

    def _task(self, task: Mapping[str, Any], *, in_loop: bool) -> Iterator[str]:
        keys = {each["task_key"] for each in self.job["tasks"]}
        for upstream in task.get("depends_on", []):
            if upstream["task_key"] not in keys:
                yield f"depends on {upstream['task_key']}, which is not there"
        kinds = [key for key in task if key.endswith("_task")]
        if len(kinds) != 1:
            yield f"is of {len(kinds)} kinds"
        if "for_each_task" in task:
            yield from self._loop(task["for_each_task"])
            return
        yield from self._dynamic(task, in_loop=in_loop)
        if "condition_task" not in task:
            yield from self._compute(task)
        if "python_wheel_task" in task:
            yield from self._wheel(task["python_wheel_task"])
        if "notebook_task" in task:
            yield from self._notebook(task["notebook_task"])

    def _loop(self, loop: Mapping[str, Any]) -> Iterator[str]:
        yield from self._dynamic({"inputs": loop["inputs"]}, in_loop=False)
        if not loop.get("concurrency"):
            yield "has no bound on what runs side by side"
        yield from self._task(loop["task"], in_loop=True)

    def _compute(self, task: Mapping[str, Any]) -> Iterator[str]:
        environments = {each["environment_key"] for each in self.job.get("environments", [])}
        if task.get("environment_key") not in environments:
            yield f"runs in environment {task.get('environment_key')}, which is not there"
        may_retry = task.get("max_retries") != 0 or not task.get("disable_auto_optimization")
        if self._is_agent(task) and may_retry:
            yield "an agent that is retried spends again"

    @staticmethod
    def _is_agent(task: Mapping[str, Any]) -> bool:
        wheel = task.get("python_wheel_task", {}).get("named_parameters", {})
        notebook = task.get("notebook_task", {}).get("notebook_path", "")
        return "agent" in wheel.get("stages", "") or "agent" in notebook

    def _wheel(self, wheel: Mapping[str, Any]) -> Iterator[str]:
        given = wheel.get("named_parameters", {})
        if wheel["package_name"] != self.code.package:
            yield f"there is no package {wheel['package_name']}"
        if wheel["entry_point"] not in self.code.entry_points:
            yield f"the wheel has no entry point {wheel['entry_point']}"
        if wheel.get("parameters"):
            yield "parameters of the job reach named_parameters only"
        yield from self._overridden(given)
        stages = [name for name in given.get("stages", "").split(",") if name]
        for stage in stages:
            if stage not in self.code.stages:
                yield f"there is no stage {stage}"
        taken = [self.code.stages[stage] for stage in stages if stage in self.code.stages]
        theirs = self.code.own.union(*taken)
        for name in sorted(set(given) - theirs):
            yield f"{given.get('stages')} takes no {name}"
        anybodys = self.code.own.union(*self.code.stages.values())
        for name in sorted(self.parameters - anybodys):
            yield f"no stage takes the job's parameter {name}"

    def _notebook(self, notebook: Mapping[str, Any]) -> Iterator[str]:
        path = notebook["notebook_path"]
        if path not in self.code.notebooks:
            yield f"the bundle ships no {path}"
            return
        given = set(notebook.get("base_parameters", {}))
        yield from self._overridden(given)
        for name in sorted((given | self.parameters) - self.code.notebooks[path]):
            yield f"{path} has no parameter {name}"

    def _overridden(self, given: Any) -> Iterator[str]:
        for name in sorted(self.parameters & set(given)):
            yield f"the job's parameter {name} overrides the task's"

    def _dynamic(self, task: Mapping[str, Any], *, in_loop: bool) -> Iterator[str]:
        for _, text in strings(task):
            for name in DYNAMIC.findall(text):
                parameter = name.removeprefix("job.parameters.")
                fine = (
                    name in {"job.id", "job.run_id"}
                    or (name != parameter and parameter in self.parameters)
                    or (in_loop and name == "input")
                )
                if not fine:
                    yield f"{{{{{name}}}}} has no value"
