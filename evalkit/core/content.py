"""Reads JSON values of unknown shape, and the text in Anthropic's content blocks."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.jsonable import Json


def text_of(value: Json) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def id_of(value: Json) -> str:
    """The value as an id: logs that went through a terminal have line breaks inside of ids."""
    if not isinstance(value, str):
        return ""
    if value.isprintable() and " " not in value:
        return value
    return "".join(value.split())


def mapping_of(value: Json) -> Mapping[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def plain_text(content: Json) -> str:
    """The text in a message's or a tool result's content, without images and other blocks."""
    if isinstance(content, str):
        return content
    texts = (text_of(mapping_of(block).get("text")) for block in list_of(content))
    return "\n".join(text for text in texts if text)
