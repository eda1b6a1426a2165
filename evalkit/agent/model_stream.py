"""An answer of Claude as it streams, and what may go wrong with it: does it pass, what to say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import anthropic
import httpx2
from anthropic.lib.streaming import MessageStream

from evalkit.agent.model_settings import ANTHROPIC, ClaudeSettings
from evalkit.core.brevity import short
from evalkit.core.errors import ContextFull, ModelError
from evalkit.core.usage import Usage, usage_from
from evalkit.core.values import Json

MAX_WAIT_S = 60.0
"""Between two attempts: overload of a minute or two is sat out, no server's wish for an hour."""

_FIRST_WAIT_S = 0.5
_SILENCE_S = 120.0
"""An answer that keeps coming may take as long as it takes."""

_CONNECT_S = 10.0
_ANTHROPIC_VERSION = "2026-10-21"
_GATEWAY_VERSION = "2023-06-01"
"""Gateways in front of Claude may know only the older version of the API."""

_TRAVELLING = re.compile(
    "accept|accept-encoding|connection|content-length|content-type|host|transfer-encoding|user-agent"
)
_CUT_OFF = {"max_tokens", "model_context_window_exceeded", "refusal"}
"""What may end an answer in the middle of a tool call."""

_MOST_WORDS = 300
_IN_STREAM = 200
"""The status of an error that comes in the middle of an answer, and says nothing about it."""

_PASSING_STATUSES = {408, 409, 429}
_LASTING_KINDS = re.compile(
    "(authentication|billing|invalid_request|not_found|permission)_error|request_too_large"
)
_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|too many (input )?tokens|"
    r"exceeds?\b.{0,40}\bcontext (limit|window|length)|maximum context length",
    re.IGNORECASE,
)
"""How Anthropic, and others that serve Claude, say that a conversation does not fit."""


class BrokenOff(Exception):
    """An answer ended before it was complete, or holds less than it has to."""


TROUBLE = (anthropic.APIError, httpx2.TransportError, BrokenOff)
"""In the middle of an answer the library lets errors of the HTTP layer through as they are."""

Trouble: TypeAlias = anthropic.APIError | httpx2.TransportError | BrokenOff


class Answer:
    """What has come of an answer: the library's own gathering, made less trusting.

    It takes an answer that breaks off for a complete one, and a call that was cut off for whole.
    """

    def __init__(self, stream: MessageStream[None]) -> None:
        self._stream = stream
        self._inputs: dict[int, str] = {}

    @property
    def message(self) -> Any:
        """The library's message, as far as it has come; None before anything has."""
        try:
            return self._stream.current_message_snapshot
        except AssertionError:
            return None

    @property
    def usage(self) -> Usage:
        """The tokens that were counted so far."""
        used = getattr(self.message, "usage", None)
        return (used and usage_from(used.to_dict(warnings=False))) or Usage()

    def words(self) -> Iterator[str]:
        """The words as they come, to the end of the answer.

        Raises:
            BrokenOff: the answer is not whole.
            anthropic.APIError: the provider says that it failed.
            httpx2.TransportError: the connection failed.
        """
        try:
            for event in self._stream:
                if event.type == "text":
                    yield event.text
                elif event.type == "content_block_delta":
                    more = getattr(event.delta, "partial_json", "")
                    self._inputs[event.index] = self._inputs.get(event.index, "") + more
        except TROUBLE:
            if not (self.message and self.message.stop_reason):
                raise  # else only the connection's end was untidy
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise BrokenOff("a part of it is missing or garbled") from error
        if not (self.message and self.message.stop_reason):
            raise BrokenOff("it stopped in the middle")

    def content(self) -> tuple[dict[str, Json], ...]:
        """The blocks as they can be sent back.

        Left out are words that there are none of, which the API refuses to be sent, and a call
        that was cut off, by the token limit for instance: nobody knows what it was to be.

        Raises:
            BrokenOff: a call is garbled.
        """
        blocks = [block.to_dict(warnings=False) for block in self.message.content]
        return tuple(block for at, block in enumerate(blocks) if self._is_whole(at, block))

    def _is_whole(self, at: int, block: dict[str, Json]) -> bool:
        if block.get("type") == "text":
            return bool(str(block.get("text") or "").strip())
        try:
            given = json.loads(self._inputs.get(at) or "{}")
        except json.JSONDecodeError:
            given = None
        if not isinstance(given, dict) and self.message.stop_reason not in _CUT_OFF:
            raise BrokenOff("a tool call is garbled")
        return isinstance(given, dict)


def connected(settings: ClaudeSettings) -> anthropic.Anthropic:
    """A client for one request: it sends one secret to one host, and repeats nothing by itself.

    Where the secret is renewed, that happens now, and what is raised by it is passed on. The
    library reads further headers out of the environment, secrets among them, which would go to
    any host: they are dropped.
    """
    secret = {"authorization": f"Bearer {settings.secret}"}
    version = _ANTHROPIC_VERSION if settings.base_url == ANTHROPIC else _GATEWAY_VERSION
    headers = {"anthropic-version": version, **(settings.headers or (lambda: secret))()}

    def let_in(request: httpx2.Request) -> httpx2.Request:
        for name in set(request.headers):
            if not _TRAVELLING.fullmatch(name.lower()):
                del request.headers[name]
        request.headers.update(headers)
        return request

    return anthropic.Anthropic(
        auth_token="-",  # noqa: S106, keeps the library from looking for secrets; replaced above
        base_url=settings.base_url,
        max_retries=0,
        timeout=httpx2.Timeout(_SILENCE_S, connect=_CONNECT_S),
        open_telemetry=False,  # sessions are traced by who leads them, into a place of their own
        http_client=anthropic.DefaultHttpxClient(
            auth=let_in,
            # a redirect would carry the secret to a host that nobody named
            follow_redirects=False,
        ),
    )


def may_pass(error: Trouble) -> bool:
    """Whether asking again can help."""
    if not isinstance(error, anthropic.APIStatusError):
        return not isinstance(error, anthropic.APIResponseValidationError)
    if error.status_code == _IN_STREAM:
        return not _LASTING_KINDS.fullmatch(error.type or "")
    return error.status_code in _PASSING_STATUSES or error.status_code >= 500  # noqa: PLR2004, the server's fault


def wait_s(error: Trouble, attempt: int) -> float:
    """Seconds to wait after that attempt, from 1: what the server asks for, else ever longer."""
    asked = math.nan
    if isinstance(error, anthropic.APIStatusError):
        with suppress(ValueError):  # a date, mostly
            asked = float(error.response.headers.get("retry-after", ""))
    seconds = asked if math.isfinite(asked) else _FIRST_WAIT_S * 2 ** (attempt - 1)
    return min(max(seconds, 0.0), MAX_WAIT_S)


def in_words(error: Trouble) -> str:
    """What went wrong; of a proxy's page the beginning."""
    if not isinstance(error, anthropic.APIStatusError):
        return str(error) or type(error).__name__
    kind = error.type if error.status_code == _IN_STREAM else error.status_code
    return f"{kind}: {short(error.api_message or error.message, _MOST_WORDS)}"


def model_error(error: Trouble, where: str, model: str, advice: str) -> ModelError:
    """An error that waiting did not mend as one of evalkit's.

    Args:
        error: What the last attempt ended with.
        where: Where Claude was asked.
        model: The model that was asked.
        advice: What else a person can do; the end of the message.
    """
    said = in_words(error)
    match error:
        case anthropic.AuthenticationError():
            text = "does not accept the key; check it"
        case anthropic.PermissionDeniedError():
            text = f"does not accept the key for this ({said}); check it"
        case anthropic.NotFoundError():
            text = (
                f"does not know the model {model}, or Claude does not answer there; name another "
                "with MODEL, correct ANTHROPIC_BASE_URL"
            )
        case anthropic.APIStatusError(status_code=413):
            return _context_full(said, where, model, advice)
        case anthropic.BadRequestError() if _TOO_LONG.search(said):
            return _context_full(said, where, model, advice)
        case anthropic.BadRequestError():
            text = f"answered {said}; correct that"
        case anthropic.APIStatusError():
            text = f"answered {said}; wait"
        case anthropic.APIConnectionError():
            text = f"cannot be reached ({error.message}); check it"
        case _:
            text = f"broke its answer off ({said}); wait"
    return ModelError(f"{where} {text}, {advice}")


def _context_full(said: str, where: str, model: str, advice: str) -> ContextFull:
    return ContextFull(
        f"{where} finds the conversation too long for {model}: {said}; shorten it, {advice}"
    )
