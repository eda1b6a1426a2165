"""The events of stream-json that logs of other shapes become; knows no format."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from evalkit.claude_log.reader import Event, LogFormat
from evalkit.jsonable import Json, mapping_of, text_of
from evalkit.tokens import KINDS, count

_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text"})
_READ = ("input_tokens", "prompt_tokens", "total_prompt_tokens")
_CACHED = ("cached_input_tokens", "cached_tokens", "total_cached_tokens")
_WROTE = ("output_tokens", "completion_tokens", "total_completion_tokens")


@dataclass
class Dialogue(LogFormat):
    """A log whose lines say one thing each, and rarely which message of the model it is part of.

    Reading a line adds the events that it comes to, in order.
    """

    session_id: str = ""
    model: str = ""
    number: int = 0  # of the message that is being said
    kinds: set[str] = field(default_factory=set)  # of its blocks so far
    is_said: bool = True  # what comes next begins another
    _stamp: Event = field(default_factory=dict)  # the time of the latest line that said something
    _added: list[Event] = field(default_factory=list)

    def read(self, line: Event) -> str:
        """Add what a line says; returns what the line is called, if that is nothing."""
        raise NotImplementedError

    def end(self) -> None:
        """Add what only the end of the log tells."""

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events of a line, placed in time and session."""
        name = self.read(line)
        if self._added:
            stamp = line.get("timestamp")
            self._stamp = {} if stamp is None else {"timestamp": stamp}
        return self._taken() or name

    def finish(self) -> Sequence[Event]:
        """The events of the end, placed as the latest ones were."""
        self.end()
        return self._taken()

    def _taken(self) -> list[Event]:
        added, self._added = self._added, []
        return [{**event, **self._stamp, "session_id": self.session_id} for event in added]

    def begin_message(self) -> None:
        """What is said from here on is another message."""
        self.number, self.is_said = self.number + 1, False
        self.kinds.clear()

    def add(self, kind: str, subtype: str = "", **about: Json) -> None:
        """Add an event."""
        self._added.append({"type": kind, "subtype": subtype, **about})

    def remark(self, text: str) -> None:
        """Add something that is said beside the conversation."""
        self.add("system", "notification", text=text)

    def say(self, *blocks: Json, model: str = "", usage: Json = None, **about: Json) -> None:
        """Add a part of the present message, whose usage is final."""
        message: Event = {"id": f"{self.session_id}/{self.number}", "role": "assistant"}
        message |= {"content": list(blocks), "model": model or self.model}
        message |= {"usage": usage} if usage else {}
        self.add("assistant", usage_is_final=bool(usage), message=message, **about)

    def part(self, kind: str, *blocks: Json) -> None:
        """Add blocks to the message that is being said; a second text is another message's."""
        if self.is_said or (kind == "text" and "text" in self.kinds):
            self.begin_message()
        self.kinds.add(kind)
        self.say(*blocks)

    def ask(self, content: Json, *, is_meta: bool = False, **about: Json) -> None:
        """Add what the user says; ``is_meta`` where it is not the person who does."""
        message = {"role": "user", "content": content}
        self.add("user", isMeta=is_meta, message=message, **about)

    def answer(
        self, tool_id: str, content: Json, *, failed: bool = False, name: str = "", **details: Json
    ) -> None:
        """Add a tool's result; ``details`` are what the agent says of it besides."""
        block = {"type": "tool_result", "tool_use_id": tool_id, "content": content, "name": name}
        known = {key: each for key, each in details.items() if each}
        self.ask([{**block, "is_error": failed}], tool_use_result=known or None)


def tool_use(tool_id: str, name: str, given: Json) -> Event:
    """The content block of a tool call."""
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def blocks_of(parts: Json) -> Json:
    """Content blocks of text, or of parts as OpenAI's Responses API and ATIF have them."""
    return [_block(part) for part in parts] if isinstance(parts, list) else parts


def _block(part: Json) -> Json:
    held = mapping_of(part)
    if text_of(held.get("type")) in _TEXTS:
        return {"type": "text", "text": text_of(held.get("text"))}
    head, _, data = text_of(held.get("image_url")).partition(";base64,")
    source = {"type": "base64", "media_type": head.removeprefix("data:"), "data": data}
    return {"type": "image", "source": source} if data else part


def usage_of(stated: Json) -> Event:
    """Anthropic's usage for Codex's or ATIF's, where what was read counts the caches' share.

    Empty where it counts nothing.
    """
    counts = {name: count(each) for name, each in mapping_of(stated).items()}
    names = (_READ, _WROTE, _CACHED, ("cache_write_input_tokens",))
    each = [next(filter(None, map(counts.get, own)), 0) for own in names]
    each[0] = max(0, each[0] - each[2] - each[3])
    return dict(zip(KINDS, each, strict=True)) if any(each) else {}


def thread_time(thread_id: str) -> str:
    """When a thread of Codex's began, as far as its id tells: ISO 8601, else empty."""
    with suppress(ValueError, OverflowError):
        own = UUID(thread_id)
        if own.version == 7:  # noqa: PLR2004 - which begins with a time
            return dt.datetime.fromtimestamp((own.int >> 80) / 1000, dt.UTC).isoformat()
    return ""
