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
        given, *expected = (
            yaml.safe_load(path.read_text())
            for path in (folder / "input.yaml", folder / "expected.yaml")
            if path.exists()
        )
        found.append({"case": folder.name, "inputs": given, "expectations": (*expected, {})[0]})
    return found


def test_what_would_be_done_is_shown_and_a_dry_run_writes_nothing_not_even_an_experiment(
    evalkit, project, mlflow
):
    assert counts(evalkit(SYNC, "--dry-run").report) == {"created": 3}
    assert (mlflow.experiment_id, mlflow.datasets()) == (None, [])
    done = evalkit(SYNC)
    assert counts(done.report) == {"created": 3}
    assert (mlflow.rows(), mlflow.datasets()) == (mirror(project), ["support"])
    assert "please handle alpha" in done.err  # the first case
    project.add_case("beta", "please handle beta, quickly")
    project.remove("cases/gamma")
    project.add_case("delta", "please handle delta", "delta is handled")
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
    assert (refused.code, "first case" in refused.err) == (2, False)


NEW, MOVED, THEIRS = "please handle a new one", "please handle beta", "asked by a person"
CHANGES = [  # cases that go, cases with what they are asked, and what that comes to
    ({"alpha"}, {"zeta": "please handle alpha"}, {"updated": 1, "unchanged": 2}),  # renamed
    ((), {"beta": ("please handle beta", None)}, {"updated": 1, "unchanged": 2}),
    ((), {"delta": NEW}, {"created": 1, "unchanged": 3}),
    ((), {"alpha": MOVED, "beta": NEW}, {"updated": 2, "unchanged": 1}),  # moved on
    (CASES, {"delta": NEW}, {"created": 1, "deleted": 3}),
    ((), {"beta": THEIRS}, {"skipped": 1, "unchanged": 2}),
]


@pytest.mark.parametrize(("gone", "asked", "expected"), CHANGES, ids=str)
def test_whatever_happens_to_the_cases_the_dataset_follows_and_what_others_added_stays(
    evalkit, project, mlflow, gone, asked, expected
):
    evalkit(SYNC)
    mlflow.add_row({"prompt": THEIRS})
    for case in {*gone, *asked} & {*CASES}:
        project.remove(f"cases/{case}")
    for case, given in asked.items():
        prompt, outcome = (given, f"{case} is handled") if isinstance(given, str) else given
        project.add_case(case, prompt, outcome)
    for dry in (["--dry-run"], []):
        done = evalkit(SYNC, *dry)
        assert counts(done.report) == expected
    skipped = "skipped" in expected
    assert not skipped or "beta" in done.err
    theirs, *ours = mlflow.rows()
    assert (theirs["case"], theirs["inputs"]) == ("", {"prompt": THEIRS})
    assert ours == [row for row in mirror(project) if row["inputs"] != theirs["inputs"]]
    again = evalkit(SYNC, "--strict")
    assert (again.code, again.report["unchanged"], again.report["updated"]) == (
        int(skipped),
        len(ours),
        0,
    )


def test_equal_inputs_are_refused_by_name_unless_they_are_to_be_kept_apart(
    evalkit, project, mlflow
):
    project.add_case("beta", "please handle alpha")
    done = evalkit(SYNC)
    (problem,) = done.report["problems"]
    assert (done.code, "alpha, beta" in problem["message"]) == (2, True)
    assert "--distinguish" in problem["fix"]
    assert mlflow.experiment_id is None
    for kind in ("created", "unchanged"):
        apart = evalkit(SYNC, "--distinguish", "--dataset-name", "it's mine")
        assert (counts(apart.report), apart.report["dataset"]) == ({kind: 3}, "it's mine")
    assert mlflow.datasets() == ["it's mine"]
    assert [row["inputs"] for row in mlflow.rows("it's mine")] == [
        {"prompt": f"please handle {asked}", "case_id": case}
        for case, asked in (("alpha", "alpha"), ("beta", "alpha"), ("gamma", "gamma"))
    ]


VALUES = {
    "whole": 3,
    "half": 0.5,
    "three": 3.0,
    "yes": True,
    "text": 'ä😀\n\tit\'s "so"',
    "digits": "3",
    "list": [1, "a", None, {"b": [True]}],
    "empty": "",
    "date": "2026-07-09",
}


def test_values_arrive_as_they_are_on_disk_and_hundreds_in_reasonable_time(
    evalkit, project, mlflow
):
    for number in range(400):
        project.add_case(f"case-{number:04}", f"question {number}", f"answer {number}")
    project.write("cases/alpha/input.yaml", VALUES)
    project.write("cases/alpha/expected.yaml", VALUES)
    inputs = {name: f"input.yaml:{name}" for name in (*VALUES, "prompt")}
    expectations = {name: f"expected.yaml:{name}" for name in VALUES}
    mapping = {"inputs": inputs, "expectations": expectations}
    project.write("tmp/schema_mapping.json", mapping)
    began = time.process_time()
    assert counts(evalkit(SYNC).report) == {"created": 403}
    assert counts(evalkit(SYNC).report) == {"unchanged": 403}
    assert time.process_time() - began < 6
    rows = mlflow.rows()
    assert (len(rows), rows[0]["inputs"], rows[0]["expectations"]) == (403, VALUES, VALUES)
    assert type(rows[0]["inputs"]["yes"]) is bool
