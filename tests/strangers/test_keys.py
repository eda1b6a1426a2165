"""Keys of people's files: taken as written, refused where they stand twice, merged as YAML says."""

import pytest
import yaml
from eval_project import RUN_ID, log_of
from in_mlflow import InMlflow

from evalkit import Workspace
from evalkit.feedback.review_file import read_review, save_comments

RUN = ("--run-id", RUN_ID)
ODD = ("001", "010", "1", "1.0", "true", "no", "12:30", "0x1F", "1_000", "3.10", "1e3", "null", "~")


@pytest.fixture
def odd(project):
    """Cases whose names YAML takes for something else, and a review that does not quote them."""
    project.unlog("alpha", "beta", "gamma")
    project.remove("cases")
    for name in ODD:
        project.add_case(name, f"do {name}")
        project.log(name, log_of("x"))
    scores = "".join(
        f"  {name}: {{polite: {{value: true, rationale: of {name}}}}}\n" for name in ODD
    )
    project.write(project.summary, f"judges: {{polite: {{mean: 1}}}}\nper_case:\n{scores}")
    comments = "".join(f"  {name}: on {name} # mine\n" for name in ODD)
    project.review.write_text(f"feedback:\n{comments}")
    return project


@pytest.mark.usefixtures("odd")
def test_unquoted_case_ids_are_names_and_each_keeps_its_scores_and_comment(evalkit, database_uri):
    assert evalkit("check").code == 0
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["unmatched"]) == (len(ODD), len(ODD), 0)
    found = InMlflow(database_uri)
    for name in ODD:
        assert found.feedback(name)["human_review"].rationale == f"on {name}"
        assert found.feedback(name)["polite"].rationale == f"of {name}"


@pytest.mark.parametrize("name", ODD)
def test_a_comment_on_such_a_case_replaces_its_own_and_the_file_still_parses(odd, name):
    before = odd.review.read_text()
    found = Workspace.open(odd.root).run(RUN_ID)
    save_comments(found, {name: "typed in the page"})
    assert read_review(found).feedback == {
        n: "typed in the page" if n == name else f"on {n}" for n in ODD
    }
    after = odd.review.read_text()
    assert after.startswith(before.replace(f": on {name} #", ": typed in the page #", 1))
    save_comments(found, {name: None})
    assert len(yaml.compose(odd.review.read_text()).value[0][1].value) == len(ODD) - 1


def test_a_new_comment_is_quoted_where_yaml_would_take_it_for_something_else(project):
    found = Workspace.open(project.root).run(RUN_ID)
    for name in ("007", "yes", "alpha"):
        save_comments(found, {name: "x"})
        assert read_review(found).feedback[name] == "x"
    assert set(yaml.safe_load(project.review.read_text())["feedback"]) == {"007", "yes", "alpha"}


TWICE = [
    ("eval.yaml", "name: support\nskill: s\nname: other\n", "name", 3, 1),
    ("cases/alpha/input.yaml", "prompt: a\nmore:\n  - {x: 1,\n     x: 2}\n", "more[0].x", 4, 3),
    ("cases/beta/extra.json", '{"a": {"b": 1,\n\t"b": 2}}', "a.b", 2, 1),
    ("RUN/summary.yaml", "judges: {}\nper_case:\n  a: {}\n  'a': {}\n", "per_case.a", 4, 3),
    ("RUN/run_result.json", '{\n"exit_code": 0,\n"exit_code": 1}', "exit_code", 3, 2),
    ("RUN/review.yaml", "feedback:\n  alpha: x\n  beta: y\n  alpha: z\n", "feedback.alpha", 4, 2),
]


@pytest.mark.parametrize(("file", "text", "field", "second", "first"), TWICE)
def test_a_key_that_stands_twice_is_refused_with_both_lines(
    evalkit, project, file, text, field, second, first
):
    path = project.write(file.replace("RUN", project.run_dir), text)
    stage = ["push-feedback", *RUN] if "RUN" in file else ["map"]
    done = evalkit(*stage)
    assert done.code == 2
    (problem,) = done.report["problems"]
    assert problem["file"].endswith(path.name)
    assert (problem["field"], problem["line"]) == (field, second)
    assert problem["message"] == f"the key stands twice, first on line {first}"


def test_what_is_merged_may_be_overridden_and_only_once(evalkit, project, database_uri):
    merged = """\
common: &common {release: "1.0", team: red}
mlflow:
  tags:
    <<: *common
    release: "2.0"
"""
    usual = project.read("eval.yaml").partition("mlflow:")[0]
    project.write("eval.yaml", usual + merged)
    assert evalkit("log-results", *RUN).code == 0
    tags = InMlflow(database_uri).run().data.tags
    assert (tags["release"], tags["team"]) == ("2.0", "red")
    project.write("eval.yaml", usual + merged + '    release: "3.0"\n')
    (problem,) = evalkit("check").report["problems"]
    assert (problem["field"], problem["line"]) == (
        "mlflow.tags.release",
        len(usual.splitlines()) + 6,
    )


def test_several_merges_with_overrides_are_read_in_data_files_too(evalkit, project):
    project.write(
        "cases/alpha/input.yaml",
        "a: &a {prompt: from a}\nb: &b {prompt: from b, more: 1}\n<<: [*a, *b]\nprompt: its own\n",
    )
    done = evalkit("sync-dataset")
    assert done.code == 0, done.err
    assert "its own" in done.err
