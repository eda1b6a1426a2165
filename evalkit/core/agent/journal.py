"""A session's calls as they are kept: enough to go on after a kill, and to replay it exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

import msgspec

from evalkit.core.agent.budget import Spent
from evalkit.core.agent.conversation import Message, Reply, ToolSpec
from evalkit.core.values import Json, canonical, to_json, well_formed

SessionKind: TypeAlias = Literal["initializer", "worker", "interactive"]

JOURNAL = "state/journal"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session began.

    Attributes:
        number: Its number, from 1.
        kind: What sort of session.
        task_id: The task that it is about; empty for the initializer.
        model: The model that was asked for.
        started_ms: When, milliseconds since the epoch.
    """

    number: int
    kind: SessionKind
    task_id: str
    model: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One answered call.

    Attributes:
        number: Its number within the session, from 1.
        asked: Hash of all that was sent, see :func:`fingerprint`.
        sent: The messages that came since the last answer.
        reply: The answer.
        started_ms: When the call began, milliseconds since the epoch.
        seconds: From there to the answer.
        before_s: From the last answer to the call: tools, mostly.
        tools_s: How long each of those tools took, by its call's id.
    """

    number: int
    asked: str
    sent: tuple[Message, ...]
    reply: Reply
    started_ms: int
    seconds: float
    before_s: float = 0.0
    tools_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closing:
    """How a session ended.

    Attributes:
        reason: Why, in a word of :data:`evalkit.flows.agent.loop.Reason`.
        detail: The same in words.
        ended_ms: When, milliseconds since the epoch.
    """

    reason: str
    detail: str
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its journal tells it.

    Attributes:
        opening: How it began.
        turns: What was asked and answered, in order.
        closing: How it ended; None where it has not.
    """

    opening: Opening
    turns: tuple[Turn, ...] = ()
    closing: Closing | None = None

    @property
    def spent(self) -> Spent:
        """What it cost so far."""
        return total_of(self.turns)

    @property
    def messages(self) -> list[Message]:
        """The conversation so far; it ends with an answer."""
        told: list[Message] = []
        for turn in self.turns:
            told += turn.sent
            told.append(answer(turn.reply))
        return told


def answer(reply: Reply) -> Message:
    """An answer as a message of the conversation; one without words says so."""
    content: list[Json] = [dict(block) for block in reply.content]
    return {"role": "assistant", "content": content or [{"type": "text", "text": "(nothing)"}]}


def total_of(turns: Iterable[Turn]) -> Spent:
    """What turns cost together."""
    spent = Spent()
    for turn in turns:
        reply = turn.reply
        spent += Spent(
            1,
            reply.usage,
            reply.cost_usd or 0.0,
            int(reply.cost_usd is None),
            turn.seconds + turn.before_s,
        )
    return spent


def fingerprint(system: str, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> str:
    """What a request says, as a hash: equal requests, equal hashes."""
    asked: list[Json] = [
        system,
        [dict(message) for message in messages],
        [asdict(tool) for tool in tools],
    ]
    return hashlib.sha256(canonical(asked).encode("utf-8", "surrogatepass")).hexdigest()


def file_of(session: int, part: str) -> str:
    """Where a part of a session's journal is kept: ``opening``, a turn's number, ``closing``."""
    return f"{JOURNAL}/{session:03}/{part}.json"


def entry_text(entry: Opening | Turn | Closing) -> bytes:
    """An entry of the journal as a file's content."""
    return (json.dumps(well_formed(to_json(asdict(entry))), indent=1) + "\n").encode()


def read_session(number: int, files: dict[str, bytes]) -> Session | None:
    """A session of its files, by their names without ``.json``; None where nothing was answered.

    A turn that is cut off was not answered as far as anybody knows; it and what follows is left
    out. A session whose opening is lost is about nothing that is known, but what it cost counts.
    """
    turns: list[Turn] = []
    while content := files.get(f"{len(turns) + 1:04}"):
        try:
            turns.append(msgspec.json.decode(content, type=Turn))
        except msgspec.DecodeError:
            break
    try:
        opening = msgspec.json.decode(files.get("opening", b""), type=Opening)
    except msgspec.DecodeError:
        if not turns:
            return None
        opening = Opening(number, "worker", "unknown", turns[0].reply.model, turns[0].started_ms)
    closing: Closing | None
    try:
        closing = msgspec.json.decode(files.get("closing", b""), type=Closing)
    except msgspec.DecodeError:
        closing = None
    return Session(opening, tuple(turns), closing)
