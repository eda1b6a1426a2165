"""The plan of a suite: which task is next, when one is over, and what survives on disk."""

from __future__ import annotations

import pytest

from evalkit.core.agent.analysis import (
    Analysis,
    CasePick,
    Finding,
    ManualCase,
    PlannedScorer,
    analysis_text,
    complaints,
    read_analysis,
    trace_of,
)
from evalkit.core.agent.task import (
    MOST_ATTEMPTS,
    MOST_FIXES,
    Plan,
    plan_of,
    plan_text,
    read_plan,
)

POLITE = PlannedScorer("polite", "It greets.", "Customers said so.", ("tr-1",))
BRIEF = PlannedScorer("brief", "It is short.", "Nobody reads more.", ("tr-2/ab",))
ANALYSIS = Analysis(
    "A shop.", "traces", "It has many.", (POLITE, BRIEF), cases=(CasePick("tr-1", "typical"),)
)


def ids(plan: Plan) -> list[str]:
    return [task.task_id for task in plan.tasks]


def until(plan: Plan, task_id: str) -> Plan:
    """The plan with everything before that task done."""
    while (task := plan.next()) and task.task_id != task_id:
        plan = plan.begun(task.task_id).done(task.task_id, ["seen"])
    return plan


def test_a_plan_goes_from_the_dataset_over_each_scorer_to_the_proof() -> None:
    plan = plan_of(ANALYSIS)

    assert ids(plan) == ["dataset", "scorer-polite", "scorer-brief", "script", "validate"]
    assert not plan.is_done
    assert until(plan, "nothing").is_done


def test_a_task_that_fails_keeps_the_reason_and_is_blocked_in_the_end() -> None:
    plan = plan_of(ANALYSIS)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert plan.blocked is None
        plan = plan.begun("dataset").failed("dataset", f"reason {attempt}")

    assert plan.blocked == plan.of("dataset")
    assert plan.of("dataset").failure == f"reason {MOST_ATTEMPTS}"
    assert plan.next() is None
    assert plan.again("dataset").next() == plan.again("dataset").of("dataset")


def test_a_dropped_scorer_is_over_and_says_why() -> None:
    plan = until(plan_of(ANALYSIS), "scorer-brief").dropped("brief", "no bound fits")

    assert plan.of("scorer-brief").status == "dropped"
    assert plan.of("scorer-brief").evidence == ("no bound fits",)
    task = plan.next()
    assert task is not None
    assert task.task_id == "script"


def test_a_suite_that_does_not_hold_is_repaired_before_it_is_tried_again() -> None:
    plan = until(plan_of(ANALYSIS), "validate").to_fix("polite notices nothing")

    assert ids(plan)[-2:] == ["fix-1", "validate"]
    task = plan.next()
    assert task is not None
    assert (task.kind, task.failure) == ("fix", "polite notices nothing")


def test_repairs_come_to_an_end() -> None:
    plan = until(plan_of(ANALYSIS), "validate")
    for number in range(1, MOST_FIXES + 1):
        plan = until(plan.to_fix("still wrong"), f"fix-{number}")
        plan = plan.begun(f"fix-{number}").done(f"fix-{number}", ["mended"])
    plan = plan.to_fix("still wrong")

    assert plan.blocked == plan.of("validate")


def test_a_plan_and_an_analysis_come_back_from_their_files_as_they_were() -> None:
    plan = until(plan_of(ANALYSIS), "script").begun("script").failed("script", "line 3: ü")

    assert read_plan(plan_text(plan).encode()) == plan
    assert read_analysis(analysis_text(ANALYSIS).encode()) == ANALYSIS


@pytest.mark.parametrize("cut", [0, 1, 40, -2])
def test_files_that_were_cut_off_count_as_not_written(cut: int) -> None:
    assert read_plan(plan_text(plan_of(ANALYSIS)).encode()[:cut]) is None
    assert read_analysis(analysis_text(ANALYSIS).encode()[:cut]) is None


@pytest.mark.parametrize(
    ("analysis", "complaint"),
    [
        (Analysis("", "traces", "", (POLITE,), cases=(CasePick("tr-9", "x"),)), "no trace tr-9"),
        (Analysis("", "traces", "", (POLITE,), (Finding("x", ("tr-8/1",)),)), "no trace tr-8"),
        (Analysis("", "traces", "", (), cases=ANALYSIS.cases), "no scorer is planned"),
        (Analysis("", "traces", "", (POLITE, POLITE)), "polite is given 2 times"),
        (Analysis("", "traces", "", (POLITE,)), "no case is planned"),
        (
            Analysis("", "manual", "", (POLITE,), cases=ANALYSIS.cases),
            "the strategy is `manual`, but traces are named",
        ),
        (
            Analysis("", "traces", "", (POLITE,), manual_cases=(ManualCase({"q": "a"}, "x"),)),
            "the strategy is `traces`, but no trace is named",
        ),
        (
            Analysis("", "traces", "", (PlannedScorer("is polite", "", "", ("tr-1",)),)),
            "'is polite' cannot be a scorer's name",
        ),
        (
            Analysis("", "traces", "", (PlannedScorer("class", "", "", ("tr-1",)),)),
            "'class' cannot be a scorer's name",
        ),
        (
            Analysis("", "traces", "", (PlannedScorer("polite", "", "", ()),)),
            "the scorer polite cites no trace",
        ),
    ],
)
def test_an_analysis_that_cannot_be_built_upon_is_complained_about(
    analysis: Analysis, complaint: str
) -> None:
    told = complaints(analysis, {"tr-1", "tr-2"})
    assert any(complaint in each for each in told), told


@pytest.mark.parametrize(
    ("citation", "trace_id"),
    [
        ("tr-1", "tr-1"),
        ("tr-1/ab", "tr-1"),
        ("trace:/main.evals.shop/1", "trace:/main.evals.shop/1"),
        ("trace:/main.evals.shop/1/ab", "trace:/main.evals.shop/1"),
    ],
)
def test_a_citation_names_a_trace_and_perhaps_a_span(citation: str, trace_id: str) -> None:
    assert trace_of(citation) == trace_id


def test_a_sound_analysis_is_not_complained_about() -> None:
    assert complaints(ANALYSIS, {"tr-1", "tr-2"}) == []
