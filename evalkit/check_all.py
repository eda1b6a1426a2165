"""``check``: what there is, and what is wrong with it; ``all``: one stage after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from evalkit.context import Workspace
from evalkit.dataset.cases import load_cases
from evalkit.dataset.mapping_file import find_mapping, map_schema
from evalkit.dataset.sync import sync_dataset
from evalkit.entities import WHOLE_TAG
from evalkit.errors import EvalkitError, InputError, Problem, StoreAbsent
from evalkit.feedback.push_pull import Names, push_feedback
from evalkit.feedback.review_file import parse_review, review_text
from evalkit.jsonable import Json
from evalkit.log_run import log_results
from evalkit.runs.run import executions
from evalkit.runs.run_dir import list_runs
from evalkit.tracking import experiment_problems, without_password

Report: TypeAlias = dict[str, Json]
Tell: TypeAlias = Callable[[str, Report | None], None]


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
    """Whether MLflow, asked with the login, can be worked with; what it says; whole runs in it."""
    from evalkit.store import probe

    found = probe(workspace.tracking.uri)
    if not found.exists:
        return found.ok, found.detail, None
    project, logged = workspace.files.project, set()
    try:
        if experiment_id := workspace.store.experiment(project.experiment, create=False):
            stored = workspace.store.runs_of(experiment_id, project.name)
            logged = {each.params.get("run_id", "") for each in stored if WHOLE_TAG in each.tags}
    except InputError:
        pass  # the experiment's name, which is a problem already
    except EvalkitError as error:
        return False, str(error), None
    return True, found.detail, logged


def run_all(
    workspace: Workspace,
    *,
    run_id: str,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    distinguish: bool = False,
    names: Names = "auto",
    say: Callable[[str], None] = lambda _: None,
    tell: Tell = lambda *_: None,
) -> Report:
    """Map if there is no mapping, sync, log, push; stop at the first stage that fails.

    Where MLflow is absent, the mapping is still written and the other stages are skipped.
    Arguments are the stages' own; ``tell`` as :func:`run_stages` has it, which also says what is
    returned and raised.
    """
    workspace.run(run_id)  # a wrong run id is told before anything is written
    path = Path(mapping) if mapping else find_mapping(workspace)
    steps: dict[str, Callable[[], Report]] = {
        "sync-dataset": lambda: sync_dataset(
            workspace, mapping=mapping, dataset_name=dataset_name, distinguish=distinguish, say=say
        ),
        "log-results": lambda: log_results(
            workspace, run_id=run_id, names=names, dataset_name=dataset_name, say=say
        ),
        "push-feedback": lambda: push_feedback(workspace, run_id=run_id, names=names, say=say),
    }
    if not path.exists():
        steps = {"map": lambda: map_schema(workspace, out=path), **steps}
    return run_stages(steps, tell)


def run_stages(steps: Mapping[str, Callable[[], Report]], tell: Tell = lambda *_: None) -> Report:
    """Run stages in order; once MLflow is absent, the stages that are left are skipped unasked.

    Args:
        steps: What each stage does, by its name.
        tell: Is told each stage's name with None when it begins, with its report when it is done.

    Returns:
        Each stage's report, by the stage's name.

    Raises:
        EvalkitError: as the failing stage; ``report`` holds the reports so far.
    """
    reports: Report = {}
    absent: Report | None = None
    for name, step in steps.items():
        if absent is not None:
            reports[name] = absent
            continue
        tell(name, None)
        try:
            reports[name] = step()
        except StoreAbsent as error:
            reports[name] = absent = {"skipped": True, "reason": str(error)}
        except EvalkitError as error:
            error.report = {**reports, name: {**error.report, "error": str(error)}}
            raise
        tell(name, reports[name])
    return reports
