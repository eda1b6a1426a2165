"""What the real Messages API refuses in a request, and how it says so, as a list of rules."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import jsonschema

CHARS_A_TOKEN = 4
KNOWN_KEYS = {
    *("cache_control", "max_tokens", "messages", "metadata", "model", "output_config", "stream"),
    *("stop_sequences", "system", "temperature", "thinking", "tool_choice", "tools", "top_k"),
    "top_p",
}
TOOL_KEYS = {"name", "description", "input_schema", "cache_control", "strict"}
BLOCKS = {
    "user": {"text", "tool_result", "image", "document"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
NO_RESULTS = "`tool_use` ids were found without `tool_result` blocks immediately after"
EXTRA = "Extra inputs are not permitted"

Block = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What a provider of Claude can do: its features, and the tokens that it reads and writes."""

    structured: bool = True
    caching: bool = True
    thinking: bool = True
    context: int = 200_000
    output: int = 128_000


def signature_of(thinking):
    """The signature of a thinking block: whoever changes the thinking cannot make it."""
    return hashlib.sha256(f"signed {thinking}".encode()).hexdigest()


def complaint(body, version, limits, paused):
    """What the API has against a request; empty where nothing.

    Only after an answer that paused (their contents: ``paused``) may the assistant's come last.
    """
    return next(_complaints(body, version, limits, paused), "")


def _complaints(body, version, limits, paused):
    if not version:
        yield "anthropic-version: header is required"
    yield from _outline(body, limits)
    yield from _tools(body.get("tools", []))
    messages, system = body["messages"], body.get("system", "")
    blocks = list(_named(system, "system"))
    if any(not str(block.get("text", "")).strip() for _, block in blocks):
        yield "system: text content blocks must be non-empty"
    elif not isinstance(system, str | list):
        yield "system: Input should be a valid string"
    yield from _cache_marks([*blocks, *_named(body.get("tools"), "tools")], body, limits)
    for at, message in enumerate(messages):
        yield from _shapes(f"messages.{at}", message.get("role"), message.get("content"))
    yield from _calls_and_results(messages)
    if messages[-1]["role"] == "assistant" and messages[-1]["content"] not in paused:
        yield "This model does not support assistant message prefill."
    count = len(json.dumps([system, body.get("tools"), messages])) // CHARS_A_TOKEN
    if count > limits.context:
        yield f"prompt is too long: {count} tokens > {limits.context} maximum"


def _outline(body, limits):
    yield from (f"{key}: {EXTRA}" for key in sorted(set(body) - KNOWN_KEYS))
    most, messages = body.get("max_tokens"), body.get("messages")
    if not body.get("model"):
        yield "model: Field required"
    if not isinstance(most, int) or most < 1:
        yield "max_tokens: Field required"
    elif most > limits.output:
        yield f"max_tokens: {most} > {limits.output}, the maximum allowed number of output tokens"
    if "thinking" in body and not limits.thinking:
        yield "adaptive thinking is not supported on this model"
    form = body.get("output_config", {}).get("format", {})
    if "output_config" in body and not limits.structured:
        yield f"output_config: {EXTRA}"
    elif form and (form.get("type") != "json_schema" or not _is_strict(form.get("schema"))):
        yield "output_config.format: invalid"
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
    elif messages[0].get("role") != "user":
        yield 'messages: first message must use the "user" role'


def _is_strict(schema):
    """Structured output needs objects that name all their keys and allow no others."""
    if not isinstance(schema, list | dict):
        return True
    is_object = isinstance(schema, dict) and schema.get("type") == "object"
    if is_object and set(schema.get("required", ())) != set(schema.get("properties", {})):
        return False
    if is_object and schema.get("additionalProperties") is not False:
        return False
    return all(map(_is_strict, schema.values() if isinstance(schema, dict) else schema))


def _tools(tools):
    if len({tool.get("name") for tool in tools}) < len(tools):
        yield "tools: Tool names must be unique."
    for at, tool in enumerate(tools):
        where, schema = f"tools.{at}.custom", tool.get("input_schema")
        if set(tool) - TOOL_KEYS:
            yield f"{where}: {EXTRA}"
        if not NAME.fullmatch(str(tool.get("name"))):
            yield f"{where}.name: String should match pattern"
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield f"{where}.input_schema.type: Field required"
        elif not jsonschema.Draft202012Validator(
            jsonschema.Draft202012Validator.META_SCHEMA
        ).is_valid(schema):
            yield f"{where}.input_schema: JSON schema is invalid"


def _cache_marks(named, body, limits):
    for at, message in enumerate(body["messages"]):
        named += _named(message.get("content"), f"messages.{at}.content")
    marked = [(where, block) for where, block in named if "cache_control" in block]
    marked += [("", body)] if "cache_control" in body else []
    for name, block in marked:
        where = f"{name}.cache_control".lstrip(".")
        if not limits.caching or block.get("type") in {"thinking", "redacted_thinking"}:
            yield f"{where}: {EXTRA}"
        if block["cache_control"].get("type") != "ephemeral":
            yield f"{where}: invalid"
    if len(marked) > 4:
        yield "A maximum of 4 blocks with cache_control may be provided."


def _named(blocks, where):
    for at, block in enumerate(blocks if isinstance(blocks, list) else []):
        yield f"{where}.{at}", block


def _shapes(where, role, content):
    if role not in BLOCKS:
        yield f"{where}.role: Input should be 'user' or 'assistant'"
    if not content or not isinstance(content, str | list):
        yield f"{where}: {role} messages must have non-empty content"
    if isinstance(content, str) and not content.strip():
        yield "messages: text content blocks must contain non-whitespace text"
    for name, block in _named(content, f"{where}.content"):
        if block.get("type") not in BLOCKS.get(role or "", ()):
            yield f"{name}: Input tag {block.get('type')!r} is not expected in a {role} message"
        yield from _shape(name, block)


def _shape(name, block):
    match block.get("type"):
        case "text" if not str(block.get("text", "")).strip():
            yield "messages: text content blocks must be non-empty"
        case "thinking" if block.get("signature") != signature_of(block["thinking"]):
            yield f"{name}: Invalid `signature` in `thinking` block"
        case "tool_use" if not NAME.fullmatch(str(block.get("id", ""))):
            yield f"{name}.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        case "tool_use" if not isinstance(block.get("input"), dict):
            yield f"{name}.input: Input should be a valid dictionary"
        case "tool_result" if not isinstance(block.get("content", ""), str | list):
            yield f"{name}.content: Input should be a valid string or list"
        case "tool_result" if block.get("is_error") and not block.get("content"):
            yield f"{name}: content cannot be empty if `is_error` is true"


def _calls_and_results(messages):
    """Every call is answered once, first thing in the next message; those of one role are one."""
    merged = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if merged and merged[-1][0] == message["role"]:
            merged[-1][1].extend(blocks)
        else:
            merged.append((message["role"], list(blocks)))
    waiting, seen = list[str](), set[str]()
    for at, (_, blocks) in enumerate([*merged, ("", [])]):
        results = [b["tool_use_id"] for b in blocks if b.get("type") == "tool_result"]
        first = [b.get("tool_use_id") for b in blocks[: len(results)]]
        if missing := [call for call in waiting if call not in first]:
            yield f"messages.{at}: {NO_RESULTS}: {', '.join(missing)}."
        if {*results} - {*waiting}:
            yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks"
        if len(set(results)) < len(results):
            yield f"messages.{at}: each tool_use must have a single result"
        waiting = [b["id"] for b in blocks if b.get("type") == "tool_use"]
        if len(set(waiting)) < len(waiting) or seen & set(waiting):
            yield f"messages.{at}: `tool_use` ids must be unique"
        seen |= set(waiting)
