"""From events to sessions: which event belongs to which session and thread, and what it means.

A kind of event that is not handled here is skipped under its own name. Nothing that an event holds
can raise an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from evalkit.claude_log.content_blocks import Trimmer
from evalkit.claude_log.messages import Messages
from evalkit.claude_log.reader import KINDS, Entry, Event, LogFormat, is_event
from evalkit.claude_log.session import STRUCTURED, Session, Subagent, Thread, ToolCall
from evalkit.claude_log.subagents import ToolCalls, Transcript, transcripts_of
from evalkit.claude_log.timing import Line, Tick, parse_duration, parse_time
from evalkit.jsonable import Json, id_of, list_of, mapping_of, text_of
from evalkit.tokens import count

_REPEATED = "repeated event: the same uuid"
_UNTYPED = "an object without a type"
_HANDLERS = {
    kind: method
    for method, kinds in {
        "_message": "assistant user",
        "_piece": "stream_event",
        "_result": "result",
        "_rate_limit": "rate_limit_event",
        "_init": "system/init",
        "_retry": "system/api_retry",
        "_hook": "system/hook_started system/hook_progress system/hook_response",
        "_turn_end": "system/turn_duration system/stop_hook_summary",
        "_task": "system/task_started system/task_progress system/task_updated "
        "system/task_notification",
        "_remark": "system/notification system/compact_boundary system/post_turn_summary "
        "system/permission_denied",
    }.items()
    for kind in kinds.split()
}
"""Type of event to the method that takes it, by name: bound methods would tie the builder, and
with it all it has read, into a cycle."""

_HOOK_OUTPUT_CHARS = 2_000
_ENVELOPE = ("type", "uuid", "session_id", "timestamp")
_RETRY = ("attempt", "max_retries", "retry_delay_ms", "error_status", "error")
_ABOUT_AGENT = (
    *("model", "claude_code_version", "permissionMode", "output_style"),
    *("agent", "cwd", "git_branch", "tools", "agents", "skills"),
)
_ABOUT_RESULT = (
    *("subtype", "is_error", "num_turns", "duration_ms", "duration_api_ms", "ttft_ms"),
    *("stop_reason", "terminal_reason", "api_error_status"),
)


@dataclass(slots=True)
class SessionBuilder:
    """Takes events in the log's order and puts them in their place."""

    trim: Trimmer
    sessions: list[Session] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)  # ``type/subtype`` of every event so far
    first: int = 0  # of the present log's events; those before are of earlier steps
    known: int = 0  # events of Claude Code's own kinds and shape
    strange: dict[str, Event] = field(default_factory=dict)  # the first of each other type
    bad_times: int = 0  # timestamps that are no times
    tools: ToolCalls = field(init=False)
    messages: Messages = field(init=False)
    _seen: set[str] = field(default_factory=set)
    _latest: dict[str, Session] = field(default_factory=dict)
    _step: str = ""
    _format: LogFormat | None = None
    _is_new_log: bool = True

    def __post_init__(self) -> None:
        self.tools = ToolCalls(self.trim)
        self.messages = Messages(self.trim, self.tools)

    def start_log(self, step: str, log_format: LogFormat | None) -> None:
        """Start a log, of a step or of the whole: no event of it is of an earlier session."""
        self.messages.start_log()
        self.first, self._step, self._is_new_log = len(self.kinds), step, True
        self._format = log_format
        self._latest.clear()

    def add_entry(self, entry: Entry) -> None:
        """Put the events of one line of the log in their place, and book it."""
        kind, events, why = entry
        if kind:
            self.kinds.append(kind)
        self._book(kind, [self._add_event(event) for event in events], why)

    def _book(self, kind: str, reasons: Sequence[str | None], why: str) -> None:
        """Book a line: used if any of its events was; ``reasons`` say why each was not."""
        if kind:
            self.trim.receipt.settle(None if None in reasons else next(iter(reasons), why))

    def _add_event(self, event: Event) -> str | None:
        kind, subtype = text_of(event.get("type")), text_of(event.get("subtype"))
        full = f"{kind}/{subtype}" if subtype else kind
        if kind in KINDS:
            self.known += is_event(event)
        else:
            self.strange.setdefault(kind, event)
        handler = _HANDLERS.get(full if kind == "system" else kind)
        if handler is None:
            return full or _UNTYPED
        return cast("str | None", getattr(self, handler)(event))

    def add_transcripts(self, sidecars: Mapping[str, Iterable[Entry]]) -> None:
        """Put the messages of subagents' own transcripts into the subagents they belong to.

        That of a subagent's subagent finds its place only after the first one's was read; one
        that belongs to no call in the log becomes a subagent of its own.
        """
        waiting = list(transcripts_of(sidecars))
        while waiting:
            agents = [agent for _, agent in self.tools.started]
            placed = [(each, each.owner(agents)) for each in waiting]
            if not any(agent for _, agent in placed):
                placed = [(each, self._stray_agent(each)) for each in waiting]
            for transcript, agent in placed:
                if agent is not None:
                    self._transcript(agent, transcript)
            waiting = [transcript for transcript, agent in placed if agent is None]

    def _stray_agent(self, transcript: Transcript) -> Subagent:
        self.trim.receipt.note(f"{transcript.name}: no call in the log started this subagent")
        own = [each for each in self.sessions if each.session_id == transcript.session_id]
        main = (own or self.sessions)[0].main
        call = ToolCall("", "", start=main.last)
        main.strays.append(call)
        return self.tools.agent_of(call)

    def _transcript(self, agent: Subagent, transcript: Transcript) -> None:
        is_known = bool(agent.thread.calls) or agent.transcript is not None
        agent.agent_id = agent.agent_id or transcript.agent_id
        for kind, events, why in transcript.entries:
            reasons: list[str | None] = ["transcript: its messages are in the log already"]
            if not is_known:
                reasons = [self._transcript_event(agent, event) for event in events]
            self._book(kind, reasons, why)

    def _transcript_event(self, agent: Subagent, event: Event) -> str | None:
        tick = self._tick(event)
        if agent.transcript is None:
            agent.transcript = Line([])
            agent.thread.last = tick
        agent.transcript.ticks.append(tick)
        kind = text_of(event.get("type"))
        if kind not in {"assistant", "user"}:
            return f"transcript: {kind or _UNTYPED}"
        return _REPEATED if self._repeats(event) else self.messages.add(agent.thread, event, tick)

    # -- which session, which thread, when ---------------------------------------------------

    def _tick(self, event: Event) -> Tick:
        raw = event.get("timestamp")
        stamp = parse_time(raw)
        if raw is not None and stamp is None:
            self.bad_times += 1
        return Tick(stamp, place=len(self.kinds) - 1)

    def _session(self, event: Event, *, opens: bool = False) -> tuple[Session, Tick]:
        """Its session and its tick there; one that ``opens`` begins something after a result."""
        tick = self._tick(event)
        session = None if self._is_new_log else self.sessions[-1]
        session_id = event.get("session_id")
        if session is None or session_id != session.session_id:
            session_id = id_of(session_id) or id_of(event.get("sessionId"))
            if session is not None and session_id and session.session_id not in {"", session_id}:
                session = self._latest.get(session_id)
        if session is None or (opens and session.result is not None):
            session_id = session_id or (session.session_id if session is not None else "")
            session = Session(session_id, Line([tick]), Thread(last=tick), step=self._step)
            if self._format is not None:
                session.has_result_event = self._format.has_result
                session.facts["evalkit.log_format"] = self._format.name
            self.sessions.append(session)
            self._is_new_log = False
        else:
            session.session_id = session.session_id or session_id
            session.line.ticks.append(tick)
        self._latest[session.session_id] = session
        return session, tick

    def _thread(self, event: Event, session: Session) -> Thread:
        """The thread an event belongs to: a subagent's, or the session's own."""
        tool_id = id_of(event.get("parent_tool_use_id"))
        if not tool_id:
            return session.main
        tool = self.tools.starter(tool_id)
        if tool is None:  # the line with the call is missing
            tool = ToolCall(tool_id, "", start=session.main.last)
            session.main.strays.append(tool)
            self.tools.add(session.main, tool)
        return self.tools.agent_of(tool).thread

    def _repeats(self, event: Event) -> bool:
        uuid = event.get("uuid")
        is_known = isinstance(uuid, str) and uuid in self._seen
        if isinstance(uuid, str):
            self._seen.add(uuid)
        return is_known

    def _keep(self, facts: dict[str, Json], name: str, value: Json, what: str) -> None:
        facts.setdefault(f"evalkit.{name}", []).append(self.trim.value(value, what))

    # -- events by kind; each method returns why the event was skipped, if it was ---------------

    def _message(self, event: Event) -> str | None:
        if self._repeats(event):
            return _REPEATED
        session, tick = self._session(event, opens=not event.get("parent_tool_use_id"))
        return self.messages.add(self._thread(event, session), event, tick)

    def _piece(self, event: Event) -> str | None:
        session, tick = self._session(event)
        return self.messages.add_piece(self._thread(event, session), event, tick)

    def _task(self, event: Event) -> str | None:
        _, tick = self._session(event)
        return self.tools.add_event(event, tick)

    def _turn_end(self, event: Event) -> None:
        session, _ = self._session(event)
        for call in self._thread(event, session).calls[-1:]:
            call.ends_turn = True

    def _init(self, event: Event) -> None:
        session, tick = self._session(event, opens=True)
        session.has_init = True
        about = {key: event[key] for key in _ABOUT_AGENT if event.get(key)}
        servers = [mapping_of(server) for server in list_of(event.get("mcp_servers"))]
        if servers:
            about["mcp_servers"] = {text_of(s.get("name")): s.get("status") for s in servers}
        session.facts["evalkit.agent"] = self.trim.value(about, "init")
        if not session.main.calls:
            session.main.last = tick

    def _result(self, event: Event) -> None:
        session, tick = self._session(event, opens=True)
        value, facts = self.trim.value, session.facts
        session.result = {**event, "result": value(event.get("result"), "result")}
        stated = event.get("duration_ms")
        lasted = parse_duration(stated)
        session.line.duration = lasted or None
        if lasted is None and stated is not None:
            what = f"duration_ms, {str(stated)[:40]}, is no time that a session takes"
            self.trim.receipt.note(what)
        about = {key: event[key] for key in _ABOUT_RESULT if event.get(key) is not None}
        facts["evalkit.result"] = value(about, "result")
        for key in ("permission_denials", "errors"):
            if event.get(key):
                facts[f"evalkit.{key}"] = value(event[key], key)
        if event.get("structured_output") is not None:
            facts[STRUCTURED] = value(event["structured_output"], "result")
        for denial in list_of(event.get("permission_denials")):
            tool = self.tools.latest(id_of(mapping_of(denial).get("tool_use_id")))
            if tool is not None:
                tool.denied = True
        session.main.last = tick

    def _rate_limit(self, event: Event) -> str | None:
        limit = mapping_of(event.get("rate_limit_info"))
        if limit.get("status") == "allowed":
            return "rate_limit_event: allowed"
        self._keep(self._session(event)[0].facts, "rate_limits", dict(limit), "rate limit")
        return None

    def _hook(self, event: Event) -> None:
        """How a hook went; of one that reports several times, the last is kept."""
        session, _ = self._session(event, opens=text_of(event.get("hook_event")) == "SessionStart")
        hooks = session.facts.setdefault("evalkit.hooks", {})
        hook = hooks.setdefault(id_of(event.get("hook_id")), {})
        hook["name"] = text_of(event.get("hook_name"))
        about = {key: event[key] for key in ("outcome", "exit_code") if event.get(key) is not None}
        hook |= self.trim.value(about, "hook")
        if output := text_of(event.get("output")):
            short = Trimmer(min(_HOOK_OUTPUT_CHARS, self.trim.limit), self.trim.receipt)
            hook["output"] = short.text(output, "hook output")

    def _retry(self, event: Event) -> None:
        session, _ = self._session(event)
        retry = {key: event[key] for key in _RETRY if event.get(key) is not None}
        self._keep(self._thread(event, session).facts, "retries", retry, "retry")
        session.facts["evalkit.retries"] = count(session.facts.get("evalkit.retries")) + 1

    def _remark(self, event: Event) -> None:
        remark = {key: value for key, value in event.items() if key not in _ENVELOPE}
        self._keep(self._session(event)[0].facts, "remarks", remark, "remark")
