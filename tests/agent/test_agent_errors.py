"""What users get wrong, what is broken around the agent, and the exit code of each."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_runs import SHOP, Agent
from competent import Competent, at, calls
from messages_server import messages_server
from servers import MlflowServer, Proxy, free_port
from shop_agent import ANSWERS, ShopAgent

from evalkit.store import connect

NOBODY = "http://127.0.0.1:9"
PLANNED = ("--max-iterations", "1")

CALLS = 2
"""That the plan takes."""


# -- wrong input: exit 2, and nothing is begun ------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "about", "field", "what"),
    [
        (("--session", ""), None, "--experiment-id", "no experiment is named"),
        ((), "nowhere", "--experiment-id", "there is no experiment 'nowhere'"),
        (("--session", "unheard-of"), None, "--session", "there is no session unheard-of"),
        (("--session", "../x"), SHOP, "--session", "'../x' is no session"),
        (("-a", "-i"), SHOP, "-i", "autonomous and interactive at once"),
        (
            ("--mlflow-agent-experiment-id", SHOP),
            SHOP,
            "--mlflow-agent-experiment-id",
            "own traces",
        ),
        (("--anthropic-base-url", "loopback"), SHOP, "ANTHROPIC_BASE_URL", "is no URL"),
        (("--pass-env", "A=1"), SHOP, "--pass-env", "is no variable"),
    ],
)
def test_wrong_flags_are_said_with_the_flag_and_begin_nothing(
    agent: Agent, flags: tuple[str, ...], about: str | None, field: str, what: str
) -> None:
    done = agent.run(NOBODY, *flags, about=about)
    assert done.code == 2
    (problem,) = done.report["problems"]
    assert problem["field"] == field
    assert what in problem["message"]
    assert problem["fix"]
    assert not (agent.root / "sessions").exists()


def test_a_session_belongs_to_its_experiment(planned: Agent) -> None:
    connect(planned.uri).experiment("bakery", create=True)
    other = planned.run(NOBODY, about="bakery")
    assert other.code == 2
    assert "the session s is about shop, not bakery" in other.report["error"]
    with messages_server(Competent()) as server:
        server.answered = 500
        for about in (None, "1"):
            done = planned.run(server, "--max-turns", "2", about=about)
            assert (done.code, done.report["experiment"]) == (1, SHOP)
    assert server.answered == 500


def test_without_traces_there_is_nothing_to_build_from(agent: Agent) -> None:
    connect(agent.uri).experiment("bakery", create=True)
    with messages_server(Competent()) as server:
        done = agent.run(server, about="bakery")
    assert done.code == 1
    assert "the experiment holds no traces yet" in done.report["error"]
    assert server.answered == 0


def test_without_inputs_there_is_nothing_to_ask_again(agent: Agent) -> None:
    poller = ShopAgent(agent.uri, connect(agent.uri).experiment("poller", create=True))
    for _ in range(12):
        poller.answer("", "Polling complete")
    with messages_server(Competent()) as server:
        done = agent.run(server, about="poller")
    assert done.code == 1
    assert "the traces' inputs are empty: there is nothing to ask an agent" in done.report["error"]
    assert "Go on with" not in done.report["error"]
    assert (server.answered, agent.turns()) == (0, [])


@pytest.mark.parametrize("flags", [(), ("--model", "offline")])
def test_of_few_traces_a_suite_is_left_that_is_not_called_verified(
    agent: Agent, flags: tuple[str, ...]
) -> None:
    shop = ShopAgent(agent.uri, connect(agent.uri).experiment("kiosk", create=True))
    for question, answer in list(ANSWERS.items())[:6]:
        shop.answer(question, answer)
    with messages_server(Competent()) as server:
        for _ in range(2):
            done = agent.run(server, *flags, about="kiosk")
            assert (done.code, done.report["verified"]) == (1, False)
            assert "too few traces: 6 good answers are no proof" in done.report["error"]
            assert done.report["validation"]["word"] == "too few traces"
            assert agent.read("evaluation/scorers.py")
            assert agent.read("evaluation/run_eval.py")
            assert "mlflow_run_id" not in done.report["kept"]
        assert server.answered == (0 if flags else 4)


def test_a_session_of_an_earlier_form_is_refused_with_a_sentence(planned: Agent) -> None:
    file = planned.folder / "state/session.json"
    about = json.loads(file.read_text())
    del about["form"]
    file.write_text(json.dumps(about))
    for named in (None, SHOP):
        done = planned.run(NOBODY, about=named)
        assert done.code == 2
        (problem,) = done.report["problems"]
        assert "the session s was led by another version of evalkit" in problem["message"]
        assert "start a new session" in problem["fix"]


# -- MLflow -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_without_mlflow_the_agent_is_skipped(
    agent: Agent, strict: tuple[str, ...], code: int
) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    done = agent.run(NOBODY, "--tracking-uri", uri, *strict)
    assert (done.code, done.report["skipped"]) == (code, True)
    assert uri in done.report["reason"]
    assert not (agent.root / "sessions").exists()


def test_a_server_that_dies_half_way_ends_the_work_and_is_gone_on_with(
    agent: Agent, server: MlflowServer
) -> None:
    experiment = f"half-way-{free_port()}"
    _shop_on(server.uri, experiment)
    with Proxy(server.uri) as proxy, messages_server(Competent()) as claude:
        mlflow = ("--tracking-uri", proxy.uri)
        proxy.after, proxy.fault, proxy.path = 2, "refuse", "traces"
        done = agent.run(claude, *PLANNED, *mlflow, about=experiment)
        assert done.code == 1
        assert done.report["error"].endswith("evalkit agent --session s")
        before = claude.answered
        assert len(agent.turns()) == before
        proxy.fault = "none"
        done = agent.run(claude, *PLANNED, *mlflow, about=experiment)
    assert done.report["error"].startswith("the budget of 1 session")
    assert len(agent.turns()) == claude.answered
    assert agent.tasks()


def _shop_on(uri: str, experiment: str) -> None:
    shop = ShopAgent(uri, connect(uri).experiment(experiment, create=True))
    for question in ("Where is my order?", "Do you ship to Norway?", "How do I pay?"):
        shop.answer(question, f"About your question: {question[:-1]}, yes. It is done at once.")


# -- the session directory --------------------------------------------------------------------


def test_two_at_once_do_not_work_in_one_session(planned: Agent) -> None:
    with (planned.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = planned.run(NOBODY)
    assert done.code == 2
    assert "another process is at work in this session" in done.report["error"]


def _cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _garble(file: Path) -> None:
    file.write_bytes(b"\x00\xff not JSON")


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "spoiled", "calls_again"),
    [
        (_empty, ["eval_tasks.json", "state/journal/001/closing.json"], 0),
        (_cut_off, ["state/analysis.json"], 0),
        (_garble, ["eval_tasks.json", "state/plan.json", "state/analysis.json"], CALLS),
    ],
)
def test_a_file_that_is_spoiled_is_made_anew(
    planned: Agent, spoil: Callable[[Path], None], spoiled: list[str], calls_again: int
) -> None:
    for name in spoiled:
        spoil(planned.folder / name)
    with messages_server(Competent()) as server:
        server.answered = 500
        done = planned.run(server, "--max-turns", str(CALLS + calls_again))
    assert done.code == 1
    assert "budget" in done.report["error"]
    assert server.answered - 500 == calls_again
    assert done.report["usage"]["turns"] == CALLS + calls_again
    assert list(planned.tasks()) == ["scorers-1", "validate"]
    assert json.loads(planned.read("state/analysis.json"))["counted"]["traces"] == 13


def test_calls_whose_answers_are_spoiled_are_asked_again(agent: Agent) -> None:
    """What came after them is no longer an answer to what is asked now."""
    twice = calls(("python", {"code": "print(1)"}))
    with messages_server(Competent(at("initializer", 1, twice))) as server:
        agent.run(server, "--max-turns", "2")
        _cut_off(agent.folder / "state/journal/001/0001.json")
        server.answered = 500
        agent.run(server, "--max-turns", "1")
        assert len(agent.turns()) == 1
        agent.run(server, *PLANNED)
    assert not server.refused
    assert server.answered == 502
    assert agent.endings() == ["finished"]


# -- which key --------------------------------------------------------------------------------


def test_without_a_key_rules_go_on(agent: Agent) -> None:
    env = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": "", "MODEL": ""}
    done = agent.run(NOBODY, *PLANNED, env=env)
    assert done.report["model"] == "offline"
    assert done.report["usage"]["cost_usd"] == 0
    assert agent.tasks()
