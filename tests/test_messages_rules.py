"""The scripted Messages API is as strict as the real one: what it refuses, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from messages_rules import NEWEST, Limits, complaint, signature_of

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


def refused(*messages: dict[str, Any], **more: Any) -> str:
    body = {"model": "m", "max_tokens": 9, "messages": list(messages) or [USER], **more}
    return complaint(body, "2023-06-01", Limits(), [])


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [USER, USER],  # consecutive ones of one role are one
        [USER, model(text()), USER],
        [USER, model(THOUGHT, text(), call()), user(result(), text("And now?"))],
        [USER, model(call("a"), call("b")), user(result("b"), result("a"))],
        [USER, model(call("a"), call("b")), user(result("b")), user(result("a"))],
        [USER, model(call()), user(result(content=[text()])), model(call("b")), user(result("b"))],
        [USER, model(call()), user(result(content=""))],
        [USER, model(call()), user(result(is_error=True, **MARK))],
    ],
)
def test_a_sound_conversation_is_accepted(messages: list[dict[str, Any]]) -> None:
    assert refused(*messages) == ""


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([model(text()), USER], "first message must use"),
        ([USER, {"role": "system", "content": "Hi."}], "Input should be 'user' or 'assistant'"),
        ([{"role": "user", "content": ""}], "non-empty content"),
        ([{"role": "user", "content": []}], "non-empty content"),
        ([{"role": "user", "content": " \n"}], "non-whitespace"),
        ([user(text(""))], "text content blocks must be non-empty"),
        ([USER, model(), USER], "non-empty content"),
        ([USER, model(text())], "does not support assistant message prefill"),
        ([USER, model(call())], "without `tool_result` blocks"),
        ([USER, model(call()), USER], "without `tool_result` blocks"),
        ([USER, model(call("a"), call("b")), user(result("a"))], "immediately after: b"),
        ([USER, model(call()), user(text(), result())], "without `tool_result` blocks"),
        ([USER, model(call()), user(result(), result())], "a single result"),
        ([USER, model(call()), user(result(), result("z"))], "unexpected `tool_use_id`"),
        ([USER, model(text()), user(result())], "unexpected `tool_use_id`"),
        ([USER, model(call(), call()), user(result())], "ids must be unique"),
        ([USER, model(call()), user(result()), model(call()), user(result())], "must be unique"),
        ([USER, model(call("a b")), user(result("a b"))], "should match pattern"),
        ([USER, model(call(input="{}")), user(result())], "valid dictionary"),
        ([USER, model(call()), user(result(content="", is_error=True))], "cannot be empty if"),
        ([USER, model(call()), user(result(content=[text("")]))], "must be non-empty"),
        ([USER, model(call()), user(result(content=[call()]))], "not expected in a tool_result"),
        ([USER, model(call()), user(result(content=7))], "valid string or list"),
        ([USER, model(result()), USER], "not expected in a assistant message"),
        ([user(call())], "not expected in a user message"),
        ([USER, model({**THOUGHT, "thinking": "Ha."}, text()), USER], "Invalid `signature`"),
        ([USER, model({**THOUGHT, **MARK}, text()), USER], "Extra inputs"),
        ([user(*[text(**MARK) for _ in range(5)])], "A maximum of 4 blocks"),
        ([user(text(cache_control={"type": "forever"}))], "cache_control: invalid"),
    ],
)
def test_an_unsound_conversation_is_refused(messages: list[dict[str, Any]], says: str) -> None:
    assert says in refused(*messages)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"tools": [TOOL]}, ""),
        ({"system": "Be brief.", "stream": True}, ""),
        ({"system": [text(**MARK)], "tools": [{**TOOL, **MARK}], **MARK}, ""),
        ({"tools": [TOOL, TOOL]}, "must be unique"),
        ({"tools": [{**TOOL, "name": "two words"}]}, "should match pattern"),
        ({"tools": [{**TOOL, "input_schema": {}}]}, "input_schema.type: Field required"),
        (
            {"tools": [{**TOOL, "input_schema": {"type": "object", "properties": {"a": 1}}}]},
            "JSON schema is invalid",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "Extra inputs"),
        ({"system": [text("")]}, "non-empty"),
        ({"system": 7}, "valid string"),
        ({"max_tokens": 0}, "max_tokens: Field required"),
        ({"max_tokens": 128_001}, "128001 > 128000, which is the maximum"),
        ({"model": ""}, "model: Field required"),
        ({"messages": []}, "at least one message"),
        ({"betas": ["x"]}, "betas: Extra inputs"),
        ({"messages": [{"role": "user", "content": "word " * 200_000}]}, "prompt is too long"),
    ],
)
def test_the_rest_of_a_request_is_looked_at_too(more: dict[str, Any], says: str) -> None:
    assert says in refused(USER, **more)
    assert bool(says) == bool(refused(USER, **more))


def test_the_newest_version_knows_no_temperature() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [USER], "temperature": 0}
    assert complaint(body, "2023-06-01", Limits(), []) == ""
    assert "temperature" in complaint(body, NEWEST, Limits(), [])
    assert "anthropic-version" in complaint(body, "", Limits(), [])


def test_a_gateway_without_a_cache_names_what_it_does_not_know() -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [user(text(**MARK))]}
    complains = complaint(body, "2023-06-01", Limits(caching=False), [])
    assert complains == "messages.0.content.0.cache_control: Extra inputs are not permitted"


def test_only_what_paused_may_be_gone_on_with() -> None:
    paused = [text("Still at it.")]
    body = {"model": "m", "max_tokens": 9, "messages": [USER, model(*paused)]}
    assert complaint(body, "2023-06-01", Limits(), [paused]) == ""
    assert "prefill" in complaint(body, "2023-06-01", Limits(), [])
