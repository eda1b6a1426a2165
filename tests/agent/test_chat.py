"""A conversation in the terminal: what it says, shows, stops, remembers, and what it can do."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commands import Forge, Outcome, Running
from in_mlflow import InMlflow
from messages_server import Fault, MessagesServer, Reply, messages_server
from shop_agent import ANSWERS, ShopAgent

from evalkit.store import connect

SHOP = "shop"
KEY = "sk-ant-api03-" + "a1B2c3D4" * 11
SCORERS = """
from mlflow.genai.scorers import scorer

@scorer
def ended(outputs):
    return str(outputs).endswith(".")

SCORERS = [ended]
BAD_EXAMPLES = {}
"""


@pytest.fixture(scope="module")
def shop(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "mlflow.db"
    shutil.copy(empty_database, path)
    agent = ShopAgent(
        f"sqlite:///{path}", connect(f"sqlite:///{path}").experiment(SHOP, create=True)
    )
    for question, answer in ANSWERS.items():
        agent.answer(question, answer)
    return path


@dataclass(frozen=True)
class Chat:
    """``evalkit agent -i`` in a folder of its own, about the session ``s``."""

    forge: Forge
    root: Path
    uri: str

    def start(self, server: MessagesServer | None, *flags: str, **more: Any) -> Running:
        home = {"HOME": str(self.root), "TERM": "xterm"}
        key = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "k"} if server else {}
        env = {**home, **key, "MODEL": "claude-opus-4-5", "COLUMNS": "100", "LINES": "40"}
        where = ("--tracking-uri", self.uri, "--session", "s")
        return self.forge.start("agent", "-i", *where, *flags, cwd=self.root, env=env, **more)

    def say(
        self, server: MessagesServer | None, *words: str, flags: tuple[str, ...] = ("-e", SHOP)
    ) -> Outcome:
        """Lines from a file, then the end."""
        return self.start(server, *flags, said="".join(f"{line}\n" for line in words)).wait()

    @contextmanager
    def terminal(self, server: MessagesServer) -> Iterator[Terminal]:
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


@dataclass
class Terminal:
    """What a person sees and types."""

    stream: int
    process: Running
    seen: str = ""
    at: int = 0

    def wait_for(self, text: str) -> str:
        """Read until it stands there; what came since the last time."""
        until = time.monotonic() + 60
        while (found := self.seen.find(text, self.at)) < 0:
            assert time.monotonic() < until, self.seen
            if select.select([self.stream], [], [], 1)[0]:
                self.seen += os.read(self.stream, 4096).decode(errors="replace")
        since, self.at = self.at, found + len(text)
        return self.seen[since : self.at]

    def type(self, text: str) -> None:
        os.write(self.stream, text.encode())

    def ended(self) -> int:
        return self.process.wait().code


@pytest.fixture
def chat(shop: Path, forge: Forge, tmp_path: Path) -> Chat:
    database = Path(shutil.copy(shop, tmp_path / "mlflow.db"))
    root = tmp_path / "work"
    root.mkdir()
    return Chat(forge, root, f"sqlite:///{database}")


def told(server: MessagesServer, number: int) -> str:
    return json.dumps(server.requests[number].body["messages"])


def test_it_goes_on_with_the_conversation_and_each_answer_is_a_trace_of_one_session(
    chat: Chat,
) -> None:
    with messages_server(Reply("Noted: order 4711."), Reply("Order 4711.")) as server:
        first = chat.say(server, f"Remember order 4711. {KEY}")
        again = chat.say(server, "Which order did I name?", flags=())
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert "Conversation about shop" in first.out
    for line in ("model    claude-opus-4-5", "budget   5 USD", "--session s", "exit"):
        assert line in first.out
    assert "It goes on after: Noted: order 4711." in again.out
    assert "Order 4711." in again.out
    assert "Experiment: shop" in told(server, 0)
    assert "4711" in told(server, 1)
    assert len(server.requests[1].body["messages"]) == 3
    assert KEY not in told(server, 0)
    own = InMlflow(chat.uri, "evalkit-agent")
    traces = own.client.search_traces(locations=[own.experiment_id])
    assert {(t.info.request_preview or "")[:22]: t.info.response_preview for t in traces} == {
        "Remember order 4711. [": "Noted: order 4711.",
        "Which order did I name": "Order 4711.",
    }
    assert {t.info.trace_metadata["mlflow.trace.session"] for t in traces} == {"s"}


def test_it_plans_saves_verifies_and_keeps_a_suite_by_the_same_four_tools(chat: Chat) -> None:
    plan = {"tasks": [{"title": "Look at ends", "scorers": {"ended": "it ends"}}]}
    there = InMlflow(chat.uri, SHOP)
    (trace, *_) = there.client.search_traces(locations=[there.experiment_id])
    proof = {"ended": (trace.info.trace_id, str(trace.data.spans[0].outputs).rstrip("."))}
    good = SCORERS.replace("BAD_EXAMPLES = {}", f"BAD_EXAMPLES = {proof!r}")
    script = (
        Reply(tools=(("save", {"path": "eval_tasks.json", "content": plan}),)),
        Reply(tools=(("save", {"path": "evaluation/scorers.py", "content": SCORERS}),)),
        Reply(tools=(("verify", {}),)),
        Reply("It does **not** hold: no bad example."),
        Reply(tools=(("save", {"path": "evaluation/scorers.py", "content": good}),)),
        Reply(tools=(("verify", {}),)),
        Reply("Now it holds."),
    )
    with messages_server(*script) as server:
        done = chat.say(server, "Build me a suite.", "Then give it one.")
    assert done.code == 0, done.err
    tools = [tool["name"] for tool in server.requests[0].body["tools"]]
    assert tools == ["python", "save", "verify", "annotate"]
    folder = chat.root / "sessions" / "s"
    assert json.loads((folder / "eval_tasks.json").read_text())["tasks"][0]["scorers"]
    assert "not done yet" in json.dumps(server.requests[3].body["messages"][-1])
    assert "It does **not** hold" in done.out  # what is piped stays as the model wrote it
    (run,) = InMlflow(chat.uri, f"{SHOP}-evalkit").runs()
    assert f"kept in MLflow: run {run.info.run_id}" in done.out
    assert (folder / "evaluation" / "run_eval.py").is_file()


def test_ctrl_c_stops_the_answer_and_not_the_chat(chat: Chat) -> None:
    slow = Reply("word " * 200, pause_s=0.05)
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
        terminal.wait_for("> ")
        terminal.type("\x1b[A")  # the arrow that brings the last line back
        terminal.wait_for("And what is bold?")
        terminal.type("\x15exit\r")
        assert terminal.ended() == 0
    assert "\x1b[1mbold\x1b[0m" in shown
    assert "\x1b[31m" not in shown
    last = told(server, 1)
    assert "What is slow?" in last
    assert "And what is bold?" in last
    with messages_server() as server, chat.terminal(server) as terminal:
        terminal.wait_for("It goes on after: # Title")
        terminal.wait_for("> ")
        terminal.type("\x1b[A")
        terminal.wait_for("And what is bold?")
        terminal.type("\x15exit\r")
        assert terminal.ended() == 0


def test_trouble_of_the_model_ends_an_answer_and_not_the_chat(chat: Chat) -> None:
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


def test_without_a_model_it_says_what_it_needs(chat: Chat) -> None:
    done = chat.say(None, "Hello?")
    assert done.code == 2
    assert "a conversation needs a model" in done.err
    assert "ANTHROPIC_API_KEY" in done.err
