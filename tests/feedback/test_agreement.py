"""What people and judges said of the same case: as which labels, and how far they agree."""

import pytest
import yaml
from sklearn.metrics import cohen_kappa_score

from evalkit.feedback.agreement import MIN_LABELS, agreement, agreement_frames
from evalkit.project import Judge, Project
from evalkit.runs.run import Run, Score
from evalkit.runs.run_dir import RunFiles

RANGES = {"ranged": (1, 5), "bounded": (1, 5), "share": (0, 1), "free": None}
JUDGES = tuple(Judge(name, score_range=reach) for name, reach in RANGES.items())
PROJECT = Project("p", judges=JUDGES, thresholds={"bounded": {"min_mean": 4}})


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
def test_a_persons_value_under_the_name_of_a_judge(compared, judge, value, said, labels):
    pulled, own = {"mlflow_feedback": [annotation(judge, said)]}, {"verdicts": {"a": {judge: said}}}
    for review in (pulled, own):
        pairs, _ = compared(Score("a", judge, value), **review)
        assert [(p["said"], p["judged"]) for p in pairs] == ([labels] if labels else [])


def test_a_judges_value_beside_the_review(compared):
    for judge, value, label in [
        *(("yes_no", True, "pass"), ("yes_no", "Yes", "pass"), ("yes_no", " fail ", "fail")),
        *(("ranged", 3, "pass"), ("ranged", 2.9, "fail"), ("bounded", 3, "fail")),
        *(("free", 3, None), ("tone", "polite", None), ("found", ["x"], None), ("ok", None, None)),
    ]:
        pairs, _ = compared(Score("a", judge, value), feedback={"a": ""})
        assert [pair["judged"] for pair in pairs] == ([label] if label else [])


def test_a_comment_is_a_fail_none_a_pass_and_each_person_is_one(compared):
    scores = [*(Score(case, "ok", True) for case in "abc"), Score("a", "out", True, error="late")]
    listed = [
        *(annotation("ok", True, "cy"), annotation("ok", False, "dan"), annotation("out", True)),
        *(
            annotation("would_send", True),
            annotation("ok", True, case="z"),
            {"name": "ok"},
            "stray",
        ),
    ]
    said = {"reviewer": "ann", "feedback": {"a": "too long", "b": ""}, "reviewers": {"b": "bea"}}
    pairs, _ = compared(*scores, **said, mlflow_feedback=listed)
    names = ("case_id", "person", "said", "word", "why")
    assert sorted([pair[name] for name in names] for pair in pairs) == [
        ["a", "ann", "fail", "too long", ""],
        ["a", "cy", "pass", True, "so it is"],
        ["a", "dan", "fail", False, "so it is"],
        ["b", "bea", "pass", "accepted", ""],
    ]
    assert compared(*scores, mlflow_feedback={"a": {"ok": 1}})[0] == []


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


FEW = MIN_LABELS - 1


@pytest.mark.parametrize(
    ("matrix", "figures", "standing"),
    [
        # Wilson: 35 in 50 is 0.5625 to 0.8090, 60 in 100 is 0.5020 to 0.6906, 20 in 20 from 0.8389
        ([[20, 5], [10, 15]], (0.4000, 0.1249, 0.6180), "above chance"),
        ([[25, 35], [5, 35]], (0.2593, 0.0778, 0.4270), "above chance"),
        ([[10, 0], [0, 10]], (1.0, 0.6777, 1.0), "above chance"),  # and still no certainty
        ([[12, 3, 0], [2, 9, 1], [1, 1, 20]], None, "above chance"),
        ([[9, 1], [0, 0]], None, "not above chance"),
        ([[FEW, 0], [0, 0]], None, "too few labels"),
        ([[FEW - 1, 0], [0, 1]], None, "too few labels"),
        ([[MIN_LABELS, 0], [0, 0]], None, "one label"),
    ],
)
def test_kappa_its_interval_and_what_can_be_said(matrix, figures, standing):
    cells = [(row, column) for row, counts in enumerate(matrix) for column in range(len(counts))]
    first, second = zip(*(c for c in cells for _ in range(matrix[c[0]][c[1]])), strict=True)
    found = agreement(*([("pass", "fail", "other")[n] for n in side] for side in (first, second)))
    agreed = sum(row[n] for n, row in enumerate(matrix))
    assert (found["labels"], found["agreed"], found["standing"]) == (len(first), agreed, standing)
    assert (found["kappa"] is None) == (standing in {"too few labels", "one label"})
    if found["kappa"] is not None:
        assert found["kappa"] == pytest.approx(cohen_kappa_score(first, second))
        assert found["low"] <= found["kappa"] <= found["high"]
    if figures:
        assert (found["kappa"], found["low"], found["high"]) == pytest.approx(figures, abs=1e-4)
