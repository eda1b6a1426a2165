"""What a model and the program say to each other; of sessions, budgets and tools nothing.

The client library takes a second to load, so that happens only where there is a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from evalkit.agent.model_settings import settings_for
from evalkit.core.usage import Usage
from evalkit.core.values import Json

if TYPE_CHECKING:
    from evalkit.agent.request import Request

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
    """A tool as a model is told of it; ``input_schema`` is the JSON schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to use a tool; nobody has checked its arguments yet."""

    call_id: str
    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer to one request."""

    content: tuple[Mapping[str, Json], ...]  # blocks in Anthropic's form, fit to be sent back
    stop_reason: StopReason
    usage: Usage = field(default_factory=Usage)  # attempts that broke off are paid too
    model: str = ""  # as it calls itself
    cost_usd: float | None = 0.0  # None where the price is not known, which is never nothing
    request_id: str = ""
    explanation: str = ""  # what the provider says about a refusal

    @property
    def text(self) -> str:
        """The words of it."""
        texts = [str(b.get("text", "")) for b in self.content if b.get("type") == "text"]
        return "\n\n".join(texts).strip()

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools it wants used, in order."""
        calls = [block for block in self.content if block.get("type") == "tool_use"]
        return tuple(
            ToolCall(str(b["id"]), str(b["name"]), given if isinstance(given, dict) else {})
            for b in calls
            for given in [b.get("input")]
        )


class Model(Protocol):
    """Whatever answers; ``is_priced`` says whether a reply's cost will be known."""

    name: str
    is_priced: bool

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer a conversation, which ends with the user's message.

        ``on_text`` hears the words as they come, from the beginning again where an answer broke
        off.

        Raises:
            ContextFull: the conversation is longer than the model can read.
            ModelError: there is no answer, also after every retry; says what was paid all the same.
        """
        ...


def claude(request: Request, on_wait: Callable[[str], None]) -> Model | None:
    """Claude, as `settings_for` says that it is reached; None where rules are to do the work."""
    from evalkit.adapters.store.prices import price_of_model

    if (settings := settings_for(request)) is None:
        return None
    from evalkit.agent.claude import Claude

    return Claude(settings, price=price_of_model(settings.model), on_wait=on_wait)
