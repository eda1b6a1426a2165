"""eval.yaml is read leniently where it may be, and refused with every problem where not."""

import pytest

from evalkit.documents import parse_yaml
from evalkit.project import read_project


def _read(text, file, **more):
    return read_project(parse_yaml(text, file), **more)


FULL = """
name: refunds
execution: {mode: batch, skill: support, arguments: "{message}"}
runner: {type: claude-code, effort: high}
models: {skill: m1, judge: m2}
mlflow:
  experiment: refunds-exp
  tracking_uri: sqlite:///x.db
  tags: {team: support, count: 3, active: true}
dataset: {path: cases, schema: "input.yaml has message"}
judges:
- {name: polite, llm_rubric: is it polite, feedback_type: str, score_range: [1, 5]}
- {name: short, check: "return True"}
thresholds: {short: {min_pass_rate: 0.9}}
somebody_elses: {key: 1}
"""


def test_every_part_is_read():
    project = _read(FULL, "eval.yaml")
    assert (project.name, project.skill, project.mode) == ("refunds", "support", "batch")
    assert project.experiment == "refunds-exp"
    assert project.tags == {"team": "support", "count": "3", "active": "true"}
    assert [(j.name, j.kind) for j in project.judges] == [
        ("polite", "llm_rubric"),
        ("short", "check"),
    ]
    assert project.judges[0].score_range == (1.0, 5.0)
    assert project.thresholds == {"short": {"min_pass_rate": 0.9}}
    assert project.advice == ()


@pytest.mark.parametrize(
    ("text", "name", "experiment"),
    [
        ("name: a\nskill: b\nexecution: {mode: prompt}", "a", "a"),
        ("skill: b", "b", "b"),
        ("name: a\nmlflow: {experiment: e}", "a", "e"),
    ],
)
def test_the_name_falls_back_to_the_skill_then_to_the_folder(text, name, experiment):
    project = _read(text, "eval.yaml", fallback_name="folder")
    assert (project.name, project.experiment, project.mode) == (name, experiment, "case")


def test_likely_mistakes_are_advice_and_stop_nothing():
    text = "judges: [{name: a}, {name: b, module: m}]\nthresholds: {c: {min_mean: 1}, a: 3}\n"
    advice = _read(text, "e").advice
    assert [p.field for p in advice] == [
        "dataset.path",
        "dataset.schema",
        "judges[0]",
        "judges[1].module",
        "thresholds.c",
        "thresholds.a",
    ]
