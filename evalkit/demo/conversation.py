"""What is said in a session: the model's turns, the tools it calls, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from evalkit.core.values import Json
from evalkit.demo.tokens import Tokens, estimate

if TYPE_CHECKING:  # a call may write into the session it belongs to
    from evalkit.demo.logs import Session

Event: TypeAlias = dict[str, Json]

SYSTEM_PROMPT_TOKENS = 14_200
SUBAGENT_PROMPT_TOKENS = 6_100


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tool answered.

    Attributes:
        content: Text, or content blocks.
        structured: The event's ``tool_use_result``; made from the content where None.
        failed: Whether the tool says that it failed.
        denied: Whether it was not permitted to run.
    """

    content: Json = ""
    structured: Json = None
    failed: bool = False
    denied: bool = False

    @property
    def text(self) -> str:
        """Its content as text, without what is none."""
        if isinstance(self.content, str):
            return self.content
        return "".join(block.get("text", "") for block in self.content)

    def result_of(self, tool: str) -> Json:
        """The ``tool_use_result`` that Claude Code adds beside the message."""
        if self.structured is not None:
            return self.structured
        if self.failed:
            return f"Error: {self.text}"
        if tool == "Bash":
            return {"stdout": self.text, "stderr": "", "interrupted": False, "isImage": False}
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call.

    Attributes:
        tool: The tool's name.
        input: Its input.
        reply: What it answers.
        seconds: How long it takes.
        inside: What goes on in the log between call and answer, and what the answer then is;
            it gets the session, the calling thread and the call's id. Takes the place of
            ``reply`` and ``seconds``.
    """

    tool: str
    input: Mapping[str, Json]
    reply: Reply = field(default_factory=Reply)
    seconds: float = 0.4
    inside: Callable[[Session, Thread, str], Reply] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the model, with the tool calls in it.

    Attributes:
        text: What it says.
        thinking: What it thinks before.
        calls: The tools it calls.
        logged: False for a message that is billed but that the log leaves out.
    """

    text: str = ""
    thinking: str = ""
    calls: Sequence[Call] = ()
    logged: bool = True

    def output_tokens(self) -> int:
        """How many tokens the model wrote."""
        inputs = "".join(json.dumps(dict(call.input)) for call in self.calls)
        return estimate(self.thinking + self.text + inputs)


@dataclass(slots=True)
class Thread:
    """One line of conversation: the main agent's, or a subagent's.

    Attributes:
        model: Who speaks.
        began_ms: When it began, in milliseconds since the session's start.
        clock_ms: Where it stands, in milliseconds since the session's start.
        parent: Id of the tool call that started it; None for the main thread.
        cached: Tokens of the conversation that the next message reads from the cache.
        unread: Tokens that the next message sees for the first time.
        spent: All its tokens, those of its own subagents apart.
        messages: Messages of the model so far.
        tool_uses: Tool calls so far.
        agent_id: Set where the thread is logged in a transcript of its own.
        transcript: The lines of that transcript.
    """

    model: str
    began_ms: int = 0
    clock_ms: int = 0
    parent: str | None = None
    cached: int = 0
    unread: int = SYSTEM_PROMPT_TOKENS
    spent: Tokens = field(default_factory=Tokens)
    messages: int = 0
    tool_uses: int = 0
    agent_id: str = ""
    transcript: list[Event] = field(default_factory=list)

    def spend(self, output: int) -> Tokens:
        """The tokens of the thread's next message."""
        now = Tokens(3 if self.messages == 0 else 1, output, self.cached, self.unread)
        self.cached, self.unread = self.cached + self.unread, output
        self.spent, self.messages = self.spent + now, self.messages + 1
        return now

    def forget(self) -> None:
        """Drop the conversation; only the system prompt is left to be read."""
        self.cached, self.unread = 0, SYSTEM_PROMPT_TOKENS
