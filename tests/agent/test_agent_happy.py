"""From traces to a suite that is verified, as a user sees it; the model errs once on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_runs import KEY, MODEL, OWN, SHOP, SUITE, Agent
from commands import Forge, Outcome
from competent import Competent, at, calls, text_of
from conftest import REJECTED, WHY
from in_mlflow import InMlflow
from messages_server import MessagesServer, messages_server
from servers import clean_environment
from store_state import Row, state

SCRIPT = "evaluation/run_eval.py"
TASKS = (("answered", "no_placeholder"), ("figures_grounded",))
CALLS = 9


@dataclass
class Built:
    """A suite that was built.

    Attributes:
        agent: Who built it.
        done: How the command ended.
        claude: What was asked and answered.
        before: The looked-at experiment before that.
    """

    agent: Agent
    done: Outcome
    claude: MessagesServer
    before: dict[str, list[Row]]

    @property
    def shop(self) -> dict[str, list[Row]]:
        """The looked-at experiment now."""
        return state(self.agent.database, SHOP)


@pytest.fixture(scope="module")
def built(
    shop_database: Path, forge: Forge, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    root = tmp_path_factory.mktemp("happy")
    agent = Agent(forge, root, Path(shutil.copy(shop_database, root / "mlflow.db")))
    before = state(agent.database, SHOP)
    hasty = at("scorers-1", 1, calls(("verify", {})))
    with messages_server(Competent(hasty, tasks=TASKS)) as server:
        yield Built(agent, agent.run(server), server, before)


def test_the_suite_is_verified(built: Built) -> None:
    report = built.done.report
    assert (built.done.code, report["verified"]) == (0, True), built.done.err
    assert [task["status"] for task in report["tasks"]] == ["done"] * 3
    assert report["sessions_run"] == 4
    assert report["model"] == MODEL
    assert report["confinement"]
    assert (report["validation"]["rows"], report["validation"]["good_rows"]) == (13, 11)
    for name in ("scorers", "LIMITS", "run_eval", "dataset"):
        assert (built.agent.root / report["artifacts"][name]).is_file()
    assert not built.claude.refused


def test_it_takes_few_calls_and_few_tokens(built: Built) -> None:
    assert built.claude.answered == CALLS
    read = [json.dumps(request.body, ensure_ascii=False) for request in built.claude.requests]
    assert sum(map(len, read)) / 4 < 40_000


def test_what_people_said_comes_first(built: Built) -> None:
    report = built.done.report
    assert next(iter(report["validation"])) == "people"
    assert report["validation"]["text"].startswith("Of 1 answers that people rejected, 0 are fail")
    assert "1 named in LIMITS.md with a guideline" in report["validation"]["text"]
    assert WHY in built.agent.read("evaluation/LIMITS.md")


def test_each_worker_starts_afresh_with_what_files_hold(built: Built) -> None:
    openings = [text_of(r.body["messages"][0]) for r in built.claude.requests]
    assert "def answered" not in openings[0]
    assert "def answered" in openings[-1]
    assert [len(r.body["messages"]) for r in built.claude.requests] == [1, 3, 1, 3, 5, 1, 3, 1, 3]
    assert all(REJECTED[1] in opening for opening in openings)


def test_the_looked_at_experiment_gets_the_findings_as_issues_and_nothing_else(
    built: Built,
) -> None:
    (issue,) = built.done.report["kept"]["issues"]
    assert issue["name"] == "answers differ in form"
    now, before = built.shop, built.before
    assert {table for table in now if now[table] != before[table]} == {"assessments"}
    (new,) = [row for row in now["assessments"] if row not in before["assessments"]]
    assert issue["issue_id"] in str(new)


def test_the_agents_own_sessions_are_traces_with_titles_tools_tokens_and_cost(built: Built) -> None:
    own = InMlflow(built.agent.uri, OWN)
    traces = own.client.search_traces(locations=[own.experiment_id])
    titles = {trace.info.tags["mlflow.traceName"] for trace in traces}
    assert {"Look at the traces and plan the suite", "Write figures_grounded"} <= titles
    assert {trace.info.trace_metadata["mlflow.trace.session"] for trace in traces} == {"s"}
    assert {trace.info.state for trace in traces} == {"OK"}
    told = [trace.info.trace_metadata for trace in traces]
    tokens = [json.loads(each["mlflow.trace.tokenUsage"])["total_tokens"] for each in told]
    cost = [json.loads(each["mlflow.trace.cost"])["total_cost"] for each in told]
    usage = built.done.report["usage"]
    assert sum(tokens) == usage["tokens"] == 120 * CALLS
    assert sum(cost) == pytest.approx(usage["cost_usd"])
    assert usage["cost_usd"] == pytest.approx(0.001 * CALLS)
    spans = [span for trace in traces for span in trace.data.spans]
    assert sum(span.span_type == "LLM" for span in spans) == CALLS
    ran = [span for span in spans if span.span_type == "TOOL"]
    assert {"python", "save", "verify"} >= {span.name for span in ran} >= {"python", "verify"}
    assert [span.outputs for span in ran if span.status.status_code == "ERROR"]  # the hasty verify
    assert all(span.end_time_ns >= span.start_time_ns for span in ran)


def test_the_suite_is_kept_in_an_experiment_of_its_own(built: Built) -> None:
    kept = built.done.report["kept"]
    assert kept["experiment"] == SUITE
    runs = built.agent.in_mlflow(SUITE)["runs"]
    assert kept["mlflow_run_id"] in {run["run_uuid"] for run in runs} or len(runs) == 1
    assert len(built.agent.in_mlflow(SUITE)["trace_info"]) == 13


def test_the_key_is_kept_nowhere(built: Built) -> None:
    files = [path for path in built.agent.root.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in built.done.out + built.done.err


def _files(agent: Agent) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in agent.folder.rglob("*") if p.is_file()}


def test_again_nothing_is_paid_and_nothing_repeated(built: Built) -> None:
    own, suite = (state(built.agent.database, name) for name in (OWN, SUITE))
    files = _files(built.agent)
    with messages_server() as nobody:
        again = built.agent.run(nobody, about=None)
    assert (again.code, nobody.requests) == (0, [])
    assert (again.report["verified"], again.report["sessions_run"]) == (True, 0)
    assert again.report["kept"] == built.done.report["kept"]
    assert (own, suite) == tuple(state(built.agent.database, name) for name in (OWN, SUITE))
    assert files == _files(built.agent)


def test_the_script_runs_by_hand_from_anywhere(built: Built, tmp_path: Path) -> None:
    command: list[Any] = [sys.executable, built.agent.folder / SCRIPT]
    env = clean_environment()
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False
    )
    assert ended.returncode == 0, ended.stderr
