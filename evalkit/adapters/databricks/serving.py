"""Claude as the workspace serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from evalkit.adapters.databricks.connection import Connection


@dataclass(frozen=True, slots=True)
class ClaudeEndpoint:
    """Where the workspace speaks Anthropic's Messages API.

    Attributes:
        base_url: Without ``/v1/messages``.
        headers: The headers that let a request in. Ask before each request: a token of OAuth lives
            an hour, and is renewed here.
    """

    base_url: str
    headers: Callable[[], dict[str, str]] = field(repr=False)


def claude_endpoint(connection: Connection | None = None) -> ClaudeEndpoint:
    """Claude in this workspace.

    Args:
        connection: The workspace; the one that this runs in, or is configured for, by default.

    Raises:
        InputError: no workspace is configured.
    """
    workspace = connection or Connection()
    return ClaudeEndpoint(f"{workspace.host}/serving-endpoints/anthropic", workspace.headers)
