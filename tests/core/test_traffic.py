"""What an agent's traces say together: how long, how much, what goes wrong, with which tools."""

import pytest

from evalkit.core.distribution import ranges, spread
from evalkit.core.observed import ObservedTrace, in_order
from evalkit.core.spans import Span
from evalkit.core.traffic import EXAMPLES, look

SECOND = 10**9


def span(span_id, parent=None, kind="CHAIN", *, start=0, took=1.0, error="", **more):
    status = {"status": "ERROR", "message": error} if error else {}
    end = int((start + took) * SECOND)
    name = more.pop("name", span_id)
    return Span(span_id, parent, name, kind, int(start * SECOND), end, **status, **more)


def trace(number, *spans, seconds=1.0, status="OK", tokens=(None, None), **more):
    duration = None if seconds is None else int(seconds * 1000)
    return ObservedTrace(
        f"tr-{number}",
        "answer",
        number,
        duration,
        status,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        spans=spans,
        **more,
    )


# -- errors


def test_errors_that_differ_in_ids_alone_are_one_and_the_most_frequent_comes_first():
    found = look(
        [
            *(
                trace(n, span("lookup", error=f"order QM-1000{n} not found"), status="ERROR")
                for n in range(7)
            ),
            trace(8, span("chat", error="no capacity"), status="ERROR"),
        ]
    )
    first, second = found.clusters
    assert (first.outcome, first.place, first.text, first.count) == (
        "failed",
        "lookup",
        "order <id> not found",
        7,
    )
    assert first.example == "order QM-10000 not found"
    assert first.trace_ids == tuple(f"tr-{n}" for n in range(EXAMPLES))
    assert (second.place, second.count) == ("chat", 1)


def test_of_steps_that_fail_one_for_another_only_the_innermost_counts():
    spans = (
        span("root", error="chain failed: timeout"),
        span("agent", "root", error="timeout"),
        span("model", "agent", error="timeout"),
        span("tool", "agent", "TOOL"),
    )
    (cluster,) = look([trace(1, *spans, status="ERROR")]).clusters
    assert cluster.place == "model"


def test_an_error_that_the_agent_got_over_is_told_apart():
    found = look(
        [
            trace(1, span("lookup", error="busy")),
            trace(2, span("lookup", error="busy"), status="ERROR"),
        ]
    )
    assert {(each.outcome, each.count) for each in found.clusters} == {("ok", 1), ("failed", 1)}


def test_a_trace_that_failed_without_a_step_that_did_is_told_too():
    (cluster,) = look([trace(1, status="ERROR", response="Sorry, error 7")]).clusters
    assert (cluster.place, cluster.text) == ("", "Sorry, error <n>")


def test_an_error_counts_once_a_trace():
    (cluster,) = look([trace(1, span("a", error="x"), span("a2", name="a", error="x"))]).clusters
    assert cluster.count == 1


# -- tools, totals


def test_tools_are_counted_with_their_failures_and_times():
    found = look(
        [
            trace(
                1,
                span("root"),
                span("t1", "root", "TOOL", name="lookup", took=2),
                span("t2", "root", "TOOL", name="lookup", took=4, error="busy"),
                span("t3", "root", "TOOL", name="refund"),
            ),
            trace(2, span("t4", None, "TOOL", name="lookup", took=3)),
        ]
    )
    lookup, refund = found.tools
    assert (lookup.name, lookup.calls, lookup.failures, lookup.traces) == ("lookup", 3, 1, 2)
    assert lookup.failure_rate == pytest.approx(1 / 3)
    assert lookup.seconds == (2, 4, 3)
    assert lookup.failed_in == ("tr-1",)
    assert (refund.calls, refund.failure_rate) == (1, 0)
    assert found.glimpses[0].tools == ("lookup", "refund")


def test_what_is_not_known_is_left_out_and_not_taken_for_nothing():
    found = look(
        [
            trace(1, seconds=None, status="UNSET", unread="gone"),
            trace(2, seconds=3, tokens=(100, 20)),
            trace(3, seconds=5, tokens=(None, 7), cost_usd=0.5),
        ]
    )
    assert found.outcomes == {"not over": 1, "ok": 2}
    assert (found.seconds, found.tokens, found.costs) == ([3, 5], [120, 7], [0.5])
    assert found.unread == {"gone": 1}


def test_no_traces_are_no_trouble():
    found = look([])
    assert (found.glimpses, found.clusters, found.tools) == ((), (), ())


# -- distributions


def test_a_spread_names_percentiles_within_the_values():
    found = spread(range(1, 101))
    assert (found.median, found.largest, found.total) == (50.5, 100, 5050)
    assert 90 <= found.p90 <= 91
    assert 99 <= found.p99 <= 100
    assert spread([7]).p99 == 7
    assert spread([]) is None


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4, 5],
        [0.001, 0.5, 2, 1000],
        [0, 0, 7],
        [3, 3, 3],
        [1e-9, 1e9],
        [5],
    ],
)
def test_ranges_hold_every_value_once_and_touch(values):
    found = ranges(values, most=5)
    assert sum(each.count for each in found) == len(values)
    assert (found[0].low, found[-1].high) == (min(values), max(values))
    assert [each.high for each in found[:-1]] == [each.low for each in found[1:]]
    for each in found:
        inside = [v for v in values if each.low <= v <= each.high]
        assert len(inside) >= each.count


def test_ranges_grow_where_values_differ_by_orders_of_magnitude():
    narrow, *_, wide = ranges([1, 10, 100, 1000])
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)


# -- the spans of strangers


def test_spans_are_put_in_order_whatever_their_order_was():
    spans = [
        span("late", "root", start=2),
        span("leaf", "early", start=1),
        span("early", "root", start=1, took=5),
        span("root", took=9),
        span("orphan", "nobody", start=3),
    ]
    found = in_order(spans)
    assert [each.span_id for each in found] == ["root", "early", "leaf", "late", "orphan"]
    assert found[-1].parent_id is None


def test_spans_that_are_each_others_parents_do_no_harm():
    assert in_order([span("a", "b"), span("b", "a")]) == ()
