"""Killed at any point and started again: nothing that was answered or proven is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from agent_runs import OWN, SHOP, SUITE, Agent
from commands import Running, until
from competent import Asked, Competent
from messages_server import MessagesServer, Reply, messages_server
from store_state import state

KILLED = -9
TASKS = (("answered", "no_placeholder"),)


class Killer:
    """A twist that kills the process when a session of a kind asks for its first answers.

    Attributes:
        running: The process.
        due: The kind, and how many answers its conversation holds then.
    """

    def __init__(self) -> None:
        self.running: Running | None = None
        self.due: tuple[str, int] | None = None

    def __call__(self, asked: Asked) -> Reply | None:
        if self.running is None or (asked.kind, asked.turn) != self.due:
            return None
        self.due = None
        self.running.kill()
        return Reply("Nobody hears this.")


def killed(
    agent: Agent,
    server: MessagesServer,
    killer: Killer,
    point: tuple[str, int] | Callable[[], bool],
) -> int:
    """Run it until it asks for that answer, or until something is so, and kill it then."""
    killer.due = None if callable(point) else point
    killer.running = agent.start(server)
    if callable(point):
        until(point, 240)
        killer.running.kill()
    return killer.running.wait().code


def answered(agent: Agent, session: int, turn: int) -> Callable[[], bool]:
    """Whether an answer is kept; what it asks for is under way then."""
    file = agent.folder / f"state/journal/{session:03}/{turn:04}.json"
    return file.exists


@pytest.mark.timeout(600)  # some ten processes, each with a part of the work
def test_killed_in_every_kind_of_session_and_gone_on_with(agent: Agent) -> None:
    killer = Killer()
    before = state(agent.database, SHOP)
    with messages_server(Competent(killer, tasks=TASKS)) as server:
        for point in (
            ("initializer", 1),  # while Claude answers
            answered(agent, 1, 2),  # while the plan is saved
            answered(agent, 2, 2),  # while the program verifies the scorer
            ("validate", 0),
            lambda: _validation(agent)["word"] == "verified",
        ):
            assert killed(agent, server, killer, point) == KILLED
        done = agent.run(server)
        assert done.code == 0, done.err
        assert not server.refused
        _nothing_was_asked_twice(agent, server)
        paid = server.answered
        # while it is kept in MLflow: somebody has changed it since
        scorers = agent.folder / "evaluation/scorers.py"
        scorers.write_text(scorers.read_text() + "# Mine.\n")
        assert killed(agent, server, killer, lambda: _is_validated_again(agent)) == KILLED
        assert agent.run(server).code == 0
        assert server.answered == paid
        # what somebody has broken is mended
        scorers.write_text(scorers.read_text().replace("(outputs):", "(outputs):\n    1 / 0", 1))
        assert killed(agent, server, killer, ("scorers-1", 0)) == KILLED
        assert "ZeroDivisionError" in agent.tasks()["scorers-1"]["failure"]
        mended = agent.run(server)
        assert mended.code == 0, mended.err
        assert "1 / 0" not in scorers.read_text()
    now = state(agent.database, SHOP)
    assert {table for table in now if now[table] != before[table]} == {"assessments"}
    assert len(now["assessments"]) == len(before["assessments"]) + 1  # the plan's one issue
    assert set(agent.endings()) == {"finished"}
    assert {name: task["status"] for name, task in agent.tasks().items()} == {
        "scorers-1": "done",
        "validate": "done",
    }
    assert len(agent.in_mlflow(OWN)["trace_info"]) == 4
    assert len(agent.in_mlflow(SUITE)["runs"]) >= 1


def _is_validated_again(agent: Agent) -> bool:
    return bool(_validation(agent)["suite"] != json.loads(agent.read("state/kept.json"))["suite"])


def _validation(agent: Agent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(agent.read("state/validation_results.json"))
    return found


def _nothing_was_asked_twice(agent: Agent, server: MessagesServer) -> None:
    """Only what the process was killed over was asked again; each answer that is kept, once."""
    asked = [json.dumps(request.body["messages"]) for request in server.requests]
    unheard = len(asked) - len(set(asked))
    assert unheard == 2
    assert len(agent.turns()) == len(set(asked))
