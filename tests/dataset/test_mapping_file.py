"""``evalkit map``: its report, its file, and that a file edited by hand is never lost."""

import json

import pytest

SAME = {"_eval": "support", "expectations": {"outcome": "./expected.yaml:outcome"}}


@pytest.fixture
def unmapped(project):
    project.remove("tmp")
    return project


def test_the_report_holds_the_mapping_its_reasons_and_its_coverage(evalkit, unmapped):
    unmapped.remove("cases/gamma/expected.yaml")
    unmapped.write("cases/alpha/input.yaml", {"prompt": "p", "tags": ["x"]})
    report = evalkit("map").report
    assert report["inputs"] == {"prompt": "input.yaml:prompt"}
    assert report["expectations"] == {"outcome": "expected.yaml:outcome"}
    assert report["coverage"] == {"input.yaml:prompt": [3, 3], "expected.yaml:outcome": [2, 3]}
    assert set(report["reasons"]) == {*report["coverage"], "input.yaml:tags"}
    written = json.loads(unmapped.read(report["file"]))
    assert written["inputs"] == report["inputs"]


def test_cases_in_which_nothing_can_be_told_to_be_an_input_are_an_input_error(evalkit, unmapped):
    unmapped.remove("cases")
    unmapped.write("cases/a/case.yaml", {"alpha": "a", "beta": "b"})
    unmapped.configure(dataset={"path": "cases"})
    done = evalkit("map")
    assert done.code == 2
    assert [problem["field"] for problem in done.report["problems"]] == [
        "dataset.schema",
        "case.yaml:alpha",
        "case.yaml:beta",
    ]


@pytest.mark.parametrize(
    ("edited", "code", "fields"),
    [
        ({**SAME, "inputs": {"prompt": "input.yaml:prompt"}}, 0, []),
        (
            {**SAME, "inputs": {"question": "input.yaml:prompt"}},
            2,
            ["", "inputs.question", "inputs.prompt"],
        ),
        ('{"inputs": ', 2, ["", ""]),
    ],
    ids=["the same in another layout", "edited by hand", "broken"],
)
def test_a_file_is_only_replaced_by_force(evalkit, project, edited, code, fields):
    text = edited if isinstance(edited, str) else json.dumps(edited, indent=8)
    file = project.write("tmp/schema_mapping.json", text)
    done = evalkit("map")
    assert (done.code, file.read_text()) == (code, text)
    assert [problem["field"] for problem in done.report.get("problems", [])] == fields
    assert not code or "--force" in done.err
    assert evalkit("map", "--force").code == 0
    assert json.loads(file.read_text())["inputs"] == {"prompt": "input.yaml:prompt"}
    assert (file.read_text() == text) is not bool(code)
