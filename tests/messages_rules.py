"""What the real Messages API refuses in a request: a schema, and what no schema can say."""

import hashlib
import json
from dataclasses import dataclass

from jsonschema import Draft202012Validator

CHARS_A_TOKEN = 4
NO_RESULTS = "`tool_use` ids were found without `tool_result` blocks immediately after"
EXTRA = "Extra inputs are not permitted"


@dataclass(frozen=True)
class Limits:
    """What a provider of Claude can do: its features, and the tokens that it reads and writes."""

    structured: bool = True
    caching: bool = True
    thinking: bool = True
    context: int = 200_000
    output: int = 128_000


TEXT = {"type": "string", "pattern": r"\S"}
NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,128}$"}
MARK = {"properties": {"type": {"const": "ephemeral"}}}


def block(kind, **fields):
    fields |= {"type": {"const": kind}}
    return {"required": [*fields], "properties": {**fields, "cache_control": MARK}}


def message(role, *blocks):
    some = {"type": "array", "minItems": 1, "items": {"anyOf": [*blocks]}}
    of = {"role": {"const": role}, "content": {"anyOf": [TEXT, some]}}
    return {"properties": of, "required": ["role", "content"], "additionalProperties": False}


WORDS = block("text", text=TEXT)
RESULT = block("tool_result", tool_use_id=NAME) | {
    "if": {"required": ["is_error"], "properties": {"is_error": {"const": True}}},
    "then": {"required": ["content"], "properties": {"content": {"minLength": 1, "minItems": 1}}},
}
USER = message("user", WORDS, RESULT, block("image"), block("document"))
CALL = block("tool_use", id=NAME, input={"type": "object"})
THOUGHT = block("thinking", signature=TEXT) | {"not": {"required": ["cache_control"]}}
HIDDEN = block("redacted_thinking") | {"not": {"required": ["cache_control"]}}
ARGUMENTS = {
    "$ref": "https://json-schema.org/draft/2020-12/schema",
    "required": ["type"],
    "properties": {"type": {"const": "object"}},
}
TOOL = {
    "required": ["name", "input_schema"],
    "properties": {"name": NAME, "input_schema": ARGUMENTS, "cache_control": MARK}
    | {name: {} for name in ("description", "strict")},
    "additionalProperties": False,
}
FREE = "metadata output_config stop_sequences temperature thinking tool_choice top_k top_p stream"
REQUEST = {
    "required": ["model", "max_tokens", "messages"],
    "properties": {
        "model": TEXT,
        "max_tokens": {"type": "integer", "minimum": 1},
        "system": {"anyOf": [TEXT, {"type": "array", "items": WORDS}]},
        "tools": {"type": "array", "items": TOOL},
        "messages": {
            "type": "array",
            "minItems": 1,
            "prefixItems": [USER],
            "items": {"anyOf": [USER, message("assistant", WORDS, CALL, THOUGHT, HIDDEN)]},
        },
        "cache_control": MARK,
    }
    | {name: {} for name in FREE.split()},
    "additionalProperties": False,
}


def signature_of(thinking):
    """The signature of a thinking block: whoever changes the thinking cannot make it."""
    return hashlib.sha256(f"signed {thinking}".encode()).hexdigest()


def complaint(body, version, limits, paused):
    """What the API has against a request; empty where nothing.

    Only after an answer that paused (their contents: ``paused``) may the assistant's come last.
    """
    if not version:
        return "anthropic-version: header is required"
    for error in Draft202012Validator(REQUEST).iter_errors(body):
        return f"{error.json_path}: {error.validator}"
    return next(_complaints(body, limits, paused), "")


def _complaints(body, limits, paused):
    messages, tools = body["messages"], body.get("tools", [])
    blocks = [each for m in messages if isinstance(m["content"], list) for each in m["content"]]
    yield from _features(body, [body, *tools, *blocks, *body.get("system", ())], limits)
    for each in blocks:
        if each["type"] == "thinking" and each["signature"] != signature_of(each["thinking"]):
            yield "messages: Invalid `signature` in `thinking` block"
    if len({tool["name"] for tool in tools}) < len(tools):
        yield "tools: Tool names must be unique."
    yield from _calls_and_results(messages)
    if messages[-1]["role"] == "assistant" and messages[-1]["content"] not in paused:
        yield "This model does not support assistant message prefill."
    count = len(json.dumps([body.get("system"), tools, messages])) // CHARS_A_TOKEN
    if count > limits.context:
        yield f"prompt is too long: {count} tokens > {limits.context} maximum"


def _features(body, blocks, limits):
    marked = sum(isinstance(each, dict) and "cache_control" in each for each in blocks)
    if marked > 4 or (marked and not limits.caching):
        yield f"cache_control: {EXTRA}"
    if body["max_tokens"] > limits.output:
        yield f"max_tokens: the maximum allowed number of output tokens is {limits.output}"
    if "thinking" in body and not limits.thinking:
        yield "adaptive thinking is not supported on this model"
    form = body.get("output_config", {}).get("format", {})
    if "output_config" in body and not limits.structured:
        yield f"output_config: {EXTRA}"
    elif form and (form.get("type") != "json_schema" or not _is_strict(form.get("schema"))):
        yield "output_config.format: invalid"


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


def _calls_and_results(messages):
    """Every call is answered once, first thing in the next message; those of one role are one."""
    merged = []
    for each in messages:
        content = each["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if merged and merged[-1][0] == each["role"]:
            merged[-1][1].extend(blocks)
        else:
            merged.append((each["role"], list(blocks)))
    waiting, seen = [], set()
    for at, (_, blocks) in enumerate([*merged, ("", [])]):
        results = [each["tool_use_id"] for each in blocks if each["type"] == "tool_result"]
        first = [each.get("tool_use_id") for each in blocks[: len(results)]]
        if missing := [call for call in waiting if call not in first]:
            yield f"messages.{at}: {NO_RESULTS}: {', '.join(missing)}."
        if {*results} - {*waiting} or len(set(results)) < len(results):
            yield f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks"
        waiting = [each["id"] for each in blocks if each["type"] == "tool_use"]
        if len(set(waiting)) < len(waiting) or seen & set(waiting):
            yield f"messages.{at}: `tool_use` ids must be unique"
        seen |= set(waiting)
