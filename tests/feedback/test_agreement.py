"""What people and judges said of the same case: as which labels, and how far they agree."""

import pytest
import yaml
from sklearn.metrics import cohen_kappa_score

from evalkit.feedback.agreement import MIN_LABELS, agreement, agreement_frames
from evalkit.project import Judge, Project
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles

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


@pytest.fixture
def compared(tmp_path):
    """Compares scores with a review; gives the pairs as mappings, and the judges."""

    def run(*scores, **review):
        (tmp_path / "review.yaml").write_text(yaml.safe_dump(review))
        found = RunFiles(PROJECT, Run("r", "case", scores=scores, cases=("a", "b")), tmp_path)
        pairs, judges = agreement_frames(found)
        return pairs.to_dict("records"), judges

    return run


def annotation(name, value, source="ann", case="a"):
    told = {"case_id": case, "trace_id": "tr-1", "name": name, "value": value}
    return {**told, "rationale": "so it is", "source": source, "time": "2026-01-02T03:04:05+00:00"}


@pytest.mark.parametrize(
    ("judge", "value", "said", "labels"),
    [
        ("ok", True, "no", ("fail", "pass")),
        ("tone", "polite", "Rude", ("rude", "polite")),
        ("ranged", 4, 4.0, ("4", "4")),
        ("ranged", 4, 5, ("5", "4")),
        ("share", 0.82, 0.9, ("pass", "pass")),
        ("free", 0.5, 0.5, None),
        ("ok", None, True, None),
    ],
)
@pytest.mark.parametrize("by", ["annotation", "verdict"])
def test_a_persons_value_under_the_name_of_a_judge(compared, judge, value, said, labels, by):
    pulled = {"mlflow_feedback": [annotation(judge, said)]}
    review = pulled if by == "annotation" else {"verdicts": {"a": {judge: said}}}
    pairs, _ = compared(Score("a", judge, value), **review)
    assert [(p["said"], p["judged"]) for p in pairs] == ([labels] if labels else [])


def test_a_judges_value_beside_the_review(compared):
    read = [
        *(("yes_no", True, "pass"), ("yes_no", "Yes", "pass"), ("yes_no", " fail ", "fail")),
        *(("ranged", 3, "pass"), ("ranged", 2.9, "fail"), ("bounded", 3, "fail")),
        *(("free", 3, None), ("tone", "polite", None), ("found", ["x"], None), ("ok", None, None)),
    ]
    for judge, value, label in read:
        pairs, _ = compared(Score("a", judge, value), feedback={"a": ""})
        assert [pair["judged"] for pair in pairs] == ([label] if label else [])


def test_a_comment_is_a_fail_no_comment_a_pass_no_review_nothing_and_a_failed_judge_none(compared):
    scores = [Score(case, "ok", True) for case in "abc"]
    failed = Score("a", "broken", True, error="timed out")
    said = {"a": "too long", "b": ""}
    pairs, _ = compared(
        *scores,
        failed,
        reviewer="ann",
        feedback=said,
        reviewers={"b": "bea"},
        mlflow_feedback=[annotation("broken", True)],
    )
    assert [(p["case_id"], p["person"], p["said"], p["word"]) for p in pairs] == [
        ("a", "ann", "fail", "too long"),
        ("b", "bea", "pass", "accepted"),
    ]


def test_two_people_on_one_case_are_two_and_other_names_cases_and_forms_none(compared):
    listed = [
        annotation("ok", True, "ann"),
        annotation("ok", False, "bob"),
        annotation("would_send", True),
        annotation("ok", True, case="b"),
        {"name": "ok"},
        "stray",
    ]
    pairs, _ = compared(Score("a", "ok", True), mlflow_feedback=listed)
    assert [(p["person"], p["said"], p["why"]) for p in pairs] == [
        ("ann", "pass", "so it is"),
        ("bob", "fail", "so it is"),
    ]
    assert compared(Score("a", "ok", True), mlflow_feedback={"a": {"ok": 1}})[0] == []


def test_every_judge_is_listed_with_how_it_was_read(compared):
    values = {"ok": True, "bounded": 5, "free": 5, "tone": "polite", "silent": None}
    scores = [Score("a", judge, value) for judge, value in values.items()]
    _, listed = compared(*scores, feedback={"a": ""}, mlflow_feedback=[annotation("tone", "rude")])
    assert [(j["judge"], j["basis"], j["labels"], j["reading"].split(":")[0]) for j in listed] == [
        ("ok", "review", 1, "true is a pass"),
        ("bounded", "review", 1, "4 or more is a pass"),
        ("free", "review", 0, "not compared"),
        ("tone", "review", 0, "not compared"),
        ("tone", "annotations", 1, "value by value"),
        ("silent", "review", 0, "not compared"),
    ]


def labels(matrix, names=("pass", "fail", "other")):
    """Two raters' labels that give this confusion matrix."""
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
        pytest.param([[25, 35], [5, 35]], 0.2593, 0.0778, 0.4270, id="60 in 100, unlike marginals"),
        pytest.param([[10, 0], [0, 10]], 1.0, 0.6777, 1.0, id="perfect, and still no certainty"),
        pytest.param([[12, 3, 0], [2, 9, 1], [1, 1, 20]], None, None, None, id="three labels"),
    ],
)
def test_kappa_and_its_interval(matrix, kappa, low, high):
    first, second = labels(matrix)
    found = agreement(first, second)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second))
    assert found["low"] <= found["kappa"] <= found["high"]
    counts = sum(map(sum, matrix)), sum(matrix[i][i] for i in range(len(matrix)))
    assert (found["labels"], found["agreed"]) == counts
    if kappa is not None:
        figures = (found["kappa"], found["low"], found["high"])
        assert figures == pytest.approx((kappa, low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("matrix", "standing"),
    [
        ([[MIN_LABELS - 1, 0], [0, 0]], "too few labels"),
        ([[MIN_LABELS - 2, 0], [0, 1]], "too few labels"),
        ([[MIN_LABELS, 0], [0, 0]], "one label"),
        ([[5, 0], [0, 5]], "above chance"),
        ([[9, 1], [0, 0]], "not above chance"),
    ],
)
def test_what_can_be_said(matrix, standing):
    found = agreement(*labels(matrix))
    assert found["standing"] == standing
    assert (found["kappa"] is None) == (standing in {"too few labels", "one label"})
