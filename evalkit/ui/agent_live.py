"""The agent at work for a page: its command in a process of its own, which a reload outlives.

It ends with the page's server. What the agent and its tools say is escaped, and never markup.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from evalkit.agent.plan import Budget, Spent, Task
from evalkit.agent.request import Request
from evalkit.agent.session import VALIDATION_FILE, SessionDirectory, find_session
from evalkit.arguments import as_flags
from evalkit.errors import EvalkitError, InputError, Problem, StoreAbsent
from evalkit.ui import page

STEPS_SHOWN = 12


class AgentProcess:
    """``evalkit agent``, working on a request by itself.

    Attributes:
        lines: All that it said so far; once it has ended, the last one is its report.
        is_stopped: Whether a person ended it.
    """

    def __init__(self, request: Request) -> None:
        self.request, self.is_stopped = request, False
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evalkit.ui.agent_live"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_at_work(self) -> bool:
        """Whether it has not ended yet."""
        return self._reader.is_alive()

    def report(self) -> dict[str, Any]:
        """What it left, once it has ended; an EvalkitError where it could not do its work."""
        try:
            report: dict[str, Any] = json.loads(self.lines[-1])
        except (IndexError, ValueError):
            raise EvalkitError("the agent ended without a report", {"said": self.lines}) from None
        if report.get("skipped") is True:
            raise StoreAbsent(report["reason"])
        if problems := report.get("problems"):
            raise InputError(*(Problem(**each) for each in problems))
        if "error" in report:
            raise EvalkitError(report["error"], report)
        return report

    def stop(self) -> None:
        """End it; the session can be gone on with."""
        self.is_stopped = True
        self._process.terminate()
        self._reader.join()

    def _read(self) -> None:
        """Note what it says, until it has ended."""
        flags = as_flags(self.request, *(each.name for each in fields(Request)))
        with self._process as process:
            if process.stdin and process.stdout:
                # not as arguments, which everybody sees; it stays open, and when this process
                # ends, so does the agent
                process.stdin.write(json.dumps(["agent", "--json", *flags]) + "\n")
                process.stdin.flush()
                for line in filter(str.strip, process.stdout):
                    self.lines.append(line.rstrip())
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
    tasks, name = session.tasks, session.about.session_id
    done = sum(task.status == "done" for task in tasks)
    state = "looking at traces"
    if _key(base, name) in _AT_WORK:
        state = "at work"
    elif tasks and done == len(tasks):
        state = str(session.read_json(VALIDATION_FILE).get("word") or "done")
    elif blocked := [task.title for task in tasks if task.status == "blocked"]:
        state = f"blocked at {blocked[0]}"
    elif tasks:
        state = f"{done} of {len(tasks)} tasks done"
    return {
        "Session": name,
        "State": state,
        **dict(zip(SPENT, _spent(session.spent()), strict=True)),
    }


def _spent(spent: Spent) -> tuple[str, ...]:
    usd = f"{spent.usd:,.2f}" + " and more" * bool(spent.unpriced)
    return f"{spent.turns:,}", f"{spent.tokens:,}", usd, f"{spent.seconds / 60:,.1f}"


def task_row(task: Task) -> dict[str, Any]:
    """A task as a table shows it, with what the program's check found missing, or its evidence."""
    proof = "; ".join(task.evidence)
    if task.failure and task.status != "done":
        proof = " ".join(task.failure.split())
    return {"Task": task.title, "Status": task.status, "Attempts": task.attempts, "Evidence": proof}


def live(agent: AgentProcess, budget: Budget) -> Any:
    """The agent's work at this moment: what it spends of its budget, its tasks, its last steps."""
    found = find_session(agent.request.volume_path, agent.request.session or "")
    tasks, spent = (found.tasks, found.spent()) if found else ((), Spent())
    limits = (budget.total.turns, budget.total.tokens, budget.total.usd, budget.total.minutes)
    figures = [
        (name, words, f"of {most:,g}" if most else "")
        for name, words, most in zip(SPENT, _spent(spent), limits, strict=True)
    ]
    rows = map(task_row, tasks)
    shown = {row["Task"]: f"{row['Status']}\n{row['Evidence']}".strip() for row in rows}
    return page.stack(
        page.cards(*figures),
        page.side_by_side(
            page.record(shown or {"Tasks": "Planned from the traces."}),
            page.text("\n".join(agent.lines[-STEPS_SHOWN:])),
            least_px=330,
        ),
    )


def main() -> None:
    """Run the command whose arguments stand in the first line of stdin, until that is closed."""
    sys.argv[1:] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    runpy.run_module("evalkit", run_name="__main__", alter_sys=True)


def _end_with_the_server() -> None:
    while os.read(0, 1):  # not by sys.stdin, which must be free when the program ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
