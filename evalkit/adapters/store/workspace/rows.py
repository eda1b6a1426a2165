"""Rows of a workspace's dataset, in the form in which its service takes and gives them.

It keeps numbers as doubles, and rows by ids of its own: two may have equal inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from evalkit.core.dataset import Record, StoredRecord
from evalkit.core.errors import Problem
from evalkit.core.mirror import CASE_TAG, row_key
from evalkit.core.values import Json

_ROWS_AT_A_TIME = 100
_BYTES_AT_A_TIME = 1_000_000

_LARGEST_ROW = _BYTES_AT_A_TIME - 1000
"""Bytes of JSON; the rest is for what is around it."""

_LARGEST = 2**53
"""A double holds every whole number up to this."""


def stored(row: Json) -> StoredRecord:
    """The row as the rest of evalkit knows it."""
    expectations = row.get("expectations") or {}
    return StoredRecord(
        record_id=row["dataset_record_id"],
        inputs={each["key"]: each.get("value") for each in row.get("inputs", [])},
        expectations={name: each.get("value") for name, each in expectations.items()},
        tags=row.get("tags") or {},
    )


def item(dataset_id: str, record: Record, row: StoredRecord | None) -> dict[str, Json]:
    """One request of a batch: a new row, or what becomes of the row that is there."""
    kept: Mapping[str, str] = row.tags if row else {}
    sent: dict[str, Json] = {
        "inputs": [{"key": key, "value": value} for key, value in record.inputs.items()],
        "expectations": {name: {"value": value} for name, value in record.expectations.items()},
        "tags": {**kept, CASE_TAG: record.case_id},
    }
    if row is None:
        return {"dataset_id": dataset_id, "dataset_record": sent}
    return {
        "dataset_id": dataset_id,
        "dataset_record_id": row.record_id,
        "dataset_record": {**sent, "dataset_record_id": row.record_id},
        "update_mask": "expectations,tags",
    }


def own(rows: Sequence[StoredRecord]) -> StoredRecord | None:
    """The one of some rows of equal inputs that counts as evalkit's; None where none is its.

    The same for whoever looks, in whatever order they are listed.
    """
    ours = [row for row in rows if CASE_TAG in row.tags]
    return min(ours, key=lambda row: row.record_id, default=None)


def otherwise(record: Record, row: StoredRecord) -> Iterator[Problem]:
    """What the workspace made of a record that is not what was sent."""
    if row.tags.get(CASE_TAG) != record.case_id:
        yield Problem(
            "the workspace did not keep the row's tag, by which evalkit knows it again",
            file=record.case_id,
            field=f"tags.{CASE_TAG}",
            fix="use an MLflow server for this dataset (--tracking-uri)",
        )
    for name in sorted({*record.expectations, *row.expectations}):
        if row_key(record.expectations.get(name)) != row_key(row.expectations.get(name)):
            yield Problem(
                "the workspace keeps it otherwise than it was sent",
                file=record.case_id,
                field=f"expectations.{name}",
                fix="map it under another name, or as text",
            )


def doubles(rows: Sequence[StoredRecord]) -> list[str]:
    """The ids of those among rows of equal inputs that are evalkit's and one too many.

    Where an answer is lost, a request is sent again, and the service makes its rows twice.
    """
    kept = own(rows)
    return [row.record_id for row in rows if CASE_TAG in row.tags and row is not kept]


def unfit(record: Record) -> Iterator[Problem]:
    """Why the service could not keep a record as it is; nothing where it can."""
    if _bytes_of(item("", record, None)) > _LARGEST_ROW:
        yield Problem(
            f"is larger than {_LARGEST_ROW:,} bytes, the most of a row in a workspace",
            file=record.case_id,
            fix="leave a field out of the mapping",
        )
    for part, values in (("inputs", record.inputs), ("expectations", record.expectations)):
        for name, value in values.items():
            if not _fits(value):
                yield Problem(
                    f"has a whole number beyond {_LARGEST}, which the workspace would round",
                    file=record.case_id,
                    field=f"{part}.{name}",
                    fix="make it a text in the case",
                )


def _fits(value: Json) -> bool:
    if isinstance(value, int):
        return abs(value) <= _LARGEST
    if isinstance(value, Mapping):
        return all(map(_fits, value.values()))
    return not isinstance(value, list | tuple) or all(map(_fits, value))


def portions(items: Sequence[Json]) -> Iterator[list[Json]]:
    """The items in batches that the service takes."""
    some: list[Json] = []
    size = 0
    for each in items:
        weight = _bytes_of(each)
        if some and (len(some) >= _ROWS_AT_A_TIME or size + weight > _BYTES_AT_A_TIME):
            yield some
            some, size = [], 0
        some.append(each)
        size += weight
    if some:
        yield some


def _bytes_of(value: Json) -> int:
    """How long it is when it travels: all but ASCII is escaped then."""
    return len(json.dumps(value)) + len(", ")
