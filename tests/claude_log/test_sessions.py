"""Claude Code's own transcripts of sessions: the same trace, as far as they tell of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    Event,
    Story,
    answer,
    as_lines,
    as_session,
    ask,
    assert_sound,
    assert_told,
    build,
    facts,
    say,
    spans,
    text,
    usage,
    use,
)

ASKED = [ask("fix the till"), say("m1", use("t1", "Bash", command="ls")), answer("t1", "till.py")]
WORK = [*ASKED, say("m2", text("Fixed."), stop="end_turn")]


def aside(kind: str, **more: Any) -> Event:
    return {"type": kind, "sessionId": "s1", "timestamp": "2026-03-04T05:06:08Z", **more}


def test_a_session_is_read_like_the_log_of_a_command() -> None:
    for seed in range(4):
        own = [e for e in Story(seed).tell(3) if not e.get("parent_tool_use_id")]
        events = [e for e in own if e["type"] in {"user", "assistant"}]
        told, kept = (facts(build(made(events))) for made in (list, as_session))
        assert (told["tree"], told["tools"]) == (kept["tree"], kept["tools"])
    trace = build(as_session(WORK))
    assert_told(
        trace, asked="fix the till", answer="Fixed.", ended=("OK", ""), said=["", "Fixed."],
        tools=[("ls", "till.py", "OK")], skipped={}, unreadable=[],
    )  # fmt: skip
    root = facts(trace)["root"]
    about = {"claude_code_version": "2.1.0", "cwd": "/home/ann/shop", "git_branch": "main"}
    assert (root["log_format"], root["agent"]) == ("Claude Code session", about)
    assert (root["session_id"], trace.end_ns - trace.start_ns) == ("s1", 3 * 10**9)
    assert_sound(trace)


@pytest.mark.parametrize(
    ("after", "ended"),
    [
        ([], ("UNSET", "the log does not say how the session ended")),
        ([aside("system", subtype="turn_duration", durationMs=9)], ("OK", "")),
        ([aside("system", subtype="stop_hook_summary")], ("OK", "")),
        ([ask("<command-name>/exit</command-name>")], ("OK", "")),
        ([ask("[Request interrupted by user]")], ("UNSET", "the person interrupted the session")),
    ],
)
def test_how_it_ended_is_told_as_far_as_it_is_there(after: list[Event], ended: Any) -> None:
    log = as_session([*ASKED, say("m2", text("Fixed.")), *[e for e in after if "message" in e]])
    trace = build([*log, *[e for e in after if "message" not in e]])
    assert_told(trace, ended=ended, answer="Fixed.")
    assert "cut off" not in " ".join(trace.receipt.notes)


def test_a_message_that_no_model_wrote_is_not_the_answer() -> None:
    limit = say("x", text("You've hit your limit"), model="<synthetic>")
    log = as_session([*WORK, ask("and now?"), {**limit, "isApiErrorMessage": True}])
    ended = ("ERROR", "API error: You've hit your limit")
    assert_told(build(log), answer="Fixed.", ended=ended, calls=[(10, None), (10, 20)])


def test_tokens_count_once_a_message_and_placeholders_are_not_known() -> None:
    parts = [say("m1", b, used=usage(10, n)) for n, b in ((1, text("a")), (3, use("t1", "Bash")))]
    log = as_session([ask("go"), *parts, answer("t1", "y"), say("m2", text("b"), stop="end_turn")])
    trace = build(log)
    assert_told(trace, calls=[(10, None), (10, 20)], figures=(20, None, None, "incomplete"))
    assert any("of 1 of 2, output tokens are mere placeholders" in n for n in trace.receipt.notes)


def test_lines_for_the_screen_are_skipped_by_their_names() -> None:
    shown = {
        "file-history-snapshot": aside("file-history-snapshot"),
        "queue-operation": aside("queue-operation", operation="enqueue"),
        "progress/hook_progress": aside("progress", data={"type": "hook_progress"}),
        "attachment/hook_success": aside("attachment", attachment={"type": "hook_success"}),
        "system/local_command": aside("system", subtype="local_command"),
        "system": aside("system", content="Running"),
        "an object without a type": {"sessionId": "s1"},
    }
    log = [*list(shown.values())[:2], *as_session(WORK), *list(shown.values())[2:]]
    assert_told(build(log), skipped=dict.fromkeys(shown, 1), ended=("OK", ""))


def test_what_a_person_and_the_program_say_meanwhile_has_its_place() -> None:
    said = aside("attachment", uuid="q", attachment={"type": "queued_command", "prompt": "faster"})
    log = as_session(WORK)
    failed = aside("system", subtype="api_error", retryAttempt=1, error={"status": 529})
    trace = build([*log[:1], failed, *log[1:3], said, *log[3:]])
    assert "faster" in json.dumps(spans(trace, "LLM")[1].inputs)
    assert facts(trace)["root"]["retries"] == 1
    no = answer("t1", "no", failed=True, tool_use_result="User rejected tool use")
    tool = spans(build(as_session([*ASKED[:2], no])), "TOOL")[0]
    assert (tool.status, tool.attributes["evalkit.permission_denied"]) == ("ERROR", True)


def test_only_a_persons_own_words_are_the_request() -> None:
    boundary = aside("system", subtype="compact_boundary", compactMetadata={"preTokens": 9})
    summary = {**ask("This session is being continued"), "isCompactSummary": True}
    words = "<command-name>/clear</command-name>", "<local-command-stdout></local-command-stdout>"
    for first in (summary, *map(ask, words)):
        trace = build([boundary, *as_session([first, *WORK])])
        assert_told(trace, asked="fix the till")
    assert facts(trace)["root"]["remarks"][0]["compactMetadata"] == {"preTokens": 9}


def test_who_goes_back_to_an_earlier_message_is_answered_by_the_last_branch() -> None:
    log = as_session([*WORK, ask("paint it"), say("m3", text("Red."), stop="end_turn")])
    again = as_session([ask("paint it blue"), say("m4", text("Blue."), stop="end_turn")])
    again[0] |= {"uuid": "v0", "parentUuid": log[3]["uuid"]}
    again[1] |= {"uuid": "v1", "parentUuid": "v0"}
    assert_told(build([*log, *again]), answer="Blue.", said=["", "Fixed.", "Red.", "Blue."])


CALL = [ask("go"), say("m1", use("t1", "Task", prompt="find it"), use("t2", "Bash", command="w"))]
DONE = [answer("t1", "There."), answer("t2", "x"), say("m2", text("Done."), stop="end_turn")]
INSIDE = [
    ask("find it", parent="t1"),
    say("n1", use("u1", "Grep"), parent="t1"),
    answer("u1", "line 4", parent="t1"),
    say("n2", text("There."), parent="t1", stop="end_turn"),
]


def test_a_subagents_messages_are_found_inline_by_its_prompt_and_beside_by_its_id() -> None:
    inside = as_session(INSIDE)
    for entry, before in zip(inside, [None, *inside], strict=False):
        entry |= {"uuid": f"side {entry['uuid']}", "parentUuid": before and before["uuid"]}
    log = as_session([*CALL, *DONE])
    told = {"agentId": "a7", "status": "completed", "content": [text("There.")]}
    beside = as_lines(as_session([{**event, "agentId": "a7"} for event in INSIDE]))
    named = as_session([*CALL, {**DONE[0], "tool_use_result": told}, *DONE[1:]])
    for trace in (
        build([*log[:2], *inside, *log[2:]]),
        build(named, sidecars={"agent-a7.jsonl": beside}),
    ):
        assert_told(trace, agents=[("find it", "There.", "OK")], skipped={}, answer="Done.")
        assert [s.name for s in spans(trace, "TOOL")] == ["Task", "Bash", "Grep"]
        assert_sound(trace)
