"""What a scripted Messages API answers, in one piece or as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from messages_rules import signature_of

_USAGE = {"input_tokens": 100, "output_tokens": 20}
_PIECE = 9
"""Characters of a text that one event of a stream carries."""


@dataclass(frozen=True)
class Reply:
    """A message of the model.

    Attributes:
        text: Its words.
        stop_reason: Why it ends; ``tool_use`` with tools and ``end_turn`` without, by default.
        stop_details: What the API says about a refusal.
        tools: The tools that it calls, with their arguments.
        thinking: What it thinks first; a signed block of its own.
        blocks: Its blocks as they are, instead of all of the above.
        usage: Tokens by the API's names; 100 read and 20 written by default.
        model: The model that it names; the one that was asked, by default.
        delay_s: Seconds before it begins.
        pause_s: Seconds after each event of the stream.
        drop_after: Cut the connection after so many events of the stream.
        truncate_after: End the stream in good order after so many events, in the middle.
        error_after: Send an error after so many events.
        error_kind: The kind of that error.
        cut_input: Leave so many characters of the last tool's arguments out of the stream.
    """

    text: str = ""
    stop_reason: str = ""
    stop_details: dict[str, Any] | None = None
    tools: tuple[tuple[str, dict[str, Any]], ...] = ()
    thinking: str | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    usage: dict[str, Any] = field(default_factory=lambda: dict(_USAGE))
    model: str = ""
    delay_s: float = 0.0
    pause_s: float = 0.0
    drop_after: int | None = None
    truncate_after: int | None = None
    error_after: int | None = None
    error_kind: str = "overloaded_error"
    cut_input: int = 0


@dataclass(frozen=True)
class Fault:
    """An HTTP error; a dropped connection for status 0.

    Attributes:
        status: The HTTP status.
        message: The API's words.
        retry_after: The header ``retry-after``.
        location: The header ``location``, for a redirect.
        plain: Whether the body is no JSON, as from a proxy that stands in between.
    """

    status: int
    message: str = "scripted fault"
    retry_after: str | None = None
    location: str | None = None
    plain: bool = False


def content_of(reply: Reply, number: int) -> list[dict[str, Any]]:
    """The blocks of a reply.

    Args:
        reply: The reply.
        number: How many steps were before it; part of the ids of its calls of tools.
    """
    if reply.blocks:
        return [dict(block) for block in reply.blocks]
    blocks: list[dict[str, Any]] = []
    if reply.thinking is not None:
        signature = signature_of(reply.thinking)
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": signature})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text, "citations": None})
    for at, (name, given) in enumerate(reply.tools):
        call_id = f"toolu_{number:03}_{at}"
        blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": given})
    return blocks


def message_of(reply: Reply, model: str, number: int) -> dict[str, Any]:
    """A reply in one piece.

    Args:
        reply: The reply.
        model: The model that was asked.
        number: How many steps were before it.
    """
    return {
        "id": f"msg_{number:04}",
        "type": "message",
        "role": "assistant",
        "model": reply.model or model,
        "content": content_of(reply, number),
        "stop_reason": reply.stop_reason or ("tool_use" if reply.tools else "end_turn"),
        "stop_sequence": None,
        "stop_details": reply.stop_details,
        "usage": reply.usage,
    }


def events_of(reply: Reply, message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A message as the events of a stream; the first says what was read, the last but one all."""
    unsaid = {"content": [], "stop_reason": None, "stop_details": None}
    usage = {**message["usage"], "output_tokens": 1}
    yield "message_start", {"message": {**message, **unsaid, "usage": usage}}
    yield "ping", {}
    last = len(message["content"]) - 1
    for index, block in enumerate(message["content"]):
        empty, deltas = _begun(block, reply.cut_input if index == last else 0)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    ending = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    written = {"output_tokens": message["usage"]["output_tokens"]}
    yield "message_delta", {"delta": ending, "usage": written}
    yield "message_stop", {}


def _begun(block: dict[str, Any], cut: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and the deltas that complete it but for so many characters."""
    match block["type"]:
        case "text":
            pieces = _pieces(block["text"])
            return {**block, "text": ""}, [{"type": "text_delta", "text": each} for each in pieces]
        case "thinking":
            thought = [
                {"type": "thinking_delta", "thinking": each} for each in _pieces(block["thinking"])
            ]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thought, signed]
        case "tool_use":
            text = json.dumps(block["input"])
            pieces = ["", *_pieces(text[: len(text) - cut])]
            deltas = [{"type": "input_json_delta", "partial_json": each} for each in pieces]
            return {**block, "input": {}}, deltas
        case _:
            return block, []


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
