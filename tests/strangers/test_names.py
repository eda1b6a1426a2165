"""Cases, judges, runs and evals may be called whatever there is: each keeps what is its own."""

import pytest
import yaml
from eval_project import CASES, RUN_ID, EvalProject, log_of, score, scores_of
from in_mlflow import InMlflow
from mlflow import MlflowClient

from evalkit import Workspace
from evalkit.feedback.review_file import read_review, save_comments

RUN = ("--run-id", RUN_ID)
BRACKETS = ("[slow] refund", "{draft} reply", '"quoted" order', '"all quoted"', "[", "{}")
NAMES = (*BRACKETS, "[1, 2]", '{"a": 1}', "123", "null", "' [x]", "a: b # c")
ODD = ("001", "010", "1", "1.0", "true", "no", "12:30", "0x1F", "1_000", "3.10", "1e3", "null", "~")
"""What YAML takes for something else where it is not quoted."""


def named(project, names):
    """The project, with cases of these names instead."""
    project.unlog(*CASES)
    project.remove("cases")
    for name in names:
        project.add_case(name, f"do {name}", "fine")
        project.log(name, log_of("x"))


@pytest.fixture
def bracketed(project):
    named(project, NAMES)
    project.summarise({name: {"polite": scores_of(name)["polite"]} for name in NAMES})
    project.write(str(project.review), {"feedback": {name: f"on {name}" for name in NAMES}})
    return project


@pytest.mark.parametrize("way", ["database_uri", "server"])
def test_each_name_keeps_its_trace_and_scores_however_often_and_gets_its_words_back(
    evalkit, bracketed, request, way
):
    found = request.getfixturevalue(way)
    uri = found if isinstance(found, str) else found.uri
    for stage in ("log-results", "push-feedback", "log-results", "push-feedback"):
        done = evalkit(stage, *RUN, uri=uri)
        assert done.code == 0, done.err
    assert (done.report["traces"], done.report["unmatched"]) == (len(NAMES), 0)
    assert (done.report["created"], done.report["updated"], done.report["deleted"]) == (0, 0, 0)
    assert evalkit("log-results", *RUN, uri=uri).report["written"] is False
    there = InMlflow(uri)
    traces = there.traces()
    tags = {name: trace.info.tags["evalkit.case"] for name, trace in traces.items()}
    assert tags == {name: name for name in NAMES}
    for name in NAMES:
        said = {each.name: each for each in traces[name].info.assessments}
        assert said["polite"].value is True
        assert said["human_review"].rationale == f"on {name}"
        if name in BRACKETS:
            there.say(name, "nice", value=True, who="ada")
    assert evalkit("sync-dataset", uri=uri).code == 0
    assert {*NAMES} <= {row["case"] for row in there.rows()}
    assert evalkit("pull-feedback", *RUN, uri=uri).code == 0
    pulled = yaml.safe_load(bracketed.review.read_text("utf-8"))["mlflow_feedback"]
    assert sorted(each["case_id"] for each in pulled) == sorted(BRACKETS)


@pytest.mark.usefixtures("bracketed")
def test_what_an_older_release_marked_with_quotes_is_written_anew_and_never_deleted(
    evalkit, database_uri
):
    evalkit("log-results", *RUN)
    found = InMlflow(database_uri)
    first = found.traces()["[slow] refund"].info.trace_id
    MlflowClient(database_uri).set_trace_tag(first, "evalkit.case", '"[slow] refund"')
    for _ in range(2):
        assert evalkit("log-results", *RUN).code == 0
        assert found.traces()["[slow] refund"].info.trace_id == first
        assert found.values("[slow] refund")["polite"] is True
        assert len(found.traces()) == len(NAMES)
    assert evalkit("push-feedback", *RUN).report["unmatched"] == 0


def test_judges_runs_and_evals_in_brackets_are_logged_twice_like_any_other(
    tmp_path, evalkit, database_uri, monkeypatch
):
    project = EvalProject(tmp_path / "bracketed", "[nightly] eval")
    monkeypatch.chdir(project.root)
    project.summarise({case: {"[polite]": score(value=True)} for case in CASES})
    project.configure(judges=[{"name": "[polite]", "check": "..."}], thresholds={})
    project.write("eval/runs/[nightly] eval/{one}/summary.yaml", project.read(project.summary))
    for case in CASES:
        project.write(f"eval/runs/[nightly] eval/{{one}}/cases/{case}/stdout.log", log_of(case))
    for _ in range(2):
        assert evalkit("log-results", "--run-id", "{one}").code == 0
        outcome = evalkit("push-feedback", "--run-id", "{one}")
        assert (outcome.code, outcome.report["judge"]) == (0, 3)
    there = InMlflow(database_uri, "[nightly] eval")
    assert len(there.runs()) == 1
    found = there.tracing.search_traces(locations=[there.experiment_id])
    assert [[each.name for each in trace.info.assessments] for trace in found] == [["[polite]"]] * 3


# -- what YAML takes for something else -------------------------------------------------------


@pytest.fixture
def odd(project):
    """Such cases, and a review and a summary that do not quote them."""
    named(project, ODD)
    scores = "".join(f"  {n}: {{polite: {{value: true, rationale: of {n}}}}}\n" for n in ODD)
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
    for name, trace in InMlflow(database_uri).traces().items():
        said = {each.name: each.rationale for each in trace.info.assessments}
        assert (said["human_review"], said["polite"]) == (f"on {name}", f"of {name}")


def test_a_comment_on_such_a_case_replaces_its_own_and_a_new_one_is_quoted(odd):
    found = Workspace.open(odd.root).run(RUN_ID)
    whole = odd.review.read_text()
    for name in ODD:
        odd.review.write_text(whole)
        save_comments(found, {name: "typed in the page"})
        expected = {n: "typed in the page" if n == name else f"on {n}" for n in ODD}
        assert read_review(found).feedback == expected
        after = odd.review.read_text()
        assert after.startswith(whole.replace(f": on {name} #", ": typed in the page #", 1))
        save_comments(found, {name: None})
        assert len(yaml.compose(odd.review.read_text()).value[0][1].value) == len(ODD) - 1
    odd.review.unlink()
    for name in ("007", "yes", "alpha"):
        save_comments(found, {name: "x"})
        assert read_review(found).feedback[name] == "x"
    assert set(yaml.safe_load(odd.review.read_text())["feedback"]) == {"007", "yes", "alpha"}


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
    done = evalkit(*(["push-feedback", *RUN] if "RUN" in file else ["map"]))
    assert done.code == 2
    (problem,) = done.report["problems"]
    assert problem["file"].endswith(path.name)
    assert (problem["field"], problem["line"]) == (field, second)
    assert problem["message"] == f"the key stands twice, first on line {first}"


MERGED = """\
common: &common {release: "1.0", team: red}
mlflow:
  tags:
    <<: *common
    release: "2.0"
"""


def test_what_is_merged_may_be_overridden_and_only_once(evalkit, project, database_uri):
    usual = project.read("eval.yaml").partition("mlflow:")[0]
    project.write("eval.yaml", usual + MERGED)
    several = "a: &a {prompt: from a}\nb: &b {prompt: from b, more: 1}\n<<: [*a, *b]\n"
    project.write("cases/alpha/input.yaml", f"{several}prompt: its own\n")
    done = evalkit("sync-dataset")
    assert (done.code, "its own" in done.err) == (0, True)
    assert evalkit("log-results", *RUN).code == 0
    tags = InMlflow(database_uri).run().data.tags
    assert (tags["release"], tags["team"]) == ("2.0", "red")
    project.write("eval.yaml", usual + MERGED + '    release: "3.0"\n')
    (problem,) = evalkit("check").report["problems"]
    line = len(usual.splitlines()) + 6
    assert (problem["field"], problem["line"]) == ("mlflow.tags.release", line)


# -- what no file can be called, and what a terminal would dress up ---------------------------


@pytest.mark.parametrize(
    "name", ["x" * 256, "評価" * 60, "n" * 5000, "e\u0301" * 200, "a/" * 200, "\0x"]
)
def test_a_name_that_is_no_file_name_is_no_traceback(name, project, evalkit):
    project.configure(name=name)
    for command in (("check",), ("all", *RUN)):
        outcome = evalkit(*command)
        assert "Traceback" not in outcome.err + outcome.out
        assert outcome.code in {0, 1, 2}


@pytest.mark.parametrize(
    "given",
    [
        *(("log-results", "--run-id", run_id) for run_id in ("r" * 300, "a\0b", "../../../../etc")),
        ("push-feedback", "--run-id", "r" * 5000),
        *(("sync-dataset", "--mapping", path) for path in ("m" * 300, "cases")),
        *(("map", "--out", path) for path in ("x" * 300, "cases", "eval.yaml/x.json")),
        *(("check", "--config", path) for path in ("x" * 300, "cases", "eval.yaml/eval.yaml")),
        ("check", "--runs-dir", "x" * 300),
    ],
    ids=lambda given: " ".join(given)[:40].replace("\0", "0"),
)
def test_an_argument_that_cannot_be_a_path_is_told_in_one_line(given, evalkit):
    outcome = evalkit(*given)
    assert outcome.code in {1, 2}, outcome.out
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.report["error"]


def test_nothing_that_a_file_says_is_dressed_up_when_it_is_printed(project, evalkit):
    """Codes of emojis and markup in a run's id, a judge, a comment's case, a case and its input."""
    judge = "[red]polite:100:"
    bar = {judge: {"min_mean": 2}}
    project.configure(judges=[{"name": judge, "check": "..."}], thresholds=bar)
    project.summarise({"alpha": {judge: score(1)}, ":smile:": {"x": score(1)}})
    project.write(str(project.review), {"feedback": {"[bold]:warning:[/bold]": "no"}})
    assert f"{judge} min_mean" in evalkit("log-results", *RUN).err
    assert "[bold]:warning:[/bold]" in evalkit("push-feedback", *RUN).err
    assert ":tada:[/x]" in evalkit("log-results", "--run-id", ":tada:[/x]").err
    project.add_case("a :smile: [red]b", "ask :x::+1:", "x")
    said = evalkit("sync-dataset").err
    assert "created   a :smile: [red]b\n" in said
    project.remove("cases")
    project.add_case(":bug:", "ask order:100:b", "x")
    assert "inputs.prompt: ask order:100:b\n" in evalkit("sync-dataset").err
