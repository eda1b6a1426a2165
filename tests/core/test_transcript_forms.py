"""Logs in every form and state: arrays, foreign lines, broken text, and anything at random."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any

import pytest
from agentlogs import (
    Event,
    Story,
    answer,
    as_lines,
    ask,
    build,
    build_lines,
    finish,
    init,
    outline,
    say,
    spans,
    stamp,
    use,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_spans_time import assert_sound

from evalkit.claude_log.log_trace import MAX_VALUE_CHARS
from evalkit.core.receipt import VERDICTS
from evalkit.core.spans import Trace
from evalkit.errors import LogRefused
from evalkit.jsonable import canonical

LOG = [init(), ask("go"), say("m1", use("t1", "Bash")), answer("t1", "y"), finish("done")]


def assert_accounted(trace: Trace) -> None:
    receipt = trace.receipt
    assert receipt.used + sum(receipt.skipped.values()) + len(receipt.unreadable) == receipt.lines


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(LOG).encode(),
        json.dumps(LOG, indent=2).encode(),
        b"[" + b",\n".join(line.strip() for line in as_lines(LOG)) + b"]\n",
        b"warming up\n" + json.dumps(LOG).encode(),
        b"\xef\xbb\xbf" + b"".join(as_lines(LOG)),
        b"\r\n".join(line.strip() for line in as_lines(LOG)),
        b"\n\n".join(line.strip() for line in as_lines(LOG)),
        b"".join(as_lines(LOG)).decode().encode("utf-16"),
    ],
    ids=["array", "indented", "line by line", "after noise", "mark", "crlf", "blanks", "utf-16"],
)
def test_a_log_is_the_same_in_whatever_form(data: bytes) -> None:
    trace = build_lines(data.splitlines(keepends=True))
    assert outline(trace) == outline(build(LOG))
    assert trace.receipt.used == len(LOG)
    assert_accounted(trace)


@pytest.mark.parametrize("end", [40, 200, 500, -2, -30])
def test_an_array_that_is_cut_off_keeps_its_whole_elements(end: int) -> None:
    for form in (json.dumps(LOG), json.dumps(LOG, indent=1)):
        try:
            trace = build_lines(form[:end].encode().splitlines(keepends=True))
        except LogRefused:
            assert end == 40
        else:
            assert_accounted(trace)
            assert trace.receipt.unreadable or end == -2
            assert "the log is a JSON array that is broken or cut off" in trace.receipt.notes


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"npm warn deprecated", "no JSON"),
        (b"[INFO] starting up", "broken JSON"),
        (b'{"type": "assistant", "mess', "broken JSON: the log is cut off in this line"),
        (b'{"type": }', "broken JSON"),
        (b'"a text"', "JSON, but no object: a text"),
        (b"42", "JSON, but no object: a number"),
        (b"null", "JSON, but no object: null"),
        (b"true", "JSON, but no object: a truth value"),
        (b'noise {"type": []}', "no JSON"),
        (b"[1, 2]", "JSON, but no object: an array"),
        (b"\x00\x00\x00", "no JSON"),
        (b"[" * 100_000, "nested too deeply to be read"),
        (b'{"a":' * 100_000, "nested too deeply to be read"),
    ],
)
def test_a_line_that_is_no_object_is_named_with_its_number(line: bytes, why: str) -> None:
    lines = as_lines(LOG)
    first = build_lines([line + b"\n", *lines])
    last = build_lines([*lines, line])
    assert [number for number, _ in first.receipt.unreadable] == [1]
    assert last.receipt.unreadable == [(len(LOG) + 1, why)]
    assert outline(first) == outline(last) == outline(build(LOG))


@pytest.mark.parametrize(
    ("raw", "text_"),
    [
        (rb"half \ud83d of a pair", "half ? of a pair"),
        (b"broken \xff utf-8", "broken \ufffd utf-8"),
        (rb"whole \ud83d\ude00 pair", "whole 😀 pair"),
    ],
)
def test_broken_characters_do_not_lose_the_line(raw: bytes, text_: str) -> None:
    lines = as_lines(LOG)
    lines[3] = lines[3].replace(b'"y"', b'"' + raw + b'"')
    assert spans(build_lines(lines), "TOOL")[0].outputs == text_


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 400])
def test_numbers_that_json_does_not_have_do_not_lose_the_line(number: str) -> None:
    lines = as_lines(LOG)
    lines[2] = lines[2].replace(b'"input": {}', b'"input": {"n": ' + number.encode() + b"}")
    trace = build_lines(lines)
    assert len(spans(trace, "TOOL")) == 1
    json.loads(canonical(trace.spans[2].attributes), parse_constant=pytest.fail)


def test_deep_values_are_kept_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(300):
        deep = {"a": [deep]}
    given_ = spans(build([*LOG[:2], say("m1", use("t1", "X", v=deep)), *LOG[3:]]), "TOOL")[0].inputs
    assert "bottom" in canonical(given_)


def test_many_kinds_of_unknown_events_do_not_flood_the_receipt() -> None:
    strange = [{"type": f"kind {n} " + "x" * 500} for n in range(500)]
    receipt = build([*LOG, *strange]).receipt
    assert len(receipt.skipped) <= 61
    assert sum(receipt.skipped.values()) == 500
    assert max(map(len, receipt.skipped)) <= 80


def test_a_long_line_is_held_twice_at_most_as_bytes_and_as_text() -> None:
    long = as_lines([answer("t1", "x y " * 2_000_000)])[0]
    size = len(long)
    lines = iter([*as_lines(LOG[:3]), long, *as_lines(LOG[4:])])
    tracemalloc.start()
    try:
        trace = build_lines(lines)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert trace.receipt.truncated == {"Bash output": 8_000_000 - MAX_VALUE_CHARS}
    assert peak < 1.6 * size  # beside the bytes themselves, which are older than the measuring


def test_subagents_may_nest_deeper_than_python_calls() -> None:
    log = [init()]
    for depth in range(3_000):
        parent = f"t{depth - 1}" if depth else None
        log.append(say(f"m{depth}", use(f"t{depth}", "Task", prompt="p"), parent=parent))
    trace = build(log)
    assert len(spans(trace, "AGENT")) == 3_000
    assert_sound(trace)


# -- anything ------------------------------------------------------------------------------------

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["m1", "t1", "s1", "text", "tool_use", "tool_result", "2026-03-04T05:06:07Z"]),
)
GARBAGE = st.one_of(
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b" ")),
    st.sampled_from([b"null", b"[]", b"{}", b'{"type":"user"}', b'{"type":"result"}', b"}{"]),
)


def paths(value: Any, at: tuple = ()) -> list[tuple]:
    below = list(value.items()) if isinstance(value, dict) else []
    below = list(enumerate(value)) if isinstance(value, list) else below
    return [at] * bool(at) + [p for key, item in below for p in paths(item, (*at, key))]


def put(event: Event, path: tuple, value: Any, *, drop: bool) -> None:
    holder: Any = event
    for key in path[:-1]:
        holder = holder[key]
    if drop:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value


@st.composite
def damaged_logs(draw: st.DrawFn) -> list[bytes]:
    """A story with lines lost, repeated and swapped, fields wrong, garbage between, cut off."""
    events = copy.deepcopy(Story(draw(st.integers(0, 30))).tell(draw(st.integers(1, 4))))
    events = stamp(events, draw(st.sampled_from(["all", "user", "none"])))
    events = [event for event in events if draw(st.integers(0, 9))]
    for _ in range(draw(st.integers(0, 6))):
        event = draw(st.sampled_from(events)) if events else {}
        choices = paths(event)
        if choices:
            put(event, draw(st.sampled_from(choices)), draw(WRONG), drop=draw(st.booleans()))
    if draw(st.booleans()):
        events = draw(st.permutations(events))
    lines = as_lines(events)
    for _ in range(draw(st.integers(0, 3))):
        lines.insert(draw(st.integers(0, len(lines))), draw(GARBAGE) + b"\n")
    data = b"".join(lines)
    return data[: draw(st.integers(0, len(data)))].splitlines(keepends=True)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=damaged_logs(), asides=damaged_logs(), limit=st.sampled_from([1, 50, 100_000]))
def test_whatever_the_log_every_line_is_accounted_for_and_the_tree_is_sound(
    lines: list[bytes], asides: list[bytes], limit: int
) -> None:
    try:
        trace = build_lines(lines, sidecars={"agent-x.jsonl": asides}, max_value_chars=limit)
    except LogRefused as refused:
        receipt = refused.receipt
        assert receipt.used + sum(receipt.skipped.values()) + len(receipt.unreadable) == (
            receipt.lines
        )
        return
    assert_accounted(trace)
    assert_sound(trace)
    assert trace.spans[0].parent_id is None
    assert trace.receipt.verdict in VERDICTS
    for span in trace.spans:
        canonical([span.inputs, span.outputs, span.attributes]).encode()
    assert all(isinstance(value, str) for value in trace.metadata.values())


@settings(max_examples=100, deadline=None)
@given(
    value=st.recursive(
        WRONG,
        lambda inner: st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "subtype",
                    "message",
                    "content",
                    "usage",
                    "id",
                    "result",
                    "event",
                    "modelUsage",
                    "tool_use_result",
                    "session_id",
                    "task_id",
                    "tool_use_id",
                ]
            ),
            st.one_of(
                inner,
                st.sampled_from(
                    [
                        "assistant",
                        "user",
                        "system",
                        "result",
                        "init",
                        "task_started",
                        "stream_event",
                    ]
                ),
            ),
            max_size=6,
        ),
    )
)
def test_no_object_whatever_raises_anything_but_a_refusal(value: Any) -> None:  # fmt: skip
    try:
        assert_accounted(build([value, *LOG[:3], value]))
    except LogRefused:
        pytest.fail("the log has a session with a message")
