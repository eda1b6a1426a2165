"""Tokens and cost: what spans carry as fact, what is left over, and where it is named."""

from __future__ import annotations

import json

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    Event,
    Story,
    added,
    answer,
    build,
    cost,
    finish,
    init,
    say,
    spans,
    text,
    usage,
    use,
)

from evalkit.core.spans import Span, Trace

ONE, TWO = usage(3, 100, 0, 500), usage(1, 40, 500, 60)
BOTH = added([ONE, TWO])


def session(one: Event, two: Event, **result: object) -> list[Event]:
    """Two calls, each on two lines that repeat its usage."""
    return [
        init(),
        say("m1", text("a"), used=one),
        say("m1", use("t1", "Bash", command="x"), used=one),
        answer("t1", "y"),
        say("m2", text("b"), used=two),
        say("m2", text("c"), used=two),
        finish("c", **result),
    ]


def placeholder(used: Event, out: int = 1) -> Event:
    return {**used, "output_tokens": out}


def tokens(span: Span) -> dict:
    return span.attributes["mlflow.chat.tokenUsage"]


def told(trace: Trace) -> list[tuple[str, float, float]]:
    return [(d.what, d.spans, d.result) for d in trace.receipt.differences]


def test_usage_that_every_line_repeats_counts_once() -> None:
    trace = build(session(ONE, TWO, models={SONNET: BOTH}))
    first, second = spans(trace, "LLM")
    assert tokens(first) == {
        "input_tokens": 3,
        "output_tokens": 100,
        "total_tokens": 103,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 500,
    }
    assert tokens(second)["output_tokens"] == 40
    assert trace.receipt.verdict == "reconciled"
    assert trace.receipt.differences == []


def test_costs_of_calls_follow_from_the_logs_own_price() -> None:
    trace = build(session(ONE, TWO, models={SONNET: BOTH}))
    costs = [span.attributes["mlflow.llm.cost"] for span in spans(trace, "LLM")]
    assert costs[0]["total_cost"] == pytest.approx(cost(SONNET, ONE))
    assert costs[0]["output_cost"] == pytest.approx(100 * 15e-6)
    assert sum(each["total_cost"] for each in costs) == pytest.approx(cost(SONNET, BOTH))
    assert "mlflow.llm.cost" not in trace.spans[0].attributes  # or charts would count it twice
    assert trace.spans[0].attributes["evalkit.cost.usd_per_million_input_tokens"] == {SONNET: 3.0}


def test_the_traces_totals_are_the_results() -> None:
    metadata = build(session(ONE, TWO, models={SONNET: BOTH})).metadata
    assert json.loads(metadata["mlflow.trace.tokenUsage"]) == {
        "input_tokens": 4,
        "output_tokens": 140,
        "total_tokens": 144,
        "cache_read_input_tokens": 500,
        "cache_creation_input_tokens": 560,
    }
    totals = json.loads(metadata["mlflow.trace.cost"])
    assert totals["total_cost"] == pytest.approx(cost(SONNET, BOTH))
    assert totals["input_cost"] + totals["output_cost"] == pytest.approx(totals["total_cost"])
    assert "mlflow.trace.session" not in metadata  # or MLflow would group by it


def test_placeholders_are_no_output_tokens_but_a_remainder_with_a_name() -> None:
    log = session(placeholder(ONE), placeholder(TWO, 8), models={SONNET: BOTH})
    trace = build(log)
    first, second = spans(trace, "LLM")
    assert "output_tokens" not in tokens(first)
    assert "total_tokens" not in tokens(first)
    assert second.attributes["evalkit.usage.output_tokens_logged"] == 8
    assert told(trace) == [
        ("output_tokens", 0, 140),
        ("cost_usd", 0.0, pytest.approx(cost(SONNET, BOTH))),
    ]
    assert trace.receipt.differences[0].why == (
        "2 of 2 calls log only a placeholder for their output"
    )
    rest = trace.spans[0].attributes["evalkit.remainder"]
    assert rest == {SONNET: {"output_tokens": 140, "cost_usd": pytest.approx(cost(SONNET, BOTH))}}
    assert trace.receipt.verdict == "reconciled, output tokens from the result"


def test_a_call_without_a_known_cost_keeps_mlflow_from_guessing_one() -> None:
    trace = build(session(placeholder(ONE), placeholder(TWO), models={SONNET: BOTH}))
    assert [span.attributes["mlflow.llm.cost"] for span in spans(trace, "LLM")] == [{}, {}]
    root = trace.spans[0].attributes
    assert root["mlflow.llm.cost"]["total_cost"] == pytest.approx(cost(SONNET, BOTH))
    assert root["mlflow.llm.model"] == SONNET
    assert tokens(trace.spans[0])["output_tokens"] == 140


@pytest.mark.parametrize(
    ("basis", "log"),
    [
        ("stop_reason", [
            say("m1", text("a"), used=ONE, stop="tool_use"),
            say("m2", text("b"), used=placeholder(TWO)),
            finish(models={SONNET: added([BOTH, usage(9, 9)])}),
        ]),
        ("stream", [
            {"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m1"}}},
            say("m1", text("a"), used=placeholder(ONE)),
            {"type": "stream_event", "event": {"type": "message_delta", "usage": ONE}},
            finish(models={SONNET: added([ONE, usage(9, 9)])}),
        ]),
        ("result", [
            say("m1", text("a"), used=placeholder(ONE)),
            say("m2", text("b"), used=placeholder(TWO)),
            say("m3", text("b"), used=placeholder(usage(7, 7))),
            finish(models={SONNET: added([BOTH, usage(9, 9)])},
                   main={**BOTH, "iterations": [ONE]}),
        ]),
        ("result", [
            say("m1", text("a"), used=ONE),
            say("m2", text("b"), used=TWO),
            finish(models={SONNET: added([BOTH, usage(9, 9)])}, main=BOTH),
        ]),
        ("remainder", [
            say("m1", text("a"), used=placeholder(ONE)),
            finish(models={SONNET: ONE}),
        ]),
    ],
)  # fmt: skip
def test_output_tokens_are_facts_where_the_log_determines_them(
    basis: str, log: list[Event]
) -> None:
    call = spans(build([init(), *log]), "LLM")[0]
    assert tokens(call)["output_tokens"] == 100
    assert call.attributes["evalkit.usage.output_basis"] == basis


def test_outputs_that_exceed_the_result_are_not_believed() -> None:
    log = session(ONE, TWO, models={SONNET: {**BOTH, "output_tokens": 5}})
    stopped = [
        {**e, "message": {**e["message"], "stop_reason": "end_turn"}}
        if e["type"] == "assistant"
        else e
        for e in log
    ]
    trace = build(stopped)
    assert "output_tokens" not in tokens(spans(trace, "LLM")[0])
    assert "exceed its own result" in trace.receipt.differences[0].why


def test_a_message_that_logs_zero_tokens_logs_none() -> None:
    trace = build(session(usage(0, 0), TWO, models={SONNET: BOTH}))
    assert "mlflow.chat.tokenUsage" not in spans(trace, "LLM")[0].attributes
    assert trace.receipt.differences[0].why == "1 of 2 calls log no tokens"


def test_models_that_the_log_does_not_show_are_named() -> None:
    helper = usage(700, 30)
    trace = build(session(ONE, TWO, models={SONNET: BOTH, HAIKU: helper}, main=BOTH))
    assert trace.spans[0].attributes["evalkit.remainder"] == {
        HAIKU: {
            "input_tokens": 700,
            "output_tokens": 30,
            "cost_usd": pytest.approx(cost(HAIKU, helper)),
        }
    }
    assert {d.model for d in trace.receipt.differences} == {HAIKU, ""}


def test_models_go_by_several_names() -> None:
    names = [
        "claude-haiku-4-5",
        "claude-haiku-4-5@20251001",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "claude-haiku-4-5[1m]",
    ]
    for name in names:
        share = {"input_tokens": 3, "output_tokens": 4, "costUSD": 0.01}
        log = [
            init(),
            say("m", text("a"), used=usage(3, 4), model=HAIKU),
            finish(modelUsage={name: share}, total_cost_usd=0.01),
        ]
        assert [d.what for d in build(log).receipt.differences] == ["cost_usd"]


def test_a_result_that_names_no_models_is_compared_with_the_main_thread() -> None:
    trace = build(session(ONE, TWO, main=BOTH, total_cost_usd=cost(SONNET, BOTH)))
    assert trace.receipt.verdict == "reconciled"
    assert json.loads(trace.metadata["mlflow.trace.tokenUsage"])["output_tokens"] == 140


def test_cache_writes_kept_for_an_hour_are_told_apart_and_priced() -> None:
    hour = usage(3, 100, 0, 500, hour=500)
    trace = build([init(), say("m", text("a"), used=hour), finish(models={SONNET: hour})])
    call = spans(trace, "LLM")[0]
    assert tokens(call)["cache_creation_input_tokens_above_1hr"] == 500
    assert call.attributes["evalkit.cost.usd"] == pytest.approx(cost(SONNET, hour))


def test_older_versions_priced_all_cache_writes_alike() -> None:
    hour = usage(3, 100, 0, 500, hour=500)
    alike = cost(SONNET, usage(3, 100, 0, 500))
    result = finish(models={SONNET: hour})
    result["modelUsage"][SONNET]["costUSD"] = result["total_cost_usd"] = alike
    trace = build([init(), say("m", text("a"), used=hour), result])
    assert spans(trace, "LLM")[0].attributes["evalkit.cost.usd"] == pytest.approx(alike)


def test_a_cost_that_no_price_explains_stays_with_the_trace() -> None:
    result = finish(models={SONNET: BOTH})
    result["modelUsage"][SONNET]["costUSD"] = result["total_cost_usd"] = 0.0123456789
    trace = build([*session(ONE, TWO)[:-1], result])
    assert [s.attributes["mlflow.llm.cost"] for s in spans(trace, "LLM")] == [{}, {}]
    assert json.loads(trace.metadata["mlflow.trace.cost"]) == {"total_cost": 0.0123456789}
    assert trace.receipt.differences[-1].why.startswith("no price explains")


def test_a_subagents_last_message_may_be_told_by_its_tools_result_only() -> None:
    inside, last = usage(4, 2, 100, 50), usage(2, 77, 150, 9)
    log = [
        init(),
        say("m1", use("t1", "Task", prompt="p"), used=ONE, stop="tool_use"),
        say("s1", use("t2", "Bash", command="x"), used=inside, parent="t1", model=HAIKU),
        answer("t2", "y", parent="t1"),
        answer("t1", "four", tool_use_result={"content": [text("four")], "usage": last}),
        say("m2", text("b"), used=TWO, stop="end_turn"),
        finish(models={SONNET: BOTH, HAIKU: added([inside, last])}),
    ]
    trace = build(log)
    closing = spans(trace, "LLM")[-1]
    assert closing.outputs["content"] == [text("four")]
    assert tokens(closing)["output_tokens"] == 77
    assert closing.attributes["evalkit.usage.output_basis"] == "tool result"
    assert trace.receipt.verdict == "reconciled"


def test_a_last_message_that_the_log_shows_gets_its_output_from_the_tools_result() -> None:
    inside = usage(4, 77, 100, 50)
    log = [
        init(),
        say("m1", use("t1", "Task", prompt="p"), used=ONE),
        say("s1", text("four"), used=placeholder(inside), parent="t1", model=HAIKU),
        answer("t1", "four", tool_use_result={"usage": inside}),
        finish(models={SONNET: added([ONE, TWO]), HAIKU: added([inside, usage(5, 5)])}),
    ]
    trace = build(log)
    assert len(spans(trace, "LLM")) == 2
    assert tokens(spans(trace, "LLM")[1])["output_tokens"] == 77


def test_a_last_message_that_the_totals_have_no_room_for_is_not_believed() -> None:
    inside = usage(4, 77, 100, 50)
    log = [
        init(),
        say("m1", use("t1", "Task", prompt="p"), used=ONE),
        say("s1", text("four"), used=inside, parent="t1", model=HAIKU),
        answer("t1", "four", tool_use_result={"usage": usage(8, 99, 300, 90)}),
        finish(models={SONNET: ONE, HAIKU: inside}),
    ]
    assert len(spans(build(log), "LLM")) == 2


def two_results(one: Event, two: Event) -> list[Event]:
    return [
        init(),
        say("m1", text("a"), used=ONE),
        finish(models={SONNET: one}),
        init(),
        say("m2", text("b"), used=TWO),
        finish(models={SONNET: two}),
    ]


@pytest.mark.parametrize(
    ("log", "output"),
    [
        (two_results(ONE, BOTH), 140),  # one process restates what it used before
        (two_results(ONE, TWO), 140),  # two processes do not
        (two_results(BOTH, TWO), 180),
        (two_results(ONE, added([BOTH, usage(9, 9)])), 149),
    ],
)
def test_results_of_one_process_are_not_added_up(log: list[Event], output: int) -> None:
    trace = build(log)
    assert trace.receipt.sessions == 2
    totals = json.loads(trace.metadata["mlflow.trace.tokenUsage"])
    assert totals["output_tokens"] == output


def test_a_session_without_totals_leaves_output_and_cost_open() -> None:
    trace = build(session(ONE, TWO)[:-1])
    totals = json.loads(trace.metadata["mlflow.trace.tokenUsage"])
    assert "output_tokens" not in totals
    assert totals["cache_creation_input_tokens"] == 560
    assert "mlflow.trace.cost" not in trace.metadata


@pytest.mark.parametrize("seed", range(12))
def test_whole_stories_reconcile_to_the_token(seed: int) -> None:
    trace = build(Story(seed).tell(10))
    assert trace.receipt.verdict == "reconciled", trace.receipt.differences
    totals = json.loads(trace.metadata["mlflow.trace.tokenUsage"])
    for kind, stated in totals.items():
        assert sum(tokens(span).get(kind, 0) for span in spans(trace, "LLM")) == stated
