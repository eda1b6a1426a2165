"""The tools that a model may use: checked arguments in, bounded text out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from evalkit.core.agent.conversation import ToolCall, ToolSpec
from evalkit.core.errors import InputError
from evalkit.core.masking import mask_text
from evalkit.core.values import Json, well_formed

A = TypeVar("A")

MOST_BYTES = 12_000
"""Of a tool's result, as UTF-8."""


class ToolFailed(Exception):
    """What a tool cannot do, and what the model may do instead."""


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        name: Its name.
        description: What it does and when to use it.
        arguments: A dataclass of its arguments.
        run: What it does; raises :class:`ToolFailed` or ``InputError`` where it cannot.
    """

    name: str
    description: str
    arguments: type[Any]
    run: Callable[[Any], str]

    @cached_property
    def spec(self) -> ToolSpec:
        """The tool as a model is told of it."""
        (schema,), parts = msgspec.json.schema_components(
            [self.arguments], ref_template="#/$defs/{name}"
        )
        own = dict(parts.pop(schema["$ref"].rsplit("/", 1)[-1]))
        own.pop("title", None)
        own.pop("description", None)
        return ToolSpec(self.name, self.description, own | ({"$defs": parts} if parts else {}))


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave.

    Attributes:
        text: The result, or what is wrong and what to do instead.
        is_error: Whether it could not do it.
    """

    text: str
    is_error: bool = False


class Toolbox:
    """The tools of one session."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as a model is told of them."""
        return tuple(tool.spec for tool in self._tools.values())

    def run(self, call: ToolCall) -> ToolResult:
        """Use a tool.

        Raises:
            StoreError: MLflow failed; no tool could go on.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(self._tools)
            return ToolResult(f"there is no tool {call.name}; there are {names}", is_error=True)
        try:
            arguments = msgspec.convert(well_formed(dict(call.arguments)), type=tool.arguments)
        except msgspec.ValidationError as error:
            complaint = f"the arguments of {call.name} are wrong: {error}"
            return ToolResult(f"{complaint}; see the tool's schema", is_error=True)
        try:
            return ToolResult(bounded(tool.run(arguments)))
        except ToolFailed as error:
            return ToolResult(bounded(str(error)), is_error=True)
        except InputError as error:
            return ToolResult(bounded("; ".join(map(str, error.problems))), is_error=True)


def bounded(text: str) -> str:
    """The text without secrets, cut where it is too long for a conversation."""
    raw = mask_text(well_formed_text(text))[0].encode()
    if len(raw) <= MOST_BYTES:
        return raw.decode()
    kept = raw[: MOST_BYTES - 100].decode(errors="ignore")
    return f"{kept}\n… cut here: {len(raw) - len(kept.encode()):,} bytes more. Ask for less."


def well_formed_text(text: str) -> str:
    """The text without halves of surrogate pairs."""
    value: Json = well_formed(text)
    return str(value)
