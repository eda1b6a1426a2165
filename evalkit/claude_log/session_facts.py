"""What a log says of a session besides its messages, kept as attributes of the session's span."""

from __future__ import annotations

from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import STRUCTURED
from evalkit.jsonable import Json, id_of, list_of, mapping_of, text_of

_HOOK_OUTPUT_CHARS = 2_000
_ENVELOPE = ("type", "uuid", "session_id", "timestamp")
_RETRY = ("attempt", "max_retries", "retry_delay_ms", "error_status", "error")
_ABOUT_AGENT = (
    *("model", "claude_code_version", "permissionMode", "output_style"),
    *("agent", "cwd", "git_branch", "tools", "agents", "skills"),
)
_ABOUT_RESULT = (
    *("subtype", "is_error", "num_turns", "duration_ms", "duration_api_ms", "ttft_ms"),
    *("stop_reason", "terminal_reason", "api_error_status"),
)


def add_agent(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add what an init event says of the agent."""
    about = {key: event[key] for key in _ABOUT_AGENT if event.get(key)}
    servers = [mapping_of(server) for server in list_of(event.get("mcp_servers"))]
    if servers:
        about["mcp_servers"] = {text_of(s.get("name")): s.get("status") for s in servers}
    facts["evalkit.agent"] = trim.value(about, "init")


def add_result(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add what a result event says besides the answer and its figures."""
    about = {key: event[key] for key in _ABOUT_RESULT if event.get(key) is not None}
    facts["evalkit.result"] = trim.value(about, "result")
    for key in ("permission_denials", "errors"):
        if event.get(key):
            facts[f"evalkit.{key}"] = trim.value(event[key], key)
    if event.get("structured_output") is not None:
        facts[STRUCTURED] = trim.value(event["structured_output"], "result")


def add_rate_limit(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add a limit that was reached."""
    limits = facts.setdefault("evalkit.rate_limits", [])
    limits.append(trim.value(dict(mapping_of(event.get("rate_limit_info"))), "rate limit"))


def add_hook(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add how a hook went; of one that reports several times, the last is kept."""
    hook = facts.setdefault("evalkit.hooks", {}).setdefault(id_of(event.get("hook_id")), {})
    hook["name"] = text_of(event.get("hook_name"))
    for key in ("outcome", "exit_code"):
        if event.get(key) is not None:
            hook[key] = trim.value(event[key], "hook")
    if output := text_of(event.get("output")):
        short = Trimmer(min(_HOOK_OUTPUT_CHARS, trim.limit), trim.receipt)
        hook["output"] = short.text(output, "hook output")


def add_retry(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add a request to the API that is tried again."""
    retry = {key: event[key] for key in _RETRY if event.get(key) is not None}
    facts.setdefault("evalkit.retries", []).append(trim.value(retry, "retry"))


def add_remark(facts: dict[str, Json], event: Event, trim: Trimmer) -> None:
    """Add something to keep: a notification, a compaction, a summary."""
    remark = {key: value for key, value in event.items() if key not in _ENVELOPE}
    facts.setdefault("evalkit.remarks", []).append(trim.value(remark, "remark"))
