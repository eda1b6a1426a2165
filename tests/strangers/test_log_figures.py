"""Tokens, cost and verdicts of strangers' logs: what the trace in MLflow says of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentlogs import (
    HAIKU,
    SONNET,
    Event,
    added,
    answer,
    as_lines,
    ask,
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

ONE, TWO = usage(1000, 100), usage(1500, 50)
BOTH = added([ONE, TWO])
WHOLE = cost(SONNET, BOTH)
OUTPUT_ONLY = "reconciled, output tokens from the result"
UNLOGGED = "reconciled, unlogged tokens from the result"


def said(*used: Event, stop: str | None = "end_turn", **more: Any) -> list[Event]:
    return [say(f"m{n}", text("hm"), used=each, stop=stop, **more) for n, each in enumerate(used)]


def plain(main: Event, usd: float, **more: Any) -> Event:
    """A result that tells of no models."""
    return finish(main=main, total_cost_usd=usd, **more)


def placeholder(used: Event) -> Event:
    return {**used, "output_tokens": 1}


ERROR = {
    **finish(subtype="error_during_execution", is_error=True, main=usage(0, 0), models={}),
    "total_cost_usd": 0,
}

TOLD = {
    # the result names no tokens: what the messages say stands
    "result without tokens": (
        [init(), *said(ONE, TWO), finish(total_cost_usd=0.03)],
        (2500, 150, 0.03, "incomplete"),
    ),
    "an error's result of zeros": (
        [init(), *said(ONE, TWO), ERROR],
        (2500, 150, None, "incomplete"),
    ),
    "a transcript without any result": (
        [ask("hi"), *said(ONE, TWO)],
        (2500, 150, None, "incomplete"),
    ),
    "a transcript of placeholders": (
        [ask("hi"), *said(placeholder(ONE), stop=None)],
        (1000, None, None, "incomplete"),
    ),
    "a result and nothing else": ([plain(ONE, 0.2)], (1000, 100, 0.2, UNLOGGED)),
    # results of one process restate what it used before
    "an error between two results": (
        [
            *(init(), *said(ONE), finish(models={SONNET: ONE}, main=ONE)),
            ERROR,
            *(init(), say("n", text("b"), used=TWO, stop="end_turn")),
            finish(models={SONNET: BOTH}, main=TWO),
        ],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "results without models restate the cost": (
        [
            *(init(), *said(ONE), plain(ONE, cost(SONNET, ONE))),
            *(init(), say("n", text("b"), used=TWO, stop="end_turn"), plain(TWO, WHOLE)),
        ],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "results without models that do not": (
        [
            *(init(), *said(ONE), plain(ONE, cost(SONNET, ONE))),
            *(init(), say("n", text("b"), used=TWO, stop="end_turn")),
            plain(TWO, cost(SONNET, TWO)),
        ],
        (2500, 150, WHOLE, "reconciled"),
    ),
    "three results of which two restate": (
        [
            *(init(), *said(ONE), plain(ONE, cost(SONNET, ONE))),
            *(init(), say("n", text("b"), used=TWO, stop="end_turn"), plain(TWO, WHOLE)),
            *(init(), say("o", text("c"), used=TWO, stop="end_turn")),
            plain(TWO, WHOLE + cost(SONNET, TWO)),
        ],
        (4000, 200, WHOLE + cost(SONNET, TWO), "reconciled"),
    ),
    "two processes whose results take turns": (
        [
            *(init("a"), *said(ONE, session_id="a")),
            finish(models={SONNET: ONE}, main=ONE, session="a"),
            *(init("b"), say("n", text("b"), used=usage(7, 7), stop="end_turn", session_id="b")),
            finish(models={SONNET: usage(7, 7)}, main=usage(7, 7), session="b"),
            *(init("a"), say("o", text("c"), used=TWO, stop="end_turn", session_id="a")),
            finish(models={SONNET: BOTH}, main=TWO, session="a"),
        ],
        (2507, 157, WHOLE + cost(SONNET, usage(7, 7)), "reconciled"),
    ),
    # what the result holds and calls do not
    "placeholders": (
        [
            *(init(), *said(placeholder(ONE), placeholder(TWO), stop=None)),
            finish(models={SONNET: BOTH}, main=BOTH),
        ],
        (2500, 150, WHOLE, OUTPUT_ONLY),
    ),
    "a helper model that no message shows": (
        [init(), *said(ONE), finish(models={SONNET: ONE, HAIKU: TWO}, main=ONE)],
        (2500, 150, cost(SONNET, ONE) + cost(HAIKU, TWO), UNLOGGED),
    ),
    "a cost that no price explains": (
        [init(), *said(ONE), plain(ONE, 0.0123456789)],
        (1000, 100, 0.0123456789, "reconciled, cost from the result"),
    ),
    "a message without a model": (
        [init(), *said(ONE, model=None), finish(models={SONNET: ONE}, main=ONE)],
        (1000, 100, cost(SONNET, ONE), "reconciled"),
    ),
    # nobody can explain these
    "lost messages of the main thread": (
        [init(), *said(ONE), finish(models={SONNET: BOTH}, main=BOTH)],
        (2500, 150, WHOLE, "differs"),
    ),
    "more than the result says": (
        [init(), *said(ONE, TWO), finish(models={SONNET: ONE}, main=ONE)],
        (1000, 100, cost(SONNET, ONE), "differs"),
    ),
    "a model that the result does not name": (
        [
            *(init(), *said(ONE)),
            say("n", text("b"), used=TWO, stop="end_turn", model="glm-4.6"),
            finish(models={SONNET: ONE}, main=ONE),
        ],
        (1000, 100, cost(SONNET, ONE), "differs"),
    ),
    "a subagent beside a result without models": (
        [
            *(init(), say("n", use("t", "Task", prompt="x"), used=ONE, stop="tool_use")),
            *(*said(TWO, parent="t"), answer("t", "y"), plain(ONE, 0.01)),
        ],
        (2500, 150, 0.01, "differs"),
    ),
}


def test_logs_in_mlflow_have_the_figures_that_they_say(evalkit, project, database_uri):
    project.unlog(*CASES)
    for case, (log, _) in TOLD.items():
        project.log(case, b"".join(as_lines(log)))
    evalkit("log-results", "--run-id", RUN_ID)
    found = {}
    for case, trace in InMlflow(database_uri).traces().items():
        used, paid = trace.info.token_usage or {}, (trace.info.cost or {}).get("total_cost")
        read, written = used.get("input_tokens"), used.get("output_tokens")
        found[case] = read, written, pytest.approx(paid), trace.info.tags["evalkit.receipt"]
    assert {case: found[case] for case in TOLD} == {case: told for case, (_, told) in TOLD.items()}


@pytest.mark.parametrize(
    ("case", "beyond"),
    [
        ("a model that the result does not name", ["glm-4.6", 1500, 50]),
        ("a subagent beside a result without models", [SONNET, 1500, 50]),
    ],
)
def test_what_the_spans_exceed_the_total_by_is_named(case: str, beyond: list[Any]) -> None:
    named = [d for d in build(TOLD[case][0]).receipt.differences if d.result == 0]
    assert [named[0].model, *(d.spans for d in named)] == beyond


def test_what_remains_for_the_result_is_never_negative() -> None:
    log = [init(), *said(ONE, TWO), finish(models={SONNET: added([ONE, usage(0, 900)])}, main=ONE)]
    trace = build(log)
    assert trace.receipt.verdict == "differs"
    assert set(trace.spans[0].attributes["evalkit.remainder"][SONNET]) == {
        "output_tokens",
        "cost_usd",
    }


# -- messages that two threads have ----------------------------------------------------------------

CALL = say("m1", use("t1", "Bash", command="ls"), used=ONE)
RESULT = answer("t1", "ONE")
SUMMARY = say("c1", text("in short"), used=TWO, stop="end_turn")
END = [say("m2", text("done"), used=usage(300, 10), stop="end_turn")]


@pytest.mark.parametrize(
    "aside",
    [
        [ask("do it"), CALL, RESULT, ask("sum up"), SUMMARY],  # compaction, a forked agent
        [CALL, RESULT, SUMMARY],
        [ask("do it"), CALL, SUMMARY],
    ],
    ids=["prompts too", "messages only", "no results"],
)
def test_a_transcript_that_repeats_the_callers_messages_counts_them_once(
    aside: list[Event],
) -> None:
    models = {SONNET: added([BOTH, usage(300, 10)])}
    log = [init(), ask("do it"), CALL, RESULT, system("compact_boundary"), *END]
    trace = build_lines(
        as_lines([*log, finish(models=models, main=added([ONE, usage(300, 10)]))]),
        sidecars={"agent-acompact-1.jsonl": as_lines(aside)},
    )
    counted = [s.attributes["mlflow.chat.tokenUsage"]["input_tokens"] for s in spans(trace, "LLM")]
    assert sorted(counted) == [300, 1000, 1500]
    assert trace.receipt.verdict == "reconciled"
    assert spans(trace, "TOOL")[0].outputs == "ONE"


def test_a_resumed_session_that_begins_with_the_first_ones_messages_counts_them_once() -> None:
    first = [init(), ask("do it"), CALL, RESULT, finish(models={SONNET: ONE}, main=ONE)]
    again = [init("s2"), ask("do it"), CALL, RESULT, ask("and now?"), SUMMARY]
    resumed = [{**event, "session_id": "s2"} for event in again]
    trace = build([*first, *resumed, finish(models={SONNET: TWO}, main=TWO, session="s2")])
    assert len(spans(trace, "LLM")) == 2
    assert json.loads(trace.metadata["mlflow.trace.tokenUsage"])["input_tokens"] == 2500
    assert trace.receipt.verdict == "reconciled"


def test_messages_of_two_threads_that_share_only_an_id_are_two() -> None:
    log = [init(), say("msg", use("t", "Task", prompt="x"), used=ONE, stop="tool_use")]
    log += [say("msg", text("y"), used=TWO, stop="end_turn", parent="t"), answer("t", "y")]
    trace = build([*log, finish(models={SONNET: BOTH}, main=ONE)])
    assert len(spans(trace, "LLM")) == 2
    assert trace.receipt.verdict == "reconciled"
