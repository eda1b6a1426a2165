"""ATIF, what Harbor writes as trajectory.json; and whatever an agent's log may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    TOKENS,
    Event,
    as_session,
    ask,
    assert_sound,
    assert_told,
    build_lines,
    outline,
    say,
    spans,
    tokens,
    tools,
    use,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.entities import Trace
from evalkit.errors import LogRefused
from evalkit.jsonable import canonical
from evalkit.receipt import VERDICTS


def step(source: str, message: Any, **more: Any) -> Event:
    return {"source": source, "message": message, **more}


def calls(*names: str, ids: bool = True) -> list[Event]:
    own = [{"tool_call_id": f"c-{name}"} if ids else {} for name in names]
    return [
        {**each, "function_name": name, "arguments": {"of": name}}
        for each, name in zip(own, names, strict=True)
    ]


def results(*contents: Any) -> Event:
    return {"results": [c if isinstance(c, dict) else {"content": c} for c in contents]}


def metrics(read: int, out: int, cost: float | None = None, cached: int = 0) -> Event:
    known = {"prompt_tokens": read, "completion_tokens": out, "cached_tokens": cached}
    return known if cost is None else known | {"cost_usd": cost}


def final(read: int, out: int, cost: float | None = None, cached: int = 0) -> Event:
    return {f"total_{key}": value for key, value in metrics(read, out, cost, cached).items()}


def document(*steps: Event, totals: Event | None = None, **more: Any) -> Event:
    numbered = [{"step_id": number, **each} for number, each in enumerate(steps, start=1)]
    agent = {"name": "terminus-2", "version": "2.0.0", "model_name": "openai/gpt-4o"}
    head = {"schema_version": "ATIF-v1.5", "session_id": "s1", "agent": agent}
    return {**head, "steps": numbered, **({"final_metrics": totals} if totals else {}), **more}


def read(
    *documents: Event, beside: dict[str, Event] | None = None, indent: int | None = 2
) -> Trace:
    log = "\n".join(json.dumps(each, indent=indent) for each in documents).encode()
    sidecars = {
        n: json.dumps(d, indent=2).encode().splitlines(True) for n, d in (beside or {}).items()
    }
    trace = build_lines(log.splitlines(keepends=True), sidecars=sidecars)
    assert_sound(trace)
    assert_told(trace)
    return trace


ASKED = step("user", "Say hello.")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_trajectory_is_a_tree_of_its_steps(indent: int | None) -> None:
    trace = read(
        document(
            step("system", "You are an agent."), ASKED,
            step("agent", "I look.", reasoning_content="Hm.", tool_calls=calls("ls", "pwd"),
                 observation=results({"source_call_id": "c-pwd", "content": "/w"}, "a.txt"),
                 metrics=metrics(100, 10, 0.5, 40), timestamp="2026-01-02T03:04:05Z"),
            step("agent", "Done.", tool_calls=calls("finish"), metrics=metrics(200, 20, 0.25)),
            totals=final(300, 30, 0.75, 40),
        ),
        indent=indent,
    )  # fmt: skip
    assert outline(trace) == [
        "AGENT case", "  CHAIN turn 1", "    LLM openai/gpt-4o", "    TOOL ls", "    TOOL pwd",
        "  CHAIN turn 2", "    LLM openai/gpt-4o", "    TOOL finish",
    ]  # fmt: skip
    assert tools(trace) == [("ls", "OK", "a.txt"), ("pwd", "OK", "/w"), ("finish", "UNSET", None)]
    assert (trace.request, trace.response, trace.status) == ("Say hello.", "Done.", "UNSET")
    assert [s.attributes[TOKENS]["input_tokens"] for s in spans(trace, "LLM")] == [60, 200]
    assert [s.attributes["evalkit.cost.usd"] for s in spans(trace, "LLM")] == [0.5, 0.25]
    assert trace.receipt.verdict == "reconciled"
    assert (trace.receipt.lines, trace.receipt.used) == (5, 5)


def test_results_are_paired_by_place_where_they_name_no_call() -> None:
    trace = read(
        document(
            ASKED,
            step(
                "agent", "1", tool_calls=calls("a", "b", ids=False), observation=results("A", "B")
            ),
            step("agent", "2", observation=results("warning: bad JSON")),
            step("agent", "3", tool_calls=calls("d"), observation=results("D", "more")),
            step("agent", "4"),
        )
    )
    assert tools(trace) == [("a", "OK", "A"), ("b", "OK", "B"), ("d", "OK", "D")]
    asked = [m["content"] for s in spans(trace, "LLM") for m in (s.inputs or {})["messages"]]
    assert [words for words in asked if isinstance(words, str)][1:] == ["warning: bad JSON", "more"]


def test_a_log_whose_calls_stand_in_its_messages_has_none() -> None:
    said = '{"commands": [{"keystrokes": "ls"}]}'
    trace = read(document(ASKED, step("agent", said), step("user", "a.txt"), step("agent", "x")))
    assert (tools(trace), trace.response, trace.receipt.verdict) == ([], "x", "incomplete")


@pytest.mark.parametrize("whole_request", [False, True])
def test_messages_may_be_those_of_a_chat_which_repeat_what_was_said(whole_request: bool) -> None:
    asked = [{"role": "user", "content": "Weather?"}]
    called = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "get"}}]}
    again = [*asked, called, {"role": "tool", "content": "fog"}]
    trace = read(
        document(
            step("user", {"messages": asked, "model": "m"} if whole_request else asked),
            step("agent", called, tool_calls=calls("get"), metrics=metrics(300, 20)),
            step(
                "system", None, observation=results({"source_call_id": "c-get", "content": "fog"})
            ),
            step("user", {"messages": again} if whole_request else again),
            step("agent", "Fog.", metrics=metrics(600, 10)),
            totals=metrics(900, 30),
        )
    )
    assert (trace.request, trace.response, tools(trace)) == (
        "Weather?",
        "Fog.",
        [("get", "OK", "fog")],
    )
    assert [tokens(trace)[kind] for kind in ("input_tokens", "output_tokens")] == [900, 30]
    assert (trace.receipt.verdict, sum(trace.receipt.skipped.values())) == ("reconciled", 1)


def test_messages_may_be_parts() -> None:
    image = {"type": "image", "source": {"media_type": "image/png", "path": "images/1.png"}}
    trace = read(
        document(
            step("user", [{"type": "text", "text": "What is it?"}, image]),
            step("agent", [{"type": "text", "text": "A cat."}], tool_calls=calls("see"),
                 observation=results({"content": [image, {"type": "text", "text": "seen"}]})),
        )
    )  # fmt: skip
    assert (trace.request, trace.response) == ("What is it?", "A cat.")
    assert "images/1.png" in json.dumps(tools(trace))


PART = step("agent", "First.", metrics=metrics(100, 10, 0.5))
COPIED = step("agent", "First.", is_copied_context=True, metrics=metrics(100, 10, 0.5))
REST = step("agent", "Last.", metrics=metrics(200, 20, 0.25))


def test_what_continues_a_run_repeats_it_and_states_the_whole_of_it() -> None:
    first = document(
        ASKED, PART, totals=final(100, 10, 0.5), continued_trajectory_ref="t.cont-1.json"
    )
    rest = document(COPIED, REST, totals=final(300, 30, 0.75))
    alone, both = read(rest), read(first, rest)
    for trace, verdict in (
        (alone, "reconciled, unlogged tokens from the result"),
        (both, "reconciled"),
    ):
        assert (tokens(trace)["input_tokens"], trace.receipt.verdict) == (300, verdict)
        assert trace.receipt.skipped["copied from an earlier part of the run"] == 1
        assert trace.response == "Last."
    assert [len(spans(t, "LLM")) for t in (alone, both)] == [1, 2]


def refs(*names: str) -> Event:
    about = [
        {"session_id": n, "trajectory_path": f"{n}.json", "extra": {"summary": n}} for n in names
    ]
    return {"subagent_trajectory_ref": about}


def test_totals_are_those_of_subagents_too_whose_trajectories_lie_beside() -> None:
    parent = document(
        ASKED, PART, step("system", "Summarised.", observation=results(refs("sum", "ask"))),
        step("agent", "Delegates.", tool_calls=calls("delegate"), metrics=metrics(50, 5, 0.125),
             observation=results({"source_call_id": "c-delegate", "content": 1, **refs("help")})),
        totals=final(1150, 115, 1.25),
    )  # fmt: skip
    beside = {
        f"trajectory.{name}.json": document(COPIED, step("agent", name, metrics=metrics(n, o, c)))
        | {"session_id": name}
        for name, n, o, c in (("sum", 300, 30, 0.25), ("help", 700, 70, 0.375))
    }
    trace = read(parent, beside=beside)
    assert [(s.name, s.outputs) for s in spans(trace, "TOOL")] == [
        ("delegate", 1), ("subagent", "sum"), ("subagent", "ask"),
    ]  # fmt: skip
    assert trace.receipt.verdict == "reconciled"
    assert tokens(trace)["input_tokens"] == 1150
    assert "messages of 1 subagents are not in the log" in trace.receipt.notes
    missing = read(parent)
    assert missing.receipt.verdict == "reconciled, unlogged tokens from the result"
    assert "messages of 3 subagents are not in the log" in missing.receipt.notes


def test_totals_that_nothing_explains_differ() -> None:
    trace = read(document(ASKED, PART, totals=final(200, 40, 0.55)))
    assert trace.receipt.verdict == "differs"
    assert {d.what for d in trace.receipt.differences} == {
        "input_tokens",
        "output_tokens",
        "cost_usd",
    }


OTHERS = {
    "Gemini CLI": {"sessionId": "x", "projectHash": "y", "messages": [{"type": "user"}]},
    "mini-SWE-agent": {"info": {}, "messages": [], "trajectory_format": "mini-swe-agent-1"},
    "OpenHands": [{"id": 0, "source": "agent", "message": "m", "action": "system", "args": {}}],
}


@pytest.mark.parametrize("tool", OTHERS)
def test_another_tools_trajectory_is_named_and_refused(tool: str) -> None:
    lines = json.dumps(OTHERS[tool], indent=2).encode().splitlines(keepends=True)
    with pytest.raises(LogRefused, match=f"a trajectory of {tool}, which is not in ATIF"):
        build_lines(lines)


KEYS = """
type payload item id status text items role content call_id output arguments name info usage source
last_token_usage total_token_usage thread_id turn_id timestamp forked_from_id session_id error kind
message tool_calls observation results source_call_id subagent_trajectory_ref metrics cost_usd steps
final_metrics agent schema_version is_copied_context metadata exit_code agent_thread_id summary
new_thread_id phase changes trajectory_path prompt_tokens tool_call_id subtype event modelUsage
tool_use_result uuid parentUuid sessionId agentId isSidechain toolUseResult attachment task_id
"""
TYPES = """
thread.started turn.completed turn.failed item.started item.updated item.completed error failed
agent_message reasoning command_execution mcp_tool_call todo_list session_meta turn_context user
response_item event_msg compacted message function_call function_call_output spawn_agent assistant
agent system token_count task_complete turn_aborted SubAgentActivity completed web_search_call c1
ATIF-v1.5 019a2d7a-41c4-78b1-b7cc-a45d62a89cd5 result init task_started stream_event attachment
compact_boundary tool_use tool_result text
"""
WORDS = st.sampled_from(TYPES.split())
LEAVES = st.one_of(WORDS, WORDS, st.none(), st.booleans(), st.integers(-2, 2**70), st.floats())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=7),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)
FIRST = st.sampled_from(
    [
        {"type": "thread.started", "thread_id": "019a2d7a-41c4-78b1-b7cc-a45d62a89cd5"},
        {"type": "session_meta", "payload": {"id": "s", "forked_from_id": "p"}},
        say("m1", use("c1", "Task")),
        as_session([ask("go")])[0],
        document(ASKED, PART),
    ]
)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    first = draw(FIRST)
    if "steps" in first:
        first = {
            **first,
            "steps": draw(st.lists(VALUES, max_size=8)),
            "final_metrics": draw(VALUES),
        }
    heads = {"type": WORDS, "payload": VALUES, "item": VALUES}
    lines = st.one_of(st.fixed_dictionaries(heads), VALUES)
    return [json.dumps(each).encode() for each in (first, *draw(st.lists(lines, max_size=8)))]


@settings(max_examples=100, deadline=None)
@given(lines=logs(), asides=logs())
def test_whatever_an_agent_logs_every_line_is_accounted_for(
    lines: list[bytes], asides: list[bytes]
) -> None:
    try:
        trace = build_lines(lines, sidecars={"x.jsonl": asides})
    except LogRefused as refused:
        lost = refused.receipt
        assert sum(lost.skipped.values()) + len(lost.unreadable) + lost.used == lost.lines
        return
    assert_told(trace)
    assert_sound(trace)
    assert trace.receipt.verdict in VERDICTS
    for span in trace.spans:
        canonical([span.inputs, span.outputs, span.attributes]).encode()
    assert all(isinstance(value, str) for value in trace.metadata.values())
