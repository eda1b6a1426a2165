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


def test_with_all_timestamps_everything_is_when_it_was() -> None:
    for trace in (build(STAMPED), build(LOG, times=TIMES)):
        assert seconds(trace.spans[0]) == (0, 6)
        # a call is from the prompt to its last block
        assert [seconds(call) for call in spans(trace, "LLM")] == [(1, 3), (4, 5)]
        assert tool(trace) == (3, 4)
        assert inferred(trace) == []
    assert tool(build([ask("go"), *LOG[2:]], times=TIMES[2:])) == (3, 4)  # without the prompt


def test_with_timestamps_on_results_only_the_rest_lies_in_order_between() -> None:
    trace = build(stamp(LOG, "user"))
    assert (tool(trace)[1], seconds(spans(trace, "LLM")[0])[0]) == (4, 1)
    assert trace.end_ns - trace.start_ns == 12 * SECOND
    assert "Bash" in inferred(trace)
    what = "2 of 7 events have a timestamp: what lies between them is laid out in order"
    assert what in trace.receipt.notes
    events = stamp(LOG, "user", seconds=10)
    events[4]["tool_use_result"] = {"durationMs": 2_500}
    assert tool(build(events)) == (37.5, 40)


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
    follow, precede = (
        spans(build([*one, *each]), "AGENT")[1:] for each in (two, stamp(two, "all"))
    )
    assert list(map(seconds, follow)) == [(began, began + 1), (began + 1, began + 3)]
    assert seconds(precede[0]) == (-1, 0)


@pytest.mark.parametrize(
    ("wrong", "note"),
    [
        *((each, "no times") for each in ("yesterday", "9999-01-01T00:00:00Z", 17, True, [])),
        *((f"{year}-01-01T00:00:00Z", "out of order") for year in (2020, 2031)),
    ],
)
def test_a_timestamp_that_is_none_or_out_of_order_moves_no_other(wrong: Any, note: str) -> None:
    trace = build([*STAMPED[:4], {**STAMPED[4], "timestamp": wrong}, *STAMPED[5:]])
    assert f"1 timestamps are {note}; not used" in trace.receipt.notes
    assert (tool(trace), seconds(trace.spans[0])) == ((3, 4), (0, 6))
    assert_sound(trace)


@pytest.mark.parametrize("form", [1_772_600_767, 1_772_600_767_000, "2026-03-04T05:06:07"])
def test_timestamps_are_read_in_seconds_milliseconds_and_iso(form: object) -> None:
    assert build([{**init(), "timestamp": form}, finish()]).start_ns == BEGAN_NS


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


def test_the_hash_stands_on_what_decides_the_spans_and_on_nothing_else() -> None:
    later = Start(FALLBACK.ns + SECOND, inferred=True, source="elsewhere")
    stated = Start(FALLBACK.ns + SECOND, inferred=False, source="run_result.json")
    one, timed = build(LOG), build(STAMPED)
    assert build(LOG, start=later).content_hash == one.content_hash
    assert build(STAMPED, start=stated).content_hash == timed.content_hash
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
    assert len({trace.content_hash for trace in (one, timed, *others)}) == len(others) + 2
    assert [s.span_id for s in one.spans] == [s.span_id for s in others[0].spans]
    moved = {s.span_id for s in build(LOG, trace_id="tr-" + "f" * 32).spans}
    assert not moved & {s.span_id for s in one.spans}
    assert (others[-1].request, build(LOG, request="else").request) == ("go", "go")
