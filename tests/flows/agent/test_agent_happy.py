"""From traces to a suite that is proven, as a user sees it; the model errs once on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent_runs import KEY, MODEL, OWN, SHOP, SUITE, Agent
from commands import Forge, Outcome
from competent import Asked, Competent, writes
from in_mlflow import InMlflow
from messages_server import MessagesServer, Reply, messages_server
from mlflow import MlflowClient
from servers import clean_environment
from store_state import Row, state

from evalkit.core.agent.code import script_code

SCRIPT = "evaluation/run_eval.py"


@dataclass
class Built:
    """A suite that was built.

    Attributes:
        agent: Who built it.
        done: How the command ended.
        claude: What was asked and answered.
        before: The analysed experiment before that.
    """

    agent: Agent
    done: Outcome
    claude: MessagesServer
    before: dict[str, list[Row]]

    @property
    def shop(self) -> dict[str, list[Row]]:
        """The analysed experiment now."""
        return state(self.agent.database, SHOP)


def logs_elsewhere(asked: Asked) -> Reply | None:
    """Write a script first that would log into the analysed experiment."""
    if (asked.kind, asked.turn) != ("script", 0):
        return None
    return writes(SCRIPT, script_code(SHOP, asked.facts["experiment"]["tracking_uri"]))


@pytest.fixture(scope="module")
def built(
    shop_database: Path, forge: Forge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    root = tmp_path_factory.mktemp("happy")
    agent = Agent(forge, root, Path(shutil.copy(shop_database, root / "mlflow.db")))
    before = state(agent.database, SHOP)
    with messages_server(Competent(logs_elsewhere)) as server:
        yield Built(agent, agent.run(server), server, before)


def test_the_suite_is_verified(built: Built) -> None:
    report = built.done.report
    assert (built.done.code, report["verified"]) == (0, True), built.done.err
    assert {task["status"] for task in report["tasks"]} == {"done"}
    assert report["sessions_run"] == 4
    assert report["model"] == MODEL
    assert report["confinement"]
    assert report["validation"]["damages"]["emptied"] == [7, 7]
    assert (report["validation"]["rows"], report["validation"]["good_rows"]) == (8, 7)
    for path in report["artifacts"].values():
        assert (built.agent.root / path).is_file()
    assert not built.claude.refused


def test_the_figures_of_its_proof_are_metrics_of_the_run_that_is_kept(built: Built) -> None:
    kept = built.done.report["kept"]
    run = MlflowClient(f"sqlite:///{built.agent.database}").get_run(kept["mlflow_run_id"])
    metrics = run.data.metrics
    assert (metrics["rows"], metrics["good_rows"]) == (8, 7)
    assert metrics["no_error/mean"] == pytest.approx(7 / 8)
    assert (metrics["no_error/good_rows"], metrics["damage/emptied"]) == (1, 1)


def test_every_case_and_scorer_cites_its_traces(built: Built) -> None:
    analysis = json.loads(built.agent.read("state/analysis.json"))
    ids = {row["request_id"].strip("'") for row in built.agent.in_mlflow(SHOP)["trace_info"]}
    cited = [case["trace_id"] for case in analysis["cases"]]
    cited += [each for scorer in analysis["scorers"] for each in scorer["evidence"]]
    assert cited
    assert set(cited) <= ids
    assert all(each in built.agent.read("evaluation/scorers.py") for each in cited[-1:])
    assert all(case["why"] for case in analysis["cases"])


def test_a_script_that_would_write_into_the_analysed_experiment_was_sent_back(
    built: Built,
) -> None:
    (told,) = (
        json.dumps(request.body["messages"][-1])
        for request in built.claude.requests
        if "it writes into the analysed experiment shop" in json.dumps(request.body)
        and len(request.body["messages"]) == 3
    )
    assert "use shop-evalkit" in told


def test_nothing_is_written_into_the_analysed_experiment(built: Built) -> None:
    assert built.shop == built.before


def test_the_agents_own_sessions_are_traces_with_tokens_and_cost(built: Built) -> None:
    traces = InMlflow(built.agent.uri, OWN).traces()
    assert set(traces) == {"initializer", "dataset", "scorer-no_error", "script"}
    told = [trace.info.trace_metadata for trace in traces.values()]
    tokens = [json.loads(each["mlflow.trace.tokenUsage"])["total_tokens"] for each in told]
    cost = [json.loads(each["mlflow.trace.cost"])["total_cost"] for each in told]
    usage = built.done.report["usage"]
    assert sum(tokens) == usage["tokens"] == 120 * built.claude.answered
    assert sum(cost) == pytest.approx(usage["cost_usd"])
    assert usage["cost_usd"] == pytest.approx(0.001 * built.claude.answered)


def test_the_suite_is_kept_in_an_experiment_of_its_own(built: Built) -> None:
    kept = built.done.report["kept"]
    assert kept["experiment"] == SUITE
    runs = built.agent.in_mlflow(SUITE)["runs"]
    assert len(runs) == 1
    files = list(built.agent.root.rglob(f"*/artifacts/{SCRIPT}"))
    assert len(files) == 1
    assert files[0].read_text() == built.agent.read(SCRIPT)


def test_the_key_is_kept_nowhere(built: Built) -> None:
    files = [path for path in built.agent.root.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in built.done.out + built.done.err


def test_again_nothing_is_paid_and_nothing_repeated(built: Built) -> None:
    own, suite = (state(built.agent.database, name) for name in (OWN, SUITE))
    files = {p: p.read_bytes() for p in built.agent.folder.rglob("*") if p.is_file()}
    with messages_server() as nobody:
        again = built.agent.run(nobody, about=None)
    assert (again.code, nobody.requests) == (0, [])
    assert (again.report["verified"], again.report["sessions_run"]) == (True, 0)
    assert again.report["kept"] == built.done.report["kept"]
    assert (own, suite) == tuple(state(built.agent.database, name) for name in (OWN, SUITE))
    assert files == {p: p.read_bytes() for p in built.agent.folder.rglob("*") if p.is_file()}


def test_the_script_runs_by_hand_from_anywhere(built: Built, tmp_path: Path) -> None:
    command = [sys.executable, str(built.agent.folder / SCRIPT), "--json"]
    env = clean_environment()
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(built.agent.in_mlflow(SUITE)["runs"]) == 2
    assert built.shop == built.before
    assert list(tmp_path.iterdir()) == []
