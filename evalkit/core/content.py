"""Values of a log made fit for a trace: in Anthropic's format, of bounded size, without images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from evalkit.core.ledger import Ledger
from evalkit.core.values import Json

MAX_DEPTH = 40
"""Deeper values are written as JSON text: stores and their readers give up on them."""

PREVIEW_CHARS = 500
"""What the inputs of a model call show of a tool's result; all of it is in the tool's span."""

_KEPT_HEAD = 3  # parts of a shortened text that are kept from its begin,
_KEPT_TAIL = 1  # and from its end


def text_of(value: Json) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def id_of(value: Json) -> str:
    """The value as an id: logs that went through a terminal have line breaks inside of ids."""
    if not isinstance(value, str):
        return ""
    if value.isprintable() and " " not in value:
        return value
    return "".join(value.split())


def mapping_of(value: Json) -> Mapping[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Trimmer:
    """Shortens what is too long, and books it.

    Attributes:
        limit: Characters that a text may have.
        ledger: Where it is booked, by what was shortened.
    """

    limit: int
    ledger: Ledger

    def text(self, text: str, what: str) -> str:
        """The text, or its begin and end and how much is left out between them."""
        if len(text) <= self.limit:
            return text
        left_out = len(text) - self.limit
        self.ledger.cut(what, left_out)
        head = self.limit * _KEPT_HEAD // (_KEPT_HEAD + _KEPT_TAIL)
        tail = self.limit - head
        end = text[len(text) - tail :]
        return f"{text[:head]}\n… [{left_out:,} characters left out] …\n{end}"

    def value(self, value: Json, what: str, depth: int = 0) -> Json:
        """The value with its texts shortened and its images replaced by their size."""
        if isinstance(value, str):
            return self.text(value, what)
        if isinstance(value, dict):
            return self._object(value, what, depth)
        if isinstance(value, list):
            if depth >= MAX_DEPTH:
                return self._as_text(value, what)
            return [self.value(item, what, depth + 1) for item in value]
        return value

    def _object(self, value: dict[str, Json], what: str, depth: int) -> Json:
        if depth >= MAX_DEPTH:
            return self._as_text(value, what)
        encoded = _encoded(value)
        if encoded is not None:
            media, data = encoded
            self.ledger.cut(media, len(data))
            return {"type": "text", "text": f"[{media}, {len(data) * 3 // 4:,} bytes left out]"}
        return {key: self.value(item, what, depth + 1) for key, item in value.items()}

    def _as_text(self, value: Json, what: str) -> str:
        try:
            return self.text(msgspec.json.encode(value).decode(), what)
        except RecursionError:
            self.ledger.cut(what, 0)
            return "[nested too deeply to be kept]"

    def message(self, role: str, content: Json, what: str) -> Json:
        """A message in Anthropic's format."""
        return {"role": role, "content": self.blocks(content, what)}

    def blocks(self, content: Json, what: str) -> Json:
        """A message's content: text, or blocks of the kinds that MLflow's UI shows as a chat."""
        if isinstance(content, list):
            return [self.block(block, what) for block in content]
        return self.value(content if content is not None else "", what)

    def block(self, block: Json, what: str) -> Json:
        """One content block."""
        if isinstance(block, str):
            return {"type": "text", "text": self.text(block, what)}
        if not isinstance(block, dict):
            return {"type": "text", "text": self._as_text(block, what)}
        match block.get("type"):
            case "text":
                text = {"type": "text", "text": self.text(text_of(block.get("text")), what)}
                cited = block.get("citations")
                return {**text, "citations": self.value(cited, what)} if cited else text
            case "thinking":
                return self._thinking(block, what)
            case "redacted_thinking":
                return self._redacted(block)
            case "tool_use" | "server_tool_use" | "mcp_tool_use":
                return self._tool_use(block, what)
            case "tool_result":
                return _tool_result(block)
            case _:
                return self._other(block, what)

    def _thinking(self, block: dict[str, Json], what: str) -> Json:
        signature = text_of(block.get("signature"))
        if signature:
            self.ledger.cut("signatures of thinking", len(signature))
        return {"type": "thinking", "thinking": self.text(text_of(block.get("thinking")), what)}

    def _redacted(self, block: dict[str, Json]) -> Json:
        size = len(text_of(block.get("data")))
        self.ledger.cut("redacted thinking", size)
        return {"type": "thinking", "thinking": f"[redacted by the API, {size:,} characters]"}

    def _tool_use(self, block: dict[str, Json], what: str) -> Json:
        return {
            "type": "tool_use",
            "id": id_of(block.get("id")),
            "name": text_of(block.get("name")),
            "input": self.value(block.get("input"), what),
        }

    def _other(self, block: dict[str, Json], what: str) -> Json:
        trimmed = self.value(block, what)
        if mapping_of(trimmed).get("type") == "text":  # what an image became
            return trimmed
        return {"type": "text", "text": self._as_text(trimmed, what)}


def _tool_result(block: dict[str, Json]) -> Json:
    """A tool's result as a model call reads it: in short, for it is whole in its own span."""
    short = {
        "type": "tool_result",
        "tool_use_id": id_of(block.get("tool_use_id")),
        "content": preview(block.get("content")),
    }
    return short | ({"is_error": True} if block.get("is_error") is True else {})


def preview(content: Json) -> str:
    """The begin of a tool's result."""
    text = plain_text(content)
    if len(text) <= PREVIEW_CHARS:
        return text
    return f"{text[:PREVIEW_CHARS]} … [{len(text) - PREVIEW_CHARS:,} more in the tool's span]"


def plain_text(content: Json) -> str:
    """The text in a message's or a tool result's content, without images and other blocks."""
    if isinstance(content, str):
        return content
    texts = (text_of(mapping_of(block).get("text")) for block in list_of(content))
    return "\n".join(text for text in texts if text)


def _encoded(value: dict[str, Json]) -> tuple[str, str] | None:
    """(media type, base64 text) of an image or document, in the API's form or Claude Code's."""
    source = value.get("source")
    if isinstance(source, dict) and isinstance(source.get("data"), str):
        return text_of(source.get("media_type")) or text_of(value.get("type")), source["data"]
    if isinstance(value.get("base64"), str):
        return text_of(value.get("type")) or "image", value["base64"]
    return None
