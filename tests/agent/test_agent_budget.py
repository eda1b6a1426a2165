"""Budgets: each ends the work where it is spent, and a larger one lets it go on from there."""

import pytest
from competent import Competent, always, calls
from messages_server import messages_server

A_CALL, PRICE = 120, 0.001
"""Tokens that each answer here takes, and what it costs in USD."""

TOTALS = [
    (("--max-turns", "2"), "the total budget of 2 turns is spent", 2),
    (("--max-tokens", str(2 * A_CALL + 10)), "tokens is spent (240 used)", 2),
    (("--max-cost", "0.0029"), "the total budget of 0.0029 USD is spent", 3),
    (("--max-minutes", "0.0001"), "the total budget of 0.0001 minutes is spent", 3),
    (("--max-iterations", "1"), "the budget of 1 session", 4),
]


def test_every_total_budget_ends_the_work_and_a_larger_one_goes_on(agent):
    """The second call saves the plan, so that the next budgets end the work of its first task."""
    with messages_server(Competent()) as server:
        for flags, reason, calls_so_far in TOTALS:
            done = agent.run(server, *flags)
            assert done.code == 1
            assert reason in done.report["error"]
            assert done.report["error"].endswith("evalkit agent --session s")
            assert server.answered == len(agent.turns()) == calls_so_far
            assert done.report["usage"]["tokens"] == A_CALL * calls_so_far
            assert done.report["usage"]["cost_usd"] == pytest.approx(PRICE * calls_so_far)
    assert [len(request.body["messages"]) for request in server.requests] == [1, 3, 1, 3]
    assert [task["status"] for task in agent.tasks().values()] == ["done", "pending"]
    assert len(agent.in_mlflow("evalkit-agent")["trace_info"]) == 2


def test_a_session_that_spent_its_share_makes_room_for_the_next(agent):
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
        assert "the task plan is blocked after 3 attempts" in done.report["error"]
        assert "this session's budget of" in done.report["error"]


def test_no_answer_may_be_longer_than_what_is_left_and_circles_are_left(agent):
    """Three sessions ask for the same four times each."""
    with messages_server(Competent(always("initializer", calls(("verify", {}))))) as server:
        done = agent.run(server, "--max-tokens", "2000")
    assert (done.code, server.answered) == (1, 3 * 4)
    assert [r.body["max_tokens"] for r in server.requests] == [2000 - A_CALL * n for n in range(12)]
    assert agent.endings() == ["stuck"] * 3
    assert "the same call gave the same result 4 times" in done.report["error"]


def test_an_unknown_price_needs_a_number_of_tokens_and_what_is_no_budget_is_said_at_once(agent):
    flags = ("--max-cost", "nan", "--max-turns", "0", "--max-minutes", "-1", "--session-cost", "0")
    done = agent.run("http://127.0.0.1:9", *flags)
    fields = [problem["field"] for problem in done.report["problems"]]
    assert (done.code, fields) == (2, [*flags[::2]])
    with messages_server(Competent()) as server:
        refused = agent.run(server, env={"MODEL": "my-endpoint"})
        assert (refused.code, server.answered) == (2, 0)
        (problem,) = refused.report["problems"]
        unknown = "the price of my-endpoint is not known, so its cost cannot be bounded"
        assert (problem["field"], problem["message"]) == ("--max-tokens", unknown)
        assert not (agent.root / "sessions").exists()
        done = agent.run(server, "--max-tokens", "400", "--model", "my-endpoint")
    assert (done.code, server.answered) == (1, 2)
    assert done.report["usage"]["cost_usd"] is None
    assert done.report["usage"]["unpriced_calls"] == 2
