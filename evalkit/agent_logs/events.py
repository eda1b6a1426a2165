"""The events of stream-json that logs of other shapes become; knows no format."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from evalkit.claude_log.reader import Event, LogFormat
from evalkit.jsonable import Json, mapping_of, text_of
from evalkit.tokens import count

_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text"})
_COUNTS = (
    ("input_tokens", "prompt_tokens", "total_prompt_tokens"),
    ("cached_input_tokens", "cached_tokens", "total_cached_tokens"),
    ("cache_write_input_tokens",),
    ("output_tokens", "completion_tokens", "total_completion_tokens"),
)


@dataclass
class Dialogue(LogFormat):
    """A log whose lines say one thing each, and rarely which message of the model it is part of."""

    session_id: str = ""
    model: str = ""
    stamp: Event = field(default_factory=dict)  # the time of the latest line
    number: int = 0  # of the message that is being said
    kinds: set[str] = field(default_factory=set)  # of its blocks so far
    is_said: bool = True  # what comes next begins another

    def read(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to, or why to none."""
        raise NotImplementedError

    def end(self) -> Sequence[Event]:
        """The events that only the end of the log tells."""
        return ()

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The same, placed in time and session."""
        if isinstance(found := self.read(line), str):
            return found
        self.stamp = {key: line[key] for key in ("timestamp",) if line.get(key) is not None}
        return self._placed(found)

    def finish(self) -> Sequence[Event]:
        """The same, placed in time and session."""
        return self._placed(self.end())

    def _placed(self, events: Sequence[Event]) -> Sequence[Event]:
        return [{**event, **self.stamp, "session_id": self.session_id} for event in events]

    def begin_message(self) -> None:
        """What is said from here on is another message."""
        self.number, self.is_said = self.number + 1, False
        self.kinds.clear()

    def part(self, kind: str, block: Json) -> Event:
        """A block of the message that is being said; a second text is another message's."""
        if self.is_said or (kind == "text" and "text" in self.kinds):
            self.begin_message()
        self.kinds.add(kind)
        return self.says(block)

    def says(self, *blocks: Json, usage: Json = None) -> Event:
        """An ``assistant`` event: a part of the present message, whose usage is final."""
        message: Event = {"id": f"{self.session_id}/{self.number}", "role": "assistant"}
        known = {"content": list(blocks), "model": self.model, "usage": usage}
        message |= {key: each for key, each in known.items() if each or key == "content"}
        return {"type": "assistant", "usage_is_final": bool(usage), "message": message}


def user_said(content: Json, *, is_meta: bool = False) -> Event:
    """A ``user`` event; ``is_meta`` where it is not the person who says it."""
    return {"type": "user", "isMeta": is_meta, "message": {"role": "user", "content": content}}


def remark(text: str) -> Event:
    """A ``system`` event that says something beside the conversation."""
    return {"type": "system", "subtype": "notification", "text": text}


def tool_use(tool_id: str, name: str, given: Json) -> Event:
    """The content block of a tool call."""
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def tool_result(
    tool_id: str, content: Json, *, failed: bool, name: str = "", **details: Json
) -> Event:
    """A ``user`` event with a tool's result; ``details`` are what the agent says of it besides."""
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content, "is_error": failed}
    return {**user_said([{**block, "name": name}]), "tool_use_result": details or None}


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
    """Anthropic's usage for Codex's or ATIF's, where what was read counts the caches' share."""
    held = mapping_of(stated)
    each = (next(filter(None, (count(held.get(name)) for name in names)), 0) for names in _COUNTS)
    read, cached, written, output = each
    return {
        "input_tokens": max(0, read - cached - written),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": output,
    }


def thread_time(thread_id: str) -> str:
    """When a thread of Codex's began, as far as its id tells: ISO 8601, else empty."""
    with suppress(ValueError, OverflowError):
        own = UUID(thread_id)
        if own.version == 7:  # noqa: PLR2004 - which begins with a time
            return dt.datetime.fromtimestamp((own.int >> 80) / 1000, dt.UTC).isoformat()
    return ""
