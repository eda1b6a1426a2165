"""``check``: what there is, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

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
        return report | {"problems": [*map(asdict, error.problems)]}
    files, project = workspace.files, workspace.files.project
    problems: list[Problem] = list(project.advice)
    unread = ", ".join(project.unread)
    notes = [f"{files.config}: not read by evalkit: {unread}"] if unread else []
    places: Report = {"cases": "", "runs": list(map(str, files.run_homes)), "mapping": ""}
    with _collected(problems):
        folder = files.cases_dir
        places["cases"] = str(folder)
        notes += files.notes
        for case in load_cases(folder):
            report["cases"] += 1
            notes += case.notes
    with suppress(InputError):  # it is about the cases, and stands among the problems
        mapping = find_mapping(workspace)
        places["mapping"] = str(mapping) if mapping.is_file() else ""
    problems += experiment_problems(workspace.tracking.uri, project.experiment)
    runs = list_runs(files)
    reachable, detail, logged = _ask(workspace)
    states = [_state(workspace, run_id, logged, problems) for run_id in runs]
    return report | {
        "config": str(files.config),
        "tracking_uri": without_password(workspace.tracking.uri),
        "tracking_origin": workspace.tracking.origin,
        "reachable": reachable,
        "asked": logged is not None,
        "detail": detail,
        "experiment": project.experiment,
        "runs": len(runs),
        "run_ids": runs,
        "logs": sum(state.pop("logs", 0) for state in states),
        "reviews": sum(state.get("reviewed", False) for state in states),
        "open": [state for state in states if "cases" in state],
        "places": places,
        "notes": notes,
        "problems": [*map(asdict, problems)],
    }


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    """What is found wrong within is added, unless the same field has a problem already."""
    try:
        yield
    except InputError as error:
        known = {(each.file, each.field) for each in problems if each.field}
        problems += [each for each in error.problems if (each.file, each.field) not in known]


def _state(
    workspace: Workspace, run_id: str, logged: set[str] | None, problems: list[Problem]
) -> Report:
    """What there is of a run; without its cases where it cannot be read."""
    state: Report = {}
    with _collected(problems):
        found = workspace.run(run_id)
        logs, ended = found.logs.values(), executions(found.run)
        problems += [log.barred for log in logs if log.barred is not None]
        problems += [why for log in logs for why in log.passed_over]
        state |= {"run_id": run_id, "cases": len(found.run.cases), "logs": len(logs)}
        state |= {"failed": ended["failed"], "failures": ended["names"], "reviewed": False}
        state["logged"] = None if logged is None else run_id in logged
        if text := review_text(found):
            parse_review(text, str(found.review))
            state["reviewed"] = True
    return state


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
