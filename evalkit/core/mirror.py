"""What has to change so that an MLflow dataset holds exactly the cases on disk.

MLflow keys records by their inputs and merges expectations key by key. So a renamed case keeps
its row, an edited prompt needs a new one, and a row whose expectations lost a key has to go before
it is written anew. Rows that evalkit did not make are nobody's business here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from evalkit.core.dataset import Record, StoredRecord
from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json, canonical, derive_id

CASE_TAG = "evalkit.case"
"""Record tag that holds the case id; rows without it are not evalkit's."""

Kind: TypeAlias = Literal["created", "updated", "unchanged", "deleted", "skipped"]

KINDS: tuple[Kind, ...] = ("created", "updated", "deleted", "skipped", "unchanged")
"""In the order in which a person wants to see them."""


@dataclass(frozen=True, slots=True)
class Change:
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

    def edited(self) -> list[str]:
        """The names of the fields that differ; none where the row is new or goes."""
        return [name for name, _, _ in self.fields()] if self.before and self.after else []

    def fields(self) -> Iterator[tuple[str, Json, Json]]:
        """Each field that differs: its name, the value before, the value after."""
        for part in ("inputs", "expectations"):
            old: Mapping[str, Json] = getattr(self.before, part, {})
            new: Mapping[str, Json] = getattr(self.after, part, {})
            for name in sorted(set(old) | set(new)):
                if row_key(old.get(name)) != row_key(new.get(name)) or (name in old) != (
                    name in new
                ):
                    yield f"{part}.{name}", old.get(name), new.get(name)


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, and the writing that brings them about, in its order.

    Attributes:
        changes: One for each case on disk and each row whose case is gone, by case id.
        delete_first: Row ids to delete before writing: merging would keep their dropped keys.
        upsert: Records to write.
        delete_last: Row ids to delete when the new rows stand, so that a kill loses no case.
    """

    changes: tuple[Change, ...]
    delete_first: tuple[str, ...]
    upsert: tuple[Record, ...]
    delete_last: tuple[str, ...]

    def count(self, kind: Kind) -> int:
        """How many cases the change of that kind happens to."""
        return sum(change.kind == kind for change in self.changes)

    @property
    def telling_first(self) -> tuple[Change, ...]:
        """The changes, those that write something before those that do not."""
        return tuple(sorted(self.changes, key=lambda change: KINDS.index(change.kind)))

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be written."""
        return not (self.delete_first or self.upsert or self.delete_last)


def plan_mirror(
    records: Sequence[Record], stored: Sequence[StoredRecord], *, replaces: bool = False
) -> Plan:
    """Compare the cases on disk with the rows in MLflow.

    Args:
        records: What the cases on disk become.
        stored: The rows, whoever made them.
        replaces: Whether a record that is written takes its row's place, so that nothing has to be
            deleted before; otherwise MLflow merges it into the row.

    Raises:
        InputError: two cases have equal inputs, which MLflow would merge into one row.
    """
    refuse_equal_inputs(records)
    ours = [row for row in stored if CASE_TAG in row.tags]
    # a Databricks workspace may hold rows of equal inputs twice: the one of the smallest id counts
    one_each = sorted(ours, key=lambda row: row.record_id, reverse=True)
    by_inputs = {row_key(row.inputs): row for row in one_each}
    alike = Counter(row_key(row.inputs) for row in ours)
    foreign = {row_key(row.inputs): row for row in stored if CASE_TAG not in row.tags}
    by_case: dict[str, list[StoredRecord]] = defaultdict(list)
    for each in ours:
        by_case[each.tags[CASE_TAG]].append(each)

    changes: list[Change] = []
    first: list[str] = []
    for record in records:
        row: StoredRecord | None = by_inputs.get(row_key(record.inputs))
        other = foreign.get(row_key(record.inputs))
        before = row or next(iter(by_case[record.case_id]), None)
        taken = row is None and other is not None
        is_only = len(by_case[record.case_id]) == 1 == alike[row_key(record.inputs)]
        kind = _kind(record, row, by_case[record.case_id], taken=taken, is_only=is_only)
        changes.append(Change(kind, record.case_id, before, record))
        if (
            kind == "updated"
            and not replaces
            and row is not None
            and set(row.expectations) - set(record.expectations)
        ):
            first.append(row.record_id)

    kept = {row_key(record.inputs) for record in records}
    gone = [row for row in ours if row_key(row.inputs) not in kept]
    on_disk = {record.case_id for record in records}
    changes += [
        Change("deleted", case_id, rows[0])
        for case_id, rows in by_case.items()
        if case_id not in on_disk and any(row in gone for row in rows)
    ]
    return Plan(
        changes=tuple(sorted(changes, key=lambda change: change.case_id)),
        delete_first=tuple(first),
        upsert=tuple(c.after for c in changes if c.kind in {"created", "updated"} and c.after),
        delete_last=tuple(row.record_id for row in gone),
    )


def _kind(
    record: Record,
    row: StoredRecord | None,
    own: Sequence[StoredRecord],
    *,
    taken: bool,
    is_only: bool,
) -> Kind:
    if taken:
        return "skipped"
    if row is None:
        return "updated" if own else "created"
    same = (
        row_key(row.expectations) == row_key(record.expectations)
        and row.tags[CASE_TAG] == record.case_id
        and is_only
    )
    return "unchanged" if same else "updated"


def refuse_equal_inputs(records: Sequence[Record]) -> None:
    """Make sure that no two cases have equal inputs.

    Raises:
        InputError: names every group of cases with equal inputs.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for record in records:
        groups[row_key(record.inputs)].append(record.case_id)
    clashes = [cases for cases in groups.values() if len(cases) > 1]
    if clashes:
        raise InputError(
            *(
                Problem(
                    f"cases {', '.join(cases)} have equal inputs; MLflow would keep only one",
                    field="inputs",
                    fix="change one of them, map a field that differs, or use --distinguish",
                )
                for cases in clashes
            )
        )


def distinguish(records: Sequence[Record]) -> list[Record]:
    """The records with an input ``case_id`` each, so that equal inputs stay apart.

    Raises:
        InputError: the mapping already has an input of that name.
    """
    if any("case_id" in record.inputs for record in records):
        raise InputError(
            Problem(
                "there is an input case_id already, --distinguish cannot add one",
                field="inputs.case_id",
                fix="rename it in the mapping",
            )
        )
    return [replace(r, inputs={**r.inputs, "case_id": r.case_id}) for r in records]


def digest_of(rows: Iterable[StoredRecord]) -> str:
    """What rows hold, in 16 hex digits, whatever their order and ids."""
    return derive_id(*sorted(row_key([r.inputs, r.expectations]) for r in rows), length=16)


def row_key(value: Mapping[str, Json] | Json) -> str:
    """Equal for equal values, however the store spells whole numbers."""
    return canonical(_plain(value))


def _plain(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
