"""Traces of an agent at work, as MLflow holds them: whoever recorded them, in whatever form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evalkit.core.content import list_of, mapping_of, plain_text, text_of
from evalkit.core.feedback import Assessment
from evalkit.core.spans import Span, SpanKind, Status
from evalkit.core.values import Json, canonical

KINDS: Mapping[str, SpanKind] = {
    "AGENT": "AGENT",
    "LLM": "LLM",
    "CHAT_MODEL": "LLM",
    "TOOL": "TOOL",
    "RETRIEVER": "TOOL",
}
"""What evalkit takes MLflow's span types for; all others are steps without a kind of their own."""


@dataclass(frozen=True, slots=True)
class ObservedTrace:
    """One request to an agent, and what the agent did about it.

    Attributes:
        trace_id: MLflow's id.
        name: Its name; may be empty.
        start_ms: When it began, milliseconds since the epoch.
        duration_ms: How long it took; None where it is not over, or MLflow does not say.
        status: ERROR where it failed, UNSET where it is not over or does not say.
        request: What was asked, as MLflow's list shows it; at most 1,000 characters.
        response: What was answered, as MLflow's list shows it.
        input_tokens: Tokens that models read, as whoever recorded it counts; None where it does
            not say.
        output_tokens: Tokens that models wrote; None where it does not say.
        cost_usd: What models cost; None where it does not say.
        spans: Each parent before its children, siblings in time.
        unread: Why there are no spans; empty where they are there.
        assessments: What people, models and code said of it and nobody took back, as it came.
        run_id: The run that evalkit logged it under; empty for what others recorded.
    """

    trace_id: str
    name: str
    start_ms: int
    duration_ms: int | None
    status: Status
    request: str = ""
    response: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    spans: tuple[Span, ...] = field(default=(), repr=False)
    unread: str = ""
    assessments: tuple[Assessment, ...] = field(default=(), repr=False)
    run_id: str = ""


def in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans, each parent before its children and siblings in time.

    A span whose parent is not among them is taken for a root.
    """
    known = {span.span_id for span in spans}
    under: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns)):
        is_placed = span.parent_id is None or span.parent_id in known
        rooted = span if is_placed else replace(span, parent_id=None)
        under.setdefault(rooted.parent_id, []).append(rooted)
    walked: list[Span] = []
    pending = list(reversed(under.pop(None, [])))
    while pending:
        span = pending.pop()
        walked.append(span)
        pending += reversed(under.pop(span.span_id, []))
    return tuple(walked)


def readable(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans in the form in which a conversation is told.

    Whatever stands at the top counts as the agent, be it a chain or a single call of a model. A
    call within keeps of its messages those that no call before it was given, and of its answer the
    words.

    Args:
        spans: Each parent before its children.
    """
    return tuple(_told(spans))


def _told(spans: Sequence[Span]) -> Iterator[Span]:
    given: set[str] = set()
    for span in spans:
        if span.parent_id is None and span.kind in {"CHAIN", "LLM"}:
            asked, said = words_asked(span.inputs), words_answered(span.outputs)
            yield replace(span, kind="AGENT", inputs=asked or None, outputs=said or None)
        elif span.kind == "LLM":
            messages = list(_new_messages(span.inputs, given))
            yield replace(span, inputs={"messages": messages}, outputs={"content": _blocks(span)})
        else:
            yield span


def _new_messages(inputs: Json, given: set[str]) -> Iterator[Json]:
    """What the call was given, as messages: only those that were not given before."""
    messages = list_of(mapping_of(inputs).get("messages")) or list_of(inputs)
    if not any(isinstance(message, dict) and "content" in message for message in messages):
        messages = [{"role": "user", "content": words_asked(inputs)}]
    for message in messages:
        key = canonical(message)
        if key not in given and mapping_of(message).get("role") != "assistant":
            yield message
        given.add(key)


def words_asked(inputs: Json) -> str:
    """The words of a request: its only text, its last message, else all of it."""
    if (only := _only_text(inputs)) is not None:
        return only
    messages = list_of(mapping_of(inputs).get("messages"))
    asked = [plain_text(mapping_of(m).get("content")) for m in messages]
    return next((text for text in reversed(asked) if text), "") or _as_lines(inputs)


def words_answered(outputs: Json) -> str:
    """The words of an answer: OpenAI's and Anthropic's forms, one text alone, else all of it."""
    if (only := _only_text(outputs)) is not None:
        return only
    found = mapping_of(outputs)
    choices = list_of(found.get("choices"))
    message = mapping_of(mapping_of(choices[0]).get("message")) if choices else found
    words = plain_text(message.get("content"))
    return words if words or message.get("tool_calls") else _as_lines(outputs)


def _blocks(span: Span) -> list[Json]:
    """A model's answer in Anthropic's blocks; those that it came in stay as they are."""
    content = list_of(mapping_of(span.outputs).get("content"))
    if content and all("type" in mapping_of(block) for block in content):
        return content
    return [{"type": "text", "text": words_answered(span.outputs)}]


def _only_text(value: Json) -> str | None:
    """The text that the value is or holds, where that is all it holds."""
    if value is None or isinstance(value, str):
        return text_of(value)
    inner = list(value.values()) if isinstance(value, dict) else list_of(value)
    held = [each for each in inner if each is not None]
    return held[0] if len(held) == 1 and isinstance(held[0], str) else None


def _as_lines(value: Json) -> str:
    """A value as text: an object field by field, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return "\n".join(
            f"{name}: {text_of(each) or canonical(each)}" for name, each in value.items()
        )
    return canonical(value)
