"""Killed at any point and started again: nothing that was answered or proven is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from agent_runs import OWN, SHOP, Agent
from commands import Running, until
from competent import Asked, Competent
from messages_server import MessagesServer, Reply, messages_server
from store_state import state

KILLED = -9


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


@pytest.mark.timeout(600)  # eight processes, two of which run a whole suite
def test_killed_in_every_kind_of_session_and_gone_on_with(agent: Agent) -> None:
    killer = Killer()
    before = state(agent.database, SHOP)
    with messages_server(Competent(killer)) as server:
        for point in (
            ("initializer", 2),  # while Claude answers
            ("dataset", 1),
            answered(agent, 2, 3),  # while the program checks the dataset
            ("scorer", 2),
            answered(agent, 3, 4),  # while it runs the scorer
            answered(agent, 4, 1),  # while it runs the script
        ):
            assert killed(agent, server, killer, point) == KILLED
        done = agent.run(server)
        assert done.code == 0, done.err
        assert not server.refused
        _nothing_was_asked_twice(agent, server)
        paid = server.answered
        # while the whole suite is checked: somebody has changed it since
        script = agent.folder / "evaluation/run_eval.py"
        script.write_text(script.read_text() + "# Mine.\n")
        assert killed(agent, server, killer, partial(validates, agent)) == KILLED
        assert agent.run(server).code == 0
        assert server.answered == paid
        # while it repairs what somebody has broken
        scorers = agent.folder / "evaluation/scorers.py"
        whole = scorers.read_text()
        scorers.write_text(
            whole.replace("    text = said(", "    raise OSError\n    text = said(", 1)
        )
        assert killed(agent, server, killer, ("fix", 2)) == KILLED
        assert "OSError" in agent.tasks()["fix-1"]["failure"]
        mended = agent.run(server)
        assert mended.code == 0, mended.err
        assert "raise OSError" not in scorers.read_text()
    assert state(agent.database, SHOP) == before
    assert agent.endings() == ["finished"] * 5
    assert {name: task["attempts"] for name, task in agent.tasks().items()} == {
        "dataset": 1,
        "scorer-no_error": 1,
        "script": 1,
        "fix-1": 1,
        "validate": 1,
    }
    assert len(agent.in_mlflow(OWN)["trace_info"]) == 5


def validates(agent: Agent) -> bool:
    return agent.tasks()["validate"]["status"] == "pending"


def _nothing_was_asked_twice(agent: Agent, server: MessagesServer) -> None:
    """Only what the process was killed over was asked again; each answer that is kept, once."""
    asked = [json.dumps(request.body["messages"]) for request in server.requests]
    unheard = len(asked) - len(set(asked))
    assert unheard == 3
    assert len(agent.turns()) == len(set(asked))
