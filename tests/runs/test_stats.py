"""Paired differences: against scipy and published figures, and where nothing can be told."""

import numpy as np
import pytest
from scipy import stats

from evalkit.stats import adjusted, mean_interval, paired_change

# Extra sleep of ten patients with two drugs, in hours (Cushny and Peebles 1905, Student 1908).
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def flips(fixed, broken, passed=0, failed=0):
    """Passes before and after, as two lists."""
    before = [False] * fixed + [True] * broken + [True] * passed + [False] * failed
    after = [True] * fixed + [False] * broken + [True] * passed + [False] * failed
    return before, after


def test_random_pairs_give_the_figures_of_scipy():
    random = np.random.default_rng(7)
    for count in random.integers(6, 60, 60):
        before = random.integers(1, 6, count).astype(float)
        after = np.clip(before + random.integers(-1, 3, count), 1, 5)
        found = paired_change(list(before), list(after))
        if np.ptp(after - before) > 0:
            interval = stats.ttest_rel(after, before).confidence_interval(0.95)
            moved = (after - before)[after != before]
            method = "exact" if len(moved) <= 50 else "asymptotic"
            expected = (*interval, stats.wilcoxon(moved, method=method).pvalue)
            assert (*found.interval, found.p) == pytest.approx(expected)
        passed = [list(map(bool, side > 3)) for side in (before, after)]
        ups, downs = ((passed[a] > np.asarray(passed[b])).sum() for a, b in ((1, 0), (0, 1)))
        rate = paired_change(*passed, is_rate=True)
        assert (rate.before, rate.after) == pytest.approx(tuple(map(np.mean, passed)))
        assert rate.differing == ups + downs
        if ups + downs:
            assert rate.p == pytest.approx(stats.binomtest(int(ups), int(ups + downs)).pvalue)


def test_textbooks_give_their_figures():
    sleep = paired_change(DEXTRO, LAEVO)
    assert (sleep.before, sleep.after) == pytest.approx((0.75, 2.33))
    assert sleep.interval == pytest.approx((0.7001142, 2.4598858))
    assert (sleep.p, sleep.pairs, sleep.differing) == (0.00390625, 10, 9)
    back = paired_change(LAEVO, DEXTRO)
    assert (sleep.direction(sleep.p), back.direction(back.p)) == (1, -1)
    # 1600 people asked twice; Agresti, Categorical Data Analysis, section 11.1
    asked = paired_change(*flips(fixed=86, broken=150, passed=794, failed=570), is_rate=True)
    assert (asked.before, asked.after) == pytest.approx((0.59, 0.55))
    assert asked.interval == pytest.approx((-0.0587, -0.0213), abs=3e-4)
    assert (asked.p, asked.direction(asked.p)) == (pytest.approx(3.716e-05, abs=1e-8), -1)
    # four p-values of Holm's 1979 method as statsmodels' multipletests gives them
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    share = mean_interval([True] * 8 + [False] * 2)  # Wilson's, as in Newcombe 1998
    assert share == (0.8, pytest.approx((0.4902, 0.9433), abs=1e-4))
    assert mean_interval([0.5]) == (0.5, None)


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ([3], [4], 0),
        ([1, 1, 1, 1, 1], [5, 5, 5, 4, 4], 0),  # five, however clear
        ([3] * 12, [6] * 4 + [3] * 8, 0),
        ([0.1 + 0.2] * 6, [0.3] * 6, 0),  # floating point is no difference
        (*flips(5, 0, 7), 0),
        (*flips(0, 6, 400), -1),
        (*flips(7, 1, 4), 0),
    ],
)
def test_what_can_be_told(before, after, direction):
    found = paired_change(before, after, is_rate=isinstance(before[0], bool))
    assert found.direction(found.p) == direction


def test_a_case_that_breaks_never_makes_the_answer_surer():
    for count in (20, 35, 36, 60):
        none, one = (paired_change(*flips(0, n, count - n), is_rate=True) for n in (0, 1))
        assert one.interval[0] < none.interval[0]
        assert none.is_within(0.1) or not one.is_within(0.1)


def test_as_many_cases_as_are_called_for_tell_worse_from_same():
    random = np.random.default_rng(3)

    def change(count, true):
        sides = (random.random(count) < rate for rate in (0.8, 0.8 + true))
        return paired_change(*(list(map(bool, side)) for side in sides), is_rate=True)

    for true in (0.0, -0.1, -0.3):
        needed = change(30, true).needed(0.1)
        found = [change(needed, true) for _ in range(40)]
        assert sum(each.is_within(0.1) or each.direction(each.p) != 0 for each in found) >= 36
