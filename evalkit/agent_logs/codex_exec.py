"""Codex's ``exec --json``: items that start and complete, and the tokens of a turn at its end.

The stream holds neither the prompt nor times nor a model's name, and not which items one message
of the model asked for: tools that overlap count as one message's, as does what was said before
them. A turn becomes a session; its tokens are the thread's so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs.events import codex_usage, model_said, thread_time, tool_result, tool_use
from evalkit.claude_log.reader import Event, LogFormat
from evalkit.jsonable import Json, id_of, mapping_of, text_of

_ITEMS = ("item.started", "item.updated", "item.completed")
_ENVELOPES = {"thread.started", "turn.started", "turn.completed", "turn.failed", *_ITEMS}
_SAID = {"agent_message": "text", "assistant_message": "text", "reasoning": "thinking"}
_TOOLS = frozenset(
    {"command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call"}
)
_ENVELOPE = frozenset({"id", "type", "item_type", "status"})
_OUTPUTS = frozenset({"aggregated_output", "output", "exit_code", "result", "error"})
_FAILED = "error_during_execution"


@dataclass
class CodexExec(LogFormat):
    """One log of ``codex exec --json``, perhaps with the resumed turns of a thread behind it."""

    name: ClassVar[str] = "Codex's exec --json"
    has_result: ClassVar[bool] = True
    is_whole: ClassVar[bool] = False

    _thread: str = ""
    _number: int = 0  # of the message that is being said
    _parts: set[str] = field(default_factory=set)  # kinds of blocks that it has so far
    _open: set[str] = field(default_factory=set)  # ids of tools that did not complete
    _answer: str = ""
    _is_going: bool = False  # a turn began and did not end
    _trouble: str = ""  # the last error, with nothing behind it

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether the object is an envelope of the stream."""
        kind = text_of(event.get("type"))
        if kind not in _ENVELOPES:
            return False
        return not kind.startswith("item.") or isinstance(event.get("item"), dict)

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """By the line that starts the thread."""
        return id_of(event.get("thread_id")), False

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to."""
        kind, self._trouble = text_of(line.get("type")), ""
        self._is_going = self._is_going or kind in _ENVELOPES
        if kind.startswith("item."):
            item = mapping_of(line.get("item"))
            return self._item(kind, text_of(item.get("type") or item.get("item_type")), item)
        match kind:
            case "thread.started":
                self._thread = id_of(line.get("thread_id"))
                about = {key: line[key] for key in ("model", "cwd") if line.get(key)}
                about["agent"] = f"Codex {text_of(line.get('cli_version'))}".strip()
                began = thread_time(self._thread)
                stamp = {"timestamp": began} if began else {}
                return [self._event({"type": "system", "subtype": "init", **about, **stamp})]
            case "turn.completed":
                return [self._end(subtype="success", usage=line.get("usage"))]
            case "turn.failed":
                why = text_of(mapping_of(line.get("error")).get("message"))
                return [self._end(subtype=_FAILED, errors=[why or "the turn failed"])]
            case "error":
                self._trouble = text_of(line.get("message")) or "an error without a message"
                return [self._remark(self._trouble)]
        return kind or "an object without a type"

    def finish(self) -> Sequence[Event]:
        """That a log ends with an error, and not with its turn."""
        if not self._trouble or not self._is_going:
            return ()
        return [self._end(subtype=_FAILED, errors=[self._trouble])]

    def _event(self, event: Event) -> Event:
        return {**event, "session_id": self._thread} if self._thread else event

    def _remark(self, text: str) -> Event:
        return self._event({"type": "system", "subtype": "notification", "text": text})

    def _end(self, *, usage: Json = None, **about: Json) -> Event:
        used = {"usage": codex_usage(usage)} if isinstance(usage, dict) else {}
        result = {"type": "result", "result": self._answer, **used, **about}
        self._answer, self._is_going = "", False
        self._parts.clear()
        self._open.clear()
        return self._event(result)

    def _item(self, when: str, kind: str, item: Mapping[str, Json]) -> Sequence[Event] | str:
        if kind in _SAID or kind == "error":
            if when != "item.completed":
                return f"{when}: {kind}"
            text = text_of(item.get("message" if kind == "error" else "text"))
            return [self._remark(text) if kind == "error" else self._say(_SAID[kind], text, item)]
        if kind not in _TOOLS or when == "item.updated":
            return f"{when}: {kind or 'an item without a type'}"
        return self._tool(when, kind, item)

    def _say(self, kind: str, text: str, item: Mapping[str, Json]) -> Event:
        if "tool_use" in self._parts or (kind == "text" and "text" in self._parts):
            self._parts.clear()
        if kind == "text" and item.get("phase") != "commentary":
            self._answer = text
        return self._part(kind, {"type": kind, kind: text})

    def _part(self, kind: str, block: Event) -> Event:
        if not self._parts:
            self._number += 1
        self._parts.add(kind)
        return self._event(model_said(f"{self._thread}/{self._number}", [block]))

    def _tool(self, when: str, kind: str, item: Mapping[str, Json]) -> Sequence[Event]:
        item_id, events = id_of(item.get("id")), list[Event]()
        if item_id not in self._open:
            if "tool_use" in self._parts and not self._open:
                self._parts.clear()
            given: Json = {k: v for k, v in item.items() if k not in _ENVELOPE | _OUTPUTS}
            name = kind
            if kind == "mcp_tool_call":
                name = f"{text_of(item.get('server'))}.{text_of(item.get('tool'))}"
                given = item.get("arguments")
            events.append(self._part("tool_use", tool_use(item_id, name, given)))
            self._open.add(item_id)
        if when == "item.completed":
            self._open.discard(item_id)
            failed = item.get("status") == "failed"
            event = tool_result(
                item_id, _output(item), failed=failed or bool(item.get("exit_code"))
            )
            events.append(self._event(event))
        return events


def _output(item: Mapping[str, Json]) -> Json:
    for key in ("error", "aggregated_output", "output"):
        if (found := item.get(key)) not in (None, ""):
            return mapping_of(found).get("message") or found
    result = item.get("result")
    content = mapping_of(result).get("content")
    return content if isinstance(content, list) else result
