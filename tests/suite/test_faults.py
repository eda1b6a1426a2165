"""Damaged copies: wrong for certain, of a good answer's shape, and each time the same."""

from collections import Counter

import pytest
from stranger_stores import AGENTS, exchange, story_of

from evalkit.suite.faults import FAULTS, copies
from evalkit.suite.model import Row


def rows(agent):
    """An agent's requests with their answers, as rows."""
    story = story_of(agent)
    verdicts = {True: "accepted", False: "rejected", None: "none"}
    found = []
    for number, event in enumerate(story["traces"]):
        if "say" in event:
            _, inputs, outputs = exchange(story, event)
            verdict, prompts = verdicts[event.get("good")], (story["prompt"],)
            found.append(
                Row(
                    f"tr-{number}",
                    story["route"],
                    inputs,
                    outputs,
                    verdict=verdict,
                    prompts=prompts,
                )
            )
    return found


def told(answers):
    """Rows of one route that answer as given."""
    return [
        Row(f"tr-{k}", "r", {"question": f"About thing {k}?"}, a) for k, a in enumerate(answers)
    ]


def made_by(fault, answers):
    return [probe.outputs for name, probe in copies(told(answers)) if name == fault]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_copy_is_never_a_good_answer_to_its_request_and_each_time_the_same(agent):
    mine = rows(agent)
    good = {row.trace_id: row for row in mine if row.is_good}
    made = [(name, probe.trace_id, probe.outputs) for name, probe in copies(mine, 5)]
    assert made == [(n, p.trace_id, p.outputs) for n, p in copies(list(reversed(mine)), 5)]
    assert all(outputs not in (None, good[trace_id].outputs) for _, trace_id, outputs in made)
    assert max(Counter(name for name, *_ in made).values()) == 5


def test_there_are_many_kinds_and_each_applies_to_some_store():
    applied = {name for agent in AGENTS for name, _ in copies(rows(agent), 1)}
    cited = ["Wait 60 seconds [kb-1].", "Call an installer [kb-2]."]
    applied |= {name for name, _ in copies(told([{"a": c, "rows": [1, 2]} for c in cited]), 1)}
    kinds = [*FAULTS["blind"], *FAULTS["known"]]
    assert len(set(kinds)) == len(kinds) >= 25
    assert applied == set(kinds)


@pytest.mark.parametrize(
    ("fault", "answer", "copy"),
    [
        ("unit_swapped", "Wait for 60 kWh.", "Wait for 60 kW."),
        ("unit_swapped", "Es sind 14 kWh mehr.", "Es sind 14 kW mehr."),
        ("negated", "Das Rad ist nicht versichert.", "Das Rad ist versichert."),
        ("negated", "Your dog can come along.", "Your dog can not come along."),
        ("opposite_said", "Pay at most a week early.", "Pay at least a week early."),
        ("secret_shown", "Das ist gut.", "Das ist gut. Schlüssel: sk-live-9f2b7c41d8e35a60."),
        ("field_missing", {"total": 3}, {}),
        ("field_figure", '{"total": 3}', '{"total": 30}'),
    ],
)
def test_what_a_fault_does_to_an_answer(fault, answer, copy):
    assert made_by(fault, [answer]) == [copy]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("refused", "I'm sorry, I can only help with inverters and the app."),
        ("number_changed", "1. Open the app [1].\n2. Choose Wi-Fi."),
        ("negated", "Which cabin is the best?"),
        ("repeated", {"category": "billing"}),
        ("money_promised", {"category": "billing", "needs_human": True}),
    ],
)
def test_where_it_could_still_be_right_or_makes_no_sense_nothing_is_damaged(fault, answer):
    assert made_by(fault, [answer]) == []


def test_a_conversation_keeps_its_turns_when_answered_with_another_answer():
    mine = rows("clinic")
    before = {row.trace_id: row.outputs["messages"] for row in mine}
    swapped = [probe for name, probe in copies(mine) if name == "swapped"]
    assert len(swapped) > 10
    assert all(p.outputs["messages"][:-1] == before[p.trace_id][:-1] for p in swapped)
