"""How the words of people and the values of judges become labels that can be compared."""

import pytest

from evalkit.core.opinions import agreements, pairs
from evalkit.core.results import Run, Score
from evalkit.core.review import Review
from evalkit.project import Judge, Project

PROJECT = Project(
    "p",
    judges=(
        Judge("ranged", score_range=(1, 5)),
        Judge("bounded", score_range=(1, 5)),
        Judge("share", score_range=(0, 1)),
        Judge("free"),
    ),
    thresholds={"bounded": {"min_mean": 4}},
)


def run(*scores):
    return Run("r", "case", scores=scores, cases=("a", "b"))


def annotation(name, value, source="ann", case="a"):
    return {
        "case_id": case,
        "trace_id": "tr-1",
        "name": name,
        "value": value,
        "rationale": "so it is",
        "source": source,
        "time": "2026-01-02T03:04:05+00:00",
    }


@pytest.mark.parametrize(
    ("judge", "value", "label"),
    [
        ("yes_no", True, "pass"),
        ("yes_no", False, "fail"),
        ("yes_no", "Yes", "pass"),
        ("yes_no", " fail ", "fail"),
        ("ranged", 3, "pass"),
        ("ranged", 2.9, "fail"),
        ("bounded", 3, "fail"),
        ("bounded", 4, "pass"),
        ("free", 3, None),
        ("tone", "polite", None),
        ("found", ["x"], None),
        ("yes_no", None, None),
    ],
)
def test_a_judges_value_beside_the_review(judge, value, label):
    found = pairs(PROJECT, run(Score("a", judge, value)), Review(feedback={"a": ""}))
    assert [pair.judged for pair in found] == ([label] if label else [])


def test_a_comment_is_a_fail_and_no_comment_a_pass_and_no_review_nothing():
    scored = run(*(Score(case, "ok", True) for case in "abc"))
    found = pairs(PROJECT, scored, Review(reviewer="ann", feedback={"a": "too long", "b": ""}))
    assert [(p.case_id, p.person, p.said, p.word, p.agrees) for p in found] == [
        ("a", "ann", "fail", "too long", False),
        ("b", "ann", "pass", "accepted", True),
    ]


def test_a_judge_that_failed_is_not_compared():
    failed = run(Score("a", "ok", True, error="timed out"))
    said = Review(feedback={"a": ""}, annotations=[annotation("ok", True)])
    assert pairs(PROJECT, failed, said) == []


@pytest.mark.parametrize(
    ("judge", "value", "said", "labels"),
    [
        ("ok", True, True, ("pass", "pass")),
        ("ok", True, "no", ("fail", "pass")),
        ("tone", "polite", "Rude", ("rude", "polite")),
        ("ranged", 4, 4.0, ("4", "4")),
        ("ranged", 4, 5, ("5", "4")),
        ("share", 0.82, 0.9, ("pass", "pass")),
        ("share", 0.82, 0, ("fail", "pass")),
        ("free", 0.5, 0.5, None),
        ("found", ["x"], ["x"], None),
        ("ok", None, True, None),
    ],
)
def test_an_annotation_with_the_name_of_a_judge(judge, value, said, labels):
    review = Review(annotations=[annotation(judge, said)])
    found = pairs(PROJECT, run(Score("a", judge, value)), review)
    assert [(p.said, p.judged) for p in found] == ([labels] if labels else [])


def test_two_people_on_one_case_are_two_and_other_names_and_cases_none():
    review = Review(
        annotations=[
            annotation("ok", True, "ann"),
            annotation("ok", False, "bob"),
            annotation("would_send", True),
            annotation("ok", True, case="b"),
            {"name": "ok"},
            "stray",
        ]
    )
    found = pairs(PROJECT, run(Score("a", "ok", True)), review)
    assert [(p.person, p.agrees, p.why) for p in found] == [
        ("ann", True, "so it is"),
        ("bob", False, "so it is"),
    ]


def test_annotations_in_an_older_form_are_left_alone():
    assert pairs(PROJECT, run(Score("a", "ok", True)), Review(annotations={"a": {"ok": 1}})) == []


def test_every_judge_is_listed_with_how_it_was_read():
    scored = run(
        Score("a", "ok", True),
        Score("a", "bounded", 5),
        Score("a", "free", 5),
        Score("a", "tone", "polite"),
        Score("a", "silent", None),
    )
    review = Review(feedback={"a": ""}, annotations=[annotation("tone", "rude")])
    listed = agreements(PROJECT, scored, pairs(PROJECT, scored, review))
    assert [(j.judge, j.basis, j.agreement.count, j.reading.partition(":")[0]) for j in listed] == [
        ("ok", "review", 1, "true is a pass"),
        ("bounded", "review", 1, "4 or more is a pass"),
        ("free", "review", 0, "not compared"),
        ("tone", "review", 0, "not compared"),
        ("tone", "annotations", 1, "value by value"),
        ("silent", "review", 0, "not compared"),
    ]
