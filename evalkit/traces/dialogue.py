"""A trace read as a conversation: who said what, which tools ran, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.entities import Span, Status
from evalkit.jsonable import Json, canonical, list_of, mapping_of, plain_text, text_of

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

    Args:
        spans: Root first, each parent before its children; siblings in their order.
    """
    under: dict[str | None, list[Span]] = {}
    kinds: dict[str | None, str] = {span.span_id: span.kind for span in spans}
    for span in spans:
        under.setdefault(span.parent_id, []).append(span)
    echoes = _Echoes()
    # a stack, for subagents of subagents may go deeper than Python's calls
    pending: list[_Step] = [(span, 0) for span in reversed(under.get(None, []))]
    while pending:
        step, depth = pending.pop()
        if isinstance(step, Span):
            opened = _open(step, under.get(step.span_id, []), depth, kinds.get(step.parent_id))
            pending += reversed(list(opened))
        elif not echoes.has(step):
            yield step


class _Echoes:
    """Knows what a trace holds twice: a prompt also opens the first call, an answer ends the last.

    Both are compared within one agent's conversation: word for word, JSON by what it holds.
    """

    def __init__(self) -> None:
        self._asked: dict[int, str] = {}
        self._said: dict[int, str] = {}

    def has(self, remark: Remark) -> bool:
        text, depth = unformatted(remark.text), remark.depth
        match remark.voice:
            case "user":
                self._asked[depth], self._said[depth] = text, ""
            case "agent":
                self._said[depth] = text
            case "input":
                return self._asked.pop(depth, None) == text
            case "answer":
                return self._said.get(depth) == text
        return False


def unformatted(text: str) -> str:
    """The text, without what differs only in how JSON was written down."""
    try:
        return canonical(json.loads(text))
    except (ValueError, RecursionError):
        return text.strip()


def _open(span: Span, children: Sequence[Span], depth: int, above: str | None) -> Iterator[_Step]:
    """A span's own remarks and the spans under it, in the order they are to be read."""
    if span.kind == "AGENT":
        yield from _agent(span, children, depth, above)
    elif span.kind == "TOOL":
        yield _tool(span, depth), depth
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
    if is_one:
        yield from _asked(span, depth)
    yield from ((child, depth) for child in children)
    if is_one:
        yield from _said("answer", span, depth, _words(span.outputs))
        yield from _said("notice", span, depth, span.message, status=span.status)


def _asked(span: Span, depth: int) -> Iterator[_Step]:
    text = _words(span.inputs)
    if text.strip():
        fields = (
            span.inputs if isinstance(span.inputs, dict) and not plain_text(span.inputs) else None
        )
        yield Remark("user", depth, text, span.name, inputs=fields, span_id=span.span_id), depth


def _call(span: Span, tools: Sequence[Span], depth: int) -> Iterator[_Step]:
    """One message of the model, with the tools that it asked for in their places."""
    for message in list_of(mapping_of(span.inputs).get("messages")):
        yield from _said("input", span, depth, plain_text(mapping_of(message).get("content")))
    waiting = {text_of(t.attributes.get("evalkit.tool_use_id")) or t.span_id: t for t in tools}
    for block in _blocks(span.outputs):
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


def _tool(span: Span, depth: int) -> Remark:
    known = span.attributes.get("evalkit.time") != "inferred"
    return Remark(
        "tool",
        depth,
        name=span.name,
        gist=gist(span.inputs),
        inputs=span.inputs,
        outputs=span.outputs,
        status=span.status,
        message=span.message,
        seconds=(span.end_ns - span.start_ns) / NANOSECONDS if known else None,
        span_id=span.span_id,
    )


def _said(
    voice: Voice, span: Span, depth: int, text: str, status: Status = "OK"
) -> Iterator[_Step]:
    if text.strip():
        yield Remark(voice, depth, text, span.name, status=status, span_id=span.span_id), depth


def gist(inputs: Json) -> str:
    """The first text that a tool was given, in a line, such as its command or file."""
    texts = [inputs, *mapping_of(inputs).values()]
    first = next((" ".join(text.split()) for text in texts if text_of(text).strip()), "")
    return first if len(first) <= GIST_CHARS else first[: GIST_CHARS - 1] + "…"


def _blocks(outputs: Json) -> list[dict[str, Json]]:
    content = mapping_of(outputs).get("content")
    if isinstance(content, list):
        return [block for block in content if isinstance(block, dict)]
    return [{"type": "text", "text": _words(outputs if content is None else content)}]


def _words(value: Json) -> str:
    """A prompt or an answer as text."""
    if value is None:
        return ""
    return text_of(value) or plain_text(value) or canonical(value)
