"""Codex's logs: what ``exec --json`` prints, and the session files (rollouts) that it keeps."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from evalkit.agent_logs.events import Dialogue, blocks_of, thread_time, tool_use, usage_of
from evalkit.claude_log.reader import Event
from evalkit.claude_log.session import UNKNOWN
from evalkit.jsonable import Json, id_of, list_of, mapping_of, plain_text, text_of

_TURNS = frozenset({"thread.started", "turn.started", "turn.completed", "turn.failed"})
_SAID = {"agent_message": "text", "assistant_message": "text", "reasoning": "thinking"}
_TOOLS = ("command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call")
_OUTPUTS = ("aggregated_output", "output", "exit_code", "result", "error")
_NOT_GIVEN = frozenset({"id", "type", "item_type", "status", *_OUTPUTS})
_FAILED = "error_during_execution"

_PAYLOADS = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")
_TOLD_AGAIN = frozenset({"session_meta", "turn_context", "event_msg"})  # kinds of lines
_GIVEN = ("arguments", "input", "action", "revised_prompt")  # keys of what a tool is given
_BY_THE_API = frozenset({"web_search_call", "image_generation_call"})  # no item has their outputs
_CONTEXT = re.compile(r"\s*(?:<[\w-]+>.*</[\w-]+>\s*$|# AGENTS\.md instructions)", re.DOTALL)
"""What Codex puts in the user's mouth: its environment, instructions, commands of the user's."""

_EXIT = re.compile(r"(?:Exit code: |Process exited with code )(-?\d+)")
_DONE = {"task_complete": "success", "turn_aborted": UNKNOWN, "error": _FAILED}


@dataclass
class CodexExec(Dialogue):
    """One log of ``codex exec --json``, perhaps with the resumed turns of a thread behind it.

    It does not say which items one message asked for: tools that overlap count as one message's,
    with what was said before them. A turn becomes a session; its tokens are the thread's so far.
    """

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
        is_item = kind in {"item.started", "item.updated", "item.completed"}
        return kind in _TURNS or (is_item and isinstance(event.get("item"), dict))

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """By the line that starts the thread."""
        return id_of(event.get("thread_id")), False

    def read(self, line: Event) -> str:
        """Add what a line says."""
        kind, self._trouble = text_of(line.get("type")), ""
        item = mapping_of(line.get("item"))
        what = text_of(item.get("type") or item.get("item_type"))
        match kind:
            case "thread.started":
                self.session_id = id_of(line.get("thread_id"))
                began = thread_time(self.session_id) or None
                self.add("system", "init", agent="Codex", timestamp=began)
            case "turn.completed":
                self._end("success", usage=usage_of(line.get("usage")))
            case "turn.failed":
                why = text_of(mapping_of(line.get("error")).get("message"))
                self._end(_FAILED, errors=[why or "the turn failed"])
            case "error":
                self._trouble = text_of(line.get("message")) or "an error without a message"
                self.remark(self._trouble)
            case "item.started" | "item.completed" if what in _TOOLS:
                self._tool(what, item, is_done=kind == "item.completed")
            case "item.completed":
                self._item(what, item)
        return f"{kind}: {what}" if what else kind or "an object without a type"

    def end(self) -> None:
        """That a log ends with an error, and not with its turn."""
        if self._trouble and self._ended_at != self.number:
            self._end(_FAILED, errors=[self._trouble])

    def _end(self, subtype: str, **about: Json) -> None:
        self.add("result", subtype, result=self._answer, **about)
        self._answer, self.is_said, self._ended_at = "", True, self.number
        self._open.clear()

    def _item(self, what: str, item: Mapping[str, Json]) -> None:
        if what == "error":
            self.remark(text_of(item.get("message")))
        elif what in _SAID:
            kind, text = _SAID[what], text_of(item.get("text"))
            if kind == "text" and item.get("phase") != "commentary":
                self._answer = text
            self.is_said = self.is_said or "tool_use" in self.kinds
            self.part(kind, {"type": kind, kind: text})

    def _tool(self, name: str, item: Mapping[str, Json], *, is_done: bool) -> None:
        item_id = id_of(item.get("id"))
        if item_id not in self._open:
            given: Json = {key: each for key, each in item.items() if key not in _NOT_GIVEN}
            if name == "mcp_tool_call":
                name = f"{text_of(item.get('server'))}.{text_of(item.get('tool'))}"
                given = item.get("arguments")
            self.is_said = self.is_said or (not self._open and "tool_use" in self.kinds)
            self.part("tool_use", tool_use(item_id, name, given))
            self._open.add(item_id)
        if is_done:
            self._open.discard(item_id)
            result, error = item.get("result"), item.get("error")
            outputs = [mapping_of(error).get("message"), error, item.get("aggregated_output")]
            outputs += [item.get("output"), mapping_of(result).get("content"), result]
            output = next((each for each in outputs if each not in (None, "")), None)
            failed = item.get("status") == "failed" or bool(item.get("exit_code"))
            self.answer(item_id, output, failed=failed)


@dataclass
class CodexRollout(Dialogue):
    """One session file, or a subagent's: what went to the API, with times, models and tokens.

    A trace is made of the API's items (``response_item``); what mirrors them (``event_msg``) only
    tells tokens, ends and subagents. Tokens of the session so far are added up only where they
    fall, for in another process a session may count from zero; a fork may go on from its parent's.
    """

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
        return text_of(event.get("type")) in _PAYLOADS and isinstance(event.get("payload"), dict)

    @staticmethod
    def session_of(event: Event) -> tuple[str, bool]:
        """By the file's head: one with a parent is a part of that, or of the session of both."""
        meta = mapping_of(event.get("payload")) if event.get("type") == "session_meta" else {}
        own, parent = id_of(meta.get("id")), id_of(meta.get("parent_thread_id"))
        root = id_of(meta.get("session_id"))
        return (root if root not in {"", own} else parent or own), bool(parent)

    def read(self, line: Event) -> str:
        """Add what a line says."""
        kind, payload = text_of(line.get("type")), mapping_of(line.get("payload"))
        what = text_of(payload.get("type"))
        if self._is_copy(line, payload):
            return "copied from the session that this one was forked from"
        match kind:
            case "session_meta" if not self.session_id:
                self._meta(line, payload)
            case "turn_context":
                about = self._about | {k: payload[k] for k in ("model", "cwd") if payload.get(k)}
                if about != self._about:
                    self._about, self.model = about, text_of(about.get("model"))
                    self.add("system", "init", **about)
            case "compacted":
                self.is_said = True
                self.add("system", "compact_boundary", message=payload.get("message"))
            case "response_item":
                self._item(what, payload)
            case "event_msg":
                self._mirror(what, payload)
        names = (kind or "an object without a type", what, text_of(payload.get("role")))
        why = ": repeated, or for the screen" if kind in _TOLD_AGAIN else ""
        return "/".join(filter(None, names)) + why

    def end(self) -> None:
        """The session's tokens, and how its last turn ended."""
        subtype, why = self._ended
        if subtype == UNKNOWN and not why and not self._has_ends and "text" in self.kinds:
            subtype = "success"  # versions whose turns do not say that they end
        errors = [why] if why and subtype != UNKNOWN else []
        self.add("result", subtype, why=why, errors=errors, usage=self._total)

    def _is_copy(self, line: Event, payload: Mapping[str, Json]) -> bool:
        """Whether a fork has the line from its parent: by its turn, or as all have one time."""
        if self._copied_at is None:
            return False
        if turn := thread_time(id_of(payload.get("turn_id"))):
            is_copy = turn < thread_time(self.session_id)
        else:
            self._copied_at = self._copied_at or line.get("timestamp")
            is_copy = self._copied_at == line.get("timestamp")
        self._copied_at = self._copied_at if is_copy else None
        return is_copy

    def _meta(self, line: Event, payload: Mapping[str, Json]) -> None:
        self.session_id, git = id_of(payload.get("id")), mapping_of(payload.get("git"))
        self._is_fork = bool(payload.get("forked_from_id"))
        self._copied_at = "" if self._is_fork else None
        self._about = {"agent": f"Codex {text_of(payload.get('cli_version'))}".strip()}
        self._about |= {"cwd": payload.get("cwd"), "git_branch": git.get("branch")}
        link = {"agentId": self.session_id, "sessionId": self.session_of(line)[0]}
        self.add("system", "init", **self._about, **link)

    def _item(self, what: str, payload: Mapping[str, Json]) -> None:
        role, content = text_of(payload.get("role")), blocks_of(payload.get("content"))
        if what.endswith("_output"):
            self._output(payload)
            return
        if what == "agent_message" or role == "user":
            self.is_said = True
            self.kinds.clear()
            is_meta = what == "agent_message" or bool(_CONTEXT.match(plain_text(content)))
            self.ask(content, is_meta=is_meta)
        elif (what, role) == ("message", "assistant"):
            for block in list_of(content):
                self.part("text", block)
        elif what == "reasoning":
            text = plain_text(blocks_of(payload.get("summary"))) or plain_text(content)
            self.part("thinking", {"type": "thinking", "thinking": text})
        elif what.endswith("_call"):
            self._call(what, payload)
        else:
            return
        self._ended = (UNKNOWN, "")

    def _call(self, what: str, payload: Mapping[str, Json]) -> None:
        call_id = id_of(payload.get("call_id")) or id_of(payload.get("id"))
        name = text_of(payload.get("name")) or what.removesuffix("_call")
        self._spawns |= {call_id} if name == "spawn_agent" else set()
        given = next((payload[key] for key in _GIVEN if key in payload), None)
        self.part("tool_use", tool_use(call_id, name, _parsed(given)))
        if what in _BY_THE_API:
            self.answer(call_id, "", failed=payload.get("status") == "failed")

    def _output(self, payload: Mapping[str, Json]) -> None:
        """What a tool gave; its exit code stands in an object beside it, or in its first lines."""
        self.is_said, call_id, raw = True, id_of(payload.get("call_id")), payload.get("output")
        held = mapping_of(_parsed(raw))
        content = blocks_of(next((held[k] for k in ("output", "content") if k in held), raw))
        found = _EXIT.search(plain_text(content)[:300])
        code = mapping_of(held.get("metadata")).get("exit_code", found and found[1])
        failed = str(code or 0) != "0" or held.get("success") is False
        about: Event = {"isAsync": not failed, "agentId": id_of(held.get("agent_id"))}
        about = about if call_id in self._spawns else {}
        self.answer(call_id, content, failed=failed, **about)

    def _mirror(self, what: str, payload: Mapping[str, Json]) -> None:
        held = mapping_of(payload.get("item"))
        self._has_ends = self._has_ends or what == "task_started" or what in _DONE
        if what == "token_count":
            self._tokens(mapping_of(payload.get("info")))
        elif what in _DONE:
            why = text_of(payload.get("message"))
            if what == "turn_aborted":
                reason = text_of(payload.get("reason")) or "no reason given"
                why = f"the last turn was aborted: {reason}"
            self._ended = (_DONE[what], why)
            self.remark(why or what)
        elif child := id_of(held.get("agent_thread_id") or payload.get("new_thread_id")):
            status, call_id = held.get("kind"), held.get("id") or payload.get("call_id")
            is_begin = status in {None, "started"}
            about = {"tool_use_id": call_id} if is_begin else {"status": status}
            self.add("system", "task_updated", task_id=child, task_type="agent", **about)

    def _tokens(self, info: Mapping[str, Json]) -> None:
        usage, stated = usage_of(info.get("last_token_usage")), info.get("total_token_usage")
        if stated == self._stated if stated is not None else not usage:  # or only limits
            return
        if stated is not None:
            now, before = (Counter(usage_of(each)) for each in (stated, self._stated))
            if now.total() >= before.total():
                now.subtract(before)
            self._total.update(usage if self._is_fork and self._stated is None else now)
            self._stated = stated
        if self._counted == self.number:  # of a message that is still to come
            self.begin_message()
        self._counted, self.is_said = self.number, bool(self.kinds)
        self.say(usage=usage)


def _parsed(given: Json) -> Json:
    """What JSON text stands for; other text, and what is no text, as it is."""
    with suppress(ValueError, RecursionError):
        return json.loads(given) if text_of(given)[:1] in {"{", "["} else given
    return given
