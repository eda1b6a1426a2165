"""How what an agent did ended: a session and its answer, a message, a tool, a subagent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from evalkit.core.content import mapping_of, plain_text, text_of
from evalkit.core.conversation import ModelCall, Session, Subagent, ToolCall
from evalkit.core.spans import Status
from evalkit.core.values import Json

STRUCTURED = "evalkit.structured_output"
"""Where a session's facts hold the answer that it gave in a form that it was asked for."""

_MOST_CHARS = 500
"""Characters of why something failed."""


def session_outcome(session: Session) -> tuple[Status, str]:
    """How a session ended, and why it failed."""
    result = session.result
    if result is None:
        return "UNSET", "the log ends before the session does"
    if not result_failure(result):
        return "OK", ""
    subtype = text_of(result.get("subtype"))
    errors = result.get("errors")
    told = [text_of(each) for each in errors] if isinstance(errors, list) else []
    why = "; ".join(filter(None, told)) or plain_text(result.get("result"))
    kind = subtype if subtype != "success" else ""  # which is said of API errors, too
    return "ERROR", ": ".join(filter(None, (kind, why)))[:_MOST_CHARS]


def deciding(sessions: Sequence[Session]) -> Session:
    """The session that says how a log ended.

    The last, but for one that only fails: with a session's good end behind it, some versions of
    Claude Code log another result event, an error that nobody's message led to.
    """
    decides = sessions[-1]
    for before in reversed(sessions[:-1]):
        told = decides.begun or decides.main.calls or decides.main.waiting
        same = (before.session_id, before.step) == (decides.session_id, decides.step)
        if told or not same or before.result is None or session_outcome(decides)[0] != "ERROR":
            break
        decides = before
    return decides


def result_failure(result: Mapping[str, Json]) -> str:
    """Which kind of failure a result event tells of; empty where it tells of none."""
    subtype = text_of(result.get("subtype"))
    if subtype.startswith("error"):
        return subtype
    return "the log ends with an error" if result.get("is_error") is True else ""


def answer_of(session: Session) -> Json:
    """What a session came to: structured output, the whole of its result, else its last words."""
    if STRUCTURED in session.facts:
        return session.facts[STRUCTURED]
    result = session.result.get("result") if session.result is not None else None
    if result not in (None, ""):
        last = _texts(session.main.calls[-1])[-1:] if session.main.calls else []
        # some results are the begin or the last piece of the message that they should repeat
        cut = isinstance(result, str) and any(
            text.startswith(result) or text.endswith(result) for text in last
        )
        return last[0] if cut else result
    said = ("\n".join(_texts(call)) for call in reversed(session.main.calls))
    return next((text for text in said if text), None)


def _texts(call: ModelCall) -> list[str]:
    """What a message says; blocks of text without another between them are pieces of one text."""
    runs = groupby(call.blocks, key=lambda block: block["type"] == "text")
    return ["".join(block["text"] for block in run) for is_text, run in runs if is_text]


def call_outcome(call: ModelCall) -> tuple[Status, str]:
    """How a model's message ended, and why it failed."""
    if call.partial:
        return "UNSET", "only a part of this message is in the log"
    return ("ERROR", call.error[:_MOST_CHARS]) if call.error else ("OK", "")


def tool_outcome(tool: ToolCall) -> tuple[Status, str]:
    """How a tool's call ended, and why it failed."""
    if not tool.answered:
        return "UNSET", "the log has no result of this call"
    if not tool.failed:
        return "OK", ""
    told = mapping_of(tool.output)
    why = plain_text(tool.output).strip() or next(
        (
            text
            for key in ("error_message", "error_code", "stderr")
            if (text := text_of(told.get(key)))
        ),
        "",
    )
    why = why.removeprefix("<tool_use_error>").removesuffix("</tool_use_error>")
    return "ERROR", why[:_MOST_CHARS] or "the tool failed"


def subagent_outcome(agent: Subagent) -> tuple[Status, str]:
    """How a subagent ended, and why it failed."""
    if agent.status == "completed":
        return "OK", ""
    if agent.status:
        return "ERROR", agent.status
    return "UNSET", "the log does not say how the subagent ended"
