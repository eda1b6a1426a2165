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
        ``config``, ``tracking_uri``, ``tracking_origin``, ``reachable``, ``detail``,
        ``experiment``, ``cases``, ``runs``, ``logs`` and ``reviews`` (counts), ``run_ids``,
        ``places`` (where ``cases``, ``runs`` and ``mapping`` were looked for), ``notes`` and
        ``problems``.
    """
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
    files, project = workspace.files, workspace.files.project
    problems: list[Problem] = list(project.advice)
    notes = [f"{files.config}: not read by evalkit: {', '.join(project.unread)}"]
    notes = notes if project.unread else []
    places: Report = {"cases": "", "runs": list(map(str, files.run_homes)), "mapping": ""}
    cases = _count_cases(files, problems, notes, places)
    problems += experiment_problems(workspace.tracking.uri, project.experiment)
    runs = list_runs(files)
    logs, reviews = _check_runs(workspace, runs, problems)
    try:
        mapping = find_mapping(workspace)
        places["mapping"] = str(mapping) if mapping.is_file() else ""
    except InputError:
        pass  # it is about the cases, and was noted there
    reachable, detail = _ask(workspace)
    return {
        "config": str(files.config),
        "tracking_uri": without_password(workspace.tracking.uri),
        "tracking_origin": workspace.tracking.origin,
        "reachable": reachable,
        "detail": detail,
        "experiment": project.experiment,
        "cases": cases,
        "runs": len(runs),
        "run_ids": runs,
        "logs": logs,
        "reviews": reviews,
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


def _check_runs(workspace: Workspace, runs: list[str], problems: list[Problem]) -> tuple[int, int]:
    """How many logs and reviews there are; what is wrong with them is added to the problems."""
    logs = reviews = 0
    for run_id in runs:
        try:
            found = workspace.run(run_id)
            own = found.logs.values()
            logs += len(own)
            problems += [log.barred for log in own if log.barred is not None]
            problems += [why for log in own for why in log.passed_over]
            if text := review_text(found):
                parse_review(text, str(found.review))
                reviews += 1
        except InputError as error:
            problems += error.problems
    return logs, reviews


def _ask(workspace: Workspace) -> tuple[bool, str]:
    """Whether MLflow can be worked with, and what it says; a server is asked with the login."""
    from evalkit.store import probe

    found = probe(workspace.tracking.uri)
    if not found.ok or found.version is None:
        return found.ok, found.detail
    try:
        workspace.store.experiment(workspace.files.project.experiment, create=False)
    except InputError:
        pass  # the experiment's name, which is a problem already
    except EvalkitError as error:
        return False, str(error)
    return True, found.detail
