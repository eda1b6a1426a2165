"""Logs of other shapes than stream-json, each translated into its events; one module a format.

A format says how its logs are recognised, by what they hold, and what each line comes to
(:class:`~evalkit.claude_log.reader.LogFormat`); masking, receipts, times, tokens and spans
are ``claude_log``'s.
"""

from evalkit.agent_logs.atif import Atif
from evalkit.agent_logs.claude_sessions import ClaudeSessions
from evalkit.agent_logs.codex_exec import CodexExec
from evalkit.agent_logs.codex_rollout import CodexRollout
from evalkit.claude_log.reader import LogFormat

FORMATS: tuple[type[LogFormat], ...] = (ClaudeSessions, CodexExec, CodexRollout, Atif)
"""None takes another's logs: the order is only that of trying."""
