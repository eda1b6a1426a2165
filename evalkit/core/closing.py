"""A subagent's last message, of which often only the result of its tool tells."""

from __future__ import annotations

from evalkit.core.content import plain_text
from evalkit.core.conversation import ModelCall, Session, Subagent, ToolCall
from evalkit.core.reconcile import settle_output
from evalkit.core.totals import Totals
from evalkit.core.usage import Usage, total
from evalkit.core.values import Json


def add_closing_calls(session: Session, totals: Totals | None) -> None:
    """Give subagents the last message that only the result of their tool tells of.

    The result holds the subagent's answer and the tokens of the message that gave it. Where the
    message itself is in the log, only its output tokens are new. Figures that would exceed the
    session's totals are not believed: versions differ in what they add up there.
    """
    for thread in list(session.main.threads):
        for tool in thread.tools:
            if tool.agent is not None and tool.agent.closing is not None:
                _close(tool, tool.agent, tool.agent.closing, session, totals)


def _close(
    tool: ToolCall, agent: Subagent, closing: Usage, session: Session, totals: Totals | None
) -> None:
    calls = [call for call in agent.thread.calls if not call.synthetic]
    last = calls[-1] if calls else None
    if last is not None and last.usage is not None and last.usage.read == closing.read:
        if not last.final:
            settle_output(last, closing.output, "tool result")
        return
    model = agent.model or (last.model if last is not None else "")
    if tool.end is None or not _fits(session, totals, model, closing):
        return
    call = ModelCall("", model, start=agent.thread.last, end=tool.end)
    call.inputs, agent.thread.waiting = agent.thread.waiting, []
    call.blocks = _blocks(agent.answer)
    call.usage, call.output_basis = closing, "tool result"
    call.facts["evalkit.source"] = "the tool's result; the message itself is not in the log"
    agent.thread.calls.append(call)


def _blocks(answer: Json) -> list[Json]:
    text = plain_text(answer)
    return [{"type": "text", "text": text}] if text else []


def _fits(session: Session, totals: Totals | None, model: str, usage: Usage) -> bool:
    """Whether the session's totals have room for a further call of the model."""
    share = totals.share_of(model) if totals is not None and model else None
    if totals is None or share is None:
        return False
    alike = [call for call in session.calls if totals.share_of(call.model) is share]
    shown = total(call.usage for call in alike if call.usage is not None)
    return share.usage.covers(shown + usage) and share.usage.output >= usage.output
