"""Which logs are refused, and what a log's receipt says in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isclose
from typing import NoReturn

from evalkit.claude_log.reader import COMPRESSED, OF_OTHERS, WRAPPED
from evalkit.claude_log.reconciliation import Figures
from evalkit.claude_log.session import Session
from evalkit.claude_log.usage import REPORTED_KINDS
from evalkit.errors import LogRefused, Problem
from evalkit.receipt import Difference, Receipt, verdict_on
from evalkit.tokens import Consumption as Reported
from evalkit.tokens import Usage, total

_REFUSED = "an event of a log that is refused"
_SHOWN = 5
_RUN_DISAGREES = "run_result.json says so of the case, and the log says otherwise"
_FIX = "log the agent with: claude --print --output-format stream-json --verbose"
_ATIF = "take the ATIF trajectory, which Harbor writes beside it as agent/trajectory.json"
_FOREIGN = {  # types of events that other agents log and Claude Code does not
    **dict.fromkeys(("message", "init"), "Gemini CLI"),
    **dict.fromkeys(("step_start", "step_finish"), "opencode"),
    "tool_call": "Cursor",
    "assistant.message": "Copilot CLI",
}


def refuse(receipt: Receipt, message: str, fix: str, *, line: int | None = None) -> NoReturn:
    """Refuse a log; on its receipt no line is used.

    Raises:
        LogRefused: always.
    """
    if receipt.used:
        receipt.skipped[_REFUSED] += receipt.used
        receipt.used = 0
    receipt.verdict = "refused"
    raise LogRefused(Problem(message, line=line, fix=fix), receipt=receipt)


def refuse_unreadable(receipt: Receipt) -> None:
    """Refuse a log that is empty, compressed in a form that is not read, or text."""
    if not receipt.lines:
        fix = "run the case again; an empty log means no session"
        refuse(receipt, "the log is empty", fix)
    if len(receipt.unreadable) == receipt.lines:
        number, why = receipt.unreadable[0]
        if why.startswith(COMPRESSED):
            fix = "decompress it, under the same name, and log the run again"
            refuse(receipt, f"the log is {why}", fix)
        message = f"no line of the log is a JSON object (line {number}: {why})"
        refuse(receipt, message, _FIX, line=number)


def refuse_foreign(
    receipt: Receipt, strange: Mapping[str, int], sessions: Collection[Session], named: str
) -> None:
    """Refuse a log whose events are not those of an agent's sessions.

    Args:
        receipt: What became of its lines so far.
        strange: Type to number of events that are of no type of Claude Code's.
        sessions: Those that events of Claude Code's own shape make.
        named: Its format's name, where it is not stream-json.
    """
    agents = Counter({_FOREIGN[kind]: n for kind, n in strange.items() if kind in _FOREIGN})
    if agents and not any(call.message_id for each in sessions for call in each.calls):
        name = agents.most_common(1)[0][0]
        refuse(receipt, f"this looks like a log of {name}, not of Claude Code", _FIX)
    if sessions:
        return
    if named:
        refuse(receipt, f"the log is a {named} without any message", "leave it out")
    wrapped = next((reason for reason in receipt.skipped if reason.startswith(WRAPPED)), "")
    if wrapped:
        key = wrapped.removeprefix(WRAPPED)
        message = f"each event of the log stands in the text {key!r} of another object"
        refuse(receipt, message, f"take them out: jq -r .{key} stdout.log")
    if other := next((reason for reason in receipt.skipped if reason.startswith(OF_OTHERS)), ""):
        refuse(receipt, f"this is {other}, which is not in ATIF: no schema_version says so", _ATIF)
    kinds = ", ".join(sorted(kind for kind in strange if kind)[:_SHOWN])
    found = f"; it has events of type {kinds}" if kinds else ""
    refuse(receipt, f"no event of the log is one of an agent's sessions{found}", _FIX)


def conclude(
    receipt: Receipt, figures: Sequence[Figures], reported: Reported, cost: float, lasted_ns: int
) -> bool:
    """Say on the receipt whether the figures add up, and what the run says otherwise.

    Args:
        receipt: The log's.
        figures: Its sessions, settled.
        reported: What the run says.
        cost: USD for all sessions.
        lasted_ns: How long the trace is.

    Returns:
        Whether figures of the run are not the trace's.
    """
    misfits = list(_misfits(reported, figures, cost))
    for remark in _remarks(reported, [each.session for each in figures], lasted_ns):
        receipt.note(remark)
    receipt.sessions = len(figures)
    receipt.differences = [*(d for each in figures for d in each.differences), *misfits]
    for number, each in enumerate(figures, start=1):
        which = f"session {number}: " if len(figures) > 1 else ""
        if each.session.result is None and not each.session.has_result_event:
            receipt.note(f"{which}{_no_totals(each.session)}")
        elif each.session.result is None:
            receipt.note(f"{which}the log is cut off: it ends before the result event")
        elif not each.is_stated:
            receipt.note(f"{which}the result event says no tokens; what messages say stands")
    if all(each.session.result and each.is_stated for each in figures):
        receipt.verdict = verdict_on(receipt.differences)
    return bool(misfits)


def _no_totals(session: Session) -> str:
    said = "logs of this format state no totals; what messages say stands"
    vague = sum(not call.output_basis for call in session.calls)
    if vague:
        said += f"; of {vague} of {len(session.calls)}, output tokens are mere placeholders"
    return said


def _misfits(reported: Reported, figures: Sequence[Figures], cost: float) -> Iterator[Difference]:
    """The figures of a trace that are not those which the run reports.

    A run whose agent was killed reports nothing: no cost, and zero tokens.
    """
    used = total(each.usage for each in figures)
    main = total(each.totals.main or Usage() for each in figures if each.totals is not None)
    is_output_known = all(each.is_output_known for each in figures)
    for kind, name in REPORTED_KINDS.items():
        stated = reported.tokens.get(kind)
        there = getattr(used, name)
        is_known = is_output_known or kind != "output"
        if stated and is_known and stated not in {there, getattr(main, name)}:
            yield Difference(f"{kind} tokens", "", there, stated, _RUN_DISAGREES)
    if usd := reported.cost_usd:
        decimals = max(2, len(f"{usd:.12f}".rstrip("0").partition(".")[2]))
        same = round(cost, decimals) == round(usd, decimals)  # as precisely as it is stated
        if not same and not isclose(cost, usd, rel_tol=1e-6):
            yield Difference("cost_usd", "", cost, usd, _RUN_DISAGREES)


def _remarks(reported: Reported, sessions: Sequence[Session], lasted_ns: int) -> Iterator[str]:
    """What else the trace and the run do not agree on: figures that each may count its own way."""
    seconds, stated = lasted_ns / 10**9, reported.duration_s
    if stated is not None and abs(seconds - stated) > max(10.0, stated / 4):
        yield f"run_result.json says that the case took {stated:,.1f} s, the log {seconds:,.1f} s"
    turns = [(session.result or {}).get("num_turns") for session in sessions]
    said = sum(each for each in turns if isinstance(each, int))
    messages = sum(len(session.main.calls) for session in sessions)
    calls = sum(len(session.calls) for session in sessions)
    if reported.num_turns and reported.num_turns not in {said, messages, calls}:
        yield f"run_result.json counts {reported.num_turns} turns, the log {said or messages}"
