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
ASKED = ("gate", "--run-id", BAD, "--baseline", GOOD)
SECRET = "postgres://admin:hunter2secret@db.internal/x"
POLITE = {"name": "polite", "check": "..."}
NAN = float("nan")


def config(*judges, **bounds):
    """What eval.yaml says of judges and of polite's thresholds."""
    return {"judges": [POLITE, *judges], "thresholds": {"polite": bounds} if bounds else {}}


@pytest.fixture
def arms(project):
    """Writes a run: what polite says of each case, or how many of 40 it passes; and more."""
    project.configure(**config())

    def write(
        run_id, values, *, cases=None, failed=(), unscored=(), untold=(), codes=None, **other
    ):
        values = [n < values for n in range(40)] if isinstance(values, int) else values
        names = cases or [f"case-{n:02d}" for n in range(len(values))]
        judges = {"polite": values, **other.get("more", {})}
        per_case = {
            case: {j: v[n] if isinstance(v[n], dict) else score(v[n]) for j, v in judges.items()}
            for n, case in enumerate(names)
            if case not in unscored
        }
        ended = {n: int(n in failed) for n in range(len(names)) if n not in untold} | (codes or {})
        usage = {
            case: {"cost_usd": 0.0 if n in failed else 0.1}
            | ({"exit_code": ended[n]} if n in ended else {})
            for n, case in enumerate(names)
        }
        rate = other.get("mean", sum(value is True for value in values) / len(values))
        figures = {judge: {"mean": rate, "pass_rate": rate} for judge in judges}
        files = {
            "run_result.json": {**RESULT, "per_case": usage, **other.get("result", {})},
            "summary.yaml": {"judges": figures, "per_case": per_case},
        }
        for name in files.keys() - {other.get("drop")}:
            project.write(f"{folder_of(project, run_id)}/{name}", files[name])
        return run_id

    return write


def folder_of(project, run_id):
    return f"eval/runs/{project.name}/{run_id}"


@pytest.mark.parametrize(
    ("before", "after", "code", "gate", "verdict", "answer"),
    [
        (40, 40, 0, "pass", "same", "Same: over 40 cases, no judge moved by more than"),
        (40, 20, 1, "fail", "worse", "Worse: polite 100% → 50% over 40 cases (-50 points, 95"),
        (20, 40, 0, "pass", "better", "Better: polite 50% → 100% over 40 cases (+50 points"),
        (30, 28, 3, "unknown", "unknown", "Cannot tell: polite: 75% → 70% over 40 cases"),
        # a single value does not say how far scores reach
        ([1000, *[5] * 19], [1000, *[1] * 19], 1, "fail", "worse", "Worse: polite 54.8 → 51"),
    ],
)
def test_a_gate_answers_with_its_exit_code(
    evalkit, arms, before, after, code, gate, verdict, answer
):
    arms(GOOD, before)
    arms(BAD, after)
    outcome = evalkit(*ASKED)
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
    chosen = [[], ["--on-unknown=pass"], ["--on-unknown=fail"], ["--margin=0.2"]]
    assert [evalkit(*ASKED, *each).code for each in chosen] == [3, 0, 1, 0]
    assert evalkit(*ASKED, "--margin", "0.2").report["verdict"] == "same"
    arms(BAD, 5)
    assert evalkit(*ASKED, "--on-unknown", "pass").code == 1


def test_several_runs_of_an_arm_are_trials_pooled_by_case(evalkit, arms, project):
    names = {
        arm: [arms(f"2026-07-0{n}-{arm}", [k < each for k in range(8)]) for n, each in passed]
        for arm, passed in (("old", enumerate((8, 8, 7))), ("new", enumerate((3, 2, 1))))
    }
    for run_id in (*names["old"], *names["new"]):
        log = log_of("case-02", reply=f"answer of {run_id}")
        project.write(f"{folder_of(project, run_id)}/cases/case-02/stdout.log", log)
    apart = evalkit("compare", names["new"][0], "--baseline", names["old"][0]).report
    pooled = evalkit("compare", *names["new"], "--baseline", *names["old"]).report
    assert (apart["verdict"], pooled["verdict"]) == ("unknown", "worse")
    (judge,) = pooled["judges"]
    means = (pytest.approx(23 / 24), pytest.approx(0.25))
    assert (judge["pairs"], judge["before"], judge["after"]) == (8, *means)
    assert pooled["executions"][1]["total"] == 24
    flip = next(each for each in pooled["flips"] if each["case"] == "case-02")
    assert (flip["before"], flip["after"]) == ([True] * 3, [True, False, False])
    assert flip["kind"] == "worse"
    sides = (("--run-id", names["new"]), ("--baseline", names["old"]))
    told = [word for flag, side in sides for name in side for word in (flag, name)]
    evalkit("gate", *told, "--out", "c.md")
    assert "After:\n\n```\nanswer of 2026-07-01-new\n```" in project.read("c.md")  # which changed
    # half of the cases in one trial is no whole one, however good
    arms(names["new"][2], [True] * 8, unscored=CASES[4:8])
    lacks = f"{names['new'][2]} has no score of 4 cases by polite that another trial has"
    assert lacks in evalkit("compare", *names["new"], "--baseline", names["old"][0]).report["open"]


def test_a_crash_is_no_saving_and_no_pass(evalkit, arms, project):
    arms(GOOD, 40)
    arms(BAD, 40, failed=range(12, 40), unscored=CASES[12:])
    outcome = evalkit(*ASKED)
    assert (outcome.code, outcome.report["verdict"]) == (1, "worse")
    assert outcome.report["findings"][0].startswith("Worse: 28 of 40 executions failed")
    (cost,) = [each for each in outcome.report["figures"] if each["figure"] == "Cost"]
    assert (cost["pairs"], cost["difference"]) == (12, 0)
    project.write(f"{folder_of(project, BAD)}/stdout.log", "")  # which is all cases' own
    assert "28 of 40 executions failed" in evalkit(*ASKED).report["error"]
    project.remove(f"{folder_of(project, BAD)}/stdout.log")
    arms(BAD, 40, failed=range(20), result={"execution_mode": "batch"})
    assert "20 of 40 executions failed" in evalkit(*ASKED).report["error"]
    arms(BAD, 40, untold=[7])  # what the run's own file lacks of a case, the case's may say
    own = {"exit_code": 137, "cost_usd": 9.0}
    project.write(f"{folder_of(project, BAD)}/cases/case-07/run_result.json", own)
    assert evalkit(*ASKED).report["executions"][1]["names"] == {"case-07": "exit code 137"}
    project.remove(f"{folder_of(project, BAD)}/cases")
    arms(GOOD, [5] * 20, failed=[3])
    arms(BAD, [5] * 120, failed=range(5))  # a smaller share, but other cases
    outcome = evalkit(*ASKED)
    assert (outcome.code, "5 of 120 executions failed" in outcome.report["error"]) == (1, True)


FAILED = {"value": None, "error": "rate limited"}
DECLARED = {**POLITE, "score_range": [0, 1]}
SAFE = {"name": "safe", "prompt": "..."}
RARE = {"name": "rare", "prompt": "...", "if": "annotations.rare"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"values": 30, "cases": CASES[:30]}, "the candidate lacks 10 cases of the baseline"),
        ({}, {"cases": [f"new-{n}" for n in range(40)]}, "no judge scored the same case in both"),
        ({}, {"unscored": CASES}, "no judge scored the same case in both"),
        ({}, {"values": [NAN] * 40}, "no judge scored the same case in both"),
        ({}, {"unscored": CASES[36:]}, "polite has no score of 4 cases that it judged before"),
        ({"values": [SECRET] * 40}, {"values": ["none"] * 40}, "polite changed, and whether that"),
        ({}, {"values": [FAILED, *[True] * 39]}, "polite failed to judge 1 case"),
        ({"values": [None] * 34 + [5] * 6}, {"values": [1] * 34 + [5] * 6},
         "the baseline has no score of 34 cases"),
        ({"values": [["x"]]}, {"values": [["x"]]}, "over 1 case"),
        ({"failed": range(21)}, {"failed": range(21)}, "what is left says little"),
        ({"failed": range(21)}, {"failed": [3]}, "what is left is no yardstick"),
        ({}, {"drop": "run_result.json"}, "whether the candidate's executions failed is not known"),
        ({}, {"untold": [7]}, "whether the candidate's executions failed is not known"),
        ({}, {"drop": "summary.yaml"}, "no scores"),
        ({}, {"values": [*[True] * 40, *[False] * 20]}, "polite comes to 0% over 20 cases that"),
        ({}, {"values": [True] * 50, "unscored": [f"case-{n}" for n in range(40, 50)]},
         "polite left out 10 cases that the baseline does not have"),
        # what the config says of judges and bounds
        ({"config": config(SAFE, RARE)}, {}, "no case has a score by safe"),
        ({"values": [0.8] * 40, "config": {"judges": [DECLARED], "thresholds": {}}},
         {"values": [5] * 40}, "40 scores by polite lie outside of the range that it declares"),
        ({"values": [0.7] * 40, "config": config(min_mean=0.705)},
         {"values": [0.7] * 40, "mean": 0.706}, "polite is 0.706 by its summary and 0.7 by"),
        ({"values": [1, 0] * 20, "config": config(min_pass_rate=0.9)},
         {"values": [1, 0] * 20, "mean": 0.95}, "polite is 0.95 by its summary and 0.5 by"),
    ],
)  # fmt: skip
def test_what_is_missing_or_doubtful_is_never_a_pass(evalkit, arms, project, before, after, why):
    project.configure(**before.get("config", config()))
    arms(GOOD, **{"values": 40, **before})
    arms(BAD, **{"values": 40, **after})
    outcome = evalkit(*ASKED)
    assert (outcome.code, outcome.report["gate"]) == (3, "unknown")
    assert why in outcome.report["error"]
    assert "hunter2secret" not in outcome.out + outcome.err


def test_what_neither_side_knows_and_what_no_threshold_demands_changes_no_verdict(
    evalkit, arms, project
):
    untold = "Whether executions failed is not known: no run says how one ended."
    for run_id in (GOOD, BAD):
        arms(run_id, 40, drop="run_result.json")
    outcome = evalkit(*ASKED)
    assert (outcome.code, untold in outcome.report["findings"]) == (0, True)
    arms(GOOD, 40)
    assert untold not in evalkit(*ASKED).report["findings"]
    arms(BAD, 40)
    project.configure(**config(SAFE, RARE, min_pass_rate=0.9))
    assert evalkit(*ASKED).code == 0


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
    fine, poor = [True] * 40, [False] * 40
    arms(GOOD, 40, more={"brief": fine})
    arms(BAD, 40, more={"brief": poor, "new": fine})  # a new judge is no obstacle
    assert evalkit(*ASKED).report["verdict"] == "worse"
    project.configure(**config({"name": "brief", "check": "..."}, min_pass_rate=0.9))
    outcome = evalkit(*ASKED)
    same, told, new, *_ = outcome.report["findings"]
    assert new.endswith("the baseline has no score of 40 cases by new.")
    assert (outcome.code, "no judge that decides moved" in same) == (0, True)
    assert told.startswith("Decides nothing, as no threshold names it: brief 100% → 0% over 40")
    arms(BAD, 34)
    outcome = evalkit(*ASKED)
    missed = "polite fails pass rate at least 0.9, it has 0.85"
    assert (outcome.code, missed in outcome.report["shortfalls"]) == (1, True)


def test_of_many_judges_those_that_decide_nothing_and_saw_one_case_are_counted(
    evalkit, arms, project
):
    """As an expectation in words is, which no other case has."""
    project.configure(thresholds={"polite": {"min_pass_rate": 0.5}})
    more = {f"says {n}": [True if each == n else None for each in range(40)] for n in range(20)}
    more["again"] = [each < 2 or None for each in range(40)]
    for run_id in (GOOD, BAD):
        arms(run_id, 40, more=more)
    outcome = evalkit(*ASKED, "--out", "c.md")
    said = "20 judges that decide nothing and scored one case are not shown"
    for text in (outcome.err, project.read("c.md")):
        assert [said in text, "again" in text, "says 3" in text] == [True, True, False]
    assert len(outcome.report["judges"]) == 22


def test_the_newest_by_number_is_the_newest_and_a_run_under_two_names_is_one(
    evalkit, arms, project
):
    arms("run-9", 40)
    arms("run-10", 20)
    report = evalkit("compare").report
    assert (report["verdict"], report["baseline"]) == ("worse", ["run-9"])
    (project.root / folder_of(project, "latest")).symlink_to("run-10")
    outcome = evalkit("gate", "--run-id", "run-10", "--baseline", "latest")
    assert (outcome.code, "compared with itself" in outcome.report["error"]) == (2, True)


def test_the_comment_is_of_this_gate_and_holds_no_markup_and_no_secret(evalkit, arms, project):
    nasty = "\\[click\\](https://evil.example) _x_\n\n# @kim"
    arms(GOOD, 40, more={nasty: [SECRET] * 40})
    arms(BAD, 40, more={nasty: ["none"] * 40})
    assert evalkit(*ASKED, "--out", "c.md").code == 3
    told = project.read("c.md")
    shown = r"\\\[click\\\](https:0//evil.example) \_x\_ #0 @0kim"
    assert shown.replace("0", "\u200b") in told
    assert ("hunter2secret" in told, "\n# " in told) == (False, False)
    project.write(f"{folder_of(project, BAD)}/summary.yaml", "judges: [")
    assert evalkit(*ASKED, "--out", "c.md").code == 2
    assert not (project.root / "c.md").exists()  # what it said before is not of this run


# -- baselines that are not on disk ---------------------------------------------------------------


@pytest.fixture
def git(project):
    """Runs git in the project; its answer."""
    who = ("-c", "user.name=kim", "-c", "user.email=kim@example.com")
    long_ago = {**os.environ, "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}  # before the runs
    options = {"env": long_ago, "check": True, "capture_output": True, "text": True}

    def run(*arguments):
        command = ["git", "-C", str(project.root), *who, *arguments]
        return subprocess.run(command, **options).stdout.strip()  # noqa: PLW1510 - it is checked

    run("init", "-q", "-b", "main")
    run("add", "eval.yaml")
    run("commit", "-q", "-m", "first")
    return run


@pytest.fixture
def logged(evalkit, arms, git, project):
    """A run logged on main, then a branch with a worse one that is logged as well."""

    def commit_and_log(run_id, passed):
        git("commit", "-q", "--allow-empty", "-m", run_id)
        arms(run_id, passed)
        for n, case in enumerate(CASES):
            log = log_of(case, reply=f"{run_id} says {'`x`' if n else '```x```'} to {case}")
            project.write(f"{folder_of(project, run_id)}/cases/{case}/stdout.log", log)
        assert evalkit("log-results", "--run-id", run_id).code == 0
        return git("rev-parse", "HEAD")

    first = commit_and_log(GOOD, 40)
    git("switch", "-q", "-c", "change")
    second = commit_and_log(BAD, 20)
    project.remove(folder_of(project, GOOD))  # it lies in MLflow alone
    return first, second


def test_a_baseline_lies_in_mlflow_and_is_found_by_git(
    evalkit, logged, git, arms, project, database_uri
):
    first, second = logged
    outcome = evalkit("gate", "--run-id", BAD, "--out", "out/comment.md")  # from the merge base
    assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])
    assert outcome.report["findings"][0].startswith("Worse: polite 100% → 50% over 40 cases")
    comment = project.read("out/comment.md")
    assert comment.startswith("<!-- evalkit gate: support -->\n### ❌ support: fail\n")
    assert "| polite | worse | 40 | 100% → 50% |" in comment
    assert (comment.count("<details>"), "and 5 more cases." in comment) == (15, True)
    assert f"{BAD} says `x` to case-20" in comment
    assert f"{GOOD} says `x` to case-20" in comment

    runs = evalkit("history", "--judge", "polite").report["runs"]
    told = [[each[name] for name in ("run_id", "commit", "branch", "pass_rate")] for each in runs]
    assert told == [[BAD, second, "change", 0.5], [GOOD, first, "main", 1.0]]
    assert runs[1]["interval"] == pytest.approx([0.9124, 1.0], abs=1e-3)
    ids = {run["run_id"]: run["mlflow_run_id"] for run in runs}
    for name in ("git:main", "git:HEAD", ids[GOOD], f"git:{first[:10]}"):
        outcome = evalkit("gate", "--run-id", BAD, "--baseline", name)
        assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])
    wrong = evalkit("history", "--judge", "polit")
    assert (wrong.code, wrong.report["problems"][0]["field"]) == (2, "--judge")

    client = MlflowClient(database_uri)
    experiment_id = client.get_experiment_by_name("support").experiment_id
    traces = client.search_traces(locations=[experiment_id], max_results=500)
    own = [each.info for each in traces if GOOD in each.info.response_preview]
    lost = [each.trace_id for each in own if each.tags["mlflow.traceName"] >= "case-10"]
    client.delete_traces(experiment_id, trace_ids=lost)
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", ids[GOOD])
    lacks = "the candidate lacks 30 cases of the baseline: a case whose trace is gone"
    assert (outcome.code, lacks in "; ".join(outcome.report["open"])) == (3, True)

    git("switch", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "merged", "change")  # the branch's run is the newer one
    git("switch", "-q", "-c", "next")
    git("commit", "-q", "--allow-empty", "-m", "next")
    arms("2026-07-03-next", 20)
    outcome = evalkit("gate", "--run-id", "2026-07-03-next")
    assert outcome.report["baseline"] == [GOOD]
    for told, why in (
        (("git:HEAD", "git:main"), "there is no finished run logged for git:HEAD"),
        ((BAD, ids[BAD]), "compared with itself"),
    ):
        itself = evalkit("gate", "--run-id", told[0], "--baseline", told[1])
        assert (itself.code, why in itself.report["error"]) == (2, True)
    project.configure(name="another")
    outcome = evalkit("gate", "--run-id", ids[GOOD], "--baseline", ids[GOOD])
    assert (outcome.code, "of another evaluation, support" in outcome.report["error"]) == (2, True)


def test_behind_a_server_the_comment_leads_to_the_traces(evalkit, arms, project, fresh_server):
    arms(GOOD, 40)
    arms(BAD, 20)
    log = log_of("case-20", reply="<b>@all</b> [x](http://evil.example)")
    project.write(f"{folder_of(project, BAD)}/cases/case-20/stdout.log", log)
    assert evalkit("log-results", "--run-id", BAD, uri=fresh_server.uri).code == 0
    assert evalkit(*ASKED, "--out", "c.md", uri=fresh_server.uri).code == 1
    (told,) = [part for part in project.read("c.md").split("<details>") if "case-20" in part]
    assert f"[the trace]({fresh_server.uri}/#/experiments/" in told
    assert "\n```\n<b>@all</b> [x](http://evil.example)\n```\n" in told  # text, not markup


@pytest.mark.usefixtures("git")
def test_a_baseline_in_mlflow_tells_how_its_executions_ended_and_of_which_dataset(
    evalkit, arms, project
):
    for run_id in (GOOD, "2026-07-01-tried"):
        arms(run_id, 40, failed=[3])
        project.add_case(run_id, f"please handle {run_id}")
        assert evalkit("sync-dataset").code == evalkit("log-results", "--run-id", run_id).code == 0
    new, known = evalkit("history", "--judge", "polite").report["runs"]
    report = evalkit("compare", new["run_id"], "--baseline", known["mlflow_run_id"]).report
    (old,), (now,) = report["datasets"]
    assert f"The dataset is another one: {old} before, {now} now." in report["findings"]
    project.remove(folder_of(project, GOOD))
    against = ("gate", "--run-id", BAD, "--baseline", known["mlflow_run_id"])
    arms(BAD, 40, untold=[7])
    outcome = evalkit(*against)
    assert (outcome.code, outcome.report["unknown_endings"]) == (3, True)
    arms(BAD, 40, failed=[5])  # as many, and another one
    outcome = evalkit(*against)
    assert (outcome.code, outcome.report["newly_failing"]) == (0, 0)
    assert outcome.report["executions"][0]["names"] == {"case-03": "MLflow does not say why"}


def test_a_run_of_uncommitted_changes_is_nobody_s_baseline(evalkit, arms, git, project):
    arms(GOOD, 40)
    assert evalkit("log-results", "--run-id", GOOD).code == 0
    project.configure(skill="another", **config())
    arms("2026-07-01-tried", 20)
    assert evalkit("log-results", "--run-id", "2026-07-01-tried").code == 0
    git("commit", "-q", "-a", "-m", "second")
    arms(BAD, 20)
    outcome = evalkit("gate", "--run-id", BAD)
    assert (outcome.code, outcome.report["baseline"]) == (1, [GOOD])


@pytest.mark.parametrize("where", ["no run", "no repository", "no mlflow"])
def test_no_baseline_is_no_answer(evalkit, arms, request, where):
    arms(BAD, 40)
    if where != "no repository":
        request.getfixturevalue("git")
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
        (("--run-id", BAD, "--margin", "1"), "a margin of 1 is none"),
        (("--run-id", "odd"), "per_case.case-07.exit_code: must be a whole number"),
    ],
)
def test_what_is_wrong_is_named_and_exits_2(evalkit, arms, arguments, says):
    arms(BAD, 40)
    for code in ("1", 0.5, True, [1]) if "odd" in arguments else (1,):
        arms("odd", 40, codes={7: code})
        outcome = evalkit("gate", *arguments)
        assert (outcome.code, says in outcome.report["error"]) == (2, True)
