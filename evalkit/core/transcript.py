"""One log of Claude Code becomes one trace, with a receipt for every line."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from evalkit.core.asides import anchor, lay_out_asides, read_asides
from evalkit.core.assembly import Assembler
from evalkit.core.closing import add_closing_calls
from evalkit.core.content import Trimmer
from evalkit.core.conversation import Session
from evalkit.core.errors import LogRefused
from evalkit.core.ledger import Ledger
from evalkit.core.loglines import Event, as_utf8, read_events
from evalkit.core.masking import mask_json, mask_lines
from evalkit.core.outcomes import answer_of, deciding, session_outcome
from evalkit.core.receipt import Difference, Receipt, verdict_on
from evalkit.core.reconcile import reconcile
from evalkit.core.refusal import refuse_foreign
from evalkit.core.reported import complete_duration, complete_totals, differences, remarks
from evalkit.core.results import Usage as Reported
from evalkit.core.spans import Status, Trace
from evalkit.core.start import Start
from evalkit.core.timing import align_times, drop_outliers, lay_out
from evalkit.core.totals import own_totals
from evalkit.core.tree import SessionView, build_spans
from evalkit.core.usage import Usage, total
from evalkit.core.values import Json, canonical

__all__ = ["LogRefused", "build_trace"]

BUILDER = "evalkit spans 2"
"""Part of every content hash: a change in what spans look like makes old traces out of date."""

COST = "mlflow.trace.cost"

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
        max_value_chars: Longer texts are shortened, and named in the receipt.

    Raises:
        LogRefused: the log is empty, another agent's, or holds no event to make a trace of.
    """
    sidecars = sidecars or {}
    ledger = Ledger()
    log_hash, aside_hashes = hashlib.sha256(), {n: hashlib.sha256() for n in sorted(sidecars)}
    assembler = Assembler(Trimmer(max(1, max_value_chars), ledger))
    logs = lines if isinstance(lines, Mapping) else {"": lines}
    for step, log in logs.items():
        assembler.begin(step)
        for event in _events(log, ledger, log_hash, f"steps/{step}" if step else ""):
            ledger.settle(assembler.take(event))
    assembler.messages.end()
    sessions = assembler.sessions
    refuse_foreign(assembler, ledger)
    read_asides(assembler, {n: _events(sidecars[n], ledger, aside_hashes[n], n) for n in sidecars})
    reported = reported or Reported()
    timed, is_stretched = _place_in_time(assembler, start, times, reported, ledger)
    views, is_completed = _settle_figures(assembler, reported, ledger)
    asked = sessions[0].main.prompt
    if asked is None:
        asked = assembler.trim.value(mask_json(request), "input of the case")
    ended = deciding(sessions)
    if ended is not sessions[-1]:
        ledger.note("an error that nothing led to follows the last session's end; not taken for it")
    response = answer_of(ended)
    outcome = _outcome(session_outcome(ended), logs, sessions, ledger)
    spans = build_spans(
        views, trace_id=trace_id, name=name, request=asked, response=response, outcome=outcome
    )
    silent = sum(not tool.agent.thread.calls for tool in assembler.tasks.started if tool.agent)
    if silent:
        ledger.note(f"messages of {silent} subagents are not in the log")
    metadata = _metadata(views)
    misfits = tuple(differences(reported, views, json.loads(metadata.get(COST, "{}"))))
    for remark in remarks(reported, views, spans[0].end_ns - spans[0].start_ns):
        ledger.note(remark)
    receipt = _receipt(views, misfits, ledger)
    stated_start = None if timed or start.inferred else start.ns
    decides = [BUILDER, name, asked, max_value_chars, times, stated_start]
    decides += [step for step in logs if step]
    if is_stretched or is_completed or misfits:
        decides += [reported.duration_s, reported.cost_usd, reported.tokens, reported.per_model]
    if receipt.masked:  # by other rules than before: what MLflow has of the log is out of date
        decides.append(dict(receipt.masked))
    hashes = [log_hash.hexdigest(), {n: h.hexdigest() for n, h in aside_hashes.items()}]
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
        metadata=metadata,
        content_hash=hashlib.sha256(
            canonical([decides, hashes]).encode("utf-8", "replace")
        ).hexdigest(),
        receipt=receipt,
    )


def _outcome(
    said: tuple[Status, str], steps: Collection[str], sessions: Sequence[Session], ledger: Ledger
) -> tuple[Status, str]:
    """What the last session says of how it ended; nobody knows where a step left no log."""
    unlogged = [step for step in steps if step not in {session.step for session in sessions}]
    for step in unlogged:
        ledger.note(f"step {step} left no log with a session")
    if unlogged and "" not in steps and said[0] == "OK":
        return "UNSET", f"no log says how step {unlogged[-1]} ended"
    return said


def _events(
    lines: Iterable[bytes], ledger: Ledger, digest: Any, source: str = ""
) -> Iterator[Event]:
    """The log's events, secrets masked; its bytes go into the hash as they are read."""
    hashed = _hashing(lines, digest)
    return read_events(mask_lines(as_utf8(hashed), ledger.masked), ledger, source=source)


def _hashing(lines: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        if not line.endswith(b"\n"):
            digest.update(b"\n")  # the same lines with and without their ends are the same log
        yield line


def _place_in_time(
    assembler: Assembler,
    start: Start,
    times: Sequence[Mapping[str, Any]] | None,
    reported: Reported,
    ledger: Ledger,
) -> tuple[bool, bool]:
    """Lay out all ticks; whether any event says when it was, and whether the run how long."""
    sessions = assembler.sessions
    ticks = [tick for session in sessions for tick in session.line.ticks]
    if times is not None and not all(tick.known for tick in ticks):
        _take_times(assembler, times, ledger)
    anchor(assembler.tasks.started)
    dropped = drop_outliers(sorted(ticks, key=attrgetter("place")))
    known = sum(tick.known for tick in ticks)
    is_stretched = complete_duration(sessions, reported)
    lay_out([session.line for session in sessions], start.ns)
    lay_out_asides(assembler.tasks.started)
    if assembler.bad_times:
        ledger.note(f"{assembler.bad_times} timestamps are no times; not used")
    if dropped:
        ledger.note(f"{dropped} timestamps are out of order; not used")
    if not known:
        ledger.note(
            "no event has a timestamp: spans are laid out in order within the stated duration, "
            f"beginning at {start.source}"
        )
    elif known < len(ticks):
        ledger.note(
            f"{known} of {len(ticks)} events have a timestamp: "
            "what lies between them is laid out in order"
        )
    return known > 0, is_stretched


def _take_times(assembler: Assembler, times: Sequence[Mapping[str, Any]], ledger: Ledger) -> None:
    kinds = assembler.kinds[assembler.first :]  # beside several steps lie the last one's times
    stamps = align_times(kinds, times)
    if stamps is None:
        ledger.note(
            f"times of {len(times)} events lie beside the log, but do not line up with its "
            f"{len(kinds)} events; not used"
        )
        return
    for session in assembler.sessions:
        for tick in session.line.ticks:
            if tick.stamp is None and tick.place >= assembler.first:
                tick.stamp = stamps[tick.place - assembler.first]


def _settle_figures(
    assembler: Assembler, reported: Reported, ledger: Ledger
) -> tuple[list[SessionView], bool]:
    """The sessions' figures, and whether some of them are the run's."""
    sessions = assembler.sessions
    views, own = [], own_totals(sessions)
    found = [complete_totals(own[0], reported)] if len(own) == 1 else own
    if found != own:
        ledger.note("what the log does not say of tokens and cost, run_result.json does")
    for session, totals in zip(sessions, found, strict=True):
        add_closing_calls(session, totals)
        figures = reconcile(session, totals, assembler.messages.streamed)
        views.append(SessionView(session, figures))
    return views, found != own


def _receipt(
    views: Sequence[SessionView], misfits: Sequence[Difference], ledger: Ledger
) -> Receipt:
    named = [*(each for view in views for each in view.figures.differences), *misfits]
    for number, view in enumerate(views, start=1):
        which = f"session {number}: " if len(views) > 1 else ""
        if view.session.result is None:
            ledger.note(f"{which}the log is cut off: it ends before the result event")
        elif not view.figures.is_stated:
            ledger.note(f"{which}the result event says no tokens; what messages say stands")
    complete = all(view.session.result and view.figures.is_stated for view in views)
    verdict = verdict_on(named) if complete else "incomplete"
    return ledger.receipt(verdict, sessions=len(views), differences=named)


def _metadata(views: Sequence[SessionView]) -> dict[str, str]:
    """Totals of the trace, as MLflow keeps them.

    It is in no session of MLflow's: by these, evaluations of one case each would be grouped.
    """
    metadata: dict[str, str] = {}
    usage = total(view.figures.usage for view in views)
    if usage != Usage() or all(view.figures.is_stated for view in views):
        known = all(view.figures.is_output_known for view in views)
        metadata["mlflow.trace.tokenUsage"] = canonical(usage.as_mlflow(with_output=known))
    costs = [view.figures.cost for view in views]
    known_costs = [cost for cost in costs if cost is not None]
    if known_costs:
        parts = set.intersection(*(set(cost) for cost in known_costs))
        summed = {part: sum(cost[part] for cost in known_costs) for part in parts}
        metadata[COST] = canonical(summed)
    return metadata
