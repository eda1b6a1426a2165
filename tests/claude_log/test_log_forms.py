"""Logs in every form and state: arrays, foreign lines, broken text, wrappings, and anything."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from agentlogs import (
    SHAPES,
    Event,
    Story,
    answer,
    as_lines,
    ask,
    assert_sound,
    assert_told,
    build,
    build_lines,
    finish,
    init,
    outline,
    say,
    spans,
    stamp,
    text,
    use,
)
from damage import damaged, places_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.claude_log.log_trace import MAX_VALUE_CHARS
from evalkit.errors import LogRefused
from evalkit.jsonable import canonical
from evalkit.receipt import MOST_LINES, VERDICTS, Receipt
from evalkit.runs.log_file import LONGEST_UNPACKED, LogFile

LOG = [init(), ask("go"), say("m1", use("t1", "Bash")), answer("t1", "y"), finish("done")]
TREE = outline(build(LOG))
LINES = [line.strip() for line in as_lines(LOG)]
BEFORE, MIDDLE, AFTER = b"\n".join(LINES[:2]), LINES[2:4], LINES[4]
WHOLE = b"\n".join(LINES) + b"\n"
REORDERED = LINES[2] + json.dumps(dict(reversed(LOG[3].items()))).encode()
BROKEN = "broken JSON beside an event"


def each(form: bytes) -> bytes:
    return b"".join(form % line for line in LINES)


def indented(indent: int, end: str = "") -> bytes:
    return "\n".join([*(json.dumps(e, indent=indent) for e in LOG), end]).encode()


FORMS: dict[str, tuple[bytes, list[str]]] = {
    "an array": (json.dumps(LOG).encode(), []),
    "an indented array": (json.dumps(LOG, indent=2).encode(), []),
    "an array, a line an event": (b"[" + b",\n".join(LINES) + b"]\n", []),
    "an array's commas only": (b",\n".join(LINES), []),
    "an array after text": (b"warming up\n" + json.dumps(LOG).encode(), ["no JSON"]),
    "a byte order mark": (b"\xef\xbb\xbf" + WHOLE, []),
    "windows' line ends": (b"\r\n".join(LINES), []),
    "carriage returns only": (b"\r".join(LINES), []),
    "one line": (b"".join(LINES), []),
    "a banner and indented objects": (b"Now using node\n" + indented(1), ["no JSON"]),
    "indented objects and an end": (indented(2, "Done in 3 s.\n"), ["no JSON"]),
    "a line and an array": (LINES[0] + b"\n" + json.dumps(LOG[1:], indent=2).encode(), []),
    "a pod's name": (each(b"[pod/x-1] %s\n"), []),
    "compose": (each(b"claude-1  | %s\n"), []),
    "colours": (each(b"\x1b[2K\r%s\n"), []),
    "record separators": (each(b"\x1e%s\n"), []),
    "a banner, then times": (b"starting\n" + each(b"2026-01-02 03:04:05 %s\n"), ["no JSON"]),
    "events of a server": (each(b"data: %s\n\n"), []),
    "events with names": (b": hi\n" + each(b"event: x\nid: 1\ndata: %s\n\n") + b"data: [DONE]", []),
    "keys in another order": (b"\n".join([BEFORE, REORDERED, AFTER]), []),
    **{
        repr(form): (b"\n".join([BEFORE, form % tuple(MIDDLE), AFTER]), unreadable)
        for form, unreadable in (
            (b"%s %s", []),
            (rb"%s\n%s", []),
            (b"\x1b[2K\r%s\n%s\x1b[0m", []),
            (b"warn: slow%s\n%snpm warn x", []),
            (b"\x00" * 64 + b"%s\n%s", []),
            (b'{"type": "assist%s\n%s', [BROKEN]),
            (b'%s%s{"type": "user", "mess', [BROKEN]),
            (b'%s\n%s\nDEBUG request={"model": "x"} done', ["no JSON"]),
            (b'%s\n%s\n{"type":"assistant","message":{"content":[{"type":"te', ["broken JSON"]),
        )
    },
}  # fmt: skip
NOTES = {
    "compose": "other text stands beside 5 events of the log, such as 'claude-1  |'",
    "events of a server": "the log is a stream of server-sent events; their data is read",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_event_is_read_in_whatever_form_the_log_is(form: str) -> None:
    data, unreadable = FORMS[form]
    trace = build_lines(io.BytesIO(data))
    assert_told(trace, tree=TREE, unreadable=unreadable)
    assert trace.receipt.used == len(LOG)
    assert form not in NOTES or NOTES[form] in trace.receipt.notes


@pytest.mark.parametrize("end", [40, 200, 500, -2, -30])
def test_an_array_that_is_cut_off_keeps_its_whole_elements(end: int) -> None:
    for form in (json.dumps(LOG), json.dumps(LOG, indent=1)):
        try:
            trace = build_lines(form[:end].encode().splitlines(keepends=True))
        except LogRefused:
            assert end == 40
        else:
            assert_told(trace)
            assert trace.receipt.unreadable or end == -2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"npm warn deprecated", "no JSON"),
        (b"[INFO] starting up", "broken JSON"),
        (b'{"type": "assistant", "mess', "broken JSON"),
        (b'"a text"', "JSON, but no object"),
        (b'noise {"type": []}', "no JSON"),
        (b"[1, 2]", "JSON, but no object"),
        (b"[" * 100_000, "nested too deeply to be read"),
    ],
    ids=range(7),
)
def test_a_line_that_is_no_object_is_named_with_its_number(line: bytes, why: str) -> None:
    first = build_lines([line + b"\n", *as_lines(LOG)])
    last = build_lines([*as_lines(LOG), line])
    assert {number for number, _ in first.receipt.unreadable} == {1}
    assert {*last.receipt.unreadable} == {(len(LOG) + 1, why)}
    assert outline(first) == outline(last) == TREE


CURSOR = [
    {"type": "system", "subtype": "init", "session_id": "c"},
    {"type": "assistant", "message": {"role": "assistant", "content": [text("hi")]}},
    {"type": "tool_call", "subtype": "started"},
]
DOCKER = json.dumps({"log": LINES[0].decode() + "\n", "stream": "stdout"}).encode()
GEMINI = b'{"type":"init"}\n{"type":"message","role":"user"}\n'


@pytest.mark.parametrize(
    ("data", "message", "fix"),
    [
        (b"", "the log is empty", "again"),
        (b"\n  \n", "the log is empty", "again"),
        (b"hello\nworld\n", "is a JSON object (line 1: no JSON)", "stream-json"),
        (b"[]\n", "JSON, but no object", "stream-json"),
        (GEMINI, "a log of Gemini CLI", "claude"),
        (b'{"type":"step_start","part":{}}\n', "a log of opencode", "claude"),
        (b"".join(as_lines(CURSOR)), "a log of Cursor", "claude"),
        (b'{"type":"x"}\n{"type":"y"}\n', "it has events of type x, y", "claude"),
        (b'{"a": 1}\n', "no event of the log is one of an agent's", "claude"),
        (DOCKER, "in the text 'log' of another object", "jq -r .log"),
    ],
)
def test_a_log_that_gives_no_trace_is_refused_with_the_reason_and_what_to_do(
    data: bytes, message: str, fix: str
) -> None:
    with pytest.raises(LogRefused) as refused:
        build_lines(io.BytesIO(data))
    assert message in str(refused.value)
    assert fix in (refused.value.problems[0].fix or "")
    receipt = refused.value.receipt
    assert (receipt.verdict, receipt.used) == ("refused", 0)
    assert sum(receipt.skipped.values()) + len(receipt.unreadable) == receipt.lines


def test_a_compressed_log_is_read_and_one_that_cannot_be_is_refused(tmp_path: Path) -> None:
    def read(data: bytes) -> bytes:
        (tmp_path / "log").write_bytes(data)
        return b"".join(LogFile(tmp_path / "log", None).lines()[""])

    packed = gzip.compress(WHOLE, mtime=0)
    assert read(packed + packed) == 2 * WHOLE
    bomb = gzip.compress(WHOLE + b"\x00" * (LONGEST_UNPACKED + 9), 1)
    for data, why in {
        packed[:-20]: "damaged or cut off",
        packed[:60] + b"\x00" * 40: "damaged or cut off",
        bz2.compress(WHOLE): "compressed with bzip2",
        b"PK\x03\x04": "compressed with zip",
        bomb: "a line of more than 64 MB",
    }.items():
        with pytest.raises(LogRefused, match=why):
            read(data)


# -- what a line may hold --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (rb'"half \ud83d of a pair"', "half ? of a pair"),
        (b'"broken \xff utf-8"', "broken \ufffd utf-8"),
        *((number, ...) for number in (b"NaN", b"-Infinity", b"1e999", b"9" * 400)),
    ],
)
def test_what_json_does_not_have_does_not_lose_the_line(raw: bytes, shown: Any) -> None:
    lines = as_lines(LOG)
    lines[3] = lines[3].replace(b'"y"', raw)
    (tool,) = spans(build_lines(lines), "TOOL")
    assert shown is ... or tool.outputs == shown
    json.loads(canonical([tool.outputs, tool.attributes]), parse_constant=pytest.fail)


def test_deep_values_are_kept_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(300):
        deep = {"a": [deep]}
    kept = spans(build([*LOG[:2], say("m1", use("t1", "X", v=deep)), *LOG[3:]]), "TOOL")[0].inputs
    assert "bottom" in canonical(kept)


def test_many_kinds_of_unknown_events_do_not_flood_the_receipt() -> None:
    receipt = build([*LOG, *({"type": f"kind {n} " + "x" * 500} for n in range(500))]).receipt
    assert len(receipt.skipped) <= 61
    assert sum(receipt.skipped.values()) == 500
    assert max(map(len, receipt.skipped)) <= 80


def test_a_receipt_names_in_words_everything_that_was_not_used() -> None:
    unreadable = [(number, "no JSON") for number in range(1, 8)]
    told = Receipt(20, 11, {"the same uuid": 2}, unreadable, 2, masked={"jwt": 3}).in_words()
    used, skipped = "11 became part of the trace", "2 carry nothing for a trace"
    assert told["Lines"] == f"20 lines: {used}, {skipped}, 7 could not be read"
    assert (told["Skipped"], told["Sessions"]) == ("the same uuid: 2", "2, one after the other")
    *named, rest = told["Unreadable"].splitlines()
    assert (len(named), named[0], rest) == (MOST_LINES, "line 1: no JSON", "and 2 more")
    assert told["Masked"].startswith("jwt: 3")


def test_a_long_line_is_held_twice_at_most_as_bytes_and_as_text() -> None:
    long = as_lines([answer("t1", "x y " * 2_000_000)])[0]
    lines = iter([*as_lines(LOG[:3]), long, *as_lines(LOG[4:])])
    tracemalloc.start()
    try:
        trace = build_lines(lines)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert trace.receipt.truncated == {"Bash output": 8_000_000 - MAX_VALUE_CHARS}
    assert peak < 1.6 * len(long)  # beside the bytes, which are older than the measuring


def test_subagents_may_nest_deeper_than_python_calls() -> None:
    log = [init()]
    for depth in range(3_000):
        parent = f"t{depth - 1}" if depth else None
        log.append(say(f"m{depth}", use(f"t{depth}", "Task", prompt="p"), parent=parent))
    trace = build(log)
    assert len(spans(trace, "AGENT")) == 3_000
    assert_sound(trace)


# -- anything ------------------------------------------------------------------------------------


def item(kind: str, **more: Any) -> Event:
    return {"type": "item.completed", "item": {"id": "i", "type": kind, **more}}


def payload(kind: str, **more: Any) -> Event:
    return {"timestamp": "2026-03-04T05:06:07Z", "type": kind, "payload": more}


USED = {"input_tokens": 5, "cached_input_tokens": 2, "output_tokens": 1}
STEP = {
    "source": "agent",
    "message": "hm",
    "tool_calls": [{"tool_call_id": "c", "function_name": "ls", "arguments": {}}],
    "observation": {"results": [{"source_call_id": "c", "content": "a"}]},
    "metrics": {"prompt_tokens": 5, "completion_tokens": 1, "cost_usd": 0.5},
}
OTHERS: dict[str, list[Event]] = {
    "codex exec": [
        {"type": "thread.started", "thread_id": "019a2d7a-41c4-78b1-b7cc-a45d62a89cd5"},
        item("command_execution", command="ls", aggregated_output="a", exit_code=1),
        item("mcp_tool_call", server="s", tool="t", error={"message": "late"}, status="failed"),
        item("agent_message", text="hi"),
        *({"type": "turn.completed", "usage": USED}, {"type": "error", "message": "no"}),
    ],
    "codex session": [
        payload("session_meta", id="s", forked_from_id="p", git={"branch": "b"}),
        payload("turn_context", model="gpt", turn_id="019a2d7a-41c4-78b1-b7cc-a45d62a89cd5"),
        payload("response_item", type="message", role="user", content=[text("go")]),
        payload("response_item", type="function_call", name="spawn_agent", call_id="c"),
        payload("response_item", type="function_call_output", call_id="c", output='{"a": 1}'),
        payload("event_msg", type="token_count", info={"total_token_usage": USED}),
        payload("event_msg", item={"agent_thread_id": "x", "id": "c", "kind": "completed"}),
        *(payload("compacted", message="m"), payload("event_msg", type="turn_aborted")),
    ],
    "atif": [
        {
            "schema_version": "ATIF-v1.5",
            "agent": {"name": "a"},
            "steps": [STEP, STEP],
            "final_metrics": {"total_prompt_tokens": 10},
        }
    ],
}
WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["m1", "t1", "s1", "text", "tool_use", "tool_result", "2026-03-04T05:06:07Z"]),
    st.just(...),
)
GARBAGE = st.one_of(
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b" ")),
    st.sampled_from([b"null", b"[]", b"{}", b'{"type":"user"}', b'{"type":"result"}', b"}{"]),
)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """A log with lines lost, repeated and swapped, fields wrong, garbage between, cut off."""
    form = draw(st.sampled_from(sorted({*SHAPES, *OTHERS})))
    if form in OTHERS:
        events = OTHERS[form]
    else:
        events = Story(draw(st.integers(0, 30))).tell(draw(st.integers(1, 4)))
        events = SHAPES[form](stamp(events, draw(st.sampled_from(["all", "user", "none"]))))
    events = [event for event in events if draw(st.integers(0, 9))]
    for _ in range(draw(st.integers(0, 6)) if events else 0):
        at = draw(st.integers(0, len(events) - 1))
        if choices := places_in(events[at]):
            events[at] = damaged(events[at], draw(st.sampled_from(choices)), draw(WRONG))
    if draw(st.booleans()):
        events = draw(st.permutations(events))
    lines = as_lines(events)
    for _ in range(draw(st.integers(0, 3))):
        lines.insert(draw(st.integers(0, len(lines))), draw(GARBAGE) + b"\n")
    data = b"".join(lines)
    return data[: draw(st.integers(0, len(data)))].splitlines(keepends=True)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=logs(), asides=logs(), limit=st.sampled_from([1, 50, 100_000]))
def test_whatever_the_log_every_line_is_accounted_for_and_the_tree_is_sound(
    lines: list[bytes], asides: list[bytes], limit: int
) -> None:
    try:
        trace = build_lines(lines, sidecars={"agent-x.jsonl": asides}, max_value_chars=limit)
    except LogRefused as refused:
        lost = refused.receipt
        assert sum(lost.skipped.values()) + len(lost.unreadable) + lost.used == lost.lines
        return
    assert_told(trace)
    assert_sound(trace)
    assert trace.spans[0].parent_id is None
    assert trace.receipt.verdict in VERDICTS
    for span in trace.spans:
        canonical([span.inputs, span.outputs, span.attributes]).encode()
    assert all(isinstance(value, str) for value in trace.metadata.values())
