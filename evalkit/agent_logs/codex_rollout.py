"""Codex's own session files (rollouts): what went to the API, with times, models and tokens.

Items of the API (``response_item``) are what a trace is made of; what mirrors them for the screen
(``event_msg``) would count everything twice, and only tells tokens, ends and subagents. The
tokens of the session so far stand beside a call's own: they are never added up, but where they
fall, for a session that goes on in another process may count from zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs.events import (
    SoFar,
    blocks_of,
    codex_usage,
    model_said,
    outcome_of,
    parsed,
    texts_of,
    thread_time,
    tool_result,
    tool_use,
    user_said,
)
from evalkit.claude_log.reader import Event, LogFormat
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, list_of, mapping_of, text_of

_ENVELOPES = frozenset(
    {"session_meta", "turn_context", "response_item", "event_msg", "compacted", "world_state"}
)
_GIVEN = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "web_search_call": "action",
    "tool_search_call": "arguments",
    "image_generation_call": "revised_prompt",
}
_CONTEXT = re.compile(r"\s*(?:<[\w-]+>.*</[\w-]+>\s*$|# AGENTS\.md instructions)", re.DOTALL)
"""What Codex puts in the user's mouth: its environment, instructions, commands of the user's."""

_REPEATS = frozenset({"user_message", "agent_message", "agent_reasoning", "context_compacted"})
_DONE = {"task_complete": "success", "turn_aborted": UNKNOWN, "error": "error_during_execution"}


@dataclass
class CodexRollout(LogFormat):
    """One session file, or a subagent's."""

    name: ClassVar[str] = "Codex's session file"

    _id: str = ""
    _about: dict[str, Json] = field(default_factory=dict)  # the agent
    _copied_at: Json = None  # the time of lines that were copied, while there may be more
    _latest: Event = field(default_factory=dict)  # the time of the last line
    _number: int = 0  # of the message that is being said
    _parts: set[str] = field(default_factory=set)  # kinds of its blocks so far
    _is_said: bool = True  # what comes next begins another message
    _has_usage: bool = True
    _counted: SoFar = field(default_factory=SoFar)
    _spawns: set[str] = field(default_factory=set)  # ids of calls that start subagents
    _has_ends: bool = False  # turns say that they end
    _ended: tuple[str, str] = (UNKNOWN, "")  # how, and why

    @staticmethod
    def recognizes(event: Event) -> bool:
        """Whether the object is an envelope of a session file."""
        return text_of(event.get("type")) in _ENVELOPES and isinstance(event.get("payload"), dict)

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """By the file's head: one with a parent is a part of that, or of the session of both."""
        meta = mapping_of(event.get("payload")) if event.get("type") == "session_meta" else {}
        own, parent = id_of(meta.get("id")), id_of(meta.get("parent_thread_id"))
        root = id_of(meta.get("session_id"))
        return (root if root not in {"", own} else parent or own), bool(parent)

    def translate(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to."""
        kind, payload = text_of(line.get("type")), mapping_of(line.get("payload"))
        if self._is_copy(line, payload):
            return "copied from the session that this one was forked from"
        found = self._line(kind, text_of(payload.get("type")), payload)
        if isinstance(found, str):
            return found
        if (stamp := line.get("timestamp")) is not None:
            self._latest = {"timestamp": stamp}
        return [{**event, **self._latest, "session_id": self._id} for event in found]

    def finish(self) -> Sequence[Event]:
        """The session's tokens, and how its last turn ended."""
        subtype, why = self._ended
        if subtype == UNKNOWN and not why and not self._has_ends and "text" in self._parts:
            subtype = "success"  # versions whose turns do not say that they end
        used = {"usage": total} if (total := self._counted.total) else {}
        errors = {"errors": [why]} if why and subtype != UNKNOWN else {}
        result = {"type": "result", "subtype": subtype, "why": why, **errors, **used}
        return [{**result, **self._latest, "session_id": self._id}]

    def _is_copy(self, line: Event, payload: Mapping[str, Json]) -> bool:
        if self._copied_at is None:
            return False
        turn = thread_time(id_of(payload.get("turn_id")))
        if turn and turn < thread_time(self._id):
            return True
        self._copied_at = self._copied_at or line.get("timestamp")
        if turn or line.get("timestamp") != self._copied_at:
            self._copied_at = None
            return False
        return True

    def _line(self, kind: str, what: str, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        match kind:
            case "session_meta":
                return self._meta(payload)
            case "turn_context":
                return self._context(payload)
            case "compacted":
                self._is_said = True
                about = {"message": payload.get("message")}
                return [{"type": "system", "subtype": "compact_boundary", **about}]
            case "token_usage_record":
                stated = payload.get("thread_token_usage")
                return self._tokens(kind, payload.get("usage"), stated)
            case "response_item":
                return self._item(what, payload)
            case "event_msg":
                return self._mirror(what, payload)
        return kind or "an object without a type"

    def _meta(self, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        if self._id:
            return "session_meta: repeated"
        self._id = id_of(payload.get("id"))
        if payload.get("forked_from_id"):
            self._copied_at, self._counted.is_of_fork = "", True
        agent = f"Codex {text_of(payload.get('cli_version'))}".strip()
        branch = mapping_of(payload.get("git")).get("branch")
        self._about = {"agent": agent, "cwd": payload.get("cwd"), "git_branch": branch}
        root, _ = self.session_of({"type": "session_meta", "payload": payload})
        link = {"agentId": self._id, "sessionId": root}
        return [{"type": "system", "subtype": "init", **self._about, **link}]

    def _context(self, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        about = self._about | {k: payload[k] for k in ("model", "cwd") if payload.get(k)}
        if about == self._about:
            return "turn_context: repeated"
        self._about = about
        return [{"type": "system", "subtype": "init", **about}]

    def _item(self, what: str, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        if what in _GIVEN:
            return self._call(what, payload)
        if what.endswith("_output"):
            return self._answer(payload)
        if what == "reasoning":
            text = texts_of(payload.get("summary")) or texts_of(payload.get("content"))
            return [self._part("thinking", {"type": "thinking", "thinking": text})]
        if what == "agent_message":  # between agents
            self._is_said, self._ended = True, (UNKNOWN, "")
            return [user_said(texts_of(payload.get("content")), is_meta=True)]
        if what != "message":
            return f"response_item/{what}"
        role, content = payload.get("role"), blocks_of(payload.get("content"))
        if role == "assistant":
            return [self._part("text", block) for block in list_of(content)] or "an empty message"
        if role != "user":
            return f"response_item/message of the {text_of(role) or 'unknown'}"
        self._is_said, self._ended = True, (UNKNOWN, "")
        self._parts.clear()
        return [user_said(content, is_meta=bool(_CONTEXT.match(texts_of(content))))]

    def _part(self, kind: str, block: Json) -> Event:
        if self._is_said or (kind == "text" and "text" in self._parts):
            self._begin()
        self._parts.add(kind)
        self._ended = (UNKNOWN, "")
        return self._say([block])

    def _begin(self) -> None:
        self._number += 1
        self._parts.clear()
        self._is_said = self._has_usage = False

    def _say(self, blocks: Sequence[Json], usage: Json = None) -> Event:
        message_id = f"{self._id}/{self._number}"
        return model_said(message_id, blocks, model=self._about.get("model"), usage=usage)

    def _call(self, what: str, payload: Mapping[str, Json]) -> Sequence[Event]:
        call_id = id_of(payload.get("call_id")) or id_of(payload.get("id"))
        given = payload.get(_GIVEN[what])
        name = text_of(payload.get("name")) or what.removesuffix("_call")
        if name == "spawn_agent":
            self._spawns.add(call_id)
        call = self._part("tool_use", tool_use(call_id, name, parsed(given)))
        if what not in {"web_search_call", "image_generation_call"}:
            return [call]
        # the API answered it itself; what came of it is in no item
        return [call, tool_result(call_id, "", failed=payload.get("status") == "failed")]

    def _answer(self, payload: Mapping[str, Json]) -> Sequence[Event]:
        self._is_said = True
        call_id, raw = id_of(payload.get("call_id")), payload.get("output")
        content, failed = outcome_of(raw)
        if call_id not in self._spawns:
            return [tool_result(call_id, content, failed=failed)]
        child = id_of(mapping_of(parsed(raw)).get("agent_id"))
        return [tool_result(call_id, content, failed=failed, isAsync=not failed, agentId=child)]

    def _mirror(self, what: str, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        if what == "token_count":
            info = payload.get("info")
            if not isinstance(info, dict):
                return "event_msg/token_count: only limits"
            return self._tokens(what, info.get("last_token_usage"), info.get("total_token_usage"))
        if what in _DONE:
            why = text_of(payload.get("message")) or text_of(payload.get("reason"))
            if what == "turn_aborted":
                why = f"the last turn was aborted: {why or 'no reason given'}"
            self._ended, self._has_ends = (_DONE[what], why), True
            return [{"type": "system", "subtype": "notification", "text": why or what}]
        if what == "task_started":
            self._has_ends = True
        child, held = id_of(payload.get("new_thread_id")), mapping_of(payload.get("item"))
        call_id, status = id_of(payload.get("call_id")), ""
        if held.get("type") == "SubAgentActivity":
            child, call_id = id_of(held.get("agent_thread_id")), id_of(held.get("id"))
            status = text_of(held.get("kind"))
        if not child:
            return f"event_msg/{what}: {'repeats a line' if what in _REPEATS else 'for the screen'}"
        about = {"task_id": child, "task_type": "agent"}
        if status in {"", "started"}:
            return [{"type": "system", "subtype": "task_started", "tool_use_id": call_id, **about}]
        return [{"type": "system", "subtype": "task_notification", "status": status, **about}]

    def _tokens(self, what: str, last: Json, stated: Json) -> Sequence[Event] | str:
        if not self._counted.goes_on(usage := codex_usage(last), stated):
            return f"{what}: repeated"
        if self._has_usage:  # of a message that is still to come
            self._begin()
        self._has_usage = True
        self._is_said = bool(self._parts)
        return [self._say([], usage)]
