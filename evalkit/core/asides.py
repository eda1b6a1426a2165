"""Subagents' own transcripts, which lie beside a log: whose they are, and when it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from evalkit.core.assembly import Assembler
from evalkit.core.content import id_of, mapping_of, plain_text
from evalkit.core.conversation import Subagent, ToolCall
from evalkit.core.loglines import Event
from evalkit.core.timing import drop_outliers, lay_out


@dataclass(frozen=True, slots=True)
class _Aside:
    """A transcript, as far as its first event tells about it."""

    name: str
    agent_id: str
    session_id: str
    prompt: str
    events: Iterator[Event]


def read_asides(assembler: Assembler, transcripts: Mapping[str, Iterable[Event]]) -> None:
    """Put the transcripts' messages into the subagents they belong to.

    A subagent may have started another one, whose transcript finds its place only after the
    first one's was read. One that belongs to no call in the log becomes a subagent of its own.
    """
    waiting = [aside for name in sorted(transcripts) for aside in _peek(name, transcripts[name])]
    while waiting:
        agents = [tool.agent for tool in assembler.tasks.started if tool.agent is not None]
        placed = [(aside, agent) for aside in waiting if (agent := _owner(aside, agents))]
        if not placed:
            break
        for aside, agent in placed:
            _read(assembler, aside, agent)
        done = {aside.name for aside, _ in placed}
        waiting = [aside for aside in waiting if aside.name not in done]
    for aside in waiting:
        assembler.trim.ledger.note(f"{aside.name}: no call in the log started this subagent")
        own = [s for s in assembler.sessions if s.session_id == aside.session_id]
        main = (own or assembler.sessions)[0].main
        call = ToolCall("", "", start=main.last)
        main.strays.append(call)
        _read(assembler, aside, assembler.tasks.agent_of(call))


def _peek(name: str, events: Iterable[Event]) -> Iterator[_Aside]:
    rest = iter(events)
    first = next(rest, None)
    if first is None:
        return
    stem = name.rsplit("/", 1)[-1].removesuffix(".jsonl")
    agent_id = id_of(first.get("agentId")) or stem.removeprefix("agent-")
    prompt = plain_text(mapping_of(first.get("message")).get("content"))
    yield _Aside(name, agent_id, id_of(first.get("sessionId")), prompt, chain([first], rest))


def _owner(aside: _Aside, agents: Iterable[Subagent]) -> Subagent | None:
    by_id = [agent for agent in agents if agent.agent_id and agent.agent_id == aside.agent_id]
    if by_id:
        return by_id[0]
    unnamed = [agent for agent in agents if not agent.agent_id and aside.prompt]
    asked = [agent for agent in unnamed if agent.thread.prompt == aside.prompt]
    return asked[0] if len(asked) == 1 else None


def _read(assembler: Assembler, aside: _Aside, agent: Subagent) -> None:
    if agent.thread.calls or agent.aside is not None:
        for _ in aside.events:
            assembler.trim.ledger.settle("transcript: its messages are in the log already")
        return
    agent.agent_id = agent.agent_id or aside.agent_id
    assembler.take_aside(agent, aside.events)


def anchor(started: Iterable[ToolCall]) -> None:
    """Let transcripts, which always have times, tell a log without them when it was."""
    for tool in started:
        agent = tool.agent
        stamped = agent.aside.stamped if agent is not None and agent.aside is not None else []
        if agent is None or not stamped:
            continue
        if tool.start.stamp is None:
            tool.start.stamp = stamped[0].stamp
        if agent.end is not None and agent.end.stamp is None:
            agent.end.stamp = stamped[-1].stamp


def lay_out_asides(started: Iterable[ToolCall]) -> None:
    """Give the transcripts' ticks their place in time, callers' first."""
    for tool in started:
        agent = tool.agent
        if agent is None or agent.aside is None:
            continue
        drop_outliers(agent.aside.ticks)
        end = agent.end or tool.end or tool.start
        agent.aside.duration = max(0, end.at - tool.start.at) or None
        lay_out([agent.aside], tool.start.at)
