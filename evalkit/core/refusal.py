"""Which logs give no trace, and what to tell whoever has one."""

from __future__ import annotations

from collections import Counter

from evalkit.core.assembly import Assembler
from evalkit.core.errors import LogRefused, Problem
from evalkit.core.ledger import Ledger
from evalkit.core.loglines import COMPRESSED, WRAPPED

_FIX = "log the agent with: claude --print --output-format stream-json --verbose"

_FOREIGN = {
    "thread.started": "Codex",
    "turn.started": "Codex",
    "turn.completed": "Codex",
    "item.started": "Codex",
    "item.completed": "Codex",
    "session_meta": "Codex",
    "response_item": "Codex",
    "event_msg": "Codex",
    "tool_call": "Cursor",
    "message": "Gemini CLI",
    "init": "Gemini CLI",
    "step_start": "opencode",
    "step_finish": "opencode",
    "assistant.message": "Copilot CLI",
}
"""Types of events that other agents log and Claude Code does not."""

_TAKE_OFF = (
    "write the log without prefixes, times and colours, or take them off: "
    "sed 's/^[^{]*//' stdout.log"
)
_REFUSED = "an event of a log that is refused"
_SHOWN = 5
_PREFIX_SHOWN = 40


def refuse_foreign(assembler: Assembler, ledger: Ledger) -> None:
    """Refuse a log that nothing can be made of.

    Raises:
        LogRefused: it is empty, another agent's, or holds no event to make a trace of.
    """
    if not ledger.lines:
        _refuse(ledger, "the log is empty", "run the case again; an empty log means no session")
    if len(ledger.unreadable) == ledger.lines:
        number, why = ledger.unreadable[0]
        if why.startswith(COMPRESSED):
            _refuse(
                ledger,
                f"the log is {why}",
                "decompress it, under the same name, and log the run again",
            )
        message = f"no line of the log is a JSON object (line {number}: {why})"
        _refuse(ledger, message, _FIX, line=number)
    if ledger.prefixed == ledger.lines - len(ledger.unreadable):
        shown = ledger.prefix.strip()[:_PREFIX_SHOWN] or ledger.prefix[:_PREFIX_SHOWN]
        message = f"each event of the log stands behind other text, such as {shown!r}"
        if shown == "data:":
            message = "the log is a stream of server-sent events: each stands behind 'data:'"
        _refuse(ledger, message, _TAKE_OFF)
    agents = Counter(
        {_FOREIGN[kind]: n for kind, n in assembler.strange.items() if kind in _FOREIGN}
    )
    has_messages = any(c.message_id for s in assembler.sessions for c in s.calls)
    if agents and not has_messages:
        message = f"this looks like a log of {agents.most_common(1)[0][0]}, not of Claude Code"
        _refuse(ledger, message, _FIX)
    wrapped = next((reason for reason in ledger.skipped if reason.startswith(WRAPPED)), "")
    if wrapped and not assembler.known:
        key = wrapped.removeprefix(WRAPPED)
        message = f"each event of the log stands in the text {key!r} of another object"
        message += ", as Docker's own log files have it" if key == "log" else ""
        # Docker cuts long lines in pieces, and only the last of them has the line end
        flag = "-j" if key == "log" else "-r"
        _refuse(ledger, message, f"take them out: jq {flag} .{key} stdout.log")
    if not assembler.known or not assembler.sessions:
        kinds = ", ".join(sorted(kind for kind in assembler.strange if kind)[:_SHOWN])
        found = f"; it has events of type {kinds}" if kinds else ""
        _refuse(ledger, f"no event of the log is one of Claude Code's sessions{found}", _FIX)


def _refuse(ledger: Ledger, message: str, fix: str, *, line: int | None = None) -> None:
    if ledger.used:
        ledger.skipped[_REFUSED] += ledger.used
        ledger.used = 0
    raise LogRefused(Problem(message, line=line, fix=fix), receipt=ledger.receipt("refused"))
