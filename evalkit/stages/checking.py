"""``check``: what there is, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from evalkit.adapters.files.project import ProjectFiles, read_cases
from evalkit.adapters.files.run import list_runs
from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import experiment_problems, without_password
from evalkit.stages.speaking import Report
from evalkit.workspace import Workspace


def check(
    config: str | Path = "eval.yaml",
    *,
    tracking_uri: str | None = None,
    runs_dir: str | None = None,
) -> Report:
    """Look at everything and say what is wrong, without writing anything.

    Returns:
        ``config``, ``tracking_uri``, ``tracking_origin``, ``reachable``, ``detail``,
        ``experiment``, ``cases`` and ``runs`` (counts), ``run_ids`` and ``problems``.
    """
    from evalkit.adapters.store import probe

    try:
        workspace = Workspace.open(config, tracking_uri=tracking_uri, runs_dir=runs_dir)
    except InputError as error:
        return {
            "config": str(config),
            "tracking_uri": "",
            "reachable": False,
            "experiment": "",
            "cases": 0,
            "runs": 0,
            "problems": [problem.as_dict() for problem in error.problems],
        }
    project = workspace.files.project
    problems: list[Problem] = list(project.advice)
    cases = _count_cases(workspace.files, problems)
    problems += experiment_problems(workspace.tracking.uri, project.experiment)
    runs = _check_runs(workspace, problems)
    reachability = probe(workspace.tracking.uri)
    return {
        "config": str(workspace.files.config),
        "tracking_uri": without_password(workspace.tracking.uri),
        "tracking_origin": workspace.tracking.origin,
        "reachable": reachability.ok,
        "detail": reachability.detail,
        "experiment": project.experiment,
        "cases": cases,
        "runs": len(runs),
        "run_ids": runs,
        "problems": [problem.as_dict() for problem in problems],
    }


def _count_cases(files: ProjectFiles, problems: list[Problem]) -> int:
    """How many cases there are; what is wrong with them is added to ``problems``."""
    count = 0
    try:
        for _ in read_cases(files.cases_dir):
            count += 1
    except InputError as error:
        known = {problem.field for problem in problems}
        problems += [p for p in error.problems if not p.field or p.field not in known]
    return count


def _check_runs(workspace: Workspace, problems: list[Problem]) -> list[str]:
    runs = list_runs(workspace.files)
    for run_id in runs:
        try:
            logs = workspace.run(run_id).logs()
            problems += [log.barred for log in logs if log.barred is not None]
        except InputError as error:
            problems += error.problems
    return runs
