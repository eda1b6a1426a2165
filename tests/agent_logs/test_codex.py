"""Logs of Codex: what ``codex exec --json`` prints, and the session files that Codex keeps."""

from __future__ import annotations

import itertools
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


# -- what codex exec prints ----------------------------------------------------------------------


def item(when: str, item_id: str, kind: str, **more: Any) -> Event:
    return {"type": f"item.{when}", "item": {"id": item_id, "type": kind, **more}}


def command(item_id: str, code: int | None = 0, out: str = "a\n") -> tuple[Event, Event]:
    about = {"command": "bash -lc ls", "aggregated_output": ""}
    ended = {
        "aggregated_output": out,
        "exit_code": code,
        "status": "failed" if code else "completed",
    }
    started = item("started", item_id, "command_execution", **about, status="in_progress")
    return started, item("completed", item_id, "command_execution", **about | ended)


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
    known = tokens(trace)
    assert (known["input_tokens"], known["cache_read_input_tokens"]) == (1048, 4992)
    assert known["output_tokens"] == 129
    assert trace.receipt.verdict == "reconciled, unlogged tokens from the result"
    assert dict(trace.receipt.skipped) == {"turn.started": 1}


def test_each_kind_of_item_is_the_tool_it_stands_for() -> None:
    plan = [{"text": "look", "completed": False}]
    found = {"content": [{"type": "text", "text": "3 matches"}]}
    mcp = {"server": "github", "tool": "search", "arguments": {"q": "x"}}
    trace = read(
        *STARTED,
        item("started", "i0", "todo_list", items=plan),
        item("completed", "i1", "file_change", changes=[{"path": "a"}], status="completed"),
        item("completed", "i2", "file_change", changes=[], status="failed", error="denied"),
        item("started", "i3", "mcp_tool_call", **mcp, status="in_progress"),
        item("completed", "i3", "mcp_tool_call", **mcp, result=found, status="completed"),
        item("completed", "i4", "mcp_tool_call", **mcp, error={"message": "late"}, status="failed"),
        item("completed", "i5", "web_search", query="codex"),
        item("updated", "i0", "todo_list", items=plan * 2),
        item("completed", "i6", "error", message="cut short"),
        item("completed", "i7", "future_item", text="?"),
        item("completed", "i0", "todo_list", items=plan * 2),
        says("i8", "Done.", phase="final_answer"),
        says("i9", "By the way.", phase="commentary"),
        done(1, 0, 2),
    )
    assert tools(trace) == [
        ("file_change", "OK", None), ("file_change", "ERROR", "denied"),
        ("github.search", "OK", "3 matches"), ("github.search", "ERROR", "late"),
        ("web_search", "OK", None),
    ]  # fmt: skip
    assert trace.response == "Done."
    assert trace.spans[0].attributes["evalkit.remarks"] == [
        {"subtype": "notification", "text": "cut short"}
    ]
    assert set(trace.receipt.skipped) == {
        "turn.started", "item.completed: future_item", "item.started: todo_list",
        "item.updated: todo_list", "item.completed: todo_list",
    }  # fmt: skip


def test_tokens_of_a_thread_are_stated_so_far_and_never_added_up() -> None:
    second = [*STARTED, says("item_0", "B"), done(900, 600, 30)]
    trace = read(*STARTED, says("item_0", "A"), done(400, 100, 20), *second)
    assert [s.name for s in spans(trace, "AGENT")] == ["case", "session 1", "session 2"]
    known = tokens(trace)
    assert known["input_tokens"] + known["cache_read_input_tokens"] == 900
    assert known["output_tokens"] == 30
    assert trace.response == "B"
    other = [{"type": "thread.started", "thread_id": "another"}, *second[1:]]
    apart = tokens(read(*STARTED, says("item_0", "A"), done(400, 100, 20), *other))
    assert apart["output_tokens"] == 50


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


def test_what_never_completed_and_what_an_older_codex_wrote_is_read() -> None:
    old = {"type": "item.completed", "item": {"id": "i2", "item_type": "assistant_message"}}
    old["item"]["text"] = "So it is."
    trace = read(*STARTED, command("i1")[0], old, done(1, 0, 1))
    assert tools(trace) == [("command_execution", "UNSET", None)]
    assert trace.response == "So it is."
    nothing = read(*STARTED, {"type": "turn.completed", "usage": {"input_tokens": 5}})
    assert (nothing.response, nothing.status) == (None, "OK")


# -- Codex's session files -----------------------------------------------------------------------

_CLOCK = itertools.count()


def line(kind: str, **payload: Any) -> Event:
    second = next(_CLOCK) % 3600
    stamp = f"2026-02-23T11:{second // 60:02}:{second % 60:02}.000Z"
    return {"timestamp": stamp, "type": kind, "payload": payload}


def message(role: str, words: str, **more: Any) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": words}]
    return line("response_item", type="message", role=role, content=content, **more)


def call(call_id: str, name: str = "exec_command", **given: Any) -> Event:
    arguments = json.dumps(given)
    about = {"name": name, "arguments": arguments, "call_id": call_id}
    return line("response_item", type="function_call", **about)


def output(call_id: str, what: Any) -> Event:
    return line("response_item", type="function_call_output", call_id=call_id, output=what)


def counted(read: int, out: int, total: tuple[int, int], cached: int = 0) -> Event:
    def used(read: int, out: int, cached: int) -> Event:
        return {"input_tokens": read, "cached_input_tokens": cached, "output_tokens": out}

    info = {"last_token_usage": used(read, out, cached), "total_token_usage": used(*total, cached)}
    return line("event_msg", type="token_count", info=info)


def mirror(kind: str, **more: Any) -> Event:
    return line("event_msg", type=kind, **more)


@pytest.fixture(autouse=True)
def _from_the_start() -> None:
    global _CLOCK  # noqa: PLW0603 - each log has a clock of its own
    _CLOCK = itertools.count()


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
    trace = read(
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


@pytest.mark.parametrize("order", ["before its items", "after its items", "after its outputs"])
def test_tokens_belong_to_their_call_wherever_a_version_writes_them(order: str) -> None:
    def turn(number: int, used: Event) -> list[Event]:
        said, got = call(f"c{number}", cmd="ls"), output(f"c{number}", "ok")
        parts = {"before": [used, said, got], "after its i": [said, used, got]}
        return next((p for o, p in parts.items() if order.startswith(o)), [said, got, used])

    trace = read(
        meta(), *asks("Go."), *turn(1, counted(100, 10, (100, 10))),
        *turn(2, counted(200, 20, (300, 30))), message("assistant", "Gone."),
    )  # fmt: skip
    out = [s.attributes.get(TOKENS, {}).get("output_tokens") for s in spans(trace, "LLM")]
    assert out == [10, 20, None]
    assert trace.status == "OK"


def test_tokens_that_fall_begin_anew() -> None:
    trace = read(
        meta(), *asks("Go."), message("assistant", "A"), counted(100, 10, (100, 10)),
        message("assistant", "B"), counted(300, 30, (400, 40)), message("user", "More."),
        message("assistant", "C"), counted(50, 5, (50, 5)),
    )  # fmt: skip
    assert (tokens(trace)["input_tokens"], tokens(trace)["output_tokens"]) == (450, 45)
    assert trace.receipt.verdict == "reconciled"


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
)  # fmt: skip
def test_an_exit_code_is_found_in_whatever_form_an_output_has(
    given: Any, status: str, shown: str
) -> None:
    assert tools(read(meta(), *asks("Go."), call("c1"), output("c1", given))) == [
        ("exec_command", status, shown)
    ]


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ([message("assistant", "Done.")], "OK"),
        ([call("c1")], "UNSET"),
        ([mirror("task_started"), message("assistant", "Not yet")], "UNSET"),
        ([message("assistant", "x"), mirror("turn_aborted", reason="interrupted")], "UNSET"),
        ([message("assistant", "x"), mirror("error", message="usage limit")], "ERROR"),
        ([message("assistant", "x"), mirror("task_complete"), message("user", "and?")], "UNSET"),
    ],
)
def test_a_session_ends_as_far_as_its_file_says(ends: list[Event], status: str) -> None:
    trace = read(meta(), *asks("Go."), *ends)
    assert trace.status == status
    assert "cut off" not in " ".join(trace.receipt.notes)


def test_what_a_fork_copied_from_its_parent_is_no_part_of_it() -> None:
    own, old = "019a2d7b-0000-7000-8000-000000000001", "019a2d7a-0000-7000-8000-000000000001"
    copied = [
        meta(THREAD), *asks("The parent's."), line("turn_context", turn_id=old, model="x"),
        message("assistant", "Said before."), counted(900, 90, (900, 90)),
    ]  # fmt: skip
    for each in copied:
        each["timestamp"] = "2026-02-23T11:00:00.500Z"
    first = meta(own, forked_from_id=THREAD)
    first["timestamp"] = "2026-02-23T11:00:00.000Z"
    trace = read(first, *copied, mirror("task_started", turn_id=own), *asks("My own."),
                 message("assistant", "New."), counted(100, 10, (1000, 100)))  # fmt: skip
    assert (trace.request, trace.response) == ("My own.", "New.")
    assert tokens(trace)["output_tokens"] == 10
    copies = "copied from the session that this one was forked from"
    assert trace.receipt.skipped[copies] == len(copied)


@pytest.mark.parametrize("link", ["an event", "the output"])
def test_a_subagents_file_is_the_subagent_that_a_call_started(link: str) -> None:
    child = "019a2d7b-0000-7000-8000-00000000000c"
    about = {"type": "SubAgentActivity", "id": "c1", "agent_thread_id": child}
    told = (
        [mirror("item_completed", item={**about, "kind": "started"})] if link == "an event" else []
    )
    ended = [mirror("item_completed", item={**about, "id": "x", "kind": "completed"})]
    parent = [
        meta(), *asks("Delegate."), call("c1", "spawn_agent", message="Look."), *told,
        output("c1", json.dumps({"task_name": "look"} if told else {"agent_id": child})),
        counted(100, 10, (100, 10)), call("c2", "wait_agent"), *(ended if told else []),
        output("c2", "{}"), message("assistant", "It found one."), counted(200, 5, (300, 15)),
    ]  # fmt: skip
    beside = [
        meta(child, parent_thread_id=THREAD), *asks("Look."), call("c1"), output("c1", "one"),
        counted(50, 7, (50, 7)), message("assistant", "One."), counted(60, 3, (110, 10)),
    ]  # fmt: skip
    lines = [json.dumps(each).encode() for each in beside]
    trace = read(*parent, sidecars={"rollout-child.jsonl": lines})
    assert [o for o in outline(trace, ended=True) if "TOOL" in o or "AGENT" in o] == [
        "AGENT case OK", "    TOOL spawn_agent OK",
        f"      AGENT subagent {'OK' if told else 'UNSET'}",
        "          TOOL exec_command OK", "    TOOL wait_agent OK",
    ]  # fmt: skip
    assert (tokens(trace)["input_tokens"], tokens(trace)["output_tokens"]) == (410, 25)
    assert "no call in the log" not in " ".join(trace.receipt.notes)
