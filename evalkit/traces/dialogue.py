"""A trace read as a conversation: who said what, which tools ran, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from evalkit.entities import Span, Status
from evalkit.jsonable import Json, canonical, list_of, mapping_of, plain_text, text_of, truncate
from evalkit.traces.transcript import Message, answer, question, turns

Voice: TypeAlias = Literal[
    "user", "input", "thinking", "agent", "answer", "tool", "subagent", "notice"
]

GIST_CHARS = 120
"""Length of the line that says what a tool was asked to do."""

NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was said or done.

    Voices: ``user`` asks the agent, or a subagent; ``input`` is what it was given later, such as
    the text of a skill; ``thinking`` and ``agent`` are the model's; ``answer`` was handed back,
    where that was no last word; a ``subagent`` begins; a ``notice`` is about the session.
    """

    voice: Voice
    depth: int
    text: str = ""
    name: str = ""
    gist: str = ""
    inputs: Json = None
    outputs: Json = None
    status: Status = "OK"
    message: str = ""
    seconds: float | None = None
    span_id: str = ""


_Step: TypeAlias = tuple[Span | Remark, int]


def dialogue(spans: Sequence[Span]) -> Iterator[Remark]:
    """The conversation that the spans of one trace tell, in order.

    Root first, each parent before its children. What a trace holds twice is told once: a prompt
    also opens the first call, an answer ends the last; both are compared within one agent's
    conversation, word for word, JSON by what it holds.
    """
    under: dict[str | None, list[Span]] = {}
    kinds: dict[str | None, str] = {span.span_id: span.kind for span in spans}
    for span in spans:
        under.setdefault(span.parent_id, []).append(span)
    asked, said = dict[int, str](), dict[int, str]()  # by depth
    # a stack, for subagents of subagents may go deeper than Python's calls
    pending: list[_Step] = [(span, 0) for span in reversed(under.get(None, []))]
    while pending:
        step, depth = pending.pop()
        if isinstance(step, Span):
            opened = _open(step, under.get(step.span_id, []), depth, kinds.get(step.parent_id))
            pending += reversed(list(opened))
            continue
        text = unformatted(step.text)
        if step.voice == "user":
            asked[depth], said[depth] = text, ""
        elif step.voice == "agent":
            said[depth] = text
        is_input_again = step.voice == "input" and asked.pop(depth, None) == text
        if not (is_input_again or (step.voice == "answer" and said.get(depth) == text)):
            yield step


def unformatted(text: str) -> str:
    """The text, without what differs only in how JSON was written down."""
    try:
        return canonical(json.loads(text))
    except (ValueError, RecursionError):
        return text.strip()


def as_told(spans: Sequence[Span]) -> Iterator[Span]:
    """The spans that a stranger recorded, in the form in which :func:`dialogue` tells them.

    Whatever stands at the top counts as the agent, with the question, the turns before it and the
    answer; of a call of a model there are the words that it gave. Each parent before its children.
    """
    for span in spans:
        if "evalkit.agent" in span.attributes or "evalkit.time" in span.attributes:
            yield span
        elif span.parent_id is None:
            turned = [turn for turn in turns(span.inputs) if turn.role in {"user", "assistant"}]
            first, *others = turned or [Message("user", question(span.inputs))]
            said = answer(span.outputs) or None
            yield replace(span, kind="AGENT", inputs=first.text or None, outputs=said)
            for number, turn in enumerate(others, 1):
                is_user, start = turn.role == "user", span.start_ns
                given = {"messages": [{"role": "user", "content": turn.text}] if is_user else []}
                came = {"content": [] if is_user else [{"type": "text", "text": turn.text}]}
                name = f"{span.span_id}-{number}"
                yield Span(name, span.span_id, "earlier turn", "LLM", start, start, given, came)
        elif span.kind == "LLM":
            # which tools it calls, their own spans say
            is_call = any(turn.is_call for turn in turns(span.outputs))
            content = list_of(mapping_of(span.outputs).get("content"))
            if not content or not all("type" in mapping_of(block) for block in content):
                content = [] if is_call else [{"type": "text", "text": answer(span.outputs)}]
            yield replace(span, inputs={"messages": []}, outputs={"content": content})
        else:
            yield replace(span, kind="CHAIN") if span.kind == "AGENT" else span


def _open(span: Span, children: Sequence[Span], depth: int, above: str | None) -> Iterator[_Step]:
    """A span's own remarks and the spans under it, in the order they are to be read."""
    if span.kind == "AGENT":
        yield from _agent(span, children, depth, above)
    elif span.kind == "TOOL":
        is_timed = span.attributes.get("evalkit.time") != "inferred"
        yield (
            Remark(
                "tool",
                depth,
                name=span.name,
                gist=gist(span.inputs),
                inputs=span.inputs,
                outputs=span.outputs,
                status=span.status,
                message=span.message,
                seconds=(span.end_ns - span.start_ns) / NANOSECONDS if is_timed else None,
                span_id=span.span_id,
            ),
            depth,
        )
        yield from ((child, depth + 1) for child in children)
    elif span.kind == "LLM":
        yield from _call(span, children, depth)
    elif children:
        calls = [child for child in children if child.kind == "LLM"][:1]
        others = [child for child in children if child not in calls]
        yield from _call(calls[0], others, depth) if calls else ((each, depth) for each in others)
    else:
        yield from _said("notice", span, depth, _words(span.outputs))


def _agent(span: Span, children: Sequence[Span], depth: int, above: str | None) -> Iterator[_Step]:
    if above == "TOOL":
        about = text_of(span.attributes.get("evalkit.subagent.description"))
        yield Remark("subagent", depth, about, span.name, span_id=span.span_id), depth
    elif above == "AGENT":
        yield from _said("notice", span, depth, span.name)
    is_one = not any(child.kind == "AGENT" for child in children)  # else a log of several sessions
    if is_one and (asked := _words(span.inputs)).strip():
        is_text = not isinstance(span.inputs, dict) or plain_text(span.inputs)
        fields = None if is_text else span.inputs
        yield Remark("user", depth, asked, span.name, inputs=fields, span_id=span.span_id), depth
    yield from ((child, depth) for child in children)
    if is_one:
        yield from _said("answer", span, depth, _words(span.outputs))
        yield from _said("notice", span, depth, span.message, status=span.status)


def _call(span: Span, tools: Sequence[Span], depth: int) -> Iterator[_Step]:
    """One message of the model, with the tools that it asked for in their places."""
    for message in list_of(mapping_of(span.inputs).get("messages")):
        yield from _said("input", span, depth, plain_text(mapping_of(message).get("content")))
    waiting = {text_of(t.attributes.get("evalkit.tool_use_id")) or t.span_id: t for t in tools}
    content = mapping_of(span.outputs).get("content")
    if not isinstance(content, list):
        content = [{"type": "text", "text": _words(span.outputs if content is None else content)}]
    for block in filter(None, map(mapping_of, content)):
        kind = block.get("type")
        if kind == "tool_use":
            if tool := waiting.pop(text_of(block.get("id")), None):
                yield tool, depth
        elif kind == "thinking":
            yield from _said("thinking", span, depth, text_of(block.get("thinking")))
        else:
            yield from _said("agent", span, depth, text_of(block.get("text")))
    if span.status == "ERROR":
        yield from _said("notice", span, depth, span.message, status="ERROR")
    yield from ((tool, depth) for tool in waiting.values())


def _said(
    voice: Voice, span: Span, depth: int, text: str, status: Status = "OK"
) -> Iterator[_Step]:
    if text.strip():
        yield Remark(voice, depth, text, span.name, status=status, span_id=span.span_id), depth


def gist(inputs: Json) -> str:
    """The first text that a tool was given, in a line, such as its command or file."""
    texts = [inputs, *mapping_of(inputs).values()]
    return truncate(next((text for text in texts if text_of(text).strip()), ""), GIST_CHARS)


def _words(value: Json) -> str:
    """A prompt or an answer as text."""
    if value is None:
        return ""
    return text_of(value) or plain_text(value) or canonical(value)
