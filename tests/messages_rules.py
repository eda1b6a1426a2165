"""What the real Messages API refuses in a request, and how it says so.

``complaint(body, version, limits)`` gives the message of the 400 that the API would answer with,
or nothing. Kept apart from the server, so that it can be read as a list of rules.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema

NEWEST = "2026-10-21"
CHARS_A_TOKEN = 4

_KNOWN_KEYS = {
    "cache_control",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
}
_SAMPLING = {"temperature", "top_p", "top_k"}
_BLOCKS = {
    "user": {"text", "tool_result", "image", "document"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MOST_MARKS = 4

Block = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What a provider of Claude can do.

    Attributes:
        structured: Whether it knows ``output_config``; old gateways do not.
        caching: Whether it knows ``cache_control``; some gateways do not.
        thinking: Whether it thinks as much as it likes; older models do not.
        context: Tokens that the model reads at most.
        output: Tokens that the model writes at most.
    """

    structured: bool = True
    caching: bool = True
    thinking: bool = True
    context: int = 200_000
    output: int = 128_000


def tokens_of(value: Any) -> int:
    """Roughly as many tokens as the API counts."""
    return len(json.dumps(value)) // CHARS_A_TOKEN


def signature_of(thinking: str) -> str:
    """The signature of a thinking block: whoever changes the thinking cannot make it."""
    return hashlib.sha256(f"signed {thinking}".encode()).hexdigest()


def complaint(body: dict[str, Any], version: str, limits: Limits, paused: list[Any]) -> str:
    """What the API has against a request; empty where nothing.

    Args:
        body: The request.
        version: The header ``anthropic-version``.
        limits: What the provider can do.
        paused: The contents of answers that paused: only after such a one may a conversation end
            with the assistant.
    """
    return next(_complaints(body, version, limits, paused), "")


def _complaints(
    body: dict[str, Any], version: str, limits: Limits, paused: list[Any]
) -> Iterator[str]:
    if not version:
        yield "anthropic-version: header is required"
    yield from _outline(body, version, limits)
    yield from _tools(body.get("tools", []))
    yield from _system(body.get("system", ""))
    yield from _cache_marks(body, limits)
    messages = body["messages"]
    yield from _shapes(messages)
    yield from _calls_and_results(_merged(messages))
    if messages[-1]["role"] == "assistant" and messages[-1]["content"] not in paused:
        yield (
            "This model does not support assistant message prefill. The conversation must end with "
            "a user message."
        )
    count = tokens_of([body.get("system"), body.get("tools"), messages])
    if count > limits.context:
        yield f"prompt is too long: {count} tokens > {limits.context} maximum"


def _outline(body: dict[str, Any], version: str, limits: Limits) -> Iterator[str]:
    for key in sorted(set(body) - _KNOWN_KEYS):
        yield f"{key}: Extra inputs are not permitted"
    if not body.get("model"):
        yield "model: Field required"
    most = body.get("max_tokens")
    if not isinstance(most, int) or most < 1:
        yield "max_tokens: Field required"
    elif most > limits.output:
        yield (
            f"max_tokens: {most} > {limits.output}, which is the maximum allowed number of output "
            f"tokens for {body.get('model')}"
        )
    if version == NEWEST and _SAMPLING & set(body):
        yield "temperature, top_p, top_k: Extra inputs are not permitted"
    yield from _features(body, limits)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages: at least one message is required"
    elif messages[0].get("role") != "user":
        yield 'messages: first message must use the "user" role'


def _features(body: dict[str, Any], limits: Limits) -> Iterator[str]:
    if body.get("thinking") == {"type": "adaptive"} and not limits.thinking:
        yield "adaptive thinking is not supported on this model"
    if "output_config" in body and not limits.structured:
        yield "output_config: Extra inputs are not permitted"
    if _is_bad_format(body.get("output_config")):
        yield "output_config.format: invalid"


def _is_bad_format(config: dict[str, Any] | None) -> bool:
    if config is None:
        return False
    form = config.get("format") or {}
    return form.get("type") != "json_schema" or not _is_strict(form.get("schema"))


def _is_strict(schema: Any) -> bool:
    """Structured output needs objects that name all their keys and allow no others."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(schema.get("properties", {}))
    ):
        return False
    return all(map(_is_strict, schema.values()))


def _tools(tools: list[dict[str, Any]]) -> Iterator[str]:
    names = [tool.get("name") for tool in tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    for at, tool in enumerate(tools):
        where = f"tools.{at}.custom"
        if extra := set(tool) - {"name", "description", "input_schema", "cache_control", "strict"}:
            yield f"{where}: {sorted(extra)}: Extra inputs are not permitted"
        if not isinstance(tool.get("name"), str) or not _TOOL_NAME.fullmatch(tool["name"]):
            yield f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            yield f"{where}.input_schema.type: Field required"
        else:
            try:
                jsonschema.Draft202012Validator.check_schema(schema)
            except jsonschema.SchemaError:
                yield (
                    f"{where}.input_schema: JSON schema is invalid. It must match JSON Schema "
                    "draft 2020-12"
                )


def _system(system: Any) -> Iterator[str]:
    if isinstance(system, list):
        for at, block in enumerate(system):
            if block.get("type") != "text" or not str(block.get("text", "")).strip():
                yield f"system.{at}: text content blocks must be non-empty"
    elif not isinstance(system, str):
        yield "system: Input should be a valid string"


def _cache_marks(body: dict[str, Any], limits: Limits) -> Iterator[str]:
    marked = [(name, tool) for name, tool in _named(body.get("tools"), "tools")]
    marked += _named(body.get("system"), "system")
    for at, message in enumerate(body["messages"]):
        marked += _named(message.get("content"), f"messages.{at}.content")
    marked = [(name, block) for name, block in marked if "cache_control" in block]
    marked += [("", body)] if "cache_control" in body else []
    for name, block in marked:
        where = f"{name}.cache_control".lstrip(".")
        if not limits.caching or block.get("type") in {"thinking", "redacted_thinking"}:
            yield f"{where}: Extra inputs are not permitted"
        mark = block["cache_control"]
        if mark.get("type") != "ephemeral" or mark.get("ttl", "5m") not in {"5m", "1h"}:
            yield f"{where}: invalid"
        if block.get("type") == "text" and not block.get("text"):
            yield f"{where}: cache_control cannot be set for empty text blocks"
    if len(marked) > _MOST_MARKS:
        yield (
            f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. "
            f"Found {len(marked)}."
        )


def _named(blocks: Any, where: str) -> list[tuple[str, Block]]:
    known = blocks if isinstance(blocks, list) else []
    return [(f"{where}.{at}", block) for at, block in enumerate(known) if isinstance(block, dict)]


def _shapes(messages: list[dict[str, Any]]) -> Iterator[str]:
    for at, message in enumerate(messages):
        where = f"messages.{at}"
        role, content = message.get("role"), message.get("content")
        if role not in _BLOCKS:
            yield f"{where}.role: Input should be 'user' or 'assistant'"
        if not content or not isinstance(content, (str, list)):
            yield f"{where}: {role} messages must have non-empty content"
        if isinstance(content, str) and not content.strip():
            yield "messages: text content blocks must contain non-whitespace text"
        for name, block in _named(content, f"{where}.content"):
            if block.get("type") not in _BLOCKS.get(role or "", ()):
                yield f"{name}: Input tag {block.get('type')!r} is not expected in a {role} message"
            yield from _shape(name, block)


def _shape(where: str, block: Block) -> Iterator[str]:
    match block.get("type"):
        case "text" if not str(block.get("text", "")).strip():
            yield "messages: text content blocks must be non-empty"
        case "thinking" if block.get("signature") != signature_of(block.get("thinking", "")):
            yield f"{where}: Invalid `signature` in `thinking` block"
        case "tool_use":
            if not _TOOL_ID.fullmatch(str(block.get("id", ""))):
                yield f"{where}.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            if not _TOOL_NAME.fullmatch(str(block.get("name", ""))):
                yield f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            if not isinstance(block.get("input"), dict):
                yield f"{where}.input: Input should be a valid dictionary"
        case "tool_result":
            yield from _result_shape(where, block)


def _result_shape(where: str, block: Block) -> Iterator[str]:
    content = block.get("content", "")
    if not isinstance(content, (str, list)):
        yield f"{where}.content: Input should be a valid string or list"
    if not content and block.get("is_error"):
        yield f"{where}: content cannot be empty if `is_error` is true"
    for name, inner in _named(content, f"{where}.content"):
        if inner.get("type") not in {"text", "image"}:
            yield f"{name}: Input tag {inner.get('type')!r} is not expected in a tool_result"
        if inner.get("type") == "text" and not inner.get("text"):
            yield "messages: text content blocks must be non-empty"


def _merged(messages: list[dict[str, Any]]) -> list[tuple[str, list[Block]]]:
    """The messages as the API reads them: consecutive ones of one role are one."""
    merged: list[tuple[str, list[Block]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if merged and merged[-1][0] == message["role"]:
            merged[-1][1].extend(blocks)
        else:
            merged.append((message["role"], list(blocks)))
    return merged


def _calls_and_results(messages: list[tuple[str, list[Block]]]) -> Iterator[str]:
    """Every call of a tool is answered once, at the beginning of the very next message."""
    open_calls: list[str] = []
    seen: set[str] = set()
    for at, (_, blocks) in enumerate(messages):
        results = [b.get("tool_use_id", "") for b in blocks if b.get("type") == "tool_result"]
        first = [b.get("tool_use_id", "") for b in _leading_results(blocks)]
        if missing := [call for call in open_calls if call not in first]:
            yield (
                f"messages.{at}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}."
            )
        if stray := [result for result in results if result not in open_calls]:
            yield (
                f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{', '.join(stray)}."
            )
        if len(set(results)) < len(results):
            yield f"messages.{at}: each tool_use must have a single result"
        open_calls = [b["id"] for b in blocks if b.get("type") == "tool_use"]
        if len(set(open_calls)) < len(open_calls) or seen & set(open_calls):
            yield f"messages.{at}: `tool_use` ids must be unique"
        seen |= set(open_calls)
    if open_calls:
        yield (
            f"messages: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(open_calls)}."
        )


def _leading_results(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.get("type") != "tool_result":
            return
        yield block
