"""The bar that a run is held to: what is not known is never called good."""

import pytest
from eval_project import CASES, RUN_ID, scores_of
from in_mlflow import InMlflow

from evalkit.context import Workspace
from evalkit.runs import arms, compare_report

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


@pytest.fixture
def logged(evalkit, mlflow):
    """Logs the run; the report and the tags of the run in MLflow."""

    def log(*arguments):
        outcome = evalkit("log-results", *RUN, *arguments)
        return outcome, mlflow.run().data.tags

    return log


NOBODY_KNOWS = [
    ({"quality": {"min_men": 3}}, "quality min_men", "thresholds.quality.min_men"),
    ({"quality": {"min_mean": "high"}}, "quality min_mean", "thresholds.quality.min_mean"),
    ({"quality": {"min_mean": None}}, "quality min_mean", "thresholds.quality.min_mean"),
    ({"quality": {"min_mean": ".nan"}}, "quality min_mean", "thresholds.quality.min_mean"),
    ({"qualty": {"min_mean": 3}}, "qualty min_mean", "thresholds.qualty"),
    ({"quality": 3.5}, "quality", "thresholds.quality"),
    ({"simulator": {"min_mean": 3}}, "simulator min_mean", "thresholds.simulator.min_mean"),
    ([{"quality": 3}], "thresholds", "thresholds"),
]


@pytest.mark.parametrize(("thresholds", "unknown", "field"), NOBODY_KNOWS, ids=str)
def test_a_threshold_that_nobody_understands_is_named_and_stops_nothing(
    evalkit, project, logged, thresholds, unknown, field
):
    project.configure(thresholds=thresholds)
    checked = evalkit("check")
    assert checked.code == 2
    assert field in [problem["field"] for problem in checked.report["problems"]]
    outcome, tags = logged()
    assert outcome.code == 0
    assert outcome.report["traces"] == len(CASES)
    assert unknown in outcome.report["unknown"]
    assert any(field in note for note in outcome.report["notes"])
    assert tags["regressions_detected"] == "unknown"
    assert unknown in tags["evalkit.unmeasured"]
    assert logged("--strict")[0].code == 1


def test_a_threshold_that_is_missed_is_exit_1_where_strict(project, logged):
    project.configure(thresholds={"quality": {"min_mean": 4.5}})
    outcome, tags = logged()
    assert (outcome.code, tags["regressions_detected"]) == (0, "yes")
    outcome, _ = logged("--strict")
    assert outcome.code == 1
    assert "quality min_mean 4.5, is 4" in outcome.report["error"]


def test_a_bar_that_is_met_is_good_also_where_strict(logged):
    outcome, tags = logged("--strict")
    assert (outcome.code, tags["regressions_detected"]) == (0, "no")


@pytest.mark.parametrize("thresholds", [{"quality": {"min_mean": 3.5}}, {}], ids=str)
def test_a_run_that_lost_its_summary_is_not_called_good(project, logged, thresholds):
    project.configure(thresholds=thresholds)
    project.remove(project.summary)
    outcome, tags = logged()
    assert (outcome.code, tags["regressions_detected"]) == (0, "unknown")
    assert "no scores" in outcome.report["unknown"]
    assert logged("--strict")[0].code == 1


def test_an_eval_without_judges_has_nothing_to_be_unknown(project, logged):
    project.configure(thresholds={}, judges=[])
    project.remove(project.summary)
    outcome, tags = logged("--strict")
    assert (outcome.code, tags["regressions_detected"]) == (0, "no")


@pytest.mark.parametrize(
    ("pairwise", "found"),
    [
        ({"run_a": RUN_ID, "run_b": "old", "wins_a": 2, "wins_b": 1, "ties": 1}, "no"),
        ({"run_a": "old", "run_b": RUN_ID, "wins_a": 2, "wins_b": 1, "ties": 0}, "yes"),
        ({"run_a": "old", "run_b": "older", "wins_a": 0, "wins_b": 3, "ties": 0}, "unknown"),
        ({"run_a": RUN_ID, "run_b": "old", "wins_a": 0, "wins_b": 0, "ties": 0}, "unknown"),
        ({"error": "no baseline"}, "unknown"),
        ("none", "unknown"),
    ],
    ids=str,
)
def test_a_win_rate_is_read_from_the_comparison_of_two_runs(project, logged, pairwise, found):
    project.configure(thresholds={"quality": {"min_win_rate": 0.5}})
    project.summarise({case: scores_of(case) for case in CASES}, pairwise=pairwise)
    assert logged()[1]["regressions_detected"] == found


RELIABLE = {
    "human_agreement": {"metric": "cohen_kappa", "value": 0.4, "n_units": 8},
    "stability": {"samples": 3, "irr": {"metric": "krippendorff_alpha", "value": 0.31}},
    "panel": {"alpha": 0.2},
}


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ({"quality": {"min_human_agreement": 0.4}}, "no"),
        ({"quality": {"min_human_agreement": 0.6}}, "yes"),
        ({"quality": {"min_alpha": 0.5}}, "yes"),
        ({"quality": {"min_panel_alpha": 0.1}}, "no"),
        ({"polite": {"min_panel_alpha": 0.1}}, "unknown"),
        ({"simulator": {"max_fallback_rate": 0.0}}, "yes"),
        ({"simulator": {"max_fallback_rate": 0.5}}, "no"),
    ],
    ids=str,
)
def test_reliability_is_logged_and_held_to_its_thresholds(project, logged, mlflow, bound, found):
    project.configure(thresholds=bound)
    judges = {"quality": {"mean": 4.0, **RELIABLE}, "polite": {"pass_rate": 1.0}}
    per_case = {case: scores_of(case) for case in CASES}
    more = {"simulator": {"fallback_rate": 0.5}, "validity": {"v1": "unmeasured", "v3": "measured"}}
    project.write(project.summary, {"judges": judges, "per_case": per_case, **more})
    assert logged()[1]["regressions_detected"] == found
    run = mlflow.run().data
    assert run.metrics["quality/human_agreement/value"] == 0.4
    assert run.metrics["quality/stability/irr/value"] == 0.31
    assert run.metrics["quality/panel/alpha"] == 0.2
    assert run.metrics["simulator/fallback_rate"] == 0.5
    assert (run.tags["validity/v1"], run.tags["validity/v3"]) == ("unmeasured", "measured")


@pytest.mark.parametrize(
    "tag",
    ["mlflow.runName", "mlflow.parentRunId", "evalkit.key", "regressions_detected", "num_judges"],
)
def test_tags_that_others_decide_are_refused(evalkit, project, tag):
    project.configure(mlflow={"tags": {tag: "mine"}})
    refused = evalkit("log-results", *RUN)
    assert refused.code == 2
    assert [each["field"] for each in refused.report["problems"]] == [f"mlflow.tags.{tag}"]


def test_a_description_is_for_people_to_give(project, logged):
    project.configure(mlflow={"tags": {"mlflow.note.content": "nightly", "mlflowish": "yes"}})
    _, tags = logged()
    assert (tags["mlflow.note.content"], tags["mlflowish"]) == ("nightly", "yes")


# -- what else the files say ----------------------------------------------------------------------


def test_what_several_samples_said_stays_with_the_score(project, logged, mlflow):
    stability = {"samples": 3, "values": [3, 5, 4], "stable": False}
    said = [{"value": 5, "rationale": "token sk-ant-api03-" + "a" * 90}]
    one = {"value": 4, "stability": stability, "sample_rationales": said, "judge_type": "llm"}
    project.summarise({"alpha": {"quality": one}})
    logged()
    metadata = mlflow.feedback("alpha")["quality"].metadata
    assert '"values": [3, 5, 4]' in metadata["stability"]
    assert "sk-ant-api03" not in metadata["sample_rationales"]
    again, _ = logged()
    assert again.report["written"] is False


@pytest.mark.parametrize(
    ("error", "said"),
    [(True, "off the scale"), ("timeout", "timeout"), (False, None)],
)
def test_a_score_marked_as_an_error_says_why(project, logged, mlflow, error, said):
    one = {"value": 3 if said is None else None, "rationale": "off the scale", "error": error}
    project.summarise({"alpha": {"quality": one}})
    logged()
    assert mlflow.values("alpha")["quality"] == (said or 3)


def test_estimates_are_called_so_and_what_is_not_understood_is_named(project, logged, mlflow):
    result = {
        "execution_mode": "case",
        "cost_usd": None,
        "cost_usd_estimate": 0.9,
        "cost_source": "unavailable",
        "wall_clock_s": 7.5,
        "permission_denials": [{"tool_name": "Bash"}, {"tool_name": "Write"}],
        "eval_params": {"effort": "high", "config_chain": ["eval.yaml", "small.yaml"]},
    }
    project.write(f"{project.run_dir}/run_result.json", result)
    per_case = {case: scores_of(case) for case in CASES}
    project.summarise(per_case, human_calibration={"judges": ["polite"]}, total_cost_usd=0.15)
    outcome, _ = logged()
    run = mlflow.run().data
    assert "cost_usd" not in run.metrics
    assert run.metrics["cost_usd_estimate"] == 0.9
    assert (run.metrics["wall_clock_s"], run.metrics["permission_denials"]) == (7.5, 2)
    assert run.metrics["total_cost_usd"] == 0.15
    assert run.params["eval_params/effort"] == "high"
    assert run.params["eval_params/config_chain"] == '["eval.yaml", "small.yaml"]'
    notes = "\n".join(outcome.report["notes"])
    assert "run_result.json holds what only this artifact keeps: cost_source" in notes
    assert "summary.yaml holds what only this artifact keeps: human_calibration/judges" in notes


def test_a_comparison_does_not_call_a_run_good_of_which_nobody_knows(project):
    project.configure(thresholds={"quality": {"min_men": 3, "min_alpha": 0.5}})
    project.write("eval/runs/support/2026-07-10-v2/summary.yaml", project.read(project.summary))
    workspace = Workspace.open(project.root / "eval.yaml")
    runs = [workspace.run(run_id).run for run_id in arms.choose(arms.run_ids(workspace))]
    found = compare_report.report(workspace.files.project, runs)
    assert found["shortfalls"] == [
        "2026-07-10-v2: not known: quality min_alpha",
        "2026-07-10-v2: not known: quality min_men",
    ]
