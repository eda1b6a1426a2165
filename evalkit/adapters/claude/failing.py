"""What the API's errors mean for who asked."""

from __future__ import annotations

import re

import anthropic

from evalkit.adapters.claude.retrying import Trouble, said, words
from evalkit.adapters.claude.settings import ClaudeSettings
from evalkit.core.errors import ContextFull, ModelError

_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|too many (input )?tokens|"
    r"exceeds?\b.{0,40}\bcontext (limit|window|length)|maximum context length",
    re.IGNORECASE,
)
"""How Anthropic, and others that serve Claude, say that a conversation does not fit."""

_BAD_REQUEST = 400
_TOO_LARGE = 413


def failed(error: Trouble, settings: ClaudeSettings, instead: str) -> ModelError:
    """An error of the API as one of evalkit's.

    Args:
        error: What the last attempt ended with.
        settings: How Claude was asked.
        instead: What to do, if it cannot be mended; the end of the message.
    """
    where = settings.base_url
    if isinstance(error, anthropic.AuthenticationError):
        return ModelError(f"{where} does not accept the key; check it, {instead}")
    if isinstance(error, anthropic.PermissionDeniedError):
        return ModelError(
            f"{where} does not accept the key for this ({words(error)}); check it, {instead}"
        )
    if isinstance(error, anthropic.NotFoundError):
        return ModelError(
            f"{where} does not know the model {settings.model}, or Claude does not answer there; "
            f"name another with MODEL, correct ANTHROPIC_BASE_URL, {instead}"
        )
    if isinstance(error, anthropic.APIStatusError):
        if _is_too_long(error):
            return ContextFull(
                f"{where} finds the conversation too long for {settings.model}: {words(error)}; "
                f"shorten it, {instead}"
            )
        return ModelError(f"{where} answered {said(error)}; {_next(error)}, {instead}")
    if isinstance(error, anthropic.APIConnectionError):
        return ModelError(f"{where} cannot be reached ({error.message}); check it, {instead}")
    return ModelError(f"{where} broke its answer off ({said(error)}); wait, {instead}")


def _next(error: anthropic.APIStatusError) -> str:
    return "correct that" if error.status_code == _BAD_REQUEST else "wait"


def _is_too_long(error: anthropic.APIStatusError) -> bool:
    if error.status_code == _TOO_LARGE:
        return True
    return error.status_code == _BAD_REQUEST and bool(_TOO_LONG.search(words(error)))
