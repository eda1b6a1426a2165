"""Tokens and cost: what spans carry as fact, what is left over, and where that is named.

A row's ``figures`` are input and output tokens, USD and the receipt's verdict.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    TOKENS,
    Event,
    Story,
    added,
    answer,
    as_lines,
    ask,
    assert_told,
    build,
    build_lines,
    cost,
    finish,
    init,
    say,
    spans,
    system,
    text,
    usage,
    use,
)
from eval_project import CASES, RUN_ID
from in_mlflow import InMlflow

ONE, TWO = usage(1000, 100, 0, 500), usage(1500, 50, 500, 60)
BOTH = added([ONE, TWO])
WHOLE = cost(SONNET, BOTH)
OUTPUT_ONLY = "reconciled, output tokens from the result"
UNLOGGED = "reconciled, unlogged tokens from the result"
COST = "mlflow.llm.cost"


def said(*used: Event, stop: str | None = "end_turn", **more: Any) -> list[Event]:
    return [say(f"m{n}", text("hm"), used=each, stop=stop, **more) for n, each in enumerate(used)]


def more(message: str, used: Event, **about: Any) -> Event:
    return say(message, text("b"), used=used, stop="end_turn", **about)


def plain(main: Event, usd: float) -> Event:
    """A result that tells of no models."""
    return finish(main=main, total_cost_usd=usd)


def told(used: Event, main: Event | None = None, **about: Any) -> Event:
    """A result that tells of one model."""
    return finish(models={SONNET: used}, main=used if main is None else main, **about)


def vague(used: Event, out: int = 1) -> Event:
    """A placeholder, as lines have it that are logged while the message is being written."""
    return {**used, "output_tokens": out}


def of(session: str, *events: Event) -> list[Event]:
    return [{**event, "session_id": session} for event in events]


def priced(event: Event, usd: float) -> Event:
    event["modelUsage"][SONNET]["costUSD"] = event["total_cost_usd"] = usd
    return event


ERROR = {
    **finish(subtype="error_during_execution", is_error=True, main=usage(0, 0), models={}),
    "total_cost_usd": 0,
}
TASK = use("t", "Task", prompt="x")
HOUR = usage(3, 100, 0, 500, hour=500)
LAST = usage(2, 77, 150, 9)
INSIDE = usage(4, 77, 100, 50)
SHARED = [
    say("m1", use("t1", "Bash", command="ls"), used=ONE),
    answer("t1", "ONE"),
]
SUMMARY = more("c1", TWO)

LOGS: dict[str, tuple[list[Event], dict[str, Any]]] = {
    "usage that every line repeats": (
        [init(), *said(ONE), *said(ONE), more("n", TWO), told(BOTH)],
        {"figures": (2500, 150, WHOLE, "reconciled"), "calls": [(1000, 100), (1500, 50)]},
    ),
    # the result names no tokens: what the messages say stands
    "a result without tokens": (
        [init(), *said(ONE, TWO), finish(total_cost_usd=0.03)],
        {"figures": (2500, 150, 0.03, "incomplete")},
    ),
    "a transcript without any result": (
        [ask("hi"), *said(ONE, TWO)],
        {"figures": (2500, 150, None, "incomplete")},
    ),
    "a transcript of placeholders": (
        [ask("hi"), *said(vague(ONE), stop=None)],
        {"figures": (1000, None, None, "incomplete")},
    ),
    "a result and nothing else": (
        [plain(ONE, 0.2)],
        {"figures": (1000, 100, 0.2, UNLOGGED)},
    ),
    # results of one process restate what it used before, those of two do not
    "one process that restates": (
        [init(), *said(ONE), told(ONE), init(), more("n", TWO), told(BOTH, TWO)],
        {"figures": (2500, 150, WHOLE, "reconciled"), "sessions": 2},
    ),
    "one process that restates its cost only": (
        [
            init(),
            *said(ONE),
            plain(ONE, cost(SONNET, ONE)),
            init(),
            more("n", TWO),
            plain(TWO, WHOLE),
        ],
        {"figures": (2500, 150, WHOLE, "reconciled")},
    ),
    "two processes of one session": (
        [init(), *said(ONE), told(ONE), init(), more("n", TWO), told(TWO)],
        {"figures": (2500, 150, WHOLE, "reconciled")},
    ),
    "an error between two results": (
        [init(), *said(ONE), told(ONE), ERROR, init(), more("n", TWO), told(BOTH, TWO)],
        {"figures": (2500, 150, WHOLE, "reconciled")},
    ),
    "two processes whose results take turns": (
        [
            *of("a", init(), *said(ONE), told(ONE)),
            *of("b", init(), more("n", usage(7, 7)), told(usage(7, 7))),
            *of("a", init(), more("o", TWO), told(BOTH, TWO)),
        ],
        {"figures": (2507, 157, WHOLE + cost(SONNET, usage(7, 7)), "reconciled")},
    ),
    "placeholders": (
        [init(), *said(vague(ONE), vague(TWO, 8), stop=None), told(BOTH)],
        {
            "figures": (2500, 150, WHOLE, OUTPUT_ONLY),
            "calls": [(1000, None), (1500, None)],
            "differ": [("output_tokens", SONNET, 0, 150), ("cost_usd", "", 0.0, WHOLE)],
        },
    ),
    "a helper model that no message shows": (
        [init(), *said(ONE), finish(models={SONNET: ONE, HAIKU: TWO}, main=ONE)],
        {"figures": (2500, 150, cost(SONNET, ONE) + cost(HAIKU, TWO), UNLOGGED)},
    ),
    "a cost that no price explains": (
        [init(), *said(ONE), priced(told(ONE), 0.0123456789)],
        {"figures": (1000, 100, 0.0123456789, "reconciled, cost from the result")},
    ),
    "a result that names no models": (
        [init(), *said(ONE, TWO), plain(BOTH, WHOLE)],
        {"figures": (2500, 150, WHOLE, "reconciled")},
    ),
    "a message that logs no tokens": (
        [init(), *said(usage(0, 0), TWO), told(BOTH)],
        {"calls": [(None, None), (1500, 50)], "figures": (2500, 150, WHOLE, UNLOGGED)},
    ),
    # nobody can explain these
    "lost messages of the main thread": (
        [init(), *said(ONE), told(BOTH)],
        {"figures": (2500, 150, WHOLE, "differs")},
    ),
    "outputs that exceed the result": (
        [init(), *said(ONE, TWO), told(vague(BOTH, 5))],
        {
            "calls": [(1000, None), (1500, None)],
            "figures": (2500, 5, cost(SONNET, vague(BOTH, 5)), "differs"),
        },
    ),
    "a model that the result does not name": (
        [init(), *said(ONE), more("n", TWO, model="glm-4.6"), told(ONE)],
        {"figures": (1000, 100, cost(SONNET, ONE), "differs")},
    ),
    "a subagent beside a result without models": (
        [
            *(init(), say("n", TASK, used=ONE, stop="tool_use")),
            *(*said(TWO, parent="t"), answer("t", "y"), plain(ONE, 0.01)),
        ],
        {"figures": (2500, 150, 0.01, "differs")},
    ),
    # how output tokens are known
    "why a message ended": (
        [init(), *said(ONE), *said(ONE), told(added([BOTH, usage(9, 9)]), BOTH)],
        {"basis": ["stop_reason"]},
    ),
    "pieces of a message": (
        [
            *(init(), {"type": "stream_event", "event": {"type": "message_start"}}),
            {"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m0"}}},
            *said(vague(ONE), stop=None),
            {"type": "stream_event", "event": {"type": "message_delta", "usage": ONE}},
            told(added([ONE, usage(9, 9)])),
        ],
        {"basis": ["stream"], "calls": [(1000, 100)]},
    ),
    "the result's last message": (
        [
            *(init(), *said(vague(ONE), vague(TWO), vague(usage(7, 7)), stop=None)),
            told(added([BOTH, usage(9, 9)]), {**BOTH, "iterations": [ONE]}),
        ],
        {"basis": ["result", None, None], "calls": [(1000, 100), (1500, None), (7, None)]},
    ),
    "outputs that add up": (
        [init(), *said(ONE, TWO, stop=None), told(added([BOTH, usage(9, 9)]), BOTH)],
        {"basis": ["result", "result"]},
    ),
    "one that is left": (
        [init(), *said(vague(ONE), stop=None), told(ONE)],
        {"basis": ["remainder"], "calls": [(1000, 100)]},
    ),
    # a subagent's last message, of which its tool's result tells
    "a last message that is not in the log": (
        [
            *(init(), say("m1", TASK, used=ONE, stop="tool_use")),
            say("s1", use("t2", "Bash"), used=usage(4, 2, 100, 50), parent="t", model=HAIKU),
            *(answer("t2", "y", parent="t"),),
            answer("t", "four", tool_use_result={"content": [text("four")], "usage": LAST}),
            more("m2", TWO),
            finish(models={SONNET: BOTH, HAIKU: added([usage(4, 2, 100, 50), LAST])}),
        ],
        {"calls": [(1000, 100), (1500, 50), (4, 2), (2, 77)], "said": ["", "b", "", "four"]},
    ),
    "a last message with a placeholder": (
        [
            *(init(), say("m1", TASK, used=ONE)),
            say("s1", text("four"), used=vague(INSIDE), parent="t", model=HAIKU),
            answer("t", "four", tool_use_result={"usage": INSIDE}),
            finish(models={SONNET: BOTH, HAIKU: added([INSIDE, usage(5, 5)])}),
        ],
        {"calls": [(1000, None), (4, 77)], "basis": [None, "tool result"]},
    ),
    # messages that two threads have
    "a session that begins with an earlier one's messages": (
        [
            *(init(), ask("do it"), *SHARED, told(ONE)),
            *of("s2", init(), ask("do it"), *SHARED, ask("and now?"), SUMMARY, told(TWO)),
        ],
        {"calls": [(1000, 100), (1500, 50)], "figures": (2500, 150, WHOLE, "reconciled")},
    ),
    "threads that share only an id": (
        [
            *(init(), say("msg", TASK, used=ONE, stop="tool_use"), more("msg", TWO, parent="t")),
            *(answer("t", "y"), told(BOTH, ONE)),
        ],
        {"calls": [(1000, 100), (1500, 50)], "figures": (2500, 150, WHOLE, "reconciled")},
    ),
}


def close(figures: tuple[Any, ...]) -> tuple[Any, ...]:
    """With USD as close as floats are that were added up in another order."""
    return tuple(pytest.approx(each) if isinstance(each, float) else each for each in figures)


@pytest.mark.parametrize("log", LOGS)
def test_a_trace_has_the_figures_that_its_log_determines(log: str) -> None:
    events, wanted = LOGS[log]
    if "figures" in wanted:
        wanted = {**wanted, "figures": close(wanted["figures"])}
    if "differ" in wanted:
        wanted = {**wanted, "differ": [close(each) for each in wanted["differ"]]}
    assert_told(build(events), **wanted)


def test_logs_in_mlflow_have_the_figures_that_they_say(evalkit, project, database_uri) -> None:
    wanted = {name: told["figures"] for name, (_, told) in LOGS.items() if "figures" in told}
    project.unlog(*CASES)
    for case in wanted:
        project.log(case, b"".join(as_lines(LOGS[case][0])))
    evalkit("log-results", "--run-id", RUN_ID)
    found = {}
    for case, trace in InMlflow(database_uri).traces().items():
        used, paid = trace.info.token_usage or {}, (trace.info.cost or {}).get("total_cost")
        read, written = used.get("input_tokens"), used.get("output_tokens")
        found[case] = read, written, paid, trace.info.tags["evalkit.receipt"]
    assert {case: found[case] for case in wanted} == {c: close(told) for c, told in wanted.items()}


def test_the_receipt_says_why_figures_differ() -> None:
    for log, why in {
        "placeholders": "2 of 2 calls log only a placeholder for their output",
        "outputs that exceed the result": "exceed its own result",
        "a message that logs no tokens": "1 of 2 calls log no tokens",
        "a cost that no price explains": "no price explains",
        "a helper model that no message shows": "helper calls, or a subagent's",
        "a model that the result does not name": "names no such model",
        "a subagent beside a result without models": "tells of the main thread alone",
    }.items():
        assert any(why in each.why for each in build(LOGS[log][0]).receipt.differences)


def test_costs_of_calls_follow_from_the_logs_own_price_and_add_up_once() -> None:
    trace = build(LOGS["usage that every line repeats"][0])
    root, calls = trace.spans[0].attributes, spans(trace, "LLM")
    costs = [span.attributes[COST] for span in calls]
    assert costs[0]["total_cost"] == pytest.approx(cost(SONNET, ONE))
    assert costs[0]["output_cost"] == pytest.approx(100 * 15e-6)
    assert sum(each["total_cost"] for each in costs) == pytest.approx(WHOLE)
    assert COST not in root  # or charts would count it twice
    assert root["evalkit.cost.usd_per_million_input_tokens"] == {SONNET: 3.0}
    totals = json.loads(trace.metadata["mlflow.trace.cost"])
    assert totals["input_cost"] + totals["output_cost"] == pytest.approx(totals["total_cost"])
    assert "mlflow.trace.session" not in trace.metadata  # or MLflow would group by it
    assert calls[0].attributes[TOKENS] == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 500,
    }


def test_what_no_call_accounts_for_stays_with_the_session() -> None:
    trace = build(LOGS["placeholders"][0])
    root, calls = trace.spans[0].attributes, spans(trace, "LLM")
    assert [span.attributes[COST] for span in calls] == [{}, {}]  # keeps MLflow from guessing
    assert [c.attributes["evalkit.usage.output_tokens_logged"] for c in calls] == [1, 8]
    assert root["evalkit.remainder"] == {
        SONNET: {"output_tokens": 150, "cost_usd": pytest.approx(WHOLE)}
    }
    assert root[COST]["total_cost"] == pytest.approx(WHOLE)
    assert (root["mlflow.llm.model"], root[TOKENS]["output_tokens"]) == (SONNET, 150)


def test_cache_writes_kept_for_an_hour_are_priced_as_the_result_does() -> None:
    alike = cost(SONNET, usage(3, 100, 0, 500))  # as older versions did
    for end, usd in ((told(HOUR), cost(SONNET, HOUR)), (priced(told(HOUR), alike), alike)):
        (call,) = spans(build([init(), *said(HOUR), end]), "LLM")
        assert call.attributes[TOKENS]["cache_creation_input_tokens_above_1hr"] == 500
        assert call.attributes["evalkit.cost.usd"] == pytest.approx(usd)


def test_a_transcript_that_repeats_the_callers_messages_counts_them_once() -> None:
    aside = [ask("do it"), *SHARED, ask("sum up"), SUMMARY]  # compaction, a forked agent
    end = finish(models={SONNET: added([BOTH, usage(300, 10)])}, main=added([ONE, usage(300, 10)]))
    log = [init(), ask("do it"), *SHARED, system("compact_boundary"), more("m2", usage(300, 10))]
    trace = build_lines(as_lines([*log, end]), sidecars={"agent-acompact-1.jsonl": as_lines(aside)})
    assert_told(trace, calls=[(1000, 100), (300, 10), (1500, 50)])
    assert trace.receipt.verdict == "reconciled"
    assert spans(trace, "TOOL")[0].outputs == "ONE"


def test_whole_stories_reconcile_to_the_token() -> None:
    for seed in range(12):
        trace = build(Story(seed).tell(10))
        assert trace.receipt.verdict == "reconciled", trace.receipt.differences
        for kind, stated in json.loads(trace.metadata["mlflow.trace.tokenUsage"]).items():
            calls = [span.attributes[TOKENS] for span in spans(trace, "LLM")]
            assert sum(each.get(kind, 0) for each in calls) == stated
