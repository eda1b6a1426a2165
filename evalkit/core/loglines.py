"""From the bytes of a log to its events, whatever form the log has and whatever else is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from evalkit.core.ledger import Ledger
from evalkit.core.values import Json, well_formed

Event: TypeAlias = dict[str, Json]
"""One JSON object of the log."""

KINDS = frozenset({"assistant", "user", "result", "system", "stream_event"})
"""Types of events that Claude Code logs in a shape of its own; of others, it logs any."""

_BLANK = b" \t\r\n\f\v"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ARRAY_BEGINS = re.compile(rb"\s*\[\s*(?:\{|$)")  # and not such as "[INFO] starting"
_EVENT_BEGINS = re.compile(r'\{\s*"type"\s*:\s*"(?:assistant|user|result|system|stream_event)"')
_UNSEEN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x20\x7f\ufeff]|\\[nrt]")
"""What takes no place on a terminal, and line ends that a program wrote as two characters."""
COMPRESSED = "compressed with"
"""Begins the reason why the first line of a compressed log cannot be read."""

WRAPPED = "an event inside another object's text, "
"""Begins the reason why an object is skipped that a logging driver put around an event."""

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_decode = msgspec.json.Decoder().decode
_scan = json.JSONDecoder().raw_decode


class _Unreadable(ValueError):
    """Text that is no JSON value; the message says why."""


def is_event(value: Json) -> bool:
    """Whether a value has the shape of an event of Claude Code."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind in {"assistant", "user"}:
        return isinstance(value.get("message"), dict) or "tool_use_result" in value
    if kind == "result":
        return any(k in value for k in ("subtype", "is_error", "duration_ms", "total_cost_usd"))
    if kind == "system":
        return isinstance(value.get("subtype"), str)
    return isinstance(kind, str) and ("event" if kind == "stream_event" else "session_id") in value


def what_it_is(value: Event) -> str:
    """What to call an object that does not say it itself."""
    wrapped = (k for k, v in value.items() if isinstance(v, str) and _EVENT_BEGINS.match(v))
    return next((f"{WRAPPED}{key}" for key in wrapped), "an object without a type")


def read_events(lines: Iterable[bytes], ledger: Ledger, *, source: str = "") -> Iterator[Event]:
    """The objects of a log, one by one; all else goes to the ledger as unreadable.

    One object a line is the rule. Events that share a line with each other or with other text
    are read too, and so are those that run over several lines, be it one JSON array or one object
    after the other, whole or cut off; each then counts as a line.

    Args:
        lines: The log, with or without line ends.
        ledger: Counts every entry; the caller books what becomes of the objects.
        source: Named in the ledger where it is not the main log.
    """
    prefix = f"{source}: " if source else ""
    numbered = enumerate(lines, start=1)
    last = b""
    for number, raw in numbered:
        line = raw.strip(_BLANK)
        if not line:
            continue
        try:
            value = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = None
        if isinstance(value, dict):  # nearly always
            ledger.lines += 1
            yield value
        elif line in {b"{", b"["} or (
            not last and _ARRAY_BEGINS.match(line) and not _is_json(line)
        ):
            rest = (each.rstrip(b"\n") for _, each in numbered)
            text = b"\n".join([line, *rest]).decode("utf-8", "replace")
            yield from _over_lines(text, number, ledger, prefix)
            return
        else:
            yield from _objects(line, number, ledger, prefix)
        last = line
    _name_cut(last, ledger)


def as_utf8(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in UTF-8 and without a byte order mark.

    A shell on Windows writes UTF-16 when output is redirected into a file.
    """
    rest = iter(lines)
    first = next(rest, b"")
    if first.startswith(_UTF_16_MARKS):
        text = b"".join([first, *rest]).decode("utf-16", "replace")
        yield from (line.encode("utf-8", "replace") for line in text.splitlines(keepends=True))
        return
    yield first.removeprefix(_BYTE_ORDER_MARK)
    yield from rest


def _objects(line: bytes, number: int, ledger: Ledger, prefix: str) -> Iterator[Event]:
    try:
        value = _value(line)
    except _Unreadable as error:
        yield from _beside_text(line, number, ledger, prefix, str(error))
        return
    values = value if isinstance(value, list) and _holds_objects(value) else [value]
    yield from _only_objects(values, number, ledger, prefix)


def _beside_text(
    line: bytes, number: int, ledger: Ledger, prefix: str, why: str
) -> Iterator[Event]:
    """The events of a line that is no JSON value; what is around them goes to the ledger."""
    text = line.decode("utf-8", "replace")
    done, begin = 0, text.find("{")
    unread: list[str] = []
    while begin >= 0:
        value, end = _value_at(text, begin)
        if is_event(value):
            unread.append(text[done:begin])
            ledger.lines += 1
            ledger.prefixed += bool(unread[0])
            ledger.prefix = ledger.prefix or unread[0]
            yield well_formed(value)
            done, begin = end, text.find("{", end)
        else:
            event = _EVENT_BEGINS.search(text, begin + 1)
            begin = event.start() if event else -1
    for part in (*unread, text[done:]):
        if not done:
            ledger.reject(number, f"{prefix}{why}")
        elif _UNSEEN.sub("", part):
            what = "broken JSON" if part.startswith("{") else "text"
            ledger.reject(number, f"{prefix}{what} beside an event")


def _only_objects(
    values: Iterable[Json], number: int, ledger: Ledger, prefix: str
) -> Iterator[Event]:
    for value in values:
        if isinstance(value, dict):
            ledger.lines += 1
            yield value
        else:
            ledger.reject(number, f"{prefix}JSON, but no object: {_kind(value)}")


def _value(line: bytes) -> Json:
    """The JSON value on a line.

    What the fast parser refuses may still be read by the patient one: broken UTF-8, halves of
    surrogate pairs, NaN, numbers out of range.

    Raises:
        _Unreadable: it is no JSON value, or one that is nested absurdly deep.
    """
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    except RecursionError:
        raise _Unreadable("nested too deeply to be read") from None
    try:
        return well_formed(json.loads(line.decode("utf-8", "replace")))
    except ValueError:
        raise _Unreadable(_why_no_json(line)) from None
    except RecursionError:
        raise _Unreadable("nested too deeply to be read") from None


def _why_no_json(line: bytes) -> str:
    packed = next((name for magic, name in _MAGIC.items() if line.startswith(magic)), "")
    if packed:
        return f"{COMPRESSED} {packed}"
    return "broken JSON" if line[:1] in b"{[" else "no JSON"


def _name_cut(last: bytes, ledger: Ledger) -> None:
    """Say of a last line that only its end is missing that the log is cut off there."""
    if last.startswith(b"{") and not last.endswith(b"}") and ledger.unreadable:
        number, why = ledger.unreadable[-1]
        if "broken JSON" in why:
            ledger.unreadable[-1] = (number, f"{why}: the log is cut off in this line")


def _is_json(line: bytes) -> bool:
    try:
        _value(line)
    except _Unreadable:
        return False
    return True


def _holds_objects(values: list[Json]) -> bool:
    return any(isinstance(value, dict) for value in values)


def _kind(value: Json) -> str:
    names = {str: "a text", list: "an array", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _over_lines(text: str, number: int, ledger: Ledger, prefix: str) -> Iterator[Event]:
    """The objects of text whose values run over many lines; what is broken is read by lines."""
    if not text.startswith("["):
        ledger.note("events of the log run over several lines; each counts as one")
    elif not _is_json(text.encode()):
        ledger.note("the log is a JSON array that is broken or cut off")
    else:
        ledger.note("the log is one JSON array; its elements count as lines")
        yield from _only_objects(_value(text.encode()), number, ledger, prefix)
        return
    at, counted_to, sound = 0, 0, True
    while at < len(text):
        if text[at] in " \t\r\n\f\v,[]":
            at += 1
            continue
        number += text.count("\n", counted_to, at)
        counted_to = at
        value, end = _value_at(text, at)
        if isinstance(value, dict) and (sound or is_event(value)):
            ledger.lines += 1
            yield well_formed(value)
        else:
            sound, end = False, text.find("\n", at)
            end = end if end >= 0 else len(text)
            yield from _objects(text[at:end].strip().encode(), number, ledger, prefix)
        at = end


def _value_at(text: str, begin: int) -> tuple[Json, int]:
    """The JSON value that begins there and where it ends; None where none does."""
    try:
        return _scan(text, begin)
    except (ValueError, RecursionError):
        return None, begin
