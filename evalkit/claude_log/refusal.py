"""Which logs are refused, by what is wrong with them, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NoReturn

from evalkit.claude_log.reader import EVENT_BEGINS, Event
from evalkit.claude_log.session import Session
from evalkit.errors import LogRefused, Problem
from evalkit.receipt import Receipt

_SHOWN = 5
_FIX = "log the agent with: claude --print --output-format stream-json --verbose"
_ATIF = "take the ATIF trajectory, which Harbor writes beside it as agent/trajectory.json"
_FOREIGN = {  # types of events that other agents log and Claude Code does not
    "message": "Gemini CLI",
    "init": "Gemini CLI",
    "step_start": "opencode",
    "step_finish": "opencode",
    "tool_call": "Cursor",
    "assistant.message": "Copilot CLI",
}
_TRAJECTORIES = {  # keys of what other tools write as trajectory.json
    "Gemini CLI": ({"sessionId", "messages"},),
    "mini-SWE-agent": ({"info", "messages"},),
    "OpenHands": ({"id", "source", "action"}, {"id", "source", "observation"}),
}


def _refuse(receipt: Receipt, message: str, fix: str, *, line: int | None = None) -> NoReturn:
    """Refuse a log; on its receipt no line is used."""
    if receipt.used:
        receipt.skipped["an event of a log that is refused"] += receipt.used
        receipt.used = 0
    receipt.verdict = "refused"
    raise LogRefused(Problem(message, line=line, fix=fix), receipt=receipt)


def refuse_foreign(
    receipt: Receipt, strange: Mapping[str, Event], sessions: Collection[Session], named: str
) -> None:
    """Refuse a log that is empty, text, or whose events are not those of an agent's sessions.

    Args:
        receipt: What became of its lines so far.
        strange: The first event of each type that is none of Claude Code's.
        sessions: Those that events of Claude Code's own shape make.
        named: Its format's name, where it is not stream-json.

    Raises:
        LogRefused: it is.
    """
    if not receipt.lines:
        _refuse(receipt, "the log is empty", "run the case again; an empty log means no session")
    if len(receipt.unreadable) == receipt.lines:
        number, why = receipt.unreadable[0]
        message = f"no line of the log is a JSON object (line {number}: {why})"
        _refuse(receipt, message, _FIX, line=number)
    agent = next((_FOREIGN[kind] for kind in strange if kind in _FOREIGN), "")
    if agent and not any(call.message_id for each in sessions for call in each.calls):
        _refuse(receipt, f"this looks like a log of {agent}, not of Claude Code", _FIX)
    if sessions:
        return
    if named:
        _refuse(receipt, f"the log is a {named} without any message", "leave it out")
    untyped = strange.get("", {})
    texts = {key: text for key, text in untyped.items() if isinstance(text, str)}
    if key := next((key for key, text in texts.items() if EVENT_BEGINS.match(text)), ""):
        message = f"each event of the log stands in the text {key!r} of another object"
        _refuse(receipt, message, f"take them out: jq -r .{key} stdout.log")
    for tool, shapes in _TRAJECTORIES.items():
        if any(shape <= untyped.keys() for shape in shapes):
            what = (
                f"this is a trajectory of {tool}, which is not in ATIF: no schema_version says so"
            )
            _refuse(receipt, what, _ATIF)
    kinds = ", ".join(sorted(kind for kind in strange if kind)[:_SHOWN])
    found = f"; it has events of type {kinds}" if kinds else ""
    _refuse(receipt, f"no event of the log is one of an agent's sessions{found}", _FIX)
