"""Killed at any point and started again: nothing that was answered or proven is done twice."""

import json

import pytest
from agent_runs import OWN, SHOP, SUITE
from commands import until
from competent import Competent
from messages_server import Reply, messages_server
from store_state import state


class Killer:
    """A twist that kills the process when it asks for a certain answer (its kind and its turn)."""

    def __init__(self):
        self.running = self.due = None

    def __call__(self, asked):
        if (asked.kind, asked.turn) != self.due:
            return None
        self.due = None
        self.running.kill()
        return Reply("Nobody hears this.")

    def kill(self, agent, server, point):
        """Run it until it asks for that answer, or until something is so, and kill it then."""
        self.due = None if callable(point) else point
        self.running = agent.start(server)
        if callable(point):
            until(point, 240)
            self.running.kill()
        assert self.running.wait().code == -9


@pytest.mark.timeout(600)  # some ten processes, each with a part of the work
def test_killed_in_every_kind_of_session_and_gone_on_with(agent):
    def validation():
        return json.loads(agent.read("state/validation_results.json"))

    def answered(session, turn):
        """Whether an answer is kept; what it asks for is under way then."""
        return (agent.folder / f"state/journal/{session:03}/{turn:04}.json").exists

    def is_validated_again():
        return validation()["suite"] != json.loads(agent.read("state/kept.json"))["suite"]

    killer = Killer()
    before = state(agent.database, SHOP)
    with messages_server(Competent(killer, tasks=(("answered", "no_placeholder"),))) as server:
        for point in (
            ("initializer", 1),  # while Claude answers
            answered(1, 2),  # while the plan is saved
            answered(2, 2),  # while the program verifies the scorer
            ("validate", 0),
            lambda: validation()["word"] == "verified",
        ):
            killer.kill(agent, server, point)
        done = agent.run(server)
        assert done.code == 0, done.err
        assert not server.refused
        # only what it was killed over was asked again; each answer that is kept, once
        asked = [json.dumps(request.body["messages"]) for request in server.requests]
        assert len(asked) - len(set(asked)) == 2
        assert len(agent.turns()) == len(set(asked))
        paid = server.answered
        # while it is kept in MLflow: somebody has changed it since
        scorers = agent.folder / "evaluation/scorers.py"
        scorers.write_text(scorers.read_text() + "# Mine.\n")
        killer.kill(agent, server, is_validated_again)
        assert agent.run(server).code == 0
        assert server.answered == paid
        # what somebody has broken is mended
        scorers.write_text(scorers.read_text().replace("(outputs):", "(outputs):\n    1 / 0", 1))
        killer.kill(agent, server, ("scorers-1", 0))
        assert "ZeroDivisionError" in agent.tasks()["scorers-1"]["failure"]
        mended = agent.run(server)
        assert mended.code == 0, mended.err
        assert "1 / 0" not in scorers.read_text()
    now = state(agent.database, SHOP)
    assert {table for table in now if now[table] != before[table]} == {"assessments"}
    assert len(now["assessments"]) == len(before["assessments"]) + 1  # the plan's one issue
    assert set(agent.endings()) == {"finished"}
    assert [task["status"] for task in agent.tasks().values()] == ["done", "done"]
    assert len(agent.in_mlflow(OWN)["trace_info"]) == 4
    assert len(agent.in_mlflow(SUITE)["runs"]) >= 1
