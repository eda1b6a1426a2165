"""What MLflow holds, told to a model: JSON text of bounded size that says how to see the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from evalkit.core.agent.notes import RunGlimpse
from evalkit.core.brevity import as_text, short, short_value, size
from evalkit.core.examination.assessed import source_of
from evalkit.core.examination.reporting import moment
from evalkit.core.feedback import Assessment
from evalkit.core.observed import ObservedTrace
from evalkit.core.spans import Span
from evalkit.core.traffic import NANOSECONDS, OUTCOMES
from evalkit.core.values import Json

LIMIT = 11_900
"""Bytes of JSON text that are told at a time."""

NAME_CHARS = 80
TEXT_CHARS = 200
SAID = 8
"""Assessments, params, metrics and tags that are told of one trace or run."""

Thing = TypeVar("Thing")


def tell_traces(traces: Sequence[ObservedTrace], offset: int, *, more: bool) -> str:
    """Traces in short.

    Args:
        traces: The traces; their spans are not told.
        offset: How many come before them.
        more: Whether there are more after them.
    """
    return _page("traces", [_summary(trace) for trace in traces], offset, more=more)


def tell_assessments(assessments: Sequence[Assessment], offset: int, *, more: bool) -> str:
    """Assessments, each with its trace."""
    told = [{"trace_id": each.trace_id, **_assessment(each)} for each in assessments]
    return _page("assessments", told, offset, more=more)


def tell_runs(runs: Sequence[RunGlimpse], offset: int, *, more: bool) -> str:
    """Runs with their params, metrics and tags."""
    return _page("runs", [_run(run) for run in runs], offset, more=more)


def tell_summary(trace: ObservedTrace) -> str:
    """One trace in short: how it ended, what it used, what was said of it."""
    kinds = Counter(span.kind for span in trace.spans)
    tools = Counter(short(span.name, NAME_CHARS) for span in trace.spans if span.kind == "TOOL")
    told = {
        **_summary(trace),
        "spans": dict(kinds),
        "tools": dict(tools.most_common(SAID)),
        **({"unread": short(trace.unread, TEXT_CHARS)} if trace.unread else {}),
        "next": 'detail "analysis" shows the steps, "full" everything',
    }
    return as_text(told)


def tell_steps(trace: ObservedTrace, offset: int = 0) -> str:
    """One trace step by step: its spans as a tree, with times, states and short contents.

    Args:
        trace: The trace, with its spans.
        offset: How many spans to pass over.
    """
    depths: dict[str | None, int] = {None: -1}
    begin = trace.spans[0].start_ns if trace.spans else 0
    told = []
    for span in trace.spans:
        depths[span.span_id] = depths[span.parent_id] + 1
        told.append(_step(span, depths[span.span_id], begin))
    head = {"trace_id": trace.trace_id, "status": OUTCOMES[trace.status], "of": len(told)}
    return _page("spans", told[offset:], offset, more=False, head=head)


def tell_all(trace: ObservedTrace, offset: int = 0) -> str:
    """One trace with everything it holds, as a text of which a part is told.

    Args:
        trace: The trace, with its spans.
        offset: Characters of the text to pass over.
    """
    whole = as_text(
        {
            "trace_id": trace.trace_id,
            "assessments": [_assessment(each) for each in trace.assessments],
            "spans": [_whole(span) for span in trace.spans],
        }
    )
    length = LIMIT
    while True:
        part = whole[offset : offset + length]
        end = offset + len(part)
        told: dict[str, Json] = {"characters": [offset, end], "of": len(whole), "text": part}
        if end < len(whole):
            told["next"] = f"the text goes on: ask again with offset {end}"
        if size(told) <= LIMIT:
            return as_text(told)
        length = length * 3 // 4


def _page(
    name: str,
    entries: Sequence[Json],
    offset: int,
    *,
    more: bool,
    head: dict[str, Json] | None = None,
) -> str:
    """As many entries as fit, and where the next ones begin."""
    told: dict[str, Json] = {**(head or {}), name: [], "next": ""}
    room = LIMIT - size(told) - TEXT_CHARS
    for entry in entries:
        room -= size(entry) + len(", ")
        if room < 0:
            break
        told[name].append(entry)
    end = offset + len(told[name])
    is_over = len(told[name]) == len(entries) and not more
    told["next"] = "" if is_over else f"there are more: ask again with offset {end}"
    return as_text({key: value for key, value in told.items() if value != ""})


def _summary(trace: ObservedTrace) -> dict[str, Json]:
    counted = [n for n in (trace.input_tokens, trace.output_tokens) if n is not None]
    told: dict[str, Json] = {
        "trace_id": short(trace.trace_id, NAME_CHARS),
        "name": short(trace.name, NAME_CHARS),
        "time": moment(trace.start_ms),
        "seconds": None if trace.duration_ms is None else trace.duration_ms / 1000,
        "status": OUTCOMES[trace.status],
        "tokens": sum(counted) if counted else None,
        "cost_usd": trace.cost_usd,
        "request": short(trace.request, TEXT_CHARS),
        "response": short(trace.response, TEXT_CHARS),
        "assessments": [_assessment(each) for each in trace.assessments[:SAID]],
    }
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def _assessment(said: Assessment) -> dict[str, Json]:
    return {
        "name": short(said.name, NAME_CHARS),
        "kind": said.kind,
        "value": short_value(said.value, TEXT_CHARS, items=4, depth=1),
        "source": short(source_of(said), NAME_CHARS),
        **({"rationale": short(said.rationale, TEXT_CHARS)} if said.rationale else {}),
        **({"error": short(said.error, TEXT_CHARS)} if said.error else {}),
    }


def _run(run: RunGlimpse) -> dict[str, Json]:
    return {
        "run_id": run.run_id,
        "name": short(run.name, NAME_CHARS),
        "status": run.status,
        "time": moment(run.start_ms),
        "params": _some(run.params, lambda text: short(text, NAME_CHARS)),
        "metrics": _some(run.metrics, lambda number: number),
        "tags": _some(run.tags, lambda text: short(text, NAME_CHARS)),
    }


def _some(values: object, told: Callable[[Json], Json]) -> dict[str, Json]:
    pairs = list(values.items()) if isinstance(values, dict) else []
    shown = {short(name, NAME_CHARS): told(value) for name, value in pairs[:SAID]}
    return shown | ({"…": f"{len(pairs) - SAID} more"} if len(pairs) > SAID else {})


def _step(span: Span, depth: int, begin_ns: int) -> dict[str, Json]:
    told: dict[str, Json] = {
        "span_id": span.span_id,
        "depth": depth,
        "name": short(span.name, NAME_CHARS),
        "kind": span.kind,
        "after_s": round((span.start_ns - begin_ns) / NANOSECONDS, 3),
        "seconds": round((span.end_ns - span.start_ns) / NANOSECONDS, 3),
        "status": OUTCOMES[span.status],
        "error": short(span.message, TEXT_CHARS),
        "inputs": short_value(span.inputs, TEXT_CHARS, items=4, depth=2),
        "inputs_bytes": size(span.inputs) if span.inputs is not None else None,
        "outputs": short_value(span.outputs, TEXT_CHARS, items=4, depth=2),
        "outputs_bytes": size(span.outputs) if span.outputs is not None else None,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _whole(span: Span) -> dict[str, Json]:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "kind": span.kind,
        "seconds": (span.end_ns - span.start_ns) / NANOSECONDS,
        "status": OUTCOMES[span.status],
        "error": span.message,
        "inputs": span.inputs,
        "outputs": span.outputs,
        "attributes": dict(span.attributes),
    }
