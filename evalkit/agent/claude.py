"""Claude as the model: one stream an answer, repeated while trouble may pass."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import anthropic
import httpx2
from anthropic.lib.streaming import MessageStream

from evalkit.agent.model_client import ClaudeSettings, Message, Reply
from evalkit.errors import ContextFull, ModelError
from evalkit.jsonable import Json, truncate
from evalkit.tokens import Usage, total, usage_from

ATTEMPTS = 8
MAX_WAIT_S = 60.0  # overload of a minute or two is sat out, no server's wish for an hour
USUAL = {"cache_control": {"type": "ephemeral"}, "thinking": {"type": "adaptive"}}
TRAVELLING = re.compile("accept(-encoding)?|connection|content-(length|type)|host|user-agent")
LASTING = re.compile(r"(3|4(?!08|09|29))\d\d: ")
# How Anthropic, and others that serve Claude, say that a conversation does not fit.
TOO_LONG = re.compile(
    r"413: |(?i:400: .*(prompt is too long|input is too long|too many (input )?tokens|"
    r"exceeds?\b.{0,40}\bcontext (limit|window|length)|maximum context length))"
)
FAILURES = {
    "40[13]: ": "does not accept the key for this",
    "404: ": "does not know the model {model}, or Claude does not answer there",
    "no connection: ": "cannot be reached",
    "": "gave no answer",
}


class BrokenOff(Exception):
    """An answer ended before it was complete, or holds less than it has to."""


# In the middle of an answer the library lets errors of the HTTP layer through as they are.
TROUBLE = (anthropic.APIError, httpx2.TransportError, BrokenOff)


class Claude:
    """Answers conversations, each by one request that is repeated if need be.

    One loop repeats, here and not in the library, which tells of no wait, sleeps for an hour where
    a server says so, and lets breaks in the middle of an answer through. What ``sleep`` (seconds),
    ``on_wait`` (why) or ``on_text`` raise ends the asking; no connection stays open then. Of what
    ``extras`` ask for, what a model or gateway refuses by its name is left out from then on.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        cost: Callable[[Usage], float | None] = lambda _: None,
        extras: Mapping[str, Json] = USUAL,
        sleep: Callable[[float], None] = time.sleep,
        on_wait: Callable[[str], None] = lambda _: None,
        advice: str = "correct that, wait, or go on without a model by `--model offline`",
    ) -> None:
        self.name, self.is_priced = settings.model, cost(Usage()) is not None
        self._settings, self._cost, self._advice = settings, cost, advice
        self._extras, self._sleep, self._on_wait = extras, sleep, on_wait
        self._paid: list[Usage] = []  # of each attempt that no answer has been booked with yet
        self._headers: Mapping[str, str] = {}
        http = anthropic.DefaultHttpxClient(
            auth=self._addressed,
            follow_redirects=False,  # one would carry the secret to a host that nobody named
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        self._client = anthropic.Anthropic(
            auth_token="-",  # noqa: S106, so that no secret is looked for; replaced below
            base_url=settings.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(120.0, connect=10.0),  # with silence, not with an answer
            open_telemetry=False,  # who leads a session traces it, into a place of its own
            http_client=http,
        )

    def _addressed(self, request: httpx2.Request) -> httpx2.Request:
        """A request with one secret; what else the library found in the environment is dropped."""
        kept = {n: text for n, text in request.headers.items() if TRAVELLING.fullmatch(n)}
        request.headers = httpx2.Headers({**kept, **self._headers})
        return request

    def create(
        self,
        *,
        system: str,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Json]],
        max_tokens: int,
        on_text: Callable[[str], None] = lambda _: None,
    ) -> Reply:
        """Answer a conversation, which ends with the user's message.

        ``on_text`` hears the words as they come, from the beginning again where an answer broke
        off. An answer that was interrupted is booked with the next.

        Raises:
            ContextFull: the conversation is longer than the model can read.
            ModelError: there is no answer, also after every retry; says what was paid all the same.
        """
        request: dict[str, Any] = {
            "model": self.name,
            "messages": [*map(dict, messages)],
            "max_tokens": max_tokens,
            "system": system or anthropic.omit,
            "tools": [*map(dict, tools)] or anthropic.omit,
        }
        attempt = 1
        while True:
            try:
                reply = self._streamed({**request, **self._extras}, on_text)
                usage, cost_usd = self._booked()
                return replace(reply, usage=usage, cost_usd=cost_usd)
            except TROUBLE as error:
                said, trouble = _in_words(error), error
            kept = {name: value for name, value in self._extras.items() if name not in said}
            if said.startswith("400: ") and len(kept) < len(self._extras):
                self._extras = kept
                continue
            if attempt == ATTEMPTS or LASTING.match(said):
                raise self._failure(said) from trouble
            headers = getattr(getattr(trouble, "response", None), "headers", {})
            seconds, asked = 0.5 * 2 ** (attempt - 1), headers.get("retry-after", "")
            if re.fullmatch(r"-?\d+(\.\d+)?", asked):  # else it is a date, mostly
                seconds = min(max(float(asked), 0.0), MAX_WAIT_S)
            self._on_wait(f"{said}: attempt {attempt} of {ATTEMPTS} in {seconds:.0f} s")
            self._sleep(seconds)
            attempt += 1

    def _failure(self, said: str) -> ModelError:
        usage, cost_usd = self._booked()
        is_long = TOO_LONG.match(said)
        form = next(form for begins, form in FAILURES.items() if re.match(begins, said))
        form = "finds the conversation too long for {model}" if is_long else form
        words = f"{self._settings.base_url} {form.format(model=self.name)} ({said})"
        kind = ContextFull if is_long else ModelError
        return kind(f"{words}; {self._advice}", usage=usage, cost_usd=cost_usd)

    def _booked(self) -> tuple[Usage, float | None]:
        """Tokens of all attempts so far, and USD, each attempt by its own length."""
        paid, self._paid = self._paid, []
        costs = [usd for each in paid if (usd := self._cost(each)) is not None]
        return total(paid), sum(costs) if len(costs) == len(paid) else None

    def _streamed(self, request: dict[str, Any], on_text: Callable[[str], None]) -> Reply:
        """One attempt; the library takes for whole what breaks off without an error."""
        message: Any = None
        renewed = self._settings.headers or (dict)
        self._headers = {
            "anthropic-version": "2023-06-01",  # gateways may know no newer one
            "authorization": f"Bearer {self._settings.secret}",
            **{name.lower(): text for name, text in renewed().items()},
        }
        with self._client.messages.stream(**request) as stream:
            try:
                for event in _events(stream):
                    if event.type == "message_start":
                        message = stream.current_message_snapshot  # it grows from here on
                    elif event.type == "text":
                        on_text(event.text)
            except TROUBLE:
                if not (message and message.stop_reason):
                    raise  # else only the connection's end was untidy
            finally:
                if used := message and usage_from(message.usage.to_dict(warnings=False)):
                    self._paid.append(used)
        if not (message and message.stop_reason):
            raise BrokenOff("it stopped in the middle")
        blocks = [block.to_dict(warnings=False) for block in message.content]
        return Reply(
            # it may not be sent back words that there are none of
            tuple(b for b in blocks if b["type"] != "text" or b["text"].strip()),
            message.stop_reason,
            model=message.model or self.name,
            request_id=stream.request_id or "",
            explanation=getattr(message.stop_details, "explanation", None) or "",
        )


def _in_words(error: Exception) -> str:
    """What went wrong, by its status or kind; of a proxy's page the beginning."""
    if isinstance(error, anthropic.APIStatusError):
        # in the middle of an answer the status is that of its beginning
        kind = error.type if error.status_code == HTTPStatus.OK else error.status_code
        return f"{kind}: {truncate(error.api_message or error.message, 300)}"
    said = str(error) or type(error).__name__
    return f"no connection: {said}" if isinstance(error, anthropic.APIConnectionError) else said


def _events(stream: MessageStream[None]) -> Iterator[Any]:
    try:
        yield from stream
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise BrokenOff("a part of it is missing or garbled") from error
