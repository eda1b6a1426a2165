"""Claude as the model: one stream an answer, repeated while trouble may pass."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, get_args

import anthropic
import httpx2
from anthropic.lib.streaming import MessageStream

from evalkit.agent.model_client import Message, Reply, StopReason, ToolSpec
from evalkit.agent.model_settings import ANTHROPIC, ClaudeSettings
from evalkit.core.brevity import short
from evalkit.core.errors import ContextFull, ModelError
from evalkit.core.price import Price
from evalkit.core.usage import Usage, total, usage_from
from evalkit.core.values import Json

ATTEMPTS = 8
MAX_WAIT_S = 60.0  # overload of a minute or two is sat out, no server's wish for an hour
PATIENCE = httpx2.Timeout(
    120.0, connect=10.0
)  # for silence; an answer may take as long as it takes
VERSION, GATEWAY_VERSION = "2026-10-21", "2023-06-01"  # gateways may know only the older one
USUAL: Mapping[str, Any] = {
    "cache_control": {"type": "ephemeral"},
    "thinking": {"type": "adaptive"},
}
TRAVELLING = re.compile("accept(-encoding)?|connection|content-(length|type)|host|user-agent")
CUT_OFF = {"max_tokens", "model_context_window_exceeded", "refusal"}  # even in a tool call
IN_STREAM = 200  # the status of an error in the middle of an answer, which says nothing about it
LASTING = re.compile(
    r"(3\d\d|4(?!08|09|29)\d\d|request_too_large|"
    "(authentication|billing|invalid_request|not_found|permission)_error): "
)
# How Anthropic, and others that serve Claude, say that a conversation does not fit.
TOO_LONG = re.compile(
    r"413: |400: .*(prompt is too long|input is too long|too many (input )?tokens|"
    r"exceeds?\b.{0,40}\bcontext (limit|window|length)|maximum context length)",
    re.IGNORECASE,
)
ANSWERS = {
    "400: ": "answered {said}; correct that",
    "401: ": "does not accept the key; check it",
    "403: ": "does not accept the key for this ({said}); check it",
    "404: ": "does not know the model {model}, or Claude does not answer there; name another with "
    "MODEL, correct ANTHROPIC_BASE_URL",
}


class BrokenOff(Exception):
    """An answer ended before it was complete, or holds less than it has to."""


# In the middle of an answer the library lets errors of the HTTP layer through as they are.
TROUBLE = (anthropic.APIError, httpx2.TransportError, BrokenOff)


class Claude:
    """Answers conversations by asking Claude, each as one request that is repeated if need be.

    One loop repeats, here and not in the library, which tells of no wait, sleeps for an hour where
    a server says so, and lets breaks in the middle of an answer through.

    Args:
        settings: How Claude is reached.
        price: What its tokens cost; None where that is not known.
        extras: What a request asks for beside the conversation. What a model or gateway refuses by
            its name is left out from then on.
        sleep: Waits between attempts, in seconds. Like ``on_wait`` (told of it before, in words)
            and ``on_text`` it may raise something to end the asking; no connection stays open then.
        advice: What else a person can do; the end of each error's message.
    """

    def __init__(
        self,
        settings: ClaudeSettings,
        *,
        price: Price | None = None,
        extras: Mapping[str, Json] = USUAL,
        sleep: Callable[[float], None] = time.sleep,
        on_wait: Callable[[str], None] = lambda _: None,
        advice: str = "or go on without a model by `--model offline`",
    ) -> None:
        self.name, self.is_priced = settings.model, price is not None
        self._settings, self._price, self._advice = settings, price, advice
        self._extras, self._sleep, self._on_wait = extras, sleep, on_wait
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
            "model": self.name,
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
        attempt = 1
        while True:
            try:
                return self._streamed({**request, **self._extras}, paid, on_text)
            except TROUBLE as error:
                said, trouble = _in_words(error), error
            kept = {name: value for name, value in self._extras.items() if name not in said}
            if said.startswith("400: ") and len(kept) < len(self._extras):
                self._extras = kept
                continue
            if attempt == ATTEMPTS or LASTING.match(said):
                raise self._failure(trouble, said) from trouble
            asked = getattr(getattr(trouble, "response", None), "headers", {}).get(
                "retry-after", ""
            )
            seconds = 0.5 * 2 ** (attempt - 1)
            if re.fullmatch(r"-?\d+(\.\d+)?", asked):  # else it is a date, mostly
                seconds = min(max(float(asked), 0.0), MAX_WAIT_S)
            self._on_wait(f"{said}: attempt {attempt} of {ATTEMPTS} in {seconds:.0f} s")
            self._sleep(seconds)
            attempt += 1

    def _streamed(
        self, request: dict[str, Any], paid: list[Usage], on_text: Callable[[str], None]
    ) -> Reply:
        """One attempt, or one of `TROUBLE`; what it cost is added to ``paid`` however it ends."""
        inputs: dict[int, str] = defaultdict(str)
        with _connected(self._settings) as client, client.messages.stream(**request) as stream:
            try:
                for words in _words(stream, inputs):
                    on_text(words)
            finally:
                used = getattr(_gathered(stream), "usage", None)
                paid.append((used and usage_from(used.to_dict(warnings=False))) or Usage())
            message = _gathered(stream)
            if message.stop_reason not in get_args(StopReason):
                raise ModelError(
                    f"Claude stopped for a reason that evalkit does not know, "
                    f"{message.stop_reason!r}; take a newer evalkit, or another model"
                )
            blocks = [block.to_dict(warnings=False) for block in message.content]
            is_cut = message.stop_reason in CUT_OFF
            return Reply(
                tuple(b for at, b in enumerate(blocks) if _is_whole(b, inputs[at], is_cut=is_cut)),
                message.stop_reason,
                model=message.model or self.name,
                request_id=stream.request_id or "",
                explanation=getattr(message.stop_details, "explanation", None) or "",
            )

    def _cost(self, paid: Sequence[Usage]) -> float | None:
        """USD for all attempts, each by its own length."""
        used = [usage for usage in paid if usage != Usage()]
        if self._price is None:
            return None if used else 0.0
        return sum(map(self._price.cost, used), 0.0)

    def _failure(self, error: Exception, said: str) -> ModelError:
        """An error that waiting did not mend."""
        where, form, kind = self._settings.base_url, ANSWERS.get(said[:5]), ModelError
        if TOO_LONG.match(said):
            form, kind = (
                "finds the conversation too long for {model}: {said}; shorten it",
                ContextFull,
            )
        elif not form:
            form = "broke its answer off ({said}); wait"
            if isinstance(error, anthropic.APIConnectionError):
                form = "cannot be reached ({said}); check it"
            elif isinstance(error, anthropic.APIStatusError):
                form = "answered {said}; wait"
        return kind(f"{where} {form.format(said=said, model=self.name)}, {self._advice}")


def _in_words(error: Exception) -> str:
    """What went wrong, by its status or kind; of a proxy's page the beginning."""
    if not isinstance(error, anthropic.APIStatusError):
        return str(error) or type(error).__name__
    kind = error.type if error.status_code == IN_STREAM else error.status_code
    return f"{kind}: {short(error.api_message or error.message, 300)}"


def _gathered(stream: MessageStream[None]) -> Any:
    """The library's message, as far as it has come; None before anything has."""
    try:
        return stream.current_message_snapshot
    except AssertionError:
        return None


def _words(stream: MessageStream[None], inputs: dict[int, str]) -> Iterator[str]:
    """The words as they come, to the end; the library takes an answer that breaks off for whole."""
    try:
        for event in stream:
            if event.type == "text":
                yield event.text
            elif event.type == "content_block_delta":
                inputs[event.index] += getattr(event.delta, "partial_json", "")
    except TROUBLE:
        if not getattr(_gathered(stream), "stop_reason", None):
            raise  # else only the connection's end was untidy
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise BrokenOff("a part of it is missing or garbled") from error
    if not getattr(_gathered(stream), "stop_reason", None):
        raise BrokenOff("it stopped in the middle")


def _is_whole(block: dict[str, Json], said: str, *, is_cut: bool) -> bool:
    """Whether it can be sent back: not words that there are none of, nor a call that was cut."""
    if block.get("type") == "text":
        return bool(str(block.get("text") or "").strip())
    with suppress(json.JSONDecodeError):
        if isinstance(json.loads(said or "{}"), dict):
            return True
    if not is_cut:
        raise BrokenOff("a tool call is garbled")
    return False


def _connected(settings: ClaudeSettings) -> anthropic.Anthropic:
    """A client for one request: it sends one secret to one host, and repeats nothing by itself.

    Where the secret is renewed, that happens now. The library reads further headers out of the
    environment, secrets among them, which would go to any host: they are dropped.
    """
    secret = {"authorization": f"Bearer {settings.secret}"}
    version = VERSION if settings.base_url == ANTHROPIC else GATEWAY_VERSION
    headers = {"anthropic-version": version, **(settings.headers or (lambda: secret))()}

    def let_in(request: httpx2.Request) -> httpx2.Request:
        for name in set(request.headers):
            if not TRAVELLING.fullmatch(name.lower()):
                del request.headers[name]
        request.headers.update(headers)
        return request

    # A redirect would carry the secret to a host that nobody named.
    http = anthropic.DefaultHttpxClient(auth=let_in, follow_redirects=False)
    return anthropic.Anthropic(
        auth_token="-",  # noqa: S106, keeps the library from looking for secrets; replaced above
        base_url=settings.base_url,
        max_retries=0,
        timeout=PATIENCE,
        open_telemetry=False,  # sessions are traced by who leads them, into a place of their own
        http_client=http,
    )
