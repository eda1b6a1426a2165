"""A subagent's last message, of which often only the result of its tool tells."""

from __future__ import annotations

from evalkit.core.content import plain_text
from evalkit.core.conversation import ModelCall, Session, Subagent, ToolCall
from evalkit.core.reconcile import settle_output
from evalkit.core.totals import Totals
from evalkit.core.usage import Usage
from evalkit.core.values import Json


def add_closing_calls(session: Session, totals: Totals | None) -> None:
    """Give subagents the last message that only the result of their tool tells of.

    The result holds the subagent's answer and the tokens of the message that gave it. Where the
    message itself is in the log, only its output tokens are new. Figures that would exceed the
    session's totals are not believed: versions differ in what they add up there.
    """
    closing = [
        (tool, tool.agent, tool.agent.closing)
        for thread in session.main.threads
        for tool in thread.tools
        if tool.agent is not None and tool.agent.closing is not None
    ]
    if not closing:
        return
    room = _room(session, totals)
    for tool, agent, usage in closing:
        _close(tool, agent, usage, totals, room)


def _room(session: Session, totals: Totals | None) -> dict[str, Usage]:
    """Model, as the result names it, to the tokens that no call in the log accounts for."""
    room = {share.model: share.usage for share in totals.models} if totals is not None else {}
    for call in session.calls:
        share = totals.share_of(call.model) if totals is not None else None
        if share is not None and call.usage is not None:
            room[share.model] -= call.usage
    return room


def _close(
    tool: ToolCall,
    agent: Subagent,
    closing: Usage,
    totals: Totals | None,
    room: dict[str, Usage],
) -> None:
    calls = [call for call in agent.thread.calls if not call.synthetic]
    last = calls[-1] if calls else None
    if last is not None and last.usage is not None and last.usage.read == closing.read:
        if not last.final:
            settle_output(last, closing.output, "tool result")
        return
    model = agent.model or (last.model if last is not None else "")
    share = totals.share_of(model) if totals is not None and model else None
    if tool.end is None or share is None or not room[share.model].covers(closing):
        return
    room[share.model] -= closing
    call = ModelCall("", model, start=agent.thread.last, end=tool.end)
    call.inputs, agent.thread.waiting = agent.thread.waiting, []
    call.blocks = _blocks(agent.answer)
    call.usage, call.output_basis = closing, "tool result"
    call.facts["evalkit.source"] = "the tool's result; the message itself is not in the log"
    agent.thread.calls.append(call)


def _blocks(answer: Json) -> list[Json]:
    text = plain_text(answer)
    return [{"type": "text", "text": text}] if text else []
