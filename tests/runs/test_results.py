"""Runs are read from their files; thresholds of all four kinds are held against them."""

import pytest

from evalkit.documents import Document, parse_yaml
from evalkit.errors import InputError
from evalkit.project import read_project
from evalkit.runs.metrics import thresholds
from evalkit.runs.results import read_run

PROJECT = read_project(
    parse_yaml(
        """
name: e
models: {skill: m}
thresholds:
  quality: {min_mean: 4}
  ok: {min_pass_rate: 0.9}
  pairwise: {min_win_rate: 0.5}
  flaky: {max_error_rate: 0.2}
  absent: {min_mean: 1}
""",
        "eval.yaml",
    )
)


def run_with(judges, per_case=None):
    summary = {"judges": judges, "per_case": per_case}
    return read_run("r1", PROJECT, Document(summary, "summary.yaml"), None)


def held(run, verdict):
    return [bound for bound in thresholds(PROJECT, run) if bound.verdict == verdict]


@pytest.mark.parametrize(
    ("judges", "broken"),
    [
        ({"quality": {"mean": 3.9}}, ["quality"]),
        ({"quality": {"mean": 4}}, []),
        ({"ok": {"pass_rate": 0.5}}, ["ok"]),
        ({"pairwise": {"win_rate": 0.4}}, ["pairwise"]),
        ({"flaky": {"error_rate": 0.3}}, ["flaky"]),
        ({"flaky": {"error_rate": 0.2}}, []),
        ({"quality": {"mean": 1}, "ok": {"pass_rate": 0}}, ["quality", "ok"]),
    ],
)
def test_each_kind_of_threshold_is_held(judges, broken):
    assert [b.judge for b in held(run_with(judges), "fails")] == broken


def test_the_error_rate_is_counted_where_the_summary_does_not_say():
    per_case = {
        "a": {"flaky": {"value": True}},
        "b": {"flaky": {"error": "boom", "value": None}},
    }
    (breach,) = held(run_with({"flaky": {"mean": 1.0}}, per_case), "fails")
    assert (breach.judge, breach.actual) == ("flaky", 0.5)


def test_what_was_not_measured_is_no_breach_but_is_named():
    run = run_with({"quality": {"mean": None}})
    assert held(run, "fails") == []
    assert [b.judge for b in held(run, "not measured")] == [
        "quality",
        "ok",
        "pairwise",
        "flaky",
        "absent",
    ]


def test_the_run_result_is_read_by_case_and_model():
    result = {
        "execution_mode": "batch",
        "exit_code": 0,
        "duration_s": 12.5,
        "cost_usd": 0.5,
        "num_turns": 7,
        "model": "m-from-run",
        "token_usage": {"input": 3, "output": 4},
        "per_model_usage": {"m": {"input": 3, "cost_usd": 0.5}},
        "per_case": {"b": {"duration_s": 2}},
    }
    run = read_run("r", PROJECT, None, Document(result, "f"), case_dirs=["a"])
    assert (run.mode, run.model, run.cases) == ("batch", "m-from-run", ("a", "b"))
    assert run.usage.per_model == {"m": {"input": 3, "cost_usd": 0.5}}
    assert run.case_usage["b"].duration_s == 2
    assert run.notes == ("no summary.yaml: no scores",)


def test_wrong_shapes_are_all_named():
    summary = Document({"judges": [1], "per_case": {"a": 3, "b": {"j": 1}}}, "summary.yaml")
    result = Document({"duration_s": "long", "per_case": 4}, "run_result.json")
    with pytest.raises(InputError) as caught:
        read_run("r", PROJECT, summary, result)
    assert [(p.file, p.field) for p in caught.value.problems] == [
        ("summary.yaml", "judges"),
        ("summary.yaml", "per_case.a"),
        ("summary.yaml", "per_case.b.j"),
        ("run_result.json", "duration_s"),
        ("run_result.json", "per_case"),
    ]
