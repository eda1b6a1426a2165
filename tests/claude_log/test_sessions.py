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

from evalkit.errors import LogRefused

ASKED = [ask("fix the till"), say("m1", use("t1", "Bash", command="ls")), answer("t1", "till.py")]
WORK = [*ASKED, say("m2", text("Fixed."), stop="end_turn")]
TREE = ["AGENT case", "  CHAIN turn 1", f"    LLM {WORK[1]['message']['model']}", "    TOOL Bash"]


def aside(kind: str, **more: Any) -> Event:
    return {"type": kind, "sessionId": "s1", "timestamp": "2026-03-04T05:06:08Z", **more}


def test_a_session_is_read_like_the_log_of_a_command() -> None:
    trace = build(as_session(WORK))
    assert facts(trace)["tree"][:4] == TREE
    assert_told(
        trace, asked="fix the till", answer="Fixed.", ended=("OK", ""), said=["", "Fixed."],
        tools=[("ls", "till.py", "OK")], skipped={}, unreadable=[],
    )  # fmt: skip
    root = facts(trace)["root"]
    about = {"claude_code_version": "2.1.0", "cwd": "/home/ann/shop", "git_branch": "main"}
    assert (root["log_format"], root["agent"]) == ("Claude Code session", about)
    assert root["session_id"] == "s1"
    assert trace.end_ns - trace.start_ns == 3 * 10**9
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
    log += [e for e in after if "message" not in e]
    trace = build(log)
    assert_told(trace, ended=ended, answer="Fixed.")
    assert "cut off" not in " ".join(trace.receipt.notes)


def test_a_message_that_no_model_wrote_is_not_the_answer() -> None:
    limit = say("x", text("You've hit your limit"), model="<synthetic>")
    log = as_session([*WORK, ask("and now?"), {**limit, "isApiErrorMessage": True}])
    assert_told(
        build(log), answer="Fixed.", ended=("ERROR", "API error: You've hit your limit"),
        calls=[(10, None), (10, 20)],
    )  # fmt: skip


def test_tokens_count_once_a_message_and_placeholders_are_not_known() -> None:
    parts = [say("m1", b, used=usage(10, n)) for n, b in ((1, text("a")), (3, use("t1", "Bash")))]
    log = as_session([ask("go"), *parts, answer("t1", "y"), say("m2", text("b"), stop="end_turn")])
    trace = build(log)
    assert_told(trace, calls=[(10, None), (10, 20)], figures=(20, None, None, "incomplete"))
    assert any("of 1 of 2, output tokens are mere placeholders" in n for n in trace.receipt.notes)


def test_lines_for_the_screen_are_skipped_by_their_names() -> None:
    log = [
        aside("file-history-snapshot"),
        aside("queue-operation", operation="enqueue"),
        *as_session(WORK),
        aside("progress", data={"type": "hook_progress"}),
        aside("attachment", attachment={"type": "hook_success"}),
        aside("system", subtype="local_command"),
        aside("system", content="Running"),
        aside("ai-title", aiTitle="x"),
        {"sessionId": "s1"},
    ]
    names = ("file-history-snapshot", "queue-operation", "progress/hook_progress", "ai-title")
    more = ("attachment/hook_success", "system/local_command", "system")
    skipped = dict.fromkeys((*names, *more, "an object without a type"), 1)
    assert_told(build(log), skipped=skipped, ended=("OK", ""))


def test_what_a_person_says_meanwhile_is_part_of_the_conversation() -> None:
    said = aside("attachment", uuid="q", attachment={"type": "queued_command", "prompt": "faster"})
    log = as_session(WORK)
    second = spans(build([*log[:3], said, *log[3:]]), "LLM")[1]
    assert "faster" in json.dumps(second.inputs)


def test_compaction_is_kept_and_its_summary_is_no_persons_words() -> None:
    boundary = aside("system", subtype="compact_boundary", compactMetadata={"preTokens": 9})
    summary = {**ask("This session is being continued"), "isCompactSummary": True}
    log = [boundary, *as_session([summary, *WORK])]
    trace = build(log)
    assert_told(trace, asked="fix the till")
    assert facts(trace)["root"]["remarks"][0]["compactMetadata"] == {"preTokens": 9}


@pytest.mark.parametrize(
    "words",
    ["<command-name>/clear</command-name>", "<local-command-stdout></local-command-stdout>"],
)
def test_commands_of_the_terminal_are_not_taken_for_the_request(words: str) -> None:
    assert_told(build(as_session([ask(words), *WORK])), asked="fix the till")


def test_who_goes_back_to_an_earlier_message_is_answered_by_the_last_branch() -> None:
    log = as_session([*WORK, ask("paint it"), say("m3", text("Red."), stop="end_turn")])
    again = as_session([ask("paint it blue"), say("m4", text("Blue."), stop="end_turn")])
    again[0] |= {"uuid": "v0", "parentUuid": log[3]["uuid"]}
    again[1] |= {"uuid": "v1", "parentUuid": "v0"}
    trace = build([*log, *again])
    assert_told(trace, answer="Blue.", said=["", "Fixed.", "Red.", "Blue."])


CALL = [ask("go"), say("m1", use("t1", "Task", prompt="find it"), use("t2", "Bash", command="w"))]
DONE = [answer("t1", "There."), answer("t2", "x"), say("m2", text("Done."), stop="end_turn")]
INSIDE = [
    ask("find it", parent="t1"),
    say("n1", use("u1", "Grep"), parent="t1"),
    answer("u1", "line 4", parent="t1"),
    say("n2", text("There."), parent="t1", stop="end_turn"),
]


def test_a_subagents_messages_are_found_inline_by_its_prompt() -> None:
    inside = as_session(INSIDE)
    for entry, before in zip(inside, [None, *inside], strict=False):
        entry |= {"uuid": f"side {entry['uuid']}"}
        entry |= {"parentUuid": before and before["uuid"]}
    log = as_session([*CALL, *DONE])
    trace = build([*log[:2], *inside, *log[2:]])
    assert_told(trace, agents=[("find it", "There.", "OK")], ended=("OK", ""), answer="Done.")
    assert [s.name for s in spans(trace, "TOOL")] == ["Task", "Bash", "Grep"]
    assert_sound(trace)


def test_a_subagents_messages_are_found_in_the_file_beside_by_its_id() -> None:
    told = {"agentId": "a7", "status": "completed", "content": [text("There.")]}
    log = as_session([*CALL, {**DONE[0], "tool_use_result": told}, *DONE[1:]])
    beside = as_session([{**event, "agentId": "a7"} for event in INSIDE])
    trace = build(log, sidecars={"agent-a7.jsonl": as_lines(beside)})
    assert_told(trace, agents=[("find it", "There.", "OK")], skipped={}, answer="Done.")
    assert [s.name for s in spans(trace, "TOOL")] == ["Task", "Bash", "Grep"]


def test_a_refusal_by_the_person_is_told_from_a_failure() -> None:
    no = answer("t1", "no", failed=True, tool_use_result="User rejected tool use")
    tool = spans(build(as_session([*ASKED[:2], no])), "TOOL")[0]
    assert (tool.status, tool.attributes["evalkit.permission_denied"]) == ("ERROR", True)


def test_a_request_that_was_tried_again_is_kept() -> None:
    log = as_session(WORK)
    failed = aside("system", subtype="api_error", retryAttempt=1, error={"status": 529})
    retries = facts(build([*log[:1], failed, *log[1:]]))["root"]["retries"]
    assert retries == 1


def test_a_transcript_without_a_message_is_refused_for_what_it_is() -> None:
    with pytest.raises(LogRefused, match="Claude Code session without any message"):
        build([aside("file-history-snapshot"), aside("summary", leafUuid="x")])


@pytest.mark.parametrize("seed", range(4))
def test_any_story_told_either_way_has_the_same_tree(seed: int) -> None:
    events = [e for e in Story(seed).tell(3) if not e.get("parent_tool_use_id")]
    events = [e for e in events if e["type"] in {"user", "assistant"}]
    told, kept = build(events), build(as_session(events))
    assert facts(told)["tree"] == facts(kept)["tree"]
    assert facts(told)["tools"] == facts(kept)["tools"]
