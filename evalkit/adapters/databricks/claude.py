"""Claude as the workspace serves it, and the secret that lets a request in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field

from evalkit.adapters.databricks.connection import Connection
from evalkit.core.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class ClaudeEndpoint:
    """Where the workspace speaks Anthropic's Messages API.

    Attributes:
        base_url: Without ``/v1/messages``.
        headers: The headers that let a request in as the run's own identity. Ask before each
            request: a token of OAuth lives an hour, and is renewed here.
    """

    base_url: str
    headers: Callable[[], dict[str, str]] = field(repr=False)


def claude_endpoint(connection: Connection | None = None) -> ClaudeEndpoint:
    """Claude in this workspace; an InputError where none is configured."""
    workspace = connection or Connection()
    return ClaudeEndpoint(f"{workspace.host}/serving-endpoints/anthropic", workspace.headers)


def secret(scope: str, key: str, connection: Connection | None = None) -> str:
    """A secret's text. No message names it, and the SDK's own log leaves it out.

    Raises:
        InputError: there is no such secret, it is no text, or reading it is not allowed.
        DatabricksError: the workspace cannot be reached, or answers with an error.
    """
    from databricks.sdk.errors import NotFound

    workspace = connection or Connection()
    name = f"{scope}/{key}"
    try:
        found = workspace.ask(
            f"reading the secret {name}", lambda client: client.secrets.get_secret(scope, key)
        )
    except NotFound:
        put = f"databricks secrets put-secret {scope} {key}"
        raise InputError(
            Problem(
                f"there is no secret {name} in {workspace.host}",
                field="secret_scope, secret_key",
                fix=f"databricks secrets create-scope {scope}; {put}",
            )
        ) from None
    try:
        return base64.b64decode(found.value or "", validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise InputError(  # without its cause, which would show the secret
            Problem(f"the secret {name} is no text", fix="put it again with --string-value")
        ) from None
