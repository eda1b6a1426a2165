"""Tokens and cost: what spans carry as fact, what is left over, and where that is named.

Figures are input and output tokens, USD and the receipt's verdict.
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
    facts,
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

ONE, TWO, SEVEN = usage(1000, 100, 0, 500), usage(1500, 50, 500, 60), usage(7, 7)
BOTH = added([ONE, TWO])
WHOLE = cost(SONNET, BOTH)
BEYOND = added([BOTH, usage(9, 9)])  # with what helpers used
OUTPUT_ONLY = "reconciled, output tokens from the result"
UNLOGGED = "reconciled, unlogged tokens from the result"
COST = "mlflow.llm.cost"


def said(*used: Event, ids: str = "mno", stop: str | None = "end_turn", **more: Any) -> list[Event]:
    """A message for each usage."""
    pairs = zip(ids, used, strict=False)
    return [say(name, text("b"), used=each, stop=stop, **more) for name, each in pairs]


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


ERROR = finish(subtype="error_during_execution", is_error=True, main=usage(0, 0), models={})
NEXT = [init(), *said(TWO, ids="n")]
DEAR = 0.0123456789
FIGURES: dict[str, tuple[list[Event], tuple[Any, ...]]] = {
    "usage that every line repeats": (
        [*said(ONE), *said(ONE), *said(TWO, ids="n"), told(BOTH)],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "a result without tokens": (
        [*said(ONE, TWO), finish(total_cost_usd=0.03)],
        (2500, 150, 0.03, "incomplete"),
    ),
    "no result": ([ask("hi"), *said(ONE, TWO)], (2500, 150, None, "incomplete")),
    "no result, and placeholders": (
        [ask("hi"), *said(vague(ONE), stop=None)],
        (1000, None, None, "incomplete"),
    ),
    "a result and nothing else": ([plain(ONE, 0.2)], (1000, 100, 0.2, UNLOGGED)),
    # results of one process restate what it used before, those of two do not
    "one process that restates": (
        [*said(ONE), told(ONE), *NEXT, told(BOTH, TWO)],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "one process that restates its cost only": (
        [*said(ONE), plain(ONE, cost(SONNET, ONE)), *NEXT, plain(TWO, WHOLE)],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "two processes of one session": (
        [*said(ONE), told(ONE), *NEXT, told(TWO)],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "an error between two results": (
        [*said(ONE), told(ONE), ERROR | {"total_cost_usd": 0}, *NEXT, told(BOTH, TWO)],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "two processes whose results take turns": (
        [
            *(*said(ONE), told(ONE), *of("b", init(), *said(SEVEN, ids="n"), told(SEVEN))),
            *(init(), *said(TWO, ids="o"), told(BOTH, TWO)),
        ],
        (2507, 157, WHOLE + cost(SONNET, SEVEN), "reconciled"),
    ),
    "placeholders": (
        [*said(vague(ONE), vague(TWO, 8), stop=None), told(BOTH)],
        (2500, 150, WHOLE, OUTPUT_ONLY),
    ),
    "a helper model that no message shows": (
        [*said(ONE), finish(models={SONNET: ONE, HAIKU: TWO}, main=ONE)],
        (2500, 150, cost(SONNET, ONE) + cost(HAIKU, TWO), UNLOGGED),
    ),
    "a cost that no price explains": (
        [*said(ONE), priced(told(ONE), DEAR)],
        (1000, 100, DEAR, "reconciled, cost from the result"),
    ),
    "a message that logs no tokens": (
        [*said(usage(0, 0), TWO), told(BOTH)],
        (2500, 150, WHOLE, UNLOGGED),
    ),
    # nobody can explain these
    "lost messages": ([*said(ONE), told(BOTH)], (2500, 150, WHOLE, "differs")),
    "outputs that exceed the result": (
        [*said(ONE, TWO), told(vague(BOTH, 5))],
        (2500, 5, cost(SONNET, vague(BOTH, 5)), "differs"),
    ),
    "a model that the result does not name": (
        [*said(ONE), *said(TWO, ids="n", model="glm-4.6"), told(ONE)],
        (1000, 100, cost(SONNET, ONE), "differs"),
    ),
    "a subagent beside a result without models": (
        [
            say("n", use("t", "Task", prompt="x"), used=ONE, stop="tool_use"),
            *(*said(TWO, parent="t"), answer("t", "y"), plain(ONE, 0.01)),
        ],
        (2500, 150, 0.01, "differs"),
    ),
}


def test_a_trace_has_the_figures_that_its_log_determines(evalkit, project, database_uri) -> None:
    project.unlog(*CASES)
    for case, (events, _) in FIGURES.items():
        project.log(case, b"".join(as_lines([init(), *events])))
    evalkit("log-results", "--run-id", RUN_ID)
    found = {}
    for case, trace in InMlflow(database_uri).traces().items():
        used, paid = trace.info.token_usage or {}, (trace.info.cost or {}).get("total_cost")
        read, written = used.get("input_tokens"), used.get("output_tokens")
        found[case] = read, written, paid, trace.info.tags["evalkit.receipt"]
    for case, (_, (read, written, usd, verdict)) in FIGURES.items():
        assert found[case] == (read, written, usd and pytest.approx(usd), verdict), case


LAST, INSIDE = usage(2, 77, 150, 9), usage(4, 77, 100, 50)
SHORT = usage(4, 2, 100, 50)
TASK = say("m", use("t", "Task", prompt="x"), used=ONE, stop="tool_use")
SHARED = [ask("do it"), say("m1", use("t1", "Bash", command="ls"), used=ONE), answer("t1", "ONE")]
START = {"type": "stream_event", "event": {"type": "message_start", "message": {"id": "m"}}}
DELTA = {"type": "stream_event", "event": {"type": "message_delta", "usage": ONE}}

CALLS: dict[str, tuple[list[Event], dict[str, Any]]] = {
    # how output tokens are known
    "why a message ended": ([*said(ONE), told(BEYOND, BOTH)], {"basis": ["stop_reason"]}),
    "pieces of a message": (
        [START, *said(vague(ONE), stop=None), DELTA, told(added([ONE, usage(9, 9)]))],
        {"basis": ["stream"], "calls": [(1000, 100)]},
    ),
    "the result's last message": (
        [
            *said(vague(ONE), vague(TWO), vague(SEVEN), stop=None),
            told(BEYOND, {**BOTH, "iterations": [ONE]}),
        ],
        {"basis": ["result", None, None], "calls": [(1000, 100), (1500, None), (7, None)]},
    ),
    "outputs that add up": (
        [*said(ONE, TWO, stop=None), told(BEYOND, BOTH)],
        {"basis": ["result", "result"]},
    ),
    "one that is left": (
        [*said(vague(ONE), stop=None), told(ONE)],
        {"basis": ["remainder"], "calls": [(1000, 100)]},
    ),
    # a subagent's last message, of which its tool's result tells
    "a last message that is not in the log": (
        [
            *(TASK, say("s", use("t2", "Bash"), used=SHORT, parent="t", model=HAIKU)),
            *(answer("t2", "y", parent="t"),),
            answer("t", "four", tool_use_result={"content": [text("four")], "usage": LAST}),
            *said(TWO, ids="n"),
            finish(models={SONNET: BOTH, HAIKU: added([SHORT, LAST])}),
        ],
        {"calls": [(1000, 100), (1500, 50), (4, 2), (2, 77)], "said": ["", "b", "", "four"]},
    ),
    "a last message with a placeholder": (
        [
            say("m", use("t", "Task", prompt="x"), used=ONE),
            say("s", text("four"), used=vague(INSIDE), parent="t", model=HAIKU),
            answer("t", "four", tool_use_result={"usage": INSIDE}),
            finish(models={SONNET: BOTH, HAIKU: added([INSIDE, usage(5, 5)])}),
        ],
        {"calls": [(1000, None), (4, 77)], "basis": [None, "tool result"]},
    ),
    # messages that two threads have
    "a session that begins with an earlier one's messages": (
        [
            *(*SHARED, told(ONE)),
            *of("s2", init(), *SHARED, ask("and now?"), *said(TWO, ids="c"), told(TWO)),
        ],
        {"calls": [(1000, 100), (1500, 50)]},
    ),
    "threads that share only an id": (
        [TASK, *said(TWO, parent="t"), answer("t", "y"), told(BOTH, ONE)],
        {"calls": [(1000, 100), (1500, 50)]},
    ),
}


@pytest.mark.parametrize("log", CALLS)
def test_a_call_has_the_tokens_that_are_facts(log: str) -> None:
    events, wanted = CALLS[log]
    assert_told(build([init(), *events]), **wanted)


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
        trace = build([init(), *FIGURES[log][0]])
        assert any(why in each.why for each in trace.receipt.differences)


def test_costs_of_calls_follow_from_the_logs_own_price_and_add_up_once() -> None:
    trace = build([init(), *FIGURES["usage that every line repeats"][0]])
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
    names = ("input", "output", "total", "cache_creation_input", "cache_read_input")
    read = dict(zip((f"{name}_tokens" for name in names), (1000, 100, 1100, 500, 0), strict=True))
    assert calls[0].attributes[TOKENS] == read


def test_what_no_call_accounts_for_stays_with_the_session() -> None:
    trace = build([init(), *FIGURES["placeholders"][0]])
    root, calls = trace.spans[0].attributes, spans(trace, "LLM")
    assert facts(trace)["calls"] == [(1000, None), (1500, None)]
    assert [span.attributes[COST] for span in calls] == [{}, {}]  # keeps MLflow from guessing
    assert [c.attributes["evalkit.usage.output_tokens_logged"] for c in calls] == [1, 8]
    left = {"output_tokens": 150, "cost_usd": pytest.approx(WHOLE)}
    assert root["evalkit.remainder"] == {SONNET: left}
    assert root[COST]["total_cost"] == pytest.approx(WHOLE)
    assert (root["mlflow.llm.model"], root[TOKENS]["output_tokens"]) == (SONNET, 150)


def test_cache_writes_kept_for_an_hour_are_priced_as_the_result_does() -> None:
    hour = usage(3, 100, 0, 500, hour=500)
    alike = cost(SONNET, usage(3, 100, 0, 500))  # as older versions did
    for end, usd in ((told(hour), cost(SONNET, hour)), (priced(told(hour), alike), alike)):
        (call,) = spans(build([init(), *said(hour), end]), "LLM")
        assert call.attributes[TOKENS]["cache_creation_input_tokens_above_1hr"] == 500
        assert call.attributes["evalkit.cost.usd"] == pytest.approx(usd)


def test_a_transcript_that_repeats_the_callers_messages_counts_them_once() -> None:
    rest = usage(300, 10)
    aside = [*SHARED, ask("sum up"), *said(TWO, ids="c")]  # compaction, a forked agent
    end = finish(models={SONNET: added([BOTH, rest])}, main=added([ONE, rest]))
    log = [init(), *SHARED, system("compact_boundary"), *said(rest, ids="n"), end]
    trace = build_lines(as_lines(log), sidecars={"agent-acompact-1.jsonl": as_lines(aside)})
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
