"""The dataset mirrors the cases, whatever happens to them, and what others added stays."""

import time

import pytest
import yaml
from eval_project import CASES, MAPPING

SYNC = "sync-dataset"


def counts(report):
    kinds = ("created", "updated", "unchanged", "deleted", "skipped")
    return {kind: report[kind] for kind in kinds if report[kind]}


def mirror(project):
    """What the dataset should hold: the cases as they lie on disk."""
    found = []
    for folder in sorted((project.root / "cases").iterdir()):
        given = yaml.safe_load((folder / "input.yaml").read_text())
        file = folder / "expected.yaml"
        expected = yaml.safe_load(file.read_text()) if file.exists() else {}
        found.append({"case": folder.name, "inputs": given, "expectations": expected})
    return found


def rename(project):
    (project.root / "cases/alpha").rename(project.root / "cases/zeta")


def edit_a_prompt(project):
    project.add_case("beta", "please handle beta, quickly")


def drop_an_expectation(project):
    project.remove("cases/beta/expected.yaml")


def add_a_case(project):
    project.add_case("delta", "please handle delta", "delta is handled")


def move_inputs_on(project):
    """Alpha takes over what beta was given, and beta something new."""
    project.add_case("alpha", "please handle beta", "alpha is handled")
    project.add_case("beta", "please handle something new", "beta is handled")


def replace_them_all(project):
    for case in CASES:
        project.remove(f"cases/{case}")
    add_a_case(project)


def test_what_would_be_done_is_shown_and_a_dry_run_writes_nothing_not_even_an_experiment(
    evalkit, project, mlflow
):
    done = evalkit(SYNC, "--dry-run")
    assert counts(done.report) == {"created": 3}
    assert (mlflow.experiment_id, mlflow.datasets()) == (None, [])
    done = evalkit(SYNC)
    assert counts(done.report) == {"created": 3}
    assert (mlflow.rows(), mlflow.datasets()) == (mirror(project), ["support"])
    assert "please handle alpha" in done.err  # the first case
    edit_a_prompt(project)
    project.remove("cases/gamma")
    add_a_case(project)
    before = mlflow.rows()
    done = evalkit(SYNC, "--dry-run")
    assert done.report["changes"] == [
        {"case": "beta", "kind": "updated", "fields": ["inputs.prompt"]},
        {"case": "delta", "kind": "created", "fields": []},
        {"case": "gamma", "kind": "deleted", "fields": []},
    ]
    assert all(case in done.err for case in ("beta", "delta", "gamma"))
    assert mlflow.rows() == before
    project.write("tmp/schema_mapping.json", {**MAPPING, "inputs": {"prompt": "input.yaml:no"}})
    refused = evalkit(SYNC)
    assert refused.code == 2
    assert "first case" not in refused.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rename, {"updated": 1, "unchanged": 2}),
        (edit_a_prompt, {"updated": 1, "unchanged": 2}),
        (drop_an_expectation, {"updated": 1, "unchanged": 2}),
        (add_a_case, {"created": 1, "unchanged": 3}),
        (move_inputs_on, {"updated": 2, "unchanged": 1}),
        (replace_them_all, {"created": 1, "deleted": 3}),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_whatever_happens_to_the_cases_the_dataset_follows(
    evalkit, project, mlflow, change, expected
):
    evalkit(SYNC)
    change(project)
    assert counts(evalkit(SYNC, "--dry-run").report) == expected
    assert counts(evalkit(SYNC).report) == expected
    assert mlflow.rows() == mirror(project)
    assert counts(evalkit(SYNC).report) == {"unchanged": len(mirror(project))}


def test_what_others_added_to_the_dataset_stays(evalkit, project, mlflow):
    evalkit(SYNC)
    mlflow.add_row({"prompt": "asked by a person"})
    replace_them_all(project)
    assert counts(evalkit(SYNC).report) == {"created": 1, "deleted": 3}
    assert [row["case"] for row in mlflow.rows()] == ["", "delta"]
    assert mlflow.rows()[0]["inputs"] == {"prompt": "asked by a person"}


def test_a_case_with_the_inputs_of_somebody_elses_row_is_skipped_and_named(
    evalkit, project, mlflow
):
    evalkit(SYNC)
    mlflow.add_row({"prompt": "asked by a person"})
    project.add_case("beta", "asked by a person", "mine")
    done = evalkit(SYNC)
    assert counts(done.report) == {"skipped": 1, "unchanged": 2}
    assert "beta" in done.err
    assert [row["case"] for row in mlflow.rows()] == ["", "alpha", "gamma"]
    assert evalkit(SYNC, "--strict").code == 1


def test_equal_inputs_are_refused_by_name_unless_they_are_to_be_kept_apart(
    evalkit, project, mlflow
):
    project.add_case("beta", "please handle alpha")
    for more in ([], ["--dry-run"]):
        done = evalkit(SYNC, *more)
        assert done.code == 2
        assert "alpha, beta" in done.report["problems"][0]["message"]
        assert "--distinguish" in done.report["problems"][0]["fix"]
    assert mlflow.experiment_id is None
    for kind in ("created", "unchanged"):
        apart = evalkit(SYNC, "--distinguish", "--dataset-name", "it's mine")
        assert (counts(apart.report), apart.report["dataset"]) == ({kind: 3}, "it's mine")
    assert mlflow.datasets() == ["it's mine"]
    assert [row["inputs"] for row in mlflow.rows("it's mine")] == [
        {"prompt": "please handle alpha", "case_id": "alpha"},
        {"prompt": "please handle alpha", "case_id": "beta"},
        {"prompt": "please handle gamma", "case_id": "gamma"},
    ]


VALUES = {
    "whole": 3,
    "half": 0.5,
    "three": 3.0,
    "yes": True,
    "text": 'ä😀\n\tit\'s "so"',
    "digits": "3",
    "list": [1, "a", None, {"b": [True]}],
    "deep": {"a": {"b": 1.5}},
    "empty": "",
    "date": "2026-07-09",
}


def test_values_arrive_as_they_are_on_disk_and_count_as_unchanged(evalkit, project, mlflow):
    project.write("cases/alpha/input.yaml", VALUES)
    project.write("cases/alpha/expected.yaml", VALUES)
    fields = {
        "inputs": {name: f"input.yaml:{name}" for name in VALUES} | {"prompt": "input.yaml:prompt"},
        "expectations": {name: f"expected.yaml:{name}" for name in VALUES},
    }
    project.write("tmp/schema_mapping.json", fields)
    assert evalkit(SYNC).code == 0
    row = mlflow.rows()[0]
    assert row["inputs"] == VALUES
    assert row["expectations"] == VALUES
    assert type(row["inputs"]["yes"]) is bool
    assert counts(evalkit(SYNC).report) == {"unchanged": 3}


def test_hundreds_of_cases_are_mirrored_in_reasonable_time(evalkit, project, mlflow):
    for number in range(400):
        project.add_case(f"case-{number:04}", f"question {number}", f"answer {number}")
    began = time.process_time()
    assert counts(evalkit(SYNC).report) == {"created": 403}
    assert counts(evalkit(SYNC).report) == {"unchanged": 403}
    assert time.process_time() - began < 6
    assert len(mlflow.rows()) == 403
