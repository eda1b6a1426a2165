"""From the bytes of a log to its events, whatever form the log has and whatever else is in it.

Knows lines, JSON and the shape of events, and masks secrets; not what an event means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec

from evalkit.claude_log.line_forms import taken_out
from evalkit.jsonable import Json, well_formed
from evalkit.masking import mask_lines
from evalkit.receipt import Receipt

Event: TypeAlias = dict[str, Json]
"""One JSON object of the log."""

KINDS = frozenset({"assistant", "user", "result", "system", "stream_event"})
"""Types of events that Claude Code logs in a shape of its own; of others, it logs any."""

COMPRESSED = "compressed with"
"""Begins the reason why the first line of a compressed log cannot be read."""

WRAPPED = "an event inside another object's text, "
"""Begins the reason why an object is skipped that a logging driver put around an event."""

OF_OTHERS = "a trajectory of "
"""Begins the reason why an object is skipped that is another tool's ``trajectory.json``."""

_TRAJECTORIES = {
    "Gemini CLI": ({"sessionId", "messages"},),
    "mini-SWE-agent": ({"info", "messages"},),
    "OpenHands": ({"id", "source", "action"}, {"id", "source", "observation"}),
}
_BLANK = b" \t\r\n\f\v"
_ARRAY_BEGINS = re.compile(rb"\s*\[\s*(?:\{|$)")  # and not such as "[INFO] starting"
_EVENT_BEGINS = re.compile(r'\{\s*"type"\s*:\s*"(?:assistant|user|result|system|stream_event)"')
_UNSEEN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x20\x7f\ufeff]|\\[nrt]")
"""What takes no place on a terminal, and line ends that a program wrote as two characters."""

_PREFIX_SHOWN = 40
_MAGIC = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}
_decode = msgspec.json.Decoder().decode
_scan = json.JSONDecoder().raw_decode


def is_event(value: Json) -> bool:
    """Whether a value has the shape of an event of Claude Code."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return False
    if kind in {"assistant", "user"}:
        return isinstance(value.get("message"), dict) or "tool_use_result" in value
    if kind == "result":
        return any(k in value for k in ("subtype", "is_error", "duration_ms", "total_cost_usd"))
    if kind == "system":
        return isinstance(value.get("subtype"), str)
    return ("event" if kind == "stream_event" else "session_id") in value


def describe_untyped(value: Event) -> str:
    """What to call an object without a type, such as one that a logging driver put around it."""
    for tool, shapes in _TRAJECTORIES.items():
        if any(shape <= value.keys() for shape in shapes):
            return f"{OF_OTHERS}{tool}"
    wrapped = (k for k, v in value.items() if isinstance(v, str) and _EVENT_BEGINS.match(v))
    return next((f"{WRAPPED}{key}" for key in wrapped), "an object without a type")


@dataclass(slots=True)
class LogReader:
    """Reads the objects of a log one by one, secrets masked, and books all else as unreadable.

    One object a line is the rule. Events that share a line with each other or with other text
    are read too, and so are those that run over several lines, be it one JSON array or one object
    after the other, whole or cut off; each then counts as a line. Text before every one of them,
    such as a time, is a form of the log, and what stands around its lines is taken off.

    Attributes:
        receipt: The caller books there what becomes of the objects.
        source: Named on the receipt where it is not the main log.
        recognizes: Whether an object behind other text is an event of a log of another format.
    """

    receipt: Receipt
    source: str = ""
    recognizes: Callable[[Event], bool] = lambda _: False
    _read: int = 0
    _prefixes: list[tuple[int, str]] = field(default_factory=list)  # by the number of their line
    _has_own: bool = False  # whether some event was recognised

    def events(self, lines: Iterable[bytes], digest: Any) -> Iterator[Event]:
        """The objects in lines with or without line ends; their bytes go into a hash."""
        receipt, unread = self.receipt, len(self.receipt.unreadable)
        own = taken_out(_hashed(lines, digest), receipt.note)
        masked = mask_lines(own, receipt.masked)
        numbered, last = enumerate(masked, start=1), b""
        for number, raw in numbered:
            try:
                value = _decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                value = None
            if isinstance(value, dict):  # nearly always
                receipt.lines += 1
                self._read += 1
                yield value
                last = raw
                continue
            line = raw.strip(_BLANK)
            if line in {b"{", b"["} or (not last and _ARRAY_BEGINS.match(line) and _value(line)[1]):
                rest = (each.rstrip(b"\n") for _, each in numbered)
                text = b"\n".join([line, *rest]).decode("utf-8", "replace")
                yield from self._over_lines(text, number)
                last = b""
            elif line:
                yield from self._objects(line, number)
                last = raw
        self._book_prefixes(unread)
        last = last.strip(_BLANK)
        if last.startswith(b"{") and not last.endswith(b"}") and receipt.unreadable:
            number, why = receipt.unreadable[-1]
            if "broken JSON" in why:
                receipt.unreadable[-1] = (number, f"{why}: the log is cut off in this line")

    def _book_prefixes(self, unread: int) -> None:
        """What stood before events is text of others, unless it stood before each."""
        if self._prefixes and len(self._prefixes) == self._read:
            prefix = self._prefixes[0][1]
            shown = prefix.strip()[:_PREFIX_SHOWN] or prefix[:_PREFIX_SHOWN]
            self.receipt.note(f"each event of the log stands behind other text, such as {shown!r}")
            return
        for number, text in self._prefixes:
            if _UNSEEN.sub("", text):
                self._reject(number, _beside(text))
        rejected = sorted(self.receipt.unreadable[unread:], key=itemgetter(0))
        self.receipt.unreadable[unread:] = rejected

    def _reject(self, number: int, why: str) -> None:
        self.receipt.lines += 1
        why = f"{self.source}: {why}" if self.source else why
        self.receipt.unreadable.append((number, why))

    def _objects(self, line: bytes, number: int) -> Iterator[Event]:
        value, why = _value(line)
        if why:
            yield from self._beside_text(line, number, why)
            return
        is_list = isinstance(value, list) and any(isinstance(each, dict) for each in value)
        yield from self._only_objects(value if is_list else [value], number)

    def _only_objects(self, values: Iterable[Json], number: int) -> Iterator[Event]:
        for value in values:
            if isinstance(value, dict):
                self.receipt.lines += 1
                self._read += 1
                yield value
            else:
                self._reject(number, f"JSON, but no object: {_kind(value)}")

    def _beside_text(self, line: bytes, number: int, why: str) -> Iterator[Event]:
        """The events of a line that is no JSON value; what is around them is unreadable."""
        text = line.decode("utf-8", "replace")
        done, begin = 0, text.find("{")
        while begin >= 0:
            value, end = _value_at(text, begin)
            if is_event(value) or self._is_own(value, text[end:]):
                if begin > done:
                    self._prefixes.append((number, text[done:begin]))
                self.receipt.lines += 1
                self._read += 1
                yield well_formed(value)
                done, begin = end, text.find("{", end)
            else:
                event = _EVENT_BEGINS.search(text, begin + 1)
                begin = event.start() if event else -1
        if not done:
            self._reject(number, why)
        elif _UNSEEN.sub("", text[done:]):
            self._reject(number, _beside(text[done:]))

    def _is_own(self, value: Json, rest: str) -> bool:
        """Whether an object that ends its line is one of another format's log."""
        if not isinstance(value, dict) or _UNSEEN.sub("", rest):
            return False
        self._has_own = self._has_own or self.recognizes(value)
        return self._has_own

    def _over_lines(self, text: str, number: int) -> Iterator[Event]:
        """The objects of text whose values run over many lines; what is broken, by lines."""
        if not text.startswith("["):
            self.receipt.note("events of the log run over several lines; each counts as one")
        else:
            values, why = _value(text.encode())
            if not why:
                self.receipt.note("the log is one JSON array; its elements count as lines")
                yield from self._only_objects(values, number)
                return
            self.receipt.note("the log is a JSON array that is broken or cut off")
        at, counted_to, sound = 0, 0, True
        while at < len(text):
            if text[at] in " \t\r\n\f\v,[]":
                at += 1
                continue
            number += text.count("\n", counted_to, at)
            counted_to = at
            value, end = _value_at(text, at)
            if isinstance(value, dict) and (sound or is_event(value)):
                self.receipt.lines += 1
                self._read += 1
                yield well_formed(value)
            else:
                sound, end = False, text.find("\n", at)
                end = end if end >= 0 else len(text)
                yield from self._objects(text[at:end].strip().encode(), number)
            at = end


def _hashed(lines: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        if not line.endswith(b"\n"):
            digest.update(b"\n")  # the same lines with and without their ends are the same log
        yield line


def _beside(text: str) -> str:
    return f"{'broken JSON' if text.startswith('{') else 'text'} beside an event"


def _value(line: bytes) -> tuple[Json, str]:
    """The JSON value on a line, else why it is none.

    The patient parser reads what the fast one refuses: broken UTF-8, halves of surrogate pairs,
    NaN, numbers out of range.
    """
    try:
        try:
            return _decode(line), ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            return well_formed(json.loads(line.decode("utf-8", "replace"))), ""
    except RecursionError:
        return None, "nested too deeply to be read"
    except ValueError:
        packed = next((name for magic, name in _MAGIC.items() if line.startswith(magic)), "")
        if packed:
            return None, f"{COMPRESSED} {packed}"
        return None, "broken JSON" if line[:1] in b"{[" else "no JSON"


def _kind(value: Json) -> str:
    names = {str: "a text", list: "an array", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _value_at(text: str, begin: int) -> tuple[Json, int]:
    """The JSON value that begins there and where it ends; None where none does."""
    try:
        return _scan(text, begin)
    except (ValueError, RecursionError):
        return None, begin
