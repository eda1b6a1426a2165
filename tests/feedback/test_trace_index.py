"""A case's score lands on that case's trace and nowhere else."""

import pytest

from evalkit.entities import CASE_TAG, RECORDED_TAG, RUN_TAG, StoredTrace
from evalkit.feedback.trace_index import TraceIndex, place
from evalkit.runs.run import Run


def own(trace_id, case=None):
    tags = {RUN_TAG: "k"} | ({CASE_TAG: case} if case else {})
    return StoredTrace(trace_id, tags)


def recorded(trace_id, mark, **tags):
    return StoredTrace(trace_id, {RECORDED_TAG: mark, **tags})


CASES = Run("r1", "case", cases=("a", "b"))
BATCH = Run("r1", "batch", cases=("a", "b"))
SINGLE = Run("r1", "case", cases=("a",))


@pytest.mark.parametrize(
    ("run", "ours", "theirs", "expected"),
    [
        (CASES, [own("t1", "a"), own("t2", "b")], [], {"a": "t1", "b": "t2"}),
        (CASES, [own("t1", "a")], [], {"a": "t1", "b": None}),
        (BATCH, [own("t1")], [], {"a": "t1", "b": "t1"}),
        (CASES, [], [recorded("t3", "b")], {"a": None, "b": "t3"}),
        (CASES, [own("t2", "b")], [recorded("t3", "b")], {"a": None, "b": "t2"}),
        (CASES, [], [recorded("t3", "other")], {"a": None, "b": None}),
        (CASES, [], [recorded("t3", "b"), recorded("t4", "b")], {"a": None, "b": None}),
        (CASES, [], [recorded("t3", "r1")], {"a": None, "b": None}),
        (CASES, [], [recorded("t3", "r1", case_id="b")], {"a": None, "b": "t3"}),
        (SINGLE, [], [recorded("t3", "r1")], {"a": "t3"}),
        (BATCH, [], [recorded("t3", "r1")], {"a": "t3", "b": "t3"}),
        (BATCH, [], [recorded("t3", "a")], {"a": None, "b": None}),
    ],
    ids=[
        "one each",
        "a case without a trace gets no other's",
        "batch: one for all",
        "recorded by the harness",
        "ours before the recorded",
        "recorded for something else",
        "two that fit: nothing is guessed",
        "the run's id does not say which case",
        "the run's id with the case",
        "the run's only case",
        "recorded batch run",
        "a case's trace is not the batch's",
    ],
)
def test_which_trace_a_case_belongs_to(run, ours, theirs, expected):
    index = place(TraceIndex(run), ours, theirs)
    found = {case: index.of(case) for case in expected}
    assert {case: t and t.trace_id for case, t in found.items()} == expected
