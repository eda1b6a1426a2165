"""The formats that are read besides stream-json, in the order in which they are tried."""

from __future__ import annotations

from evalkit.claude_log.log_format import LogFormat

FORMATS: tuple[type[LogFormat], ...] = ()
"""None takes another's logs: the order is only that of trying."""
