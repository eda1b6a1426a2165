"""When spans begin and end: in logs with all timestamps, with some, and with none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from agentlogs import (
    BEGAN_NS,
    FALLBACK,
    Event,
    Story,
    answer,
    as_lines,
    ask,
    build,
    build_lines,
    finish,
    init,
    say,
    spans,
    stamp,
    system,
    text,
    use,
)

from evalkit.claude_log.timing import Start
from evalkit.core.spans import Span, Trace

SECOND = 10**9
LOG = [
    init(),
    ask("go"),
    say("m1", text("a")),
    say("m1", use("t1", "Bash", command="x")),
    answer("t1", "y"),
    say("m2", text("b")),
    finish(duration_ms=12_000),
]


def seconds(span: Span) -> tuple[float, float]:
    return (span.start_ns - BEGAN_NS) / SECOND, (span.end_ns - BEGAN_NS) / SECOND


def inferred(trace: Trace) -> list[str]:
    return [span.name for span in trace.spans if span.attributes.get("evalkit.time") == "inferred"]


def assert_sound(trace: Trace) -> None:
    """Children lie inside their parents, nothing ends before it begins, siblings keep order."""
    by_id = {span.span_id: span for span in trace.spans}
    assert len(by_id) == len(trace.spans)
    for span in trace.spans:
        assert span.start_ns <= span.end_ns
        if span.parent_id is not None:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns
            assert span.end_ns <= parent.end_ns
    turns = [span for span in trace.spans if span.kind == "CHAIN"]
    for _, siblings in itertools.groupby(turns, key=lambda span: span.parent_id):
        starts = [span.start_ns for span in siblings]
        assert starts == sorted(starts)


def test_with_all_timestamps_everything_is_when_it_was() -> None:
    trace = build(stamp(LOG, "all"))
    first, second = spans(trace, "LLM")
    assert seconds(trace.spans[0]) == (0, 6)
    assert seconds(first) == (1, 3)  # from the prompt to its last block
    assert seconds(spans(trace, "TOOL")[0]) == (3, 4)
    assert seconds(second) == (4, 5)
    assert inferred(trace) == []


def test_with_timestamps_on_results_only_the_rest_lies_in_order_between() -> None:
    trace = build(stamp(LOG, "user"))
    tool = spans(trace, "TOOL")[0]
    assert seconds(tool)[1] == 4
    assert seconds(spans(trace, "LLM")[0])[0] == 1
    assert trace.end_ns - trace.start_ns == 12 * SECOND
    assert tool.attributes["evalkit.time"] == "inferred"
    assert "2 of 7 events have a timestamp: what lies between them is laid out in order" in (
        trace.receipt.notes
    )
    assert_sound(trace)


def test_without_timestamps_spans_fill_the_stated_duration_in_order() -> None:
    trace = build(LOG)
    assert trace.start_ns == FALLBACK.ns
    assert trace.end_ns - trace.start_ns == 12 * SECOND
    assert inferred(trace) == [span.name for span in trace.spans]
    assert_sound(trace)
    assert "beginning at the log file's time" in trace.receipt.notes[0]


def test_a_log_without_any_time_takes_a_millisecond_a_step() -> None:
    trace = build(LOG[:-1])
    assert trace.end_ns - trace.start_ns == 5_000_000
    assert_sound(trace)


def test_sessions_without_timestamps_follow_each_other() -> None:
    log = [
        init("a"),
        finish(session="a", duration_ms=1000),
        init("b"),
        finish(session="b", duration_ms=2000),
    ]
    one, two = spans(build(log), "AGENT")[1:]
    assert one.end_ns == two.start_ns == FALLBACK.ns + SECOND
    assert two.end_ns == FALLBACK.ns + 3 * SECOND


def test_a_session_without_timestamps_ends_where_the_next_begins() -> None:
    later = stamp([init("b"), finish(session="b")], "all")
    log = [init("a"), finish(session="a", duration_ms=1000), *later]
    one, two = spans(build(log), "AGENT")[1:]
    assert (one.end_ns, two.start_ns) == (BEGAN_NS, BEGAN_NS)
    assert one.start_ns == BEGAN_NS - SECOND


@pytest.mark.parametrize(
    "bad",
    ["yesterday", "", 17, -1, True, [], {}, "9999-01-01T00:00:00Z", "1000-01-01T00:00:00Z",
     "2026-02-30T00:00:00Z", "2026-03-04T05:06:07+99:00"],
)  # fmt: skip
def test_a_timestamp_that_is_none_is_a_note(bad: object) -> None:
    events = stamp(LOG, "all")
    events[4]["timestamp"] = bad
    trace = build(events)
    assert "1 timestamps are no times; not used" in trace.receipt.notes
    assert seconds(spans(trace, "TOOL")[0]) == (3, 4)  # between its neighbours
    assert_sound(trace)


@pytest.mark.parametrize("wrong", ["2020-01-01T00:00:00Z", "2031-01-01T00:00:00Z"])
def test_a_timestamp_out_of_order_does_not_move_the_others(wrong: str) -> None:
    events = stamp(LOG, "all")
    events[4]["timestamp"] = wrong
    trace = build(events)
    assert "1 timestamps are out of order; not used" in trace.receipt.notes
    assert seconds(trace.spans[0]) == (0, 6)


@pytest.mark.parametrize("form", [1_772_600_767, 1_772_600_767_000, "2026-03-04T05:06:07"])
def test_timestamps_are_read_in_seconds_milliseconds_and_iso(form: object) -> None:
    assert build([{**init(), "timestamp": form}, finish()]).start_ns == BEGAN_NS


def test_a_tool_that_says_how_long_it_took_begins_that_long_before_its_end() -> None:
    events = stamp(LOG, "user", seconds=10)
    events[4]["tool_use_result"] = {"durationMs": 2_500}
    tool = spans(build(events), "TOOL")[0]
    assert seconds(tool) == (37.5, 40)


TIMES = [{"type": e["type"], "subtype": e.get("subtype", "")} for e in LOG]


def timed(times: Sequence[Event]) -> list[Event]:
    return [
        {**each, "timestamp": event["timestamp"]}
        for each, event in zip(times, stamp(LOG, "all")[-len(times) :], strict=True)
    ]


def test_times_beside_the_log_are_used_where_they_line_up() -> None:
    trace = build(LOG, times=timed(TIMES))
    assert seconds(spans(trace, "TOOL")[0]) == (3, 4)
    assert inferred(trace) == []


def test_times_may_lack_the_prompt_that_the_runner_logged() -> None:
    log = [ask("go"), *LOG[2:]]
    times = timed(TIMES)[2:]
    trace = build(log, times=times)
    assert seconds(spans(trace, "TOOL")[0]) == (3, 4)


@pytest.mark.parametrize(
    "times", [timed(TIMES)[:-1], timed(TIMES)[::-1], [], [{}], ["x"], [*timed(TIMES), {}]]
)
def test_times_that_do_not_line_up_are_left_alone_and_named(times: list[Event]) -> None:
    trace = build(LOG, times=times)
    assert trace.start_ns == FALLBACK.ns
    assert any("do not line up" in note for note in trace.receipt.notes)


def test_a_transcript_tells_a_log_without_times_when_it_was() -> None:
    log = [
        init(),
        say("m1", use("t1", "Task", prompt="p")),
        system("task_started", task_id="a1", tool_use_id="t1", task_type="local_agent"),
        answer("t1", "Async agent launched"),
        system("task_notification", task_id="a1", tool_use_id="t1", status="completed"),
        finish(duration_ms=60_000),
    ]
    aside = stamp([ask("p"), say("s1", text("x")), say("s2", text("y"))], "all", seconds=5)
    trace = build(log, sidecars={"agent-a1.jsonl": as_lines(aside)})
    agent = spans(trace, "AGENT")[1]
    assert seconds(agent) == (0, 10)
    assert_sound(trace)


@pytest.mark.parametrize("which", ["all", "user", "none"])
@pytest.mark.parametrize("seed", range(8))
def test_whole_stories_are_sound_with_every_kind_of_timestamp(which: str, seed: int) -> None:
    assert_sound(build(stamp(Story(seed).tell(8), which)))


# -- the content hash ----------------------------------------------------------------------------


def test_the_hash_is_the_same_for_the_same_log_whatever_its_line_ends() -> None:
    lines = as_lines(LOG)
    one = build(LOG).content_hash
    assert build(LOG).content_hash == one
    assert build_lines([line.rstrip(b"\n") for line in lines]).content_hash == one


def test_an_inferred_start_is_no_part_of_the_hash_and_a_stated_one_is() -> None:
    later = Start(FALLBACK.ns + SECOND, inferred=True, source="elsewhere")
    stated = Start(FALLBACK.ns + SECOND, inferred=False, source="run_result.json")
    one = build(LOG).content_hash
    assert build(LOG, start=later).content_hash == one
    assert build(LOG, start=stated).content_hash != one
    assert build(stamp(LOG, "all"), start=stated).content_hash == (
        build(stamp(LOG, "all")).content_hash
    )


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"max_value_chars": 7},
        {"sidecars": {"agent-a.jsonl": as_lines([ask("x")])}},
        {"times": timed(TIMES)},
    ],
)
def test_whatever_decides_the_spans_decides_the_hash(change: dict) -> None:
    assert build(LOG, **change).content_hash != build(LOG).content_hash
    assert build(LOG[:-1]).content_hash != build(LOG).content_hash


def test_a_request_decides_the_hash_where_the_log_does_not_hold_the_prompt() -> None:
    silent = [LOG[0], *LOG[2:]]
    assert build(silent, request="go").request == "go"
    assert build(silent, request="go").content_hash != build(silent).content_hash
    assert build(LOG, request="else").request == "go"


def test_span_ids_follow_from_the_trace_and_the_step() -> None:
    one, again = build(LOG), build(LOG, start=Start(0, inferred=True, source="x"))
    other = build(LOG, trace_id="tr-" + "f" * 32)
    assert [s.span_id for s in one.spans] == [s.span_id for s in again.spans]
    assert not {s.span_id for s in one.spans} & {s.span_id for s in other.spans}
    assert all(len(s.span_id) == 16 for s in one.spans)
