"""What strangers found to pass the gate, and to stand in its comment, that must not."""

import pytest
from eval_project import RESULT, score

GOOD, BAD = "2026-07-01-good", "2026-07-02-bad"
ASKED = ("gate", "--run-id", BAD, "--baseline", GOOD)
HELD, FALLEN = [5] * 20, [1] * 20
SECRET = "postgres://admin:hunter2secret@db.internal/x"
NASTY = "\\[click\\](https://evil.example) _x_\n\n# @kim"


@pytest.fixture
def scored(project):
    """Writes a run: the values of a judge, polite, by case; exit codes by number; more judges."""
    project.configure(thresholds={}, judges=[{"name": "polite", "check": "..."}])

    def write(run_id, values, exits=(), **more):
        judges = {"polite": values, **more}
        said = {
            f"case-{n:03d}": {judge: score(own[n]) for judge, own in judges.items() if n < len(own)}
            for n in range(len(values))
        }
        usage = {case: {"exit_code": dict(exits).get(n, 0)} for n, case in enumerate(said)}
        folder = f"eval/runs/{project.name}/{run_id}"
        project.write(f"{folder}/run_result.json", {**RESULT, "per_case": usage})
        figures = {judge: {"mean": 5.0} for judge in judges}
        project.write(f"{folder}/summary.yaml", {"judges": figures, "per_case": said})

    return write


@pytest.mark.parametrize(
    ("before", "after", "code", "says"),
    [
        # a single value does not say how far scores reach
        ([1000, *HELD[1:]], [1000, *FALLEN[1:]], 1, "polite 54.8 → 51"),
        ([None] * 14 + [5] * 6, [1] * 14 + [5] * 6, 3, "the baseline has no score of 14 cases"),
        (HELD, [float("nan")] * 20, 3, "no judge scored the same case in both"),
        (HELD, [*HELD[1:], float("inf")], 3, "polite has no score of 1 case"),
        ([["x"]], [["x"]], 3, "over 1 case"),
        ([SECRET] * 12, ["none"] * 12, 3, "polite changed"),
    ],
)
def test_too_little_is_never_a_pass(evalkit, scored, before, after, code, says):
    scored(GOOD, before)
    scored(BAD, after)
    outcome = evalkit(*ASKED)
    assert (outcome.code, says in outcome.report["error"]) == (code, True)
    assert "hunter2secret" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("before", "after", "code", "says"),
    [
        ([3], range(5), 1, "5 of 120 executions failed"),
        (range(20), range(19), 3, "what is left says little"),
        ([], None, 3, "whether the candidate's executions failed is not known"),
    ],
)
def test_executions_are_held_against_those_of_the_same_cases(
    evalkit, scored, project, before, after, code, says
):
    scored(GOOD, HELD, exits=dict.fromkeys(before, 1))
    scored(BAD, HELD + [5] * 100 * (code == 1), exits=dict.fromkeys(after or (), 1))
    if after is None:
        project.remove(f"eval/runs/{project.name}/{BAD}/run_result.json")
    outcome = evalkit(*ASKED)
    assert (outcome.code, says in outcome.report["error"]) == (code, True)


def test_one_good_trial_does_not_hide_what_another_lacks(evalkit, scored):
    scored(GOOD, HELD)
    scored(BAD, HELD)
    scored("half", HELD[:8])
    outcome = evalkit("gate", "--run-id", BAD, "half", "--baseline", GOOD)
    lacks = "half has no score of 12 cases by polite that another trial has"
    assert (outcome.code, lacks in outcome.report["error"]) == (3, True)


def test_a_new_judge_is_no_obstacle_and_one_that_decides_nothing_is_told(evalkit, scored, project):
    scored(GOOD, HELD, brief=HELD)
    scored(BAD, HELD, brief=FALLEN, new=HELD)
    outcome = evalkit(*ASKED)
    assert (outcome.code, "brief 5 → 1" in outcome.report["error"]) == (1, True)
    project.configure(thresholds={"polite": {"min_mean": 1}})
    outcome = evalkit(*ASKED)
    same, told, *_ = outcome.report["findings"]
    assert (outcome.code, "no judge that decides moved" in same) == (0, True)
    assert told.startswith("Decides nothing, as no threshold names it: brief 5 → 1 over 20 cases")


def test_a_threshold_is_not_met_by_a_figure_that_the_cases_do_not_come_to(evalkit, scored, project):
    scored(GOOD, FALLEN)
    scored(BAD, FALLEN)  # and its summary says 5
    project.configure(thresholds={"polite": {"min_mean": 4}})
    outcome = evalkit(*ASKED)
    says = f"{BAD}: polite is 5 by its summary and 1 by its cases"
    assert (outcome.code, says in outcome.report["open"]) == (3, True)


def test_a_run_under_two_names_is_one_run(evalkit, scored, project):
    scored(GOOD, HELD)
    scored(BAD, FALLEN)
    (project.root / f"eval/runs/{project.name}/latest").symlink_to(BAD)
    outcome = evalkit("gate", "--run-id", BAD, "--baseline", "latest")
    assert (outcome.code, "compared with itself" in outcome.report["error"]) == (2, True)


def test_the_newest_by_number_is_the_newest(evalkit, scored):
    scored("run-9", HELD)
    scored("run-10", FALLEN)
    report = evalkit("compare").report
    assert (report["verdict"], report["baseline"]) == ("worse", ["run-9"])


def test_the_comment_is_of_this_gate_and_holds_no_markup_and_no_secret(evalkit, scored, project):
    scored(GOOD, HELD, **{NASTY: [SECRET] * 20})
    scored(BAD, HELD, **{NASTY: ["none"] * 20})
    assert evalkit(*ASKED, "--out", "c.md").code == 3
    told = project.read("c.md")
    assert r"\\\[click\\\](https://evil.example) \_x\_ # @" + "\u200bkim" in told
    assert "hunter2secret" not in told
    assert "\n# " not in told
    project.write(f"eval/runs/{project.name}/{BAD}/summary.yaml", "judges: [")
    assert evalkit(*ASKED, "--out", "c.md").code == 2
    assert not (project.root / "c.md").exists()  # what it said before is not of this run
