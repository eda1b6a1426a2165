"""The events of stream-json that translations are made of; knows no format."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from evalkit.claude_log.reader import Event
from evalkit.jsonable import Json, list_of, mapping_of, text_of
from evalkit.tokens import count

_ENCODED = re.compile(r"data:([\w/.+-]+);base64,")
_EXIT = re.compile(r"(?:Exit code: |Process exited with code )(-?\d+)")
_EXIT_WITHIN = 300  # characters from where an output begins
_UUID_7 = 7
_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text"})


def model_said(message_id: str, blocks: Sequence[Json], **about: Json) -> Event:
    """An ``assistant`` event: a part of the message of that id.

    Args:
        message_id: The same for all parts of a message.
        blocks: Anthropic's content blocks.
        about: ``model`` and ``usage``, which is the message's own and final.
    """
    known = {key: value for key, value in about.items() if value}
    return {
        "type": "assistant",
        "usage_is_final": "usage" in known,
        "message": {"id": message_id, "role": "assistant", "content": list(blocks), **known},
    }


def user_said(content: Json, *, is_meta: bool = False) -> Event:
    """A ``user`` event; ``is_meta`` where it is not the person who says it."""
    return {"type": "user", "isMeta": is_meta, "message": {"role": "user", "content": content}}


def tool_use(tool_id: str, name: str, given: Json) -> Event:
    """The content block of a tool call."""
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def tool_result(tool_id: str, content: Json, *, failed: bool, **details: Json) -> Event:
    """A ``user`` event with a tool's result; ``details`` are what the agent says of it besides."""
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content, "is_error": failed}
    return {**user_said([block]), **({"tool_use_result": details} if details else {})}


def blocks_of(parts: Json) -> Json:
    """Content blocks of text, or of parts as OpenAI's Responses API and ATIF have them."""
    if not isinstance(parts, list):
        return parts
    blocks: list[Json] = []
    for part in parts:
        kind, held = text_of(mapping_of(part).get("type")), mapping_of(part)
        if kind in _TEXTS:
            blocks.append({"type": "text", "text": text_of(held.get("text"))})
        elif encoded := _ENCODED.match(text_of(held.get("image_url"))):
            data = text_of(held.get("image_url"))[encoded.end() :]
            source = {"type": "base64", "media_type": encoded[1], "data": data}
            blocks.append({"type": "image", "source": source})
        else:
            blocks.append(part)
    return blocks


def usage_of(read: Json, cached: Json, written: Json, output: Json) -> Event:
    """Anthropic's usage for counts of which what came from and into the cache is a part of."""
    from_cache, into_cache = count(cached), count(written)
    return {
        "input_tokens": max(0, count(read) - from_cache - into_cache),
        "cache_read_input_tokens": from_cache,
        "cache_creation_input_tokens": into_cache,
        "output_tokens": count(output),
    }


def codex_usage(raw: Json) -> Event:
    """Anthropic's usage for Codex's, or for OpenAI's."""
    kinds = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
    return usage_of(*map(mapping_of(raw).get, kinds))


@dataclass
class SoFar:
    """The tokens of a session of Codex's so far, which stand beside those of each call.

    They are never added up, but where they fall: it went on in another process then, and counts
    from zero. A fork may go on counting from its parent's.
    """

    is_of_fork: bool = False
    _stated: Json = None  # as the log has them last
    _now: Counter[str] = field(default_factory=Counter)  # the same as Anthropic's usage
    _before: Counter[str] = field(default_factory=Counter)  # what they had come to when they fell

    @property
    def total(self) -> Event:
        """Anthropic's usage for the session; empty where none is stated."""
        return {kind: n + self._before[kind] for kind, n in self._now.items()}

    def goes_on(self, call: Event, stated: Json) -> bool:
        """Take what is stated after a call; False where it is what was stated before."""
        if stated is not None and stated == self._stated:
            return False
        now = Counter(codex_usage(stated) if stated else {})
        if self._stated is None and self.is_of_fork:
            self._before.subtract(now)
            self._before.update(call)
        if now.total() < self._now.total():
            self._before.update(self._now)
        self._stated, self._now = stated, now
        return True


def texts_of(parts: Json) -> str:
    """The texts of parts, one after the other."""
    blocks = map(mapping_of, list_of(blocks_of(parts)))
    return "\n".join(filter(None, (text_of(block.get("text")) for block in blocks)))


def parsed(given: Json) -> Json:
    """What JSON text stands for; other text, and what is no text, as it is."""
    if not isinstance(given, str) or given[:1] not in {"{", "["}:
        return given
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return given


def outcome_of(output: Json) -> tuple[Json, bool]:
    """The content of what a tool of Codex's gave, and whether it failed.

    An exit code stands beside the output in an object, perhaps written as text, or in its first
    lines.
    """
    held = mapping_of(parsed(output))
    content = blocks_of(next((held[key] for key in ("output", "content") if key in held), output))
    head = (content if isinstance(content, str) else texts_of(content))[:_EXIT_WITHIN]
    code = mapping_of(held.get("metadata")).get("exit_code")
    if code is None and (found := _EXIT.search(head)):
        code = found[1]
    return content, str(code or 0) != "0" or held.get("success") is False


def thread_time(thread_id: str) -> str:
    """When a thread began, which a UUID of version 7 begins with: ISO 8601, else empty."""
    digits = thread_id.replace("-", "")
    try:
        if int(digits[12], 16) != _UUID_7:
            return ""
        moment = dt.datetime.fromtimestamp(int(digits[:12], 16) / 1000, dt.UTC)
    except (ValueError, IndexError, OverflowError, OSError):
        return ""
    return moment.isoformat()
