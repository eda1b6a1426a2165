"""Sessions that belong to no evaluation become traces, each once: of Claude Code and of others."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agentlogs import Event, Story, answer, as_lines, as_session, ask, init, say, text, use
from commands import until
from mlflow import MlflowClient
from mlflow.entities import Trace

from evalkit.store import connect
from evalkit.traces.sample import survey

END = say("m9", text("All done."), stop="end_turn")
ROOT, CHILD = "019a2d7a-41c4-78b1-b7cc-a45d62a89cd5", "019a2d7b-0000-7000-8000-00000000000c"


def write(path: Path, events: Any) -> Path:
    """Events as the lines of a log, anything else as a JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_log = isinstance(events, list)
    path.write_bytes(
        b"".join(as_lines(events)) if is_log else json.dumps(events, indent=2).encode()
    )
    return path


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """What Claude Code keeps: two sessions, one with a subagent's file, and other things."""
    folder = tmp_path / "projects" / "-home-ann-shop"
    calls = [ask("count"), say("m1", use("t1", "Task", prompt="look")), answer("t1", "3"), END]
    calls[2]["tool_use_result"] = {"agentId": "a7", "status": "completed"}
    write(folder / "one.jsonl", as_session(calls, "session-1"))
    inside = [{**e, "agentId": "a7"} for e in (ask("look"), say("n1", text("3")))]
    inside = [{**e, "isSidechain": True} for e in as_session(inside, "session-1")]
    write(folder / "one/subagents/agent-a7.jsonl", inside)
    write(folder / "two.jsonl", as_session([ask("hello"), END], "session-2", cwd="/srv/x"))
    write(folder / "agent-b1.jsonl", [{**e, "sessionId": "gone"} for e in inside])
    write(folder / "bare.jsonl", [{"type": "summary", "leafUuid": "x"}])
    write(folder / "memory/notes.md", "notes")
    (folder / "empty.jsonl").touch()
    return tmp_path / "projects"


@pytest.fixture
def imported(evalkit: Any) -> Any:
    def run(*paths: Path, to: str = "shop") -> dict[str, Any]:
        done = evalkit("import", *map(str, paths), "-e", to)
        assert done.code == 0, done.err
        return done.report

    return run


def traces(uri: str, experiment: str = "shop") -> list[Trace]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    there = client.search_traces(locations=[found.experiment_id], include_spans=True)
    return sorted(there, key=lambda each: each.info.trace_metadata["mlflow.trace.session"])


def by_answer(uri: str) -> dict[str, Trace]:
    return {json.loads(each.data.response): each for each in traces(uri)}


def test_each_session_becomes_one_trace_with_its_subagents_its_person_and_its_place(
    imported: Any, projects: Path, database_uri: str
) -> None:
    report = imported(projects)
    assert (report["format"], report["files"], report["traces"]) == ("Claude Code session", 3, 2)
    assert {Path(path).name: why for path, why in report["skipped"].items()} == {
        "agent-b1.jsonl": "a subagent's transcript; its session is not among the files",
        "bare.jsonl": "the log is a Claude Code session without any message",
        "empty.jsonl": "empty",
        "notes.md": "no agent's log",
    }
    receipt = report["receipt"]
    assert (receipt["logs"], receipt["lines"], receipt["used"]) == (2, 8, 8)
    one, two = traces(database_uri)
    names = [s.name for s in one.data.spans if s.span_type in {"AGENT", "TOOL"}]
    assert names == ["Claude Code session", "Task", "subagent"]
    known, tags = one.info.trace_metadata, one.info.tags
    found = (known["mlflow.trace.session"], known["mlflow.trace.user"])
    assert (*found, tags["evalkit.cwd"], tags["evalkit.git_branch"]) == (
        *("session-1", "ann"),
        *("/home/ann/shop", "main"),
    )
    assert "mlflow.trace.user" not in two.info.trace_metadata
    assert (one.info.state, json.loads(one.data.response)) == ("OK", "All done.")


def test_again_writes_nothing_and_what_went_on_takes_its_traces_place_with_what_people_left(
    imported: Any, projects: Path, database_uri: str
) -> None:
    assert imported(projects)["written"] == 2
    before = traces(database_uri)
    again = imported(projects)
    assert (again["written"], again["traces"]) == (0, 2)
    assert [t.info.to_dict() for t in traces(database_uri)] == [t.info.to_dict() for t in before]
    assert imported(projects, to="other")["written"] == 2
    ids = {each.info.trace_id for each in traces(database_uri, "other")}
    assert not ids & {each.info.trace_id for each in before}

    MlflowClient(database_uri).set_trace_tag(before[1].info.trace_id, "seen", "by ann")
    more = [ask("and?"), say("m3", text("Bye."), stop="end_turn")]
    write(next(projects.rglob("two.jsonl")), as_session([ask("hello"), END, *more], "session-2"))
    assert imported(projects)["written"] == 1
    one, two = traces(database_uri)
    assert one.info.trace_id == before[0].info.trace_id
    assert (json.loads(two.data.response), two.info.tags["seen"]) == ("Bye.", "by ann")


def test_killed_on_the_way_and_again_is_as_if_it_had_run_once(
    forge: Any, sqlite_uri: str, tmp_path: Path
) -> None:
    for number in range(60):
        events = as_session([ask(f"do {number}"), END], f"session-{number}")
        write(tmp_path / "logs" / f"{number}.jsonl", events)
    told = ("import", "logs", "-e", "shop", "--json", "--tracking-uri", sqlite_uri)
    running = forge.start(*told, cwd=tmp_path)
    until(lambda: bool(MlflowClient(sqlite_uri).get_experiment_by_name("shop")))
    running.kill(signal.SIGKILL)
    running.wait()
    done = forge.run(*told, cwd=tmp_path)
    assert (done.code, json.loads(done.out)["traces"]) == (0, 60)
    sessions = [each.info.trace_metadata["mlflow.trace.session"] for each in traces(sqlite_uri)]
    assert len(sessions) == len(set(sessions)) == 60


def test_files_of_one_session(imported: Any, tmp_path: Path, database_uri: str) -> None:
    """The longer of two copies counts; two processes of a command in one session are two traces."""
    events = as_session([ask("hello"), END], "s")
    short, long = write(tmp_path / "a.jsonl", events[:1]), write(tmp_path / "b.jsonl", events)
    report = imported(short, long)
    assert report["traces"] == 1
    assert report["skipped"] == {str(short): f"the same session as {long}"}
    for name in ("a", "b"):
        log = [init("s7"), {**ask(f"do {name}"), "session_id": "s7"}, {**END, "session_id": "s7"}]
        write(tmp_path / "logs" / f"{name}.log", log)
    assert imported(tmp_path / "logs")["traces"] == 2
    sessions = [each.info.trace_metadata["mlflow.trace.session"] for each in traces(database_uri)]
    assert sessions == ["s", "s7", "s7"]


def test_secrets_stay_here_and_placeholders_are_in_no_figure_of_the_experiment(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    secret = "AKIA" + "2345" * 4
    log = as_session([ask(f"use {secret}"), *Story(1).tell(5)], "session-1")
    report = imported(write(tmp_path / "one.jsonl", log))
    assert (report["traces"], report["receipt"]["masked"]) == (1, 1)
    assert secret not in str(traces(database_uri)[0].to_dict())
    experiment = MlflowClient(database_uri).get_experiment_by_name("shop").experiment_id
    found = survey(connect(database_uri), experiment).analysis
    assert (found["traces"], found["tokens"]) == (1, None)


@pytest.mark.parametrize(
    ("arguments", "uri", "code", "message"),
    [
        (("projects",), "", 2, "no experiment is named"),
        (("projects", "-e", "4711"), "", 2, "there is no experiment with the id 4711"),
        (("projects", "-e", "x"), "http://127.0.0.1:1", 1, "Nothing was imported."),
        (("projects/-home-ann-shop/memory", "-e", "x"), "", 2, "nothing that evalkit knows"),
    ],
)
def test_what_cannot_be_imported_is_said(
    evalkit: Any, projects: Path, arguments: Any, uri: str, code: int, message: str
) -> None:
    path, *flags = arguments
    done = evalkit("import", str(projects.parent / path), *flags, **({"uri": uri} if uri else {}))
    assert (done.code, message in done.err) == (code, True)


def test_a_link_that_leads_out_is_not_followed(
    imported: Any, projects: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other" / "three.jsonl", as_session([ask("x"), END], "session-3"))
    (projects / "three.jsonl").symlink_to(other)
    (projects / "more").symlink_to(other.parent)
    report = imported(projects)
    assert report["traces"] == 2
    assert "leads out of" in report["skipped"][str(projects / "more")]
    assert "leads out of" in report["skipped"][str(projects / "three.jsonl")]


def without_a_pass() -> None:
    """Let permissions bind root, too; others lack these powers as it is."""
    drop, dac_override, dac_read_search = 24, 1, 2
    for power in (dac_override, dac_read_search):
        ctypes.CDLL(None).prctl(drop, power, 0, 0, 0)


@pytest.mark.parametrize(("kind", "rights"), [("logs", 0o444), ("evals", 0o000)])
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, kind: str, rights: int) -> None:
    session = as_session([ask("hello"), END], "session-1")
    write(tmp_path / "logs/one.jsonl", session)
    write(tmp_path / "logs/closed/two.jsonl", as_session([ask("x"), END], "session-2"))
    write(tmp_path / "logs/job__x/result.json", {"trial_name": "job"})
    write(tmp_path / "logs/job__x/agent/claude-code.txt", session)
    evals = {"skill_name": "s", "evals": [{"id": 1, "prompt": "x"}]}
    write(tmp_path / "evals/evals.json", evals)
    write(tmp_path / "evals/closed/grading.json", {"expectations": []})
    closed = [tmp_path / kind / "closed", *(tmp_path / kind).glob("job__x/agent")]
    for folder in closed:
        folder.chmod(rights)
    told = ("import", kind, "-e", "shop", "--json", "--tracking-uri", "sqlite:///m.db")
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", *told],
        cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=without_a_pass,
    )  # fmt: skip
    for folder in closed:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    skipped = json.loads(done.stdout)["skipped"]
    assert skipped.keys() == {str(folder.relative_to(tmp_path)) for folder in closed}
    assert all(why.startswith("cannot be read: ") for why in skipped.values())


def rollout(session: str, *items: Event, **about: Any) -> list[Event]:
    meta = {"id": session, "cwd": "/home/bo/x", "git": {"branch": "dev"}, **about}
    lines: list[Event] = [{"type": "session_meta", "payload": meta}]
    lines += [{"type": "response_item", "payload": each} for each in items]
    return [{"timestamp": f"2026-02-23T11:40:{n:02}.000Z", **e} for n, e in enumerate(lines)]


def says(role: str, words: str) -> Event:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": words}]}


def test_codexs_sessions_hold_the_subagents_that_they_started(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    spawn = {"type": "function_call", "name": "spawn_agent", "call_id": "c", "arguments": "{}"}
    given = {"type": "function_call_output", "call_id": "c", "output": f'{{"agent_id": "{CHILD}"}}'}
    asked = (says("user", "go"), spawn, given, says("assistant", "It did."))
    write(tmp_path / "found/2026/rollout-a.jsonl", rollout(ROOT, *asked))
    inside = (says("user", "look"), says("assistant", "One."))
    child = rollout(CHILD, *inside, parent_thread_id=ROOT)
    write(tmp_path / "found/2026/rollout-b.jsonl", child)
    exec_log: list[Event] = [
        {"type": "thread.started", "thread_id": "t"},
        {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "Two."}},
        {"type": "turn.completed", "usage": {"input_tokens": 5, "output_tokens": 1}},
    ]
    write(tmp_path / "found/exec.log", exec_log)
    report = imported(tmp_path / "found")
    assert (report["files"], report["traces"], report["skipped"]) == (3, 2, {})
    assert report["format"] == "Codex's exec --json, Codex's session file"
    found = by_answer(database_uri)
    assert set(found) == {"It did.", "Two."}
    assert "subagent" in [span.name for span in found["It did."].data.spans]
    info = found["It did."].info
    known = [info.trace_metadata[f"mlflow.trace.{name}"] for name in ("session", "user")]
    assert [*known, info.tags["evalkit.git_branch"]] == [ROOT, "bo", "dev"]
    assert imported(tmp_path / "found")["written"] == 0


def trajectory(session: str, words: str, **extra: str) -> Any:
    steps = [{"source": "user", "message": "go"}, {"source": "agent", "message": words}]
    agent = {"name": "terminus-2", "version": "2", "extra": extra}
    return {"schema_version": "ATIF-v1.5", "session_id": session, "agent": agent, "steps": steps}


def test_a_trial_of_a_harbor_job_is_one_trace_with_its_rewards(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    raised = {"exception_info": {"exception_type": "Timeout", "exception_message": "late"}}
    rewarded = {"verifier_result": {"rewards": {"reward": 0.5}}}
    job = tmp_path / "jobs" / "j1"
    for name, about in (("a", {}), ("b", raised), ("c", raised)):
        result = {"id": f"id-{name}", "task_name": f"t/{name}", "trial_name": name}
        result |= {"finished_at": "2026-03-12T12:13:00Z", **rewarded, **about}
        write(job / f"{name}__x/result.json", result)
        if name != "c":
            write(job / f"{name}__x/agent/trajectory.json", trajectory("s", f"of {name}"))
            write(job / f"{name}__x/agent/trajectory.sum.json", trajectory("s2", "a summary"))
    write(job / "result.json", {"id": "j", "n_total_trials": 3, "stats": {}})
    report = imported(tmp_path / "jobs")
    assert (report["format"], report["traces"]) == ("Harbor trial", 3)
    assert report["skipped"] == {str(job / "result.json"): "no agent's log"}
    found = {json.loads(each.data.response or "null"): each for each in traces(database_uri)}
    assert all(
        [(a.name, a.value) for a in each.info.assessments] == [("reward", 0.5)]
        for each in found.values()
    )
    bare = found.pop(None)
    assert (json.loads(bare.data.request), bare.info.state) == ({"task": "c"}, "ERROR")
    assert (len(bare.data.spans), bare.info.tags["evalkit.stub"]) == (1, "there is no log of it")
    assert bare.data.spans[0].status.description == "Timeout: late"
    states = {words: each.info.state for words, each in found.items()}
    assert states == {"of a": "OK", "of b": "ERROR"}
    assert [imported(job / f"{name}__x")["written"] for name in "ac"] == [0, 0]


def test_an_atif_subagent_that_names_its_parent_is_a_part_of_it(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    write(tmp_path / "found/trajectory.json", trajectory("s", "Done."))
    write(tmp_path / "found/sum.json", trajectory("s.sum", "In short.", parent_session_id="s"))
    assert imported(tmp_path / "found")["files"] == 2
    ((words, trace),) = by_answer(database_uri).items()
    kinds = [span.span_type for span in trace.data.spans]
    assert (words, kinds.count("AGENT")) == ("Done.", 2)


def test_a_text_that_is_named_itself_is_an_answer(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    said = tmp_path / "agent.log"
    said.write_text("starting\nAll is well.\n")
    for written in (1, 0):
        report = imported(said)
        assert (report["format"], report["traces"], report["written"]) == ("text log", 1, written)
    trace = by_answer(database_uri)["starting\nAll is well."]
    assert trace.info.state == "STATE_UNSPECIFIED"
