"""What a model and the program say to each other, and how Claude is reached.

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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from evalkit.errors import InputError, Problem
from evalkit.jsonable import Json
from evalkit.tokens import Usage
from evalkit.tracking import is_on_databricks

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude
    from evalkit.agent.request import Request

ANTHROPIC = "https://api.anthropic.com"
DEFAULT_MODEL = "claude-opus-5-5"
OFFLINE = "offline"  # the name of the model that is no model but rules
ADDRESS = re.compile(r"https?://([\w.-]+|\[[\da-fA-F:]+\])(:\d+)?(/\S*)?")
KEY, TOKEN, URL = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"
COMMAND_LINE, DOTENV = "the command line", ".env"
NO_KEY = Problem(
    "there is no key for Claude",
    field=KEY,
    fix="set it (or ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL), or go by rules, which need no "
    "model: `--by rules` for a mapping, `--model offline` for the agent",
)

Message: TypeAlias = Mapping[str, Json]
"""``{"role": "user" | "assistant", "content": text or blocks}``."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer to one request."""

    content: tuple[Mapping[str, Json], ...]  # blocks in Anthropic's form, fit to be sent back
    stop_reason: str
    usage: Usage = field(default_factory=Usage)  # attempts that broke off are paid too
    model: str = ""  # as it calls itself
    cost_usd: float | None = 0.0  # None where the price is not known, which is never nothing
    request_id: str = ""
    explanation: str = ""  # what the provider says about a refusal

    @property
    def text(self) -> str:
        """The words of it."""
        texts = [str(b.get("text", "")) for b in self.content if b.get("type") == "text"]
        return "\n\n".join(texts).strip()

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The blocks with tools it wants used: ``id``, ``name``, ``input``, checked by nobody."""
        return [dict(block) for block in self.content if block.get("type") == "tool_use"]


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """How Claude is reached; no secret shows in a repr."""

    base_url: str  # without ``/v1/messages``
    model: str  # as the provider calls it
    secret: str = field(default="", repr=False)  # an Anthropic key, or a bearer token
    # In place of a secret: asked before each request, for tokens that live an hour.
    headers: Callable[[], Mapping[str, str]] | None = field(default=None, repr=False)


def claude(request: Request, on_wait: Callable[[str], None]) -> tuple[Claude | None, str]:
    """Who answers, and why: Claude, or rules (None); see :func:`settings_from_env`.

    Raises:
        InputError: as there, or there is no key for the model that was asked for.
        DatabricksError: the secret cannot be read.
    """
    from evalkit.files import ENV_FILE, read_env_file
    from evalkit.store.databricks import Connection
    from evalkit.tokens import cost_of

    dotenv, token, base_url = read_env_file(Path(ENV_FILE)), None, request.anthropic_base_url
    known = {**dotenv, **{name: text for name, text in os.environ.items() if text.strip()}}
    named = request.model or known.get("MODEL", "").strip()
    has_key = any(known.get(name, "").strip() for name in (KEY, TOKEN))
    why = "it was asked for" if request.model else "MODEL names it"
    workspace, settings = Connection(), None
    if named == OFFLINE:
        return None, why
    if request.secret_scope:
        token = workspace.secret(request.secret_scope, request.secret_key or "databricks-token")
        base_url = base_url or workspace.claude_url
    elif named and is_on_databricks(os.environ) and not (base_url or has_key):
        settings = ClaudeSettings(workspace.claude_url, named, headers=workspace.headers)
    elif not (has_key or request.model or base_url):
        return None, "no key for Claude was found"
    settings = settings or settings_from_env(
        os.environ, dotenv=dotenv, model=request.model, base_url=base_url, auth_token=token
    )
    from evalkit.agent.claude import Claude  # its library takes a second to load

    return Claude(
        settings, cost=partial(cost_of, settings.model), on_wait=on_wait
    ), why if named else "a key was found"


def settings_from_env(
    env: Mapping[str, str],
    *,
    dotenv: Mapping[str, str] | None = None,
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
    flags = {"MODEL": model, URL: base_url, TOKEN: auth_token}
    places = {COMMAND_LINE: flags, "the environment": env, DOTENV: dotenv or {}}

    def first(name: str) -> tuple[str, str]:
        texts = {place: (values.get(name) or "").strip() for place, values in places.items()}
        return next(((text, place) for place, text in texts.items() if text), ("", ""))

    (url, named_in), token = first(URL), first(TOKEN)
    url = url.rstrip("/") or ANTHROPIC
    host = f"{url}/anthropic" if url.endswith("/serving-endpoints") else url
    key = ("", "") if auth_token else first(KEY)
    secret, place = key if key[0] and (url == ANTHROPIC or not token[0]) else token
    if not ADDRESS.fullmatch(host):
        raise InputError(Problem(f"{host!r} is no URL", field=URL, fix="begin it with https://"))
    if not secret:
        raise InputError(NO_KEY)
    at, is_here = urlsplit(host), (place == DOTENV) == (named_in == DOTENV)
    problems = (
        (
            not (secret.isascii() and secret.isprintable() and " " not in secret),
            f"the key or token in {place} holds characters that none has",
            "copy it again, whole and without quotation marks or blanks",
        ),
        (
            secret.startswith("dapi") and host == ANTHROPIC,
            "a Databricks token would be sent to Anthropic",
            f"set {URL} to https://<workspace>/serving-endpoints",
        ),
        (
            secret.startswith("sk-ant-") and "/serving-endpoints" in at.path,
            "an Anthropic key would be sent to Databricks",
            f"set {TOKEN} to a token of the workspace",
        ),
        (
            not (is_here or host == ANTHROPIC or named_in == COMMAND_LINE),
            f"a secret from {place} would be sent to {at.hostname}, named in {named_in}",
            "name both in the same place, or the host on the command line (--anthropic-base-url)",
        ),
    )
    if found := [Problem(what, fix=fix) for is_so, what, fix in problems if is_so]:
        raise InputError(*found)
    return ClaudeSettings(host, first("MODEL")[0] or DEFAULT_MODEL, secret)
