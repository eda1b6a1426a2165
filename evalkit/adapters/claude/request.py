"""A conversation as a request of the Messages API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.core.agent.conversation import Message, ToolSpec
from evalkit.core.values import Json

_MARK: dict[str, Json] = {"type": "ephemeral"}


def request_of(
    system: str, messages: Sequence[Message], tools: Sequence[ToolSpec]
) -> dict[str, Any]:
    """The parts of a request that say the conversation; those that say nothing are left out.

    Only what every provider of Claude knows is used: no tools that run on the server, nothing in
    beta, no temperature.

    Args:
        system: What the model is and is to do; may be empty.
        messages: The conversation; consecutive ones of one role count as one.
        tools: The tools; may be none.
    """
    request = {
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": dict(tool.input_schema),
            }
            for tool in tools
        ],
        "system": [{"type": "text", "text": system}] if system else [],
        # an answer may say nothing, and the API refuses to be sent what says nothing
        "messages": [dict(message) for message in messages if message.get("content")],
    }
    return {name: value for name, value in request.items() if value}


def cached(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request that has the provider keep in its cache what the next turn says again.

    That is the tools with the instructions, which follow them, and all of the conversation.
    """
    marked = dict(request)
    for name in ("system", "tools"):
        if name in marked:
            marked[name] = _marked(marked[name])
            break
    marked["messages"] = _marked_conversation(marked.get("messages", []))
    return marked


def _marked(blocks: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """The blocks, the last one marked as the end of what is kept."""
    *others, last = blocks
    return [*others, {**last, "cache_control": _MARK}]


def _marked_conversation(messages: Sequence[Message]) -> list[Message]:
    """The messages, the last of the user's marked at its end."""
    ends = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    if not ends:
        return list(messages)
    end = ends[-1]
    content = messages[end].get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    marked = {**messages[end], "content": _marked(blocks) if blocks else blocks}
    return [*messages[:end], marked, *messages[end + 1 :]]
