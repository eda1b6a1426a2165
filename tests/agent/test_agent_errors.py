"""What users get wrong, what is broken around the agent, and the exit code of each."""

import fcntl
import json

import pytest
from agent_runs import SHOP
from competent import Competent
from messages_server import messages_server
from servers import Proxy, free_port
from shop_agent import ANSWERS, ShopAgent

from evalkit.agent.session import find_session, sessions_about
from evalkit.store import connect

NOBODY = "http://127.0.0.1:9"
PLANNED = ("--max-iterations", "1")
CALLS = 2
"""That the plan takes."""


def shop_in(uri, experiment, exchanges):
    shop = ShopAgent(uri, connect(uri).experiment(experiment, create=True))
    for question, answer in exchanges:
        shop.answer(question, answer)


# -- wrong input: exit 2, and nothing is begun ------------------------------------------------

OWN = "--mlflow-agent-experiment-id"


def test_wrong_flags_are_said_with_the_flag_and_begin_nothing(agent):
    for flags, about, field, what in (
        (("--session", ""), None, "--experiment-id", "no experiment is named"),
        ((), "nowhere", "--experiment-id", "there is no experiment 'nowhere'"),
        (("--session", "unheard-of"), None, "--session", "there is no session unheard-of"),
        (("--session", "../x"), SHOP, "--session", "'../x' is no session"),
        (("-a", "-i"), SHOP, "-i", "autonomous and interactive at once"),
        ((OWN, SHOP), SHOP, OWN, "own traces"),
        (("--anthropic-base-url", "loopback"), SHOP, "ANTHROPIC_BASE_URL", "is no URL"),
        (("--pass-env", "A=1"), SHOP, "--pass-env", "is no variable"),
    ):
        done = agent.run(NOBODY, *flags, about=about)
        (problem,) = done.report["problems"]
        assert (done.code, problem["field"], bool(problem["fix"])) == (2, field, True)
        assert what in problem["message"]
        assert not (agent.root / "sessions").exists()


def test_a_session_belongs_to_its_experiment_its_process_and_its_version(planned):
    connect(planned.uri).experiment("bakery", create=True)
    other = planned.run(NOBODY, about="bakery")
    assert other.code == 2
    assert "the session s is about shop, not bakery" in other.report["error"]
    for about in (None, "1"):
        done = planned.run(NOBODY, "--max-turns", "2", about=about)
        assert (done.code, done.report["experiment"]) == (1, SHOP)
    place, own = str(planned.root), find_session(str(planned.root), "s").about
    for uri, known in ((own.tracking_uri, ["s"]), (planned.uri, [])):  # each store counts from 1
        found = sessions_about(place, own.experiment_id, uri)
        assert [each.about.session_id for each in found] == known
    with (planned.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = planned.run(NOBODY)
    assert done.code == 2
    assert "another process is at work in this session" in done.report["error"]
    file = planned.folder / "state/session.json"
    known = json.loads(file.read_text())
    del known["form"]
    file.write_text(json.dumps(known))
    done = planned.run(NOBODY, about=None)
    (problem,) = done.report["problems"]
    assert done.code == 2
    assert "the session s was led by another version of evalkit" in problem["message"]
    assert "start a new session" in problem["fix"]


# -- traces of which nothing can be made ------------------------------------------------------


def test_without_traces_or_inputs_there_is_nothing_to_build_from(agent):
    for name, exchanges, why in (
        ("bakery", [], "the experiment holds no traces yet"),
        ("mill", [("", "Done")] * 12, "the traces' inputs are empty: there is nothing to ask"),
    ):
        shop_in(agent.uri, name, exchanges)
        done = agent.run(NOBODY, "--session", name, about=name)
        assert done.code == 1
        assert why in done.report["error"]
        assert ("Go on with" in done.report["error"]) == (not exchanges)  # traces may come
        assert done.report["usage"]["turns"] == 0


KEYLESS = {"ANTHROPIC_API_KEY": "", "ANTHROPIC_BASE_URL": "", "MODEL": ""}


@pytest.mark.parametrize("env", [{}, KEYLESS], ids=["by Claude", "by rules, for nothing"])
def test_of_few_traces_a_suite_is_left_that_is_not_called_verified(agent, env):
    exchanges = [*list(ANSWERS.items())[:6], *[("", "Done.")] * 3]
    shop_in(agent.uri, "kiosk", exchanges)
    with messages_server(Competent()) as server:
        for _ in range(2):
            done = agent.run(server, about="kiosk", env=env)
            assert (done.code, done.report["verified"]) == (1, False)
            assert "too few traces: 6 good answers are no proof" in done.report["error"]
            assert "3 traces do not hold what was asked" in done.report["error"]
            assert done.report["validation"]["word"] == "too few traces"
            assert agent.read("evaluation/scorers.py")
            assert agent.read("evaluation/run_eval.py")
            assert "mlflow_run_id" not in done.report["kept"]
        assert server.answered == (0 if env else 4)
    assert (done.report["model"] == "offline") == bool(env)
    assert (done.report["usage"]["cost_usd"] == 0) == bool(env)


# -- MLflow -----------------------------------------------------------------------------------


def test_without_mlflow_the_agent_is_skipped(agent):
    uri = f"http://127.0.0.1:{free_port()}"
    for strict, code in (((), 0), (("--strict",), 1)):
        done = agent.run(NOBODY, "--tracking-uri", uri, *strict)
        assert (done.code, done.report["skipped"]) == (code, True)
        assert uri in done.report["reason"]
        assert not (agent.root / "sessions").exists()


def test_a_server_that_dies_half_way_ends_the_work_and_is_gone_on_with(agent, server):
    experiment = f"half-way-{free_port()}"
    shop_in(server.uri, experiment, list(ANSWERS.items())[:3])
    with Proxy(server.uri) as proxy, messages_server(Competent()) as claude:
        mlflow = ("--tracking-uri", proxy.uri)
        proxy.after, proxy.fault, proxy.path = 2, "refuse", "traces"
        done = agent.run(claude, *PLANNED, *mlflow, about=experiment)
        assert done.code == 1
        assert done.report["error"].endswith("evalkit agent --session s")
        assert len(agent.turns()) == claude.answered
        proxy.fault = "none"
        done = agent.run(claude, *PLANNED, *mlflow, about=experiment)
    assert done.report["error"].startswith("the budget of 1 session")
    assert len(agent.turns()) == claude.answered
    assert agent.tasks()


# -- the session directory --------------------------------------------------------------------

SPOIL = {
    "emptied": lambda raw: raw[:0],
    "cut off": lambda raw: raw[: len(raw) // 2],
    "garbled": lambda raw: b"\x00\xff" + raw,
}


@pytest.mark.parametrize(
    ("how", "spoiled", "calls_again", "known"),
    [
        ("emptied", ["eval_tasks.json", "state/journal/001/closing.json"], 0, CALLS),
        ("cut off", ["state/analysis.json"], 0, CALLS),
        (
            "garbled",
            ["eval_tasks.json", "state/plan.json", "state/analysis.json"],
            CALLS,
            2 * CALLS,
        ),
        # what came after it is no longer an answer to what is asked now
        ("cut off", ["eval_tasks.json", "state/plan.json", "state/journal/001/0001.json"], 2, 2),
    ],
)
def test_a_file_that_is_spoiled_is_made_anew(planned, how, spoiled, calls_again, known):
    for path in (planned.folder / name for name in spoiled):
        path.write_bytes(SPOIL[how](path.read_bytes()))
    with messages_server(Competent()) as server:
        server.answered = 500
        done = planned.run(server, "--max-turns", str(known))
    assert done.code == 1
    assert "budget" in done.report["error"]
    assert server.answered - 500 == calls_again
    assert done.report["usage"]["turns"] == len(planned.turns()) == known
    assert not server.refused
    assert list(planned.tasks()) == ["scorers-1", "validate"]
    assert json.loads(planned.read("state/analysis.json"))["counted"]["traces"] == 13
