"""One log of Claude Code becomes one trace, with a receipt for every line."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from evalkit.claude_log.accounting import Figures, conclude, reconcile
from evalkit.claude_log.builder import SessionBuilder
from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.reader import LogFormat, LogReader, entries, open_log
from evalkit.claude_log.refusal import refuse_foreign
from evalkit.claude_log.session import Session
from evalkit.claude_log.spans import build_spans
from evalkit.claude_log.subagents import add_closing_calls, anchor, lay_out_transcripts
from evalkit.claude_log.timing import Start, Tick, align_times, drop_outliers, lay_out
from evalkit.claude_log.usage import Totals, complete_totals, own_totals
from evalkit.entities import Status, Trace
from evalkit.jsonable import Json, canonical
from evalkit.masking import mask_json
from evalkit.receipt import Receipt
from evalkit.tokens import Consumption as Reported
from evalkit.tokens import Usage, total

BUILDER = "evalkit spans 2"
"""Part of every content hash: a change in what spans look like makes old traces out of date."""

MAX_VALUE_CHARS = 100_000
"""Longer texts are shortened: beyond it, MLflow's UI shows them slowly or not at all."""


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
    trace_id: str,
    name: str,
    case_id: str | None,
    start: Start,
    sidecars: Mapping[str, Iterable[bytes]] | None = None,
    times: Sequence[Mapping[str, Any]] | None = None,
    request: Json = None,
    reported: Reported | None = None,
    formats: Sequence[type[LogFormat]] = (),
    max_value_chars: int = MAX_VALUE_CHARS,
) -> Trace:
    """Build the trace of one log.

    Nothing in a log can raise any other error than :class:`LogRefused`.

    Args:
        lines: The log, as ``claude --print --output-format stream-json --verbose`` writes it:
            JSON lines, perhaps with other programs' lines between, perhaps cut off anywhere;
            or one JSON array of the same events. Of a case that was done in several steps, each
            step's log by the step's name, in order.
        trace_id: ``tr-`` and 32 hex digits; span ids are derived from it.
        name: Name of the trace and of its root span.
        case_id: The case it belongs to; None for a whole batch run.
        start: When the agent began, for logs whose events have no timestamps.
        sidecars: Transcripts of subagents that lie beside the log, by file name.
        times: When each event was logged, as the harness's ``events.json`` says:
            ``{type, subtype, timestamp}``. Used where it lines up with the log event by event.
        request: What the agent was asked, for logs that do not hold the prompt.
        reported: What the run itself says that the case consumed: it stands where the log is
            silent, and is compared where it is not.
        formats: Those that are read besides stream-json; a log's first lines say which it has.
        max_value_chars: Longer texts are shortened, and named in the receipt.

    Raises:
        LogRefused: the log is empty, another agent's, or holds no event to make a trace of.
    """
    sidecars, reported, receipt = sidecars or {}, reported or Reported(), Receipt()
    log_hash, aside_hashes = hashlib.sha256(), {n: hashlib.sha256() for n in sorted(sidecars)}
    builder = SessionBuilder(Trimmer(max(1, max_value_chars), receipt))
    logs = lines if isinstance(lines, Mapping) else {"": lines}
    log_format = _read(builder, logs, log_hash, formats)
    builder.add_transcripts(
        {
            aside: entries(
                LogReader(receipt, aside).events(sidecars[aside], aside_hash),
                type(log_format)() if log_format is not None else None,
                receipt,
            )
            for aside, aside_hash in aside_hashes.items()
        }
    )
    sessions = builder.sessions
    is_timed, is_stretched = _place_in_time(builder, start, times, reported)
    own = own_totals(sessions)
    totals = [complete_totals(own[0], reported)] if len(own) == 1 else own
    if totals != own:
        receipt.note("what the log does not say of tokens and cost, run_result.json does")
    figures = []
    for session, of_session in zip(sessions, totals, strict=True):
        add_closing_calls(session, of_session or Totals())
        figures.append(reconcile(session, of_session, builder.messages.streamed))
    asked = sessions[0].main.prompt
    if asked is None:
        asked = builder.trim.value(mask_json(request), "input of the case")
    ended = _deciding(sessions)
    if ended is not sessions[-1]:
        receipt.note(
            "an error that nothing led to follows the last session's end; not taken for it"
        )
    response, outcome = ended.answer, _outcome(ended, logs, sessions, receipt)
    spans = build_spans(
        figures, trace_id=trace_id, name=name, request=asked, response=response, outcome=outcome
    )
    silent = sum(not agent.thread.calls for _, agent in builder.tasks.started)
    if silent:
        receipt.note(f"messages of {silent} subagents are not in the log")
    costs = [cost for each in figures if (cost := each.cost) is not None]
    parts = set.intersection(*map(set, costs)) if costs else ()  # that all with a cost have
    cost = {part: sum(each[part] for each in costs) for part in parts}
    disagrees = conclude(receipt, figures, reported, cost.get("total_cost", 0.0))
    decides = [BUILDER, name, asked, max_value_chars, times]
    decides.append(None if is_timed or start.inferred else start.ns)
    decides += [step for step in logs if step]
    decides += [log_format.name] if log_format is not None else []
    if is_stretched or totals != own or disagrees:
        decides += [reported.duration_s, reported.cost_usd, reported.tokens, reported.per_model]
    if receipt.masked:  # by other rules than before: what MLflow has of the log is out of date
        decides.append(dict(receipt.masked))
    decided = [decides, [log_hash.hexdigest(), {n: h.hexdigest() for n, h in aside_hashes.items()}]]
    return Trace(
        trace_id=trace_id,
        name=name,
        case_id=case_id,
        start_ns=spans[0].start_ns,
        end_ns=spans[0].end_ns,
        status=outcome[0],
        request=asked,
        response=response,
        spans=spans,
        tags={"evalkit.receipt": receipt.verdict},
        metadata=_metadata(figures, cost),
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
    sessions = builder.sessions if builder.known else ()
    if builder.strange or not sessions:
        named = log_format.name if log_format is not None else ""
        refuse_foreign(receipt, builder.strange, sessions, named)
    return log_format


def _deciding(sessions: Sequence[Session]) -> Session:
    """The session that says how a log ended.

    The last, but for one that only fails: with a session's good end behind it, some versions of
    Claude Code log another result event, an error that nobody's message led to.
    """
    decides = sessions[-1]
    for before in reversed(sessions[:-1]):
        has_more = decides.has_init or decides.main.calls or decides.main.waiting
        same = (before.session_id, before.step) == (decides.session_id, decides.step)
        if has_more or not same or before.result is None or decides.outcome[0] != "ERROR":
            break
        decides = before
    return decides


def _outcome(
    ended: Session, steps: Collection[str], sessions: Sequence[Session], receipt: Receipt
) -> tuple[Status, str]:
    """What the last session says of how it ended; nobody knows where a step left no log."""
    unlogged = [step for step in steps if step not in {session.step for session in sessions}]
    for step in unlogged:
        receipt.note(f"step {step} left no log with a session")
    if unlogged and "" not in steps and ended.outcome[0] == "OK":
        return "UNSET", f"no log says how step {unlogged[-1]} ended"
    return ended.outcome


def _complete_duration(sessions: Sequence[Session], reported: Reported) -> bool:
    """Let the last session last as long as the run reports, where the log does not say.

    Returns:
        Whether it does now.
    """
    last = sessions[-1].line
    stated = reported.duration_s or 0
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
    reported: Reported,
) -> tuple[bool, bool]:
    """Lay out all ticks; whether any event says when it was, and whether the run how long."""
    receipt, lines = builder.trim.receipt, [session.line for session in builder.sessions]
    ticks = [tick for line in lines for tick in line.ticks]
    if times is not None and not all(tick.stamp is not None for tick in ticks):
        kinds = builder.kinds[builder.first :]  # beside several steps lie the last one's times
        stamps = align_times(kinds, times)
        if stamps is None:
            receipt.note(
                f"times of {len(times)} events lie beside the log, but do not line up with its "
                f"{len(kinds)} events; not used"
            )
        for tick in ticks if stamps is not None else ():
            if tick.stamp is None and tick.place >= builder.first:
                tick.stamp = (stamps or [])[tick.place - builder.first]
    anchor(builder.tasks.started)
    dropped = drop_outliers(sorted(ticks, key=attrgetter("place")))
    known = sum(tick.stamp is not None for tick in ticks)
    is_stretched = _complete_duration(builder.sessions, reported)
    lay_out(lines, start.ns)
    lay_out_transcripts(builder.tasks.started)
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


def _metadata(figures: Sequence[Figures], cost: Mapping[str, float]) -> dict[str, str]:
    """Totals of the trace, as MLflow keeps them.

    It is in no session of MLflow's: by these, evaluations of one case each would be grouped.
    """
    metadata: dict[str, str] = {}
    usage = total(each.usage for each in figures)
    if usage != Usage() or all(each.is_stated for each in figures):
        known = all(each.is_output_known for each in figures)
        metadata["mlflow.trace.tokenUsage"] = canonical(usage.as_mlflow(with_output=known))
    if cost:
        metadata["mlflow.trace.cost"] = canonical(cost)
    return metadata
