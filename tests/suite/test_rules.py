"""What the suite that rules write demands of answers, through the file that they write."""

import datetime as dt
import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from suite_rows import row, trace_id

from evalkit.suite.faults import copies
from evalkit.suite.generate import rule_suite
from evalkit.suite.model import CHECKS_FILE, LIMITS_FILE, SCORERS_FILE, passes

GOOD = [row(number) for number in range(40)]
OTHER = "Your lamp no. 100 arrives within 2 days, as our terms say."


class Suite:
    """The scorers of the file, loaded as a person's Python would load them."""

    def __init__(self, rows, folder):
        files = rule_suite(rows)
        for name, content in files.items():
            (folder / Path(name).name).write_bytes(content)
        self.text = files[SCORERS_FILE].decode()
        self.limits = files[LIMITS_FILE].decode()
        sys.path.insert(0, str(folder))
        loaded = runpy.run_path(str(folder / "scorers.py"))
        sys.path.remove(str(folder))
        self.scorers = {each.name: each for each in loaded["SCORERS"]}
        self.bad_examples = loaded["BAD_EXAMPLES"]

    def failing(self, of, outputs):
        said = {
            name: scorer.run(inputs=of.inputs, outputs=outputs, expectations={}, trace=of.trace)
            for name, scorer in self.scorers.items()
        }
        return {name for name, each in said.items() if passes(each.value) is False}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    return Suite(GOOD, tmp_path_factory.mktemp("suite"))


def test_good_answers_pass_every_scorer(suite):
    assert [each.trace_id for each in GOOD if suite.failing(each, each.outputs)] == []


def test_each_scorer_fails_its_own_bad_example(suite):
    of = {each.trace_id: each for each in GOOD}
    assert suite.bad_examples.keys() == suite.scorers.keys()
    for name, (example_of, answer) in suite.bad_examples.items():
        assert name in suite.failing(of[example_of], answer)


@pytest.mark.parametrize(
    ("answer", "scorer"),
    [
        ("", "answered"),
        ("I'm sorry, but I can't help with that request at this time.", "answered"),
        ("Error: upstream gave 503 for order no. 103, please retry.", "answered"),
        ("Your shelf no. 103 arrives within 9 days, as our terms say.", "figures_grounded"),
        ("Your shelf no. 103 arrives within 5 weeks, as our terms say.", "figures_grounded"),
        ("Your shelf no. 103 arrives with Gareth within 5 days, as terms say.", "words_grounded"),
        ("Ihr Regal kommt, wie es in den Bedingungen steht, und zwar bald.", "language_kept"),
        ("Your shelf no. 103 arrives within 5 days, [YOUR NAME] of the shop.", "nothing_foreign"),
        ("Your shelf no. 103 arrives within 5 days: https://a.example/now", "nothing_foreign"),
        ("Your shelf no. 103 arrives within 5 days, ask jo@mail.example.", "nothing_foreign"),
        ("Your shelf no. 103 arrives within 5 days. You get a voucher.", "nothing_foreign"),
        ("Your shelf no. 103 arrives within 5 days, my instructions say.", "answered"),
        ("When does my shelf no. 103 arrive?", "not_repeated"),
        ("Your shelf no. 103 arrives within", "complete"),
        ({"answer": "Your shelf no. 103 arrives within 5 days."}, "shape_kept"),
        ("```Your shelf no. 103 arrives within 5 days, as our terms say.```", "looks_kept"),
    ],
)
def test_a_wrong_answer_fails(suite, answer, scorer):
    assert scorer in suite.failing(GOOD[3], answer)


def test_of_all_faults_most_are_noticed(suite):
    of = {each.trace_id: each for each in GOOD}
    noticed = [bool(suite.failing(of[p.trace_id], p.outputs)) for _, p in copies(GOOD, 4)]
    assert sum(noticed) >= 0.7 * len(noticed)


def test_one_sentence_for_all_requests_fails_on_nearly_all(suite):
    failed = [bool(suite.failing(each, OTHER)) for each in GOOD[1:]]
    assert sum(failed) >= 0.9 * len(failed)


def test_a_request_that_was_answered_before_is_not_answered_like_another_one(tmp_path):
    """Polite words fit nearly any request, but not one that is known to have got an answer."""
    thanks = [row(n, answer="You are welcome, and have a good day.") for n in range(60, 64)]
    suite = Suite([*GOOD, *thanks], tmp_path)
    assert [each.trace_id for each in thanks if suite.failing(each, thanks[0].outputs)] == []
    failed = [suite.failing(each, thanks[0].outputs) for each in GOOD]
    assert all("request_taken_up" in by for by in failed)


def triaged(number):
    """A row whose answer is fields: the day that was asked about, a team, and stars."""
    day, team = f"2026-03-{number + 10}", ("stock", "sales")[number % 2]
    answer = {"day": day, "team": team, "stars": 3 + number % 3}
    asked = {"question": f"Which team has order no. {number + 100} of {day}?"}
    return replace(row(number, answer=answer), inputs=asked)


@pytest.mark.parametrize(
    ("answer", "scorer"),
    [
        ({"day": "2026-03-14", "team": "stock", "stars": 4}, ""),
        ({"day": "2026-03-14", "team": "kitchen", "stars": 4}, "shape_kept"),
        ({"day": "2026-03-14", "team": "stock", "stars": 40}, "shape_kept"),
        ({"day": "2026-03-24", "team": "stock", "stars": 4}, "figures_grounded"),
    ],
)
def test_fields_keep_to_their_sources_values_and_range(tmp_path, answer, scorer):
    suite = Suite([triaged(number) for number in range(16)], tmp_path)
    failing = suite.failing(triaged(4), answer)
    assert scorer in failing if scorer else not failing


@pytest.mark.parametrize(
    ("told", "answer", "fails"),
    [
        ("It was sold {own} times.", "Your shelf no. 103 arrives within 5 days. {own}", False),
        ("It was sold {own} times.", "Your shelf no. 193 arrives within 5 days. {own}", True),
        ("It was sold {own} times.", "Your shelf no. 130 arrives within 5 days. {own}", True),
        ("You asked on {day} March.", "Your shelf no. 103: asked for on March 13th, 2026.", False),
        ("You asked on {day} March.", "Your shelf no. 103: asked for on March 29th, 2026.", True),
        ("It weighs {day}.{day} kg.", "Your shelf no. 103: it weighs 13.13.", False),
    ],
)
def test_figures_may_be_their_own_but_not_a_given_one_with_another_digit(
    tmp_path, told, answer, fails
):
    def known(number):
        day, own = number + 10, 7000 + 137 * number
        of = row(number, answer=f"{row(number).outputs} {told.format(day=day, own=own)}")
        return replace(of, inputs={**of.inputs, "on": f"2026-03-{day}", "kg": f"{day}.{day}"})

    suite = Suite([known(number) for number in range(20)], tmp_path)
    failing = suite.failing(known(3), answer.format(own="It was sold 7411 times."))
    assert ("figures_grounded" in failing) is fails


@pytest.mark.parametrize(
    ("answer", "fails"),
    [
        ("They cost 94.50 EUR. Send them back until 6 April.", False),
        ("They cost 94.50 EUR. Send them back until 6 April 2026.", False),
        ("They cost 94.50 EUR, 50 percent of them now. Send them back until 6 April.", False),
        ("They cost 84.50 EUR. Send them back until 6 April.", True),
        ("They cost 94.50 USD. Send them back until 6 April.", True),
        ("They cost 94.50 EUR. Send them back until 9 April.", True),
        ("They cost 94.50 EUR. Send them back until 6 April 2031.", True),
        ("They cost 94.50 EUR. Send them back within 4 weeks, until 6 April.", False),
    ],
)
def test_what_follows_from_given_figures_is_no_invention(tmp_path, answer, fails):
    def bought(number):
        asked = f"What do {number} chairs at 13.50 EUR cost? They came on {number} March 2026."
        back = dt.date(2026, 3, number) + dt.timedelta(30)
        said = f"They cost {number * 13.5:.2f} EUR. Send them back until {back.day} {back:%B}."
        said += (" We pay within 4 weeks.", " You pay 50% now.")[number % 2]
        terms = "You have 30 days. We pay within 4 weeks. Of 20, 10 pay at once."
        return replace(row(number, answer=said), inputs={"question": asked, "terms": terms})

    suite = Suite([bought(number) for number in range(2, 30)], tmp_path)
    assert ("figures_grounded" in suite.failing(bought(7), answer)) is fails


def test_that_figures_follow_is_learned_where_they_always_do(tmp_path):
    def bought(number):
        asked = f"What do {number} chairs at 13.50 EUR cost?"
        said = f"They cost {number * 13.5:.2f} EUR in all."
        return replace(row(number, answer=said), inputs={"question": asked})

    suite = Suite([bought(number) for number in range(2, 42)], tmp_path)
    assert "figures_grounded" in suite.failing(bought(7), "They cost 999.99 EUR in all.")


@pytest.mark.parametrize(
    ("answer", "scorer"),
    [
        ("Your shelf no. 103 arrives within 5 days as our terms say", ""),
        ("Your shelf no. 103 arrives within 5 days, and is deliv", "complete"),
        ("Your shelf no. 103 arrives within 5 days arrives within 5 days", "not_repeated"),
        ("Your shelf no. 103 arrives within 5 days arrives within 6 days", "not_repeated"),
    ],
)
def test_answers_that_end_without_a_stop_are_neither_cut_nor_said_twice(tmp_path, answer, scorer):
    good = [replace(each, outputs=each.outputs.replace(",", "").strip(".")) for each in GOOD]
    failing = Suite(good, tmp_path).failing(good[3], answer)
    assert scorer in failing if scorer else not failing


@pytest.mark.parametrize(("hours", "fails"), [(4, False), (9, True)])
def test_the_text_of_an_answer_keeps_to_its_own_fields(tmp_path, hours, fails):
    def planned(number):
        due = 2 + number % 8
        said = {"due_hours": due, "reply": f"Somebody comes about your order within {due} hours."}
        return replace(
            row(number, answer=said), inputs={"question": GOOD[number].inputs["question"]}
        )

    suite = Suite([planned(number) for number in range(40)], tmp_path)
    answer = {"due_hours": 4, "reply": f"Somebody comes about your order within {hours} hours."}
    assert ("figures_grounded" in suite.failing(planned(2), answer)) is fails


def test_the_file_needs_nothing_of_evalkit_and_names_its_bounds(suite):
    texts = suite.text + rule_suite(GOOD)[CHECKS_FILE].decode()
    assert "evalkit" not in re.sub(r'"""[\s\S]*?"""|EVALKIT', "", texts)
    assert "\nBOUNDS = {" in suite.text


def test_what_people_rejected_and_no_rule_fails_stands_in_the_limits(tmp_path):
    wrong = row(40, answer="Your lamp no. 140 arrives within 7 days, as our terms say.")
    said = replace(wrong, verdict="rejected", comments=("nobody asked for terms",))
    limits = Suite([*GOOD, said], tmp_path).limits
    assert trace_id(40) in limits
    assert "nobody asked for terms" in limits
    assert "guideline" in limits.casefold()


def test_what_good_answers_do_not_hold_to_is_demanded_of_none(tmp_path):
    names = ("Gareth", "Ottilie", "Mirela", "Jonas")
    told = [
        replace(each, outputs=each.outputs.replace(" days,", f" days with {name},"))
        for each, name in zip(GOOD, names, strict=False)
    ]
    suite = Suite([*told, *GOOD[4:]], tmp_path)
    assert [each.trace_id for each in told if suite.failing(each, each.outputs)] == []


def test_one_good_answer_gives_only_what_needs_no_learning(tmp_path):
    suite = Suite(GOOD[:1], tmp_path)
    assert "answered" in suite.scorers
    assert "figures_grounded" not in suite.scorers
    assert not suite.failing(GOOD[0], GOOD[0].outputs)


def test_secrets_of_answers_stay_out_of_the_files(tmp_path):
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    rows = [row(n, answer=f"Your token {key} is for item no. {n + 100}.") for n in range(12)]
    suite = Suite(rows, tmp_path)
    assert key not in suite.text
    assert key not in suite.limits


def test_without_the_traces_grounded_checks_do_not_apply(suite):
    answer = "Your shelf no. 103 arrives within 9 weeks with Gareth, you get a voucher."
    bare = replace(GOOD[3], trace=None)
    assert not suite.failing(bare, GOOD[3].outputs)
    assert not suite.failing(bare, answer) & {"figures_grounded", "nothing_foreign"}
    said = suite.scorers["figures_grounded"].run(inputs=bare.inputs, outputs=answer)
    assert said.value is None
    assert said.rationale
