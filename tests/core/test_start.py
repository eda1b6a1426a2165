"""When a run began comes from its data, and says where from."""

import datetime as dt

import pytest

from evalkit.claude_log.timing import start_of


def ns(text):
    return int(dt.datetime.fromisoformat(text).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("stated", "run_id", "moment", "inferred"),
    [
        ("2026-07-09T15:34:44Z", "2020-01-01", "2026-07-09T15:34:44+00:00", False),
        ("2026-07-09T15:34:44", "", "2026-07-09T15:34:44+00:00", False),
        (1783611284, "", "2026-07-09T15:34:44+00:00", False),
        (1783611284000, "", "2026-07-09T15:34:44+00:00", False),
        (None, "2026-07-09-sonnet-v1", "2026-07-09T12:00:00+00:00", True),
        (None, "run_20260709-153444", "2026-07-09T15:34:44+00:00", True),
        ("not a date", "2026-07-09", "2026-07-09T12:00:00+00:00", True),
        (None, "v2-20260709T0004", "2026-07-09T00:04:00+00:00", True),
    ],
)
def test_stated_then_dated(stated, run_id, moment, inferred):
    start = start_of(None, stated, run_id, 5)
    assert (start.ns, start.inferred) == (ns(moment), inferred)


@pytest.mark.parametrize("stated", [None, True, -1, [], "x", 10**30])
@pytest.mark.parametrize("run_id", ["v1", "2026-02-30", "12026-07-091", "build-20261399"])
def test_else_the_files_own_time(stated, run_id):
    assert start_of(None, stated, run_id, 5).ns == 5
    assert start_of(None, stated, run_id, 5).inferred


def test_times_in_the_logs_come_first():
    start = start_of(ns("2026-07-09T15:34:44Z"), "2026-01-01T00:00:00Z", "2025-05-05", 5)
    assert (start.ns, start.inferred) == (ns("2026-07-09T15:34:44Z"), False)
