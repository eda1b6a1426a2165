"""Writes Claude Code logs: says what happened in a session, gets the lines it would have logged.

::

    session = Session("case-1", start=when)
    session.open("Where is my order?")
    session.turn(Turn(thinking="…", text="Let me look.", calls=(Call("Bash", {…}, Reply("…")),)))
    session.turn(Turn(text="It is on its way."))
    session.close("It is on its way.")
    session.text()

Ids, times and tokens follow from the session's name and from what was said, so the same story
gives the same log to the byte. Every figure adds up the way it does in real logs: messages to
their thread's usage, threads and helper models to ``modelUsage``, tokens to cost.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from evalkit.core.values import Json
from evalkit.demo.conversation import Call, Event, Thread, Turn
from evalkit.demo.ids import Ids
from evalkit.demo.tokens import SONNET, Tokens, estimate, total_cost

Stamps: TypeAlias = Literal["all", "results", "none"]
"""Which events carry a timestamp: all, those of type ``user`` only, or none."""

START_MS = 2_600
FIRST_BYTE_MS = 900
MS_A_TOKEN = 14
TOOLS = ("Agent", "Bash", "Glob", "Grep", "Read", "Skill", "TodoWrite", "Write")


@dataclass(slots=True)
class Session:
    """One session of Claude Code, and the log it leaves.

    Attributes:
        name: What all ids are derived from.
        start: When it began.
        skill: The skill that it runs.
        model: The main thread's model.
        stamps: Which events carry a timestamp.
        cwd: The working directory that the log names.
        cli: Version of Claude Code.
        placeholders: Whether messages carry a placeholder instead of their output tokens, as
            they do when they are logged while still being written.
        together: Whether a message's blocks come in one event, as in older versions, or in one
            event each with the usage repeated.
        events: The log so far.
        spent: Tokens by model, of all threads and helper models.
        denials: Tool calls that were not permitted.
        asides: Threads with a transcript of their own.
        api_ms: Milliseconds spent waiting for the API.
        main: The main agent's thread.
        ids: The ids that it gives.
    """

    name: str
    start: dt.datetime
    skill: str = "quillmoor-support"
    model: str = SONNET
    stamps: Stamps = "all"
    cwd: str = "/workspace"
    cli: str = "2.1.204"
    placeholders: bool = False
    together: bool = False
    events: list[Event] = field(default_factory=list)
    spent: dict[str, Tokens] = field(default_factory=dict)
    denials: list[Json] = field(default_factory=list)
    asides: list[Thread] = field(default_factory=list)
    api_ms: int = 0
    main: Thread = field(init=False)
    ids: Ids = field(init=False)
    _logged_ms: int = 0

    def __post_init__(self) -> None:
        self.main = Thread(self.model)
        self.ids = Ids(self.name)

    # -- what happens ------------------------------------------------------------------------

    def open(self, prompt: str) -> None:
        """Begin: the prompt where the runner logs it, the start-up hook, the init event."""
        self.main.unread += estimate(prompt)
        if self.stamps == "all":  # the runner that stamps all events also logs the prompt
            self._log_prompt(prompt)
            self._log_hook()
        self.system(
            "init",
            cwd=self.cwd,
            tools=list(TOOLS),
            mcp_servers=[],
            model=self.model,
            permissionMode="default",
            slash_commands=[self.skill],
            apiKeySource="none",
            claude_code_version=self.cli,
            output_style="default",
            agents=["general-purpose", "Explore"],
            skills=[self.skill],
            plugins=[],
        )

    def turn(self, turn: Turn, thread: Thread | None = None) -> None:
        """A message of the model, and the answers of the tools it calls."""
        thread = thread or self.main
        tokens = thread.spend(turn.output_tokens())
        self.bill(thread.model, tokens)
        api_ms = FIRST_BYTE_MS + tokens.output * MS_A_TOKEN
        self.api_ms += api_ms
        if not turn.logged:
            thread.clock_ms += api_ms
            return
        blocks = list(self._blocks(turn))
        message = self._message(turn, thread.model, tokens)
        calls = iter(turn.calls)
        events = [blocks] if self.together else [[block] for block in blocks]
        for content in events:
            thread.clock_ms += api_ms // len(events)
            self._write({"type": "assistant", "message": {**message, "content": content}}, thread)
            for block in content:
                if block["type"] == "tool_use":
                    self._call(next(calls), block["id"], thread)

    def system(self, subtype: str, **fields: Json) -> None:
        """A system event."""
        self.event(type="system", subtype=subtype, **fields)

    def event(self, **fields: Json) -> None:
        """An event of any kind, as it is; the envelope is added."""
        envelope = {"uuid": self.ids.uuid(), "session_id": self.ids.session}
        now_ms = max(self.main.clock_ms, self._logged_ms)  # a subagent may be ahead of its caller
        stamp = {"timestamp": self._time(now_ms)} if self.stamps == "all" else {}
        self.events.append({**fields, **envelope, **stamp})

    def say(self, text: str, thread: Thread, **marks: Json) -> None:
        """A text from the user's side: a subagent's prompt, a summary, a hook's remark."""
        content = [{"type": "text", "text": text}]
        thread.unread += estimate(text)
        self._write(
            {"type": "user", "message": {"role": "user", "content": content}}, thread, marks
        )

    def bill(self, model: str, tokens: Tokens) -> None:
        """Tokens that a model used in this session."""
        self.spent[model] = self.spent.get(model, Tokens()) + tokens

    def close(self, result: str, *, subtype: str = "success") -> None:
        """End with a result event that says the totals."""
        ended_well = subtype == "success"
        outcome: Event = {"result": result} if ended_well else {"errors": []}
        self.event(
            type="result",
            subtype=subtype,
            is_error=False,
            duration_ms=self.main.clock_ms,
            duration_api_ms=self.api_ms,
            num_turns=self.main.tool_uses + 1,
            **outcome,
            stop_reason="end_turn" if ended_well else None,
            total_cost_usd=total_cost(self.spent),
            usage={
                **self.main.spent.as_usage(),
                "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0},
            },
            modelUsage={model: used.as_model_usage(model) for model, used in self.spent.items()},
            permission_denials=list(self.denials),
        )

    # -- what is left ------------------------------------------------------------------------

    def text(self) -> str:
        """The log: one JSON object a line."""
        return as_lines(self.events)

    # -- how it is written -------------------------------------------------------------------

    def _log_prompt(self, prompt: str) -> None:
        message = {"role": "user", "content": prompt}
        stamp = self._time(self.main.clock_ms)
        self.events.append({"type": "user", "message": message, "timestamp": stamp})
        self.main.clock_ms += START_MS

    def _log_hook(self) -> None:
        hook = {
            "hook_id": self.ids.uuid(),
            "hook_name": "SessionStart:startup",
            "hook_event": "SessionStart",
        }
        self.system("hook_started", **hook)
        written = {"output": "", "stdout": "", "stderr": ""}
        self.system("hook_response", **hook, **written, exit_code=0, outcome="success")

    def _blocks(self, turn: Turn) -> Iterable[Event]:
        if turn.thinking:
            if self.stamps == "all":
                self._count_thinking(estimate(turn.thinking))
            signature = self.ids.api("Eq", 60)
            yield {"type": "thinking", "thinking": turn.thinking, "signature": signature}
        if turn.text:
            yield {"type": "text", "text": turn.text}
        for call in turn.calls:
            use = {"type": "tool_use", "id": self.ids.api("toolu_01"), "name": call.tool}
            yield {**use, "input": dict(call.input)}

    def _count_thinking(self, tokens: int) -> None:
        half = tokens // 2
        for count, delta in ((half, half), (tokens, tokens - half)):
            self.system("thinking_tokens", estimated_tokens=count, estimated_tokens_delta=delta)

    def _message(self, turn: Turn, model: str, tokens: Tokens) -> Event:
        shown = 1 + tokens.output % 8 if self.placeholders else tokens.output
        finished = "tool_use" if turn.calls else "end_turn"
        return {
            "model": model,
            "id": self.ids.api("msg_01"),
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": finished if self.together else None,
            "stop_sequence": None,
            "usage": tokens.as_usage(output=shown),
        }

    def _call(self, call: Call, tool_id: str, thread: Thread) -> None:
        thread.tool_uses += 1
        if call.inside is None:
            thread.clock_ms += round(call.seconds * 1000)
            reply = call.reply
        else:
            reply = call.inside(self, thread, tool_id)
        if reply.denied:
            denial = {"tool_name": call.tool, "tool_use_id": tool_id}
            self.denials.append({**denial, "tool_input": dict(call.input)})
        thread.unread += estimate(reply.text)
        result: Event = {"tool_use_id": tool_id, "type": "tool_result", "content": reply.content}
        if reply.failed:
            result["is_error"] = True
        message = {"role": "user", "content": [result]}
        marks = {"tool_use_result": reply.result_of(call.tool)}
        self._write({"type": "user", "message": message}, thread, marks)

    def _write(self, event: Event, thread: Thread, marks: Mapping[str, Json] | None = None) -> None:
        if thread.agent_id:
            thread.transcript.append({**self._aside(thread), **event})
            return
        envelope: Event = {
            "parent_tool_use_id": thread.parent,
            "session_id": self.ids.session,
            "uuid": self.ids.uuid(),
        }
        if self.stamps == "all" or (self.stamps == "results" and event["type"] == "user"):
            envelope["timestamp"] = self._time(thread.clock_ms)
        self._logged_ms = max(self._logged_ms, thread.clock_ms)
        self.events.append({**event, **envelope, **(marks or {})})

    def _aside(self, thread: Thread) -> Event:
        """The envelope of a line in a transcript beside the log."""
        return {
            "parentUuid": thread.transcript[-1]["uuid"] if thread.transcript else None,
            "isSidechain": True,
            "agentId": thread.agent_id,
            "cwd": self.cwd,
            "sessionId": self.ids.session,
            "version": self.cli,
            "uuid": self.ids.uuid(),
            "timestamp": self._time(thread.clock_ms),
        }

    def _time(self, clock_ms: int) -> str:
        when = self.start + dt.timedelta(milliseconds=clock_ms)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_lines(events: Iterable[Event]) -> str:
    """Events as JSON lines."""
    return "".join(
        json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n" for event in events
    )
