"""``evalkit run``: an agent of one's own on the cases, traced, judged, killed and run again."""

import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest
import yaml
from commands import until

from evalkit import predict_run

KEY = "AKIA" + "QYLPMN5HFIQR7BBQ"
AGENT = f"""
import asyncio, os, signal, sys, time
import mlflow

@mlflow.trace(span_type="TOOL")
def look_up(what):
    return f"found {{what}}"

def answer(prompt):
    print("asked:", prompt)
    with open("calls", "a") as calls:
        calls.write(prompt + "\\n")
    if prompt == "pays":
        with mlflow.start_span("call", "CHAT_MODEL") as span:
            used = {{"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}
            span.set_attributes({{"mlflow.llm.model": "m", "mlflow.chat.tokenUsage": used}})
            span.set_attribute("mlflow.llm.cost", {{"total_cost": 2.0}})
    if prompt == "raises":
        raise ValueError("no way in with {KEY}")
    if prompt == "quits":
        sys.exit(1)
    if prompt == "zz dies":
        look_up("the end")
        os._exit(7)
    time.sleep(30 if prompt == "hangs" else 0)
    return look_up(prompt) + (" {KEY}" if prompt == "secret" else "")

def slowly(question):
    time.sleep(0.3)
    return answer(question)

async def later(request):
    await asyncio.sleep(30 if request == "hangs" else 0)
    return {{"asked": sorted(request)}}

def stuck(prompt):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(30)

def other(this, that):
    return 1
"""
SCORERS = """
from mlflow.entities import Feedback
from mlflow.genai import scorer

def has_word(outputs, word):
    return word in outputs["files"].get("answer.md", ""), f"looked for {word}"

@scorer
def used_tools(outputs, trace):
    names = [span.name for span in trace.search_spans(span_type="TOOL")]
    return Feedback(value=names == ["look_up"], rationale=", ".join(names))
"""
OWN = {"module": "own_scorers"}
JUDGES = [
    {"name": "asked", "check": 'return len(outputs["tool_calls"]), outputs["case_dir"]'},
    {"name": "word", **OWN, "function": "has_word", "arguments": {"word": "fine"}},
    {"name": "tools", **OWN, "function": "used_tools", "if": "not annotations"},
    {"name": "length", "builtin": "ResponseLength", "arguments": {"max_length": 12}},
    {"name": "budget", "builtin": "cost_budget"},
    {"name": "range", "check": "return 7", "score_range": [1, 5]},
    {"name": "right", "builtin": "Correctness"},
    {"name": "tone", "prompt": "Is it polite?"},
]


@pytest.fixture
def agent(project):
    """The project with an agent and judges, and the cases that a test asks for."""
    project.write("own_agent.py", AGENT)
    project.write("own_scorers.py", SCORERS)
    project.configure(judges=JUDGES, thresholds={})

    def cases(*prompts):
        shutil.rmtree(project.root / "cases")
        for prompt in prompts:
            project.add_case(prompt, prompt, "it is found")
        return project

    return cases


def rows(uri, query):
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        return database.execute(query).fetchall()


def test_every_case_runs_is_traced_and_judged_whatever_becomes_of_the_others(
    agent, evalkit, database_uri
):
    project = agent("fine", "secret", "raises", "quits", "hangs", "pays")
    run = ("run", "--predict", "own_agent:answer", "--run-id", "r1", "--parallel", "1")
    report = evalkit(*run, "--timeout", "1").report
    assert (report["cases"], report["failed"], report["ran"]) == (6, 3, 6)
    assert report["executions"]["names"] == {
        "raises": "ValueError: no way in with [masked:aws-access-key]",
        "quits": "it ended the process; nothing that runs here may do that",
        "hangs": "it did not end within 1 s",
    }
    skipped = "\n".join(report["notes"])
    assert "judge right is not asked: a model judges" in skipped
    assert "judge tone is not asked: a model judges" in skipped

    folder = project.root / report["directory"]
    assert (folder / "cases/fine/answer.md").read_text() == "found fine"
    assert "asked: fine" in (folder / "cases/fine/stderr.log").read_text()
    summary = yaml.safe_load((folder / "summary.yaml").read_text())
    values = {name: score["value"] for name, score in summary["per_case"]["fine"].items()}
    assert values == {
        "asked": 1, "word": True, "tools": True, "length": True, "budget": None, "range": None,
    }  # fmt: skip
    assert summary["per_case"]["fine"]["range"]["error"] == "7 is not within [1, 5]"
    assert summary["per_case"]["secret"]["length"]["value"] is False
    assert summary["per_case"]["hangs"]["length"]["error"].endswith("the execution failed")
    codes = json.loads((folder / "run_result.json").read_text())["per_case"]
    assert {case: found["exit_code"] for case, found in codes.items()} == {
        "fine": 0, "secret": 0, "raises": 1, "quits": 1, "hangs": 124, "pays": 0,
    }  # fmt: skip
    paid = {"num_turns": 1, "token_usage": {"input": 5, "output": 2}, "cost_usd": 2.0}
    assert paid.items() <= codes["pays"].items()
    assert codes["pays"]["per_model_usage"] == {"m": {"input": 5, "output": 2, "cost_usd": 2.0}}
    assert summary["per_case"]["pays"]["budget"]["value"] is False

    logged = evalkit("log-results", "--run-id", "r1").report
    assert (logged["traces"], logged["executions"]["failed"]) == (6, 3)
    assert "6 traces that the harness recorded itself are used" in logged["notes"]
    states = "SELECT value, status FROM trace_info JOIN trace_tags USING (request_id)"
    found = rows(database_uri, f"{states} WHERE key = 'evalkit.case'")
    failed = {(case, "ERROR") for case in ("raises", "quits", "hangs")}
    assert set(found) == {(case, "OK") for case in ("fine", "secret", "pays")} | failed
    assert rows(database_uri, "SELECT name, count(*) FROM spans WHERE type = 'TOOL'") == [
        ("look_up", 3)
    ]
    with closing(sqlite3.connect(database_uri.removeprefix("sqlite:///"))) as database:
        assert KEY not in "".join(database.iterdump())

    again = evalkit(*run).report
    assert (again["ran"], again["notes"][0]) == (
        0,
        "the run is complete: every case had run before",
    )
    assert evalkit("log-results", "--run-id", "r1").report["written"] is False
    assert len((project.root / "calls").read_text().split()) == 6


def test_a_killed_run_goes_on_and_leaves_one_trace_a_case(agent, evalkit, forge, sqlite_uri):
    project = agent("four", "one", "three", "two", "zz dies")
    told = ("--predict", "own_agent:slowly", "--run-id", "r1")
    calls = project.root / "calls"
    running = forge.start(
        "run", *told, "--parallel", "2", "--tracking-uri", sqlite_uri, cwd=project.root
    )
    until(lambda: calls.exists() and calls.read_text().count("\n") >= 3)
    running.kill(signal.SIGKILL)
    running.wait()
    folder = project.root / "eval/runs/helper/r1"
    done = {
        path.parent.name: json.loads(path.read_text())["trace_id"]
        for path in folder.glob("cases/*/run_result.json")
    }
    assert 0 < len(done) < 5
    assert all((folder / "cases" / case / ".begun").exists() for case in done)
    assert (
        "of another function"
        in evalkit("run", "--predict", "own_agent:later", "--run-id", "r1").err
    )

    report = evalkit("run", *told, "--parallel", "1", uri=sqlite_uri).report
    assert (report["cases"], report["ran"]) == (5, 5 - len(done))
    assert report["executions"]["names"] == {"zz dies": "its process ended with 7"}
    assert all(calls.read_text().splitlines().count(case) == 1 for case in done)
    assert not list(folder.glob("cases/*/.begun"))
    left = rows(sqlite_uri, "SELECT request_id FROM trace_info")
    assert set(done.values()) < {trace_id for (trace_id,) in left}
    evalkit("log-results", "--run-id", "r1", uri=sqlite_uri)
    tagged = "SELECT value FROM trace_tags WHERE key = 'evalkit.case'"
    cases = [case for (case,) in rows(sqlite_uri, tagged)]
    assert sorted(cases) == ["four", "one", "three", "two", "zz dies"]
    assert rows(sqlite_uri, "SELECT count(*) FROM trace_info") == [(5,)]


def test_without_mlflow_an_async_agent_runs_untraced_and_what_no_alarm_wakes_is_killed(
    agent, evalkit, monkeypatch
):
    project, nobody = agent("fine", "hangs"), "http://127.0.0.1:9"
    project.add_case("fine", {"b": 1, "a": 2}, None)
    run = ("run", "--timeout", "1", "--parallel", "1", "--predict")
    report = evalkit(*run, "own_agent:later", "--run-id", "r2", uri=nobody).report
    assert report["executions"]["names"] == {"hangs": "it did not end within 1 s"}
    assert "not traced" in report["notes"][0]
    answer = json.loads((project.root / report["directory"] / "cases/fine/answer.json").read_text())
    assert answer == {"asked": ["a", "b"]}
    project.remove("cases/fine")
    monkeypatch.setattr(predict_run, "GRACE_SECONDS", 1)
    report = evalkit(*run, "own_agent:stuck", "--run-id", "r3", uri=nobody).report
    names = {"hangs": "it did not end within 2 s, and was killed"}
    assert report["executions"]["names"] == names
    result = json.loads((project.root / report["directory"] / "run_result.json").read_text())
    assert result["exit_code"] == 124


def test_what_cannot_run_is_refused_with_a_word(agent, evalkit):
    agent("fine")
    for flags, said in (
        (("own_agent",), "write module:function"),
        (("no_agent:answer",), "No module named 'no_agent'"),
        (("own_agent:answer", "--parallel", "0"), "give at least 1"),
        (("own_agent:answer", "--run-id", "2026-07-09-v1"), "something else made"),
        (("own_agent:answer", "--mapping", "none.json"), "there is no mapping yet"),
    ):
        ended = evalkit("run", "--predict", *flags)
        assert (ended.code, said in ended.err) == (2, True), ended.err
