"""Paired differences: against scipy and published figures, and where nothing can be told."""

import numpy as np
import pytest
from scipy import stats

from evalkit.stats import CHANCE, FEWEST, paired_change

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
    for count in random.integers(6, 60, 300):
        before = random.integers(1, 6, count).astype(float)
        after = np.clip(before + random.integers(-1, 3, count), 1, 5)
        found = paired_change(list(before), list(after))
        if np.ptp(after - before) > 0:
            test = stats.ttest_rel(after, before)
            expected = (*test.confidence_interval(0.95), test.pvalue)
            assert (found.low, found.high, found.p) == pytest.approx(expected)
        passed = [list(map(bool, side > 3)) for side in (before, after)]
        ups = sum(new > old for old, new in zip(*passed, strict=True))
        downs = sum(new < old for old, new in zip(*passed, strict=True))
        rate = paired_change(*passed)
        assert (rate.before, rate.after) == pytest.approx(tuple(map(np.mean, passed)))
        assert rate.differing == ups + downs
        if ups + downs:
            assert rate.p == pytest.approx(stats.binomtest(ups, ups + downs).pvalue)


def test_textbooks_give_their_figures():
    sleep = paired_change(DEXTRO, LAEVO)
    assert (sleep.before, sleep.after) == pytest.approx((0.75, 2.33))
    assert (sleep.low, sleep.high) == pytest.approx((0.7001142, 2.4598858))
    assert (sleep.p, sleep.pairs, sleep.differing) == (pytest.approx(0.002833, abs=1e-6), 10, 9)
    assert sleep.resolution == pytest.approx((sleep.high - sleep.low) / 2)
    back = paired_change(LAEVO, DEXTRO)
    assert (sleep.direction, back.direction, back.low) == ("more", "less", -sleep.high)
    # 1600 people asked twice; Agresti, Categorical Data Analysis, section 11.1
    asked = paired_change(*flips(fixed=86, broken=150, passed=794, failed=570))
    assert (asked.before, asked.after) == pytest.approx((0.59, 0.55))
    assert (asked.low, asked.high) == pytest.approx((-0.0587, -0.0213), abs=3e-4)
    assert (asked.p, asked.direction) == (pytest.approx(3.716e-05, abs=1e-8), "less")


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ([3], [4], "too few cases"),
        ([3], [3], "same"),
        ([1, 1, 1, 1, 1], [5, 5, 5, 4, 4], "too few cases"),  # five, however clear
        ([1, 2, 1, 2, 1, 2], [2, 3, 2, 3, 2, 3], "more"),  # six, all by the same amount
        ([3] * 12, [6] * 4 + [3] * 8, "too few cases"),  # clear by t, but four of twelve
        ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], "within noise"),
        ([0.1 + 0.2] * 6, [0.3] * 6, "same"),  # floating point is no difference
        (*flips(0, 0, 1), "same"),
        (*flips(5, 0, 0), "too few cases"),
        (*flips(5, 0, 7), "within noise"),
        (*flips(6, 0, 0), "more"),
        (*flips(0, 6, 400), "less"),
        (*flips(8, 1, 3), "more"),
        (*flips(7, 1, 4), "within noise"),
    ],
)
def test_what_can_be_told(before, after, direction):
    assert paired_change(before, after).direction == direction


def test_the_interval_of_a_rate_never_contradicts_the_exact_test():
    for cases in (6, 12, 50):
        for fixed in range(min(cases, 14) + 1):
            for broken in range(min(cases - fixed, 14) + 1):
                found = paired_change(*flips(fixed, broken, cases - fixed - broken))
                if found.low is not None:
                    without_zero = found.low > 0 or found.high < 0
                    assert without_zero == (found.p < CHANCE), (cases, fixed, broken)
                    assert -1 <= found.low <= found.after - found.before <= found.high <= 1


def test_the_resolution_is_what_would_just_stand_out():
    assert stats.binomtest(FEWEST - 1, FEWEST - 1).pvalue > CHANCE
    # of 12 cases none flipped: six would have to, all the same way
    assert paired_change(*flips(0, 0, 12)).resolution == 0.5
    # with five that flipped each way, nine of ten must flip the same way
    assert paired_change(*flips(5, 5, 90)).resolution == pytest.approx(8 / 100)
    assert paired_change(*flips(9, 1, 90)).direction == "more"
    assert paired_change(*flips(8, 2, 90)).direction == "within noise"
    assert paired_change(*flips(0, 0, 5)).resolution is None
    assert paired_change([1, 2, 3], [2, 2, 2]).resolution is None


def test_as_many_cases_as_are_called_for_show_the_difference_four_times_in_five():
    needed = paired_change(DEXTRO, LAEVO).needed
    effect, df = 1.58 / 1.229995, needed - 1
    power = stats.nct.sf(stats.t.isf(CHANCE / 2, df), df, effect * needed**0.5)
    assert 0.6 < power < 0.9
    assert paired_change([1, 2, 3], [1, 2, 3]).needed is None
