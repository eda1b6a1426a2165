"""The agent at work for a page: in a process of its own, followed live, which a reload outlives.

It ends with the page's server. What the agent and its tools say is escaped, and never markup.
"""

from __future__ import annotations

import html
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from evalkit.agent.location import find_session
from evalkit.agent.plan import Budget, Plan, Spent, Task
from evalkit.agent.request import Request
from evalkit.agent.session import VALIDATION_FILE, SessionDirectory
from evalkit.agent.work import Event
from evalkit.errors import EvalkitError, InputError, Problem, StoreAbsent
from evalkit.jsonable import well_formed

STEPS_KEPT = 12
MARKS = {
    "done": ("✓", "grass"),
    "in progress": ("●", "blue"),
    "pending": ("○", "slate"),
    "blocked": ("✗", "red"),
}

STYLE = """
.ek-agent-two { display: grid; gap: 1.5rem; margin-top: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)) }
.ek-agent-two > div { min-width: 0; overflow-wrap: anywhere; font-size: 0.875rem }
.ek-agent-two > div > * { display: block; padding: 0.2rem 0 }
.ek-agent-two > div > .ek-agent-task { display: grid; grid-template-columns: 1.4rem minmax(0, 1fr) }
.ek-agent-spent { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)) }
.ek-agent small, .ek-agent pre { color: var(--muted-foreground, #666); font-size: 0.8rem }
.ek-agent b { font-weight: 600 }
.ek-agent-track { height: 6px; border-radius: 3px; overflow: hidden; margin: 0.35rem 0;
  background: var(--slate-4, #e8e8ec) }
.ek-agent-track > div { height: 100%; background: var(--blue-9, #0090ff) }
.ek-agent summary { cursor: pointer; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap }
.ek-agent pre { font-family: var(--monospace-font, monospace); overflow-wrap: anywhere;
  white-space: pre-wrap; margin: 0 }
"""


@dataclass(frozen=True, slots=True)
class Step:
    """The agent's ``words``, its use of a ``tool``, or a ``wait``; and what came of it."""

    kind: str
    text: str
    outcome: str = ""


class Progress:
    """How far the agent is with a request.

    Attributes:
        lines: All that it said so far.
        doing: What its present session is about, the ``number``-th one; 0 before the first.
        plan, steps, spent: Its tasks, the last things that it did, what all sessions cost so far.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.lines: list[str] = []
        self.doing, self.number, self.spent = "", 0, Spent()
        self.plan: Plan | None = None
        self.steps: tuple[Step, ...] = ()

    def note(self, event: Event) -> None:
        """Note what just happened; the tasks are read from the session's files."""
        self.spent = event.spent or self.spent
        match event.kind:
            case "session":
                self.doing, self.number, self.steps = event.text, event.session, ()
            case "result" if self.steps:
                *before, last = self.steps
                self.steps = (*before, replace(last, outcome=event.text))
            case "words" | "tool" | "wait":
                self.steps = (*self.steps, Step(event.kind, event.text))[-STEPS_KEPT:]
        if event.kind in {"session", "task", "end"} and self.request.session:
            found = find_session(self.request.volume_path, self.request.session)
            self.plan = (found.plan() if found else None) or self.plan
        if event.kind != "delta":  # the words come whole, too
            self.lines.append(event.text)


class AgentProcess(Progress):
    """The agent, working on a request by itself."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._ended: dict[str, Any] = {}
        command = [sys.executable, "-m", "evalkit.ui.agent_live"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def follow(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Its report, when it is done; an EvalkitError as of :func:`evalkit.agent.run.build`.

        ``say`` is told each line; what it raises ends the watching, not the work.
        """
        told = 0
        while self._reader.is_alive() or told < len(self.lines):
            self._reader.join(0.2)
            for line in self.lines[told:]:
                told += 1
                say(line)
        if "report" in self._ended:
            return dict(self._ended["report"])
        if problems := self._ended.get("problems"):
            raise InputError(*(Problem(**each) for each in problems))
        error = str(self._ended.get("error", "the agent has ended; the server's output says more"))
        raise EvalkitError(error) if self._ended.get("code", 1) else StoreAbsent(error)

    def stop(self) -> None:
        """End it; the session can be gone on with."""
        self._process.terminate()
        self._reader.join()

    def _read(self) -> None:
        """Note what it says, until it has ended."""
        pipes = self._process
        if pipes.stdin and pipes.stdout:
            with pipes.stdin as given, pipes.stdout as said:
                given.write(msgspec.json.encode(self.request) + b"\n")
                given.flush()  # and it stays open: when this process ends, so does the agent
                for line in map(json.loads, said):
                    if "kind" in line:
                        self.note(msgspec.convert(line, Event))
                    else:
                        self._ended = line
        pipes.wait()
        _AT_WORK.pop(_key(self.request.volume_path, self.request.session), None)


_AT_WORK: dict[tuple[Path, str | None], AgentProcess] = {}
"""Those that pages of this server have started, by where their session lies, and its id."""


def at_work(request: Request) -> AgentProcess | None:
    """The agent that works on a request's session; None where none does."""
    return _AT_WORK.get(_key(request.volume_path, request.session))


def start(request: Request) -> AgentProcess:
    """Let the agent work on the session that a request names, if it does not already."""
    key = _key(request.volume_path, request.session)
    _AT_WORK[key] = at_work(request) or AgentProcess(request)
    return _AT_WORK[key]


def _key(base: str | None, session_id: str | None) -> tuple[Path, str | None]:
    return Path(base or ".").resolve(), session_id


SPENT = ("Calls", "Tokens", "USD", "Minutes")
"""What a session has cost, as :func:`session_row` has it."""


def session_row(session: SessionDirectory, base: str | None) -> dict[str, Any]:
    """A session in ``base`` as a table shows it: its name, how far it is, what it has cost."""
    plan, word = session.plan(), session.read_json(VALIDATION_FILE).get("word")
    state, spent = "looking at traces", session.spent()
    if _key(base, session.about.session_id) in _AT_WORK:
        state = "at work"
    elif plan and plan.is_done:
        state = str(word or "done")
    elif plan:
        done = sum(task.status == "done" for task in plan.tasks)
        stuck = f"blocked at {plan.blocked.title}" if plan.blocked else ""
        state = stuck or f"{done} of {len(plan.tasks)} tasks done"
    cost = f"{spent.usd:,.2f}" + (" and more" if spent.unpriced else "")
    shown = (spent.turns, f"{spent.tokens:,}", cost, f"{spent.seconds / 60:,.1f}")
    of_it = dict(zip(SPENT, shown, strict=True))
    return {"Session": session.about.session_id, "State": state, **of_it}


def task_row(task: Task) -> dict[str, Any]:
    """A task as a table shows it, with what the program's check found."""
    shown = {"Task": task.title, "Status": task.status, "Attempts": task.attempts}
    return {**shown, "Evidence": _proof(task)}


def live(agent: Progress | None, budget: Budget) -> str:
    """The agent's work at this moment, as HTML; empty where nobody works."""
    if agent is None:
        return ""
    plan, tasks = agent.plan, agent.plan.tasks if agent.plan else ()
    over = sum(task.status == "done" for task in tasks)
    # the plan itself counts as a task
    part = (over + 1) / (len(tasks) + 1) if tasks else 0.02
    doing = f"Session {agent.number}: {agent.doing}" if agent.number else "Beginning"
    steps = "".join(map(_step, agent.steps)) or "<small>Nothing yet.</small>"
    planned = "".join(map(_task, tasks)) if plan else "<small>Planned from the traces.</small>"
    return (
        f'<div class="ek-agent"><style>{STYLE}</style>{_track(part)}'
        f"<p><b>{html.escape(doing)}</b></p>"
        f'<div class="ek-agent-spent">{"".join(_spending(agent.spent, budget))}</div>'
        f'<div class="ek-agent-two"><div><b>Tasks</b>{planned}</div>'
        f"<div><b>Last steps</b>{steps}</div></div></div>"
    )


def _spending(spent: Spent, budget: Budget) -> Iterator[str]:
    """Each kind of spending, against the budget of all sessions."""
    most, minutes = budget.total, spent.seconds / 60
    for name, used, shown, limit, unit in (
        ("Calls", spent.turns, f"{spent.turns:,}", most.turns, ""),
        ("Tokens", spent.tokens, f"{spent.tokens:,}", most.tokens, ""),
        ("Cost", spent.usd, f"{spent.usd:,.2f}", most.usd, " USD"),
        ("Time", minutes, f"{minutes:,.1f}", most.minutes, " min"),
    ):
        of = unit if limit is None else f" of {limit:,g}{unit}"
        track = "" if limit is None else _track(min(used / limit, 1.0))
        yield f"<div><small>{name}</small><div><b>{shown}</b><small>{of}</small></div>{track}</div>"


def _track(part: float) -> str:
    return f'<div class="ek-agent-track"><div style="width: {part:.1%}"></div></div>'


def _task(task: Task) -> str:
    mark, hue = MARKS[task.status]
    tries = f" · attempt {task.attempts}" if task.attempts > 1 else ""
    state = "" if task.status == "done" else f"{task.status}{tries}"
    return (
        f'<div class="ek-agent-task"><b style="color: var(--{hue}-11)">{mark}</b>'
        f"<div>{html.escape(task.title)} <small>{state}<br>{html.escape(_proof(task))}</small>"
        "</div></div>"
    )


def _proof(task: Task) -> str:
    """What the program's check of a task found: what is missing, or the evidence."""
    if task.failure and task.status != "done":
        return " ".join(task.failure.split())
    return "; ".join(task.evidence)


def _step(step: Step) -> str:
    if step.kind != "tool":
        return f"<div>{html.escape(step.text)}</div>"
    name, _, given = map(html.escape, step.text.partition(" "))
    came = html.escape(step.outcome or "…")
    return (
        f"<details><summary><b>{name}</b> <small>{came}</small></summary>"
        f"<pre>{given}\n{came}</pre></details>"
    )


def main() -> None:
    """Do the request that stands in the first line of stdin; say events and report on stdout."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no event
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
    threading.Thread(target=_end_with_the_server, daemon=True).start()

    def tell(told: object) -> None:
        said.write(json.dumps(well_formed(msgspec.to_builtins(told))) + "\n")
        said.flush()

    from evalkit.agent.run import build

    try:
        ended: dict[str, Any] = {"report": build(request, tell)}
    except EvalkitError as error:
        problems = error.problems if isinstance(error, InputError) else ()
        ended = {"error": str(error), "code": error.exit_code, "problems": problems}
    tell(ended)


def _end_with_the_server() -> None:
    while os.read(0, 1):  # not by sys.stdin, which must be free when the program ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
