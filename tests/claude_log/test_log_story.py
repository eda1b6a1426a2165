"""From log to trace: the tree, the threads, what every kind of event becomes, how it all ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    Event,
    answer,
    as_lines,
    ask,
    assert_told,
    build,
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
SKIP = "stream_event: repeated by the whole message"
OUTSIDE = "stream_event: of a message that did not begin in the log"
UNTIMED = (
    "no event has a timestamp: spans are laid out in order within the stated duration, "
    "beginning at the log file's time"
)


def bash(message: str, tool: str, command: str, **more: Any) -> Event:
    return say(message, use(tool, "Bash", command=command), **more)


def bare(command: str) -> Event:
    return {"type": "tool_use", "name": "Bash", "input": {"command": command}}


def back(content: str, **more: Any) -> Event:
    return {"type": "tool_result", "content": content, **more}


def of(session: str, *events: Event) -> list[Event]:
    return [{**event, "session_id": session} for event in events]


def ended(**how: Any) -> list[Event]:
    return [*SMALL[:-1], {**SMALL[-1], **how}]


def answered(*events: Event) -> list[Event]:
    """The small log with other events in the place of the tool's result."""
    return [*SMALL[:5], *events, *SMALL[6:]]


CITED = {**text("so"), "citations": [{"url": "https://e.example", "cited_text": "so it is"}]}


def served(kind: str, content: object, call: str = "server_tool_use", **more: Any) -> list[Event]:
    """A log with a tool that the API ran itself."""
    used = {"type": call, "id": "srv", "name": kind, "input": {}}
    back = {"type": f"{kind}_tool_result", "tool_use_id": "srv", "content": content, **more}
    return [init(), say("m", used, back, text("so")), finish("so")]


def stream(kind: str, parent: str | None = None, **more: Any) -> Event:
    event = {"type": "stream_event", "session_id": "s1", "event": {"type": kind, **more}}
    return {**event, "parent_tool_use_id": parent}


def begin(message: str = "m1", parent: str | None = None) -> Event:
    about = {"id": message, "model": SONNET, "usage": usage(1200, 1)}
    return stream("message_start", parent, message=about)


def piece(words: str, index: int = 0, kind: str = "text", parent: str | None = None) -> list[Event]:
    delta = "input_json_delta" if kind == "partial_json" else f"{kind}_delta"
    block = use("t1", "Bash") if kind == "partial_json" else {"type": kind, kind: ""}
    halves = words[: len(words) // 2], words[len(words) // 2 :]
    deltas = ({"type": delta, kind: half} for half in halves)
    return [
        stream("content_block_start", parent, index=index, content_block=block),
        *(stream("content_block_delta", parent, index=index, delta=each) for each in deltas),
    ]


def started(task: str, tool: str = "t1", kind: str = "local_agent") -> Event:
    return system("task_started", task_id=task, tool_use_id=tool, task_type=kind)


PROMPTED = {"description": "count", "prompt": "Count.", "subagent_type": "Explore"}
CALL = say("m1", use("t1", "Agent", **PROMPTED))
INSIDE = [
    ask([text("Count.")], parent="t1"),
    bash("s1", "t2", "wc", parent="t1", model=HAIKU),
    answer("t2", "4", parent="t1"),
    say("s2", text("Four."), parent="t1", model=HAIKU),
]
TURN = ["CHAIN turn 1", f"  LLM {SONNET}"]
WORKED = ["AGENT Explore", "  CHAIN turn 1", f"    LLM {HAIKU}", "    TOOL Bash"]
WORKED += ["  CHAIN turn 2", f"    LLM {HAIKU}"]
SPURIOUS = finish(None, subtype="error_during_execution", is_error=True, num_turns=0, errors=["no"])
GOOD = [init(), ask("7?"), say("m", text("seven")), finish("seven")]
DONE, FAILED = ("OK", ""), ("ERROR", "error_during_execution: no")
WRITTEN = [{"type": "thinking", "thinking": "hm"}, {**use("t1", "Bash"), "input": '{"n": 7'}]
PICTURE = {"type": "base64", "media_type": "image/png", "data": "A" * 4_000}
ORPHAN = (None, "orphan", "OK")
LIMITED = say("x", text("Error"), model="<synthetic>", error="rate_limit")


def under(*lines: str, depth: int = 1) -> list[str]:
    return ["  " * depth + line for line in lines]


TREE = ["AGENT case", *under(*TURN, "  TOOL Bash", "CHAIN turn 2", f"  LLM {SONNET}")]

STORIES: dict[str, tuple[list[Event], dict[str, Any]]] = {
    "a session": (
        SMALL,
        {
            "tree": TREE,
            "asked": "What is here?",
            "answer": "One file.",
            "ended": DONE,
            "tools": [("ls", "README.md", "OK")],
            "said": ["Let me look.", "One file."],
        },
    ),
    # -- what tools answer
    "blocks of text": (
        answered(answer("t1", [text("one"), text("two")])),
        {"tools": [("ls", "one\ntwo", "OK")]},
    ),
    "a log": (
        answered(answer("t1", json.dumps(say("inner", text("not mine"))))),
        {"said": ["Let me look.", "One file."]},
    ),
    "a failure": (
        answered(answer("t1", "<tool_use_error>no such file</tool_use_error>", failed=True)),
        {"why": ["no such file"]},
    ),
    "an image": (
        answered(answer("t1", [text("a picture"), {"type": "image", "source": PICTURE}])),
        {
            "tools": [("ls", "a picture\n[image/png, 3,000 bytes left out]", "OK")],
            "shortened": {"image/png": 4_000, "signatures of thinking": 12},
        },
    ),
    "a result without its message": (
        answered({"type": "user", "tool_use_result": {"ok": True}, "session_id": "s1"}),
        {"tools": [("ls", {"ok": True}, "OK")]},
    ),
    "a result without its call": (
        answered(answer("t1", "x"), answer("lost", "orphan")),
        {"tools": [("ls", "x", "OK"), ORPHAN]},
    ),
    # -- ids of tools that are used again
    "an id in each turn": (
        [
            *(bash("m1", "call_0", "rm"), answer("call_0", "denied", failed=True)),
            *(bash("m2", "call_0", "ls"), answer("call_0", "a")),
        ],
        {"tools": [("rm", "denied", "ERROR"), ("ls", "a", "OK")]},
    ),
    "no ids at all": (
        [
            say("m1", bare("one"), bare("two")),
            ask([back("ONE"), back("no such file", is_error=True)]),
            *(say("m2", bare("three")), ask([back("THREE")])),
        ],
        {
            "tools": [
                ("one", "ONE", "OK"),
                ("two", "no such file", "ERROR"),
                ("three", "THREE", "OK"),
            ]
        },
    ),
    "an id whose first call got no result": (
        [bash("m1", "t", "lost"), bash("m2", "t", "found"), answer("t", "2")],
        {"tools": [("lost", None, "UNSET"), ("found", "2", "OK")]},
    ),
    "a call that is said and answered twice": (
        [*[bash("m1", "t", "once")] * 2, answer("t", "1"), answer("t", "orphan")],
        {"tools": [("once", "1", "OK"), ORPHAN]},
    ),
    "subagents that count like their caller": (
        [
            say("m1", use("call_0", "Task", prompt="n"), use("call_1", "Task", prompt="s")),
            *(bash("n", "call_0", "wc n", parent="call_0"), answer("call_0", "1", parent="call_0")),
            say("n2", text("one"), parent="call_0"),
            *(bash("s", "call_0", "wc s", parent="call_1"), answer("call_0", "2", parent="call_1")),
            *(answer("call_0", "n has 1"), answer("call_1", "s has 2")),
        ],
        {
            "agents": [("n", "n has 1", "OK"), ("s", "s has 2", "OK")],
            "tools": [
                *((None, "n has 1", "OK"), (None, "s has 2", "OK")),
                *(("wc s", "2", "OK"), ("wc n", "1", "OK")),
            ],
        },
    ),
    # -- subagents
    "a subagent in the foreground": (
        [init(), CALL, *INSIDE, answer("t1", [text("Four.")]), finish()],
        {
            "tree": ["AGENT case", *under(*TURN, "  TOOL Agent", *under(*WORKED, depth=2))],
            "agents": [("Count.", "Four.", "OK")],
        },
    ),
    "a command that runs as a task": (
        [*SMALL[:5], started("b", kind="local_bash"), *SMALL[5:]],
        {"tree": TREE, "agents": []},
    ),
    # -- how it ended, and the answer
    "too many turns": (
        ended(subtype="error_max_turns", result=None),
        {"ended": ("ERROR", "error_max_turns")},
    ),
    "no end": (
        SMALL[:-1],
        {
            "answer": "One file.",
            "ended": ("UNSET", "the log ends before the session does"),
            "notes": [UNTIMED, "the log is cut off: it ends before the result event"],
        },
    ),
    "no result of a tool": (SMALL[:5], {"why": ["the log has no result of this call"]}),
    "a message that no model wrote": (
        [init(), LIMITED, finish("Error")],
        {"tree": ["AGENT case", "  CHAIN turn 1", "    CHAIN Claude Code"], "answer": "Error"},
    ),
    "an error that nothing led to": ([*GOOD, SPURIOUS], {"ended": DONE, "answer": "seven"}),
    "an error after a question": ([*GOOD, ask("and?"), SPURIOUS], {"ended": FAILED}),
    "an error after a message": ([*GOOD, say("m9", text("no")), SPURIOUS], {"ended": FAILED}),
    "a result that is the answer's end": (
        [say("m", thinking("hm"), text("The whole "), text("of it.")), finish("of it.")],
        {"answer": "The whole of it."},
    ),
    "an empty result": ([say("m", text("said")), finish("")], {"answer": "said"}),
    "structured output": (
        [say("m", text("in")), finish("in", structured_output={"n": 3})],
        {"answer": {"n": 3}},
    ),
    # -- sessions
    "two sessions": (
        [
            *of("a", init(), ask("first?"), say("m1", text("one")), finish("one")),
            *of("b", init(), say("m2", text("two")), finish("two", is_error=True)),
        ],
        {
            "asked": "first?",
            "answer": "two",
            "ended": ("ERROR", "two"),
            "sessions": 2,
            "agents": [("first?", "one", "OK"), (None, "two", "ERROR")],
        },
    ),
    "a second start of a session that goes on": (
        [init(), say("m1", text("a")), init(), say("m2", text("b")), finish()],
        {"sessions": 1},
    ),
    # -- tools that the API runs itself
    "a failed search": (
        served("web_search", {"type": "web_search_tool_result_error", "error_code": "too many"}),
        {"why": ["too many"]},
    ),
    "a command that failed": (
        served("bash_code_execution", {"stdout": "", "stderr": "no such file", "return_code": 2}),
        {"why": ["no such file"]},
    ),
    "a text that cites": (
        [init(), say("m", CITED), finish("so")],
        {"blocks": [[CITED]], "skipped": {}},
    ),
    "a failed server of tools": (
        served("mcp", [text("no such customer")], call="mcp_tool_use", is_error=True),
        {"why": ["no such customer"]},
    ),
    # -- messages that never became whole
    "last words": (
        [init(), ask("where?"), begin(), *piece("It left at nine and")],
        {"answer": "It left at nine and", "skipped": {}, "calls": [(1200, None)]},
    ),
    "an interrupted call": (
        [
            *(init(), ask("do it"), begin(), *piece("hm", 0, "thinking")),
            *(*piece('{"n": 7', 1, "partial_json"), ask("[Request interrupted by user]")),
            finish("", is_error=True),
        ],
        {"tree": ["AGENT case", *under(*TURN)], "blocks": [WRITTEN], "skipped": {}},
    ),
    "a block that is whole and one that is not": (
        [init(), begin(), *piece("One. "), say("m1", text("One. ")), *piece("Two", 1)],
        {"said": ["One. Two"], "answer": "One. Two", "skipped": {SKIP: 3}},
    ),
    "a message that was begun anew": (
        [
            *(init(), begin("m1"), *piece("Worse, and"), begin("m2"), *piece("Better.")),
            *(say("m2", text("Better.")), stream("message_stop"), finish("Better.")),
        ],
        {"said": ["Worse, and", "Better."], "answer": "Better."},
    ),
    "a subagent's message that broke off": (
        [
            *(init(), CALL, begin("sub", "t1"), *piece("It lies in", parent="t1")),
            *(answer("t1", "[interrupted]", failed=True), finish("It was.")),
        ],
        {"said": ["", "It lies in"], "agents": [("Count.", "[interrupted]", "ERROR")]},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_trace_tells_what_the_log_says(story: str) -> None:
    log, wanted = STORIES[story]
    assert_told(build(log), **wanted)


def test_a_call_reads_what_was_new_and_a_long_result_is_whole_in_its_tool_only() -> None:
    trace = build(answered(answer("t1", "x" * 3_000)))
    first, second = spans(trace, "LLM")
    assert first.inputs == {"messages": [{"role": "user", "content": "What is here?"}]}
    seen = second.inputs["messages"][0]["content"][0]["content"]
    assert len(seen) < 600
    assert seen.endswith("2,500 more in the tool's span]")
    assert spans(trace, "TOOL")[0].outputs == "x" * 3_000
    short = build(answered(answer("t1", "x" * 1_000)), max_value_chars=100)
    assert "[900 characters left out]" in spans(short, "TOOL")[0].outputs
    assert spans(short, "TOOL")[0].outputs.count("x") == 100
    assert short.receipt.truncated["Bash output"] == 900
    assert first.attributes["mlflow.message.format"] == "anthropic"
    assert first.attributes["mlflow.llm.model"] == SONNET


def test_what_is_missing_of_a_message_is_said() -> None:
    (call,) = spans(build(STORIES["last words"][0]), "LLM")
    missing = "only a part of this message is in the log"
    assert (call.status, call.message) == ("UNSET", missing)
    assert call.inputs == {"messages": [{"role": "user", "content": "where?"}]}
    trace = build(STORIES["an error that nothing led to"][0])
    assert "no" in children(trace, trace.spans[0])[-1].message
    assert any("nothing led to" in note for note in trace.receipt.notes)
    notice = spans(build(STORIES["a message that no model wrote"][0]), "CHAIN")[1]
    assert (notice.status, notice.message) == ("ERROR", "rate_limit: Error")


def test_a_secret_that_comes_in_pieces_is_masked() -> None:
    secret = "sk-ant-api03-" + "a1" * 40
    trace = build([init(), begin(), *piece(f"the key is {secret}!")])
    assert trace.response == "the key is [masked:anthropic-key]!"


# -- subagents in the background, and their transcripts --------------------------------------------


def test_a_background_subagent_ends_when_it_is_said_to_end() -> None:
    task = {"task_id": "a1", "tool_use_id": "t1"}
    used = {"total_tokens": 900, "tool_uses": 2, "duration_ms": 1500}
    log = [
        *(init(), CALL, started("a1")),
        answer("t1", "Async agent launched successfully.", tool_use_result={"isAsync": True}),
        say("m2", text("Meanwhile.")),
        system("task_progress", **task, usage={"tool_uses": 1}),
        system("task_notification", **task, status="completed", summary="Four.", usage=used),
        *(say("m3", text("It says four.")), finish()),
    ]
    trace = build(log)
    agent = spans(trace, "AGENT")[1]
    assert (agent.outputs, agent.status) == ("Four.", "OK")
    about = {"background": True, "total_tokens": 900, "messages": "not in the log"}
    assert {k: agent.attributes[f"evalkit.subagent.{k}"] for k in about} == about
    assert agent.end_ns > spans(trace, "LLM")[1].end_ns
    assert "messages of 1 subagents are not in the log" in trace.receipt.notes


LAUNCHED = answer("t1", "Async agent launched", tool_use_result={"isAsync": True, "agentId": "a1"})
ASIDE = [{**event, "parent_tool_use_id": None, "isSidechain": True} for event in INSIDE]
BESIDE = {
    "by its file's name": ("agent-a1.jsonl", ASIDE, WORKED, {}),
    "by its events": ("other.jsonl", [{**ASIDE[0], "agentId": "a1"}, *ASIDE[1:]], WORKED, {}),
    "in the log too": (
        "agent-a1.jsonl", INSIDE, WORKED, {"transcript: its messages are in the log already": 4},
    ),
    "of no call": ("agent-zz.jsonl", INSIDE[2:], ["AGENT subagent"], {}),
}  # fmt: skip


@pytest.mark.parametrize("which", BESIDE)
def test_a_transcript_beside_the_log_fills_the_subagent_it_belongs_to(which: str) -> None:
    name, aside, tree, skipped = BESIDE[which]
    inside = INSIDE if skipped else []
    trace = build(
        [init(), CALL, started("a1"), *inside, LAUNCHED, finish()], sidecars={name: as_lines(aside)}
    )
    shown = "\n".join(line.strip() for line in outline(trace))
    assert "\n".join(line.strip() for line in tree) in shown
    assert_told(trace, skipped=skipped)
    lost = f"{name}: no call in the log started this subagent"
    assert (lost in trace.receipt.notes) == (which == "of no call")


# -- events of every kind ------------------------------------------------------------------------


def test_events_that_carry_nothing_are_skipped_by_name() -> None:
    skipped = {
        "system/thinking_tokens": system("thinking_tokens", estimated_tokens=5),
        "rate_limit_event: allowed": {
            "type": "rate_limit_event",
            "rate_limit_info": {"status": "allowed"},
        },
        "control_request": {"type": "control_request", "request": {}},
        "an object without a type": {"kind": "of nothing"},
        OUTSIDE: stream("content_block_delta"),
        "system/task_started without its tool call": system("task_started", task_id="zz"),
        "user event without a message": {"type": "user"},
        "assistant event without a message": {"type": "assistant"},
    }
    trace = build([*SMALL[:-1], *skipped.values(), SMALL[-1]])
    assert_told(trace, skipped=dict.fromkeys(skipped, 1), tree=TREE)
    twice = [{**event, "uuid": f"u{index}"} for index, event in enumerate(SMALL)]
    trace = build([*twice[:4], twice[3], *twice[4:]])
    assert_told(trace, skipped={"repeated event: the same uuid": 1})
    assert len(spans(trace, "LLM")[0].outputs["content"]) == 3


def test_events_worth_knowing_become_attributes_of_what_they_are_about() -> None:
    hook = {"hook_name": "Stop", "outcome": "error", "exit_code": 2}
    events = [
        system("notification", text="hook failed"),
        {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected"}},
        system("hook_response", hook_id="h", **hook),
        system("api_retry", attempt=1, error_status=529),
    ]
    denied = finish(permission_denials=[{"tool_name": "Bash", "tool_use_id": "t1"}, "Bash"])
    retry = system("api_retry", attempt=1, error="rate_limit")
    task = started("b", kind="local_bash")
    trace = build([init(), retry, *SMALL[1:5], task, *SMALL[5:-1], *events, denied])
    assert_told(trace, skipped={})
    about = {name.removeprefix("evalkit."): v for name, v in trace.spans[0].attributes.items()}
    assert about["remarks"] == [{"subtype": "notification", "text": "hook failed"}]
    assert about["rate_limits"] == [{"status": "rejected"}]
    assert about["hooks"] == [{"name": "Stop", "outcome": "error", "exit_code": 2}]
    assert about["retries"] == 2
    call, tool = spans(trace, "LLM")[0], spans(trace, "TOOL")[0]
    assert call.attributes["evalkit.retries"] == [{"attempt": 1, "error": "rate_limit"}]
    assert tool.attributes["evalkit.permission_denied"] is True
    assert tool.attributes["evalkit.task"]["task_type"] == "local_bash"
