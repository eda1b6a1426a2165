"""From log to trace: the tree, the threads, what every kind of event becomes."""

from __future__ import annotations

import json

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    answer,
    as_lines,
    ask,
    build,
    build_lines,
    children,
    finish,
    init,
    outline,
    say,
    spans,
    system,
    text,
    thinking,
    usage,
    use,
)

from evalkit.errors import InputError, LogRefused

SMALL = [
    init(),
    ask("What is here?"),
    say("m1", thinking("Look first."), used=usage(3, 1)),
    say("m1", text("Let me look."), used=usage(3, 1)),
    say("m1", use("t1", "Bash", command="ls"), used=usage(3, 1)),
    answer("t1", "README.md"),
    say("m2", text("One file.")),
    finish("One file."),
]


def test_a_session_becomes_turns_with_the_models_message_and_its_tools() -> None:
    assert outline(build(SMALL)) == [
        "AGENT case",
        "  CHAIN turn 1",
        f"    LLM {SONNET}",
        "    TOOL Bash",
        "  CHAIN turn 2",
        f"    LLM {SONNET}",
    ]


def test_the_root_holds_the_prompt_and_the_answer() -> None:
    trace = build(SMALL)
    assert (trace.request, trace.response, trace.status) == ("What is here?", "One file.", "OK")
    assert (trace.spans[0].inputs, trace.spans[0].outputs) == ("What is here?", "One file.")


def test_the_lines_of_a_message_are_one_call_with_its_blocks_in_order() -> None:
    call = spans(build(SMALL), "LLM")[0]
    assert [block["type"] for block in call.outputs["content"]] == ["thinking", "text", "tool_use"]
    assert call.attributes["mlflow.message.format"] == "anthropic"
    assert call.attributes["mlflow.llm.model"] == SONNET


def test_a_call_reads_what_was_new_since_the_one_before() -> None:
    first, second = spans(build(SMALL), "LLM")
    assert first.inputs == {"messages": [{"role": "user", "content": "What is here?"}]}
    (message,) = second.inputs["messages"]
    assert message["content"][0]["content"] == "README.md"


def test_a_long_tool_result_is_whole_in_the_tool_and_short_in_the_call_that_reads_it() -> None:
    long = "x" * 3_000
    trace = build([*SMALL[:5], answer("t1", long), *SMALL[6:]])
    assert spans(trace, "TOOL")[0].outputs == long
    seen = spans(trace, "LLM")[1].inputs["messages"][0]["content"][0]["content"]
    assert len(seen) < 600
    assert seen.endswith("2,500 more in the tool's span]")


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("plain", "plain"),
        ([text("one"), text("two")], "one\ntwo"),
        ([], ""),
        ({"a": 1}, {"a": 1}),
        (5, 5),
    ],
)
def test_tool_results_of_every_form_are_kept(content: object, output: object) -> None:
    trace = build([*SMALL[:5], answer("t1", content), *SMALL[6:]])
    assert spans(trace, "TOOL")[0].outputs == output


def test_a_failing_tool_is_an_error_with_its_message() -> None:
    failed = answer("t1", "<tool_use_error>no such file</tool_use_error>", failed=True)
    tool = spans(build([*SMALL[:5], failed, *SMALL[6:]]), "TOOL")[0]
    assert (tool.status, tool.message) == ("ERROR", "no such file")


def test_images_are_replaced_by_their_size_and_counted() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 4_000}
    result = answer("t1", [text("a picture"), {"type": "image", "source": source}])
    trace = build([*SMALL[:5], result, *SMALL[6:]])
    assert spans(trace, "TOOL")[0].outputs == "a picture\n[image/png, 3,000 bytes left out]"
    assert trace.receipt.truncated["image/png"] == 4_000


def test_long_texts_are_shortened_and_named() -> None:
    trace = build([*SMALL[:5], answer("t1", "x" * 1_000), *SMALL[6:]], max_value_chars=100)
    output = spans(trace, "TOOL")[0].outputs
    assert "[900 characters left out]" in output
    assert output.count("x") == 100
    assert trace.receipt.truncated["Bash output"] == 900


def test_a_tool_result_that_is_itself_a_log_stays_text() -> None:
    inner = json.dumps(say("inner", text("not mine")))
    trace = build([*SMALL[:5], answer("t1", inner), *SMALL[6:]])
    assert spans(trace, "TOOL")[0].outputs == inner
    assert len(spans(trace, "LLM")) == 2


# -- subagents -----------------------------------------------------------------------------------

CALL = say("m1", use("t1", "Agent", description="count", prompt="Count.", subagent_type="Explore"))
INSIDE = [
    ask([text("Count.")], parent="t1"),
    say("s1", use("t2", "Bash", command="wc"), parent="t1", model=HAIKU),
    answer("t2", "4", parent="t1"),
    say("s2", text("Four."), parent="t1", model=HAIKU),
]


def test_a_foreground_subagent_hangs_under_the_call_that_started_it() -> None:
    trace = build([init(), CALL, *INSIDE, answer("t1", [text("Four.")]), finish()])
    assert outline(trace)[3:] == [
        "    TOOL Agent",
        "      AGENT Explore",
        "        CHAIN turn 1",
        f"          LLM {HAIKU}",
        "          TOOL Bash",
        "        CHAIN turn 2",
        f"          LLM {HAIKU}",
    ]
    agent = spans(trace, "AGENT")[1]
    assert (agent.inputs, agent.outputs, agent.status) == ("Count.", "Four.", "OK")


def test_subagents_of_subagents_nest() -> None:
    deeper = [
        say("s1", use("t2", "Task", prompt="Deeper."), parent="t1"),
        say("d1", text("Deep."), parent="t2"),
        answer("t2", "Deep.", parent="t1"),
    ]
    trace = build([init(), CALL, *deeper, answer("t1", "Done."), finish()])
    assert outline(trace)[-1] == f"                LLM {SONNET}"


def test_a_background_subagent_ends_when_it_is_said_to_end() -> None:
    log = [
        init(),
        CALL,
        system("task_started", task_id="a1", tool_use_id="t1", task_type="local_agent"),
        answer("t1", "Async agent launched successfully.", tool_use_result={"isAsync": True}),
        say("m2", text("Meanwhile.")),
        system("task_progress", task_id="a1", tool_use_id="t1", usage={"tool_uses": 1}),
        system(
            "task_notification",
            task_id="a1",
            tool_use_id="t1",
            status="completed",
            summary="Four.",
            usage={"total_tokens": 900, "tool_uses": 2, "duration_ms": 1500},
        ),
        say("m3", text("It says four.")),
        finish(),
    ]
    trace = build(log)
    agent = spans(trace, "AGENT")[1]
    assert (agent.outputs, agent.status) == ("Four.", "OK")
    assert agent.attributes["evalkit.subagent.background"] is True
    assert agent.attributes["evalkit.subagent.total_tokens"] == 900
    assert agent.attributes["evalkit.subagent.messages"] == "not in the log"
    meanwhile = spans(trace, "LLM")[1]
    assert agent.end_ns > meanwhile.end_ns
    assert "messages of 1 subagents are not in the log" in trace.receipt.notes


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("agent-a1.jsonl", {}),
        ("other.jsonl", {"agentId": "a1"}),
    ],
)
def test_a_transcript_beside_the_log_fills_the_subagent_it_belongs_to(
    name: str, first: dict[str, str]
) -> None:
    log = [
        init(),
        CALL,
        system("task_started", task_id="a1", tool_use_id="t1", task_type="local_agent"),
        answer("t1", "Async agent launched", tool_use_result={"isAsync": True, "agentId": "a1"}),
        finish(),
    ]
    aside = [{**event, "parent_tool_use_id": None, "isSidechain": True} for event in INSIDE]
    aside[0] = {**aside[0], **first}
    trace = build(log, sidecars={name: as_lines(aside)})
    assert f"          LLM {HAIKU}" in outline(trace)
    assert trace.receipt.lines == len(log) + len(aside)
    assert trace.receipt.used == trace.receipt.lines


def test_a_transcript_without_a_call_still_shows() -> None:
    trace = build(SMALL, sidecars={"agent-zz.jsonl": as_lines(INSIDE)})
    assert "  TOOL tool call not in the log" in outline(trace)
    assert "agent-zz.jsonl: no call in the log started this subagent" in trace.receipt.notes


def test_messages_that_are_in_log_and_transcript_count_once() -> None:
    log = [init(), CALL, *INSIDE, answer("t1", "4", tool_use_result={"agentId": "a1"}), finish()]
    trace = build(log, sidecars={"agent-a1.jsonl": as_lines(INSIDE)})
    assert len(spans(trace, "LLM")) == 3
    assert trace.receipt.skipped == {"transcript: its messages are in the log already": 4}


# -- how it ended --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "status", "message"),
    [
        ({}, "OK", ""),
        ({"is_error": True, "result": "API Error: 500"}, "ERROR", "API Error: 500"),
        ({"subtype": "error_max_turns", "result": None}, "ERROR", "error_max_turns"),
        (
            {"subtype": "error_during_execution", "errors": ["boom"], "result": ""},
            "ERROR",
            "error_during_execution: boom",
        ),
        ({"subtype": "error", "is_error": True, "result": "no"}, "ERROR", "error: no"),
    ],
)
def test_the_result_decides_the_status(ending: dict, status: str, message: str) -> None:
    root = build([*SMALL[:-1], {**SMALL[-1], **ending}]).spans[0]
    assert (root.status, root.message) == (status, message)


def test_a_log_that_ends_before_its_result_says_so() -> None:
    trace = build(SMALL[:5])
    assert trace.status == "UNSET"
    assert trace.receipt.verdict == "incomplete"
    assert "the log is cut off: it ends before the result event" in trace.receipt.notes
    tool = spans(trace, "TOOL")[0]
    assert (tool.status, tool.message) == ("UNSET", "the log has no result of this call")


def test_without_a_result_the_last_words_are_the_response() -> None:
    assert build(SMALL[:-1]).response == "One file."


def test_a_log_cut_off_inside_a_line_keeps_all_before_it() -> None:
    lines = as_lines(SMALL)
    trace = build_lines([*lines[:5], lines[5][:40]])
    ((number, why),) = trace.receipt.unreadable
    assert (number, why) == (6, "broken JSON: the log is cut off in this line")
    assert len(spans(trace, "TOOL")) == 1


def test_messages_that_no_model_wrote_are_no_model_calls() -> None:
    wrote = say("x", text("API Error"), model="<synthetic>", error="rate_limit")
    trace = build([init(), wrote, finish("API Error", is_error=True)])
    assert spans(trace, "LLM") == []
    notice = spans(trace, "CHAIN")[1]
    assert (notice.status, notice.message) == ("ERROR", "rate_limit: API Error")


# -- several sessions ----------------------------------------------------------------------------


def test_each_session_of_a_log_is_an_agent_under_the_root() -> None:
    log = [
        init("a"),
        {**ask("first?"), "session_id": "a"},
        {**say("m1", text("one")), "session_id": "a"},
        finish("one", session="a"),
        init("b"),
        {**say("m2", text("two")), "session_id": "b"},
        finish("two", session="b", is_error=True),
    ]
    trace = build(log)
    assert [span.name for span in children(trace, trace.spans[0])] == ["session 1", "session 2"]
    assert (trace.request, trace.response, trace.status) == ("first?", "two", "ERROR")
    assert trace.receipt.sessions == 2
    assert children(trace, trace.spans[0])[0].status == "OK"


def test_a_second_init_of_a_session_that_goes_on_is_no_second_session() -> None:
    log = [init(), say("m1", text("a")), init(), say("m2", text("b")), finish()]
    assert build(log).receipt.sessions == 1


def test_ids_broken_by_a_terminals_line_breaks_are_still_the_same() -> None:
    broken = {**say("m2", text("b")), "session_id": "s\n1"}
    assert build([init(), say("m1", text("a")), broken, finish()]).receipt.sessions == 1


# -- events of every kind ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (system("thinking_tokens", estimated_tokens=5), "system/thinking_tokens"),
        (system("status", status="compacting"), "system/status"),
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}},
         "rate_limit_event: allowed"),
        ({"type": "control_request", "request": {}}, "control_request"),
        ({"type": "hologram", "subtype": "flat"}, "hologram/flat"),
        ({"kind": "of nothing"}, "an object without a type"),
        ({"type": "stream_event", "event": {"type": "content_block_delta"}},
         "stream_event: of a message that did not begin in the log"),
        (system("task_started", task_id="zz"), "system/task_started without its tool call"),
        ({"type": "user"}, "user event without a message"),
        ({"type": "assistant"}, "assistant event without a message"),
    ],
)  # fmt: skip
def test_events_that_carry_nothing_are_skipped_by_name(event: dict, reason: str) -> None:
    receipt = build([*SMALL[:-1], event, SMALL[-1]]).receipt
    assert receipt.skipped == {reason: 1}


@pytest.mark.parametrize(
    ("event", "attribute", "value"),
    [
        (system("notification", text="hook failed"), "evalkit.remarks",
         [{"subtype": "notification", "text": "hook failed"}]),
        (system("compact_boundary", compact_metadata={"trigger": "auto"}), "evalkit.remarks",
         [{"subtype": "compact_boundary", "compact_metadata": {"trigger": "auto"}}]),
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}},
         "evalkit.rate_limits", [{"status": "rejected"}]),
        (system("hook_response", hook_id="h", hook_name="Stop", outcome="error", exit_code=2),
         "evalkit.hooks", [{"name": "Stop", "outcome": "error", "exit_code": 2}]),
        (system("api_retry", attempt=1, error_status=529), "evalkit.retries", 1),
    ],
)  # fmt: skip
def test_events_worth_knowing_become_attributes_of_the_session(
    event: dict, attribute: str, value: object
) -> None:
    trace = build([*SMALL[:-1], event, SMALL[-1]])
    assert trace.spans[0].attributes[attribute] == value
    assert trace.receipt.used == trace.receipt.lines


def test_a_retry_is_told_on_the_call_that_it_delayed() -> None:
    trace = build([init(), system("api_retry", attempt=1, error="rate_limit"), *SMALL[1:]])
    call = spans(trace, "LLM")[0]
    assert call.attributes["evalkit.retries"] == [{"attempt": 1, "error": "rate_limit"}]


def test_a_denied_tool_is_marked() -> None:
    denied = finish(permission_denials=[{"tool_name": "Bash", "tool_use_id": "t1"}, "Bash"])
    trace = build([*SMALL[:-1], denied])
    assert spans(trace, "TOOL")[0].attributes["evalkit.permission_denied"] is True


def test_a_command_that_runs_as_a_task_is_no_subagent() -> None:
    started = system("task_started", task_id="b", tool_use_id="t1", task_type="local_bash")
    trace = build([*SMALL[:5], started, *SMALL[5:]])
    assert len(spans(trace, "AGENT")) == 1
    assert spans(trace, "TOOL")[0].attributes["evalkit.task"]["task_type"] == "local_bash"


def test_a_result_whose_message_was_left_out_goes_to_the_only_open_tool() -> None:
    wordless = {"type": "user", "tool_use_result": {"ok": True}, "session_id": "s1"}
    tool = spans(build([*SMALL[:5], wordless, *SMALL[6:]]), "TOOL")[0]
    assert (tool.status, tool.outputs) == ("OK", {"ok": True})


def test_a_result_without_its_call_is_shown_as_such() -> None:
    trace = build([*SMALL[:6], answer("lost", "orphan"), *SMALL[6:]])
    stray = [span for span in spans(trace, "TOOL") if span.outputs == "orphan"]
    assert [span.name for span in stray] == ["tool call not in the log"]


def test_an_event_that_stands_in_the_log_twice_counts_once() -> None:
    twice = [{**event, "uuid": f"u{index}"} for index, event in enumerate(SMALL)]
    trace = build([*twice[:4], twice[3], *twice[4:]])
    assert trace.receipt.skipped == {"repeated event: the same uuid": 1}
    assert len(spans(trace, "LLM")[0].outputs["content"]) == 3


# -- logs that are refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the log is empty"),
        ([b"\n", b"  \n"], "the log is empty"),
        ([b"hello\n", b"world\n"], "no line of the log is a JSON object (line 1: no JSON)"),
        ([b"[]\n"], "JSON, but no object: an array"),
        ([b"[1, 2]\n"], "JSON, but no object: an array"),
        ([b'{"type":"thread.started"}\n'], "a log of Codex, not of Claude Code"),
        ([b'{"type":"init"}\n', b'{"type":"message","role":"user"}\n'], "a log of Gemini CLI"),
        ([b'{"type":"step_start","part":{}}\n'], "a log of opencode"),
        ([b'{"type":"x"}\n', b'{"type":"y"}\n'], "it has events of type x, y"),
        ([b'{"a": 1}\n'], "no event of the log is one of Claude Code's sessions"),
        (as_lines([
            {"type": "system", "subtype": "init", "session_id": "c"},
            {"type": "assistant", "message": {"role": "assistant", "content": [text("hi")]}},
            {"type": "tool_call", "subtype": "started"},
        ]), "a log of Cursor"),
    ],
)  # fmt: skip
def test_logs_that_give_no_trace_are_refused_with_the_reason(
    lines: list[bytes], message: str
) -> None:
    with pytest.raises(LogRefused) as refused:
        build_lines(lines)
    assert message in str(refused.value)
    assert refused.value.problems[0].fix
    assert isinstance(refused.value, InputError)
    receipt = refused.value.receipt
    assert receipt.verdict == "refused"
    assert receipt.used + sum(receipt.skipped.values()) + len(receipt.unreadable) == receipt.lines
