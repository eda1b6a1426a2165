"""The plan of a sync: what MLflow's keying by inputs makes of edits, renames and deletions."""

from dataclasses import replace

import pytest

from evalkit.dataset.diff import compare_records
from evalkit.entities import CASE_TAG, Record, StoredRecord


def record(case, question="q", **expectations):
    return Record(case, {"question": question}, expectations)


def row(case, question="q", **expectations):
    tags = {CASE_TAG: case} if case else {}
    return StoredRecord(f"id-{case}-{question}", {"question": question}, expectations, tags)


def doubled(case, number, **expectations):
    return replace(row(case, **expectations), record_id=f"{number}-{case}")


@pytest.mark.parametrize("order", [1, -1])
def test_of_rows_with_equal_inputs_that_of_the_smallest_id_counts(order):
    rows = [doubled("a", 1, x=1), doubled("b", 2, x=2)][::order]
    plan = compare_records([record("a", x=1)], rows)
    assert {c.case_id: (c.kind, c.before.record_id) for c in plan.changes}["a"] == (
        "updated",
        "1-a",
    )


@pytest.mark.parametrize(
    ("records", "rows", "kinds", "first", "last"),
    [
        ([record("a")], [], {"a": "created"}, [], []),
        ([record("a")], [row("a")], {"a": "unchanged"}, [], []),
        ([record("a", x=1)], [row("a")], {"a": "updated"}, [], []),
        ([record("a", x=1)], [row("a", x=1.0)], {"a": "unchanged"}, [], []),
        ([record("a")], [row("a", x=1)], {"a": "updated"}, ["id-a-q"], []),
        ([record("a", "new")], [row("a")], {"a": "updated"}, [], ["id-a-q"]),
        ([record("b")], [row("a")], {"b": "updated"}, [], []),
        ([], [row("a")], {"a": "deleted"}, [], ["id-a-q"]),
        ([record("a")], [row("")], {"a": "skipped"}, [], []),
        ([], [row("")], {}, [], []),
        (
            [record("a", "1"), record("b", "2")],
            [row("b", "1"), row("a", "2")],
            {"a": "updated", "b": "updated"},
            [],
            [],
        ),
        (
            [record("a", "new")],
            [row("a", "new"), row("a", "old")],
            {"a": "updated"},
            [],
            ["id-a-old"],
        ),
    ],
    ids=[
        "new case",
        "same",
        "expectation added",
        "1 is 1.0",
        "expectation dropped",
        "prompt edited",
        "renamed",
        "deleted",
        "somebody else's equal row",
        "somebody else's row",
        "swapped",
        "left over by a kill",
    ],
)
def test_plan(records, rows, kinds, first, last):
    plan = compare_records(records, rows)
    assert {change.case_id: change.kind for change in plan.changes} == kinds
    assert list(plan.delete_first) == first
    assert list(plan.delete_last) == last
