"""The words of a trace in whatever form strangers record them; knows no store and no page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.jsonable import Json, canonical, list_of, mapping_of, plain_text, text_of

_SPEAKERS = {
    "user": ("user", "human", "humanmessage", "humanmessagechunk"),
    "assistant": ("assistant", "ai", "aimessage", "aimessagechunk", "model"),
    "system": ("system", "systemmessage", "developer"),
    "tool": ("tool", "toolmessage", "function", "function_call_output"),
}
_ROLES = {name: role for role, names in _SPEAKERS.items() for name in names}
_SYSTEM = ("system", "instructions", "system_prompt", "system_instruction", "systemInstruction")
# names under which a request or an answer has its words, the most telling first
_ASKED = (
    *("question", "query", "user_query", "user_input", "user_message", "prompt", "message"),
    *("input", "inputs", "request", "text", "content", "task", "instruction", "goal", "q"),
)
_ANSWERED = (
    *("final_answer", "answer", "output_text", "response", "reply", "completion", "output"),
    *("outputs", "result", "summary", "content", "text", "message", "generations"),
)
_DEPTH = 6  # levels within which messages and words are looked for


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: ``user``, ``assistant``, ``system`` or ``tool``.
        text: Its words; of an assistant that only calls tools, which and with what.
        is_call: Whether it only calls tools.
    """

    role: str
    text: str
    is_call: bool = False


def turns(value: Json) -> tuple[Message, ...]:
    """The messages that a span's inputs or outputs hold, wherever in them; empty without any.

    Where they are only the history of a question that stands beside them, that is the last turn.
    """
    found = tuple(turn for turn in _messages(value) if turn.text)
    beside = {name: each for name, each in mapping_of(value).items() if "history" not in name}
    if found and len(beside) < len(mapping_of(value)) and not _messages(beside):
        words = _words(beside, _ASKED)[1]
        return (*found, Message("user", words)) if words else found
    return found


def exchange(inputs: Json, outputs: Json) -> tuple[Message, ...]:
    """All turns of a request and its answer, in order, each once."""
    asked = turns(inputs) or tuple(Message("user", text) for text in [question(inputs)] if text)
    answered = turns(outputs)
    if asked and asked[-1] in answered:
        answered = answered[answered.index(asked[-1]) + 1 :]
    said = () if answered else (answer(outputs),)
    return (*asked, *answered, *(Message("assistant", text) for text in said if text))


def question(inputs: Json) -> str:
    """The words of a request: its last message of a user, what is named so, else all of it."""
    return _last(inputs, "user", _ASKED)


def answer(outputs: Json) -> str:
    """The words of an answer: its last message, what is named so, else all of it."""
    return _last(outputs, "assistant", _ANSWERED)


def system_prompts(inputs: Json) -> list[str]:
    """What a call of a model was told beforehand, of its inputs."""
    own = mapping_of(inputs)
    told = [_content(own[name]) for name in _SYSTEM if own.get(name)]
    told += [turn.text for turn in turns(inputs) if turn.role == "system"]
    return list(dict.fromkeys(text for text in told if text.strip()))


def _messages(value: Json, depth: int = _DEPTH) -> list[Message]:
    """The first list of messages in a value, those of the outermost level first."""
    value = _parsed(value)
    if not isinstance(value, dict | list):
        return []
    if isinstance(value, dict):
        if turn := _turn(value):
            return [turn]
        inner = sorted(value.values(), key=lambda each: not isinstance(each, list))
    else:
        if found := [turn for each in list_of(value) if (turn := _turn(each))]:
            return found
        inner = list_of(value)[:1]
    nested = (_messages(each, depth - 1) for each in inner if depth)
    return next((found for found in nested if found), [])


def _turn(message: Json) -> Message | None:
    """A message of OpenAI, Anthropic, Google or LangChain as a turn; None where it is none."""
    if isinstance(message, list):
        name = str(message[0]).casefold() if list(map(type, message)) == [str, str] else ""
        return Message(_ROLES[name], str(message[1])) if name in _ROLES else None
    fields = mapping_of(message)
    inner = mapping_of(fields.get("kwargs")) or mapping_of(fields.get("data"))
    if "content" in inner:  # LangChain wraps its messages
        kind = list_of(fields.get("id"))[-1:] or [fields.get("type")]
        fields = {"type": kind[0], **inner}
    named = (text_of(fields.get(name)).casefold() for name in ("role", "type"))
    role = next((_ROLES[name] for name in named if name in _ROLES), "")
    words = [fields[name] for name in ("content", "parts", "output") if name in fields]
    is_message = role or fields.get("type") == "message" or "tool_calls" in fields
    if not is_message or not (words or "tool_calls" in fields):
        return None
    text = next((text for each in words if (text := _content(each))), "")
    calls = [] if text else [_called(each) for each in list_of(fields.get("tool_calls"))]
    return Message(role or "assistant", text or "\n".join(calls), bool(calls))


def _called(call: Json) -> str:
    function = mapping_of(mapping_of(call).get("function")) or mapping_of(call)
    given = function.get("arguments", function.get("args"))
    words = given if isinstance(given, str) else canonical(given)
    return f"{function.get('name') or 'a tool'}({words})"


def _content(content: Json) -> str:
    """The words of a message's content: text, or blocks and parts of any provider."""
    if isinstance(content, dict):
        return _content(content.get("parts") or content.get("text") or content.get("content"))
    items = list_of(content)
    words = plain_text(content) or "\n".join(each for each in items if isinstance(each, str))
    return words or (canonical(items) if items else "")


def _last(value: Json, role: str, names: Sequence[str]) -> str:
    """The last words of that role, else those that are named so, else all of it as text."""
    if said := [turn.text for turn in turns(value) if turn.role == role]:
        return said[-1]
    words = _words(value, names)[1]
    if words or value in (None, ""):
        return words
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text_of(v) or canonical(v)}" for name, v in value.items())
    return canonical(value)


def _words(value: Json, names: Sequence[str], depth: int = _DEPTH) -> tuple[bool, str]:
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


def _parsed(value: Json) -> Json:
    """A text that is JSON as what it holds."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
