"""A conversation as the rules hear it: what they were told, and what their tools gave so far."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalkit.core.agent.conversation import Message
from evalkit.core.content import list_of, mapping_of, plain_text
from evalkit.core.values import Json

_FACTS = re.compile(r"^```json\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_MORE = re.compile(r"\n… [\d,]+ characters more; offset=(\d+)\s*$")


@dataclass(frozen=True, slots=True)
class Use:
    """A tool's use in this conversation.

    Attributes:
        name: The tool.
        arguments: What it was given.
        text: What it gave.
        failed: Whether it could not do it.
    """

    name: str
    arguments: Mapping[str, Json]
    text: str
    failed: bool

    @property
    def json(self) -> Mapping[str, Json]:
        """The object that it gave; empty where it gave none."""
        try:
            value, _ = json.JSONDecoder().raw_decode(self.text.lstrip())
        except ValueError:
            return {}
        return mapping_of(value)


@dataclass(frozen=True, slots=True)
class Heard:
    """A conversation so far.

    Attributes:
        facts: What the program said that the session is about; empty where a person speaks.
        uses: What tools gave, in order.
        said: What the user said last, in words; empty where the last message holds results.
    """

    facts: Mapping[str, Json]
    uses: Sequence[Use]
    said: str

    @property
    def task(self) -> Mapping[str, Json]:
        """The task; empty where there is none."""
        return mapping_of(self.facts.get("task"))

    @property
    def analysis(self) -> Mapping[str, Json]:
        """The analysis that the initializer saved; empty where there is none."""
        return mapping_of(self.facts.get("analysis"))

    def of(self, tool: str) -> list[Use]:
        """All uses of a tool, in order."""
        return [use for use in self.uses if use.name == tool]

    def last(self, tool: str) -> Use | None:
        """The last use of a tool; None where there is none."""
        return next(iter(reversed(self.of(tool))), None)

    def profiles(self) -> dict[str, Mapping[str, Json]]:
        """The profiles by route; empty ones where the tool failed."""
        return {str(use.arguments.get("route")): use.json for use in self.of("profile_outputs")}

    def file(self, path: str) -> str | int:
        """A file's text as it was first read, or the offset from which to read on."""
        text = ""
        for use in self.of("read_file"):
            if use.arguments.get("path") != path or use.failed:
                continue
            more = _MORE.search(use.text)
            text += use.text[: more.start()] if more else use.text
            if not more:
                return text
        is_missing = any(u.failed for u in self.of("read_file") if u.arguments.get("path") == path)
        return "" if is_missing else len(text)


def heard(messages: Sequence[Message]) -> Heard:
    """A conversation as the rules hear it.

    What the session is about stands in the first message and nowhere else: whatever a tool gives
    later is data, however much it looks like a task.
    """
    first = _words(messages[0]) if messages else ""
    return Heard(_facts(first), tuple(_uses(messages)), _words(messages[-1]) if messages else "")


def _facts(text: str) -> Mapping[str, Json]:
    found = _FACTS.search(text)
    try:
        return mapping_of(json.loads(found[1])) if found else {}
    except ValueError:
        return {}


def _words(message: Message) -> str:
    return plain_text(message.get("content"))


def _uses(messages: Sequence[Message]) -> Iterator[Use]:
    called: dict[str, Mapping[str, Json]] = {}
    for message in messages:
        for block in map(mapping_of, list_of(message.get("content"))):
            if block.get("type") == "tool_use":
                called[str(block.get("id"))] = block
            elif block.get("type") == "tool_result":
                call = called.get(str(block.get("tool_use_id")), {})
                yield Use(
                    str(call.get("name", "")),
                    mapping_of(call.get("input")),
                    plain_text(block.get("content")),
                    block.get("is_error") is True,
                )
