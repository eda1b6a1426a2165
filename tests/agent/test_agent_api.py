"""All that the API of Claude can do to the agent, and Ctrl-C; every session can be gone on with."""

from __future__ import annotations

import signal

from agent_runs import KEY, MODEL, Agent
from commands import Outcome, until
from competent import Asked, Competent, at, calls
from messages_server import Fault, Reply, messages_server
from servers import free_port

LOOK = ("python", {"code": "from room import *; print(len(TRACES))"})
FURTHER = 500
"""Where a second server begins to number its calls of tools."""

PLANNED = ("--max-iterations", "1")
"""One session: the plan, and no more."""


def goes_on(agent: Agent) -> None:
    """The plan is made in the end, without a call that was answered before."""
    before = len(agent.turns())
    answers = [turn["reply"]["content"] for turn in agent.turns()]
    with messages_server(Competent()) as server:
        server.answered = FURTHER
        done = agent.run(server, "--max-iterations", "1")
    assert done.report["error"].startswith("the budget of 1 session")
    assert len(agent.turns()) == before + server.answered - FURTHER
    assert [turn["reply"]["content"] for turn in agent.turns()][:before] == answers
    assert not server.refused
    assert agent.tasks()


def says_how_to_go_on(done: Outcome) -> bool:
    return done.report["error"].endswith("evalkit agent --session s")


def test_trouble_that_passes_is_sat_out_and_paid_for(agent: Agent) -> None:
    claude = Competent(
        at("initializer", 0, Fault(429, retry_after="0.1"), Fault(529), Fault(0)),
        at("initializer", 1, Fault(500), Reply("First", drop_after=4)),
        at("scorers-1", 0, Reply("Then", truncate_after=4), Reply("At last", error_after=4)),
    )
    with messages_server(claude) as server:
        done = agent.run(server, "--max-iterations", "2")
    assert server.answered == 4 + 7
    assert done.report["error"].startswith("the budget of 2 sessions")
    assert agent.endings() == ["finished"] * 2
    assert [turn["reply"]["usage"]["output"] for turn in agent.turns()] == [20, 21, 22, 20]
    assert done.err.count("attempt 1 of 8") == 3
    assert done.err.count("attempt 2 of 8") == 3


def test_trouble_that_lasts_ends_the_work_and_can_be_gone_on_from(agent: Agent) -> None:
    overloaded = [Fault(529, "Overloaded", retry_after="0")] * 8
    with messages_server(Competent(at("initializer", 1, *overloaded))) as server:
        done = agent.run(server)
    assert done.code == 1
    assert "529: Overloaded" in done.report["error"]
    assert says_how_to_go_on(done)
    assert done.report["usage"]["turns"] == len(agent.turns()) == 1
    assert agent.in_mlflow("evalkit-agent")["trace_info"]
    goes_on(agent)
    assert agent.endings() == ["finished"]


def test_a_key_that_is_not_accepted_is_said_at_once(agent: Agent) -> None:
    with messages_server(Competent(), secrets=frozenset({"sk-ant-another"})) as server:
        done = agent.run(server)
    assert (done.code, len(server.requests)) == (1, 1)
    assert "does not accept the key" in done.report["error"]
    assert says_how_to_go_on(done)
    assert KEY not in done.out + done.err


def test_a_host_that_cannot_be_reached_is_said_and_left_by_ctrl_c(agent: Agent) -> None:
    running = agent.start(f"http://127.0.0.1:{free_port()}")
    until(lambda: "attempt 1 of 8" in (running.streams / "err").read_text())
    running.kill(signal.SIGINT)
    done = running.wait()
    assert done.code == 1
    assert "Connection error" in done.err
    assert done.report["error"].startswith("interrupted")
    assert says_how_to_go_on(done)


def test_ctrl_c_in_the_middle_of_an_answer_leaves_what_was_answered(agent: Agent) -> None:
    slowly = Reply("I look at the traces first, then at the answers of each route.", pause_s=0.5)
    with messages_server(Competent(at("initializer", 1, slowly))) as server:
        running = agent.start(server, as_json=False)
        until(lambda: server.answered == 2)
        running.kill(signal.SIGINT)
        done = running.wait()
    assert done.code == 1
    assert "interrupted\n" in done.err
    assert "evalkit agent --session s" in done.err
    assert "Traceback" not in done.err
    assert len(agent.turns()) == 1
    goes_on(agent)


def test_refusals_and_full_contexts_end_a_session_and_not_the_work(agent: Agent) -> None:
    claude = Competent(
        at("initializer", 0, Reply(stop_reason="refusal", stop_details={"category": "cyber"})),
        at("initializer", 1, Fault(400, "prompt is too long: 210000 tokens > 200000 maximum")),
    )
    with messages_server(claude) as server:
        done = agent.run(server, "--max-iterations", "3")
    assert agent.endings() == ["refused", "context full", "finished"]
    assert done.report["sessions_run"] == 3
    assert agent.tasks()["scorers-1"]["status"] == "pending"


def test_pauses_and_cut_off_calls_are_gone_on_from(agent: Agent) -> None:
    cut = calls(LOOK, stop_reason="max_tokens", cut_input=9)
    claude = Competent(
        at("initializer", 0, Reply("Let me think.", stop_reason="pause_turn")),
        at("initializer", 1, cut),
        at("initializer", 2, Reply("Where was I?", thinking="Hm.", stop_reason="max_tokens")),
        at("initializer", 3, calls(LOOK, text="I look.", thinking="All of them.")),
    )
    with messages_server(claude) as server:
        agent.run(server, *PLANNED)
    assert not server.refused
    told = [asked.results for asked in claude.asked]
    assert "was cut off at its token limit before the call was complete" in told[2]
    assert "cut off at its token limit. Go on from there" in told[3]
    assert agent.endings() == ["finished"]
    assert agent.tasks()


FAILING = {
    "there is no tool no_such_tool; there are python, save, verify": ("no_such_tool", {}),
    "the arguments of save are wrong: Invalid enum value 'x'": ("save", {"path": "x"}),
    "the arguments of python are wrong: Expected `str`, got `int`": ("python", {"code": 3}),
    "ZeroDivisionError": ("python", {"code": "1 / 0"}),
    "may not write evaluation": ("save", {"path": "evaluation/scorers.py", "content": "x"}),
    "there are 0 tasks": ("save", {"path": "eval_tasks.json", "content": {"tasks": []}}),
    "eval_tasks.json is no plan": ("save", {"path": "eval_tasks.json", "content": "{"}),
    "there is no plan yet: save eval_tasks.json": ("verify", {}),
}


def test_calls_that_fail_say_what_to_do_and_the_session_goes_on(agent: Agent) -> None:
    seen: list[Asked] = []
    claude = Competent(seen.append, at("initializer", 0, calls(*FAILING.values())))
    with messages_server(claude) as server:
        agent.run(server, *PLANNED)
    results = seen[1].body["messages"][-1]["content"]
    for told, block in zip(FAILING, results, strict=True):
        assert told in block["content"]
        assert block["is_error"]
    assert agent.tasks()
    assert {(a.body["stream"], a.body["model"]) for a in seen} == {(True, MODEL)}
    tools = {tool["name"] for tool in seen[0].body["tools"]}
    assert tools == {"python", "save", "verify", "annotate"}
    assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in server.requests)
