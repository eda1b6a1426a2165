"""Kappa, its interval and the matrix against values from the literature and another library."""

import pytest
from sklearn.metrics import cohen_kappa_score

from evalkit.core.agreement import MIN_LABELS, agreement


def labels(matrix, names=("pass", "fail")):
    """Two raters' labels that give this matrix."""
    cells = [
        (names[row], names[column])
        for row, counts in enumerate(matrix)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]
    return [first for first, _ in cells], [second for _, second in cells]


@pytest.mark.parametrize(
    ("matrix", "kappa", "low", "high"),
    [
        # Wilson: 35 in 50 is 0.5625 to 0.8090, 60 in 100 is 0.5020 to 0.6906, 20 in 20 from 0.8389
        pytest.param([[20, 5], [10, 15]], 0.4000, 0.1249, 0.6180, id="grants read by two readers"),
        pytest.param(
            [[45, 15], [25, 15]], 0.1304, -0.0826, 0.3274, id="60 in 100, alike marginals"
        ),
        pytest.param([[25, 35], [5, 35]], 0.2593, 0.0778, 0.4270, id="60 in 100, unlike marginals"),
        pytest.param([[10, 0], [0, 10]], 1.0, 0.6777, 1.0, id="perfect, and still no certainty"),
        pytest.param([[0, 10], [10, 0]], -1.0, -1.0, -0.6777, id="always the contrary"),
    ],
)
def test_known_values(matrix, kappa, low, high):
    found = agreement(*labels(matrix))
    assert found.matrix == tuple(map(tuple, matrix))
    assert (found.kappa, found.low, found.high) == pytest.approx((kappa, low, high), abs=1e-4)


@pytest.mark.parametrize(
    "matrix",
    [
        [[12, 3, 0], [2, 9, 1], [1, 1, 20]],
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [[30, 0, 0], [0, 1, 0], [0, 0, 0]],
    ],
)
def test_three_labels_give_what_scikit_learn_gives(matrix):
    people, judges = labels(matrix, ("polite", "neutral", "rude"))
    found = agreement(people, judges)
    assert found.kappa == pytest.approx(cohen_kappa_score(people, judges))
    assert found.low <= found.kappa <= found.high
    assert (found.count, found.agreed) == (
        sum(map(sum, matrix)),
        sum(matrix[i][i] for i in range(3)),
    )


@pytest.mark.parametrize(
    ("matrix", "standing"),
    [
        ([[0, 0], [0, 0]], "too few labels"),
        ([[MIN_LABELS - 1, 0], [0, 0]], "too few labels"),
        ([[MIN_LABELS - 2, 0], [0, 1]], "too few labels"),
        ([[MIN_LABELS, 0], [0, 0]], "one label"),
        ([[5, 0], [0, 5]], "above chance"),
        ([[9, 1], [0, 0]], "not above chance"),
        ([[10, 10], [10, 10]], "not above chance"),
    ],
)
def test_what_can_be_said(matrix, standing):
    found = agreement(*labels(matrix))
    assert found.standing == standing
    assert (found.kappa is None) == (standing in {"too few labels", "one label"})


def test_labels_stand_in_the_order_a_reader_expects():
    people = ["fail", "10", "9", "rude", "pass", "neutral"]
    assert agreement(people, people).labels == ("pass", "fail", "9", "10", "neutral", "rude")
