"""Cases, judges, runs and evals may be called whatever there is: each keeps what is its own."""

import pytest
import yaml
from eval_project import CASES, RUN, RUN_ID, EvalProject, log_of, score
from in_mlflow import InMlflow

from evalkit import Workspace
from evalkit.feedback.review_file import read_review, save_comments

NAMES = ("[slow] refund", "{draft} reply", '"all quoted"', "[", "{}", "[1, 2]", '{"a": 1}', "123")
NAMES += ("null", "' [x]", "a: b # c")
ODD = ("001", "010", "1", "1.0", "true", "no", "12:30", "0x1F", "1_000", "3.10", "1e3", "null", "~")
"""What YAML takes for something else where it is not quoted."""


def named(project, names):
    """The project, with cases of these names instead."""
    project.unlog(*CASES)
    project.remove("cases")
    for name in names:
        project.add_case(name, f"do {name}", "fine")
        project.log(name, log_of("x"))


@pytest.mark.parametrize("way", ["database_uri", "server"])
def test_each_name_keeps_its_trace_and_scores_however_often_and_gets_its_words_back(
    evalkit, tmp_path, monkeypatch, request, way
):
    found = request.getfixturevalue(way)
    uri = found if isinstance(found, str) else found.uri
    project = EvalProject(tmp_path / "bracketed", "[nightly] eval")
    monkeypatch.chdir(project.root)
    named(project, NAMES)
    project.configure(judges=[{"name": "[polite]", "check": "..."}], thresholds={})
    project.summarise({name: {"[polite]": score(value=True)} for name in NAMES})
    project.write(str(project.review), {"feedback": {name: f"on {name}" for name in NAMES}})
    run = project.root / project.run_dir
    run.rename(run.with_name("{one}"))
    for _ in range(2):
        logged = evalkit("log-results", "--run-id", "{one}", uri=uri).report
        done = evalkit("push-feedback", "--run-id", "{one}", uri=uri)
        assert done.code == 0, done.err
    assert (logged["traces"], logged["written"], done.report["unmatched"]) == (11, False, 0)
    assert (done.report["created"], done.report["updated"], done.report["deleted"]) == (0, 0, 0)
    there = InMlflow(uri, project.name)
    traces = there.traces()
    tags = {name: trace.info.tags["evalkit.case"] for name, trace in traces.items()}
    assert tags == {name: name for name in NAMES}
    for name in NAMES:
        said = {each.name: each for each in traces[name].info.assessments}
        assert said["[polite]"].value is True
        assert said["human_review"].rationale == f"on {name}"
        there.say(name, "nice", value=True, who="ada")
    assert evalkit("sync-dataset", uri=uri).code == 0
    assert {*NAMES} == {row["case"] for row in there.rows(project.name)}
    assert evalkit("pull-feedback", "--run-id", "{one}", uri=uri).code == 0
    review = run.with_name("{one}") / "review.yaml"
    pulled = yaml.safe_load(review.read_text("utf-8"))["mlflow_feedback"]
    assert sorted(each["case_id"] for each in pulled) == sorted(NAMES)


# -- what YAML takes for something else -------------------------------------------------------


def test_unquoted_case_ids_are_names_and_each_keeps_its_scores_and_comment(
    evalkit, project, mlflow
):
    """A comment on such a case replaces its own, and a new one is quoted."""
    named(project, ODD)
    scores = "".join(f"  {n}: {{polite: {{value: true, rationale: of {n}}}}}\n" for n in ODD)
    project.write(project.summary, f"judges: {{polite: {{mean: 1}}}}\nper_case:\n{scores}")
    whole = "feedback:\n" + "".join(f"  {name}: on {name} # mine\n" for name in ODD)
    project.review.write_text(whole)
    assert evalkit("check").code == 0
    evalkit("log-results", *RUN)
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["human"], report["unmatched"]) == (len(ODD), len(ODD), 0)
    for name, trace in mlflow.traces().items():
        said = {each.name: each.rationale for each in trace.info.assessments}
        assert (said["human_review"], said["polite"]) == (f"on {name}", f"of {name}")
    found = Workspace.open(project.root).run(RUN_ID)
    for name in ODD:
        project.review.write_text(whole)
        save_comments(found, {name: "typed in the page"})
        expected = {n: "typed in the page" if n == name else f"on {n}" for n in ODD}
        assert read_review(found).feedback == expected
        changed = whole.replace(f": on {name} #", ": typed in the page #", 1)
        assert project.review.read_text().startswith(changed)
        save_comments(found, {name: None})
        assert len(yaml.compose(project.review.read_text()).value[0][1].value) == len(ODD) - 1
    project.review.unlink()
    for name in ("007", "yes", "alpha"):
        save_comments(found, {name: "x"})
        assert read_review(found).feedback[name] == "x"
    assert set(yaml.safe_load(project.review.read_text())["feedback"]) == {"007", "yes", "alpha"}


TWICE = [
    ("cases/alpha/input.yaml", "prompt: a\nmore:\n  - {x: 1,\n     x: 2}\n", "more[0].x", 4, 3),
    ("cases/beta/extra.json", '{"a": {"b": 1,\n\t"b": 2}}', "a.b", 2, 1),
    ("RUN/summary.yaml", "judges: {}\nper_case:\n  a: {}\n  'a': {}\n", "per_case.a", 4, 3),
    ("RUN/run_result.json", '{\n"exit_code": 0,\n"exit_code": 1}', "exit_code", 3, 2),
]


@pytest.mark.parametrize(("file", "text", "field", "second", "first"), TWICE)
def test_a_key_that_stands_twice_is_refused_with_both_lines(
    evalkit, project, file, text, field, second, first
):
    path = project.write(file.replace("RUN", project.run_dir), text)
    done = evalkit(*(["push-feedback", *RUN] if "RUN" in file else ["map"]))
    (problem,) = done.report["problems"]
    assert (done.code, problem["file"].endswith(path.name)) == (2, True)
    assert (problem["field"], problem["line"]) == (field, second)
    assert problem["message"] == f"the key stands twice, first on line {first}"


def test_what_is_merged_may_be_overridden_and_only_once(evalkit, project, mlflow):
    usual = project.read("eval.yaml").partition("mlflow:")[0]
    merged = (
        'common: &common {release: "1.0", team: red}\n'
        'mlflow:\n  tags:\n    <<: *common\n    release: "2.0"\n'
    )
    project.write("eval.yaml", usual + merged)
    assert evalkit("log-results", *RUN).code == 0
    tags = mlflow.run().data.tags
    assert (tags["release"], tags["team"]) == ("2.0", "red")
    project.write("eval.yaml", usual + merged + '    release: "3.0"\n')
    (problem,) = evalkit("check").report["problems"]
    line = len(usual.splitlines()) + 6
    assert (problem["field"], problem["line"]) == ("mlflow.tags.release", line)


# -- what no file can be called, and what a terminal would dress up ---------------------------


def test_names_and_arguments_that_are_no_paths_are_told_in_one_line(project, evalkit):
    arguments = [
        ("log-results", "--run-id", "r" * 300),
        *(("sync-dataset", "--mapping", path) for path in ("m" * 300, "cases")),
        *(("map", "--out", path) for path in ("x" * 300, "cases", "eval.yaml/x.json")),
        *(("check", "--config", path) for path in ("x" * 300, "eval.yaml/eval.yaml")),
    ]
    for given in arguments:
        outcome = evalkit(*given)
        assert (outcome.code in {1, 2}, bool(outcome.report["error"])) == (True, True), given
        assert "Traceback" not in outcome.err + outcome.out
    for name in ("評価" * 60, "n" * 5000, "a/" * 200, "\0x"):
        project.configure(name=name)
        outcome = evalkit("all", *RUN)
        assert (outcome.code in {0, 1, 2}, "Traceback" in outcome.err) == (True, False)


def test_nothing_that_a_file_says_is_dressed_up_when_it_is_printed(project, evalkit):
    """Codes of emojis and markup in a run's id, a judge, a comment's case, a case and its input."""
    judge = "[red]polite:100:"
    project.configure(judges=[{"name": judge, "check": "..."}], thresholds={judge: {"min_mean": 2}})
    project.summarise({"alpha": {judge: score(1)}, ":smile:": {"x": score(1)}})
    project.write(str(project.review), {"feedback": {"[bold]:warning:[/bold]": "no"}})
    assert f"{judge} min_mean" in evalkit("log-results", *RUN).err
    assert "[bold]:warning:[/bold]" in evalkit("push-feedback", *RUN).err
    assert ":tada:[/x]" in evalkit("log-results", "--run-id", ":tada:[/x]").err
    project.remove("cases")
    project.add_case("a :smile: [red]b", "ask order:100:b", "x")
    said = evalkit("sync-dataset").err
    assert "created   a :smile: [red]b\n" in said
    assert "inputs.prompt: ask order:100:b\n" in said
