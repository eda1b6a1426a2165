"""The words of a trace in whatever form strangers record them; knows no store and no page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.core.content import list_of, mapping_of, plain_text, text_of
from evalkit.core.spans import Span
from evalkit.core.values import Json, canonical

_SPEAKERS = {
    "user": ("user", "human", "humanmessage", "humanmessagechunk"),
    "assistant": ("assistant", "ai", "aimessage", "aimessagechunk", "model"),
    "system": ("system", "systemmessage", "developer"),
    "tool": ("tool", "toolmessage", "function", "function_call_output"),
}
ROLES = {name: role for role, names in _SPEAKERS.items() for name in names}
"""Who speaks in OpenAI's, Anthropic's, Google's and LangChain's messages, in one word each."""

ASKED = (
    *("question", "query", "user_query", "user_input", "user_message", "prompt", "message"),
    *("input", "inputs", "request", "text", "content", "task", "instruction", "goal", "q"),
)
"""Names under which a request has its words, the most telling first."""

ANSWERED = (
    *("final_answer", "answer", "output_text", "response", "reply", "completion", "output"),
    *("outputs", "result", "summary", "content", "text", "message", "generations"),
)
"""Names under which an answer has its words, the most telling first."""

DEPTH = 6
"""Levels within which messages and words are looked for."""

_SYSTEM = ("system", "instructions", "system_prompt", "system_instruction", "systemInstruction")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation.

    Attributes:
        role: ``user``, ``assistant``, ``system`` or ``tool``.
        text: Its words; of an assistant that only calls tools, which and with what.
        is_call: Whether it only calls tools.
    """

    role: str
    text: str
    is_call: bool = False


def turns(value: Json) -> tuple[Turn, ...]:
    """The messages that a span's inputs or outputs hold, wherever in them; empty without any.

    Where they are only the history of a question that stands beside them, that is the last turn.
    """
    found = tuple(turn for each in _messages(value, DEPTH) if (turn := _turn(each)).text)
    beside = {name: each for name, each in mapping_of(value).items() if "history" not in name}
    if found and len(beside) < len(mapping_of(value)) and not _messages(beside, DEPTH):
        words = _words(beside, ASKED, DEPTH)[1]
        return (*found, Turn("user", words)) if words else found
    return found


def conversation(inputs: Json, outputs: Json) -> tuple[Turn, ...]:
    """All turns of a request and its answer, in order, each once.

    Args:
        inputs: What the agent was given: a state with messages, a text, fields by name.
        outputs: What it answered; where that repeats the conversation, only what is new counts.
    """
    asked = turns(inputs) or tuple(Turn("user", text) for text in [question(inputs)] if text)
    answered = turns(outputs)
    if asked and asked[-1] in answered:
        answered = answered[answered.index(asked[-1]) + 1 :]
    if not answered:
        answered = tuple(Turn("assistant", text) for text in [answer(outputs)] if text)
    return (*asked, *answered)


def question(inputs: Json) -> str:
    """The words of a request: its last message of a user, what is named so, else all of it."""
    found = turns(inputs)
    said = [t.text for t in found if t.role == "user"] or [t.text for t in found]
    return said[-1] if said else _words(inputs, ASKED, DEPTH)[1] or _lines(inputs)


def answer(outputs: Json) -> str:
    """The words of an answer: its last message, what is named so, else all of it."""
    said = [turn.text for turn in turns(outputs) if turn.role == "assistant"]
    return said[-1] if said else _words(outputs, ANSWERED, DEPTH)[1] or _lines(outputs)


def system_prompts(inputs: Json) -> list[str]:
    """What a call of a model was told beforehand, of its inputs."""
    told = [turn.text for turn in turns(inputs) if turn.role == "system"]
    own = mapping_of(inputs)
    named = (_content(own[name]) for name in _SYSTEM if own.get(name))
    return list(dict.fromkeys(text for text in (*named, *told) if text.strip()))


def readable(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans in the form in which :mod:`evalkit.core.dialogue` tells a conversation.

    Whatever stands at the top counts as the agent, with the question and the turns before it. A
    call of a model keeps of its messages those that are new, and of its answer the words.

    Args:
        spans: Each parent before its children.
    """
    return tuple(_readable(spans))


# -- spans --------------------------------------------------------------------------------------


def _readable(spans: Sequence[Span]) -> Iterator[Span]:
    known: set[tuple[str, str]] = set()
    tops: set[str] = set()
    for span in spans:
        if "evalkit.agent" in span.attributes or "evalkit.time" in span.attributes:
            yield span
        elif span.parent_id is None:
            tops.add(span.span_id)
            yield from _top(span, known)
        elif span.kind == "LLM":
            yield _call(span, known)
        elif span.kind == "AGENT" and span.parent_id in tops:
            # it is the same agent, called by what a framework puts around it
            tops.add(span.span_id)
            yield replace(span, kind="CHAIN")
        else:
            yield span


def _top(span: Span, known: set[tuple[str, str]]) -> Iterator[Span]:
    """The agent, and a call of a model for each turn that was said before it was called."""
    asked = [turn for turn in turns(span.inputs) if turn.role in {"user", "assistant"}]
    if not asked and span.kind == "AGENT":
        yield span
        return
    asked = asked or [Turn("user", question(span.inputs))]
    known.update((turn.role, turn.text) for turn in asked)
    said = answer(span.outputs) or None
    yield replace(span, kind="AGENT", inputs=asked[0].text or None, outputs=said)
    for number, turn in enumerate(asked[1:], 1):
        is_user = turn.role == "user"
        yield Span(
            f"{span.span_id}-{number}",
            span.span_id,
            "earlier turn",
            "LLM",
            span.start_ns,
            span.start_ns,
            {"messages": [{"role": "user", "content": turn.text}] if is_user else []},
            {"content": [] if is_user else [{"type": "text", "text": turn.text}]},
        )


def _call(span: Span, known: set[tuple[str, str]]) -> Span:
    given = turns(span.inputs) or (Turn("user", question(span.inputs)),)
    new = [t for t in given if t.role != "assistant" and (t.role, t.text) not in known]
    known.update((turn.role, turn.text) for turn in given)
    content = list_of(mapping_of(span.outputs).get("content"))
    if not content or not all("type" in mapping_of(block) for block in content):
        # which tools it calls, their own spans say
        is_call = any(turn.is_call for turn in turns(span.outputs))
        content = [] if is_call else [{"type": "text", "text": answer(span.outputs)}]
    messages = [{"role": turn.role, "content": turn.text} for turn in new]
    return replace(span, inputs={"messages": messages}, outputs={"content": content})


# -- messages -----------------------------------------------------------------------------------


def _messages(value: Json, depth: int) -> list[Json]:
    """The first list of messages in a value, those of the outermost level first."""
    value = _parsed(value)
    if isinstance(value, list):
        if found := [each for each in value if _is_message(each)]:
            return found
        nested = value[:1] if len(value) == 1 else []
    elif isinstance(value, dict):
        if choices := list_of(value.get("choices") or value.get("candidates")):
            first = mapping_of(choices[0])
            return [first.get("message") or first.get("content") or first]
        if _is_message(value):
            return [value]
        nested = sorted(value.values(), key=lambda each: not isinstance(each, list))
    else:
        return []
    inner = (_messages(each, depth - 1) for each in nested if depth and _is_nested(each))
    return next((messages for messages in inner if messages), [])


def _is_nested(value: Json) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and value[:1] in "{[")


def _is_message(value: Json) -> bool:
    if isinstance(value, list):
        return list(map(type, value)) == [str, str] and _role(value) != ""
    fields = _fields(value)
    has_words = any(name in fields for name in ("content", "parts", "tool_calls", "output"))
    return has_words and (_role(fields) != "" or fields.get("type") == "message")


def _fields(value: Json) -> Mapping[str, Json]:
    """A message's fields: LangChain wraps them in ``kwargs`` or ``data``."""
    fields = mapping_of(value)
    inner = mapping_of(fields.get("kwargs")) or mapping_of(fields.get("data"))
    if "content" not in inner:
        return fields
    kind = list_of(fields.get("id"))[-1:] or [fields.get("type")]
    return {"type": kind[0], **inner}


def _role(message: Json) -> str:
    if isinstance(message, list):
        return ROLES.get(str(message[0]).casefold(), "")
    fields = mapping_of(message)
    named = (text_of(fields.get(name)).casefold() for name in ("role", "type"))
    return next((ROLES[name] for name in named if name in ROLES), "")


def _turn(message: Json) -> Turn:
    if isinstance(message, list):
        return Turn(_role(message), str(message[1]))
    fields = _fields(message)
    held = next((fields[n] for n in ("content", "parts", "output") if fields.get(n)), None)
    if words := _content(held):
        return Turn(_role(fields) or "assistant", words)
    calls = [_called(each) for each in list_of(fields.get("tool_calls"))]
    return Turn(_role(fields) or "assistant", "\n".join(calls), is_call=bool(calls))


def _called(call: Json) -> str:
    fields = mapping_of(call)
    function = mapping_of(fields.get("function")) or fields
    given = function.get("arguments", function.get("args"))
    words = given if isinstance(given, str) else canonical(given)
    return f"{function.get('name') or 'a tool'}({words})"


def _content(content: Json) -> str:
    """The words of a message's content: text, or blocks and parts of any provider."""
    if isinstance(content, dict):
        return _content(content.get("parts") or content.get("text") or content.get("content"))
    if words := plain_text(content):
        return words
    items = list_of(content)
    return "\n".join(each for each in items if isinstance(each, str)) or (
        canonical(items) if items else ""
    )


# -- words --------------------------------------------------------------------------------------


def _parsed(value: Json) -> Json:
    """A text that is JSON as what it holds."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _words(value: Json, names: Sequence[str], depth: int) -> tuple[bool, str]:
    """The words of a value, and whether they are named so; of a list the last, else all."""
    value = _parsed(value)
    if isinstance(value, str):
        return False, value
    if not depth or not isinstance(value, dict | list):
        return False, ""
    if isinstance(value, list):
        said = [words for each in value if (words := _words(each, names, depth - 1))[1]]
        return said[-1] if said else (False, "")
    held = {name: words for name in value if (words := _words(value[name], names, depth - 1))[1]}
    if named := next((name for name in names if name in held), ""):
        return True, held[named][1]
    if deeper := [words for is_named, words in held.values() if is_named]:
        return True, max(deeper, key=len)
    if len(held) <= 1:
        return held.popitem()[1] if held else (False, "")
    told = ((name, held[name][1] if name in held else canonical(value[name])) for name in value)
    return False, "\n".join(f"{name}: {words}" for name, words in told)


def _lines(value: Json) -> str:
    """A value as text: an object field by field, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text_of(v) or canonical(v)}" for name, v in value.items())
    return canonical(value)
