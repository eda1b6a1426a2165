"""Codex's own session files (rollouts): what went to the API, with times, models and tokens.

A trace is made of the API's items (``response_item``); what mirrors them (``event_msg``) only tells
tokens, ends and subagents. Tokens of the session so far are added up only where they fall, for in
another process a session may count from zero; a fork may go on counting from its parent's.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs import events as stream
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, list_of, mapping_of, plain_text, text_of

_ENVELOPES = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")
_GIVEN = {
    "function_call": "arguments",
    "custom_tool_call": "input",
    "local_shell_call": "action",
    "web_search_call": "action",
    "tool_search_call": "arguments",
    "image_generation_call": "revised_prompt",
}
_BY_THE_API = frozenset({"web_search_call", "image_generation_call"})  # no item has their outputs
_CONTEXT = re.compile(r"\s*(?:<[\w-]+>.*</[\w-]+>\s*$|# AGENTS\.md instructions)", re.DOTALL)
"""What Codex puts in the user's mouth: its environment, instructions, commands of the user's."""

_EXIT = re.compile(r"(?:Exit code: |Process exited with code )(-?\d+)")
_DONE = {"task_complete": "success", "turn_aborted": UNKNOWN, "error": "error_during_execution"}


@dataclass
class CodexRollout(stream.Dialogue):
    """One session file, or a subagent's."""

    name: ClassVar[str] = "Codex's session file"

    _about: dict[str, Json] = field(default_factory=dict)  # the agent
    _copied_at: Json = None  # the time of lines that were copied, while there may be more
    _counted: int = 0  # number of the message whose tokens are known
    _stated: Json = None  # tokens of the session so far, as they stand there last
    _total: Counter[str] = field(default_factory=Counter)  # as Anthropic's usage
    _is_fork: bool = False
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

    def read(self, line: Event) -> Sequence[Event] | str:
        """The events that a line comes to."""
        kind, payload = text_of(line.get("type")), mapping_of(line.get("payload"))
        if self._is_copy(line, payload):
            return "copied from the session that this one was forked from"
        match kind:
            case "session_meta":
                return self._meta(line, payload)
            case "turn_context":
                about = self._about | {k: payload[k] for k in ("model", "cwd") if payload.get(k)}
                if about == self._about:
                    return "turn_context: repeated"
                self._about, self.model = about, text_of(about.get("model"))
                return [{"type": "system", "subtype": "init", **about}]
            case "compacted":
                self.is_said, said = True, payload.get("message")
                return [{"type": "system", "subtype": "compact_boundary", "message": said}]
            case "response_item":
                return self._item(text_of(payload.get("type")), payload)
            case "event_msg":
                return self._mirror(text_of(payload.get("type")), payload)
        return kind or "an object without a type"

    def end(self) -> Sequence[Event]:
        """The session's tokens, and how its last turn ended."""
        subtype, why = self._ended
        if subtype == UNKNOWN and not why and not self._has_ends and "text" in self.kinds:
            subtype = "success"  # versions whose turns do not say that they end
        used = {"usage": self._total} if self._total else {}
        errors = {"errors": [why]} if why and subtype != UNKNOWN else {}
        return [{"type": "result", "subtype": subtype, "why": why, **errors, **used}]

    def _is_copy(self, line: Event, payload: Mapping[str, Json]) -> bool:
        """Whether a fork has the line from its parent: by its turn, or as all have one time."""
        if self._copied_at is None:
            return False
        if turn := stream.thread_time(id_of(payload.get("turn_id"))):
            is_copy = turn < stream.thread_time(self.session_id)
        else:
            self._copied_at = self._copied_at or line.get("timestamp")
            is_copy = self._copied_at == line.get("timestamp")
        self._copied_at = self._copied_at if is_copy else None
        return is_copy

    def _meta(self, line: Event, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        if self.session_id:
            return "session_meta: repeated"
        self.session_id = id_of(payload.get("id"))
        if payload.get("forked_from_id"):
            self._copied_at, self._is_fork = "", True
        agent = f"Codex {text_of(payload.get('cli_version'))}".strip()
        branch = mapping_of(payload.get("git")).get("branch")
        self._about = {"agent": agent, "cwd": payload.get("cwd"), "git_branch": branch}
        link = {"agentId": self.session_id, "sessionId": self.session_of(line)[0]}
        return [{"type": "system", "subtype": "init", **self._about, **link}]

    def _item(self, what: str, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        role, content = text_of(payload.get("role")), stream.blocks_of(payload.get("content"))
        if what.endswith("_output"):
            return self._output(payload)
        if what == "message" and role not in {"user", "assistant"}:
            return f"response_item/message of the {role or 'unknown'}"
        if what == "agent_message" or role == "user":
            self.is_said, self._ended = True, (UNKNOWN, "")
            self.kinds.clear()
            is_meta = what == "agent_message" or bool(_CONTEXT.match(plain_text(content)))
            return [stream.user_said(content, is_meta=is_meta)]
        if what in _GIVEN:
            found = self._call(what, payload)
        elif what == "reasoning":
            text = plain_text(stream.blocks_of(payload.get("summary"))) or plain_text(content)
            found = [self.part("thinking", {"type": "thinking", "thinking": text})]
        elif what == "message":
            found = [self.part("text", block) for block in list_of(content)]
        else:
            return f"response_item/{what}"
        self._ended = (UNKNOWN, "")
        return found or "an empty message"

    def _call(self, what: str, payload: Mapping[str, Json]) -> list[Event]:
        call_id = id_of(payload.get("call_id")) or id_of(payload.get("id"))
        name = text_of(payload.get("name")) or what.removesuffix("_call")
        self._spawns |= {call_id} if name == "spawn_agent" else set()
        given = _parsed(payload.get(_GIVEN[what]))
        call = self.part("tool_use", stream.tool_use(call_id, name, given))
        if what not in _BY_THE_API:
            return [call]
        return [call, stream.tool_result(call_id, "", failed=payload.get("status") == "failed")]

    def _output(self, payload: Mapping[str, Json]) -> list[Event]:
        """What a tool gave; its exit code stands in an object beside it, or in its first lines."""
        self.is_said, call_id, raw = True, id_of(payload.get("call_id")), payload.get("output")
        held = mapping_of(_parsed(raw))
        content = stream.blocks_of(next((held[k] for k in ("output", "content") if k in held), raw))
        found = _EXIT.search(plain_text(content)[:300])
        code = mapping_of(held.get("metadata")).get("exit_code", found and found[1])
        failed = str(code or 0) != "0" or held.get("success") is False
        child: Event = {"isAsync": not failed, "agentId": id_of(held.get("agent_id"))}
        about = child if call_id in self._spawns else {}
        return [stream.tool_result(call_id, content, failed=failed, **about)]

    def _mirror(self, what: str, payload: Mapping[str, Json]) -> Sequence[Event] | str:
        if what == "token_count":
            info = mapping_of(payload.get("info"))
            return self._tokens(info.get("last_token_usage"), info.get("total_token_usage"))
        self._has_ends = self._has_ends or what == "task_started" or what in _DONE
        if what in _DONE:
            why = text_of(payload.get("message")) or text_of(payload.get("reason"))
            if what == "turn_aborted":
                why = f"the last turn was aborted: {why or 'no reason given'}"
            self._ended = (_DONE[what], why)
            return [stream.remark(why or what)]
        held = mapping_of(payload.get("item"))
        is_held = held.get("type") == "SubAgentActivity"
        child = id_of(held.get("agent_thread_id") if is_held else payload.get("new_thread_id"))
        if not child:
            return f"event_msg/{what}: for the screen"
        about = {"type": "system", "task_id": child, "task_type": "agent"}
        if is_held and (status := text_of(held.get("kind"))) != "started":
            return [{**about, "subtype": "task_notification", "status": status}]
        call_id = id_of(held.get("id") if is_held else payload.get("call_id"))
        return [{**about, "subtype": "task_started", "tool_use_id": call_id}]

    def _tokens(self, last: Json, stated: Json) -> Sequence[Event] | str:
        is_repeated = stated is not None and stated == self._stated
        if is_repeated or (stated is None and last is None):
            return "event_msg/token_count: repeated, or only limits"
        usage = stream.usage_of(last)
        if stated is not None:
            now, before = (Counter(stream.usage_of(each)) for each in (stated, self._stated))
            if now.total() >= before.total():
                now.subtract(before)
            self._total.update(usage if self._is_fork and self._stated is None else now)
            self._stated = stated
        if self._counted == self.number:  # of a message that is still to come
            self.begin_message()
        self._counted, self.is_said = self.number, bool(self.kinds)
        return [self.says(usage=usage)]


def _parsed(given: Json) -> Json:
    """What JSON text stands for; other text, and what is no text, as it is."""
    with suppress(ValueError, RecursionError):
        return json.loads(given) if text_of(given)[:1] in {"{", "["} else given
    return given
