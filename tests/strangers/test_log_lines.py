"""Lines that hold more or other things than one event: every event of a log is read."""

import gzip
import json
import subprocess

import pytest
from agentlogs import answer, as_lines, ask, build, build_lines, finish, init, outline, say, use

from evalkit.errors import LogRefused

LOG = [init(), ask("go"), say("m1", use("t1", "Bash")), answer("t1", "y"), finish("done")]
LINES = [line.strip() for line in as_lines(LOG)]
BEFORE, MIDDLE, AFTER = b"\n".join(LINES[:2]), LINES[2:4], LINES[4]
ODD_KEYS = json.dumps({"session_id": "s1", "uuid": "u", **LOG[3]}).encode()


@pytest.mark.parametrize(
    ("middle", "unreadable"),
    [
        (b"%s%s", []),
        (b"%s %s", []),
        (rb"%s\n%s", []),
        (b"\x00\x00\x00%s\n%s", []),
        (b"\x1b[2K\r%s\n%s\x1b[0m", []),
        (b"\xef\xbb\xbf%s\n%s", []),
        (b"warn: slow%s\n%s", ["text beside an event"]),
        (b"%snpm warn x\n%s", ["text beside an event"]),
        (b"a%sb%sc", ["text beside an event"] * 3),
        (b"[12:30] {x}%s\n%s", ["text beside an event"]),
        (b'{"type": "assist%s\n%s', ["broken JSON beside an event"]),
        (b'%s%s{"type": "user", "mess', ["broken JSON beside an event"]),
    ],
)
def test_events_are_read_wherever_on_a_line_they_stand(middle: bytes, unreadable: list) -> None:
    data = b"\n".join([BEFORE, middle % tuple(MIDDLE), AFTER])
    trace = build_lines(data.split(b"\n"))
    assert outline(trace) == outline(build(LOG))
    assert [why for _, why in trace.receipt.unreadable] == unreadable
    assert trace.receipt.used == len(LOG)
    assert trace.receipt.lines == len(LOG) + len(unreadable)


def test_the_order_of_an_events_keys_does_not_matter() -> None:
    data = [BEFORE, LINES[2] + ODD_KEYS, AFTER]
    assert build_lines(b"\n".join(data).split(b"\n")).receipt.used == len(LOG)


@pytest.mark.parametrize(
    "line",
    [
        b'DEBUG request={"model": "x"} done',
        b'{"type":"assistant","message":{"content":[{"type":"text","text":"a"}, {"type":"te',
        b'retrying: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
    ],
)
def test_what_only_looks_like_an_event_is_none(line: bytes) -> None:
    trace = build_lines([*LINES[:4], line, AFTER])
    assert trace.receipt.used == len(LOG)
    assert len(trace.receipt.unreadable) == 1


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(event, indent=2) for event in LOG),
        "Now using node v20\n" + json.dumps(LOG, indent=2),
        "Now using node v20\n" + "\n".join(json.dumps(event, indent=1) for event in LOG),
        "\n".join(json.dumps(event, indent=2) for event in LOG) + "\nDone in 3 s.\n",
        as_lines(LOG[:1])[0].decode() + json.dumps(LOG[1:], indent=2),
    ],
    ids=["objects", "banner and array", "banner and objects", "objects and end", "line and array"],
)
def test_events_over_several_lines_are_read(text: str) -> None:
    trace = build_lines(text.encode().splitlines(keepends=True))
    assert outline(trace) == outline(build(LOG))
    assert trace.receipt.used == len(LOG)


@pytest.mark.parametrize(
    ("data", "message", "fix"),
    [
        (b"".join(b"claude-1  | " + x + b"\n" for x in LINES), "such as 'claude-1  |'", "sed"),
        (b"".join(b"2026-01-02T03:04:05Z " + x + b"\n" for x in LINES), "'2026-01-02T", "sed"),
        (b"".join(b"\x1b[2K\r" + x + b"\n" for x in LINES), "behind other text", "sed"),
        (b"".join(b"data: " + x + b"\n\n" for x in LINES), "server-sent events", "sed"),
        (
            b"".join(b"event: message\ndata: " + x + b"\n\n" for x in LINES),
            "server-sent events",
            "sed",
        ),
        (gzip.compress(b"\n".join(LINES), mtime=0), "compressed with gzip", "decompress"),
        (b"PK\x03\x04\x14\x00\n\x00", "compressed with zip", "decompress"),
    ],
    ids=["compose", "times", "colours", "sse", "sse with names", "gzip", "zip"],
)
def test_logs_in_a_wrapping_are_refused_with_what_to_do(
    data: bytes, message: str, fix: str
) -> None:
    with pytest.raises(LogRefused) as refused:
        build_lines(data.split(b"\n"))
    assert message in str(refused.value)
    assert fix in str(refused.value)
    assert refused.value.receipt.used == 0


def test_the_advice_makes_such_a_log_readable(tmp_path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"".join(b"claude-1  | " + line + b"\n" for line in LINES))
    with pytest.raises(LogRefused) as refused, path.open("rb") as file:
        build_lines(file)
    command = str(refused.value).partition("take them off: ")[2].strip(")")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)  # noqa: S602
    assert outline(build_lines(done.stdout.splitlines())) == outline(build(LOG))
