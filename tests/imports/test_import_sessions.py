"""Sessions that belong to no evaluation become traces, each once, and the agent works on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from agentlogs import Event, Story, answer, as_lines, as_session, ask, init, say, text, use
from mlflow import MlflowClient
from mlflow.entities import Trace

END = say("m9", text("All done."), stop="end_turn")


def write(path: Path, events: list[Event]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(as_lines(events)))
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
    write(folder / "one" / "subagents" / "agent-a7.jsonl", inside)
    write(folder / "two.jsonl", as_session([ask("hello"), END], "session-2", cwd="/srv/x"))
    lost = [{**e, "sessionId": "gone"} for e in inside]
    write(folder / "agent-b1.jsonl", lost)
    write(folder / "bare.jsonl", [{"type": "summary", "leafUuid": "x"}])
    (folder / "memory").mkdir()
    (folder / "memory" / "notes.md").write_text("# notes\n")
    (folder / "empty.jsonl").touch()
    return tmp_path / "projects"


@pytest.fixture
def imported(evalkit: Any) -> Any:
    def run(*arguments: Any, code: int = 0) -> dict[str, Any]:
        done = evalkit("import", *map(str, arguments))
        assert done.code == code, done.err
        return done.report

    return run


def traces(uri: str, experiment: str = "shop") -> list[Trace]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    there = client.search_traces(locations=[found.experiment_id], include_spans=True)
    return sorted(there, key=lambda each: each.info.trace_metadata["mlflow.trace.session"])


def test_each_session_becomes_one_trace_with_its_subagents_its_person_and_its_place(
    imported: Any, projects: Path, database_uri: str
) -> None:
    report = imported(projects, "-e", "shop")
    assert (report["format"], report["files"], report["traces"]) == ("Claude Code session", 3, 2)
    skipped = {Path(path).name: why for path, why in report["skipped"].items()}
    assert skipped == {
        "agent-b1.jsonl": "a subagent's transcript; its session is not among the files",
        "bare.jsonl": "the log is a Claude Code session without any message",
        "empty.jsonl": "empty",
        "notes.md": "no agent's log",
    }
    receipt = report["receipt"]
    assert (receipt["logs"], receipt["lines"], receipt["used"]) == (2, 8, 8)
    one, two = traces(database_uri)
    assert [s.name for s in one.data.spans if s.span_type in {"AGENT", "TOOL"}] == [
        "Claude Code session", "Task", "subagent",
    ]  # fmt: skip
    assert one.info.trace_metadata["mlflow.trace.session"] == "session-1"
    assert one.info.trace_metadata["mlflow.trace.user"] == "ann"
    assert "mlflow.trace.user" not in two.info.trace_metadata
    assert one.info.tags["evalkit.cwd"] == "/home/ann/shop"
    assert one.info.tags["evalkit.git_branch"] == "main"
    assert (one.info.state, json.loads(one.data.response)) == ("OK", "All done.")


def test_a_second_import_writes_nothing(imported: Any, projects: Path, database_uri: str) -> None:
    first = imported(projects, "-e", "shop")
    before = [each.info.to_dict() for each in traces(database_uri)]
    again = imported(projects, "-e", "shop")
    assert (first["written"], again["written"], again["traces"]) == (2, 0, 2)
    assert [each.info.to_dict() for each in traces(database_uri)] == before


def test_a_session_that_went_on_takes_its_traces_place_with_what_people_left(
    imported: Any, projects: Path, database_uri: str
) -> None:
    imported(projects, "-e", "shop")
    client, old = MlflowClient(database_uri), traces(database_uri)[1]
    client.set_trace_tag(old.info.trace_id, "seen", "by ann")
    more = [ask("and?"), say("m3", text("Bye."), stop="end_turn")]
    path = next(projects.rglob("two.jsonl"))
    write(path, as_session([ask("hello"), END, *more], "session-2"))
    assert imported(projects, "-e", "shop")["written"] == 1
    _, new = traces(database_uri)
    assert (json.loads(new.data.response), new.info.tags["seen"]) == ("Bye.", "by ann")
    assert new.info.trace_id != old.info.trace_id


def test_the_same_session_in_two_files_is_one_trace_of_the_longer(
    imported: Any, tmp_path: Path
) -> None:
    events = as_session([ask("hello"), END], "s")
    short, long = write(tmp_path / "a.jsonl", events[:1]), write(tmp_path / "b.jsonl", events)
    report = imported(short, long, "-e", "shop")
    assert report["traces"] == 1
    assert report["skipped"] == {str(short): f"the same session as {long}"}


def test_logs_of_a_command_are_taken_too_and_secrets_stay_here(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    secret = "AKIA" + "2345" * 4
    events = [init("s7"), {**ask(f"use {secret}"), "session_id": "s7"}, *Story(1).tell(2)[2:]]
    write(tmp_path / "logs" / "stdout.log", [{**e, "session_id": "s7"} for e in events])
    report = imported(tmp_path / "logs", "-e", "shop")
    assert (report["traces"], report["receipt"]["masked"]) == (1, 1)
    assert secret not in str(traces(database_uri)[0].to_dict())


def test_two_processes_of_one_session_are_two_traces(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    for name in ("a", "b"):
        log = [init("s7"), {**ask(f"do {name}"), "session_id": "s7"}, {**END, "session_id": "s7"}]
        write(tmp_path / "logs" / f"{name}.log", log)
    assert imported(tmp_path / "logs", "-e", "shop")["traces"] == 2
    sessions = [each.info.trace_metadata["mlflow.trace.session"] for each in traces(database_uri)]
    assert sessions == ["s7", "s7"]


def test_the_same_session_may_stand_in_two_experiments(
    imported: Any, projects: Path, database_uri: str
) -> None:
    for name in ("shop", "other"):
        assert imported(projects, "-e", name)["written"] == 2
    ids = [{t.info.trace_id for t in traces(database_uri, name)} for name in ("shop", "other")]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no experiment is named"),
        (("-e", "4711"), "there is no experiment with the id 4711"),
    ],
)
def test_where_to_is_asked_for(evalkit: Any, projects: Path, arguments: Any, message: str) -> None:
    done = evalkit("import", str(projects), *arguments)
    assert done.code == 2
    assert message in done.err


def test_an_absent_mlflow_is_a_failure_with_a_sentence(evalkit: Any, projects: Path) -> None:
    done = evalkit("import", str(projects), "-e", "x", uri="http://127.0.0.1:1")
    assert done.code == 1
    assert "Nothing was imported." in done.err


def test_a_link_that_leads_out_is_not_followed(
    imported: Any, projects: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other" / "three.jsonl", as_session([ask("x"), END], "session-3"))
    (projects / "three.jsonl").symlink_to(other)
    (projects / "more").symlink_to(other.parent)
    report = imported(projects, "-e", "shop")
    assert report["traces"] == 2
    assert "leads out of" in report["skipped"][str(projects / "more")]
    assert "leads out of" in report["skipped"][str(projects / "three.jsonl")]


def test_a_folder_without_any_session_is_refused(evalkit: Any, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("# a\n")
    done = evalkit("import", str(tmp_path / "notes"), "-e", "x")
    assert done.code == 2
    assert "is nothing that evalkit knows to import" in done.err


def test_a_session_that_was_resumed_as_a_copy_is_remarked(imported: Any, tmp_path: Path) -> None:
    said = say("msg_01GaHLuHQDBmNDZ3dJAjX9fA", text("Hi."), stop="end_turn")
    for session in ("first", "second"):
        write(tmp_path / "logs" / f"{session}.jsonl", as_session([ask("hi"), said], session))
    report = imported(tmp_path / "logs", "-e", "shop")
    assert report["traces"] == 2
    assert "1 sessions begin as another does" in report["notes"][0]


def rollout(session: str, words: str, **about: Any) -> list[Event]:
    meta = {"id": session, "cwd": "/home/bo/x", "git": {"branch": "dev"}, **about}
    said = {"type": "message", "role": "assistant"}
    lines = [
        ("session_meta", meta),
        ("turn_context", {"turn_id": "1", "model": "gpt-5"}),
        ("response_item", {**said, "content": [{"type": "output_text", "text": words}]}),
    ]
    return [{"timestamp": "2026-03-04T05:06:07Z", "type": t, "payload": p} for t, p in lines]


def test_sessions_of_codex_come_with_the_files_of_their_subagents(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    folder = tmp_path / "sessions" / "2026" / "03"
    write(folder / "rollout-a.jsonl", rollout("a", "Done."))
    write(folder / "rollout-b.jsonl", rollout("b", "Found.", parent_thread_id="a"))
    report = imported(tmp_path / "sessions", "-e", "shop")
    assert (report["files"], report["traces"], report["skipped"]) == (2, 1, {})
    info = traces(database_uri)[0].info
    assert info.trace_metadata["mlflow.trace.session"] == "a"
    assert info.trace_metadata["mlflow.trace.user"] == "bo"
    assert info.tags["evalkit.git_branch"] == "dev"


def test_a_text_that_is_named_itself_is_an_answer(
    imported: Any, tmp_path: Path, database_uri: str
) -> None:
    said = tmp_path / "agent.log"
    said.write_text("starting\nAll is well.\n")
    for written in (1, 0):
        report = imported(said, "-e", "shop")
        assert (report["format"], report["traces"], report["written"]) == ("text log", 1, written)
    trace = traces(database_uri)[0]
    assert (trace.info.state, json.loads(trace.data.response)) == (
        "STATE_UNSPECIFIED",
        "starting\nAll is well.",
    )
