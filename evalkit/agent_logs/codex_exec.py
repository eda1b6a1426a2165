"""Codex's ``exec --json``: items that start and complete, and the tokens of a turn at its end.

It does not say which items one message asked for: tools that overlap count as one message's, with
what was said before them. A turn becomes a session; its tokens are the thread's so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs import events as stream
from evalkit.claude_log.reader import Event
from evalkit.jsonable import Json, id_of, mapping_of, text_of

_TURNS = frozenset({"thread.started", "turn.started", "turn.completed", "turn.failed"})
_ITEMS = frozenset({"item.started", "item.updated", "item.completed"})
_SAID = {"agent_message": "text", "assistant_message": "text", "reasoning": "thinking"}
_TOOLS = ("command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call")
_OUTPUTS = ("aggregated_output", "output", "exit_code", "result", "error")
_NOT_GIVEN = frozenset({"id", "type", "item_type", "status", *_OUTPUTS})
_FAILED = "error_during_execution"


@dataclass
class CodexExec(stream.Dialogue):
    """One log of ``codex exec --json``, perhaps with the resumed turns of a thread behind it."""

    name: ClassVar[str] = "Codex's exec --json"
    has_result: ClassVar[bool] = True
    is_whole: ClassVar[bool] = False

    _open: set[str] = field(default_factory=set)  # ids of tools that did not complete
    _answer: str = ""
    _trouble: str = ""  # the last error, with nothing behind it
    _ended_at: int = -1  # number of the last turn's last message

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether the object is an envelope of the stream."""
        kind = text_of(event.get("type"))
        return kind in _TURNS or (kind in _ITEMS and isinstance(event.get("item"), dict))

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """By the line that starts the thread."""
        return id_of(event.get("thread_id")), False

    def read(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to."""
        kind, self._trouble = text_of(line.get("type")), ""
        match kind:
            case "thread.started":
                self.session_id = id_of(line.get("thread_id"))
                stamp = {"timestamp": stream.thread_time(self.session_id) or None}
                return [{"type": "system", "subtype": "init", "agent": "Codex", **stamp}]
            case "turn.completed":
                return [self._end(subtype="success", usage=line.get("usage"))]
            case "turn.failed":
                why = text_of(mapping_of(line.get("error")).get("message"))
                return [self._end(subtype=_FAILED, errors=[why or "the turn failed"])]
            case "error":
                self._trouble = text_of(line.get("message")) or "an error without a message"
                return [stream.remark(self._trouble)]
        if kind in _ITEMS:
            return self._item(kind, mapping_of(line.get("item")))
        return kind or "an object without a type"

    def end(self) -> Sequence[Event]:
        """That a log ends with an error, and not with its turn."""
        is_over = not self._trouble or self._ended_at == self.number
        return () if is_over else [self._end(subtype=_FAILED, errors=[self._trouble])]

    def _end(self, *, usage: Json = None, **about: Json) -> Event:
        used = {"usage": stream.usage_of(usage)} if isinstance(usage, dict) else {}
        result = {"type": "result", "result": self._answer, **used, **about}
        self._answer, self.is_said, self._ended_at = "", True, self.number
        self._open.clear()
        return result

    def _item(self, when: str, item: Mapping[str, Json]) -> Sequence[Event] | str:
        kind = text_of(item.get("type") or item.get("item_type"))
        if kind in _TOOLS and when != "item.updated":
            return self._tool(when, kind, item)
        if when == "item.completed" and kind == "error":
            return [stream.remark(text_of(item.get("message")))]
        if when != "item.completed" or kind not in _SAID:
            return f"{when}: {kind or 'an item without a type'}"
        said, text = _SAID[kind], text_of(item.get("text"))
        if said == "text" and item.get("phase") != "commentary":
            self._answer = text
        self.is_said = self.is_said or "tool_use" in self.kinds
        return [self.part(said, {"type": said, said: text})]

    def _tool(self, when: str, kind: str, item: Mapping[str, Json]) -> Sequence[Event]:
        item_id, events = id_of(item.get("id")), list[Event]()
        if item_id not in self._open:
            name = kind
            given: Json = {key: each for key, each in item.items() if key not in _NOT_GIVEN}
            if kind == "mcp_tool_call":
                name = f"{text_of(item.get('server'))}.{text_of(item.get('tool'))}"
                given = item.get("arguments")
            self.is_said = self.is_said or (not self._open and "tool_use" in self.kinds)
            events.append(self.part("tool_use", stream.tool_use(item_id, name, given)))
            self._open.add(item_id)
        if when == "item.completed":
            self._open.discard(item_id)
            result, error = item.get("result"), item.get("error")
            outputs = [mapping_of(error).get("message"), error, item.get("aggregated_output")]
            outputs += [item.get("output"), mapping_of(result).get("content"), result]
            output = next((each for each in outputs if each not in (None, "")), None)
            failed = item.get("status") == "failed" or bool(item.get("exit_code"))
            events.append(stream.tool_result(item_id, output, failed=failed))
        return events
