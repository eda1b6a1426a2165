"""``sync-dataset``: the dataset in MLflow mirrors the cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evalkit.adapters.files.project import read_cases
from evalkit.adapters.files.reading import read_text
from evalkit.context import Workspace
from evalkit.core import mirror
from evalkit.core.dataset import Record, StoredRecord
from evalkit.core.mapping.mapping import (
    apply_mapping,
    check_mapping,
    files_named,
    parse_mapping,
)
from evalkit.core.masking import mask_counted
from evalkit.errors import InputError, Problem
from evalkit.jsonable import canonical
from evalkit.stages.mapping import find_mapping
from evalkit.stages.speaking import Report, Say, silent

PREVIEW = 70
"""Characters of each value that the preview of the first case shows."""


def sync_dataset(
    workspace: Workspace,
    *,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    dry_run: bool = False,
    distinguish: bool = False,
    say: Say = silent,
) -> Report:
    """Make the MLflow dataset mirror the cases on disk, and nothing but what evalkit put there.

    Args:
        workspace: The opened project.
        mapping: The schema mapping; by default what :func:`find_mapping` finds.
        dataset_name: The dataset; the eval's name by default, as :meth:`Workspace.dataset_name` has
            it.
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
    dataset = workspace.dataset_name(dataset_name)
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
    say: Say = silent,
) -> mirror.Plan:
    """What :func:`sync_dataset` would change, case by case; nothing is written.

    Raises:
        InputError: config, mapping or cases are wrong, or cases have equal inputs.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    from evalkit.flows import sync

    project = workspace.files.project
    records = _records(workspace, mapping, say)
    if distinguish:
        records = mirror.distinguish(records)
    mirror.refuse_equal_inputs(records)
    dataset = workspace.dataset_name(dataset_name)
    return sync.preview_sync(workspace.store, project.experiment, dataset, records)


def read_dataset(workspace: Workspace, dataset_name: str | None = None) -> Sequence[StoredRecord]:
    """The dataset's rows as MLflow returns them; none where there is no such dataset yet.

    Raises:
        InputError: the name is not one that this MLflow can have.
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    project = workspace.files.project
    experiment_id = workspace.store.experiment(project.experiment, create=False)
    if not experiment_id:
        return ()
    return workspace.store.records(workspace.dataset_name(dataset_name), experiment_id) or ()


def dataset_url(workspace: Workspace) -> str | None:
    """Where a browser shows the dataset; None where there is none yet, or MLflow is a database.

    Raises:
        StoreAbsent: MLflow cannot be reached.
        StoreError: MLflow answered with an error.
    """
    experiment_id = workspace.store.experiment(workspace.files.project.experiment, create=False)
    return workspace.store.datasets_url(experiment_id) if experiment_id else None


def _records(workspace: Workspace, named: str | Path | None, say: Say) -> list[Record]:
    """The records of all cases, once the mapping is sure to fit them; the first is previewed."""
    files, path = workspace.files, Path(named) if named else find_mapping(workspace)
    folder = files.cases_dir  # a folder that is not there is why nothing could be mapped
    if not path.is_file():
        raise InputError(
            Problem("there is no mapping yet", str(path), fix="write it with `evalkit map`")
        )
    mapping = parse_mapping(read_text(path), str(path))
    if mapping.evaluation not in {"", files.project.name}:
        what = f"is the mapping of the eval {mapping.evaluation!r}, not of {files.project.name!r}"
        if not named:
            fix = "write this one's with `evalkit map --force`, or name the file with --mapping"
            raise InputError(Problem(what, str(path), fix=fix))
        say(f"{path} {what}")
    elif not named and path != workspace.mapping_file:
        say(f"{path} does not say whose mapping it is; it fits all cases and is taken")
    cases = list(read_cases(folder, only=files_named(mapping)))
    for note in (*files.notes, *(note for case in cases for note in case.notes)):
        say(note)
    problems = check_mapping(mapping, cases, str(path))
    if problems:
        raise InputError(*problems)
    places: Counter[str] = Counter()
    records = [_masked(apply_mapping(mapping, case)[0], places) for case in cases]
    for line in _preview(records[0]):
        say(line)
    if places:
        told = ", ".join(f"{count} in {part}" for part, count in places.items())
        say(f"secrets are masked: {told}")
    return records


def _masked(record: Record, places: Counter[str]) -> Record:
    return replace(
        record,
        case_id=mask_counted(record.case_id, places, "case ids"),
        inputs=mask_counted(dict(record.inputs), places, "inputs"),
        expectations=mask_counted(dict(record.expectations), places, "expectations"),
    )


def _preview(record: Record) -> Iterator[str]:
    yield f"the first case, {record.case_id}, becomes"
    for part, values in (("inputs", record.inputs), ("expectations", record.expectations)):
        for name, value in values.items():
            text = value if isinstance(value, str) else canonical(value)
            line = " ".join(text.split())
            yield f"  {part}.{name}: {line[:PREVIEW]}{' …' if len(line) > PREVIEW else ''}"
