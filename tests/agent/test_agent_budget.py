"""Budgets: each ends the work where it is spent, and a larger one lets it go on from there."""

from __future__ import annotations

import pytest
from agent_runs import Agent
from competent import Competent, always, calls
from messages_server import messages_server

A_CALL = 120
"""Tokens that each answer here takes."""

PRICE = 0.001
"""USD that each answer here costs."""


def test_every_total_budget_ends_the_work_and_a_larger_one_goes_on(agent: Agent) -> None:
    """The second call saves the plan, so that the next budgets end the work of its first task."""
    ends = [
        (("--max-turns", "2"), "the total budget of 2 turns is spent", 2),
        (("--max-tokens", str(2 * A_CALL + 10)), "tokens is spent (240 used)", 2),
        (("--max-cost", "0.0029"), "the total budget of 0.0029 USD is spent", 3),
        (("--max-minutes", "0.0001"), "the total budget of 0.0001 minutes is spent", 3),
        (("--max-iterations", "1"), "the budget of 1 session", 4),
    ]
    with messages_server(Competent()) as server:
        for flags, reason, calls_so_far in ends:
            done = agent.run(server, *flags)
            assert done.code == 1
            assert reason in done.report["error"]
            assert done.report["error"].endswith("evalkit agent --session s")
            assert server.answered == len(agent.turns()) == calls_so_far
            assert done.report["usage"]["tokens"] == A_CALL * calls_so_far
            assert done.report["usage"]["cost_usd"] == pytest.approx(PRICE * calls_so_far)
    bodies = [request.body["messages"] for request in server.requests]
    assert [len(body) for body in bodies] == [1, 3, 1, 3]
    assert [task["status"] for task in agent.tasks().values()] == ["done", "pending"]
    assert len(agent.in_mlflow("evalkit-agent")["trace_info"]) == 2


def test_a_session_that_spent_its_share_makes_room_for_the_next(agent: Agent) -> None:
    shares = [
        ("--session-tokens", "370", "--max-iterations", "1"),
        ("--session-cost", "0.0005", "--max-iterations", "1"),
        ("--session-minutes", "0.0001", "--max-iterations", "1"),
        ("--session-turns", "1"),
    ]
    with messages_server(Competent()) as server:
        for number, flags in enumerate(shares, 1):
            done = agent.run(server, *flags)
            assert agent.endings()[:number] == ["session budget"] * number
        assert server.answered == len(agent.endings()) == 3 + 3
        assert "3 sessions ended without a plan" in done.report["error"]
        assert "this session's budget of" in done.report["error"]
        agent.run(server, "--max-iterations", "1")
    assert agent.endings() == ["session budget"] * 6 + ["finished"]
    assert agent.tasks()


def test_no_answer_may_be_longer_than_what_is_left(agent: Agent) -> None:
    claude = Competent()
    with messages_server(claude) as server:
        agent.run(server, "--max-tokens", "1000", "--max-iterations", "1")
    room = [asked.body["max_tokens"] for asked in claude.asked]
    assert room == [1000 - A_CALL * n for n in range(2)]


def test_an_unknown_price_needs_a_number_of_tokens(agent: Agent) -> None:
    with messages_server(Competent()) as server:
        refused = agent.run(server, env={"MODEL": "my-endpoint"})
        assert (refused.code, server.answered) == (2, 0)
        (problem,) = refused.report["problems"]
        assert (problem["field"], problem["message"]) == (
            "--max-tokens",
            "the price of my-endpoint is not known, so its cost cannot be bounded",
        )
        assert not (agent.root / "sessions").exists()
        tokens = ("--max-tokens", "400", "--model", "my-endpoint")
        done = agent.run(server, *tokens)
    assert (done.code, server.answered) == (1, 2)
    assert done.report["usage"]["cost_usd"] is None
    assert done.report["usage"]["unpriced_calls"] == 2


def test_what_is_no_budget_is_said_all_at_once(agent: Agent) -> None:
    flags = ("--max-turns", "0", "--max-cost", "nan", "--max-minutes", "-1", "--session-cost", "0")
    done = agent.run("http://127.0.0.1:9", *flags)
    assert done.code == 2
    fields = [problem["field"] for problem in done.report["problems"]]
    assert fields == ["--max-turns", "--max-cost", "--max-minutes", "--session-cost"]


def test_who_goes_round_in_circles_is_stopped(agent: Agent) -> None:
    circling = always("initializer", calls(("verify", {})))
    with messages_server(Competent(circling)) as server:
        done = agent.run(server)
    assert (done.code, server.answered) == (1, 3 * 4)
    assert agent.endings() == ["stuck"] * 3
    assert "the same call gave the same result 4 times" in done.report["error"]
