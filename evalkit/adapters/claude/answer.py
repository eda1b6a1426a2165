"""An answer put together from the events of a stream.

The library's own gathering takes an answer that breaks off for a complete one, and forgets what it
cost. Here an answer is complete when the model has said why it stopped, and what is known of its
tokens is known at any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, get_args

from evalkit.adapters.claude.retrying import BrokenOff
from evalkit.core.agent.conversation import StopReason
from evalkit.core.errors import ModelError
from evalkit.core.usage import KINDS, Usage, usage_from
from evalkit.core.values import Json

_STOP_REASONS = get_args(StopReason)
_CUT_OFF = {"max_tokens", "model_context_window_exceeded", "refusal"}
"""What may end an answer in the middle of a tool call."""


class Event(Protocol):
    """What the library gives for an event of a stream."""

    def to_dict(self, *, warnings: bool) -> dict[str, object]:
        """The event as the API sent it."""
        ...


class Answer:
    """One attempt's answer, as far as it has come.

    Attributes:
        model: The model that answers, as it calls itself.
        request_id: The provider's id of the request.
        stop_reason: Why the model stopped; ``end_turn`` until it has said so.
        explanation: What the provider says about a refusal.
        has_ended: Whether the model has said why it stopped.
        content: The blocks of an answer that has ended, as they can be sent back.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.model = ""
        self.request_id = ""
        self.stop_reason: StopReason = "end_turn"
        self.has_ended = False
        self.explanation = ""
        self.content: tuple[dict[str, Json], ...] = ()
        self._usage: dict[str, Json] = {}
        self._blocks: dict[int, dict[str, Json]] = {}
        self._inputs: dict[int, str] = {}

    @property
    def usage(self) -> Usage:
        """The tokens that the provider has counted so far."""
        return usage_from(self._usage) or Usage()

    def add(self, event: Event) -> str:
        """Take in an event; one of a kind that nobody knows yet is passed over.

        Returns:
            The words that it brings, mostly none.

        Raises:
            BrokenOff: it does not follow from what came before, or holds less than it has to.
            ModelError: the model stopped for a reason that nobody knows yet.
        """
        # the library's classes fit what its version knows; what is newer is no reason to warn
        said: dict[str, Any] = event.to_dict(warnings=False)
        try:
            return self._taken(said)
        except (KeyError, TypeError, AttributeError) as error:
            raise BrokenOff("a part of it is missing") from error

    def _taken(self, said: Mapping[str, Any]) -> str:
        match said.get("type"):
            case "message_start":
                message = said["message"]
                self.model = message.get("model") or ""
                self._count(message.get("usage"))
            case "content_block_start":
                block = self._blocks[said["index"]] = dict(said["content_block"])
                return block.get("text") or ""
            case "content_block_delta":
                return self._extended(said["index"], said["delta"])
            case "message_delta":
                self._count(said.get("usage"))
                self._end(said["delta"])
        return ""

    def _extended(self, index: int, delta: Mapping[str, Any]) -> str:
        block = self._blocks[index]
        match delta.get("type"):
            case "text_delta":
                block["text"] = (block.get("text") or "") + delta["text"]
                return str(delta["text"])
            case "input_json_delta":
                self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
            case "thinking_delta":
                block["thinking"] = (block.get("thinking") or "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        return ""

    def _end(self, delta: Mapping[str, Any]) -> None:
        details = delta.get("stop_details") or {}
        self.explanation = details.get("explanation") or ""
        if (reason := delta.get("stop_reason")) is None:
            return
        if reason not in _STOP_REASONS:
            raise ModelError(
                f"Claude stopped for a reason that evalkit does not know, {reason!r}; take a newer "
                "evalkit, or another model"
            )
        self.stop_reason, self.has_ended = reason, True

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Later counts are totals, not additions; what they leave out stays."""
        named = {*KINDS, "cache_creation"}
        self._usage |= {
            name: count for name, count in (usage or {}).items() if name in named and count
        }

    def complete(self) -> None:
        """Make the content of what has come.

        Left out are words that there are none of, which the API refuses to be sent, and a tool call
        that was cut off, by the token limit for instance: nobody knows what it was to be.

        Raises:
            BrokenOff: the model has not said why it stopped, or a tool call is garbled.
        """
        if not self.has_ended:
            raise BrokenOff("it stopped in the middle")
        blocks = [self._block(index) for index in sorted(self._blocks)]
        self.content = tuple(block for block in blocks if block)

    def _block(self, index: int) -> dict[str, Json] | None:
        block = self._blocks[index]
        if block.get("type") == "text" and not (block.get("text") or "").strip():
            return None
        if index not in self._inputs:
            return block
        try:
            given = json.loads(self._inputs[index] or "{}")
        except json.JSONDecodeError:
            given = None
        if isinstance(given, dict):
            return {**block, "input": given}
        if self.stop_reason in _CUT_OFF:
            return None
        raise BrokenOff("a tool call is garbled")
