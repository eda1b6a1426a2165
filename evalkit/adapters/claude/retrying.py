"""The one layer that repeats requests: with growing, capped waits, while the trouble may pass."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import anthropic
import httpx2

ATTEMPTS = 5
MAX_WAIT_S = 30.0
_FIRST_WAIT_S = 0.5

_Answer = TypeVar("_Answer")

_MOST_WORDS = 300
"""Characters."""

_OK = 200
_PASSING_STATUSES = {408, 409, 429}
_SERVERS_FAULT = 500
_LASTING_KINDS = {
    "authentication_error",
    "billing_error",
    "invalid_request_error",
    "not_found_error",
    "permission_error",
    "request_too_large",
}
"""Errors that a stream may tell of, its status being 200, and that no repeating mends."""


class BrokenOff(Exception):
    """An answer ended before it was complete, without any error of the library's."""


TROUBLE = (anthropic.APIError, httpx2.TransportError, json.JSONDecodeError, BrokenOff)
"""What an attempt may end with. In the middle of an answer the library lets errors of the HTTP
layer and of half a JSON text through as they are."""

Trouble: TypeAlias = anthropic.APIError | httpx2.TransportError | json.JSONDecodeError | BrokenOff


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause before the next attempt.

    Attributes:
        seconds: How long.
        why: What went wrong, in words.
        attempt: The attempt that failed, from 1.
        attempts: How many there will be at most.
    """

    seconds: float
    why: str
    attempt: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is repeated, and how the time in between is spent.

    Attributes:
        sleep: Waits, in seconds; what it raises ends the waiting.
        attempts: Requests at most.
        max_wait_s: Seconds between two at most, whatever a server asks for.
        on_wait: Told before each wait.
    """

    sleep: Callable[[float], None]
    attempts: int = ATTEMPTS
    max_wait_s: float = MAX_WAIT_S
    on_wait: Callable[[Wait], None] | None = None

    def run(self, attempt: Callable[[], _Answer]) -> _Answer:
        """The first answer that comes.

        Raises:
            Exception: one of :data:`TROUBLE`, which repeating does not mend or did not.
        """
        for number in range(1, self.attempts + 1):
            try:
                return attempt()
            except TROUBLE as error:
                if number == self.attempts or not _may_pass(error):
                    raise
                self._wait(error, number)
        raise AssertionError  # the last attempt returns or raises

    def _wait(self, error: Trouble, number: int) -> None:
        """Wait as long as the server asks, else twice as long each time; at most the cap."""
        wanted = asked_wait(error)
        if wanted is None:
            wanted = _FIRST_WAIT_S * 2 ** (number - 1)
        seconds = min(max(wanted, 0.0), self.max_wait_s)
        if self.on_wait:
            self.on_wait(Wait(seconds, said(error), number, self.attempts))
        self.sleep(seconds)


def asked_wait(error: Trouble) -> float | None:
    """Seconds that the server asks to wait; None where it asks for none, or names a date."""
    if not isinstance(error, anthropic.APIStatusError):
        return None
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def said(error: Trouble) -> str:
    """What went wrong, in words."""
    if isinstance(error, anthropic.APIStatusError):
        return f"{error.type if _in_stream(error) else error.status_code}: {words(error)}"
    if isinstance(error, json.JSONDecodeError):
        return "it is garbled"
    return str(error) or type(error).__name__


def words(error: anthropic.APIStatusError) -> str:
    """What the API says of an error; the beginning of it, if it is a page of some proxy."""
    text = " ".join((error.api_message or error.message).split())
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}…"


def _may_pass(error: Trouble) -> bool:
    if isinstance(error, anthropic.APIStatusError):
        if _in_stream(error):
            return error.type not in _LASTING_KINDS
        return error.status_code in _PASSING_STATUSES or error.status_code >= _SERVERS_FAULT
    return not isinstance(error, anthropic.APIResponseValidationError)


def _in_stream(error: anthropic.APIStatusError) -> bool:
    """Whether the answer had begun, so that the status says nothing of the error."""
    return error.status_code == _OK
