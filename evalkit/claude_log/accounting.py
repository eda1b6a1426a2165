"""What of a log went where: counted while it is read, and in the end refused or receipted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose

from evalkit.claude_log.reconciliation import Figures
from evalkit.claude_log.session import Session
from evalkit.claude_log.usage import REPORTED_KINDS
from evalkit.core.receipt import Difference, Receipt, verdict_on
from evalkit.core.results import Usage as Reported
from evalkit.core.usage import Usage, total
from evalkit.errors import LogRefused, Problem

COMPRESSED = "compressed with"
"""Begins the reason why the first line of a compressed log cannot be read."""

WRAPPED = "an event inside another object's text, "
"""Begins the reason why an object is skipped that a logging driver put around an event."""

_LONGEST_REASON = 80
_MOST_REASONS = 60
_OTHER_REASONS = "events of further kinds"
_REFUSED = "an event of a log that is refused"
_SHOWN = 5
_PREFIX_SHOWN = 40
_RUN_DISAGREES = "run_result.json says so of the case, and the log says otherwise"
_FIX = "log the agent with: claude --print --output-format stream-json --verbose"
_TAKE_OFF = (
    "write the log without prefixes, times and colours, or take them off: "
    "sed 's/^[^{]*//' stdout.log"
)
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


@dataclass(slots=True)
class Ledger:
    """Counts what becomes of every line, and keeps what a reader of the trace must know.

    Attributes:
        lines: Entries seen: lines that are not blank, or elements of a JSON array.
        used: Entries that ended in the trace.
        skipped: Reason to number of entries that carry nothing for a trace.
        unreadable: (one-based line number, why) of entries that are no JSON object.
        prefixed: Events that stand behind other text on their line.
        prefix: Such a text, of the first of them.
        masked: Kind of secret to places where it was masked.
        truncated: What was shortened, to characters left out.
        notes: Everything else, each once.
    """

    lines: int = 0
    used: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    prefixed: int = 0
    prefix: str = ""
    masked: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    notes: dict[str, None] = field(default_factory=dict)

    def settle(self, reason: str | None) -> None:
        """Book an entry that was read: None if it was used, else why it was skipped."""
        if reason is None:
            self.used += 1
            return
        reason = reason[:_LONGEST_REASON]
        known = reason in self.skipped or len(self.skipped) < _MOST_REASONS
        self.skipped[reason if known else _OTHER_REASONS] += 1

    def use_after_all(self, reason: str, entries: int) -> None:
        """Book entries as used that were skipped for a reason which proved untrue."""
        self.skipped[reason if reason in self.skipped else _OTHER_REASONS] -= entries
        self.skipped += Counter()  # without those that none is left of
        self.used += entries

    def note(self, text: str) -> None:
        """Keep something that a reader must know."""
        self.notes[text] = None

    def receipt(
        self, verdict: str, *, sessions: int = 0, differences: Iterable[Difference] = ()
    ) -> Receipt:
        """The account as it stands."""
        return Receipt(
            lines=self.lines,
            used=self.used,
            skipped=dict(sorted(self.skipped.items())),
            unreadable=tuple(self.unreadable),
            sessions=sessions,
            verdict=verdict,
            differences=tuple(differences),
            masked=dict(sorted(self.masked.items())),
            truncated=dict(sorted(self.truncated.items())),
            notes=tuple(self.notes),
        )

    def refuse(self, message: str, fix: str, *, line: int | None = None) -> None:
        """Refuse the log.

        Raises:
            LogRefused: always; with its receipt, in which no line is used.
        """
        if self.used:
            self.skipped[_REFUSED] += self.used
            self.used = 0
        raise LogRefused(Problem(message, line=line, fix=fix), receipt=self.receipt("refused"))


def refuse_unreadable(ledger: Ledger) -> None:
    """Refuse a log without JSON objects on lines of their own.

    Raises:
        LogRefused: it is empty, compressed, text, or all behind text.
    """
    if not ledger.lines:
        ledger.refuse("the log is empty", "run the case again; an empty log means no session")
    if len(ledger.unreadable) == ledger.lines:
        number, why = ledger.unreadable[0]
        if why.startswith(COMPRESSED):
            fix = "decompress it, under the same name, and log the run again"
            ledger.refuse(f"the log is {why}", fix)
        message = f"no line of the log is a JSON object (line {number}: {why})"
        ledger.refuse(message, _FIX, line=number)
    if ledger.prefixed == ledger.lines - len(ledger.unreadable):
        shown = ledger.prefix.strip()[:_PREFIX_SHOWN] or ledger.prefix[:_PREFIX_SHOWN]
        message = f"each event of the log stands behind other text, such as {shown!r}"
        if shown == "data:":
            message = "the log is a stream of server-sent events: each stands behind 'data:'"
        ledger.refuse(message, _TAKE_OFF)


def refuse_foreign(
    ledger: Ledger, strange: Mapping[str, int], *, has_sessions: bool, has_messages: bool
) -> None:
    """Refuse a log whose events are not those of Claude Code's sessions.

    Args:
        ledger: Its account.
        strange: Type to number of events that are of no type of Claude Code's.
        has_sessions: Whether events of Claude Code's own shape make a session.
        has_messages: Whether a model's message is among them.

    Raises:
        LogRefused: it is another agent's, or each event stands inside another object's text.
    """
    agents = Counter({_FOREIGN[kind]: n for kind, n in strange.items() if kind in _FOREIGN})
    if agents and not has_messages:
        name = agents.most_common(1)[0][0]
        ledger.refuse(f"this looks like a log of {name}, not of Claude Code", _FIX)
    wrapped = next((reason for reason in ledger.skipped if reason.startswith(WRAPPED)), "")
    if wrapped and not has_sessions:
        key = wrapped.removeprefix(WRAPPED)
        message = f"each event of the log stands in the text {key!r} of another object"
        message += ", as Docker's own log files have it" if key == "log" else ""
        # Docker cuts long lines in pieces, and only the last of them has the line end
        flag = "-j" if key == "log" else "-r"
        ledger.refuse(message, f"take them out: jq {flag} .{key} stdout.log")
    if not has_sessions:
        kinds = ", ".join(sorted(kind for kind in strange if kind)[:_SHOWN])
        found = f"; it has events of type {kinds}" if kinds else ""
        ledger.refuse(f"no event of the log is one of Claude Code's sessions{found}", _FIX)


def receipt_of(
    figures: Sequence[Figures], misfits: Sequence[Difference], ledger: Ledger
) -> Receipt:
    """The receipt of a log whose figures are settled; ``misfits`` are against the run's."""
    named = [*(difference for each in figures for difference in each.differences), *misfits]
    for number, each in enumerate(figures, start=1):
        which = f"session {number}: " if len(figures) > 1 else ""
        if each.session.result is None:
            ledger.note(f"{which}the log is cut off: it ends before the result event")
        elif not each.is_stated:
            ledger.note(f"{which}the result event says no tokens; what messages say stands")
    complete = all(each.session.result and each.is_stated for each in figures)
    verdict = verdict_on(named) if complete else "incomplete"
    return ledger.receipt(verdict, sessions=len(figures), differences=named)


def reported_differences(
    reported: Reported, figures: Sequence[Figures], cost: float
) -> Iterator[Difference]:
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


def reported_remarks(
    reported: Reported, sessions: Sequence[Session], lasted_ns: int
) -> Iterator[str]:
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
