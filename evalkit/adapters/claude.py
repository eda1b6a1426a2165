"""Claude, asked through the Messages API: the only module that imports anthropic.

Everything that decides where a key travels is explicit here; the client library finds nothing in
the environment by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anthropic
from anthropic.types import Message

from evalkit.core.errors import InputError, ModelError, Problem
from evalkit.core.mapping.asking import Question

ANTHROPIC = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-opus-5-5"
MAX_TOKENS = 8_000
"""Of an answer; a mapping of some hundred lines fits."""

ATTEMPTS = 5
MAX_WAIT_S = 30.0
TIMEOUT_S = 120.0
_FIRST_WAIT_S = 0.5
_GATEWAY_VERSION = "2023-06-01"
"""Gateways in front of Claude may know only the older version of the API."""

_INSTEAD = "or use `--by rules`, which needs no model"
_STOPPED = {
    "refusal": f"Claude refused to answer{{}}; change the schema or the sample case, {_INSTEAD}",
    "max_tokens": f"Claude's answer was cut off at {MAX_TOKENS} tokens; map fewer fields by hand, "
    f"{_INSTEAD}",
    "model_context_window_exceeded": f"the question is too long for the model; choose another with "
    f"MODEL, {_INSTEAD}",
}


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """How Claude is reached. Exactly one of the two secrets is set; neither shows in a repr.

    Attributes:
        base_url: Where requests go, without ``/v1/messages``.
        model: Name of the model, as the provider calls it.
        api_key: An Anthropic key.
        auth_token: A bearer token, such as a Databricks one.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)


def settings_from_env(
    env: Mapping[str, str], *, model: str | None = None, base_url: str | None = None
) -> ClaudeSettings:
    """How to reach Claude, by flags and the environment; empty values count as unset.

    ``ANTHROPIC_AUTH_TOKEN`` with a base URL is used alone, whatever keys lie about beside it, so
    that no Anthropic key reaches another host. A base URL that ends in ``/serving-endpoints`` is
    Databricks' and gets ``/anthropic`` appended.

    Args:
        env: The environment: ``ANTHROPIC_API_KEY``, ``ANTHROPIC_AUTH_TOKEN``,
            ``ANTHROPIC_BASE_URL``, ``MODEL``.
        model: Overrides ``MODEL``.
        base_url: Overrides ``ANTHROPIC_BASE_URL``.

    Raises:
        InputError: there is no key, or it would go to a host that it is not for.
    """
    key, token = _set(env, "ANTHROPIC_API_KEY"), _set(env, "ANTHROPIC_AUTH_TOKEN")
    url = _base_url(base_url or _set(env, "ANTHROPIC_BASE_URL"))
    name = model or _set(env, "MODEL") or DEFAULT_MODEL
    if token and (url != ANTHROPIC or not key):
        _refuse_wrong_host(token, url)
        return ClaudeSettings(url, name, auth_token=token)
    if key:
        _refuse_wrong_host(key, url)
        return ClaudeSettings(url, name, api_key=key)
    raise InputError(
        Problem(
            "there is no key for Claude",
            field="ANTHROPIC_API_KEY",
            fix=f"set it (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL), {_INSTEAD}",
        )
    )


def _set(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def _base_url(url: str | None) -> str:
    url = (url or ANTHROPIC).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(
            Problem(f"{url!r} is no URL", field="ANTHROPIC_BASE_URL", fix="begin it with https://")
        )
    return f"{url}/anthropic" if url.endswith("/serving-endpoints") else url


def _refuse_wrong_host(secret: str, url: str) -> None:
    """Stop a Databricks token on its way to Anthropic, and an Anthropic key on its way there."""
    to_databricks = "/serving-endpoints" in urlsplit(url).path
    if secret.startswith("dapi") and url == ANTHROPIC:
        raise InputError(
            Problem(
                "a Databricks token would be sent to Anthropic",
                field="ANTHROPIC_BASE_URL",
                fix="set it to https://<workspace>/serving-endpoints",
            )
        )
    if secret.startswith("sk-ant-") and to_databricks:
        raise InputError(
            Problem(
                "an Anthropic key would be sent to Databricks",
                field="ANTHROPIC_AUTH_TOKEN",
                fix="set it to a token of the workspace",
            )
        )


class ClaudeMapper:
    """Answers mapping questions by asking Claude once each."""

    def __init__(
        self, settings: ClaudeSettings, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Remember how to ask; nothing is sent yet.

        Args:
            settings: How Claude is reached.
            sleep: Waits between attempts, in seconds.
        """
        self._settings = settings
        self._sleep = sleep

    def answer(self, question: Question) -> str:
        """Claude's answer as JSON text.

        Raises:
            ModelError: Claude cannot be reached, refuses, or is cut off.
        """
        with self._client() as client:
            return _text(self._asked(client, question))

    def _client(self) -> anthropic.Anthropic:
        settings, headers = self._settings, {}
        if settings.base_url != ANTHROPIC:
            headers["anthropic-version"] = _GATEWAY_VERSION
        return anthropic.Anthropic(
            api_key=settings.api_key,
            auth_token=settings.auth_token,
            base_url=settings.base_url,
            default_headers=headers,
            max_retries=0,  # the library would wait as long as a server asks it to
            timeout=TIMEOUT_S,
        )

    def _asked(self, client: anthropic.Anthropic, question: Question) -> Message:
        """The answer in the strict form; where a gateway does not know it, as the text asks."""
        form = {"type": "json_schema", "schema": dict(question.answer_schema)}
        try:
            return self._create(client, question, output_config={"format": form})
        except anthropic.BadRequestError as error:
            if "output_config" not in str(error):
                raise self._failed(error) from error
        try:
            return self._create(client, question)
        except anthropic.BadRequestError as error:
            raise self._failed(error) from error

    def _create(self, client: anthropic.Anthropic, question: Question, **more: Any) -> Message:
        """One request, repeated with growing, capped waits while the trouble may pass."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                message: Message = client.messages.create(
                    model=self._settings.model,
                    max_tokens=MAX_TOKENS,
                    system=question.system,
                    messages=[{"role": "user", "content": question.user}],
                    **more,
                )
            except anthropic.BadRequestError:
                raise
            except anthropic.APIError as error:
                if attempt == ATTEMPTS or not _may_pass(error):
                    raise self._failed(error) from error
                self._sleep(_wait(error, attempt))
            else:
                return message
        raise AssertionError  # the last attempt returns or raises

    def _failed(self, error: anthropic.APIError) -> ModelError:
        where = self._settings.base_url
        if isinstance(error, (anthropic.AuthenticationError, anthropic.PermissionDeniedError)):
            return ModelError(f"{where} does not accept the key; check it, {_INSTEAD}")
        if isinstance(error, anthropic.NotFoundError):
            return ModelError(
                f"{where} does not know the model {self._settings.model}; name another with MODEL, "
                f"{_INSTEAD}"
            )
        if isinstance(error, anthropic.APIStatusError):
            return ModelError(
                f"{where} answered {error.status_code}: {error.message}; wait, {_INSTEAD}"
            )
        return ModelError(f"{where} cannot be reached ({error.message}); check it, {_INSTEAD}")


def _may_pass(error: anthropic.APIError) -> bool:
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code in {408, 409, 429} or error.status_code >= 500  # noqa: PLR2004, HTTP
    return isinstance(error, anthropic.APIConnectionError)


def _wait(error: anthropic.APIError, attempt: int) -> float:
    """Seconds to wait: what the server asks for, else twice as long each time; at most the cap."""
    asked = ""
    if isinstance(error, anthropic.APIStatusError):
        asked = error.response.headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:  # none given, or a date
        seconds = _FIRST_WAIT_S * 2 ** (attempt - 1)
    return min(max(seconds, 0.0), MAX_WAIT_S)


def _text(message: Message) -> str:
    if message.stop_reason in _STOPPED:
        details = message.stop_details
        why = f" ({details.explanation})" if details and details.explanation else ""
        raise ModelError(_STOPPED[message.stop_reason].format(why))
    text = "".join(block.text for block in message.content if block.type == "text")
    if not text.strip():
        raise ModelError(
            f"Claude's answer is empty (it stopped by {message.stop_reason}); repeat the command, "
            f"{_INSTEAD}"
        )
    return text
