"""The agent at work for a page: in a process of its own, followed live, which a reload outlives.

It ends with the page's server. What the agent and its tools say is escaped, and never markup.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
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
from evalkit.ui import page

STEPS_SHOWN = 12
INDENTS = {"tool": "  ", "result": "    "}


class AgentProcess:
    """The agent, working on a request by itself, and how far it is.

    Attributes:
        lines: All that it said so far.
        doing: What its present session is about.
        plan: Its tasks, as the session's files have them.
        spent: What all sessions cost so far.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.lines: list[str] = []
        self.doing, self.spent = "Beginning", Spent()
        self.plan: Plan | None = None
        self._ended: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> AgentProcess:
        """Start the process."""
        command = [sys.executable, "-m", "evalkit.ui.agent_live"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader.start()
        return self

    def note(self, event: Event) -> None:
        """Note what just happened."""
        self.spent = event.spent or self.spent
        if event.kind == "session":
            self.doing = f"Session {event.session}: {event.text}"
        if event.kind in {"session", "task", "end"} and self.request.session:
            found = find_session(self.request.volume_path, self.request.session)
            self.plan = (found.plan() if found else None) or self.plan
        if event.kind != "delta":  # the words come whole, too
            self.lines.append(INDENTS.get(event.kind, "") + event.text)

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
    _AT_WORK[key] = at_work(request) or AgentProcess(request).begin()
    return _AT_WORK[key]


def _key(base: str | None, session_id: str | None) -> tuple[Path, str | None]:
    return Path(base or ".").resolve(), session_id


SPENT = ("Calls", "Tokens", "USD", "Minutes")
"""What a session has cost, as :func:`session_row` has it."""


def session_row(session: SessionDirectory, base: str | None) -> dict[str, Any]:
    """A session in ``base`` as a table shows it: its name, how far it is, what it has cost."""
    plan, name = session.plan(), session.about.session_id
    state = "looking at traces"
    if _key(base, name) in _AT_WORK:
        state = "at work"
    elif plan and plan.is_done:
        state = str(session.read_json(VALIDATION_FILE).get("word") or "done")
    elif plan and plan.blocked:
        state = f"blocked at {plan.blocked.title}"
    elif plan:
        done = sum(task.status == "done" for task in plan.tasks)
        state = f"{done} of {len(plan.tasks)} tasks done"
    shown = (words for _, words in _spent(session.spent()))
    return {"Session": name, "State": state, **dict(zip(SPENT, shown, strict=True))}


def _spent(spent: Spent) -> list[tuple[float, str]]:
    """Calls, tokens, USD and minutes, each as a number and in words."""
    minutes, more = spent.seconds / 60, " and more" if spent.unpriced else ""
    return [
        (spent.turns, f"{spent.turns:,}"),
        (spent.tokens, f"{spent.tokens:,}"),
        (spent.usd, f"{spent.usd:,.2f}{more}"),
        (minutes, f"{minutes:,.1f}"),
    ]


def task_row(task: Task) -> dict[str, Any]:
    """A task as a table shows it, with what the program's check found missing, or its evidence."""
    proof = "; ".join(task.evidence)
    if task.failure and task.status != "done":
        proof = " ".join(task.failure.split())
    return {"Task": task.title, "Status": task.status, "Attempts": task.attempts, "Evidence": proof}


def live(agent: AgentProcess | None, budget: Budget) -> Any:
    """The agent's work at this moment: what it spends of its budget, its tasks, its last steps."""
    if agent is None:
        return None
    limits = (budget.total.turns, budget.total.tokens, budget.total.usd, budget.total.minutes)
    spending = zip(SPENT, _spent(agent.spent), limits, strict=True)
    tasks = map(task_row, agent.plan.tasks if agent.plan else ())
    shown = {row["Task"]: f"{row['Status']}\n{row['Evidence']}".strip() for row in tasks}
    return page.stack(
        page.record({agent.doing: ""}),
        page.cards(
            *((name, words, f"of {most:,g}" if most else "") for name, (_, words), most in spending)
        ),
        page.side_by_side(
            page.record(shown or {"Tasks": "Planned from the traces."}),
            page.text("\n".join(agent.lines[-STEPS_SHOWN:])),
            least_px=330,
        ),
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
