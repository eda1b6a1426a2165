"""Logs of other shapes than stream-json, each translated into its events; one module a format.

A format says how its logs are recognised, by what they hold, and what each line comes to
(:class:`~evalkit.claude_log.reader.LogFormat`); masking, receipts, times, tokens and spans
are ``claude_log``'s.
"""
