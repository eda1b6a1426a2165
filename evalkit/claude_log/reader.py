"""From the bytes of a log to its events, masked, whatever else is in it; not what they mean.

Claude Code's stream-json has the shape of events by itself; other formats are :class:`LogFormat`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, ClassVar, TypeAlias

import msgspec

from evalkit.jsonable import Json, id_of, text_of, well_formed
from evalkit.masking import mask_lines
from evalkit.receipt import Receipt

Event: TypeAlias = dict[str, Json]  # one JSON object of the log

KINDS = frozenset({"assistant", "user", "result", "system", "stream_event"})
"""Types of events that Claude Code logs in a shape of its own; of others, it logs any."""

EVENT_BEGINS = re.compile(r'\{\s*"type"\s*:\s*"(?:assistant|user|result|system|stream_event)"')
"""How the text of an event begins."""

_PEEKED = 200  # lines of a log that are looked at for what tells its format
_FIRST = 20  # of them, for what stands around its lines
_SHOWN = 40  # characters of what stands beside events
_BLANK = " \t\r\n\f\v"
_BETWEEN = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x20\x7f\ufeff,\[\]]|\\[nrt]")
"""What takes no place on a terminal, line ends as two characters, and what an array is made of."""

_ARRAY_BEGINS = re.compile(r"\[\s*\{")  # and not such as "[INFO] starting"
_NOT_THE_DATA = (b"event:", b"id:", b"retry:", b":")  # fields of server-sent events
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


@dataclass(slots=True)
class _Reader:
    """Reads the objects of a log one by one, and books all else as unreadable.

    One object a line is the rule. Events that share a line with each other or with other text
    are read too, and so are those that run over several lines, be it one JSON array or one object
    after the other, whole or cut off; each then counts as a line.
    """

    receipt: Receipt
    source: str
    formats: Sequence[type[LogFormat]]
    beside: list[str] = field(default_factory=list)  # text on the lines of events

    def events(self, lines: Iterable[bytes], digest: Any) -> Iterator[Event]:
        receipt, is_first = self.receipt, True
        own = _own_lines(_hashed(lines, digest), receipt.note)
        numbered = enumerate(mask_lines(own, receipt.masked), start=1)
        for number, raw in numbered:
            try:
                value = _decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                value = None
            if isinstance(value, dict):  # nearly always
                receipt.lines += 1
                is_first = False
                yield value
            elif text := raw.decode("utf-8", "replace").strip(_BLANK):
                is_array = is_first and value is None and _ARRAY_BEGINS.match(text)
                if text in {"{", "["} or is_array:
                    rest = (each.decode("utf-8", "replace") for _, each in numbered)
                    text = "\n".join([text, *(each.rstrip("\n") for each in rest)])
                yield from self.objects(text, number)
                is_first = False
        if self.beside:
            shown = self.beside[0].strip()[:_SHOWN]
            what = f"other text stands beside {len(self.beside)} events of the log"
            receipt.note(f"{what}, such as {shown!r}")

    def reject(self, number: int, why: str) -> None:
        self.receipt.lines += 1
        why = f"{self.source}: {why}" if self.source else why
        self.receipt.unreadable.append((number, why))

    def objects(self, text: str, number: int) -> Iterator[Event]:
        """The objects in text that the fast parser does not take for one.

        The patient one reads broken UTF-8, halves of surrogate pairs, NaN, and large numbers.
        """
        try:
            value = well_formed(json.loads(text))
        except RecursionError:
            self.reject(number, "nested too deeply to be read")
        except ValueError:
            yield from self.among_text(text, number)
        else:
            for each in value if isinstance(value, list) and value else [value]:
                if isinstance(each, dict):
                    self.receipt.lines += 1
                    yield each
                else:
                    self.reject(number, "JSON, but no object")

    def among_text(self, text: str, number: int) -> Iterator[Event]:
        """The objects in text that is no JSON value; what is around them is unreadable."""
        done, at = 0, text.find("{")
        while at >= 0:
            value, end = _value_at(text, at)
            is_next = isinstance(value, dict) and not _BETWEEN.sub("", text[done:at])
            known = is_event(value) or (value and any(f.recognizes(value) for f in self.formats))
            if is_next or known:
                self.leave(text[done:at], number + text.count("\n", 0, done), beside=True)
                self.receipt.lines += 1
                yield well_formed(value)
                done, at = end, text.find("{", end)
            else:
                event = EVENT_BEGINS.search(text, at + 1)
                at = event.start() if event else -1
        self.leave(text[done:], number + text.count("\n", 0, done), beside=done > 0)

    def leave(self, text: str, number: int, *, beside: bool) -> None:
        """Name what is no event; other programs' words on the line of one are only noted."""
        beside = beside and "\n" not in text
        for below, line in enumerate(text.split("\n")):
            if not _BETWEEN.sub("", line):
                continue
            if beside and "{" not in line:
                self.beside.append(line)
            else:
                why = "broken JSON" if line.lstrip()[:1] in {"{", "["} else "no JSON"
                self.reject(number + below, f"{why} beside an event" if beside else why)


def _hashed(lines: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        if not line.endswith(b"\n"):
            digest.update(b"\n")  # the same lines with and without their ends are the same log
        yield line


def _own_lines(lines: Iterator[bytes], note: Callable[[str], None]) -> Iterator[bytes]:
    """The lines without the mark that Windows begins a file with, and of server-sent events."""
    first = [line.removeprefix(b"\xef\xbb\xbf") for line in islice(lines, _FIRST)]
    told = (line for line in first if line.strip() and not line.startswith(_NOT_THE_DATA))
    is_served = next(told, b"").startswith(b"data:")
    own = chain((first.pop(0) for _ in range(len(first))), lines)  # none of them is held
    if not is_served:
        yield from own
        return
    note("the log is a stream of server-sent events; their data is read")
    for line in own:
        is_other = line.startswith(_NOT_THE_DATA) or line.strip() == b"data: [DONE]"
        yield b"\n" if is_other else line.removeprefix(b"data:")  # so that lines keep their numbers


def _value_at(text: str, begin: int) -> tuple[Json, int]:
    """The JSON value that begins there and where it ends; None where none does."""
    with suppress(ValueError, RecursionError):
        return _scan(text, begin)
    return None, begin


# -- formats of logs -------------------------------------------------------------------------------


class LogFormat:
    """A format of logs; an object of it reads one log, or one transcript beside a log.

    A translation gives what stream-json would say: ``system/init``, ``assistant`` and ``user``
    events with Anthropic's content blocks, ``parent_tool_use_id`` for a subagent's, ``timestamp``
    where it is known, ``message.id`` and ``usage``; and ``result`` where the log tells how a
    session ended. Nothing that a log holds may make it raise an error.
    """

    name: ClassVar[str]  # what people call such a log, such as ``Codex's exec --json``
    # whether its logs end with a ``result`` event, so that one without is cut off; where not, the
    # last message says how a session ended, as far as it does
    has_result: ClassVar[bool] = False
    is_whole: ClassVar[bool] = True  # a file holds all of a session; else what one process did

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether a log that holds this object is of the format; seen in no other's logs."""
        raise NotImplementedError

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """The session's id, if a line names it, and whether the file is a subagent's part of it."""
        return id_of(event.get("session_id")), False

    def split(self, event: Event) -> Iterable[Event]:
        """What counts as the lines of a log that is one document; of one with lines, the line."""
        return (event,)

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to, in order; or why it carries nothing for a trace."""
        raise NotImplementedError

    def finish(self) -> Sequence[Event]:
        """What only the end of the log tells."""
        return ()


def open_log(
    lines: Iterable[bytes],
    digest: Any,
    receipt: Receipt,
    formats: Sequence[type[LogFormat]],
    source: str = "",
) -> tuple[LogFormat | None, Iterator[Event]]:
    """The format of a log by its first lines, None for stream-json; and all of its objects.

    The log's bytes go into the hash ``digest``, its lines that are no objects on the receipt, under
    the name ``source`` where it is not the main one. ``formats`` are read besides stream-json.
    """
    events, first = _Reader(receipt, source, formats).events(lines, digest), list[Event]()
    for event in islice(events, _PEEKED if formats else 0):
        first.append(event)
        if found := next((each for each in formats if each.recognizes(event)), None):
            return found(), chain(first, events)
        if "session_id" in event and is_event(event):
            break
    return None, chain(first, events)


Entry: TypeAlias = tuple[str, Sequence[Event], str]
"""A line of a log: its ``type/subtype``, the events it comes to, and why to none.

What only the end of a log tells is of no kind, and counts as no line.
"""

_NOTHING = "carries nothing for a trace"


def entries(
    events: Iterable[Event], log_format: LogFormat | None, receipt: Receipt
) -> Iterator[Entry]:
    """The lines of a log, translated; those that a document holds are counted on the receipt."""
    for event in events:
        if log_format is None:
            yield _kind(event), (event,), _NOTHING
            continue
        receipt.lines -= 1
        for line in log_format.split(event):
            receipt.lines += 1
            done = log_format.translate(line)
            yield (
                (_kind(line), (), done) if isinstance(done, str) else (_kind(line), done, _NOTHING)
            )
    if log_format is not None and (last := log_format.finish()):
        yield "", last, _NOTHING


def _kind(event: Event) -> str:
    return f"{text_of(event.get('type'))}/{text_of(event.get('subtype'))}"
