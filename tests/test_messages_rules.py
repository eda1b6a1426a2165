"""The scripted Messages API is as strict as the real one: what it refuses, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from messages_rules import Limits, complaint, signature_of

USER = {"role": "user", "content": "Hello?"}
THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": signature_of("Hm.")}
TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
MARK = {"cache_control": {"type": "ephemeral"}}


def text(words: str = "Hi.", **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def call(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": "look", "input": {}, **more}


def result(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": name, "content": "seen", **more}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def model(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([USER, USER], ""),  # consecutive ones of one role are one
        ([USER, model(THOUGHT, text(), call()), user(result(), text("And now?"))], ""),
        ([USER, model(call("a"), call("b")), user(result("b")), user(result("a"))], ""),
        ([USER, model(call()), user(result(content="", **MARK))], ""),
        ([model(text()), USER], "first message must use"),
        ([USER, {"role": "system", "content": "Hi."}], "Input should be 'user' or 'assistant'"),
        ([{"role": "user", "content": []}], "non-empty content"),
        ([{"role": "user", "content": " \n"}], "non-whitespace"),
        ([user(text(""))], "text content blocks must be non-empty"),
        ([USER, model(text())], "does not support assistant message prefill"),
        ([USER, model(call())], "without `tool_result` blocks"),
        ([USER, model(call("a"), call("b")), user(result("a"))], "immediately after: b"),
        ([USER, model(call()), user(text(), result())], "without `tool_result` blocks"),
        ([USER, model(call()), user(result(), result())], "a single result"),
        ([USER, model(text()), user(result())], "unexpected `tool_use_id`"),
        ([USER, model(call()), user(result()), model(call()), user(result())], "must be unique"),
        ([USER, model(call("a b")), user(result("a b"))], "should match pattern"),
        ([USER, model(call(input="{}")), user(result())], "valid dictionary"),
        ([USER, model(call()), user(result(content="", is_error=True))], "cannot be empty if"),
        ([user(call())], "not expected in a user message"),
        ([USER, model({**THOUGHT, "thinking": "Ha."}, text()), USER], "Invalid `signature`"),
        ([user(*[text(**MARK) for _ in range(5)])], "A maximum of 4 blocks"),
    ],
)
def test_an_unsound_conversation_is_refused(messages: list[dict[str, Any]], says: str) -> None:
    assert_says(says, {"messages": messages})


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"system": [text(**MARK)], "tools": [{**TOOL, **MARK}], "stream": True, **MARK}, ""),
        ({"tools": [TOOL, TOOL]}, "must be unique"),
        ({"tools": [{**TOOL, "name": "two words"}]}, "should match pattern"),
        ({"tools": [{**TOOL, "input_schema": {"type": "object", "properties": 1}}]}, "is invalid"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "Extra inputs"),
        ({"system": [text("")]}, "non-empty"),
        ({"max_tokens": 128_001}, "128001 > 128000, the maximum"),
        ({"betas": ["x"]}, "betas: Extra inputs"),
        ({"messages": [{"role": "user", "content": "word " * 200_000}]}, "prompt is too long"),
    ],
)
def test_the_rest_of_a_request_is_looked_at_too(more: dict[str, Any], says: str) -> None:
    assert_says(says, more)


def assert_says(says: str, more: dict[str, Any]) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], **more}
    said = complaint(body, "2023-06-01", Limits(), [])
    assert says in said
    assert bool(says) == bool(said)
