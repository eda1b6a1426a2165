"""What has to change so that an MLflow dataset holds exactly the cases on disk.

MLflow keys records by their inputs and merges expectations key by key. So a renamed case keeps
its row, an edited prompt needs a new one, and a row whose expectations lost a key has to go before
it is written anew. Rows that evalkit did not make are nobody's business here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.entities import CASE_TAG, Record, StoredRecord, row_key
from evalkit.jsonable import Json

Kind: TypeAlias = Literal["created", "updated", "unchanged", "deleted", "skipped"]

KINDS: tuple[Kind, ...] = ("created", "updated", "deleted", "skipped", "unchanged")
"""In the order in which a person wants to see them."""


@dataclass(frozen=True, slots=True)
class CaseChange:
    """What happens to one case.

    Attributes:
        kind: ``skipped`` where somebody else's row has the same inputs.
        case_id: The case.
        before: Its row in MLflow; None where it has none.
        after: Its record; None where the case is gone from disk.
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
        for part in ("inputs", "expectations"):
            old, new = getattr(self.before, part, {}), getattr(self.after, part, {})
            for name in sorted({*old, *new}):
                is_same = (name in old) == (name in new)
                if not is_same or row_key(old.get(name)) != row_key(new.get(name)):
                    yield f"{part}.{name}", old.get(name), new.get(name)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """All changes, and the writing that brings them about, in its order.

    Attributes:
        changes: One for each case on disk and each row whose case is gone, by case id.
        delete_first: Row ids to delete before writing: merging would keep their dropped keys.
        upsert: Records to write.
        delete_last: Row ids to delete when the new rows stand, so that a kill loses no case.
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

    def report(self, dataset: str) -> dict[str, Json]:
        """The stage's report; ``changes`` leaves out the unchanged.

        Each is ``{case, kind, fields}``, and ``renamed_from`` where it had another name before.
        """
        changes = [
            {"case": each.case_id, "kind": each.kind, "fields": each.edited}
            | ({"renamed_from": each.renamed_from} if each.renamed_from else {})
            for each in self.changes
            if each.kind != "unchanged"
        ]
        return {"dataset": dataset, **self.counts, "changes": changes}


def compare_records(records: Sequence[Record], stored: Sequence[StoredRecord]) -> SyncPlan:
    """Compare the cases on disk with the rows in MLflow.

    Args:
        records: What the cases on disk become, no two of equal inputs.
        stored: The rows, whoever made them.
    """
    ours = [row for row in stored if CASE_TAG in row.tags]
    # a Databricks workspace may hold rows of equal inputs twice: the one of the smallest id counts
    one_each = sorted(ours, key=lambda row: row.record_id, reverse=True)
    by_inputs = {row_key(row.inputs): row for row in one_each}
    alike = Counter(row_key(row.inputs) for row in ours)
    foreign = {row_key(row.inputs) for row in stored if CASE_TAG not in row.tags}
    by_case: dict[str, list[StoredRecord]] = defaultdict(list)
    for row in ours:
        by_case[row.tags[CASE_TAG]].append(row)
    changes, first = [], []
    for record in records:
        key, own = row_key(record.inputs), by_case[record.case_id]
        there = by_inputs.get(key)
        kind: Kind = "updated" if own or there else "created"
        if there is None and key in foreign:
            kind = "skipped"
        elif there and len(own) == 1 == alike[key] and there in own:
            is_same = row_key(there.expectations) == row_key(record.expectations)
            kind = "unchanged" if is_same else "updated"
        changes.append(CaseChange(kind, record.case_id, there or next(iter(own), None), record))
        loses = there and set(there.expectations) - set(record.expectations)
        if loses and kind == "updated":  # MLflow would merge the record into the row
            first += [row.record_id for row in ours if row_key(row.inputs) == key]
    kept = {row_key(record.inputs) for record in records}
    gone = [row for row in ours if row_key(row.inputs) not in kept]
    on_disk = {record.case_id for record in records}
    left = {row.tags[CASE_TAG]: by_case[row.tags[CASE_TAG]][0] for row in gone}
    changes += [
        CaseChange("deleted", case, row) for case, row in left.items() if case not in on_disk
    ]
    return SyncPlan(
        changes=tuple(sorted(changes, key=lambda change: change.case_id)),
        delete_first=tuple(first),
        upsert=tuple(c.after for c in changes if c.kind in {"created", "updated"} and c.after),
        delete_last=tuple(row.record_id for row in gone),
    )
