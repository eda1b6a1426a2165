"""From traces to a suite that is verified, as a user sees it; the model errs once on the way."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from agent_runs import KEY, MODEL, OWN, SHOP, SUITE, Agent
from competent import Competent, at, calls, text_of
from in_mlflow import InMlflow
from messages_server import messages_server
from shop_agent import REJECTED
from store_state import state

TASKS = (("answered", "no_placeholder"), ("figures_grounded",))
CALLS = 9


@pytest.fixture(scope="module")
def built(shop_database, forge, tmp_path_factory):
    """A suite that was built: by whom, how the command ended, what was asked, the shop before."""
    root = tmp_path_factory.mktemp("happy")
    agent = Agent(forge, root, Path(shutil.copy(shop_database, root / "mlflow.db")))
    before = state(agent.database, SHOP)
    hasty = at("scorers-1", 1, calls(("verify", {})))
    with messages_server(Competent(hasty, tasks=TASKS)) as claude:
        done = agent.run(claude)
        yield SimpleNamespace(
            agent=agent, done=done, report=done.report, claude=claude, before=before
        )


def test_the_suite_is_verified_by_few_calls_and_tokens_and_people_come_first(built):
    report, found = built.report, built.report["validation"]
    assert (built.done.code, report["verified"]) == (0, True), built.done.err
    assert [task["status"] for task in report["tasks"]] == ["done"] * 3
    assert (report["sessions_run"], report["model"]) == (4, MODEL)
    assert report["confinement"]
    assert [found[each] for each in ("rows", "good_rows", "requests")] == [13, 11, 11]
    for name in ("scorers", "LIMITS", "run_eval", "dataset"):
        assert (built.agent.root / report["artifacts"][name]).is_file()
    assert not built.claude.refused
    assert built.claude.answered == CALLS
    read = [json.dumps(request.body, ensure_ascii=False) for request in built.claude.requests]
    assert sum(map(len, read)) / 4 < 40_000
    assert next(iter(found)) == "people"
    assert found["text"].startswith("Rejected by people: 1 answers, 0 failed")
    assert "1 named in LIMITS.md with a guideline" in found["text"]
    assert REJECTED[2] in built.agent.read("evaluation/LIMITS.md")


def test_each_worker_starts_afresh_with_what_files_hold(built):
    openings = [text_of(r.body["messages"][0]) for r in built.claude.requests]
    assert ["def answered" in openings[at] for at in (0, -1)] == [False, True]
    assert [len(r.body["messages"]) for r in built.claude.requests] == [1, 3, 1, 3, 5, 1, 3, 1, 3]
    assert all(REJECTED[1] in opening for opening in openings)


def test_the_looked_at_experiment_gets_the_findings_as_issues_and_nothing_else(built):
    (issue,) = built.report["kept"]["issues"]
    assert issue["name"] == "answers differ in form"
    now, before = state(built.agent.database, SHOP), built.before
    assert {table for table in now if now[table] != before[table]} == {"assessments"}
    (new,) = [row for row in now["assessments"] if row not in before["assessments"]]
    assert issue["issue_id"] in str(new)


def test_the_agents_own_sessions_are_traces_with_titles_tools_tokens_and_cost(built):
    own = InMlflow(built.agent.uri, OWN)
    traces = own.client.search_traces(locations=[own.experiment_id])
    titles = {trace.info.tags["mlflow.traceName"] for trace in traces}
    assert {"Look at the traces and plan the suite", "Write figures_grounded"} <= titles
    assert {trace.info.trace_metadata["mlflow.trace.session"] for trace in traces} == {"s"}
    assert {trace.info.state for trace in traces} == {"OK"}
    told = [trace.info.trace_metadata for trace in traces]
    tokens = [json.loads(each["mlflow.trace.tokenUsage"])["total_tokens"] for each in told]
    cost = [json.loads(each["mlflow.trace.cost"])["total_cost"] for each in told]
    usage = built.report["usage"]
    assert sum(tokens) == usage["tokens"] == 120 * CALLS
    assert sum(cost) == pytest.approx(usage["cost_usd"]) == 0.001 * CALLS
    spans = [span for trace in traces for span in trace.data.spans]
    assert sum(span.span_type == "LLM" for span in spans) == CALLS
    ran = [span for span in spans if span.span_type == "TOOL"]
    assert {"python", "save", "verify"} >= {span.name for span in ran} >= {"python", "verify"}
    assert [span.outputs for span in ran if span.status.status_code == "ERROR"]  # the hasty verify


def test_the_suite_is_kept_in_an_experiment_of_its_own_and_the_key_nowhere(built):
    kept = built.report["kept"]
    assert kept["experiment"] == SUITE
    (run,) = InMlflow(built.agent.uri, SUITE).runs()
    assert run.info.run_id == kept["mlflow_run_id"]
    assert len(built.agent.in_mlflow(SUITE)["trace_info"]) == 13
    files = [path for path in built.agent.root.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in built.done.out + built.done.err


def test_again_nothing_is_paid_and_nothing_repeated(built):
    def left():
        files = {p: p.read_bytes() for p in built.agent.folder.rglob("*") if p.is_file()}
        return files, *(state(built.agent.database, name) for name in (OWN, SUITE))

    before = left()
    again = built.agent.run("http://127.0.0.1:9", about=None)
    assert again.code == 0
    assert (again.report["verified"], again.report["sessions_run"]) == (True, 0)
    assert again.report["kept"] == built.report["kept"]
    assert left() == before
