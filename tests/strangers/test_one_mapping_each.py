"""Each config has its own mapping; one of another config is never taken silently."""

import json

import pytest

CONFIG = "name: {name}\ndataset: {{path: {name}, schema: 'input.yaml: prompt'}}\njudges: []\n"


@pytest.fixture
def two(project):
    """Two configs beside each other, whose cases look alike."""
    for name in ("sort", "care"):
        project.write(f"eval-{name}.yaml", CONFIG.format(name=name))
        project.write(f"{name}/a/input.yaml", f"prompt: {name} this leaf\n")
    project.write("sort/a/annotations.yaml", "expected_kind: oak\n")
    project.write("care/a/annotations.yaml", "expected_kind: fern\nexpected_care: water\n")
    project.remove("tmp")
    return project


def test_two_configs_have_two_mappings(evalkit, two):
    for name, expected in (("sort", ["kind"]), ("care", ["kind", "care"])):
        report = evalkit("map", "--config", f"eval-{name}.yaml").report
        assert report["file"] == f"tmp/schema_mapping.{name}.json"
        assert list(report["expectations"]) == [f"expected_{each}" for each in expected]
        assert json.loads(two.read(report["file"]))["_eval"] == name
    done = evalkit("sync-dataset", "--config", "eval-care.yaml")
    assert "expectations.expected_care: water" in done.err


@pytest.mark.usefixtures("two")
def test_the_mapping_of_eval_yaml_is_not_anothers(evalkit):
    evalkit("map")
    done = evalkit("sync-dataset", "--config", "eval-care.yaml")
    assert done.code == 2
    assert "tmp/schema_mapping.care.json: there is no mapping yet" in done.err


@pytest.mark.parametrize("command", [["sync-dataset"], ["map"]])
def test_a_file_that_says_another_eval_is_refused(evalkit, two, command):
    evalkit("map", "--config", "eval-sort.yaml")
    two.write("tmp/schema_mapping.json", two.read("tmp/schema_mapping.sort.json"))
    done = evalkit(*command)
    assert done.code == 2
    assert "is the mapping of the eval 'sort'" in done.err
    assert "--force" in done.err


@pytest.mark.usefixtures("two")
def test_a_named_mapping_of_another_eval_is_taken_with_a_word(evalkit):
    evalkit("map", "--config", "eval-sort.yaml")
    named = ("--mapping", "tmp/schema_mapping.sort.json")
    done = evalkit("sync-dataset", "--config", "eval-care.yaml", *named)
    assert (done.code, done.report["created"]) == (0, 1)
    assert "is the mapping of the eval 'sort', not of 'care'" in done.err


@pytest.mark.parametrize(
    ("expectations", "is_taken"),
    [
        ({"kind": "annotations.yaml:expected_kind"}, True),
        ({"kind": "annotations.yaml:another"}, False),
    ],
)
def test_an_older_file_is_taken_with_a_word_if_it_fits(evalkit, two, expectations, is_taken):
    older = {"inputs": {"prompt": "input.yaml:prompt"}, "expectations": expectations}
    two.write("tmp/schema_mapping.json", older)
    done = evalkit("sync-dataset", "--config", "eval-care.yaml")
    assert done.code == (0 if is_taken else 2)
    assert ("does not say whose mapping it is" in done.err) is is_taken
    assert ("there is no mapping yet" in done.err) is not is_taken


def test_a_profile_shares_the_mapping_of_its_base(evalkit, project):
    project.write("profiles/fast.yaml", "extends: ../eval.yaml\nmodels: {skill: small}\n")
    done = evalkit("sync-dataset", "--config", "profiles/fast.yaml")
    assert (done.code, done.report["created"]) == (0, 3)


@pytest.mark.parametrize("name", ["Big Quiz / 2", "a" * 300, "日本語"])
def test_any_name_gives_a_file(evalkit, two, name):
    two.write("eval-care.yaml", CONFIG.format(name="care").replace("name: care", f"name: {name}"))
    report = evalkit("map", "--config", "eval-care.yaml").report
    assert (two.root / report["file"]).is_file()
    assert evalkit("map", "--config", "eval-care.yaml").code == 0
