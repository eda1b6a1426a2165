"""``sync-dataset``: the dataset in MLflow mirrors the cases: preview, apply, report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.context import Workspace
from evalkit.dataset.cases import load_cases
from evalkit.dataset.diff import SyncPlan, compare_records
from evalkit.dataset.mapping import (
    SIDES,
    SchemaMapping,
    apply_mapping,
    check_mapped,
    parse_mapping,
)
from evalkit.dataset.mapping_file import find_mapping
from evalkit.documents import scalar_text
from evalkit.entities import Record, StoredRecord, row_key
from evalkit.errors import InputError, Problem, StoreError, Unfinished
from evalkit.files import read_text
from evalkit.jsonable import Json
from evalkit.masking import mask_counted
from evalkit.truncation import truncate

if TYPE_CHECKING:
    from evalkit.store import Store

PREVIEW = 70
"""Characters of each value that the preview of the first case shows."""


def sync_dataset(
    workspace: Workspace,
    *,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    dry_run: bool = False,
    distinguish: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Json]:
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
        InputError: config, mapping or cases are wrong, or cases have equal inputs; or a workspace
            keeps a record otherwise than it was sent; it is written so.
        StoreAbsent: MLflow cannot be reached; nothing was written.
        StoreError: MLflow answered with an error; nothing was written.
        Unfinished: MLflow failed on the way; running again finishes.
    """
    plan = plan_sync(
        workspace, mapping=mapping, dataset_name=dataset_name, distinguish=distinguish, say=say
    )
    dataset = workspace.dataset_name(dataset_name)
    if not dry_run:
        experiment = workspace.files.project.experiment
        apply_sync(workspace.store, experiment, dataset, plan, say=say)
    return plan.report(dataset) | {"dry_run": dry_run}


def plan_sync(
    workspace: Workspace,
    *,
    mapping: str | Path | None = None,
    dataset_name: str | None = None,
    distinguish: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> SyncPlan:
    """What :func:`sync_dataset` would change, case by case; nothing is written."""
    records = _records(workspace, mapping, say)
    if distinguish:
        if any("case_id" in record.inputs for record in records):
            what = "there is an input case_id already, --distinguish cannot add one"
            raise InputError(Problem(what, field="inputs.case_id", fix="rename it in the mapping"))
        records = [replace(r, inputs={**r.inputs, "case_id": r.case_id}) for r in records]
    groups: dict[str, list[str]] = defaultdict(list)
    for record in records:
        groups[row_key(record.inputs)].append(record.case_id)
    fix = "change one of them, map a field that differs, or use --distinguish"
    kept = "have equal inputs; MLflow would keep only one"
    alike = [", ".join(cases) for cases in groups.values() if len(cases) > 1]
    if clashes := [Problem(f"cases {each} {kept}", field="inputs", fix=fix) for each in alike]:
        raise InputError(*clashes)
    return compare_records(records, read_dataset(workspace, dataset_name))


def apply_sync(
    store: Store,
    experiment: str,
    dataset: str,
    plan: SyncPlan,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Bring the planned changes about.

    New rows are written before old ones are deleted, so that a kill at any point leaves a state
    from which the same command finishes the work. Only a row that loses an expectation is deleted
    first where MLflow would merge the new one into it.
    """
    if plan.is_empty:
        return
    experiment_id = store.experiment(experiment, create=True)
    store.prepare_dataset(dataset, experiment_id)
    try:
        for delete, upsert in ((plan.delete_first, plan.upsert), (plan.delete_last, ())):
            store.apply_records(dataset, experiment_id, delete=delete, upsert=upsert, say=say)
    except StoreError as error:
        again = "The dataset may be half written; run the same command again to finish it."
        done = {"dataset": dataset, "planned": plan.counts}
        raise Unfinished(f"{error}\n{again}", done) from error


def read_dataset(workspace: Workspace, dataset_name: str | None = None) -> Sequence[StoredRecord]:
    """The dataset's rows as MLflow returns them; none where there is no such dataset yet."""
    dataset = workspace.dataset_name(dataset_name)  # wrong names come before any question
    experiment_id = workspace.store.experiment(workspace.files.project.experiment, create=False)
    return workspace.store.records(dataset, experiment_id) or ()


def dataset_url(workspace: Workspace) -> str | None:
    """Where a browser shows the dataset; None where there is none yet, or MLflow is a database."""
    experiment_id = workspace.store.experiment(workspace.files.project.experiment, create=False)
    return workspace.store.datasets_url(experiment_id) if experiment_id else None


def _records(
    workspace: Workspace, named: str | Path | None, say: Callable[[str], None]
) -> list[Record]:
    """The records of all cases, once the mapping is sure to fit them; the first is previewed."""
    files, path = workspace.files, Path(named) if named else find_mapping(workspace)
    folder = files.cases_dir  # a folder that is not there is why nothing could be mapped
    mapping = _mapping(workspace, path, say, named=bool(named))
    notes, mapped = list(files.notes), []
    for case in load_cases(folder, only=mapping.files):
        notes += case.notes
        mapped.append(apply_mapping(mapping, case))
    for note in notes:
        say(note)
    if problems := check_mapped(mapping, mapped, str(path)):
        raise InputError(*problems)
    places: Counter[str] = Counter()
    records = [
        Record(
            mask_counted(each.record.case_id, places, "case ids"),
            mask_counted(dict(each.record.inputs), places, "inputs"),
            mask_counted(dict(each.record.expectations), places, "expectations"),
        )
        for each in mapped
    ]
    say(f"the first case, {records[0].case_id}, becomes")
    for part in SIDES:
        for name, value in getattr(records[0], part).items():
            say(f"  {part}.{name}: {truncate(scalar_text(value), PREVIEW)}")
    if places:
        masked = ", ".join(f"{count} in {part}" for part, count in places.items())
        say(f"secrets are masked: {masked}")
    return records


def _mapping(
    workspace: Workspace, path: Path, say: Callable[[str], None], *, named: bool
) -> SchemaMapping:
    """The mapping in a file; one of another eval is only taken where it was named."""
    if not path.is_file():
        fix = "write it with `evalkit map`"
        raise InputError(Problem("there is no mapping yet", str(path), fix=fix))
    mapping, own = parse_mapping(read_text(path), str(path)), workspace.files.project.name
    if mapping.evaluation not in {"", own}:
        what = f"is the mapping of the eval {mapping.evaluation!r}, not of {own!r}"
        if not named:
            fix = "write this one's with `evalkit map --force`, or name the file with --mapping"
            raise InputError(Problem(what, str(path), fix=fix))
        say(f"{path} {what}")
    elif not named and path != workspace.mapping_file:
        say(f"{path} does not say whose mapping it is; it fits all cases and is taken")
    return mapping
