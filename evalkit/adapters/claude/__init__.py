"""Claude, asked through the Messages API: the only package that imports anthropic.

Everything that decides where a key travels is explicit here; the client library finds nothing in
the environment by itself. That library is loaded when Claude is first asked, not before: it takes
a second, and whoever has no key needs none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evalkit.adapters.claude.settings import (
    ANTHROPIC,
    DEFAULT_MODEL,
    ClaudeSettings,
    has_secret,
    settings_from_env,
)

if TYPE_CHECKING:
    from evalkit.adapters.claude.mapper import ClaudeMapper
    from evalkit.adapters.claude.model import ClaudeModel
    from evalkit.adapters.claude.retrying import ATTEMPTS, MAX_WAIT_S, Wait

_HOMES = {
    "ATTEMPTS": "evalkit.adapters.claude.retrying",
    "ClaudeMapper": "evalkit.adapters.claude.mapper",
    "ClaudeModel": "evalkit.adapters.claude.model",
    "MAX_WAIT_S": "evalkit.adapters.claude.retrying",
    "Wait": "evalkit.adapters.claude.retrying",
}

__all__ = [
    "ANTHROPIC",
    "ATTEMPTS",
    "DEFAULT_MODEL",
    "MAX_WAIT_S",
    "ClaudeMapper",
    "ClaudeModel",
    "ClaudeSettings",
    "Wait",
    "has_secret",
    "settings_from_env",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
