"""Secrets of the workspace."""

from __future__ import annotations

import base64
import binascii

from evalkit.adapters.databricks.connection import Connection
from evalkit.core.errors import InputError, Problem


def secret(scope: str, key: str, connection: Connection | None = None) -> str:
    """A secret's text. No message names it, and the SDK's own log leaves it out.

    Args:
        scope: The secret scope.
        key: The secret's name in it.
        connection: The workspace; the one that this runs in, or is configured for, by default.

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
