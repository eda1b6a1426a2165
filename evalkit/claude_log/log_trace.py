"""One log of Claude Code becomes one trace, with a receipt for every line."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from typing import Any

from evalkit.claude_log.accounting import conclude, metadata_of, settle
from evalkit.claude_log.builder import SessionBuilder
from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.reader import EVENT_BEGINS, LogFormat, entries, open_log
from evalkit.claude_log.session import Session
from evalkit.claude_log.spans import build_spans
from evalkit.claude_log.subagents import anchor, lay_out_transcripts
from evalkit.claude_log.timing import Start, Tick, align_times, drop_outliers, lay_out
from evalkit.entities import Status, Trace
from evalkit.errors import LogRefused, Problem
from evalkit.jsonable import Json, canonical
from evalkit.masking import mask_json
from evalkit.receipt import Receipt
from evalkit.tokens import Consumption

BUILDER = "evalkit spans 2"
"""Part of every content hash: a change in what spans look like makes old traces out of date."""

MAX_VALUE_CHARS = 100_000
"""Longer texts are shortened: beyond it, MLflow's UI shows them slowly or not at all."""

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
_TRAJECTORIES = (  # keys of what other tools write as trajectory.json
    ({"sessionId", "messages"}, "Gemini CLI"),
    ({"info", "messages"}, "mini-SWE-agent"),
    ({"id", "source", "action"}, "OpenHands"),
    ({"id", "source", "observation"}, "OpenHands"),
)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the search for cycles: a growing trace has none, and searching it takes a quarter."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_no_garbage_collection()
def build_trace(  # noqa: PLR0913 - all of it decides what the trace looks like
    lines: Iterable[bytes] | Mapping[str, Iterable[bytes]],
    *,
    trace_id: str,  # ``tr-`` and 32 hex digits; span ids are derived from it
    name: str,  # of the trace and of its root span
    case_id: str | None,  # None for a whole batch run
    start: Start,  # for logs whose events have no timestamps
    sidecars: Mapping[str, Iterable[bytes]] | None = None,  # subagents' transcripts, by file name
    times: Sequence[Mapping[str, Any]] | None = None,  # of each event, as ``events.json`` says
    request: Json = None,  # what the agent was asked, for logs that do not hold the prompt
    reported: Consumption | None = None,  # by the run: completes the log, else is compared
    formats: Sequence[type[LogFormat]] = (),  # that are read besides stream-json
    max_value_chars: int = MAX_VALUE_CHARS,  # longer texts are shortened
) -> Trace:
    """Build the trace of one log, cut off anywhere and with other programs' lines between.

    Of a case that was done in several steps, ``lines`` are each step's log by its name, in order.
    Whatever a log holds, no other error is raised.

    Raises:
        LogRefused: the log is empty, another agent's, or holds no event to make a trace of.
    """
    sidecars, reported, receipt = sidecars or {}, reported or Consumption(), Receipt()
    log_hash, asides = hashlib.sha256(), {n: hashlib.sha256() for n in sorted(sidecars)}
    builder = SessionBuilder(Trimmer(max(1, max_value_chars), receipt))
    logs = lines if isinstance(lines, Mapping) else {"": lines}
    log_format = _read(builder, logs, log_hash, formats)
    transcripts = {}
    for aside, aside_hash in asides.items():
        own_format = type(log_format)() if log_format is not None else None
        _, events = open_log(sidecars[aside], aside_hash, receipt, (), aside)
        transcripts[aside] = entries(events, own_format, receipt)
    builder.add_transcripts(transcripts)
    sessions = builder.sessions
    is_timed, is_stretched = _place_in_time(builder, start, times, reported)
    figures, is_completed = settle(sessions, reported, builder.messages.streamed)
    if is_completed:
        receipt.note("what the log does not say of tokens and cost, run_result.json does")
    asked = sessions[0].main.prompt
    if asked is None:
        asked = builder.trim.value(mask_json(request), "input of the case")
    response, status, message = _ending(sessions, logs, receipt)
    root, *others = build_spans(figures, trace_id, name)
    root = replace(root, inputs=asked, outputs=response, status=status, message=message)
    silent = sum(not agent.thread.calls for _, agent in builder.tools.started)
    if silent:
        receipt.note(f"messages of {silent} subagents are not in the log")
    disagrees = conclude(receipt, figures, reported)
    decides = [BUILDER, name, asked, max_value_chars, times]
    decides.append(None if is_timed or start.inferred else start.ns)
    decides += [step for step in logs if step]
    decides += [log_format.name] if log_format is not None else []
    if is_stretched or is_completed or disagrees:
        decides += [reported.duration_s, reported.cost_usd, reported.tokens, reported.per_model]
    if receipt.masked:  # by other rules than before: what MLflow has of the log is out of date
        decides.append(dict(receipt.masked))
    decided = [decides, [log_hash.hexdigest(), {n: h.hexdigest() for n, h in asides.items()}]]
    return Trace(
        trace_id=trace_id,
        name=name,
        case_id=case_id,
        start_ns=root.start_ns,
        end_ns=root.end_ns,
        status=status,
        request=asked,
        response=response,
        spans=(root, *others),
        tags={"evalkit.receipt": receipt.verdict},
        metadata=metadata_of(figures),
        content_hash=hashlib.sha256(canonical(decided).encode("utf-8", "replace")).hexdigest(),
        receipt=receipt,
    )


def _read(
    builder: SessionBuilder,
    logs: Mapping[str, Iterable[bytes]],
    log_hash: Any,
    formats: Sequence[type[LogFormat]],
) -> LogFormat | None:
    """Read the sessions in the logs; of a log that is refused, none. Returns the last's format."""
    receipt, log_format = builder.trim.receipt, None
    for step, log in logs.items():
        source = f"steps/{step}" if step else ""
        log_format, events = open_log(log, log_hash, receipt, formats, source)
        builder.start_log(step, log_format)
        for entry in entries(events, log_format, receipt):
            builder.add_entry(entry)
    builder.messages.end_log()
    if problem := _refusal(builder, log_format.name if log_format is not None else ""):
        if receipt.used:
            receipt.skipped["an event of a log that is refused"] += receipt.used
        receipt.used, receipt.verdict = 0, "refused"
        raise LogRefused(problem, receipt=receipt)
    return log_format


def _refusal(builder: SessionBuilder, named: str) -> Problem | None:
    """Why a log is refused: it is empty, text, or its events are not those of agent's sessions.

    ``named`` is its format's name, where it is not stream-json.
    """
    receipt, strange = builder.trim.receipt, builder.strange
    sessions = builder.sessions if builder.known else []
    if not receipt.lines:
        return Problem("the log is empty", fix="run the case again; an empty log means no session")
    if len(receipt.unreadable) == receipt.lines:
        line, why = receipt.unreadable[0]
        what = f"no line of the log is a JSON object (line {line}: {why})"
        return Problem(what, line=line, fix=_FIX)
    agent = next((_FOREIGN[kind] for kind in strange if kind in _FOREIGN), "")
    if agent and not any(call.message_id for each in sessions for call in each.calls):
        return Problem(f"this looks like a log of {agent}, not of Claude Code", fix=_FIX)
    if sessions:
        return None
    if named:
        return Problem(f"the log is a {named} without any message", fix="leave it out")
    untyped = strange.get("", {})
    for key, text in untyped.items():
        if isinstance(text, str) and EVENT_BEGINS.match(text):
            what = f"each event of the log stands in the text {key!r} of another object"
            return Problem(what, fix=f"take them out: jq -r .{key} stdout.log")
    if tool := next((tool for keys, tool in _TRAJECTORIES if keys <= untyped.keys()), ""):
        what = f"this is a trajectory of {tool}, which is not in ATIF: no schema_version says so"
        return Problem(what, fix=_ATIF)
    kinds = ", ".join(sorted(kind for kind in strange if kind)[:5])
    found = f"; it has events of type {kinds}" if kinds else ""
    return Problem(f"no event of the log is one of an agent's sessions{found}", fix=_FIX)


def _ending(
    sessions: Sequence[Session], steps: Collection[str], receipt: Receipt
) -> tuple[Json, Status, str]:
    """The answer of a log, how it ended and why it failed, as the last session says.

    But for one that only fails: with a session's good end behind it, some versions of Claude Code
    log another result event, an error that nobody's message led to. How it ended nobody knows
    where a step left no log.
    """
    decides = sessions[-1]
    for before in reversed(sessions[:-1]):
        has_more = decides.has_init or decides.main.calls or decides.main.waiting
        same = (before.session_id, before.step) == (decides.session_id, decides.step)
        if has_more or not same or before.result is None or decides.outcome[0] != "ERROR":
            break
        decides = before
    if decides is not sessions[-1]:
        what = "an error that nothing led to follows the last session's end; not taken for it"
        receipt.note(what)
    unlogged = [step for step in steps if step not in {session.step for session in sessions}]
    for step in unlogged:
        receipt.note(f"step {step} left no log with a session")
    if unlogged and "" not in steps and decides.outcome[0] == "OK":
        return decides.answer, "UNSET", f"no log says how step {unlogged[-1]} ended"
    return decides.answer, *decides.outcome


def _complete_duration(sessions: Sequence[Session], reported: Consumption) -> bool:
    """Let the last session last as long as the run reports, where the log does not; whether so."""
    last, stated = sessions[-1].line, reported.duration_s or 0
    if last.duration is not None or not stated:
        return False
    rest = int(stated * 10**9) - sum(s.line.length for s in sessions[:-1])
    stamps = [stamp for _, stamp in last.stamps]
    if rest <= (max(stamps) - min(stamps) if stamps else 0):
        return False
    last.duration = rest
    if sessions[-1].result is None:  # it went on after the last event, until somebody ended it
        last.ticks.append(Tick(place=last.ticks[-1].place))
    return True


def _place_in_time(
    builder: SessionBuilder,
    start: Start,
    times: Sequence[Mapping[str, Any]] | None,
    reported: Consumption,
) -> tuple[bool, bool]:
    """Lay out all ticks; whether any event says when it was, and whether the run how long."""
    receipt, lines = builder.trim.receipt, [session.line for session in builder.sessions]
    ticks = [tick for line in lines for tick in line.ticks]
    if times is not None and not all(tick.stamp is not None for tick in ticks):
        kinds = builder.kinds[builder.first :]  # beside several steps lie the last one's times
        if stamps := align_times(kinds, times):
            for tick in ticks:
                if tick.stamp is None and tick.place >= builder.first:
                    tick.stamp = stamps[tick.place - builder.first]
        else:
            receipt.note(
                f"times of {len(times)} events lie beside the log, but do not line up with its "
                f"{len(kinds)} events; not used"
            )
    anchor(builder.tools.started)
    dropped = drop_outliers(sorted(ticks, key=attrgetter("place")))
    known = sum(tick.stamp is not None for tick in ticks)
    is_stretched = _complete_duration(builder.sessions, reported)
    lay_out(lines, start.ns)
    lay_out_transcripts(builder.tools.started)
    if builder.bad_times:
        receipt.note(f"{builder.bad_times} timestamps are no times; not used")
    if dropped:
        receipt.note(f"{dropped} timestamps are out of order; not used")
    if not known:
        receipt.note(
            "no event has a timestamp: spans are laid out in order within the stated duration, "
            f"beginning at {start.source}"
        )
    elif known < len(ticks):
        receipt.note(
            f"{known} of {len(ticks)} events have a timestamp: "
            "what lies between them is laid out in order"
        )
    return known > 0, is_stretched
