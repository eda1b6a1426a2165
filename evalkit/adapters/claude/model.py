"""Claude as the agent's model: one streamed answer for one conversation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import anthropic
from anthropic.types import RawMessageStreamEvent

from evalkit.adapters.claude.answer import Answer
from evalkit.adapters.claude.connecting import client_of
from evalkit.adapters.claude.failing import failed
from evalkit.adapters.claude.request import cached, request_of
from evalkit.adapters.claude.retrying import TROUBLE, Patience, Wait
from evalkit.adapters.claude.settings import ClaudeSettings
from evalkit.core.agent.conversation import Message, Reply, ToolSpec
from evalkit.core.agent.price import Price
from evalkit.core.errors import ModelError
from evalkit.core.usage import Usage, total

ATTEMPTS = 8
MAX_WAIT_S = 60.0
"""With eight attempts, overload of a minute or two is sat out, and no server's wish for an hour."""

_INSTEAD = "or go on without a model by `--model offline`"


class ClaudeModel:
    """Answers conversations by asking Claude, each as one request that is repeated if need be.

    Attributes:
        name: The model as it is asked for.
        is_priced: Whether its price is known.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        price: Callable[[str], Price | None],
        sleep: Callable[[float], None] = time.sleep,
        on_text: Callable[[str], None] | None = None,
        on_wait: Callable[[Wait], None] | None = None,
    ) -> None:
        """Remember how to ask; nothing is sent yet.

        Args:
            settings: How Claude is reached.
            price: Says what a model of a name costs, None where that is not known.
            sleep: Waits between attempts, in seconds. Like the two below it may raise something to
                end the asking; no connection stays open then.
            on_text: Told the answer's words as they come. An answer that breaks off is asked for
                again, after ``on_wait``, and its words are told from the beginning.
            on_wait: Told of each wait before it.
        """
        self.name = settings.model
        self._price = price(settings.model)
        self.is_priced = self._price is not None
        self._settings = settings
        self._patience = Patience(sleep, ATTEMPTS, MAX_WAIT_S, on_wait)
        self._on_text = on_text
        self._caches = True

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        max_tokens: int,
    ) -> Reply:
        """Claude's answer; its tokens and cost count the attempts that broke off, too.

        Args:
            system: What the model is and is to do.
            messages: The conversation.
            tools: The tools it may ask for.
            max_tokens: Tokens it may write.

        Raises:
            ContextFull: the conversation is longer than the model can read.
            ModelError: Claude cannot be reached, does not accept the key, does not know the model
                or refuses the request, or its trouble lasts; tells what was paid all the same.
        """
        parts = request_of(system, messages, tools)
        paid: list[Usage] = []

        def attempt() -> Answer:
            answer = Answer()
            try:
                self._ask(answer, {**parts, "max_tokens": max_tokens})
            finally:
                paid.append(answer.usage)
            return answer

        try:
            answer = self._patience.run(attempt)
        except TROUBLE as error:
            failure = failed(error, self._settings, _INSTEAD)
            self._settle(failure, paid)
            raise failure from error
        except ModelError as failure:
            self._settle(failure, paid)
            raise
        return Reply(
            answer.content,
            answer.stop_reason,
            total(paid),
            answer.model or self.name,
            self._cost(paid),
            answer.request_id,
            answer.explanation,
        )

    def _ask(self, answer: Answer, request: dict[str, Any]) -> None:
        """One attempt; what comes of it is in the answer, also where it breaks off."""
        with client_of(self._settings) as client, self._opened(client, request) as stream:
            answer.request_id = stream.response.headers.get("request-id", "")
            try:
                for event in stream:
                    if (words := answer.add(event)) and self._on_text:
                        self._on_text(words)
            except TROUBLE:
                if not answer.has_ended:  # else only the connection's end was untidy
                    raise
        answer.complete()

    def _opened(
        self, client: anthropic.Anthropic, request: dict[str, Any]
    ) -> anthropic.Stream[RawMessageStreamEvent]:
        """The stream of events; without marks for a cache from when a gateway refuses them on."""
        if self._caches:
            try:
                return self._stream(client, cached(request))
            except anthropic.BadRequestError as error:
                if "cache_control" not in str(error):
                    raise
                self._caches = False
        return self._stream(client, request)

    def _stream(
        self, client: anthropic.Anthropic, request: dict[str, Any]
    ) -> anthropic.Stream[RawMessageStreamEvent]:
        stream: anthropic.Stream[RawMessageStreamEvent] = client.messages.create(
            model=self.name, stream=True, **request
        )
        return stream

    def _settle(self, failure: ModelError, paid: Sequence[Usage]) -> None:
        """Have a failure tell what was paid all the same."""
        failure.usage, failure.cost_usd = total(paid), self._cost(paid)

    def _cost(self, paid: Sequence[Usage]) -> float | None:
        """USD for all attempts, each by its own length."""
        used = [usage for usage in paid if usage != Usage()]
        if self._price is None:
            return None if used else 0.0
        return sum(map(self._price.cost, used), 0.0)
