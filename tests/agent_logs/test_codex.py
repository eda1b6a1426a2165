"""Logs of Codex: what ``codex exec --json`` prints, and the session files that Codex keeps."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from agentlogs import TOKENS, Event, assert_sound, assert_told, build, outline, spans, tokens, tools

from evalkit.entities import Trace

THREAD = "019a2d7a-41c4-78b1-b7cc-a45d62a89cd5"  # of 2025-10-29, 00:59:38.308
BEGAN_NS = 0x019A2D7A41C4 * 10**6


def read(*events: Event, **more: Any) -> Trace:
    trace = build(events, **more)
    assert_sound(trace)
    assert_told(trace)
    return trace


def read_and_written(trace: Trace) -> tuple[int, int]:
    known = tokens(trace)
    return known["input_tokens"] + known.get("cache_read_input_tokens", 0), known["output_tokens"]


# -- what codex exec prints ----------------------------------------------------------------------


def item(when: str, item_id: str, kind: str, **more: Any) -> Event:
    return {"type": f"item.{when}", "item": {"id": item_id, "type": kind, **more}}


def command(item_id: str, code: int = 0) -> tuple[Event, Event]:
    begun = {"command": "bash -lc ls", "aggregated_output": "", "status": "in_progress"}
    done = {"exit_code": code, "status": "failed" if code else "completed"}
    started = item("started", item_id, "command_execution", **begun)
    ended = {**begun, **done, "aggregated_output": "a\n"}
    return started, item("completed", item_id, "command_execution", **ended)


def done(read: int, cached: int, out: int) -> Event:
    used = {"input_tokens": read, "cached_input_tokens": cached, "output_tokens": out}
    return {"type": "turn.completed", "usage": used}


def says(item_id: str, words: str, **more: Any) -> Event:
    return item("completed", item_id, "agent_message", text=words, **more)


STARTED: list[Event] = [{"type": "thread.started", "thread_id": THREAD}, {"type": "turn.started"}]
THINKS = item("completed", "item_0", "reasoning", text="**Looking around**")


def test_a_turn_of_codex_exec_is_a_tree_of_what_it_said_and_did() -> None:
    (a, a_done), (b, b_done), (c, c_done) = command("i1"), command("i2", 3), command("i3")
    trace = read(*STARTED, THINKS, a, b, a_done, b_done, c, c_done, says("i4", "Two files."),
                 done(6040, 4992, 129), request="List the files.")  # fmt: skip
    assert outline(trace, ended=True) == [
        "AGENT case OK", "  CHAIN turn 1 OK", "    LLM model call OK",
        "    TOOL command_execution OK", "    TOOL command_execution ERROR",
        "  CHAIN turn 2 OK", "    LLM model call OK", "    TOOL command_execution OK",
        "  CHAIN turn 3 OK", "    LLM model call OK",
    ]  # fmt: skip
    assert (trace.request, trace.response) == ("List the files.", "Two files.")
    assert trace.start_ns == BEGAN_NS
    assert trace.spans[0].attributes["evalkit.session_id"] == THREAD
    assert (tokens(trace)["input_tokens"], read_and_written(trace)) == (1048, (6040, 129))
    assert trace.receipt.verdict == "reconciled, unlogged tokens from the result"
    assert dict(trace.receipt.skipped) == {"turn.started": 1}


def test_each_kind_of_item_is_the_tool_it_stands_for() -> None:
    found = {"content": [{"type": "text", "text": "3 matches"}]}
    mcp = {"server": "github", "tool": "search", "arguments": {"q": "x"}}
    old = {"type": "item.completed", "item": {"id": "o", "item_type": "assistant_message"}}
    old["item"]["text"] = "So it is."
    trace = read(
        *STARTED,
        item("started", "i0", "todo_list", items=[]),
        item("completed", "i1", "file_change", changes=[{"path": "a"}], status="completed"),
        item("completed", "i2", "file_change", changes=[], status="failed", error="denied"),
        item("started", "i3", "mcp_tool_call", **mcp, status="in_progress"),
        item("completed", "i3", "mcp_tool_call", **mcp, result=found, status="completed"),
        item("completed", "i4", "mcp_tool_call", **mcp, error={"message": "late"}, status="failed"),
        item("completed", "i5", "web_search", query="codex"),
        item("completed", "i6", "error", message="cut short"),
        item("completed", "i7", "future_item", text="?"),
        old,
        says("i8", "Done.", phase="final_answer"),
        says("i9", "By the way.", phase="commentary"),
        command("i10")[0],
        done(1, 0, 2),
    )
    assert tools(trace) == [
        ("file_change", "OK", None), ("file_change", "ERROR", "denied"),
        ("github.search", "OK", "3 matches"), ("github.search", "ERROR", "late"),
        ("web_search", "OK", None), ("command_execution", "UNSET", None),
    ]  # fmt: skip
    assert trace.response == "Done."
    remark = {"subtype": "notification", "text": "cut short"}
    assert trace.spans[0].attributes["evalkit.remarks"] == [remark]
    passed_over = {"turn.started", "item.completed: future_item", "item.started: todo_list"}
    assert set(trace.receipt.skipped) == passed_over
    assert read(*STARTED, old, done(1, 0, 1)).response == "So it is."


def test_tokens_of_a_thread_are_stated_so_far_and_never_added_up() -> None:
    first, second = (
        [says("item_0", w), d] for w, d in (("A", done(400, 100, 20)), ("B", done(900, 600, 30)))
    )
    trace = read(*STARTED, *first, *STARTED, *second)
    assert [s.name for s in spans(trace, "AGENT")] == ["case", "session 1", "session 2"]
    assert (read_and_written(trace), trace.response) == ((900, 30), "B")
    other = {"type": "thread.started", "thread_id": "another"}
    assert read_and_written(read(*STARTED, *first, other, *second)) == (1300, 50)


@pytest.mark.parametrize(
    ("ends", "status", "message"),
    [
        ([{"type": "turn.failed", "error": {"message": "no credit"}}], "ERROR", "no credit"),
        ([{"type": "error", "message": "401"}], "ERROR", "401"),
        ([{"type": "error", "message": "Reconnecting"}, says("i", "x"), done(1, 0, 1)], "OK", ""),
        ([command("i1")[0]], "UNSET", "the log ends before the session does"),
        ([{"type": "turn.completed", "usage": None}], "OK", ""),
    ],
)
def test_a_turn_ends_as_its_log_says(ends: list[Event], status: str, message: str) -> None:
    trace = read(*STARTED, THINKS, *ends)
    assert trace.status == status
    assert message in trace.spans[0].message


# -- Codex's session files -----------------------------------------------------------------------


def session(*lines: Event) -> list[Event]:
    """The lines, a second after each other."""
    began = dt.datetime(2026, 2, 23, 11, tzinfo=dt.UTC)
    stamps = ((began + dt.timedelta(seconds=n)).isoformat() for n in range(len(lines)))
    return [{"timestamp": stamp, **each} for stamp, each in zip(stamps, lines, strict=True)]


def read_session(*lines: Event, **more: Any) -> Trace:
    return read(*session(*lines), **more)


def line(kind: str, **payload: Any) -> Event:
    return {"type": kind, "payload": payload}


def message(role: str, words: str) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": words}]
    return line("response_item", type="message", role=role, content=content)


def call(call_id: str, name: str = "exec_command", **given: Any) -> Event:
    about = {"name": name, "arguments": json.dumps(given), "call_id": call_id}
    return line("response_item", type="function_call", **about)


def output(call_id: str, what: Any) -> Event:
    return line("response_item", type="function_call_output", call_id=call_id, output=what)


def counted(read: int, out: int, total: tuple[int, int], cached: int = 0) -> Event:
    last, whole = (
        {"input_tokens": r, "cached_input_tokens": cached, "output_tokens": o}
        for r, o in ((read, out), total)
    )
    info = {"last_token_usage": last, "total_token_usage": whole}
    return line("event_msg", type="token_count", info=info)


def mirror(kind: str, **more: Any) -> Event:
    return line("event_msg", type=kind, **more)


def meta(session: str = THREAD, **more: Any) -> Event:
    return line("session_meta", id=session, cwd="/w", cli_version="0.104.0", **more)


def asks(words: str) -> list[Event]:
    context = "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"
    return [
        message("developer", "<permissions>"), message("user", context),
        message("user", "# AGENTS.md instructions for /w"), message("user", words),
        mirror("user_message", message=words), line("turn_context", model="gpt-5.3-codex"),
    ]  # fmt: skip


def test_a_session_file_is_read_once_though_it_says_everything_twice() -> None:
    trace = read_session(
        meta(), *asks("List."), mirror("token_count", info=None),
        mirror("agent_reasoning", text="**Look**"),
        line("response_item", type="reasoning", summary=[{"type": "summary_text", "text": "Look"}]),
        call("c1", cmd="ls"), call("c2", cmd="pwd"), counted(100, 10, (100, 10), 40),
        output("c1", "Exit code: 0\nOutput:\na"), output("c2", "Exit code: 2\nOutput:\n"),
        counted(100, 10, (100, 10), 40), meta(), line("turn_context", model="gpt-5.3-codex"),
        mirror("agent_message", message="One."), message("assistant", "One."),
        counted(150, 5, (250, 15), 100), mirror("task_complete", last_agent_message="One."),
    )  # fmt: skip
    assert outline(trace, ended=True) == [
        "AGENT case OK", "  CHAIN turn 1 OK", "    LLM gpt-5.3-codex OK",
        "    TOOL exec_command OK", "    TOOL exec_command ERROR",
        "  CHAIN turn 2 OK", "    LLM gpt-5.3-codex OK",
    ]  # fmt: skip
    assert (trace.request, trace.response) == ("List.", "One.")
    assert spans(trace, "TOOL")[0].inputs == {"cmd": "ls"}
    assert [s.attributes[TOKENS]["input_tokens"] for s in spans(trace, "LLM")] == [60, 50]
    assert tokens(trace)["output_tokens"] == 15
    about = trace.spans[0].attributes["evalkit.agent"]
    assert (about["agent"], about["model"]) == ("Codex 0.104.0", "gpt-5.3-codex")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_tokens_belong_to_their_call_wherever_a_version_writes_them(place: int) -> None:
    first, second = ([call(f"c{n}", cmd="ls"), output(f"c{n}", "ok")] for n in (1, 2))
    first.insert(place, counted(100, 10, (100, 10)))
    second.insert(place, counted(200, 20, (300, 30)))
    trace = read_session(meta(), *asks("Go."), *first, *second, message("assistant", "Gone."))
    out = [s.attributes.get(TOKENS, {}).get("output_tokens") for s in spans(trace, "LLM")]
    assert (out, trace.status) == ([10, 20, None], "OK")


def test_tokens_that_fall_begin_anew() -> None:
    trace = read_session(
        meta(), *asks("Go."), message("assistant", "A"), counted(100, 10, (100, 10)),
        message("assistant", "B"), counted(300, 30, (400, 40)), message("user", "More."),
        message("assistant", "C"), counted(50, 5, (50, 5)),
    )  # fmt: skip
    assert (read_and_written(trace), trace.receipt.verdict) == ((450, 45), "reconciled")


@pytest.mark.parametrize(
    ("given", "status", "shown"),
    [
        ("Process exited with code 1\nno", "ERROR", "Process exited with code 1\nno"),
        ('{"output":"no","metadata":{"exit_code":1,"duration_seconds":0.1}}', "ERROR", "no"),
        ('{"output":"yes","metadata":{"exit_code":0}}', "OK", "yes"),
        ({"content": "no", "success": False}, "ERROR", "no"),
        ([{"type": "input_text", "text": "Exit code: 0"}], "OK", "Exit code: 0"),
        ("Exit code: none of yours", "OK", "Exit code: none of yours"),
    ],
)
def test_an_exit_code_is_found_in_whatever_form_an_output_has(
    given: Any, status: str, shown: str
) -> None:
    trace = read_session(meta(), *asks("Go."), call("c1"), output("c1", given))
    assert tools(trace) == [("exec_command", status, shown)]


SAID = message("assistant", "x")


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ([SAID], "OK"),
        ([call("c1")], "UNSET"),
        ([mirror("task_started"), SAID], "UNSET"),
        ([SAID, mirror("turn_aborted", reason="interrupted")], "UNSET"),
        ([SAID, mirror("error", message="usage limit")], "ERROR"),
        ([SAID, mirror("task_complete"), message("user", "and?")], "UNSET"),
    ],
)
def test_a_session_ends_as_far_as_its_file_says(ends: list[Event], status: str) -> None:
    trace = read_session(meta(), *asks("Go."), *ends)
    assert trace.status == status
    assert "cut off" not in " ".join(trace.receipt.notes)


def test_what_a_fork_copied_from_its_parent_is_no_part_of_it() -> None:
    own, old = "019a2d7b-0000-7000-8000-000000000001", "019a2d7a-0000-7000-8000-000000000001"
    copied = [
        meta(THREAD), *asks("The parent's."), line("turn_context", turn_id=old, model="x"),
        message("assistant", "Said before."), counted(900, 90, (900, 90)),
    ]  # fmt: skip
    copied = [{**each, "timestamp": "2026-02-23T11:00:00.500Z"} for each in copied]
    trace = read_session(meta(own, forked_from_id=THREAD), *copied,
                         mirror("task_started", turn_id=own), *asks("My own."),
                         message("assistant", "New."), counted(100, 10, (1000, 100)))  # fmt: skip
    assert (trace.request, trace.response) == ("My own.", "New.")
    assert tokens(trace)["output_tokens"] == 10
    copies = "copied from the session that this one was forked from"
    assert trace.receipt.skipped[copies] == len(copied)


@pytest.mark.parametrize("link", ["an event", "the output"])
def test_a_subagents_file_is_the_subagent_that_a_call_started(link: str) -> None:
    child = "019a2d7b-0000-7000-8000-00000000000c"
    about = {"type": "SubAgentActivity", "id": "c1", "agent_thread_id": child}
    told = [mirror("item_completed", item={**about, "kind": "started"})]
    ended = [mirror("item_completed", item={**about, "id": "x", "kind": "completed"})]
    given, status = {"task_name": "look"}, "OK"
    if link == "the output":
        told, ended, given, status = [], [], {"agent_id": child}, "UNSET"
    parent = [
        meta(), *asks("Delegate."), call("c1", "spawn_agent", message="Look."), *told,
        output("c1", json.dumps(given)), counted(100, 10, (100, 10)), call("c2", "wait_agent"),
        *ended, output("c2", "{}"), message("assistant", "It found one."),
        counted(200, 5, (300, 15)),
    ]  # fmt: skip
    beside = session(
        meta(child, parent_thread_id=THREAD), *asks("Look."), call("c1"), output("c1", "one"),
        counted(50, 7, (50, 7)), message("assistant", "One."), counted(60, 3, (110, 10)),
    )  # fmt: skip
    lines = [json.dumps(each).encode() for each in beside]
    trace = read_session(*parent, sidecars={"rollout-child.jsonl": lines})
    assert [o for o in outline(trace, ended=True) if "TOOL" in o or "AGENT" in o] == [
        "AGENT case OK", "    TOOL spawn_agent OK", f"      AGENT subagent {status}",
        "          TOOL exec_command OK", "    TOOL wait_agent OK",
    ]  # fmt: skip
    assert read_and_written(trace) == (410, 25)
    assert "no call in the log" not in " ".join(trace.receipt.notes)
