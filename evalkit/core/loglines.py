"""From the bytes of a log to its events, whatever form the log has and whatever else is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

import msgspec

from evalkit.core.ledger import Ledger
from evalkit.core.values import Json, well_formed

Event: TypeAlias = dict[str, Json]
"""One JSON object of the log."""

_BLANK = b" \t\r\n\f\v"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ARRAY_BEGINS = re.compile(rb"\s*\[\s*(?:\{|$)")  # and not such as "[INFO] starting"
_decode = msgspec.json.Decoder().decode


class _Unreadable(ValueError):
    """Text that is no JSON value; the message says why."""


def read_events(lines: Iterable[bytes], ledger: Ledger, *, source: str = "") -> Iterator[Event]:
    """The objects of a log, one by one; all else goes to the ledger as unreadable.

    One object a line is the rule. A log that is one JSON array, on one line or on many, whole or
    cut off, is read element by element; its elements then count as lines.

    Args:
        lines: The log, with or without line ends.
        ledger: Counts every entry; the caller books what becomes of the objects.
        source: Named in the ledger where it is not the main log.
    """
    prefix = f"{source}: " if source else ""
    numbered = enumerate(lines, start=1)
    opening = next(((n, line) for n, line in numbered if line.strip(_BLANK)), None)
    if opening is None:
        return
    number, first = opening
    if _ARRAY_BEGINS.match(first) and not _is_json(first):
        yield from _elements(b"\n".join([first, *(line for _, line in numbered)]), ledger, prefix)
        return
    last = b""
    for number, raw in chain([opening], numbered):
        line = raw.strip(_BLANK)
        if not line:
            continue
        last = line
        try:
            value = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = None
        if isinstance(value, dict):  # nearly always
            ledger.lines += 1
            yield value
        else:
            yield from _objects(line, number, ledger, prefix)
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
        ledger.reject(number, f"{prefix}{error}")
        return
    values = value if isinstance(value, list) and _holds_objects(value) else [value]
    yield from _only_objects(values, number, ledger, prefix)


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
    return "broken JSON" if line[:1] in b"{[" else "no JSON"


def _name_cut(last: bytes, ledger: Ledger) -> None:
    """Say of a last line that only its end is missing that the log is cut off there."""
    if last.startswith(b"{") and not last.endswith(b"}") and ledger.unreadable:
        number, why = ledger.unreadable[-1]
        if why.endswith("broken JSON"):
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


def _elements(data: bytes, ledger: Ledger, prefix: str) -> Iterator[Event]:
    """The objects of an array over many lines, or of one that is cut off or broken."""
    try:
        values = _value(data)
    except _Unreadable:
        yield from _salvage(data.decode("utf-8", "replace"), ledger, prefix)
        return
    if _holds_objects(values):
        ledger.note("the log is one JSON array; its elements count as lines")
    yield from _only_objects(values, 1, ledger, prefix)


def _salvage(text: str, ledger: Ledger, prefix: str) -> Iterator[Event]:
    """The objects in broken text, each as far as it can be read; the rest line by line."""
    ledger.note("the log is a JSON array that is broken or cut off")
    scan = json.JSONDecoder().raw_decode
    at, number, counted_to = text.index("[") + 1, 1, 0
    while at < len(text):
        if text[at] in " \t\r\n\f\v,]":
            at += 1
            continue
        number += text.count("\n", counted_to, at)
        counted_to = at
        try:
            value, at = scan(text, at)
        except (ValueError, RecursionError):
            end = text.find("\n", at)
            ledger.reject(number, f"{prefix}broken JSON in an array")
            at = end if end >= 0 else len(text)
        else:
            yield from _only_objects([well_formed(value)], number, ledger, prefix)
