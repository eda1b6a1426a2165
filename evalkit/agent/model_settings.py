"""How Claude is reached: which host, which model, and the one secret that goes there.

A secret goes to no host that it is not for. Three places may name one or the other: the command
line, the environment and a ``.env`` file, each before the next. A ``.env`` lies in a folder that
may be somebody else's, so a host that it names gets no secret from outside of it, and its own
secrets go to no host from outside, unless the command line names the host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import is_on_databricks

if TYPE_CHECKING:
    from evalkit.agent.request import Request

ANTHROPIC = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-opus-5-5"
OFFLINE = "offline"  # the name of the model that is no model but rules
URL = re.compile(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d+)?(/\S*)?")
KEY, TOKEN = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """How Claude is reached; no secret shows in a repr."""

    base_url: str  # without ``/v1/messages``
    model: str  # as the provider calls it
    secret: str = field(default="", repr=False)  # an Anthropic key, or a bearer token
    # In place of a secret: asked before each request, for tokens that live an hour.
    headers: Callable[[], Mapping[str, str]] | None = field(default=None, repr=False)


class _Found(NamedTuple):
    """A value and the place that names it; both empty where none does."""

    value: str = ""
    place: str = ""


def settings_from_env(
    env: Mapping[str, str],
    *,
    dotenv: Mapping[str, str] = NOTHING,
    model: str | None = None,
    base_url: str | None = None,
    auth_token: str | None = None,
) -> ClaudeSettings:
    """How to reach Claude, by flags, the environment and ``.env``; empty values count as unset.

    ``ANTHROPIC_AUTH_TOKEN`` with a base URL, or a token given here, is used alone, whatever keys
    lie about beside it, so that no Anthropic key reaches another host. A base URL that ends in
    ``/serving-endpoints`` is Databricks' and gets ``/anthropic`` appended.

    Raises:
        InputError: there is no key, or it would go to a host that it is not for.
    """
    named = _found(base_url, "ANTHROPIC_BASE_URL", env, dotenv)
    url = (named.value or ANTHROPIC).rstrip("/")
    host = _Found(f"{url}/anthropic" if url.endswith("/serving-endpoints") else url, named.place)
    name = _found(model, "MODEL", env, dotenv).value or DEFAULT_MODEL
    token = _found(auth_token, TOKEN, env, dotenv)
    key = _Found() if auth_token else _found(None, KEY, env, dotenv)
    secret = key if key.value and (url == ANTHROPIC or not token.value) else token
    if problems := _misuse(secret, host):
        raise InputError(*problems)
    return ClaudeSettings(host.value, name, secret.value)


def has_secret(env: Mapping[str, str], dotenv: Mapping[str, str] = NOTHING) -> bool:
    """Whether a key or token is set at all, be it the right one or not."""
    return any(_found(None, name, env, dotenv).value for name in (KEY, TOKEN))


def _found(
    flag: str | None, variable: str, env: Mapping[str, str], dotenv: Mapping[str, str]
) -> _Found:
    """The first place that names a value."""
    places = {
        "the command line": flag or "",
        "the environment": env.get(variable, ""),
        ".env": dotenv.get(variable, ""),
    }
    return next((_Found(v.strip(), p) for p, v in places.items() if v.strip()), _Found())


def _misuse(secret: _Found, host: _Found) -> list[Problem]:
    """Why a secret cannot be one, or is on its way to a host that it is not for."""
    value, place, where = secret.value, secret.place, "ANTHROPIC_BASE_URL"
    if not URL.fullmatch(host.value):
        return [Problem(f"{host.value!r} is no URL", field=where, fix="begin it with https://")]
    if not value:
        fix = (
            "set it (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL), or go by rules, which need "
            "no model: `--by rules` for a mapping, `--model offline` for the agent"
        )
        return [Problem("there is no key for Claude", field=KEY, fix=fix)]
    at, found = urlsplit(host.value), list[Problem]()
    if not (value.isascii() and value.isprintable() and " " not in value):
        what = f"the key or token in {place} holds characters that none has"
        fix = "copy it again, whole and without quotation marks or blanks"
        found.append(Problem(what, field=f"{TOKEN} or {KEY}", fix=fix))
    if value.startswith("dapi") and host.value == ANTHROPIC:
        what = "a Databricks token would be sent to Anthropic"
        fix = "set it to https://<workspace>/serving-endpoints"
        found.append(Problem(what, field=where, fix=fix))
    if value.startswith("sk-ant-") and "/serving-endpoints" in at.path:
        what = "an Anthropic key would be sent to Databricks"
        found.append(Problem(what, field=TOKEN, fix="set it to a token of the workspace"))
    is_trusted = host.value == ANTHROPIC or host.place == "the command line"
    if not is_trusted and (place == ".env") != (host.place == ".env"):
        what = f"a secret from {place} would be sent to {at.hostname}, named in {host.place}"
        fix = "name both in the same place, or the host on the command line (--anthropic-base-url)"
        found.append(Problem(what, field=where, fix=fix))
    return found


def _nearby(request: Request) -> tuple[Mapping[str, str], str, bool]:
    """What ``.env`` says, the model that is named, and whether the workspace serves it here."""
    from evalkit.adapters.files.env_file import ENV_FILE, read_env_file

    dotenv = read_env_file(Path(ENV_FILE))
    named = request.model or _found(None, "MODEL", os.environ, dotenv).value
    is_keyed = request.base_url or request.secret_scope or has_secret(os.environ, dotenv)
    return dotenv, named, bool(named and is_on_databricks(os.environ) and not is_keyed)


def settings_for(request: Request) -> ClaudeSettings | None:
    """How the agent reaches Claude; None where rules are asked for, or there is no key.

    Raises:
        InputError: there is no key for the model that was asked for, or it would go to a host
            that it is not for.
        DatabricksError: the secret cannot be read.
    """
    dotenv, named, is_served_here = _nearby(request)
    if named == OFFLINE:
        return None
    token, base_url = None, request.base_url
    if is_served_here:
        from evalkit.adapters.databricks.connection import Connection

        workspace = Connection()
        return ClaudeSettings(workspace.claude_url, named, headers=workspace.headers)
    if request.secret_scope:
        from evalkit.adapters.databricks.connection import Connection

        workspace = Connection()
        token = workspace.secret(request.secret_scope, request.secret_key or "databricks-token")
        base_url = base_url or workspace.claude_url
    elif not (has_secret(os.environ, dotenv) or request.model or base_url):
        return None
    return settings_from_env(
        os.environ, dotenv=dotenv, model=request.model, base_url=base_url, auth_token=token
    )


def why_this_model(request: Request) -> str:
    """Why :func:`settings_for` took Claude or rules, in words."""
    dotenv, named, is_served_here = _nearby(request)
    if request.model:
        return "it was asked for"
    if named == OFFLINE:
        return "MODEL says so"
    if not (request.secret_scope or has_secret(os.environ, dotenv)):
        return "the workspace serves it" if is_served_here else "no key for Claude was found"
    return "a key was found, and MODEL names it" if named else "a key was found"
