"""``sync-dataset``: the dataset in MLflow mirrors the cases: compare, preview, apply, report.

MLflow keys records by their inputs and merges expectations key by key. So a renamed case keeps
its row, an edited prompt needs a new one, and a row whose expectations lost a key has to go before
it is written anew. Rows that evalkit did not make are nobody's business here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.context import Workspace
from evalkit.dataset.cases import load_cases
from evalkit.dataset.mapping import SIDES, apply_mapping, check_mapped
from evalkit.dataset.mapping_file import chosen_mapping
from evalkit.documents import scalar_text
from evalkit.entities import CASE_TAG, Record, StoredRecord, row_key
from evalkit.errors import InputError, Problem, StoreError, Unfinished
from evalkit.jsonable import Json, truncate
from evalkit.masking import mask_counted

if TYPE_CHECKING:
    from evalkit.store import Store

Kind: TypeAlias = Literal["created", "updated", "unchanged", "deleted", "skipped"]

_Rows = defaultdict[str, list[StoredRecord]]
KINDS: tuple[Kind, ...] = ("created", "updated", "deleted", "skipped", "unchanged")
"""In the order in which a person wants to see them."""

PREVIEW = 70  # characters of each value that the preview of the first case shows


@dataclass(frozen=True, slots=True)
class CaseChange:
    """What happens to one case: ``skipped`` where somebody else's row has the same inputs.

    Without a row in MLflow there is no ``before``, without a case on disk no ``after``.
    """

    kind: Kind
    case_id: str
    before: StoredRecord | None = None
    after: Record | None = None

    @property
    def renamed_from(self) -> str | None:
        """The name that the case had when its row was written; None where it is the same."""
        was = self.before.tags.get(CASE_TAG) if self.before else None
        return was if was != self.case_id else None

    @property
    def edited(self) -> list[str]:
        """The names of the fields that differ; none where the row is new or goes."""
        return [name for name, _, _ in self.fields()] if self.before and self.after else []

    def fields(self) -> Iterator[tuple[str, Json, Json]]:
        """Each field that differs: its name, the value before, the value after."""
        for side in SIDES:
            old, new = getattr(self.before, side, {}), getattr(self.after, side, {})
            for name in sorted({*old, *new}):
                is_same = (name in old) == (name in new)
                if not is_same or row_key(old.get(name)) != row_key(new.get(name)):
                    yield f"{side}.{name}", old.get(name), new.get(name)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """All changes by case id, and the writing that brings them about, in its order.

    Row ids to delete before writing, since merging would keep their dropped keys; records to write;
    and row ids to delete when the new rows stand, so that a kill loses no case.
    """

    changes: tuple[CaseChange, ...]
    delete_first: tuple[str, ...]
    upsert: tuple[Record, ...]
    delete_last: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many cases each kind of change happens to."""
        found = Counter(change.kind for change in self.changes)
        return {kind: found[kind] for kind in KINDS}

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be written."""
        return not (self.delete_first or self.upsert or self.delete_last)


def compare_records(records: Sequence[Record], stored: Sequence[StoredRecord]) -> SyncPlan:
    """Compare the cases on disk, no two of equal inputs, with the rows in MLflow, anybody's."""
    foreign = {row_key(row.inputs) for row in stored if CASE_TAG not in row.tags}
    by_case, by_inputs = _Rows(list), _Rows(list)
    for row in sorted(stored, key=lambda row: row.record_id):
        if case_id := row.tags.get(CASE_TAG):
            by_case[case_id].append(row)
            by_inputs[row_key(row.inputs)].append(row)  # a workspace may hold equal ones twice
    changes, first = [], []
    for record in records:
        key = row_key(record.inputs)
        own, alike = by_case[record.case_id], by_inputs.pop(key, [])
        before = next(iter([*alike, *own]), None)
        kind: Kind = "updated" if before else "created"
        if not alike and key in foreign:
            kind = "skipped"
        elif alike == own and len(own) == 1:
            is_same = row_key(own[0].expectations) == row_key(record.expectations)
            kind = "unchanged" if is_same else "updated"
        changes.append(CaseChange(kind, record.case_id, before, record))
        loses = alike and set(alike[0].expectations) - set(record.expectations)
        if loses and kind == "updated":  # MLflow would merge the record into the row
            first += [row.record_id for row in alike]
    gone = [row for rows in by_inputs.values() for row in rows]
    on_disk = {record.case_id for record in records}
    left = {row.tags[CASE_TAG] for row in gone} - on_disk
    changes += [CaseChange("deleted", case_id, by_case[case_id][0]) for case_id in left]
    return SyncPlan(
        changes=tuple(sorted(changes, key=lambda change: change.case_id)),
        delete_first=tuple(first),
        upsert=tuple(c.after for c in changes if c.kind in {"created", "updated"} and c.after),
        delete_last=tuple(row.record_id for row in gone),
    )


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
        mapping: The schema mapping; by default what :func:`chosen_mapping` finds.
        dataset_name: The dataset; the eval's name by default, as :meth:`Workspace.dataset_name` has
            it.
        dry_run: Show the changes, write nothing.
        distinguish: Add an input ``case_id``, so that cases with equal inputs stay apart.
        say: Told the preview and the progress, a line at a time.

    Returns:
        ``dataset``, and how many cases were ``created``, ``updated``, ``unchanged``, ``deleted``
        and ``skipped`` (somebody else's record has the same inputs); ``changes`` names all but the
        unchanged: ``{case, kind, fields}``, and ``renamed_from`` where it had another name before.

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
    changes = [
        {"case": each.case_id, "kind": each.kind, "fields": each.edited}
        | ({"renamed_from": each.renamed_from} if each.renamed_from else {})
        for each in plan.changes
        if each.kind != "unchanged"
    ]
    return {"dataset": dataset, **plan.counts, "changes": changes, "dry_run": dry_run}


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
    return workspace.store.url(experiment_id, "datasets") if experiment_id else None


def _records(
    workspace: Workspace, named: str | Path | None, say: Callable[[str], None]
) -> list[Record]:
    """The records of all cases, once the mapping is sure to fit them; the first is previewed."""
    files = workspace.files
    notes = files.notes  # a folder that is not there is why nothing could be mapped
    path, mapping = chosen_mapping(workspace, named, say)
    mapped = []
    for case in load_cases(files.cases_dir, only=mapping.files):
        notes = [*notes, *case.notes]
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
    for side in SIDES:
        for name, value in getattr(records[0], side).items():
            say(f"  {side}.{name}: {truncate(scalar_text(value), PREVIEW)}")
    if places:
        masked = ", ".join(f"{count} in {part}" for part, count in places.items())
        say(f"secrets are masked: {masked}")
    return records
