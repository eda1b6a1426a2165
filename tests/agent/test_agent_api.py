"""All that the API of Claude can do to the agent, and Ctrl-C; every session can be gone on with."""

import signal

from agent_runs import KEY, MODEL
from commands import until
from competent import Competent, at, calls
from messages_server import Fault, Reply, messages_server

LOOK = ("python", {"code": "print(1)"})
FURTHER = 500
"""Where a second server begins to number its calls of tools."""

PLANNED = ("--max-iterations", "1")
"""One session: the plan, and no more."""

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


def goes_on(agent):
    """The plan is made in the end, without a call that was answered before."""
    answers = [turn["reply"]["content"] for turn in agent.turns()]
    with messages_server(Competent()) as server:
        server.answered = FURTHER
        done = agent.run(server, *PLANNED)
    assert done.report["error"].startswith("the budget of 1 session")
    assert len(agent.turns()) == len(answers) + server.answered - FURTHER
    assert [turn["reply"]["content"] for turn in agent.turns()][: len(answers)] == answers
    assert len(list((agent.folder / "state/journal").iterdir())) == 1  # no other was begun
    assert not server.refused
    assert agent.tasks()


def test_failing_calls_and_answers_that_are_cut_off_say_what_to_do(agent):
    claude = Competent(
        at("initializer", 0, Fault(429, retry_after="0.1")),
        at("initializer", 0, calls(*FAILING.values())),
        at("initializer", 1, Reply("First", drop_after=4)),
        at("initializer", 1, Reply("Let me think.", stop_reason="pause_turn")),
        at("initializer", 2, calls(LOOK, stop_reason="max_tokens", cut_input=9)),
        at("initializer", 3, Reply("Where was I?", thinking="Hm.", stop_reason="max_tokens")),
        at("initializer", 4, calls(LOOK, text="I look.", thinking="All of them.")),
    )
    with messages_server(claude) as server:
        done = agent.run(server, *PLANNED)
    assert not server.refused
    assert done.report["error"].startswith("the budget of 1 session")
    assert agent.endings() == ["finished"]
    assert agent.tasks()
    # a broken answer is paid for: it is booked with the one that came in the end
    assert [t["reply"]["usage"]["output"] for t in agent.turns()] == [20, 21, 20, 20, 20, 20, 20]
    assert done.err.count("attempt 1 of 8") == 2
    told = {asked.turn: asked.body["messages"][-1]["content"] for asked in claude.asked}
    for (said, _), block in zip(FAILING.items(), told[1], strict=True):
        assert said in block["content"]
        assert block["is_error"]
    assert "was cut off at its token limit before the call was complete" in str(told[3])
    assert "cut off at its token limit. Go on from there" in str(told[4])
    assert {(a.body["stream"], a.body["model"]) for a in claude.asked} == {(True, MODEL)}
    tools = {tool["name"] for tool in claude.asked[0].body["tools"]}
    assert tools == {"python", "save", "verify", "annotate"}
    assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in server.requests)


def test_trouble_that_lasts_ends_the_work_and_can_be_gone_on_from(agent):
    overloaded = [Fault(529, "Overloaded", retry_after="0")] * 8
    with messages_server(Competent(at("initializer", 1, *overloaded))) as server:
        done = agent.run(server)
    assert done.code == 1
    assert "529: Overloaded" in done.report["error"]
    assert done.report["error"].endswith("evalkit agent --session s")
    assert done.report["usage"]["turns"] == len(agent.turns()) == 1
    assert agent.in_mlflow("evalkit-agent")["trace_info"]
    with messages_server(Competent(), secrets=frozenset({"sk-ant-another"})) as server:
        done = agent.run(server)
    assert (done.code, len(server.requests)) == (1, 1)
    assert "does not accept the key" in done.report["error"]
    assert KEY not in done.out + done.err
    goes_on(agent)
    assert agent.endings() == ["finished"]


def test_refusals_and_full_contexts_end_a_session_and_not_the_work(agent):
    claude = Competent(
        at("initializer", 0, Reply(stop_reason="refusal", stop_details={"category": "cyber"})),
        at("initializer", 1, Fault(400, "prompt is too long: 210000 tokens > 200000 maximum")),
    )
    with messages_server(claude) as server:
        done = agent.run(server, "--max-iterations", "3")
    assert agent.endings() == ["refused", "context full", "finished"]
    assert done.report["sessions_run"] == 3
    assert agent.tasks()["scorers-1"]["status"] == "pending"


def test_ctrl_c_in_the_middle_of_an_answer_leaves_what_was_answered(agent):
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
