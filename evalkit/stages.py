"""The stages as a person or a program calls them: paths and names in, a report out.

Command line, notebooks and jobs all call these functions; each opens the parts it needs, runs the
flow and returns the stage's report, a dict of JSON values with the keys that the README lists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.adapters.files.project import ProjectFiles, read_cases
from evalkit.adapters.files.reading import inside, read_text, write_text
from evalkit.adapters.files.run import RunFiles, list_runs
from evalkit.core import mirror
from evalkit.core.dataset import Case, Record, StoredRecord
from evalkit.core.errors import EvalkitError, InputError, Problem, StoreAbsent
from evalkit.core.mapping.schema_mapping import (
    apply_mapping,
    check_mapping,
    files_named,
    mapping_text,
    parse_mapping,
)
from evalkit.core.masking import mask_text
from evalkit.core.review import parse_review, with_annotations
from evalkit.core.tracking import without_password
from evalkit.core.values import Json, canonical
from evalkit.workspace import Workspace

if TYPE_CHECKING:
    from evalkit.core.mapping.proposal import Proposal
    from evalkit.flows.mapping import By

Report = dict[str, Json]
Say = Callable[[str], None]
Tell = Callable[[str, Report | None], None]


def _silent(_: str) -> None:
    """Say nothing."""


MAPPING_FILE = "tmp/schema_mapping.json"

PREVIEW = 70
"""Characters of each value that the preview of the first case shows."""

Names: TypeAlias = Literal["auto", "seed"]
Source: TypeAlias = Literal["judge", "human", "all"]


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
            workspace.run(run_id).logs()
        except InputError as error:
            problems += error.problems
    return runs


def map_schema(
    workspace: Workspace,
    *,
    out: str | Path | None = None,
    by: By = "rules",
    model: str | None = None,
    force: bool = False,
) -> Report:
    """Propose which file and field of a case feeds which input or expectation, and save it.

    A file that says the same is left as it is; one that differs is kept unless ``force``.

    Args:
        workspace: The opened project.
        out: Where to save it; ``tmp/schema_mapping.json`` by default.
        by: ``rules`` read the schema's prose and the cases; ``claude`` asks the model, whose
            answer is checked against the files just the same.
        model: The Claude model; ``MODEL`` in the environment or ``.env``, or the newest, by
            default.
        force: Overwrite a file that says something else.

    Returns:
        ``inputs`` and ``expectations`` (name to selector), ``reasons``, ``coverage`` (selector to
        [cases in which it resolves, cases]) and ``file``.

    Raises:
        InputError: there are no cases, no key for Claude, or a file that differs is in the way.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    proposal = propose_mapping(workspace, by=by, model=model)
    return save_mapping(proposal, Path(out or MAPPING_FILE), force=force)


def save_mapping(proposal: Proposal, path: Path, *, force: bool = False) -> Report:
    """Save a proposal's mapping and report on it, as :func:`map_schema` does.

    Raises:
        InputError: it has no input, or a file that differs is in the way.
    """
    from evalkit.flows import mapping

    mapping.require_input(proposal)
    existing = read_text(path) if path.is_file() else None
    if mapping.must_write(existing, proposal.mapping, str(path), force=force):
        write_text(path, mapping_text(proposal.mapping))
    return mapping.report(proposal, str(path))


def propose_mapping(
    workspace: Workspace, *, by: By = "rules", model: str | None = None
) -> Proposal:
    """The proposal alone, with every choice and its reason; nothing is written.

    Raises:
        InputError: there are no cases, or no key for Claude.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    from evalkit.flows import mapping

    cases = list(read_cases(workspace.files.cases_dir))
    proposal = sketch_mapping(workspace, cases, by=by, model=model)
    mapping.require_input(proposal)
    return proposal


def sketch_mapping(
    workspace: Workspace, cases: Sequence[Case], *, by: By = "rules", model: str | None = None
) -> Proposal:
    """A proposal for a person to complete: it may be without an input.

    Raises:
        InputError: there are no cases, or no key for Claude.
        ModelError: Claude could not be asked or gave nothing usable.
    """
    from evalkit.flows import mapping

    project = workspace.files.project
    asked = None
    if by == "claude":
        from evalkit.adapters.claude import ClaudeMapper, settings_from_env
        from evalkit.adapters.files.env_file import ENV_FILE, read_env_file

        dotenv = read_env_file(Path(ENV_FILE))
        asked = ClaudeMapper(settings_from_env(os.environ, dotenv=dotenv, model=model))
    return mapping.sketch(
        project.schema,
        cases,
        project.arguments,
        "\n".join(judge.source for judge in project.judges),
        by=by,
        model=asked,
        mask=lambda text: mask_text(text)[0],
    )


def sync_dataset(
    workspace: Workspace,
    *,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    dry_run: bool = False,
    distinguish: bool = False,
    say: Say = _silent,
) -> Report:
    """Make the MLflow dataset mirror the cases on disk, and nothing but what evalkit put there.

    Args:
        workspace: The opened project.
        mapping: The schema mapping; ``tmp/schema_mapping.json`` by default.
        dataset_name: The dataset; the eval's name by default.
        dry_run: Show the changes, write nothing.
        distinguish: Add an input ``case_id``, so that cases with equal inputs stay apart.
        say: Told the preview and the progress, a line at a time.

    Returns:
        ``dataset``, and how many cases were ``created``, ``updated``, ``unchanged``, ``deleted``
        and ``skipped`` (somebody else's record has the same inputs); ``changes`` names them.

    Raises:
        InputError: config, mapping or cases are wrong, or cases have equal inputs.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    from evalkit.flows import sync

    project = workspace.files.project
    dataset = dataset_name or project.name
    plan = plan_sync(
        workspace, mapping=mapping, dataset_name=dataset_name, distinguish=distinguish, say=say
    )
    if not dry_run:
        sync.apply_sync(workspace.store, project.experiment, dataset, plan, say=say)
    return sync.report(dataset, plan) | {"dry_run": dry_run}


def plan_sync(
    workspace: Workspace,
    *,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    distinguish: bool = False,
    say: Say = _silent,
) -> mirror.Plan:
    """What :func:`sync_dataset` would change, case by case; nothing is written.

    Raises:
        InputError: config, mapping or cases are wrong, or cases have equal inputs.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    from evalkit.flows import sync

    project = workspace.files.project
    records = _records(workspace.files, Path(mapping or MAPPING_FILE), say)
    if distinguish:
        records = mirror.distinguish(records)
    mirror.refuse_equal_inputs(records)
    dataset = dataset_name or project.name
    return sync.preview_sync(workspace.store, project.experiment, dataset, records)


def read_dataset(workspace: Workspace, dataset_name: str | None = None) -> Sequence[StoredRecord]:
    """The dataset's rows as MLflow returns them; none where there is no such dataset yet.

    Raises:
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    project = workspace.files.project
    experiment_id = workspace.store.experiment(project.experiment, create=False)
    if not experiment_id:
        return ()
    return workspace.store.records(dataset_name or project.name, experiment_id) or ()


def dataset_url(workspace: Workspace) -> str | None:
    """Where a browser shows the dataset; None where there is none yet, or MLflow is a database.

    Raises:
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    experiment_id = workspace.store.experiment(workspace.files.project.experiment, create=False)
    return workspace.store.datasets_url(experiment_id) if experiment_id else None


def _records(files: ProjectFiles, path: Path, say: Say) -> list[Record]:
    """The records of all cases, once the mapping is sure to fit them; the first is previewed."""
    if not path.is_file():
        raise InputError(
            Problem("there is no mapping yet", str(path), fix="write it with `evalkit map`")
        )
    mapping = parse_mapping(read_text(path), str(path))
    cases = list(read_cases(files.cases_dir, only=files_named(mapping)))
    problems = check_mapping(mapping, cases, str(path))
    if problems:
        raise InputError(*problems)
    records = [apply_mapping(mapping, case)[0] for case in cases]
    for line in _preview(records[0]):
        say(line)
    return records


def _preview(record: Record) -> Iterator[str]:
    yield f"the first case, {record.case_id}, becomes"
    for part, values in (("inputs", record.inputs), ("expectations", record.expectations)):
        for name, value in values.items():
            text = value if isinstance(value, str) else canonical(value)
            line = " ".join(text.split())
            yield f"  {part}.{name}: {line[:PREVIEW]}{' …' if len(line) > PREVIEW else ''}"


def log_results(
    workspace: Workspace,
    *,
    run_id: str,
    names: Names = "auto",
    say: Say = _silent,
) -> Report:
    """Log a finished run: params, metrics, tags, artifacts, the table of scores, and the traces.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        names: ``seed`` names judge feedback ``{case_id}/{judge}`` on every trace; ``auto`` only
            on those that hold several cases.
        say: Told the progress, a line at a time.

    Returns:
        See :func:`evalkit.flows.log.log_results`.

    Raises:
        InputError: config or run are wrong.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    from evalkit.flows import log

    found = workspace.run(run_id)
    return log.log_results(found, workspace.store, seed_names=names == "seed", say=say)


def push_feedback(
    workspace: Workspace,
    *,
    run_id: str,
    source: Source = "all",
    names: Names = "auto",
    say: Say = _silent,
) -> Report:
    """Attach judges' scores and reviewers' comments to the traces of their cases.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        source: Push the judges' scores, people's comments, or both.
        names: As in :func:`log_results`.
        say: Told the progress, a line at a time.

    Returns:
        See :func:`evalkit.flows.feedback.push_feedback`.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    from evalkit.flows import feedback

    found = workspace.run(run_id)
    review = parse_review(review_text(found), str(found.review))
    return feedback.push_feedback(
        found, review, workspace.store, source=source, seed_names=names == "seed", say=say
    )


def pull_feedback(
    workspace: Workspace,
    *,
    run_id: str,
    say: Say = _silent,
) -> Report:
    """Bring what people said in MLflow into the run's ``review.yaml``, under ``mlflow_feedback``.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        say: Told the progress, a line at a time.

    Returns:
        ``traces`` looked at, ``annotations`` found, and the ``file``.

    Raises:
        InputError: config, run or ``review.yaml`` are wrong.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    from evalkit.flows import feedback

    found = workspace.run(run_id)
    before = review_text(found)
    parse_review(before, str(found.review))
    said, report = feedback.pull_feedback(found, workspace.store)
    after = with_annotations(before, str(found.review), said)
    if after != before:
        say(f"writing {found.review}")
        write_text(found.review, after)
    return report | {"file": str(found.review)}


def review_text(found: RunFiles) -> str:
    """The text of a run's ``review.yaml``; empty where there is none yet.

    Raises:
        InputError: it cannot be read, or leads out of the run directory.
    """
    return read_text(inside(found.review, found.folder)) if found.review.is_file() else ""


def run_all(
    workspace: Workspace,
    *,
    run_id: str,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    distinguish: bool = False,
    names: Names = "auto",
    say: Say = _silent,
    tell: Tell = lambda *_: None,
) -> Report:
    """Map if there is no mapping, sync, log, push; stop at the first stage that fails.

    Where MLflow is absent, the mapping is still written and the other stages are skipped.

    Args:
        workspace: The opened project.
        run_id: The run directory's name.
        mapping: The schema mapping; ``tmp/schema_mapping.json`` by default.
        dataset_name: The dataset; the eval's name by default.
        distinguish: As in :func:`sync_dataset`.
        names: As in :func:`log_results`.
        say: Told the progress, a line at a time.
        tell: Told each stage's name with None when it begins, with its report when it is done.

    Returns:
        Each stage's report, by the stage's name.

    Raises:
        EvalkitError: as the failing stage; ``report`` holds the reports of those before it.
    """
    workspace.run(run_id)  # a wrong run id is told before anything is written
    path = Path(mapping or MAPPING_FILE)
    steps: dict[str, Callable[[], Report]] = {
        "sync-dataset": lambda: sync_dataset(
            workspace, mapping=path, dataset_name=dataset_name, distinguish=distinguish, say=say
        ),
        "log-results": lambda: log_results(workspace, run_id=run_id, names=names, say=say),
        "push-feedback": lambda: push_feedback(workspace, run_id=run_id, names=names, say=say),
    }
    if not path.exists():
        steps = {"map": lambda: map_schema(workspace, out=path), **steps}
    return run_stages(steps, tell)


def run_stages(steps: Mapping[str, Callable[[], Report]], tell: Tell) -> Report:
    """Run stages in order; once MLflow is absent, the stages that are left are skipped unasked.

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
