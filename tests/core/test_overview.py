"""A run at a glance: judges over all cases, thresholds, and cases over all judges."""

import pytest

from evalkit.core import overview
from evalkit.core.project import Project
from evalkit.core.results import Run, Score, Usage


def run_of(*values, judge="judge", **figures):
    scores = tuple(Score(f"case {n}", judge, value) for n, value in enumerate(values))
    cases = tuple(score.case_id for score in scores)
    return Run("run", "case", judges={judge: figures}, scores=scores, cases=cases)


@pytest.mark.parametrize(
    ("values", "shape", "spread"),
    [
        ([True, False, True], "pass", "2 pass, 1 fail"),
        ([1, 3, 5], "number", "1 to 5, standard deviation 2"),
        ([0.5, 0.5], "number", "all 0.5"),
        ([4], "number", "all 4"),
        (["warm", "cold", "warm"], "label", "2 warm, 1 cold"),
        (list("aabbccddef"), "label", "2 a, 2 b, 2 c, 2 d, 2 other"),
        ([["R1"], ["R2", "R3"]], "other", "lists or objects"),
        ([True, 3], "other", "lists or objects"),
        ([None, None], "other", ""),
    ],
)
def test_how_far_the_values_of_a_judge_lie_apart(values, shape, spread):
    (judge,) = overview.judges(run_of(*values))
    assert (judge.shape, judge.spread) == (shape, spread)


@pytest.mark.parametrize(
    ("values", "figures", "rate", "mean"),
    [
        ([True, False], {"pass_rate": 0.4, "mean": 0.3}, 0.4, 0.3),
        ([True, False], {}, 0.5, None),
        ([2, 4], {}, None, 3.0),
        (["warm"], {"mean": None}, None, None),
    ],
)
def test_figures_are_the_summarys_and_else_the_scores(values, figures, rate, mean):
    (judge,) = overview.judges(run_of(*values, **figures))
    assert (judge.pass_rate, judge.mean) == (rate, mean)


def test_scores_without_a_value_are_told_apart_from_judges_that_failed():
    scores = (
        Score("a", "judge", 3),
        Score("b", "judge", None, rationale="does not apply"),
        Score("c", "judge", None, error="timeout"),
    )
    (judge,) = overview.judges(Run("run", "case", scores=scores, cases=("a", "b", "c")))
    assert (judge.given, judge.silent, judge.errors) == ([3], 1, 1)


def test_a_case_knows_who_said_no_who_failed_and_whether_it_has_a_log():
    scores = (
        Score("a", "order", value=True),
        Score("a", "refund", value=False),
        Score("a", "tone", None, error="timeout"),
    )
    usage = {"a": Usage(duration_s=3.0)}
    run = Run("run", "case", scores=scores, cases=("a", "b"), case_usage=usage)
    first, second = overview.cases(run, {"b"})
    assert (first.passes, first.failed, first.broken) == ("1 of 2", ("refund",), ("tone",))
    assert (first.usage.duration_s, first.logged) == (3.0, False)
    assert (second.scores, second.passes, second.logged) == ((), "", True)


def test_thresholds_that_fail_come_first_and_say_what_the_run_has():
    thresholds = {"judge": {"min_pass_rate": 0.5, "max_error_rate": 0.1, "min_mean": 0.9}}
    project = Project(name="eval", thresholds={**thresholds, "absent": {"min_win_rate": 0.5}})
    run = run_of(True, False, pass_rate=0.5, mean=0.5)
    assert [(t.judge, t.demand, t.actual, t.verdict) for t in overview.demands(project, run)] == [
        ("judge", "mean at least 0.9", 0.5, "fails"),
        ("absent", "win rate at least 0.5", None, "not measured"),
        ("judge", "pass rate at least 0.5", 0.5, "met"),
        ("judge", "error rate at most 0.1", 0.0, "met"),
    ]
