"""The offline model, in the place of a language model: the same conversation, the same answer."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.agent.conversation import Message, Reply, ToolSpec
from evalkit.core.values import Json
from evalkit.flows.agent.rules.chatting import chat
from evalkit.flows.agent.rules.hearing import Heard, heard
from evalkit.flows.agent.rules.initializing import analyse
from evalkit.flows.agent.rules.moves import Move
from evalkit.flows.agent.rules.working import work


class OfflineModel:
    """Rules that lead the agent's sessions with its own tools.

    They ask no provider, cost nothing, and know nothing but the conversation that they are given:
    the same conversation gets the same answer. What tools give is data to them; they read figures
    out of it and copy ids, and nothing in it can move them to anything else.

    Attributes:
        name: ``offline``.
        is_priced: True: rules cost nothing.
    """

    name = "offline"
    is_priced = True

    def create(
        self,
        *,
        system: str,  # noqa: ARG002 - rules know what they are
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,  # noqa: ARG002 - they are brief
    ) -> Reply:
        """Answer a conversation."""
        known = heard(messages)
        move = _answer(known)
        missing = {call.tool for call in move.calls} - {tool.name for tool in tools}
        if missing:
            move = Move(f"The rules need the tool {', '.join(sorted(missing))}, which is not here.")
        return _reply(move, len(known.uses))


def _answer(known: Heard) -> Move:
    match known.facts.get("session"):
        case "initializer":
            return analyse(known)
        case "worker":
            return work(known)
        case _:
            return chat(known)


def _reply(move: Move, used: int) -> Reply:
    """The move in Anthropic's form; calls are numbered through the conversation."""
    content: list[dict[str, Json]] = [{"type": "text", "text": move.words}] if move.words else []
    content += [
        {
            "type": "tool_use",
            "id": f"rules-{used + number}",
            "name": call.tool,
            "input": dict(call.arguments),
        }
        for number, call in enumerate(move.calls, 1)
    ]
    return Reply(tuple(content), "tool_use" if move.calls else "end_turn", model="offline")
