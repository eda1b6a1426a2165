"""Folders of other agents' sessions, and of Harbor's jobs, become traces, each once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Trace

ROOT, CHILD = "019a2d7a-41c4-78b1-b7cc-a45d62a89cd5", "019a2d7b-0000-7000-8000-00000000000c"


def rollout(session: str, *items: dict[str, Any], **about: Any) -> str:
    lines = [{"type": "session_meta", "payload": {"id": session, "cwd": "/home/ann/shop", **about}}]
    lines += [{"type": "response_item", "payload": each} for each in items]
    for second, line in enumerate(lines):
        line["timestamp"] = f"2026-02-23T11:40:{second:02}.000Z"
    return "".join(json.dumps(line) + "\n" for line in lines)


def says(role: str, words: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": words}]}


def trajectory(session: str, words: str, **extra: str) -> str:
    steps = [{"source": "user", "message": "go"}, {"source": "agent", "message": words}]
    agent = {"name": "terminus-2", "version": "2", "extra": extra}
    whole = {"schema_version": "ATIF-v1.5", "session_id": session, "agent": agent, "steps": steps}
    return json.dumps(whole, indent=2)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(name: str, content: Any) -> None:
        path = tmp_path / "found" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return put


@pytest.fixture
def imported(evalkit: Any, tmp_path: Path, database_uri: str) -> Any:
    def run(folder: str) -> tuple[dict[str, Any], dict[str, Trace]]:
        done = evalkit("import", str(tmp_path / "found" / folder), "-e", "shop")
        assert done.code == 0, done.err
        client = MlflowClient(database_uri)
        place = client.get_experiment_by_name("shop").experiment_id
        found = client.search_traces(locations=[place], include_spans=True)
        return done.report, {each.info.response_preview: each for each in found}

    return run


def test_codexs_sessions_hold_the_subagents_that_they_started(write: Any, imported: Any) -> None:
    spawn = {"type": "function_call", "name": "spawn_agent", "call_id": "c", "arguments": "{}"}
    given = {"type": "function_call_output", "call_id": "c", "output": f'{{"agent_id": "{CHILD}"}}'}
    asked = (says("user", "go"), spawn, given, says("assistant", "It did."))
    write("2026/02/23/rollout-a.jsonl", rollout(ROOT, *asked))
    inside = (says("user", "look"), says("assistant", "One."))
    write("2026/02/23/rollout-b.jsonl", rollout(CHILD, *inside, parent_thread_id=ROOT))
    exec_log = [
        {"type": "thread.started", "thread_id": "t"},
        {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Two."}},
        {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 1}},
    ]
    write("exec.log", "\n".join(map(json.dumps, exec_log)))
    report, traces = imported("")
    assert (report["traces"], report["skipped"]) == (2, {})
    assert report["format"] == "Codex's exec --json, Codex's session file"
    assert set(traces) == {"It did.", "Two."}
    spans = {span.name: span.span_type for span in traces["It did."].data.spans}
    assert spans["subagent"] == "AGENT"
    metadata = traces["It did."].info.trace_metadata
    assert metadata["mlflow.trace.session"] == ROOT
    assert metadata["mlflow.trace.user"] == "ann"
    assert imported("")[0]["written"] == 0


def test_a_trial_of_a_harbor_job_is_one_trace_with_its_rewards(write: Any, imported: Any) -> None:
    raised = {"exception_type": "AgentTimeoutError", "exception_message": "late"}
    for name, about in (
        ("a", {}),
        ("b", {"exception_info": raised}),
        ("c", {"exception_info": raised}),
    ):
        rewards = {"rewards": {"reward": 0.5}}
        result = {"id": f"id-{name}", "task_name": f"t/{name}", "trial_name": name, **about}
        result |= {"finished_at": "2026-03-12T12:13:00Z", "verifier_result": rewards}
        write(f"jobs/j1/{name}__x/result.json", result)
        if name != "c":
            write(f"jobs/j1/{name}__x/agent/trajectory.json", trajectory("s", f"of {name}"))
            write(f"jobs/j1/{name}__x/agent/trajectory.sum.json", trajectory("s2", "a summary"))
    write("jobs/j1/result.json", {"id": "j", "n_total_trials": 3, "stats": {}})
    report, traces = imported("jobs")
    assert (report["format"], report["traces"]) == ("Harbor trial", 2)
    assert {Path(path).name: why for path, why in report["skipped"].items()} == {
        "c__x": "logged nothing: AgentTimeoutError: late",
        "result.json": "no agent's log",
    }
    assert {words: each.info.state for words, each in traces.items()} == {
        "of a": "OK", "of b": "ERROR",
    }  # fmt: skip
    values = {a.name: a.value for a in traces["of a"].info.assessments}
    assert values == {"reward": 0.5}
    assert imported("jobs/j1/a__x")[0]["written"] == 0


def test_an_atif_subagent_that_names_its_parent_is_a_part_of_it(write: Any, imported: Any) -> None:
    write("trajectory.json", trajectory("s", "Done."))
    write("sum.json", trajectory("s.sum", "In short.", parent_session_id="s"))
    report, traces = imported("")
    assert (report["files"], set(traces)) == (2, {"Done."})
    assert sum(span.span_type == "AGENT" for span in traces["Done."].data.spans) == 2
