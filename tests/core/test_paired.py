"""Paired differences: against published figures, and where nothing can be told."""

import pytest
from scipy import stats

from evalkit.core.paired import CHANCE, FEWEST, mean_change, rate_change

# Extra sleep of ten patients with two drugs, in hours (Cushny and Peebles 1905, Student 1908).
DEXTRO = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
LAEVO = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def flips(fixed, broken, passed=0, failed=0):
    """Passes before and after, as two lists."""
    before = [False] * fixed + [True] * broken + [True] * passed + [False] * failed
    after = [True] * fixed + [False] * broken + [True] * passed + [False] * failed
    return before, after


def test_students_sleep_data_give_students_figures():
    found = mean_change(DEXTRO, LAEVO)
    assert (found.before, found.after) == pytest.approx((0.75, 2.33))
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858))
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert (found.pairs, found.differing, found.standing) == (10, 9, "more")


def test_the_approval_of_the_prime_minister_gives_the_textbooks_figures():
    # 1600 people asked twice; Agresti, Categorical Data Analysis, section 11.1
    found = rate_change(*flips(fixed=86, broken=150, passed=794, failed=570))
    assert (found.before, found.after) == pytest.approx((0.59, 0.55))
    assert (found.low, found.high) == pytest.approx((-0.0587, -0.0213), abs=3e-4)
    assert found.p == pytest.approx(3.716e-05, abs=1e-8)
    assert found.standing == "less"


def test_the_two_directions_mirror_each_other():
    there, back = mean_change(DEXTRO, LAEVO), mean_change(LAEVO, DEXTRO)
    assert (back.low, back.high, back.standing) == (
        pytest.approx(-there.high),
        pytest.approx(-there.low),
        "less",
    )


def test_six_is_the_fewest_that_can_stand_out():
    assert stats.binomtest(FEWEST - 1, FEWEST - 1).pvalue > CHANCE
    assert stats.binomtest(FEWEST, FEWEST).pvalue < CHANCE


@pytest.mark.parametrize(
    ("before", "after", "standing"),
    [
        ([3], [4], "too few cases"),
        ([3], [3], "same"),
        ([3, 4, 5], [3, 4, 5], "same"),
        ([1, 1, 1, 1, 1], [5, 5, 5, 4, 4], "too few cases"),  # five, however clear
        ([1, 2, 1, 2, 1, 2], [2, 3, 2, 3, 2, 3], "more"),  # six, all by the same amount
        ([1, 2, 1, 2, 1], [2, 3, 2, 3, 2], "too few cases"),
        ([3] * 12, [6] * 4 + [3] * 8, "too few cases"),  # clear by t, but four of twelve
        ([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5], "within noise"),
        ([0.1 + 0.2] * 6, [0.3] * 6, "same"),  # floating point is no difference
    ],
)
def test_what_can_be_told_of_numbers(before, after, standing):
    assert mean_change(before, after).standing == standing


@pytest.mark.parametrize(
    ("fixed", "broken", "passed", "standing"),
    [
        (0, 0, 1, "same"),
        (1, 0, 0, "too few cases"),
        (5, 0, 0, "too few cases"),
        (5, 0, 7, "within noise"),
        (6, 0, 0, "more"),
        (0, 6, 400, "less"),
        (8, 1, 3, "more"),
        (7, 1, 4, "within noise"),
        (3, 3, 6, "within noise"),
    ],
)
def test_what_can_be_told_of_passes(fixed, broken, passed, standing):
    assert rate_change(*flips(fixed, broken, passed)).standing == standing


def test_the_interval_of_a_rate_never_contradicts_the_exact_test():
    for cases in (6, 12, 50, 500):
        for fixed in range(min(cases, 16) + 1):
            for broken in range(min(cases - fixed, 16) + 1):
                found = rate_change(*flips(fixed, broken, cases - fixed - broken))
                if found.low is not None:
                    without_zero = found.low > 0 or found.high < 0
                    assert without_zero == (found.p < CHANCE), (cases, fixed, broken)
                    assert -1 <= found.low <= found.difference <= found.high <= 1


def test_the_resolution_is_what_would_just_stand_out():
    # of 12 cases none flipped: six would have to, all the same way
    assert rate_change(*flips(0, 0, 12)).resolution == 0.5
    assert rate_change(*flips(6, 0, 6)).standing == "more"
    # with two that flipped back, nine of ten must flip the same way
    assert rate_change(*flips(5, 5, 90)).resolution == pytest.approx(8 / 100)
    assert rate_change(*flips(9, 1, 90)).standing == "more"
    assert rate_change(*flips(8, 2, 90)).standing == "within noise"
    # for numbers it is half of the interval
    sleep = mean_change(DEXTRO, LAEVO)
    assert sleep.resolution == pytest.approx((sleep.high - sleep.low) / 2)


def test_fewer_than_six_cases_resolve_nothing():
    assert rate_change(*flips(0, 0, 5)).resolution is None
    assert mean_change([1, 2, 3], [2, 2, 2]).resolution is None


def test_as_many_cases_as_are_called_for_show_the_difference_four_times_in_five():
    needed = mean_change(DEXTRO, LAEVO).needed
    effect = 1.58 / 1.229995
    df = needed - 1
    power = stats.nct.sf(stats.t.isf(CHANCE / 2, df), df, effect * needed**0.5)
    assert 0.6 < power < 0.9
    assert mean_change([1, 2, 3], [1, 2, 3]).needed is None


def test_nothing_is_no_sample():
    with pytest.raises(ValueError, match="at least one"):
        mean_change([], [])
