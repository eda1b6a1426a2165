"""Values of a log made fit for a trace: in Anthropic's format, of bounded size, without images."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from evalkit.jsonable import Json, id_of, mapping_of, plain_text, text_of
from evalkit.receipt import Receipt

TOOL_USES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
MAX_DEPTH = 40
"""Deeper values are written as JSON text: stores and their readers give up on them."""

_PREVIEW_CHARS = 500  # of a tool's result in a model call's inputs: the whole is in its own span
_HEAD = 3 / 4  # of a shortened text is kept from its begin, the rest from its end


@dataclass(frozen=True, slots=True)
class Trimmer:
    """Shortens texts to so many characters, and books it on the receipt by what was shortened."""

    limit: int
    receipt: Receipt

    def text(self, text: str, what: str) -> str:
        """The text, or its begin and end and how much is left out between them."""
        left_out = len(text) - self.limit
        if left_out <= 0:
            return text
        self.receipt.truncated[what] += left_out
        head = int(self.limit * _HEAD)
        end = text[head + left_out :]
        return f"{text[:head]}\n… [{left_out:,} characters left out] …\n{end}"

    def value(self, value: Json, what: str, depth: int = 0) -> Json:
        """The value with its texts shortened and its images replaced by their size."""
        if isinstance(value, str):
            return self.text(value, what)
        if not isinstance(value, (dict, list)):
            return value
        if depth >= MAX_DEPTH:
            return self._as_text(value, what)
        if isinstance(value, list):
            return [self.value(item, what, depth + 1) for item in value]
        media, data = _encoded(value)
        if data is not None:
            self.receipt.truncated[media] += len(data)
            return {"type": "text", "text": f"[{media}, {len(data) * 3 // 4:,} bytes left out]"}
        return {key: self.value(item, what, depth + 1) for key, item in value.items()}

    def _as_text(self, value: Json, what: str) -> str:
        try:
            return self.text(msgspec.json.encode(value).decode(), what)
        except RecursionError:
            self.receipt.truncated[what] += 0
            return "[nested too deeply to be kept]"

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
        return self._known_kind(block, what) or self._other(block, what)

    def _known_kind(self, block: dict[str, Json], what: str) -> Json:
        match text_of(block.get("type")):
            case "text":
                text = {"type": "text", "text": self.text(text_of(block.get("text")), what)}
                cited = block.get("citations")
                return {**text, "citations": self.value(cited, what)} if cited else text
            case "thinking":
                if signature := text_of(block.get("signature")):
                    self.receipt.truncated["signatures of thinking"] += len(signature)
                thought = self.text(text_of(block.get("thinking")), what)
                return {"type": "thinking", "thinking": thought}
            case "redacted_thinking":
                size = len(text_of(block.get("data")))
                self.receipt.truncated["redacted thinking"] += size
                thought = f"[redacted by the API, {size:,} characters]"
                return {"type": "thinking", "thinking": thought}
            case kind if kind in TOOL_USES:
                given = self.value(block.get("input"), what)
                called = {"id": id_of(block.get("id")), "name": text_of(block.get("name"))}
                return {"type": "tool_use", **called, "input": given}
            case "tool_result":
                return _tool_result(block)
        return None

    def _other(self, block: dict[str, Json], what: str) -> Json:
        trimmed = self.value(block, what)
        if mapping_of(trimmed).get("type") == "text":  # what an image became
            return trimmed
        return {"type": "text", "text": self._as_text(trimmed, what)}


def _tool_result(block: dict[str, Json]) -> Json:
    text = plain_text(block.get("content"))
    if (more := len(text) - _PREVIEW_CHARS) > 0:
        text = f"{text[:_PREVIEW_CHARS]} … [{more:,} more in the tool's span]"
    short = {"type": "tool_result", "tool_use_id": id_of(block.get("tool_use_id")), "content": text}
    return short | ({"is_error": True} if block.get("is_error") is True else {})


def _encoded(value: dict[str, Json]) -> tuple[str, str | None]:
    """(media type, base64 text) of an image or document."""
    source = value.get("source")
    if isinstance(source, dict) and isinstance(source.get("data"), str):
        return text_of(source.get("media_type")) or text_of(value.get("type")), source["data"]
    return "", None
