"""How Claude is reached: which host, which model, and the one secret that goes there.

A secret goes to no host that it is not for. Three places may name one or the other: the command
line, the environment and a ``.env`` file, each before the next. A ``.env`` lies in a folder that
may be somebody else's, so a host that it names gets no secret from outside of it, and its own
secrets go to no host from outside, unless the command line names the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import is_on_databricks

if TYPE_CHECKING:
    from evalkit.agent.request import Request

ANTHROPIC = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-opus-5-5"
OFFLINE = "offline"
"""The name of the model that is no model but rules."""

Headers: TypeAlias = Callable[[], Mapping[str, str]]
"""Gives the headers that let a request in, anew for each, for tokens that live an hour."""

_Place: TypeAlias = Literal["the command line", "the environment", ".env", ""]

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """How Claude is reached; no secret shows in a repr.

    Attributes:
        base_url: Where requests go, without ``/v1/messages``.
        model: Name of the model, as the provider calls it.
        secret: An Anthropic key, or a bearer token such as a Databricks one.
        headers: Asked before each request for the headers that let it in, in place of a secret.
    """

    base_url: str
    model: str
    secret: str = field(default="", repr=False)
    headers: Headers | None = field(default=None, repr=False)


class _Found(NamedTuple):
    """A value and the place that names it; both empty where none does."""

    value: str = ""
    place: _Place = ""


def settings_from_env(
    env: Mapping[str, str],
    *,
    dotenv: Mapping[str, str] = _NOTHING,
    model: str | None = None,
    base_url: str | None = None,
    auth_token: str | None = None,
) -> ClaudeSettings:
    """How to reach Claude, by flags, the environment and ``.env``; empty values count as unset.

    ``ANTHROPIC_AUTH_TOKEN`` with a base URL is used alone, whatever keys lie about beside it, so
    that no Anthropic key reaches another host. A base URL that ends in ``/serving-endpoints`` is
    Databricks' and gets ``/anthropic`` appended.

    Args:
        env: The environment: ``ANTHROPIC_API_KEY``, ``ANTHROPIC_AUTH_TOKEN``,
            ``ANTHROPIC_BASE_URL``, ``MODEL``.
        dotenv: The same of a ``.env`` file, for what the environment leaves unset.
        model: Overrides ``MODEL``.
        base_url: Overrides ``ANTHROPIC_BASE_URL``.
        auth_token: A token of one's own choice, such as one of a secret scope; used alone.

    Raises:
        InputError: there is no key, or it would go to a host that it is not for.
    """
    named = _found(base_url, "ANTHROPIC_BASE_URL", env, dotenv)
    host = named._replace(value=_base_url(named))
    name = _found(model, "MODEL", env, dotenv).value or DEFAULT_MODEL
    token = _found(auth_token, "ANTHROPIC_AUTH_TOKEN", env, dotenv)
    key = _Found() if auth_token else _found(None, "ANTHROPIC_API_KEY", env, dotenv)
    secret = key if key.value and (host.value == ANTHROPIC or not token.value) else token
    if secret.value:
        if problems := list(_misuse(secret, host)):
            raise InputError(*problems)
        return ClaudeSettings(host.value, name, secret.value)
    raise InputError(
        Problem(
            "there is no key for Claude",
            field="ANTHROPIC_API_KEY",
            fix="set it (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL), or go by rules, which "
            "need no model: `--by rules` for a mapping, `--model offline` for the agent",
        )
    )


def has_secret(env: Mapping[str, str], dotenv: Mapping[str, str] = _NOTHING) -> bool:
    """Whether a key or token is set at all, be it the right one or not."""
    names = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
    return any(_found(None, name, env, dotenv).value for name in names)


def _found(
    flag: str | None, variable: str, env: Mapping[str, str], dotenv: Mapping[str, str]
) -> _Found:
    """The first place that names a value."""
    places: dict[_Place, str] = {
        "the command line": flag or "",
        "the environment": env.get(variable, ""),
        ".env": dotenv.get(variable, ""),
    }
    found = (_Found(text.strip(), place) for place, text in places.items() if text.strip())
    return next(found, _Found())


def _base_url(named: _Found) -> str:
    url = (named.value or ANTHROPIC).rstrip("/")
    try:
        is_url = urlsplit(url).scheme in {"http", "https"} and bool(urlsplit(url).hostname)
    except ValueError:  # such as a bracket that is not closed
        is_url = False
    if not is_url:
        raise InputError(
            Problem(f"{url!r} is no URL", field="ANTHROPIC_BASE_URL", fix="begin it with https://")
        )
    return f"{url}/anthropic" if url.endswith("/serving-endpoints") else url


def _misuse(secret: _Found, host: _Found) -> Iterator[Problem]:
    """Why a secret cannot be one, or is on its way to a host that it is not for."""
    if not (secret.value.isascii() and secret.value.isprintable() and " " not in secret.value):
        yield Problem(
            f"the key or token in {secret.place} holds characters that none has",
            field="ANTHROPIC_AUTH_TOKEN or ANTHROPIC_API_KEY",
            fix="copy it again, whole and without quotation marks or blanks",
        )
    if secret.value.startswith("dapi") and host.value == ANTHROPIC:
        yield Problem(
            "a Databricks token would be sent to Anthropic",
            field="ANTHROPIC_BASE_URL",
            fix="set it to https://<workspace>/serving-endpoints",
        )
    if secret.value.startswith("sk-ant-") and "/serving-endpoints" in urlsplit(host.value).path:
        yield Problem(
            "an Anthropic key would be sent to Databricks",
            field="ANTHROPIC_AUTH_TOKEN",
            fix="set it to a token of the workspace",
        )
    is_trusted = host.value == ANTHROPIC or host.place == "the command line"
    if not is_trusted and (secret.place == ".env") != (host.place == ".env"):
        yield Problem(
            f"a secret from {secret.place} would be sent to {urlsplit(host.value).hostname}, "
            f"which is named in {host.place}",
            field="ANTHROPIC_BASE_URL",
            fix="name both in the same place, or the host on the command line with "
            "--anthropic-base-url",
        )


def settings_for(request: Request) -> ClaudeSettings | None:
    """How the agent reaches Claude; None where rules are asked for, or there is no key.

    Raises:
        InputError: there is no key for the model that was asked for, or it would go to a host
            that it is not for.
        DatabricksError: the secret cannot be read.
    """
    from evalkit.adapters.files.env_file import ENV_FILE, read_env_file

    dotenv = read_env_file(Path(ENV_FILE))
    named = request.model or _found(None, "MODEL", os.environ, dotenv).value
    if named == OFFLINE:
        return None
    has_key = has_secret(os.environ, dotenv)
    # the workspace that this runs in serves Claude where a model is named and no key is
    is_served_here = named and is_on_databricks(os.environ) and not (request.base_url or has_key)
    if is_served_here and not request.secret_scope:
        from evalkit.adapters.databricks.connection import Connection

        workspace = Connection()
        return ClaudeSettings(workspace.claude_url, named, headers=workspace.headers)
    token, base_url = None, request.base_url
    if request.secret_scope:
        from evalkit.adapters.databricks.connection import Connection

        workspace = Connection()
        token = workspace.secret(request.secret_scope, request.secret_key or "databricks-token")
        base_url = base_url or workspace.claude_url
    elif not (has_key or request.model or base_url):
        return None
    return settings_from_env(
        os.environ, dotenv=dotenv, model=request.model, base_url=base_url, auth_token=token
    )


def why_this_model(request: Request) -> str:
    """Why :func:`settings_for` took Claude or rules, in words."""
    from evalkit.adapters.files.env_file import ENV_FILE, read_env_file

    if request.model:
        return "it was asked for"
    dotenv = read_env_file(Path(ENV_FILE))
    named = _found(None, "MODEL", os.environ, dotenv).value
    if named == OFFLINE:
        return "MODEL says so"
    if not (request.secret_scope or has_secret(os.environ, dotenv)):
        is_served_here = named and is_on_databricks(os.environ)
        return "the workspace serves it" if is_served_here else "no key for Claude was found"
    return "a key was found, and MODEL names it" if named else "a key was found"
