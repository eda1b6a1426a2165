"""Plays a session script (``sessions/*.yaml``): what the agent of the demo did with one case.

A script says how its log is written (``timestamps``, ``placeholders``, ``together``, ``cli``),
which helper models were billed besides (``helpers``), how many tokens of an earlier conversation
it continues (``context``), how it ends (``ends``: ``success``,
``error_max_turns``, or ``cut`` for a log that breaks off), and the steps. A step is one of

- a turn: ``thinking``, ``say`` and ``calls``; with ``unlogged`` the log leaves it out;
- ``event``: any event, as it is;
- ``compact``: the conversation is compacted to this summary;
- ``finished``: the subagent of this name, in the background, is done.

A call is ``bash`` (a command, with ``why``), ``read`` (a file of the skill), ``agent``, or any
other ``tool`` with its ``input``; ``gives`` is the answer.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from evalkit.core.values import Json
from evalkit.demo.conversation import Call, Reply, Thread, Turn
from evalkit.demo.logs import Session, as_lines
from evalkit.demo.subagents import Subagent
from evalkit.demo.tokens import Tokens, estimate

SKILL_FOLDER = "skills/quillmoor-support"

MADE_UP_SECRETS: Mapping[str, str] = {
    # put together here so that no scanner takes this repository for leaking
    "@GITHUB_TOKEN@": "ghp" + "_" + "7Qm2" + "Lw9x" * 8,
    "@BEARER_TOKEN@": "cpn" + "." + "3vT8" + "kYd5" * 9,
}


@dataclass(frozen=True, slots=True)
class Played:
    """What a session left behind.

    Attributes:
        log: Content of its ``stdout.log``.
        transcripts: Content of transcripts beside the log, by file name.
        reply: The reply to the customer; empty where it came to none.
        spent: Tokens by model; empty where the log breaks off before it says them.
        messages: Messages of the main thread.
        duration_s: Seconds that the runner measured.
        exit_code: The agent process's exit code.
        read: Texts of the files that the agent read.
    """

    log: str
    transcripts: Mapping[str, str]
    reply: str
    spent: Mapping[str, Tokens]
    messages: int
    duration_s: float
    exit_code: int
    read: tuple[str, ...]


PROCESS_START_S = 3.2
TIME_LIMIT_S = 120.0
KILLED = 124


def play(
    script: str, name: str, start: dt.datetime, message: str, skill_file: Callable[[str], str]
) -> Played:
    """Play a script.

    Args:
        script: The script's text.
        name: What the session's ids are derived from.
        start: When the session began.
        message: What the customer wrote.
        skill_file: Gives the text of a file of the skill by its relative path.
    """
    for mark, secret in MADE_UP_SECRETS.items():
        script = script.replace(mark, secret)
    return _Player(yaml.safe_load(script), name, start, skill_file).play(message)


class _Player:
    def __init__(
        self,
        script: Mapping[str, Any],
        name: str,
        start: dt.datetime,
        skill_file: Callable[[str], str],
    ) -> None:
        self.script = script
        self.skill_file = skill_file
        self.session = Session(
            name,
            start,
            stamps=script["timestamps"],
            cli=script.get("cli", "2.1.204"),
            placeholders=script.get("placeholders", False),
            together=script.get("together", False),
        )
        self.background: dict[str, Subagent] = {}
        self.reply = ""
        self.read: list[str] = []

    def play(self, message: str) -> Played:
        session, ends = self.session, self.script.get("ends", "success")
        session.main.unread += self.script.get("context", 0)
        session.open(f"/quillmoor-support {message}")
        self.steps(self.script["steps"], session.main)
        for model, tokens in self.script.get("helpers", {}).items():
            session.bill(model, Tokens(**tokens))
        cut = ends == "cut"
        if not cut:
            session.close(self.reply, subtype=ends)
        log = session.text()
        return Played(
            log=log[: -len(as_lines(session.events[-1:])) // 2] if cut else log,
            transcripts={
                f"agent-{thread.agent_id}.jsonl": as_lines(thread.transcript)
                for thread in session.asides
            },
            reply=self.reply if ends == "success" else "",
            spent={} if cut else session.spent,
            messages=session.main.messages,
            duration_s=TIME_LIMIT_S
            if cut
            else round(session.main.clock_ms / 1000 + PROCESS_START_S, 1),
            exit_code=KILLED if cut else int(ends != "success"),
            read=tuple(self.read),
        )

    def steps(self, steps: list[Mapping[str, Any]], thread: Thread) -> None:
        for step in steps:
            if "event" in step:
                self.session.event(**step["event"])
            elif "compact" in step:
                self.compact(step["compact"], thread)
            elif "finished" in step:
                self.background[step["finished"]].finish(self.session)
            else:
                self.turn(step, thread)

    def turn(self, step: Mapping[str, Any], thread: Thread) -> None:
        turn = Turn(
            text=_unwrapped(step.get("say", "")),
            thinking=step.get("thinking", ""),
            calls=[self.call(call) for call in step.get("calls", ())],
            logged=not step.get("unlogged", False),
        )
        if thread is self.session.main and not turn.calls:
            self.reply = turn.text
        self.session.turn(turn, thread)

    def call(self, call: Mapping[str, Any]) -> Call:
        if "agent" in call:
            return self.subagent(call["agent"]).call()
        if "read" in call:
            return self.reading(call["read"])
        if "bash" in call:
            tool, given = "Bash", {"command": call["bash"], "description": call["why"]}
        else:
            tool, given = call["tool"], call["input"]
        reply = Reply(
            call["gives"], failed=call.get("failed", False), denied=call.get("denied", False)
        )
        return Call(tool, given, reply, call.get("seconds", 0.5))

    def reading(self, path: str) -> Call:
        text = self.skill_file(path)
        self.read.append(text)
        name = f"{self.session.cwd}/{SKILL_FOLDER}/{path}"
        lines = text.splitlines()
        numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, 1))
        file: Json = {
            "filePath": name,
            "content": text,
            "numLines": len(lines),
            "startLine": 1,
            "totalLines": len(lines),
        }
        reply = Reply(numbered, {"type": "text", "file": file})
        return Call("Read", {"file_path": name}, reply, 0.05)

    def subagent(self, script: Mapping[str, Any]) -> Subagent:
        agent = Subagent(
            description=script["description"],
            prompt=script["prompt"],
            answer=script["answer"],
            model=script["model"],
            play=lambda _, thread: self.steps(script["steps"], thread),
            background=script.get("background", False),
        )
        if "name" in script:
            self.background[script["name"]] = agent
        return agent

    def compact(self, summary: str, thread: Thread) -> None:
        """The conversation gives way to a summary; what writing it costs is billed, not logged."""
        session, before = self.session, thread.cached + thread.unread
        session.bill(thread.model, Tokens(cache_read=before, output=estimate(summary)))
        session.system("status", status="compacting")
        metadata = {"trigger": "auto", "pre_tokens": before}
        session.system("compact_boundary", compact_metadata=metadata)
        thread.forget()
        session.say(f"The conversation so far, in short: {summary}", thread, isSynthetic=True)


def _unwrapped(text: str) -> str:
    """Paragraphs and list items in one line each, as a model writes them."""
    return re.sub(r"(?<=[^\n])\n(?!\n|\d\. |- ) *", " ", text)
