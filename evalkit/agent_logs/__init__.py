"""Logs of other shapes than stream-json, each translated into its events; one module a format."""

from evalkit.agent_logs.atif import Atif
from evalkit.agent_logs.claude_sessions import ClaudeSessions
from evalkit.agent_logs.codex_exec import CodexExec
from evalkit.agent_logs.codex_rollout import CodexRollout
from evalkit.claude_log.reader import LogFormat

FORMATS: tuple[type[LogFormat], ...] = (ClaudeSessions, CodexExec, CodexRollout, Atif)
"""None takes another's logs: the order is only that of trying."""
