"""Logs of other shapes than stream-json, each translated into its events; one module a tool."""

from evalkit.agent_logs.atif import Atif
from evalkit.agent_logs.claude_sessions import ClaudeSessions
from evalkit.agent_logs.codex import CodexExec, CodexRollout
from evalkit.claude_log.reader import LogFormat

FORMATS: tuple[type[LogFormat], ...] = (ClaudeSessions, CodexExec, CodexRollout, Atif)
"""None takes another's logs: the order is only that of trying."""
