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


@pytest.fixture
def arms(project):
    """Writes a run: what polite says of each case, or how many of 40 it passes; failed cases."""
    project.configure(thresholds={}, judges=[{"name": "polite", "check": "..."}])

    def write(run_id, values, *, cases=None, failed=(), unscored=(), mean=None, more=None, **other):
        values = [n < values for n in range(40)] if isinstance(values, int) else values
        names = cases or [f"case-{n:02d}" for n in range(len(values))]
        judges = {"polite": values, **(more or {})}
        said = {
            case: {judge: own[n] for judge, own in judges.items()}
            for n, case in enumerate(names)
            if case not in unscored
        }
        per_case = {
            case: {judge: v if isinstance(v, dict) else score(v) for judge, v in each.items()}
            for case, each in said.items()
        }
        usage = {
            case: {"exit_code": int(n in failed), "cost_usd": 0.0 if n in failed else 0.1}
            for n, case in enumerate(names)
        }
        for n in other.get("untold", ()):
            del usage[names[n]]["exit_code"]
        for n, code in other.get("codes", {}).items():
            usage[names[n]]["exit_code"] = code
        rate = sum(value is True for value in values) / len(values) if mean is None else mean
        figures = {judge: {"mean": rate, "pass_rate": rate} for judge in judges}
        folder = f"eval/runs/{project.name}/{run_id}"
        result = {**RESULT, "per_case": usage, **other.get("result", {})}
        project.write(f"{folder}/run_result.json", result)
        project.write(f"{folder}/summary.yaml", {"judges": figures, "per_case": per_case})
        if drop := other.get("drop"):
            project.remove(f"{folder}/{drop}")
        return run_id

    return write


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


def test_several_runs_of_an_arm_are_trials_pooled_by_case(evalkit, arms):
    kept = {"old": (8, 8, 7), "new": (3, 2, 1)}
    names = {
        arm: [
            arms(f"2026-07-0{n}-{arm}", [k < each for k in range(8)])
            for n, each in enumerate(passed)
        ]
        for arm, passed in kept.items()
    }
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
    project.write(f"eval/runs/{project.name}/{BAD}/stdout.log", "")  # which is all cases' own
    assert "28 of 40 executions failed" in evalkit(*ASKED).report["error"]
    project.remove(f"eval/runs/{project.name}/{BAD}/stdout.log")
    arms(GOOD, [5] * 20, failed=[3])
    arms(BAD, [5] * 120, failed=range(5))  # a smaller share, but other cases
    outcome = evalkit(*ASKED)
    assert (outcome.code, "5 of 120 executions failed" in outcome.report["error"]) == (1, True)


def test_exit_codes_count_wherever_they_stand(evalkit, arms, project):
    arms(GOOD, 40)
    arms(BAD, 40, failed=range(20), result={"execution_mode": "batch"})
    outcome = evalkit(*ASKED)
    assert (outcome.code, "20 of 40 executions failed" in outcome.report["error"]) == (1, True)
    arms(BAD, 40, untold=[7])  # what the run's own file lacks of a case, the case's may say
    own = f"eval/runs/{project.name}/{BAD}/cases/case-07/run_result.json"
    project.write(own, {"exit_code": 137, "cost_usd": 9.0})
    report = evalkit(*ASKED).report
    assert report["executions"][1]["names"] == {"case-07": "exit code 137"}
    project.remove(f"eval/runs/{project.name}/{BAD}/cases")
    arms(GOOD, 40, failed=[0])
    arms(BAD, [True] * 99, failed=[0, 98])
    assert evalkit(*ASKED).report["findings"][0].startswith("Worse: 2 of 99 executions failed")


@pytest.mark.parametrize("code", ["1", 0.5, True, [1]])
def test_an_exit_code_that_is_no_whole_number_is_refused(evalkit, arms, code):
    arms(GOOD, 40)
    arms(BAD, 40, codes={7: code})
    outcome = evalkit(*ASKED)
    wrong = "per_case.case-07.exit_code: must be a whole number"
    assert (outcome.code, wrong in outcome.report["error"]) == (2, True)


@pytest.mark.parametrize(
    ("values", "bound", "stated", "says"),
    [
        ([0.7] * 40, {"min_mean": 0.705}, 0.706, "polite is 0.706 by its summary and 0.7 by"),
        ([1, 0] * 20, {"min_pass_rate": 0.9}, 0.95, "polite is 0.95 by its summary and 0.5 by"),
    ],
)
def test_a_bound_that_the_cases_do_not_meet_is_not_met(
    evalkit, arms, project, values, bound, stated, says
):
    arms(GOOD, values)
    arms(BAD, values, mean=stated)
    project.configure(thresholds={"polite": bound}, judges=[{"name": "polite", "check": "..."}])
    outcome = evalkit(*ASKED)
    assert (outcome.code, says in "; ".join(outcome.report["open"])) == (3, True)
    assert [each["verdict"] for each in outcome.report["thresholds"]] == ["doubtful"]


def test_scores_beyond_the_range_that_a_judge_declares_are_no_pass(evalkit, arms, project):
    arms(GOOD, [0.8] * 40)
    arms(BAD, [5] * 40)
    judge = {"name": "polite", "check": "...", "score_range": [0, 1]}
    project.configure(thresholds={}, judges=[judge])
    outcome = evalkit(*ASKED)
    outside = "40 scores by polite lie outside of the range that it declares"
    assert (outcome.code, outcome.report["open"]) == (3, [outside])


def test_a_judge_of_the_config_that_no_run_has_is_no_pass(evalkit, arms, project):
    judges = [{"name": "polite", "check": "..."}, {"name": "safe", "prompt": "..."}]
    rare = {"name": "rare", "prompt": "...", "if": "annotations.rare"}
    arms(GOOD, 40)
    arms(BAD, 40)
    project.configure(thresholds={}, judges=[*judges, rare])
    outcome = evalkit(*ASKED)
    assert (outcome.code, outcome.report["open"]) == (3, ["no case has a score by safe"])
    project.configure(thresholds={"polite": {"min_pass_rate": 0.9}}, judges=[*judges, rare])
    assert evalkit(*ASKED).code == 0


def test_of_trials_the_answer_is_shown_and_the_label_counted_that_changed(evalkit, arms, project):
    labels = {
        "old": ["fine"] * 40,
        "old-too": ["fine"] * 40,
        "new": ["fine"] * 40,
        "new-too": ["bad", *["fine"] * 39],
    }
    for run_id, own in labels.items():
        arms(run_id, own)
        log = f"eval/runs/{project.name}/{run_id}/cases/case-00/stdout.log"
        project.write(log, log_of("case-00", reply=f"answer of {run_id}"))
    sides = ("new", "new-too", "--baseline", "old", "old-too")
    (flip,) = evalkit("compare", *sides).report["flips"]
    assert (flip["case"], flip["kind"], flip["after"]) == ("case-00", "changed", ["fine", "bad"])
    named = ("--run-id", "new", "--run-id", "new-too", "--baseline", "old", "--baseline", "old-too")
    evalkit("gate", *named, "--out", "c.md")
    assert "After:\n\n```\nanswer of new-too\n```" in project.read("c.md")


FAILED = {"value": None, "error": "rate limited"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"values": 30, "cases": CASES[:30]}, "the candidate lacks 10 cases of the baseline"),
        ({}, {"cases": [f"new-{n}" for n in range(40)]}, "no judge scored the same case in both"),
        ({}, {"unscored": CASES}, "no judge scored the same case in both"),
        ({}, {"values": [float("nan")] * 40}, "no judge scored the same case in both"),
        ({}, {"unscored": CASES[36:]}, "polite has no score of 4 cases that it judged before"),
        ({"values": [SECRET] * 40}, {"values": ["none"] * 40}, "polite changed, and whether that"),
        ({}, {"values": [FAILED, *[True] * 39]}, "polite failed to judge 1 case"),
        (
            {"values": [None] * 34 + [5] * 6},
            {"values": [1] * 34 + [5] * 6},
            "the baseline has no score of 34 cases",
        ),
        ({"values": [["x"]]}, {"values": [["x"]]}, "over 1 case"),
        ({"failed": range(21)}, {"failed": range(21)}, "what is left says little"),
        ({"failed": range(21)}, {"failed": [3]}, "what is left is no yardstick"),
        ({}, {"drop": "run_result.json"}, "whether the candidate's executions failed is not known"),
        ({}, {"untold": [7]}, "whether the candidate's executions failed is not known"),
        (
            {"more": {"safe": [float("nan")] * 40}},
            {"more": {"safe": [float("nan")] * 40}},
            "no case has a score by safe",
        ),
        ({}, {"drop": "summary.yaml"}, "no scores"),
        ({}, {"values": [*[True] * 40, *[False] * 20]}, "polite comes to 0% over 20 cases that"),
        (
            {},
            {"values": [True] * 50, "unscored": [f"case-{n}" for n in range(40, 50)]},
            "polite left out 10 cases that the baseline does not have",
        ),
    ],
)
def test_what_is_missing_is_never_a_pass(evalkit, arms, before, after, why):
    arms(GOOD, **{"values": 40, **before})
    arms(BAD, **{"values": 40, **after})
    outcome = evalkit(*ASKED)
    assert (outcome.code, outcome.report["gate"]) == (3, "unknown")
    assert why in outcome.report["error"]
    assert "hunter2secret" not in outcome.out + outcome.err


def test_endings_that_neither_side_knows_are_told_and_change_no_verdict(evalkit, arms):
    untold = "Whether executions failed is not known: no run says how one ended."
    for run_id in (GOOD, BAD):
        arms(run_id, 40, drop="run_result.json")
    outcome = evalkit(*ASKED)
    assert (outcome.code, untold in outcome.report["findings"]) == (0, True)
    arms(GOOD, 40)
    assert untold not in evalkit(*ASKED).report["findings"]


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
    judges = [{"name": name, "check": "..."} for name in ("polite", "brief")]
    project.configure(thresholds={"polite": {"min_pass_rate": 0.9}}, judges=judges)
    outcome = evalkit(*ASKED)
    same, told, new, *_ = outcome.report["findings"]
    assert new.endswith("the baseline has no score of 40 cases by new.")
    assert (outcome.code, "no judge that decides moved" in same) == (0, True)
    assert told.startswith("Decides nothing, as no threshold names it: brief 100% → 0% over 40")
    arms(BAD, 34)
    outcome = evalkit(*ASKED)
    missed = "polite fails pass rate at least 0.9, it has 0.85"
    assert (outcome.code, missed in outcome.report["shortfalls"]) == (1, True)
    arms(BAD, 34, mean=0.95)  # which its cases do not come to
    says = f"{BAD}: polite is 0.95 by its summary and 0.85 by its cases"
    assert says in evalkit(*ASKED).report["open"]


def test_of_many_judges_those_that_decide_nothing_and_saw_one_case_are_counted(
    evalkit, arms, project, tmp_path
):
    """As an expectation in words is, which no other case has."""
    project.configure(thresholds={"polite": {"min_pass_rate": 0.5}})
    once = {f"says {n}": [True if each == n else None for each in range(40)] for n in range(20)}
    twice = {"again": [each < 2 or None for each in range(40)]}
    for run_id in (GOOD, BAD):
        arms(run_id, 40, more=once | twice)
    outcome = evalkit(*ASKED, "--out", str(tmp_path / "comment.md"))
    said, shown = "20 judges that decide nothing and scored one case are not shown", outcome.err
    for text in (shown, (tmp_path / "comment.md").read_text()):
        assert [said in text, "again" in text, "says 3" in text] == [True, True, False]
    assert len(outcome.report["judges"]) == 22


def test_the_newest_by_number_is_the_newest_and_a_run_under_two_names_is_one(
    evalkit, arms, project
):
    arms("run-9", 40)
    arms("run-10", 20)
    report = evalkit("compare").report
    assert (report["verdict"], report["baseline"]) == ("worse", ["run-9"])
    (project.root / f"eval/runs/{project.name}/latest").symlink_to("run-10")
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
    assert "hunter2secret" not in told
    assert "\n# " not in told
    project.write(f"eval/runs/{project.name}/{BAD}/summary.yaml", "judges: [")
    assert evalkit(*ASKED, "--out", "c.md").code == 2
    assert not (project.root / "c.md").exists()  # what it said before is not of this run


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
    assert evalkit(*ASKED, "--out", "c.md", uri=fresh_server.uri).code == 1
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


def test_a_baseline_in_mlflow_tells_how_its_executions_ended(evalkit, arms, project, git):
    git("commit", "-q", "--allow-empty", "-m", "first")
    arms(GOOD, 40, failed=[3])
    assert evalkit("log-results", "--run-id", GOOD).code == 0
    (known,) = evalkit("history", "--judge", "polite").report["runs"]
    project.remove(f"eval/runs/{project.name}/{GOOD}")
    against = ("gate", "--run-id", BAD, "--baseline", known["mlflow_run_id"])
    arms(BAD, 40, untold=[7])
    outcome = evalkit(*against)
    assert (outcome.code, outcome.report["unknown_endings"]) == (3, True)
    arms(BAD, 40, failed=[5])  # as many, and another one
    outcome = evalkit(*against)
    assert (outcome.code, outcome.report["newly_failing"]) == (0, 0)
    assert outcome.report["executions"][0]["names"] == {"case-03": "MLflow does not say why"}


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


def test_a_dataset_that_changed_between_the_arms_is_told(evalkit, arms, project):
    for run_id in (GOOD, BAD):
        project.add_case(run_id, f"please handle {run_id}")
        arms(run_id, 40)
        assert evalkit("sync-dataset").code == 0
        assert evalkit("log-results", "--run-id", run_id).code == 0
    project.remove(f"eval/runs/{project.name}/{GOOD}")
    (known,) = evalkit("history", "--judge", "polite").report["runs"][1:]
    report = evalkit("gate", "--run-id", BAD, "--baseline", known["mlflow_run_id"]).report
    (old,), (new,) = report["datasets"]
    assert f"The dataset is another one: {old} before, {new} now." in report["findings"]


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
        (("--run-id", BAD, "--margin", "1"), "a margin of 1 is none"),
    ],
)
def test_what_is_wrong_is_named_and_exits_2(evalkit, arms, arguments, says):
    arms(BAD, 40)
    outcome = evalkit("gate", *arguments)
    assert (outcome.code, says in outcome.report["error"]) == (2, True)
