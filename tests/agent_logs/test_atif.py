"""ATIF, what Harbor writes as trajectory.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    TOKENS,
    Event,
    assert_sound,
    assert_told,
    build_lines,
    outline,
    spans,
    tokens,
    tools,
)

from evalkit.entities import Trace
from evalkit.errors import LogRefused


def step(source: str, message: Any, **more: Any) -> Event:
    return {"source": source, "message": message, **more}


def calls(*names: str) -> list[Event]:
    return [{"tool_call_id": f"c-{n}", "function_name": n, "arguments": {"of": n}} for n in names]


def results(*contents: Any) -> Event:
    return {"results": [c if isinstance(c, dict) else {"content": c} for c in contents]}


def metrics(read: int, out: int, cost: float | None = None, cached: int = 0) -> Event:
    known = {"prompt_tokens": read, "completion_tokens": out, "cached_tokens": cached}
    return known if cost is None else known | {"cost_usd": cost}


def document(*steps: Event, totals: Event | None = None, **more: Any) -> Event:
    numbered = [{"step_id": number, **each} for number, each in enumerate(steps, start=1)]
    agent = {"name": "terminus-2", "version": "2.0.0", "model_name": "openai/gpt-4o"}
    head = {"schema_version": "ATIF-v1.5", "session_id": "s1", "agent": agent}
    final = {f"total_{key}": value for key, value in (totals or {}).items()}
    return {**head, "steps": numbered, "final_metrics": final, **more}


def read(*documents: Event, indent: int | None = 2, **beside: Event) -> Trace:
    def lines(*each: Event) -> list[bytes]:
        return "\n".join(json.dumps(e, indent=indent) for e in each).encode().splitlines(True)

    sidecars = {f"trajectory.{name}.json": lines(each) for name, each in beside.items()}
    trace = build_lines(lines(*documents), sidecars=sidecars)
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
            totals=metrics(300, 30, 0.75, 40),
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
    receipt = trace.receipt
    assert (receipt.verdict, receipt.lines, receipt.used) == ("reconciled", 5, 5)


def test_results_are_paired_by_place_where_they_name_no_call() -> None:
    unnamed = [{k: v for k, v in c.items() if k != "tool_call_id"} for c in calls("a", "b")]
    trace = read(
        document(
            ASKED,
            step("agent", "1", tool_calls=unnamed, observation=results("A", "B")),
            step("agent", "2", observation=results("warning: bad JSON")),
            step("agent", "3", tool_calls=calls("d"), observation=results("D", "more")),
            step("agent", '{"commands": [{"keystrokes": "ls"}]}'),
        )
    )
    assert tools(trace) == [("a", "OK", "A"), ("b", "OK", "B"), ("d", "OK", "D")]
    asked = [m["content"] for s in spans(trace, "LLM") for m in (s.inputs or {})["messages"]]
    assert [words for words in asked if isinstance(words, str)][1:] == ["warning: bad JSON", "more"]


@pytest.mark.parametrize("whole_request", [False, True])
def test_messages_may_be_those_of_a_chat_which_repeat_what_was_said(whole_request: bool) -> None:
    asked = [{"role": "user", "content": "Weather?"}]
    called = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "get"}}]}
    again = [*asked, called, {"role": "tool", "content": "fog"}]
    found = results({"source_call_id": "c-get", "content": "fog"})
    trace = read(
        document(
            step("user", {"messages": asked, "model": "m"} if whole_request else asked),
            step("agent", called, tool_calls=calls("get"), metrics=metrics(300, 20)),
            step("system", None, observation=found),
            step("user", {"messages": again} if whole_request else again),
            step("agent", "Fog.", metrics=metrics(600, 10)),
            totals=metrics(900, 30),
        )
    )
    assert (trace.request, trace.response) == ("Weather?", "Fog.")
    assert tools(trace) == [("get", "OK", "fog")]
    assert [tokens(trace)[kind] for kind in ("input_tokens", "output_tokens")] == [900, 30]
    assert (trace.receipt.verdict, sum(trace.receipt.skipped.values())) == ("reconciled", 1)


def test_messages_may_be_parts() -> None:
    image = {"type": "image", "source": {"media_type": "image/png", "path": "images/1.png"}}
    said, seen = ({"type": "text", "text": words} for words in ("A cat.", "seen"))
    looked = results({"content": [image, seen]})
    trace = read(
        document(
            step("user", [{"type": "text", "text": "What is it?"}, image]),
            step("agent", [said], tool_calls=calls("see"), observation=looked),
        )
    )
    assert (trace.request, trace.response) == ("What is it?", "A cat.")
    assert "images/1.png" in json.dumps(tools(trace))


PART = step("agent", "First.", metrics=metrics(100, 10, 0.5))
COPIED = step("agent", "First.", is_copied_context=True, metrics=metrics(100, 10, 0.5))
UNLOGGED = "reconciled, unlogged tokens from the result"


def test_what_continues_a_run_repeats_it_and_states_the_whole_of_it() -> None:
    first = document(ASKED, PART, totals=metrics(100, 10, 0.5))
    last = step("agent", "Last.", metrics=metrics(200, 20, 0.25))
    rest = document(COPIED, last, totals=metrics(300, 30, 0.75))
    for parts, verdict, count in (([rest], UNLOGGED, 1), ([first, rest], "reconciled", 2)):
        trace = read(*parts)
        assert (tokens(trace)["input_tokens"], trace.receipt.verdict) == (300, verdict)
        assert trace.receipt.skipped["copied from an earlier part of the run"] == 1
        assert (trace.response, len(spans(trace, "LLM"))) == ("Last.", count)


def refs(*names: str) -> Event:
    about = [{"session_id": n, "trajectory_path": f"{n}.json"} for n in names]
    return {"subagent_trajectory_ref": [{**each, "extra": {"summary": "short"}} for each in about]}


def test_totals_are_those_of_subagents_too_whose_trajectories_lie_beside() -> None:
    delegated = results({"source_call_id": "c-delegate", "content": 1, **refs("help")})
    parent = document(
        ASKED, PART, step("system", "Summarised.", observation=results(refs("sum", "ask"))),
        step("agent", "Delegates.", tool_calls=calls("delegate"), metrics=metrics(50, 5, 0.125),
             observation=delegated),
        totals=metrics(1150, 115, 1.25),
    )  # fmt: skip
    beside = {
        name: document(COPIED, step("agent", name, metrics=metrics(n, o, c)), session_id=name)
        for name, n, o, c in (("sum", 300, 30, 0.25), ("help", 700, 70, 0.375))
    }
    for trace, verdict, missing in (
        (read(parent, **beside), "reconciled", 1),
        (read(parent), UNLOGGED, 3),
    ):
        found = [(s.name, s.outputs) for s in spans(trace, "TOOL")]
        assert found == [("delegate", 1), ("subagent", "short"), ("subagent", "short")]
        assert (trace.receipt.verdict, tokens(trace)["input_tokens"]) == (verdict, 1150)
        assert f"messages of {missing} subagents are not in the log" in trace.receipt.notes


def test_totals_that_nothing_explains_differ() -> None:
    trace = read(document(ASKED, PART, totals=metrics(200, 40, 0.55)))
    differ = {d.what for d in trace.receipt.differences}
    assert differ == {"input_tokens", "output_tokens", "cost_usd"}
    assert trace.receipt.verdict == "differs"


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
