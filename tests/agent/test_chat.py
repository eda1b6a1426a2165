"""A conversation in the terminal: what it says, shows, stops, remembers, and what it can do."""

import json
import os
import pty
import select
import signal
import time
from contextlib import contextmanager, suppress

import pytest
from agent_runs import MODEL, SHOP
from competent import calls
from in_mlflow import InMlflow
from messages_server import Fault, Reply, messages_server
from shop_agent import REJECTED

KEY = "sk-ant-api03-" + "a1B2c3D4" * 11
SCORERS = """
from mlflow.genai.scorers import scorer

@scorer
def ended(outputs):
    return str(outputs).endswith(".")

SCORERS = [ended]
BAD_EXAMPLES = {}
"""


class Chat:
    """``evalkit agent -i`` in a folder of its own, about the session ``s``."""

    def __init__(self, agent):
        self.agent = agent

    def start(self, server, *flags, **more):
        key = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "k"} if server else {}
        size = {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        env = {"HOME": str(self.agent.root), "MODEL": MODEL, **size, **key}
        where = ("-i", "--tracking-uri", self.agent.uri, "--session", "s")
        root = self.agent.root
        return self.agent.forge.start("agent", *where, *flags, cwd=root, env=env, **more)

    def say(self, server, *words, flags=("-e", SHOP)):
        """Lines from a file, then the end."""
        return self.start(server, *flags, said="".join(f"{line}\n" for line in words)).wait()

    @contextmanager
    def terminal(self, server):
        """In a terminal of 100 columns, until it has ended."""
        ours, theirs = pty.openpty()
        running = self.start(server, "-e", SHOP, terminal=os.ttyname(theirs))
        try:
            yield Terminal(ours, running)
        finally:
            with suppress(ProcessLookupError):
                running.kill()
            if running.ended is None:
                running.wait()
            os.close(theirs)
            os.close(ours)


class Terminal:
    """What a person sees and types."""

    def __init__(self, stream, process):
        self.stream, self.process, self.seen = stream, process, ""

    def wait_for(self, text):
        """Read until it stands there; all that came before it since the last time."""
        until = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            if select.select([self.stream], [], [], 1)[0]:
                self.seen += os.read(self.stream, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        os.write(self.stream, text.encode())

    def leave(self):
        """The arrow brings the last line back; then it ends."""
        self.wait_for("> ")
        self.type("\x1b[A")
        self.wait_for("And what is bold?")
        self.type("\x15exit\r")
        assert self.process.wait().code == 0


@pytest.fixture
def chat(agent):
    return Chat(agent)


def told(server, number):
    return json.dumps(server.requests[number].body["messages"])


def test_it_goes_on_with_the_conversation_and_each_answer_is_a_trace_of_one_session(chat):
    with messages_server(Reply("Noted: order 4711."), Reply("Order 4711.")) as server:
        first = chat.say(server, f"Remember order 4711. {KEY}")
        again = chat.say(server, "Which order did I name?", flags=())
    assert (first.code, again.code) == (0, 0), first.err + again.err
    for line in ("Conversation about shop", "budget   5 USD", "--session s", "exit"):
        assert line in first.out
    assert f"model    {MODEL}" in first.out
    assert "It goes on after: Noted: order 4711." in again.out
    assert "Order 4711." in again.out
    assert "Experiment: shop" in told(server, 0)
    assert "4711" in told(server, 1)
    assert len(server.requests[1].body["messages"]) == 3
    assert KEY not in told(server, 0)
    own = InMlflow(chat.agent.uri, "evalkit-agent")
    traces = own.client.search_traces(locations=[own.experiment_id])
    assert {(t.info.request_preview or "")[:22]: t.info.response_preview for t in traces} == {
        "Remember order 4711. [": "Noted: order 4711.",
        "Which order did I name": "Order 4711.",
    }
    assert {t.info.trace_metadata["mlflow.trace.session"] for t in traces} == {"s"}


def test_it_plans_saves_verifies_and_keeps_a_suite_by_the_same_four_tools(chat):
    there = InMlflow(chat.agent.uri, SHOP)
    found = there.client.search_traces(locations=[there.experiment_id])
    trace = next(each for each in found if "Norway" in each.info.request_preview)
    proof = {"ended": (trace.info.trace_id, str(trace.data.spans[0].outputs).rstrip("."))}
    rejected = next(each for each in found if REJECTED[0] in each.info.request_preview)
    limits = f"## {rejected.info.trace_id}\n{REJECTED[2]}. Guideline for a judge: {REJECTED[2]}\n"

    def saves(path, content):
        return ("save", {"path": path, "content": content})

    verify, scorers = ("verify", {}), "evaluation/scorers.py"
    plan = {"tasks": [{"title": "Look at ends", "scorers": {"ended": "it ends"}}]}
    script = (
        calls(saves("eval_tasks.json", plan)),
        calls(saves(scorers, SCORERS), verify),
        Reply("It does **not** hold: no bad example."),
        calls(
            saves(scorers, SCORERS.replace("BAD_EXAMPLES = {}", f"BAD_EXAMPLES = {proof!r}")),
            saves("evaluation/LIMITS.md", limits),
            verify,
        ),
        Reply("Now it holds."),
    )
    with messages_server(*script) as server:
        done = chat.say(server, "Build me a suite.", "Then give it one.")
    assert done.code == 0, done.err
    tools = [tool["name"] for tool in server.requests[0].body["tools"]]
    assert tools == ["python", "save", "verify", "annotate"]
    assert json.loads(chat.agent.read("eval_tasks.json"))["tasks"][0]["scorers"]
    assert "not done yet" in json.dumps(server.requests[2].body["messages"][-1])
    assert "It does **not** hold" in done.out  # what is piped stays as the model wrote it
    (run,) = InMlflow(chat.agent.uri, f"{SHOP}-evalkit").runs()
    assert f"kept in MLflow: run {run.info.run_id}" in done.out
    assert chat.agent.read("evaluation/run_eval.py")


def test_ctrl_c_stops_the_answer_and_not_the_chat(chat):
    slow = Reply("word " * 2000, pause_s=0.05)
    rendered = Reply("# Title\n\nSome **bold** words, \x1b[31mred.\n\n1. one\n2. two")
    with messages_server(slow, rendered) as server, chat.terminal(server) as terminal:
        terminal.wait_for("leaves.")
        terminal.wait_for("> ")
        terminal.type("What is slow?\r")
        terminal.wait_for("word word")
        os.killpg(terminal.process.pid, signal.SIGINT)
        terminal.wait_for("(stopped)")
        terminal.wait_for("> ")
        terminal.type("And what is bold?\r")
        shown = terminal.wait_for("so far)")
        terminal.leave()
    assert "\x1b[1mbold\x1b[0m" in shown
    assert "\x1b[31m" not in shown
    last = told(server, 1)
    assert "What is slow?" in last
    assert "And what is bold?" in last
    with messages_server() as server, chat.terminal(server) as terminal:
        terminal.wait_for("It goes on after: # Title")
        terminal.leave()


def test_trouble_of_the_model_ends_an_answer_and_not_the_chat(chat):
    steps = Fault(400, "not today"), Reply("Here I am."), Reply("Afresh.")
    with messages_server(*steps, context=20_000) as server:
        lines = ("Are you there?", "And now?", "word " * 20_000, "Who are you?")
        again = chat.say(server, *lines)
        lost = chat.say(server, "And now?")
    assert again.code == 0, again.err
    for shown in ("not today", "Here I am.", "it was too long to go on", "Afresh."):
        assert shown in again.out
    assert "Are you there?" in told(server, 1)
    assert "Who are you?" in told(server, 3)
    assert "And now?" not in told(server, 3)
    assert "Experiment: shop" in told(server, 3)
    assert lost.code == 1
    keyless = chat.say(None, "Hello?")
    assert keyless.code == 2
    assert "a conversation needs a model" in keyless.err
    assert "ANTHROPIC_API_KEY" in keyless.err
