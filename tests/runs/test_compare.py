"""Two runs held against each other: what is paired, what flipped, and what is said about it."""

import pytest

from evalkit.project import Judge, Project
from evalkit.runs.compare_report import report
from evalkit.runs.compare_rows import rows
from evalkit.runs.run import Run, Score
from evalkit.tokens import Consumption


def run(run_id, values, **more):
    """A run with these values: case to judge to value, or to an exception for a judge's error."""
    scores = tuple(
        Score(case, judge, value=False, error=str(value))
        if isinstance(value, Exception)
        else Score(case, judge, value)
        for case, judged in values.items()
        for judge, value in judged.items()
    )
    return Run(run_id, "case", scores=scores, cases=tuple(sorted(values)), **more)


def one_judge(before, after, judge="j", **about):
    """The comparison of what one judge gave, by case in order; ... is no case."""
    sides = (
        run(name, {f"c{n}": {judge: value} for n, value in enumerate(side) if value is not ...})
        for name, side in (("old", before), ("new", after))
    )
    return compared(*sides, Project("e", judges=(Judge(judge, **about),)))


def compared(before, after, project=None):
    return report(project or Project("e"), [before], [after])


@pytest.mark.parametrize(
    ("before", "after", "kind", "pairs", "verdict"),
    [
        ([True, False], [True, True], "pass", 2, "unknown"),
        ([True] * 5, [False] * 5, "pass", 5, "unknown"),  # five, however clear
        ([True] * 6, [False] * 6, "pass", 6, "worse"),
        ([True] * 36, [True] * 36, "pass", 36, "same"),
        ([1, 2, 1, 2, 1, 2], [2, 3, 2, 3, 2, 3], "number", 6, "better"),
        ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], "number", 6, "unknown"),
        ([1] * 10, [2] * 9 + [-40], "number", 10, "unknown"),  # most went up, the mean down
        ([3, 4], [3, float("nan")], "number", 1, "unknown"),
        ([1e200] * 6, [-1e200] * 6, "nothing", 0, "not in both"),
        (["a", "b"] * 18, ["a", "b"] * 18, "label", 36, "same"),
        (["good"] * 5, ["bad"] * 5, "label", 5, "unknown"),
        (["a"] * 8, ["b"] * 8, "label", 8, "changed"),
        ([None, None], [None, None], "nothing", 0, "not in both"),
        ([True, ...], [..., True], "pass", 0, "not in both"),
    ],
)
def test_values_of_every_kind_are_compared_where_both_runs_have_one(
    before, after, kind, pairs, verdict
):
    (judge,) = one_judge(before, after)["judges"]
    assert (judge["kind"], judge["pairs"], judge["verdict"]) == (kind, pairs, verdict)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (False, True, "fixed"),
        (True, False, "broken"),
        (4, 4.0, None),
        ("polite", "rude", "changed"),
        (True, 1, "changed"),
        (True, ValueError("boom"), "only in baseline"),
        (..., True, "only in candidate"),
    ],
)
def test_what_becomes_of_a_score(before, after, kind):
    flips = one_judge([before], [after])["flips"]
    assert [flip["kind"] for flip in flips] == ([kind] if kind else [])


def test_p_values_are_adjusted_for_the_number_of_judges():
    judged = {f"c{n}": {f"j{k}": k == 0 for k in range(5)} for n in range(6)}
    worse = {case: {**scores, "j0": False} for case, scores in judged.items()}
    found = compared(run("old", judged), run("new", worse))
    first = found["judges"][0]
    assert (first["p"], first["p_adjusted"], first["verdict"]) == (0.03125, 0.15625, "unknown")
    assert any(each.startswith("5 judges were looked at") for each in found["findings"])


def test_rows_say_in_figures_what_changed_and_what_could_be_told():
    values = [3, 3, 4, 2, 5, 3, 4, 3], [4, 3, 3, 3, 5, 4, 4, 2]
    found = one_judge(*values, judge="quality", score_range=(1.0, 5.0))
    (row,) = rows(found["judges"])
    assert list(row.items()) == [
        *(("Judge", "quality"), ("Verdict", "unknown"), ("Cases", 8)),
        *(("Baseline → candidate", "3.38 → 3.5"), ("Change", "+0.125")),
        *(("95 % interval", "-0.573 to +0.823"), ("Cases to tell", 268)),
    ]
    labels = one_judge(["a", "a", "b", "b", "c"], ["b", "b", "a", "b", "c"])
    (row,) = rows(labels["judges"])
    assert row["Baseline → candidate"] == "a → b in 2, b → a in 1"


def with_usage(run_id, costs, total, **more):
    usage = {case: Consumption(cost_usd=cost) for case, cost in costs.items()}
    return run(run_id, {}, usage=Consumption(cost_usd=total), case_usage=usage, **more)


def test_cost_is_paired_by_case_what_crashed_is_no_saving_and_totals_alone_are_not_judged():
    before = {f"c{n}": 0.1 + n / 100 for n in range(8)}
    after = {case: cost * 2 for case, cost in before.items()} | {"other": 5.0}
    found = compared(
        with_usage("a", before | {"crashed": 9.0}, 1.1),
        with_usage("b", after | {"crashed": 0.0}, 7.2, failed={"crashed": "exit code 1"}),
    )
    (cost,) = found["figures"]
    assert (cost["figure"], cost["pairs"], cost["verdict"]) == ("Cost", 8, "more")
    (row,) = rows(found["figures"])
    shown = (row["Verdict"], row["Baseline → candidate"], row["Change"])
    assert shown == ("worse", "0.135 → 0.27 USD", "+100%")
    (cost,) = compared(with_usage("a", {}, 1.0), with_usage("b", {}, 2.0))["figures"]
    assert (cost["verdict"], cost["totals"], "before" in cost) == ("not in both", [1.0, 2.0], False)
