"""``compare``, ``gate`` and ``history``: the answer first, and an exit code for each."""

import os
import subprocess

import pytest
from eval_project import RESULT, log_of, score
from mlflow import MlflowClient

from evalkit import EvalkitError
from evalkit.cli import jobs

CASES = [f"case-{n:02d}" for n in range(40)]
ABSENT = "http://127.0.0.1:9"
GOOD, BAD = "2026-07-01-good", "2026-07-02-bad"


@pytest.fixture
def arms(project):
    """Writes a run: which cases a judge passes, out of how many; with what differs besides."""
    project.configure(thresholds={}, judges=[{"name": "polite", "check": "..."}])

    def write(run_id, passed, cases=CASES, judge="polite", crashed=(), **summary):
        said = {
            case: {judge: score(n < passed)} for n, case in enumerate(cases) if case not in crashed
        }
        folder = f"eval/runs/{project.name}/{run_id}"
        usage = {
            case: {"exit_code": 1, "cost_usd": 0.0}
            if case in crashed
            else {"exit_code": 0, "cost_usd": 0.1}
            for case in cases
        }
        rate = passed / len(cases)
        figures = {judge: {"mean": rate, "pass_rate": rate}}
        project.write(f"{folder}/run_result.json", {**RESULT, "per_case": usage})
        project.write(f"{folder}/summary.yaml", {"judges": figures, "per_case": said, **summary})
        return run_id

    return write


@pytest.mark.parametrize(
    ("before", "after", "code", "gate", "verdict", "answer"),
    [
        (40, 40, 0, "pass", "same", "Same: over 40 cases, no judge moved by more than"),
        (40, 20, 1, "fail", "worse", "Worse: polite 100% → 50% over 40 cases (-50 points, 95"),
        (20, 40, 0, "pass", "better", "Better: polite 50% → 100% over 40 cases (+50 points"),
        (30, 28, 3, "unknown", "unknown", "Cannot tell: polite: 75% → 70% over 40 cases"),
    ],
)
def test_a_gate_answers_with_its_exit_code(
    evalkit, arms, before, after, code, gate, verdict, answer
):
    arms(GOOD, before)
    arms(BAD, after)
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", GOOD)
    report = outcome.report
    assert (outcome.code, report["gate"], report["verdict"]) == (code, gate, verdict)
    assert report["findings"][0].startswith(answer)
    assert ("error" in report) == bool(code)
    assert (report["needed_cases"] is not None) == (verdict == "unknown")
    compared = evalkit("compare", BAD, "--baseline", GOOD)
    assert (compared.code, compared.report["verdict"]) == (0, verdict)
    assert evalkit("compare", BAD, "--baseline", GOOD, "--strict").code == code


def test_what_not_knowing_is_and_what_does_not_matter_can_be_chosen_and_knowing_not(evalkit, arms):
    arms(GOOD, 40)
    arms(BAD, 38)
    asked = ("gate", "--run-id", BAD, "--baseline", GOOD)
    chosen = [[], ["--on-unknown=pass"], ["--on-unknown=fail"], ["--margin=0.2"]]
    assert [evalkit(*asked, *each).code for each in chosen] == [3, 0, 1, 0]
    assert evalkit(*asked, "--margin", "0.2").report["verdict"] == "same"
    arms(BAD, 5)
    assert evalkit(*asked, "--on-unknown", "pass").code == 1


def test_several_runs_of_an_arm_are_trials_pooled_by_case(evalkit, arms):
    cases, kept = CASES[:8], {"old": (8, 8, 7), "new": (3, 2, 1)}
    names = {
        arm: [arms(f"2026-07-0{n}-{arm}", each, cases) for n, each in enumerate(passed)]
        for arm, passed in kept.items()
    }
    apart = evalkit("compare", names["new"][0], "--baseline", names["old"][0]).report
    pooled = evalkit("compare", *names["new"], "--baseline", *names["old"]).report
    assert (apart["verdict"], pooled["verdict"]) == ("unknown", "worse")
    (judge,) = pooled["judges"]
    assert (judge["pairs"], judge["before"], judge["after"]) == (
        8,
        pytest.approx(23 / 24),
        pytest.approx(0.25),
    )
    assert pooled["executions"][1]["total"] == 24
    flip = next(each for each in pooled["flips"] if each["case"] == "case-02")
    assert (flip["before"], flip["after"], flip["kind"]) == (
        [True] * 3,
        [True, False, False],
        "worse",
    )


def test_a_crash_is_no_saving_and_no_pass(evalkit, arms):
    arms(GOOD, 40)
    arms(BAD, 40, crashed=CASES[12:])
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", GOOD)
    assert (outcome.code, outcome.report["verdict"]) == (1, "worse")
    assert outcome.report["findings"][0].startswith("Worse: 28 of 40 executions failed")
    (cost,) = [each for each in outcome.report["figures"] if each["figure"] == "Cost"]
    assert (cost["pairs"], cost["difference"]) == (12, 0)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cases": CASES[:30]}, "the candidate lacks 10 cases of the baseline: case-30"),
        ({"cases": [f"new-{n}" for n in range(40)]}, "no judge scored the same case in both"),
        ({"per_case": {}}, "no judge scored the same case in both"),
        (
            {"per_case": {case: {"polite": score(value=True)} for case in CASES[:36]}},
            "polite has no score of 4 cases that it judged before",
        ),
        (
            {"per_case": {case: {"polite": score("good")} for case in CASES}},
            "polite changed, and whether that is good only a person can say",
        ),
        (
            {
                "per_case": {case: {"polite": score(value=True)} for case in CASES[1:]}
                | {"case-00": {"polite": {"value": None, "error": "rate limited"}}}
            },
            "polite failed to judge 1 case",
        ),
        (None, "no scores"),
    ],
)
def test_what_is_missing_is_never_a_pass(evalkit, arms, project, change, why):
    arms(GOOD, 40)
    arms(BAD, 30 if change and "cases" in change else 40, **(change or {}))
    if change is None:
        project.remove(f"eval/runs/{project.name}/{BAD}/summary.yaml")
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", GOOD)
    assert (outcome.code, outcome.report["gate"]) == (3, "unknown")
    assert why in outcome.report["error"]


def test_a_task_of_a_databricks_job_fails_where_the_gate_does(arms, project, monkeypatch):
    monkeypatch.chdir(project.root)
    arms(GOOD, 40)
    arms(BAD, 20)
    task = ["--stages=gate", f"--baseline={GOOD}", "--run_ids=[]", "--margin="]
    with pytest.raises(EvalkitError, match=r"gate: polite 100% → 50%"):
        jobs.main([*task, f"--run_id={BAD}"])
    arms(BAD, 40)
    jobs.main([*task, f"--run_id={BAD}"])


def test_judges_that_thresholds_name_decide_and_a_missed_threshold_fails(evalkit, arms, project):
    project.configure(
        thresholds={"polite": {"min_pass_rate": 0.9}},
        judges=[{"name": name, "check": "..."} for name in ("polite", "brief")],
    )
    arms(GOOD, 40)
    arms(BAD, 40)
    for run_id, passed in ((GOOD, 40), (BAD, 0)):
        said = {
            case: {"polite": score(value=True), "brief": score(n < passed)}
            for n, case in enumerate(CASES)
        }
        figures = {"polite": {"mean": 1.0, "pass_rate": 1.0}}
        path = f"eval/runs/{project.name}/{run_id}/summary.yaml"
        project.write(path, {"judges": figures, "per_case": said})
    asked = ("gate", "--run-id", BAD, "--baseline", GOOD)
    outcome = evalkit(*asked)
    assert (outcome.code, outcome.report["verdict"]) == (0, "same")
    worse = [each["judge"] for each in outcome.report["judges"] if each["verdict"] == "worse"]
    assert worse == ["brief"]  # which no threshold names
    arms(BAD, 34)
    outcome = evalkit(*asked)
    assert outcome.code == 1
    assert "polite fails pass rate at least 0.9, it has 0.85" in outcome.report["shortfalls"]


# -- baselines that are not on disk ---------------------------------------------------------------


@pytest.fixture
def git(project):
    """Runs git in the project; its answer."""
    who = ("-c", "user.name=kim", "-c", "user.email=kim@example.com")
    long_ago = {**os.environ, "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}  # before the runs

    def run(*arguments):
        command = ["git", "-C", str(project.root), *who, *arguments]
        return subprocess.run(
            command, env=long_ago, check=True, capture_output=True, text=True
        ).stdout.strip()

    run("init", "-q", "-b", "main")
    return run


@pytest.fixture
def logged(evalkit, arms, git, project):
    """A run logged on main, then a branch with a worse one that is logged as well."""

    def commit_and_log(run_id, passed):
        git("add", "eval.yaml")
        git("commit", "-q", "--allow-empty", "-m", run_id)
        arms(run_id, passed)
        for n, case in enumerate(CASES):
            reply = f"{run_id} says {'`x`' if n else '```x```'} to {case}"
            folder = f"eval/runs/{project.name}/{run_id}/cases/{case}"
            project.write(f"{folder}/stdout.log", log_of(case, reply=reply))
        assert evalkit("log-results", "--run-id", run_id).code == 0
        return git("rev-parse", "HEAD")

    first = commit_and_log(GOOD, 40)
    git("switch", "-q", "-c", "change")
    return first, commit_and_log(BAD, 20)


@pytest.mark.usefixtures("logged")
def test_without_a_baseline_the_run_logged_for_the_merge_base_is_it(evalkit, project):
    project.remove(f"eval/runs/{project.name}/{GOOD}")  # it lies in MLflow alone
    outcome = evalkit("gate", "--run-id", BAD, "--out", "out/comment.md")
    assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])
    assert outcome.report["findings"][0].startswith("Worse: polite 100% → 50% over 40 cases")
    comment = project.read("out/comment.md")
    assert comment.startswith("<!-- evalkit gate: support -->\n### ❌ support: fail\n")
    assert "| polite | worse | 40 | 100% → 50% |" in comment
    assert comment.count("<details>") == 15
    assert "and 5 more cases." in comment
    assert f"{BAD} says `x` to case-20" in comment
    assert f"{GOOD} says `x` to case-20" in comment


def test_behind_a_server_the_comment_leads_to_the_traces(evalkit, arms, project, fresh_server):
    arms(GOOD, 40)
    arms(BAD, 20)
    log = f"eval/runs/{project.name}/{BAD}/cases/case-20/stdout.log"
    project.write(log, log_of("case-20", reply="<b>@all</b> [x](http://evil.example)"))
    assert evalkit("log-results", "--run-id", BAD, uri=fresh_server.uri).code == 0
    asked = ("gate", "--run-id", BAD, "--baseline", GOOD, "--out", "c.md")
    assert evalkit(*asked, uri=fresh_server.uri).code == 1
    (told,) = [part for part in project.read("c.md").split("<details>") if "case-20" in part]
    assert f"[the trace]({fresh_server.uri}/#/experiments/" in told
    assert "\n```\n<b>@all</b> [x](http://evil.example)\n```\n" in told  # text, not markup


def test_a_baseline_is_named_by_git_or_by_mlflow_and_no_run_is_its_own(evalkit, logged, project):
    first, second = logged
    project.remove(f"eval/runs/{project.name}/{GOOD}")
    runs = evalkit("history", "--judge", "polite").report["runs"]
    assert [(each["run_id"], each["commit"], each["branch"]) for each in runs] == [
        (BAD, second, "change"),
        (GOOD, first, "main"),
    ]
    assert [each["pass_rate"] for each in runs] == [0.5, 1.0]
    assert runs[1]["interval"] == pytest.approx([0.9124, 1.0], abs=1e-3)
    ids = {run["run_id"]: run["mlflow_run_id"] for run in runs}
    for name in ("git:main", "git:HEAD~1", "git:HEAD", ids[GOOD], f"git:{first[:10]}"):
        outcome = evalkit("gate", "--run-id", BAD, "--baseline", name)
        assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])
    itself = evalkit("gate", "--run-id", BAD, "--baseline", ids[BAD])
    assert (itself.code, "compared with itself" in itself.report["error"]) == (2, True)
    wrong = evalkit("history", "--judge", "polit")
    assert (wrong.code, wrong.report["problems"][0]["field"]) == (2, "--judge")


def test_what_was_merged_comes_after_what_the_branch_went_through(evalkit, logged, git, arms):
    assert logged
    git("switch", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merged", "change")  # the branch's run is the newer one
    git("switch", "-q", "-c", "next")
    git("commit", "-q", "--allow-empty", "-m", "next")
    arms("2026-07-03-next", 20)
    outcome = evalkit("gate", "--run-id", "2026-07-03-next")
    assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])
    unlogged = evalkit("gate", "--run-id", "git:HEAD", "--baseline", "git:main")
    no_run = "there is no finished run logged for git:HEAD"
    assert (unlogged.code, no_run in unlogged.report["error"]) == (2, True)


def test_a_run_of_uncommitted_changes_is_nobody_s_baseline(evalkit, arms, git, project):
    git("add", "eval.yaml")
    git("commit", "-q", "-m", "first")
    arms(GOOD, 40)
    assert evalkit("log-results", "--run-id", GOOD).code == 0
    project.configure(skill="another", thresholds={}, judges=[{"name": "polite", "check": "..."}])
    arms("2026-07-01-tried", 20)
    assert evalkit("log-results", "--run-id", "2026-07-01-tried").code == 0
    git("commit", "-q", "-a", "-m", "second")
    arms(BAD, 20)
    outcome = evalkit("gate", "--run-id", BAD)
    assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])


@pytest.mark.usefixtures("logged")
def test_what_mlflow_lost_or_holds_of_another_evaluation_is_said(evalkit, project, database_uri):
    runs = evalkit("history", "--judge", "polite").report["runs"]
    known = next(run["mlflow_run_id"] for run in runs if run["run_id"] == GOOD)
    client = MlflowClient(database_uri)
    experiment_id = client.get_experiment_by_name("support").experiment_id
    traces = client.search_traces(locations=[experiment_id], max_results=500)
    own = [each.info for each in traces if GOOD in each.info.response_preview]
    lost = [each.trace_id for each in own if each.tags["mlflow.traceName"] >= "case-10"]
    client.delete_traces(experiment_id, trace_ids=lost)
    project.remove(f"eval/runs/{project.name}/{GOOD}")
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", known)
    lacks = "the candidate lacks 30 cases of the baseline: a case whose trace is gone"
    assert (outcome.code, lacks in "; ".join(outcome.report["open"])) == (3, True)
    project.configure(name="another")
    outcome = evalkit("gate", "--run-id", known, "--baseline", known)
    assert (outcome.code, "of another evaluation, support" in outcome.report["error"]) == (2, True)


@pytest.mark.parametrize("where", ["no run", "no repository", "no mlflow"])
def test_no_baseline_is_no_answer(evalkit, arms, request, where):
    arms(BAD, 40)
    if where != "no repository":
        request.getfixturevalue("git")("commit", "-q", "--allow-empty", "-m", "first")
    more = {"uri": ABSENT} if where == "no mlflow" else {}
    outcome = evalkit("gate", "--run-id", BAD, **more)
    assert (outcome.code, outcome.report["gate"]) == (3, "unknown")
    assert "there is no baseline" in outcome.report["error"]
    if more:  # what MLflow would have to say and does not is not known either
        unknown = evalkit("compare", BAD, "--baseline", "a" * 32, **more)
        assert (unknown.code, unknown.report["verdict"]) == (3, "unknown")
        judged = evalkit("gate", "--run-id", "a" * 32, "--baseline", BAD, **more)
        assert (judged.code, judged.report["candidate"]) == (3, ["a" * 32])
        history = evalkit("history", "--judge", "polite", **more)
        assert (history.code, "127.0.0.1:9" in history.report["error"]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--run-id", "nope"), "there is no finished run 'nope'"),
        (("--run-id", BAD, "--baseline", "git:nope"), "git knows no commit 'nope'"),
        (("--run-id", BAD, "--baseline", "a" * 32), f"there is no finished run '{'a' * 32}'"),
        (("--run-id", BAD, "--baseline", BAD), f"'{BAD}' would be compared with itself"),
        (("--run-id", ""), "no run is named"),
        (("--run-id", BAD, "--margin", "some"), "expected a number"),
        (("--run-id", BAD, "--margin", "-1"), "a margin of -1 is none"),
    ],
)
def test_what_is_wrong_is_named_and_exits_2(evalkit, arms, arguments, says):
    arms(BAD, 40)
    outcome = evalkit("gate", *arguments)
    assert (outcome.code, says in outcome.report["error"]) == (2, True)
