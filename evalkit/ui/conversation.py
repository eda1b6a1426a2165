"""How a trace looks as a conversation: words in full, thinking and tools folded, all of it data.

Whatever a log says is shown letter by letter. It is escaped before it becomes part of the page, so
that neither HTML nor Markdown in it means anything.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import Any

import marimo as mo

from evalkit.entities import ObservedTrace, Trace
from evalkit.jsonable import Json, canonical
from evalkit.traces.dialogue import Remark, dialogue
from evalkit.ui.wording import as_text

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

UNASKED = "What the agent was asked is not in the log."
GIVEN = "Given to the agent"
"""Said over what was asked where that is no text, but fields with values."""

SPEAKERS = {"user": "User", "agent": "Agent", "answer": "Handed back", "notice": "Session"}
INNER_SPEAKERS = {**SPEAKERS, "user": "Task", "agent": "Subagent"}
ENDINGS = {
    "ERROR": ' <span class="ek-red">failed</span>',
    "UNSET": ' <span class="ek-amber">no result</span>',
}


def conversation(trace: Trace | ObservedTrace) -> Any:
    """A trace (a case's, a whole batch run's, or of an agent at work) as a conversation."""
    remarks = list(dialogue(trace.spans))
    is_asked = any(remark.voice == "user" for remark in remarks)
    head, tail = MOST_REMARKS
    left_out = len(remarks) - head - tail
    if left_out > 0:
        remarks = [*remarks[:head], *remarks[-tail:]]
    longest = MOST_CHARACTERS // max(sum(1 for each in remarks for _ in _texts(each)), 50)
    parts = [_remark(remark, longest) for remark in remarks]
    if left_out > 0:
        gap = f"{left_out:,} remarks between here and the last {tail} are left out"
        parts.insert(head, f'<div class="ek-r ek-box ek-notice">{gap}</div>')
    if not is_asked:
        parts.insert(0, f'<div class="ek-r ek-who">{UNASKED}</div>')
    # by its key the page knows that this is another one, and does not leave open what was unfolded
    key = _escaped(trace.trace_id if isinstance(trace, ObservedTrace) else trace.content_hash)
    return mo.Html(f'<div class="ek-talk" key="{key}"><style>{STYLE}</style>{"".join(parts)}</div>')


def _remark(remark: Remark, longest: int) -> str:
    match remark.voice:
        case "thinking" | "input":
            body = _folded("Thinking" if remark.voice == "thinking" else GIVEN, remark, longest)
        case "tool":
            body = _tool(remark, longest)
        case "subagent":
            about = f": {_escaped(remark.text)}" if remark.text else ""
            body = f'<span class="ek-name">Subagent {_escaped(remark.name)}</span>{about}'
        case _:
            body = _box(remark, longest)
    depth = min(remark.depth, DEEPEST)
    inner = f' ek-in" style="--ek-depth: {depth}' if depth else ""
    return f'<div class="ek-r{inner}">{body}</div>'


def _box(remark: Remark, longest: int) -> str:
    look = {"user": "ek-user", "notice": "ek-notice"}.get(remark.voice, "ek-agent")
    if remark.status == "ERROR":
        look = "ek-bad"
    speaker = (INNER_SPEAKERS if remark.depth else SPEAKERS)[remark.voice]
    text = remark.text
    if remark.inputs is not None:
        speaker, text = GIVEN, as_text(remark.inputs)
    who = f'<div class="ek-who">{speaker}</div>'
    return f'<div class="ek-box {look}">{who}{_text(text, "ek-t", longest)}</div>'


def _folded(title: str, remark: Remark, longest: int) -> str:
    line = " ".join(remark.text[: PEEK * 2].split())
    peek = _escaped(line if len(line) <= PEEK else line[: PEEK - 1] + "…")
    head = f'<span class="ek-name">{title}</span> <span class="ek-peek">{peek}</span>'
    text = _text(remark.text, "ek-t", longest)
    return f'<details class="ek-fold"><summary>{head}</summary>{text}</details>'


def _tool(remark: Remark, longest: int) -> str:
    failed = " ek-failed" if remark.status == "ERROR" else ""
    took = "" if remark.seconds is None else f" &nbsp;{remark.seconds:.1f} s"
    head = (
        f'<span class="ek-name">{_escaped(remark.name)}</span> '
        f'<span class="ek-gist">{_escaped(remark.gist)}</span>'
        f"{ENDINGS.get(remark.status, '')}{took}"
    )
    fields = [*_fields(remark.inputs)]
    if remark.outputs is not None:
        fields.append(("result", remark.outputs))
    body = "".join(
        f'<div class="ek-key">{_escaped(name)}</div>{_text(_written(value), "ek-code", longest)}'
        for name, value in fields
    )
    if remark.status == "UNSET" or (remark.message and remark.outputs is None):
        body += f'<div class="ek-key">{_escaped(remark.message)}</div>'
    return f'<details class="ek-fold ek-tool{failed}"><summary>{head}</summary>{body}</details>'


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


def _texts(remark: Remark) -> Iterator[str]:
    yield remark.text
    if remark.voice == "tool":
        yield _written(remark.outputs)
        yield from (_written(value) for _, value in _fields(remark.inputs))


def _fields(inputs: Json) -> Iterable[tuple[str, Json]]:
    """A tool's inputs by name."""
    if isinstance(inputs, dict):
        return inputs.items()
    return () if inputs is None else (("input", inputs),)


def _written(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical(value)
