"""How a trace looks: as a conversation, and in time.

Whatever a log says is shown letter by letter. It is escaped before it becomes part of the page, so
that neither HTML nor Markdown in it means anything.
"""

from __future__ import annotations

import html
from typing import Any

import altair as alt
import marimo as mo
import pandas as pd

from evalkit.entities import ObservedTrace, Span, Trace
from evalkit.jsonable import canonical, truncate
from evalkit.traces.dialogue import NANOSECONDS, Remark, dialogue, gist
from evalkit.ui.wording import BLUE, GREY, RED, as_text, dressed

FOLDED_FROM = 1_500
"""Characters of a text that are shown at once; the rest is behind a click."""

MOST_CHARACTERS = 1_000_000
"""Characters that a page takes without getting slow, shared out between the texts."""

MOST_REMARKS = (1_500, 500)
"""Remarks that are shown of a very long conversation: from its begin, and from its end."""

DEEPEST = 6
"""Subagents of subagents are indented up to here."""

PEEK = 100
"""Characters of a folded text that its title shows."""

STYLE = """
.ek-talk { max-height: 80vh; overflow-y: auto; padding-right: 0.5rem; font-size: 0.9rem }
.ek-talk .ek-r { margin: 0 0 0.6rem calc(var(--ek-depth, 0) * 1.4rem); overflow-wrap: anywhere }
.ek-talk .ek-in { border-left: 3px solid var(--slate-6, #ccc); padding-left: 0.75rem }
.ek-talk .ek-t { white-space: pre-wrap; line-height: 1.5 }
.ek-talk .ek-who, .ek-talk .ek-key { font-size: 0.75rem; color: var(--muted-foreground, #666) }
.ek-talk .ek-key { margin-top: 0.5rem }
.ek-talk .ek-box { border-radius: 8px; padding: 0.6rem 0.85rem }
.ek-talk .ek-user { background: var(--blue-3, #e6f4fe) }
.ek-talk .ek-agent, .ek-talk .ek-code { background: var(--slate-3, #f0f0f3) }
.ek-talk .ek-notice { background: var(--amber-3, #fff7c2) }
.ek-talk .ek-bad { background: var(--red-3, #feebec) }
.ek-talk summary { cursor: pointer; color: var(--muted-foreground, #666) }
.ek-talk details[open] > summary .ek-peek { display: none }
.ek-talk .ek-tool { border: 1px solid var(--border, #ddd); border-radius: 8px;
  padding: 0.35rem 0.75rem }
.ek-talk .ek-failed { border-color: var(--red-8, #eb8e90) }
.ek-talk .ek-name { font-weight: 600; color: var(--foreground, inherit) }
.ek-talk .ek-gist, .ek-talk .ek-code { font-family: var(--monospace-font, monospace);
  font-size: 0.8rem }
.ek-talk .ek-code { white-space: pre-wrap; padding: 0.4rem 0.6rem; border-radius: 6px;
  margin-top: 0.15rem }
.ek-talk .ek-red { color: var(--red-11, #ce2c31); font-weight: 600 }
.ek-talk .ek-amber { color: var(--amber-11, #ab6400); font-weight: 600 }
"""

SPEAKERS = {"user": "User", "agent": "Agent", "answer": "Handed back", "notice": "Session"}
INNER_SPEAKERS = {**SPEAKERS, "user": "Task", "agent": "Subagent"}
LOOKS = {"user": "ek-user", "notice": "ek-notice"}
ENDINGS = {
    "ERROR": ' <span class="ek-red">failed</span>',
    "UNSET": ' <span class="ek-amber">no result</span>',
}
GIVEN = "Given to the agent"
"""Said over what was asked where that is no text, but fields with values."""


def conversation(trace: Trace | ObservedTrace) -> Any:
    """A trace (a case's, a whole batch run's, or of an agent at work) as a conversation."""
    remarks = list(dialogue(trace.spans))
    parts = []
    if not any(remark.voice == "user" for remark in remarks):
        parts = ['<div class="ek-r ek-who">What the agent was asked is not in the log.</div>']
    head, tail = MOST_REMARKS
    left_out = len(remarks) - head - tail
    shown = remarks if left_out <= 0 else [*remarks[:head], *remarks[-tail:]]
    texts = sum(3 if remark.voice == "tool" else 1 for remark in shown)
    longest = MOST_CHARACTERS // max(texts, 50)
    for place, remark in enumerate(shown):
        if place == head and left_out > 0:
            gap = f"{left_out:,} remarks between here and the last {tail} are left out"
            parts.append(f'<div class="ek-r ek-box ek-notice">{gap}</div>')
        depth = min(remark.depth, DEEPEST)
        inner = f' ek-in" style="--ek-depth: {depth}' if depth else ""
        parts.append(f'<div class="ek-r{inner}">{_remark(remark, longest)}</div>')
    # by its key the page knows that this is another one, and does not leave open what was unfolded
    key = _escaped(trace.trace_id if isinstance(trace, ObservedTrace) else trace.content_hash)
    return mo.Html(f'<div class="ek-talk" key="{key}"><style>{STYLE}</style>{"".join(parts)}</div>')


def _remark(remark: Remark, longest: int) -> str:
    match remark.voice:
        case "thinking" | "input":
            title = "Thinking" if remark.voice == "thinking" else GIVEN
            peek = f'<span class="ek-peek">{_escaped(truncate(remark.text, PEEK))}</span>'
            text = _text(remark.text, "ek-t", longest)
            return _folded(f'<span class="ek-name">{title}</span> {peek}', text)
        case "tool":
            return _tool(remark, longest)
        case "subagent":
            about = f": {_escaped(remark.text)}" if remark.text else ""
            return f'<span class="ek-name">Subagent {_escaped(remark.name)}</span>{about}'
    look = "ek-bad" if remark.status == "ERROR" else LOOKS.get(remark.voice, "ek-agent")
    speaker = (INNER_SPEAKERS if remark.depth else SPEAKERS)[remark.voice]
    text = remark.text
    if remark.inputs is not None:
        speaker, text = GIVEN, as_text(remark.inputs)
    who = f'<div class="ek-who">{speaker}</div>'
    return f'<div class="ek-box {look}">{who}{_text(text, "ek-t", longest)}</div>'


def _tool(remark: Remark, longest: int) -> str:
    took = "" if remark.seconds is None else f" &nbsp;{remark.seconds:.1f} s"
    head = (
        f'<span class="ek-name">{_escaped(remark.name)}</span> '
        f'<span class="ek-gist">{_escaped(remark.gist)}</span>'
        f"{ENDINGS.get(remark.status, '')}{took}"
    )
    fields = remark.inputs if isinstance(remark.inputs, dict) else {"input": remark.inputs}
    body = ""
    for name, value in (*fields.items(), ("result", remark.outputs)):
        if value is not None:
            written = value if isinstance(value, str) else canonical(value)
            key = f'<div class="ek-key">{_escaped(name)}</div>'
            body += key + _text(written, "ek-code", longest)
    if remark.status == "UNSET" or (remark.message and remark.outputs is None):
        body += f'<div class="ek-key">{_escaped(remark.message)}</div>'
    return _folded(head, body, " ek-tool" + " ek-failed" * (remark.status == "ERROR"))


def _folded(head: str, body: str, look: str = "") -> str:
    return f'<details class="ek-fold{look}"><summary>{head}</summary>{body}</details>'


def _text(text: str, look: str, longest: int) -> str:
    """A text, a long one with its rest behind a click."""
    cut = min(FOLDED_FROM, longest)
    shown = f'<div class="{look}">{_escaped(text[:cut])}</div>'
    if len(text) <= cut:
        return shown
    missing = max(len(text) - max(longest, cut), 0)
    note = f"\n… [{missing:,} further characters are in the log]" if missing else ""
    more = f"<summary>{len(text) - cut:,} more characters</summary>"
    rest = f'<div class="{look}">{_escaped(text[cut:longest])}{note}</div>'
    return f"{shown}<details>{more}{rest}</details>"


def _escaped(text: str) -> str:
    """Text as HTML that shows it; halves of surrogate pairs, which no page can hold, as "?"."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


MOST_BARS = 300
"""Bars of one chart; a person reads no more, and a page draws them at once."""

KINDS = {"AGENT": "agent", "CHAIN": "turn", "LLM": "model call", "TOOL": "tool"}
COLOURS = ["#8e4ec6", GREY, BLUE, "#f76b15"]
LOGGED, INFERRED = "from the log", "laid out in order"
NOTES = {
    "Times": "Pale steps have no times of their own in the log: they are laid out in order.",
    "failed": "Steps with a red edge failed.",
}
PLACE = 6
"""Digits before a step's label, by which bars of the same name stay apart; they are not shown."""
INDENT = "\u200b\u2003"  # what has no width keeps the chart from trimming the space behind it
LABELS_PX = "min(250, 0.4 * containerSize()[0])"
SMALLEST = 0.004
"""Part of the whole that a bar takes at least, so that it can be seen."""


def waterfall(trace: Trace | ObservedTrace, most: int = MOST_BARS) -> Any:
    """The first ``most`` spans of a trace in time, coloured by kind; inferred times are pale."""
    paths: dict[str | None, tuple[int, ...]] = {}  # by which each is followed by what is under it
    for place, span in enumerate(trace.spans):
        paths[span.span_id] = (*paths.get(span.parent_id, ()), place)
    kept = sorted(trace.spans, key=lambda span: paths[span.span_id])[:most]
    bars = pd.DataFrame([_bar(n, span, len(paths[span.span_id])) for n, span in enumerate(kept)])
    bars[["start", "end"]] = (bars[["start", "end"]] - bars["start"].min()) / NANOSECONDS
    bars["drawn"] = bars["end"].clip(lower=bars["start"] + SMALLEST * bars["end"].max())
    left_out = (
        f"{len(trace.spans) - len(kept):,} further steps are left out here; MLflow shows all."
    )
    shown = {"Times": (bars["Times"] == INFERRED).any(), "failed": bars["failed"].any()}
    subtitle = [NOTES[name] for name, holds in shown.items() if holds]
    title = alt.TitleParams(
        "What took how long", subtitle=subtitle + [left_out] * (len(kept) < len(trace.spans))
    )
    labels = alt.Axis(
        labelExpr=f"slice(datum.value, {PLACE})",
        labelAlign="left",
        labelPadding=alt.ExprRef(LABELS_PX),
        labelLimit=alt.ExprRef(f"{LABELS_PX} - 10"),
        ticks=False,
        domain=False,
    )
    seconds = alt.Axis(labelFlush=True, labelOverlap=True)
    kinds = alt.Scale(domain=[*KINDS.values()], range=COLOURS)
    chart = (
        alt.Chart(bars, title=title, width="container", height=alt.Step(18))
        .mark_bar(cornerRadius=2, strokeWidth=2)
        .encode(
            y=alt.Y("row:O", sort=None, title=None, axis=labels, scale=alt.Scale(padding=0.3)),
            x=alt.X("start:Q", title="seconds since it began", axis=seconds).scale(nice=False),
            x2="drawn:Q",
            color=alt.Color("Kind:N", title=None, scale=kinds),
            opacity=alt.condition(f"datum.Times == '{INFERRED}'", alt.value(0.45), alt.value(1)),
            stroke=alt.condition("datum.failed", alt.value(RED), alt.value("transparent")),
            tooltip=["Step", "Kind", "Asked", "Took", "Times", "Outcome"],
        )
    )
    columns = alt.ExprRef("containerSize()[0] < 500 ? 2 : 4")
    return dressed(chart).configure_legend(
        orient="bottom", padding=8, columnPadding=16, columns=columns
    )


def _bar(place: int, span: Span, depth: int) -> dict[str, Any]:
    failed = span.status == "ERROR"
    return {
        "row": f"{place:0{PLACE}d}{INDENT * (depth - 1)}{span.name}",
        "start": span.start_ns,
        "end": span.end_ns,
        "failed": failed,
        "Step": span.name,
        "Kind": KINDS[span.kind],
        "Asked": gist(span.inputs) if span.kind == "TOOL" else "",
        "Took": f"{(span.end_ns - span.start_ns) / NANOSECONDS:.2f} s",
        "Times": INFERRED if span.attributes.get("evalkit.time") == "inferred" else LOGGED,
        "Outcome": span.message or ("failed" if failed else "ok"),
    }
