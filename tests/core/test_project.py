"""What a project's config comes to: its parts, its experiment, its MLflow and its table."""

import pytest

from evalkit.context import table_name
from evalkit.documents import parse_yaml
from evalkit.errors import InputError
from evalkit.project import read_project
from evalkit.tracking import resolve_tracking, without_password


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nskill: b\nexecution: {mode: prompt}", ("a", "a", "case")),
        ("skill: b\nexecution: {mode: batch}", ("b", "b", "batch")),
        ("name: a\nmlflow: {experiment: e}", ("a", "e", "case")),
        ("{}", ("folder", "folder", "case")),
    ],
)
def test_names_fall_back_to_the_skill_and_the_folder(text, said):
    project = read_project(parse_yaml(text, "eval.yaml"), fallback_name="folder")
    assert (project.name, project.experiment, project.mode) == said


def test_judges_and_tags_are_read_and_likely_mistakes_are_advice():
    text = """
        mlflow: {tags: {team: support, count: 3, active: true}}
        judges: [{name: a, llm_rubric: x, score_range: [1, 5]}, {name: b, module: m}, {name: d}]
        thresholds: {c: {min_mean: 1}, a: 3}"""
    project = read_project(parse_yaml(text, "e"))
    assert project.tags == {"team": "support", "count": "3", "active": "true"}
    assert (project.judges[0].kind, project.judges[0].score_range) == ("llm_rubric", (1.0, 5.0))
    fields = ("dataset.path", "dataset.schema", "judges[1].module", "judges[2]")
    assert [p.field for p in project.advice] == [*fields, "thresholds.c", "thresholds.a"]


ENVIRONMENT = {"MLFLOW_TRACKING_URI": "http://env"}


@pytest.mark.parametrize(
    ("flag", "config", "environment", "uri"),
    [
        ("http://flag", "http://config", ENVIRONMENT, "http://flag"),
        (None, "http://config", ENVIRONMENT, "http://config"),
        (None, "", ENVIRONMENT, "http://env"),
        (None, "", {"DATABRICKS_RUNTIME_VERSION": "16"}, "databricks"),
        (None, "", {}, "http://127.0.0.1:5000"),
    ],
)
def test_which_mlflow_it_is(flag, config, environment, uri):
    assert resolve_tracking(flag, config, environment).uri == uri


def test_a_password_is_never_printed():
    assert without_password("https://me:pw@host/x") == "https://me:***@host/x"
    assert "pw" not in str(resolve_tracking("https://me:pw@host", "", {}))


VOLUME = "/Volumes/main/evals/state/project"


@pytest.mark.parametrize(
    ("named", "evaluation", "table"),
    [
        ("a.b-1.ü", "support", "a.b-1.ü"),
        (None, "Second brain-wiki", "main.evals.second_brain_wiki"),
        (None, "wiki: all!", "main.evals.wiki_all_6c095016"),
        (None, "日本", "main.evals.cases_06ce86d2"),
    ],
)
def test_the_table_of_a_workspace_is_the_one_asked_for_else_beside_the_volume(
    named, evaluation, table
):
    assert table_name(named, evaluation, VOLUME) == table


@pytest.mark.parametrize("named", ["support", "a.b.c.d", "a..c", "`a`.`b`.`c`", "", None])
def test_a_table_without_a_proper_name_is_refused(named):
    with pytest.raises(InputError, match="--dataset-name: .*CATALOG.SCHEMA.TABLE"):
        table_name(named, "support", "/Volumes/main" if named is None else VOLUME)
