"""Two runs held against each other: what is paired, what flipped, and what is said about it."""

import pytest

from evalkit.core.comparison import compare
from evalkit.core.findings import conclusion, figure, findings, regressions
from evalkit.core.project import Judge, Project
from evalkit.core.results import Run, Score, Usage

PROJECT = Project("e", judges=(Judge("quality", score_range=(1.0, 5.0)),))


def run(run_id, values, **more):
    """A run with these values: case to judge to value, or to an exception for a judge's error."""
    scores = tuple(
        Score(case, judge, None, error=str(value))
        if isinstance(value, Exception)
        else Score(case, judge, value, rationale=f"{run_id} found {value}")
        for case, judged in values.items()
        for judge, value in judged.items()
    )
    return Run(run_id, "case", scores=scores, cases=tuple(sorted(values)), **more)


def compared(before, after):
    return compare(run("old", before), run("new", after), PROJECT)


def one_judge(before, after, judge="j"):
    """The comparison of one judge whose values, by case in order, were these; ... is no case."""
    sides = [
        {f"c{place}": {judge: value} for place, value in enumerate(side) if value is not ...}
        for side in (before, after)
    ]
    return compared(*sides)


def said(comparison):
    return [finding.text for finding in findings(comparison)]


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
        ([True, "yes"], [True, "yes"], "mixed", 2, "same"),
        ([None, None], [None, None], "nothing", 0, "not in both"),
        ([True, None], [None, True], "pass", 0, "not in both"),
        ([True, OSError("x")], [True, True], "pass", 1, "same"),
        ([True, ...], [..., True], "pass", 0, "not in both"),
    ],
)
def test_values_of_every_kind_are_compared_where_both_runs_have_one(
    before, after, kind, pairs, verdict
):
    (found,) = one_judge(before, after).judges
    assert (found.kind, found.pairs, found.verdict) == (kind, pairs, verdict)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (False, True, "fixed"),
        (True, False, "broken"),
        (True, True, "same"),
        (3, 4, "better"),
        (4, 3.5, "worse"),
        (4, 4.0, "same"),
        ("polite", "rude", "changed"),
        (["S1"], ["S1", "S2"], "changed"),
        (["S1"], ["S1"], "same"),
        (True, 1, "changed"),
        (True, ValueError("boom"), "only in baseline"),
        (None, True, "only in candidate"),
        (..., True, "only in candidate"),
        (True, ..., "only in baseline"),
    ],
)
def test_what_becomes_of_a_score(before, after, kind):
    (flip,) = one_judge([before], [after]).flips
    assert flip.kind == kind


@pytest.mark.parametrize("nothing", [None, ValueError("boom"), ...])
def test_a_score_that_neither_run_has_is_no_flip(nothing):
    assert one_judge([nothing], [nothing]).flips == ()


def test_both_rationales_stand_beside_each_other():
    (flip,) = one_judge([True], [False]).flips
    assert (flip.before.rationale, flip.after.rationale) == ("old found True", "new found False")


def test_cases_and_judges_of_one_run_only_are_named():
    found = compared({"a": {"x": True}, "b": {"x": True}}, {"b": {"y": 1}, "c": {"y": 2}})
    assert (found.common, found.only_before, found.only_after) == (("b",), ("a",), ("c",))
    assert [judge.verdict for judge in found.judges] == ["not in both", "not in both"]
    assert "Only the baseline was judged by x." in said(found)
    assert "Only in the candidate: 1 case, c." in said(found)


def test_runs_without_a_common_case_cannot_be_compared():
    found = compared({"a": {"x": True}}, {"b": {"x": True}})
    assert (found.common, found.judges[0].change) == ((), None)
    assert said(found)[0] == "Nothing can be compared: no judge scored the same case in both."


def test_runs_without_any_score_cannot_either():
    found = compared({}, {})
    assert (found.judges, found.flips, found.usage) == ((), (), ())
    assert conclusion(found).text.startswith("Nothing can be compared")


def test_labels_are_counted_by_where_they_went():
    found = one_judge(["a", "a", "b", "b", "c"], ["b", "b", "a", "b", "c"])
    assert found.judges[0].moves == (("a", "b", 2), ("b", "a", 1))
    assert "j says something else on 3 of 5 cases: a → b in 2, b → a in 1." in said(found)


def test_a_scale_is_what_the_project_says_else_what_the_runs_show():
    assert one_judge([3, 4], [4, 4], judge="quality").judges[0].scale == 4
    assert one_judge([0.5, 0.75], [0.25, 0.5]).judges[0].scale == 0.5
    assert one_judge([2, 2], [2, 2]).judges[0].scale == 1


def test_a_judge_that_fails_more_often_is_told():
    found = one_judge([1, 2, 3], [1, 2, ValueError("boom")])
    assert "j could not judge 1 case; before, 0." in said(found)


# -- in words --------------------------------------------------------------------------------------


def test_a_regression_is_told_first_and_with_its_interval():
    found = one_judge([True] * 12, [False] * 8 + [True] * 4)
    assert conclusion(found).tone == "bad"
    assert conclusion(found).text == "Worse by j, beyond what chance explains."
    assert regressions(found) == [
        "j is worse: 100% → 33% over 12 cases (-67 points, 95 % interval -98 to -35 points)."
    ]


def test_an_improvement_is_no_regression():
    found = one_judge([1, 2, 3, 4, 3, 2], [2, 3, 5, 5, 4, 3])
    assert (conclusion(found).tone, regressions(found)) == ("good", [])


def test_noise_is_called_noise_with_what_the_suite_could_tell():
    found = one_judge([True] * 10 + [False] * 2, [True] * 9 + [False, True, False])
    assert said(found) == [
        "With 12 cases, no judge is better or worse beyond what chance explains.",
        (
            "A pass rate must change by 6 cases the same way, 50% of 12, before it stands out from "
            "chance: this suite is too small for less."
        ),
        (
            "j: 0 points is within noise. With 12 cases, less than ±50 points cannot be told from "
            "chance."
        ),
    ]


def test_it_is_said_how_many_cases_would_do():
    found = one_judge([3, 3, 4, 2, 5, 3, 4, 3], [4, 3, 3, 3, 5, 4, 4, 2])
    (told,) = [text for text in said(found) if text.startswith("j: +0.125")]
    assert told.endswith("cannot be told from chance; about 350 would show it.")


def test_a_tiny_suite_is_called_too_small():
    found = one_judge([1, 2, 3], [3, 4, 5])
    assert said(found)[0].startswith("The suite is too small to tell: with 3 cases")
    assert "j: +2, but only 3 of 3 cases differ." in said(found)[1]


def test_many_judges_at_once_come_with_a_warning():
    judged = {f"c{n}": {f"j{k}": k > 0 for k in range(5)} for n in range(8)}
    fixed = {case: dict.fromkeys(scores, True) for case, scores in judged.items()}
    assert any(
        text.startswith("5 judges are compared at once") for text in said(compared(judged, fixed))
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (0.00004, "0.00004"), (1234.5, "1,234"), (-3.14159, "-3.14"), (7, "7")],
)
def test_figures_never_come_in_powers_of_ten(value, text):
    assert figure(value) == text


# -- what was consumed -----------------------------------------------------------------------------


def with_usage(run_id, costs, total=None, **more):
    usage = {case: Usage(cost_usd=cost, **more) for case, cost in costs.items()}
    return run(run_id, {}, usage=Usage(cost_usd=total), case_usage=usage)


def test_cost_is_paired_by_case():
    before = {f"c{n}": 0.1 + n / 100 for n in range(8)}
    after = {case: cost * 2 for case, cost in before.items()} | {"other": 5.0}
    found = compare(with_usage("a", before, 1.1), with_usage("b", after, 7.2), PROJECT)
    (cost,) = found.usage
    assert (cost.name, len(cost.before), cost.verdict) == ("Cost", 8, "more")
    assert (cost.total_before, cost.total_after) == (1.1, 7.2)
    assert cost.share(cost.change.difference) == pytest.approx(1.0)
    assert "Cost: +100% a case, 0.135 → 0.27 USD over 8 cases." in said(found)


def test_totals_alone_are_shown_but_not_judged():
    found = compare(with_usage("a", {}, 1.0), with_usage("b", {}, 2.0), PROJECT)
    (cost,) = found.usage
    assert (cost.verdict, cost.change, cost.total_after) == ("not in both", None, 2.0)


def test_a_baseline_that_cost_nothing_has_no_percentage():
    nothing, something = dict.fromkeys("abcdef", 0.0), dict.fromkeys("abcdef", 0.5)
    (cost,) = compare(with_usage("a", nothing), with_usage("b", something), PROJECT).usage
    assert (cost.verdict, cost.share(cost.change.difference)) == ("more", None)


def test_figures_that_neither_run_has_are_left_out():
    tokens = {"input": 3, "output": 4}
    runs = [with_usage(name, {"c": 0.1}, tokens=tokens, duration_s=2.0) for name in "ab"]
    names = [usage.name for usage in compare(*runs, PROJECT).usage]
    assert names == ["Cost", "Duration", "Input tokens", "Output tokens"]
