"""What a model and the program say to each other, and Claude as the model: one stream an answer.

Of the agent's sessions, budgets and tools it knows nothing. The client library takes a second to
load, so that happens when Claude is first asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

from evalkit.agent.model_settings import ClaudeSettings, settings_for
from evalkit.core.errors import ModelError
from evalkit.core.usage import Usage, total
from evalkit.core.values import Json

if TYPE_CHECKING:
    import anthropic
    from anthropic.lib.streaming import MessageStream

    from evalkit.agent.request import Request
    from evalkit.core.price import Price

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

ATTEMPTS = 8


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
    """A model's answer to one request.

    Attributes:
        content: Its blocks in Anthropic's form, unchanged, so that they can be sent back.
        stop_reason: Why it ended.
        usage: Tokens, with those of attempts that broke off and were repeated: they are paid too.
        model: The model that answered, as it calls itself.
        cost_usd: None where the price is not known, which is never nothing.
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
        texts = [str(b.get("text", "")) for b in self.content if b.get("type") == "text"]
        return "\n\n".join(texts).strip()

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

        Args:
            system: What the model is and is to do.
            messages: The conversation.
            tools: The tools it may ask for.
            max_tokens: Tokens it may write.
            on_text: Told the answer's words as they come, from the beginning again where an answer
                broke off.

        Raises:
            ContextFull: the conversation is longer than the model can read.
            ModelError: there is no answer, also after every retry; says what was paid all the same.
        """
        ...


class Claude:
    """Answers conversations by asking Claude, each as one request that is repeated if need be.

    One loop repeats, here and not in the library: it tells of each wait, takes a break in the
    middle of an answer like any other trouble, and books what broken answers cost.

    Args:
        settings: How Claude is reached.
        price: What its tokens cost; None where that is not known.
        extras: What a request asks for beside the conversation; caching and thinking by default.
            What a model or gateway refuses by its name is left out from then on.
        sleep: Waits between attempts, in seconds. Like ``on_wait`` and ``on_text`` it may raise
            something to end the asking; no connection stays open then.
        on_wait: Told of each wait before it, in words.
        advice: What else a person can do; the end of each error's message.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        price: Price | None = None,
        extras: Mapping[str, Json] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        on_wait: Callable[[str], None] = lambda _: None,
        advice: str = "or go on without a model by `--model offline`",
    ) -> None:
        usual = {"cache_control": {"type": "ephemeral"}, "thinking": {"type": "adaptive"}}
        self.name = settings.model
        self.is_priced = price is not None
        self._settings, self._price, self._advice = settings, price, advice
        self._extras: Mapping[str, Any] = usual if extras is None else extras
        self._sleep, self._on_wait = sleep, on_wait
        self._unbooked: list[Usage] = []

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """See :meth:`Model.create`; an answer that was interrupted is booked with the next."""
        request: dict[str, Any] = {
            # an answer may say nothing, and the API refuses to be sent what says nothing
            "messages": [dict(message) for message in messages if message.get("content")],
            "max_tokens": max_tokens,
            **({"system": system} if system else {}),
            **({"tools": [asdict(tool) for tool in tools]} if tools else {}),
        }
        paid, self._unbooked = self._unbooked, []
        try:
            reply = self._repeated(request, paid, on_text or (lambda _: None))
        except ModelError as failure:
            failure.usage, failure.cost_usd = total(paid), self._cost(paid)
            raise
        except BaseException:
            self._unbooked = paid
            raise
        return replace(reply, usage=total(paid), cost_usd=self._cost(paid))

    def _repeated(
        self, request: dict[str, Any], paid: list[Usage], on_text: Callable[[str], None]
    ) -> Reply:
        from evalkit.agent.model_stream import TROUBLE, in_words, may_pass, model_error, wait_s

        attempt = 1
        while True:
            try:
                return self._streamed(request, paid, on_text)
            except TROUBLE as error:
                if attempt == ATTEMPTS or not may_pass(error):
                    where = self._settings.base_url
                    raise model_error(error, where, self.name, self._advice) from error
                why, seconds = in_words(error), wait_s(error, attempt)
            self._on_wait(f"{why}: attempt {attempt} of {ATTEMPTS} in {seconds:.0f} s")
            self._sleep(seconds)
            attempt += 1

    def _streamed(
        self, request: dict[str, Any], paid: list[Usage], on_text: Callable[[str], None]
    ) -> Reply:
        """One attempt; what it cost is added to ``paid`` however it ends."""
        from evalkit.agent.model_stream import Answer, connected

        with connected(self._settings) as client, self._opened(client, request) as stream:
            answer = Answer(stream)
            try:
                for words in answer.words():
                    on_text(words)
            finally:
                paid.append(answer.usage)
            message, details = answer.message, answer.message.stop_details
            if message.stop_reason not in get_args(StopReason):
                raise ModelError(
                    f"Claude stopped for a reason that evalkit does not know, "
                    f"{message.stop_reason!r}; take a newer evalkit, or another model"
                )
            return Reply(
                answer.content(),
                message.stop_reason,
                model=message.model or self.name,
                request_id=stream.request_id or "",
                explanation=getattr(details, "explanation", None) or "",
            )

    def _opened(self, client: anthropic.Anthropic, request: dict[str, Any]) -> MessageStream[None]:
        import anthropic

        while True:
            try:
                asked: dict[str, Any] = {**request, **self._extras}
                return client.messages.stream(model=self.name, **asked).__enter__()
            except anthropic.BadRequestError as error:
                kept = {name: x for name, x in self._extras.items() if name not in str(error)}
                if len(kept) == len(self._extras):
                    raise
                self._extras = kept

    def _cost(self, paid: Sequence[Usage]) -> float | None:
        """USD for all attempts, each by its own length."""
        used = [usage for usage in paid if usage != Usage()]
        if self._price is None:
            return None if used else 0.0
        return sum(map(self._price.cost, used), 0.0)


def claude(request: Request, on_wait: Callable[[str], None]) -> Claude | None:
    """Claude, here or on Databricks; None where rules are asked for, or there is no key.

    Args:
        request: What is asked for.
        on_wait: Told when the model has to be waited for, in words.

    Raises:
        InputError: there is no key for the model that was asked for, or it would go to a host
            that it is not for.
        DatabricksError: the secret cannot be read.
    """
    from evalkit.adapters.store.prices import price_of_model

    settings = settings_for(request)
    if settings is None:
        return None
    return Claude(settings, price=price_of_model(settings.model), on_wait=on_wait)
