"""``check``: what there is, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from evalkit.config_files import ProjectFiles
from evalkit.context import Workspace
from evalkit.dataset.cases import load_cases
from evalkit.dataset.mapping_file import find_mapping
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.feedback.review_file import parse_review, review_text
from evalkit.jsonable import Json
from evalkit.runs.run import executions
from evalkit.runs.run_dir import list_runs
from evalkit.tracking import experiment_problems, without_password

Report: TypeAlias = dict[str, Json]


def check(
    config: str | Path = "eval.yaml",
    *,
    tracking_uri: str | None = None,
    runs_dir: str | None = None,
) -> Report:
    """Look at everything and say what is wrong, without writing anything.

    Returns:
        ``config``, ``tracking_uri``, ``tracking_origin``, ``reachable``, ``asked`` (whether MLflow
        holds something that could be asked for), ``detail``, ``experiment``, ``cases``, ``runs``,
        ``logs`` and ``reviews`` (counts), ``run_ids``, ``open`` (of each run its ``run_id``,
        ``cases``, executions ``failed`` with their ``failures``, and whether it is ``reviewed`` and
        ``logged``, None where MLflow does not say), ``places`` (where ``cases``, ``runs`` and
        ``mapping`` were looked for), ``notes`` and ``problems``.
    """
    report: Report = {"config": str(config), "tracking_uri": "", "reachable": False}
    report |= {"experiment": "", "cases": 0, "runs": 0}
    try:
        workspace = Workspace.open(config, tracking_uri=tracking_uri, runs_dir=runs_dir)
    except InputError as error:
        return report | {"problems": [problem.as_dict() for problem in error.problems]}
    files, project = workspace.files, workspace.files.project
    problems: list[Problem] = list(project.advice)
    unread = ", ".join(project.unread)
    notes = [f"{files.config}: not read by evalkit: {unread}"] if unread else []
    places: Report = {"cases": "", "runs": list(map(str, files.run_homes)), "mapping": ""}
    cases = _count_cases(files, problems, notes, places)
    problems += experiment_problems(workspace.tracking.uri, project.experiment)
    runs = list_runs(files)
    logs, open_runs = _check_runs(workspace, runs, problems)
    try:
        mapping = find_mapping(workspace)
        places["mapping"] = str(mapping) if mapping.is_file() else ""
    except InputError:
        pass  # it is about the cases, and was noted there
    reachable, detail, logged = _ask(workspace)
    for each in open_runs:
        each["logged"] = None if logged is None else each["run_id"] in logged
    return report | {
        "config": str(files.config),
        "tracking_uri": without_password(workspace.tracking.uri),
        "tracking_origin": workspace.tracking.origin,
        "reachable": reachable,
        "asked": logged is not None,
        "detail": detail,
        "experiment": project.experiment,
        "cases": cases,
        "runs": len(runs),
        "run_ids": runs,
        "logs": logs,
        "reviews": sum(each["reviewed"] for each in open_runs),
        "open": open_runs,
        "places": places,
        "notes": notes,
        "problems": [problem.as_dict() for problem in problems],
    }


def _count_cases(
    files: ProjectFiles, problems: list[Problem], notes: list[str], places: Report
) -> int:
    """How many cases there are; what is to be said of them is added to the lists."""
    count = 0
    try:
        folder = files.cases_dir
        places["cases"] = str(folder)
        notes += files.notes
        for case in load_cases(folder):
            count += 1
            notes += case.notes
    except InputError as error:
        known = {problem.field for problem in problems}
        problems += [p for p in error.problems if not p.field or p.field not in known]
    return count


def _check_runs(
    workspace: Workspace, runs: list[str], problems: list[Problem]
) -> tuple[int, list[Report]]:
    """How many logs there are, and each run's state; what is wrong is added to the problems."""
    logs = 0
    states: list[Report] = []
    for run_id in runs:
        try:
            found = workspace.run(run_id)
            own = found.logs.values()
            logs += len(own)
            problems += [log.barred for log in own if log.barred is not None]
            problems += [why for log in own for why in log.passed_over]
            ended = executions(found.run)
            state: Report = {"run_id": run_id, "cases": len(found.run.cases)}
            state |= {"failed": ended["failed"], "failures": ended["names"], "reviewed": False}
            states.append(state)
            if text := review_text(found):
                parse_review(text, str(found.review))
                state["reviewed"] = True
        except InputError as error:
            problems += error.problems
    return logs, states


def _ask(workspace: Workspace) -> tuple[bool, str, set[str] | None]:
    """Whether MLflow can be worked with, what it says, and the runs that it holds.

    A server is asked with the login.
    """
    from evalkit.store import probe

    found = probe(workspace.tracking.uri)
    if not found.exists:
        return found.ok, found.detail, None
    project, logged = workspace.files.project, set()
    try:
        if experiment_id := workspace.store.experiment(project.experiment, create=False):
            stored = workspace.store.runs_of(experiment_id, project.name)
            logged = {each.params.get("run_id", "") for each in stored if each.status != "RUNNING"}
    except InputError:
        pass  # the experiment's name, which is a problem already
    except EvalkitError as error:
        return False, str(error), None
    return True, found.detail, logged
