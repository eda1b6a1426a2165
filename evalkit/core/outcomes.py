"""How what an agent did ended: a session and its answer, a message, a tool, a subagent."""

from __future__ import annotations

from evalkit.core.content import plain_text, text_of
from evalkit.core.conversation import ModelCall, Session, Subagent, ToolCall
from evalkit.core.spans import Status
from evalkit.core.values import Json

_MOST_CHARS = 500
"""Characters of why something failed."""


def session_outcome(session: Session) -> tuple[Status, str]:
    """How a session ended, and why it failed."""
    result = session.result
    if result is None:
        return "UNSET", "the log ends before the session does"
    subtype = text_of(result.get("subtype"))
    if result.get("is_error") is not True and not subtype.startswith("error"):
        return "OK", ""
    errors = result.get("errors")
    told = [text_of(each) for each in errors] if isinstance(errors, list) else []
    why = "; ".join(filter(None, told)) or plain_text(result.get("result"))
    kind = subtype if subtype != "success" else ""  # which is said of API errors, too
    return "ERROR", ": ".join(filter(None, (kind, why)))[:_MOST_CHARS]


def answer_of(session: Session) -> Json:
    """A session's result; where it has none, what the main agent said last."""
    result = session.result.get("result") if session.result is not None else None
    if result not in (None, ""):
        return result
    said = (plain_text(call.blocks) for call in reversed(session.main.calls))
    return next((text for text in said if text), None)


def call_outcome(call: ModelCall) -> tuple[Status, str]:
    """How a model's message ended, and why it failed."""
    return ("ERROR", call.error[:_MOST_CHARS]) if call.error else ("OK", "")


def tool_outcome(tool: ToolCall) -> tuple[Status, str]:
    """How a tool's call ended, and why it failed."""
    if not tool.answered:
        return "UNSET", "the log has no result of this call"
    if not tool.failed:
        return "OK", ""
    why = plain_text(tool.output).strip()
    why = why.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    return "ERROR", why[:_MOST_CHARS] or "the tool failed"


def subagent_outcome(agent: Subagent) -> tuple[Status, str]:
    """How a subagent ended, and why it failed."""
    if agent.status == "completed":
        return "OK", ""
    if agent.status:
        return "ERROR", agent.status
    return "UNSET", "the log does not say how the subagent ended"
