"""A run as data frames: judges over all cases, thresholds, and cases over all judges."""

import pytest
from eval_project import RESULT, RUN_ID, score

from evalkit import Workspace, reading


@pytest.fixture
def read(project):
    """The run whose judge said this of its cases, with these figures of the whole."""

    def of(*values, **figures):
        said = {f"case {n}": {"judge": score(value)} for n, value in enumerate(values)}
        project.summarise(said, judges={"judge": figures})
        return Workspace.open(project.root / "eval.yaml").run(RUN_ID)

    return of


@pytest.mark.parametrize(
    ("values", "figures", "rate", "mean"),
    [
        ([True, False, True], {}, pytest.approx(2 / 3), None),
        ([1, 3, 5], {}, None, 3),
        (["warm", "cold", "warm"], {}, None, None),
        ([True, 3], {}, None, None),
        ([None, None], {}, None, None),
        ([True, False], {"pass_rate": 0.4, "mean": 0.3}, 0.4, 0.3),
    ],
)
def test_figures_are_the_summarys_else_what_scores_come_to(read, values, figures, rate, mean):
    (judge,) = reading.judge_frame(read(*values, **figures)).astype(object).to_dict("records")
    found = [None if judge[n] != judge[n] else judge[n] for n in ("Pass rate", "Mean")]
    assert found == [rate, mean]


def test_a_case_says_who_said_no_who_failed_and_whether_it_has_a_log(project):
    broken = {"value": None, "error": "timeout"}
    said = {"order": score(value=True), "refund": score(value=False), "tone": broken}
    project.summarise({"alpha": said})
    project.unlog("beta")
    project.write(f"{project.run_dir}/cases/beta/answer.md", "Paris")
    per_case = {"alpha": {"duration_s": 3.0, "exit_code": 0}, "beta": {"exit_code": 1}}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": per_case})
    found = Workspace.open(project.root / "eval.yaml").run(RUN_ID)
    alpha, beta, _ = reading.frame(found).to_dict("records")
    names = ("Passes", "Judges that say no", "Judges that failed", "Seconds", "Execution", "Log")
    told = ["1 of 2", "refund", "tone", 3.0, "ended well", "yes"]
    assert [alpha[name] for name in names] == told
    assert (beta["Passes"], beta["Execution"], beta["Log"]) == ("", "failed: exit code 1", "none")
    judges = reading.judge_frame(found).set_index("Judge")
    assert judges.loc["tone", ["Scores", "Without a value", "Judge failed"]].tolist() == [0, 0, 1]
    trace, refusal = reading.open_case(found, "beta")
    assert (trace.response, "no log of beta" in str(refusal)) == ("Paris", True)


def test_thresholds_that_fail_come_first_and_say_what_the_run_has(project, read):
    bounds = {"min_pass_rate": 0.5, "max_error_rate": 0.1, "min_mean": 0.9}
    project.configure(thresholds={"judge": bounds, "absent": {"min_win_rate": 0.5}})
    found = reading.threshold_frame(read(True, False, pass_rate=0.5, mean=0.5))
    assert found[["Judge", "Demanded", "Verdict"]].to_numpy().tolist() == [
        ["judge", "mean at least 0.9", "fails"],
        ["absent", "win rate at least 0.5", "not measured"],
        ["judge", "pass rate at least 0.5", "met"],
        ["judge", "error rate at most 0.1", "met"],
    ]
