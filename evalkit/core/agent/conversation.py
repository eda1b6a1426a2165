"""What a model and the program say to each other: Anthropic's Messages, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from evalkit.core.usage import Usage
from evalkit.core.values import Json

StopReason: TypeAlias = Literal[
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]

Message: TypeAlias = Mapping[str, Json]
"""``{"role": "user" | "assistant", "content": text or blocks}``."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it.

    Attributes:
        name: Its name.
        description: What it does and when to use it.
        input_schema: JSON schema of its input, an object.
    """

    name: str
    description: str
    input_schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to use a tool.

    Attributes:
        call_id: The id that its result has to carry.
        name: The tool.
        arguments: What it is given; whatever the model wrote, checked by nobody yet.
    """

    call_id: str
    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer to one request.

    Attributes:
        content: Its blocks in Anthropic's form, unchanged, so that they can be sent back.
        stop_reason: Why it ended.
        usage: Tokens that it took; with them those of attempts that broke off half-way and were
            repeated, as far as they are known, for they are paid too.
        model: The model that answered, as it calls itself.
        cost_usd: What it cost; None where the price is not known, which is never nothing.
        request_id: The provider's id of the request; empty where there is none.
        explanation: What the provider says about a refusal; mostly empty.
    """

    content: tuple[Mapping[str, Json], ...]
    stop_reason: StopReason
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    cost_usd: float | None = 0.0
    request_id: str = ""
    explanation: str = ""

    @property
    def text(self) -> str:
        """The words of it."""
        return "\n\n".join(
            str(block.get("text", "")) for block in self.content if block.get("type") == "text"
        ).strip()

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools it wants used, in order."""
        calls = []
        for block in self.content:
            if block.get("type") == "tool_use":
                given = block.get("input")
                arguments = given if isinstance(given, dict) else {}
                calls.append(ToolCall(str(block["id"]), str(block["name"]), arguments))
        return tuple(calls)


class Model(Protocol):
    """Whatever answers: Claude, rules, a script, a recording.

    Attributes:
        name: The model as it is asked for.
        is_priced: Whether a reply's cost is known beforehand to be known; rules cost nothing.
    """

    name: str
    is_priced: bool

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,
    ) -> Reply:
        """Answer a conversation.

        Args:
            system: What the model is and is to do.
            messages: The conversation, which ends with the user's.
            tools: The tools it may ask for.
            max_tokens: Tokens it may write.

        Raises:
            ContextFull: the conversation is longer than the model can read.
            ModelError: there is no answer, also after every retry.
        """
        ...
