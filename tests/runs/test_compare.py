"""Two runs held against each other: what is paired, what flipped, and what is said about it."""

import pytest

from evalkit.project import Judge, Project
from evalkit.runs import compare_report as words
from evalkit.runs.compare import flips
from evalkit.runs.run import Run, Score
from evalkit.tokens import Consumption

PROJECT = Project("e", judges=(Judge("quality", score_range=(1.0, 5.0)),))


def run(run_id, values, **more):
    """A run with these values: case to judge to value, or to an exception for a judge's error."""
    scores = tuple(
        Score(case, judge, value=False, error=str(value))
        if isinstance(value, Exception)
        else Score(case, judge, value, rationale=f"{run_id} found {value}")
        for case, judged in values.items()
        for judge, value in judged.items()
    )
    return Run(run_id, "case", scores=scores, cases=tuple(sorted(values)), **more)


def one_judge(before, after, judge="j"):
    """Runs in which one judge gave these values, by case in order; ... is no case."""
    return tuple(
        run(name, {f"c{n}": {judge: value} for n, value in enumerate(side) if value is not ...})
        for name, side in (("old", before), ("new", after))
    )


def compared(*runs):
    (found,) = words.report(PROJECT, runs)["comparisons"]
    return found


@pytest.mark.parametrize(
    ("before", "after", "kind", "pairs", "verdict"),
    [
        ([True, False], [True, True], "pass", 2, "too few cases"),
        ([True] * 6, [False] * 6, "pass", 6, "worse"),
        ([False] * 6, [True] * 6, "pass", 6, "better"),
        ([1, 2.5], [1, 2.5], "number", 2, "same"),
        ([3, 4], [3, float("nan")], "number", 1, "same"),
        (["a", "b"], ["a", "c"], "label", 2, "changed"),
        ([["x"], {}], [["x"], {}], "other", 2, "same"),
        ([True, True], [1, 1], "mixed", 2, "changed"),
        ([None, None], [None, None], "nothing", 0, "not in both"),
        ([True, OSError("x")], [True, True], "pass", 1, "same"),
        ([True, ...], [..., True], "pass", 0, "not in both"),
    ],
)
def test_values_of_every_kind_are_compared_where_both_runs_have_one(
    before, after, kind, pairs, verdict
):
    (judge,) = compared(*one_judge(before, after))["judges"]
    assert (judge["kind"], judge["pairs"], judge["verdict"]) == (kind, pairs, verdict)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (False, True, "fixed"),
        (True, False, "broken"),
        (3, 4, "better"),
        (4, 3.5, "worse"),
        (4, 4.0, "same"),
        ("polite", "rude", "changed"),
        (["S1"], ["S1", "S2"], "changed"),
        (True, 1, "changed"),
        (True, ValueError("boom"), "only in baseline"),
        (None, True, "only in candidate"),
        (..., True, "only in candidate"),
    ],
)
def test_what_becomes_of_a_score(before, after, kind):
    (flip,) = flips(*one_judge([before], [after]))
    assert flip.kind == kind


def test_cases_and_judges_of_one_run_only_are_named():
    before, after = {"a": {"x": True}, "b": {"x": True}}, {"b": {"y": 1}, "c": {"y": 2}}
    found = compared(run("old", before), run("new", after))
    assert (found["cases"], found["only_in_baseline"], found["only_in_candidate"]) == (
        1,
        ["a"],
        ["c"],
    )
    assert "No case was judged in both by x, y." in found["findings"]
    assert "Only in the candidate: 1 case, c." in found["findings"]


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ({}, {}, "Nothing can be compared: no judge scored the same case in both."),
        ({"a": {"x": True}}, {"b": {"x": True}}, "Nothing can be compared: no judge"),
        ({"a": {"x": 1}}, {"a": {"x": 4}}, "The suite is too small to tell: with 1 case, no"),
        (
            {f"c{n}": {"J": n < 6} for n in range(12)},
            {f"c{n}": {"J": n < 5} for n in range(12)},
            "With 12 cases, no judge is better or worse beyond what chance explains.",
        ),
        (
            {f"c{n}": {"J": True, "K": n} for n in range(12)},
            {f"c{n}": {"J": n > 7, "K": n + 1} for n in range(12)},
            "Worse by J and better by K, beyond what chance explains.",
        ),
    ],
)
def test_the_answer_comes_in_one_line(before, after, answer):
    found = compared(run("old", before), run("new", after))
    assert found["findings"][0].startswith(answer)
    assert words.conclusion(found) == found["findings"][0]


def test_a_regression_is_told_with_its_interval_and_an_improvement_is_none():
    worse = words.report(PROJECT, one_judge([True] * 12, [False] * 8 + [True] * 4))
    assert worse["shortfalls"] == [
        "new: j is worse: 100% → 33% over 12 cases (-67 points, 95 % interval -98 to -35)."
    ]
    better = words.report(PROJECT, one_judge([1, 2, 3, 4, 3, 2], [2, 3, 5, 5, 4, 3]))
    assert better["shortfalls"] == []


def test_rows_say_in_figures_what_changed_and_what_could_be_told():
    noise = one_judge([3, 3, 4, 2, 5, 3, 4, 3], [4, 3, 3, 3, 5, 4, 4, 2], judge="quality")
    assert words.rows(compared(*noise)["judges"]) == [
        {
            "Judge": "quality",
            "Verdict": "within noise",
            "Cases": 8,
            "Baseline → candidate": "3.38 → 3.5",
            "Change": "+0.125",
            "95 % interval": "-0.573 to +0.823",
            "Smallest to tell": "±0.698",
            "Cases to tell": "about 350",
        }
    ]
    labels = one_judge(["a", "a", "b", "b", "c"], ["b", "b", "a", "b", "c"])
    (row,) = words.rows(compared(*labels)["judges"])
    assert row["Baseline → candidate"] == "a → b in 2, b → a in 1"


def test_judges_that_fail_more_often_and_many_judges_at_once_are_told():
    failing = compared(*one_judge([1, 2, 3], [1, 2, ValueError("boom")]))
    assert "j could not judge 1 case; before, 0." in failing["findings"]
    judged = {f"c{n}": {f"j{k}": k > 0 for k in range(5)} for n in range(8)}
    fixed = {case: dict.fromkeys(scores, True) for case, scores in judged.items()}
    many = compared(run("old", judged), run("new", fixed))
    assert any(each.startswith("5 judges are compared at once") for each in many["findings"])


# -- what was consumed -----------------------------------------------------------------------------


def with_usage(run_id, costs, total=None, **more):
    usage = {case: Consumption(cost_usd=cost) for case, cost in costs.items()}
    return run(run_id, {}, usage=Consumption(cost_usd=total), case_usage=usage, **more)


def test_cost_is_paired_by_case_and_what_crashed_is_no_saving():
    before = {f"c{n}": 0.1 + n / 100 for n in range(8)}
    after = {case: cost * 2 for case, cost in before.items()} | {"other": 5.0}
    runs = (
        with_usage("a", before | {"crashed": 9.0}, 1.1),
        with_usage("b", after | {"crashed": 0.0}, 7.2, failed={"crashed": "exit code 1"}),
    )
    found = compared(*runs)
    (cost,) = found["usage"]
    assert (cost["figure"], cost["pairs"], cost["verdict"]) == ("Cost", 8, "more")
    assert cost["totals"] == [1.1, 7.2]
    (row,) = words.rows(found["usage"])
    assert (row["Verdict"], row["Baseline → candidate"], row["Change"]) == (
        "worse",
        "0.135 → 0.27 USD",
        "+100%",
    )


def test_totals_alone_are_shown_but_not_judged():
    (cost,) = compared(with_usage("a", {}, 1.0), with_usage("b", {}, 2.0))["usage"]
    assert (cost["verdict"], cost["totals"], "before" in cost) == ("not in both", [1.0, 2.0], False)
