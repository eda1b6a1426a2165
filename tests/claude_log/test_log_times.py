"""When spans begin and end, in logs with all timestamps, some and none; what the hash stands on."""

from __future__ import annotations

from typing import Any

import pytest
from agentlogs import (
    BEGAN_NS,
    FALLBACK,
    Event,
    answer,
    as_lines,
    ask,
    assert_sound,
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
from evalkit.entities import Span, Trace

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
STAMPED = stamp(LOG, "all")
TIMES = [{k: e.get(k, "") for k in ("type", "subtype", "timestamp")} for e in STAMPED]


def seconds(span: Span) -> tuple[float, float]:
    return (span.start_ns - BEGAN_NS) / SECOND, (span.end_ns - BEGAN_NS) / SECOND


def tool(trace: Trace) -> tuple[float, float]:
    return seconds(spans(trace, "TOOL")[0])


def inferred(trace: Trace) -> list[str]:
    return [span.name for span in trace.spans if span.attributes.get("evalkit.time") == "inferred"]


def changed(**fifth: Any) -> list[Event]:
    return [*STAMPED[:4], {**STAMPED[4], **fifth}, *STAMPED[5:]]


def sessions(*events: Event) -> list[tuple[float, float]]:
    return [seconds(span) for span in spans(build(events), "AGENT")[1:]]


def test_with_all_timestamps_everything_is_when_it_was() -> None:
    trace = build(STAMPED)
    first, second = spans(trace, "LLM")
    assert seconds(trace.spans[0]) == (0, 6)
    assert seconds(first) == (1, 3)  # from the prompt to its last block
    assert tool(trace) == (3, 4)
    assert seconds(second) == (4, 5)
    assert inferred(trace) == []


def test_with_timestamps_on_results_only_the_rest_lies_in_order_between() -> None:
    trace = build(stamp(LOG, "user"))
    assert tool(trace)[1] == 4
    assert seconds(spans(trace, "LLM")[0])[0] == 1
    assert trace.end_ns - trace.start_ns == 12 * SECOND
    assert "Bash" in inferred(trace)
    what = "2 of 7 events have a timestamp: what lies between them is laid out in order"
    assert what in trace.receipt.notes


def test_without_timestamps_spans_fill_the_stated_duration_in_order() -> None:
    trace = build(LOG)
    assert (trace.start_ns, trace.end_ns) == (FALLBACK.ns, FALLBACK.ns + 12 * SECOND)
    assert inferred(trace) == [span.name for span in trace.spans]
    assert "beginning at the log file's time" in trace.receipt.notes[0]
    short = build(LOG[:-1])
    assert short.end_ns - short.start_ns == 5_000_000  # a millisecond a step


def test_sessions_without_timestamps_follow_or_precede_those_that_have_some() -> None:
    began = (FALLBACK.ns - BEGAN_NS) / SECOND
    one = init("a"), finish(session="a", duration_ms=1000)
    two = init("b"), finish(session="b", duration_ms=2000)
    assert sessions(*one, *two) == [(began, began + 1), (began + 1, began + 3)]
    assert sessions(*one, *stamp(two, "all"))[0] == (-1, 0)


@pytest.mark.parametrize("bad", ["yesterday", "9999-01-01T00:00:00Z", 17, True, []])
def test_a_timestamp_that_is_none_is_a_note(bad: object) -> None:
    trace = build(changed(timestamp=bad))
    assert "1 timestamps are no times; not used" in trace.receipt.notes
    assert tool(trace) == (3, 4)  # between its neighbours
    assert_sound(trace)


@pytest.mark.parametrize("wrong", ["2020-01-01T00:00:00Z", "2031-01-01T00:00:00Z"])
def test_a_timestamp_out_of_order_does_not_move_the_others(wrong: str) -> None:
    trace = build(changed(timestamp=wrong))
    assert "1 timestamps are out of order; not used" in trace.receipt.notes
    assert seconds(trace.spans[0]) == (0, 6)


@pytest.mark.parametrize("form", [1_772_600_767, 1_772_600_767_000, "2026-03-04T05:06:07"])
def test_timestamps_are_read_in_seconds_milliseconds_and_iso(form: object) -> None:
    assert build([{**init(), "timestamp": form}, finish()]).start_ns == BEGAN_NS


def test_a_tool_that_says_how_long_it_took_begins_that_long_before_its_end() -> None:
    events = stamp(LOG, "user", seconds=10)
    events[4]["tool_use_result"] = {"durationMs": 2_500}
    assert tool(build(events)) == (37.5, 40)


def test_times_beside_the_log_are_used_where_they_line_up() -> None:
    trace = build(LOG, times=TIMES)
    assert (tool(trace), inferred(trace)) == ((3, 4), [])
    assert tool(build([ask("go"), *LOG[2:]], times=TIMES[2:])) == (3, 4)  # without the prompt


@pytest.mark.parametrize("times", [TIMES[:-1], ["x"]])
def test_times_that_do_not_line_up_are_left_alone_and_named(times: list[Event]) -> None:
    trace = build(LOG, times=times)
    assert trace.start_ns == FALLBACK.ns
    assert any("do not line up" in note for note in trace.receipt.notes)


def test_a_transcript_tells_a_log_without_times_when_it_was() -> None:
    task = {"task_id": "a1", "tool_use_id": "t1"}
    log = [
        *(init(), say("m1", use("t1", "Task", prompt="p"))),
        system("task_started", task_type="local_agent", **task),
        answer("t1", "Async agent launched"),
        *(system("task_notification", status="completed", **task), finish(duration_ms=60_000)),
    ]
    aside = stamp([ask("p"), say("s1", text("x")), say("s2", text("y"))], "all", seconds=5)
    trace = build(log, sidecars={"agent-a1.jsonl": as_lines(aside)})
    assert seconds(spans(trace, "AGENT")[1]) == (0, 10)
    assert_sound(trace)


# -- the content hash ----------------------------------------------------------------------------


def test_the_hash_stands_on_what_decides_the_spans_and_on_nothing_else() -> None:
    later = Start(FALLBACK.ns + SECOND, inferred=True, source="elsewhere")
    stated = Start(FALLBACK.ns + SECOND, inferred=False, source="run_result.json")
    one, timed = build(LOG).content_hash, build(STAMPED).content_hash
    assert build_lines([line.rstrip(b"\n") for line in as_lines(LOG)]).content_hash == one
    assert build(LOG, start=later).content_hash == one
    assert build(STAMPED, start=stated).content_hash == timed
    silent = [LOG[0], *LOG[2:]]
    others = [
        build(LOG, start=stated),
        build(LOG, name="other"),
        build(LOG, max_value_chars=7),
        build(LOG, sidecars={"agent-a.jsonl": as_lines([ask("x")])}),
        build(LOG, times=TIMES),
        build(LOG[:-1]),
        build(silent),
        build(silent, request="go"),
    ]
    assert len({one, timed, *(trace.content_hash for trace in others)}) == len(others) + 2
    assert [s.span_id for s in build(LOG).spans] == [s.span_id for s in others[0].spans]
    moved = {s.span_id for s in build(LOG, trace_id="tr-" + "f" * 32).spans}
    assert not moved & {s.span_id for s in others[0].spans}
    assert (others[-1].request, build(LOG, request="else").request) == ("go", "go")
