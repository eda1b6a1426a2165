"""The bar that a run is held to: what is not known is never called good."""

import json

import pytest
from eval_project import CASES, RESULT, RUN, RUN_ID, scores_of

SCORES = {case: scores_of(case) for case in CASES}
QUALITY = "mlflow.genaiEvaluate.qualityCriteria"


@pytest.fixture
def logged(evalkit, mlflow):
    """Logs the run; the outcome, what the run in MLflow holds, and whether it got worse."""

    def log(*arguments):
        outcome = evalkit("log-results", *RUN, *arguments)
        data = mlflow.run().data
        return outcome, data, data.tags["regressions_detected"]

    return log


@pytest.mark.parametrize(
    ("thresholds", "unknown", "field"),
    [
        ({"quality": {"min_men": 3}}, "quality min_men", "thresholds.quality.min_men"),
        ({"quality": {"min_mean": "80%"}}, "quality min_mean", "thresholds.quality.min_mean"),
        ({"qualty": {"min_mean": 3}}, "qualty min_mean", "thresholds.qualty"),
        ({"quality": 3.5}, "quality", "thresholds.quality"),
        ({"simulator": {"min_mean": 3}}, "simulator min_mean", "thresholds.simulator.min_mean"),
        ([{"quality": 3}], "thresholds", "thresholds"),
    ],
    ids=str,
)
def test_a_threshold_that_nobody_understands_is_named_and_stops_nothing(
    evalkit, project, logged, thresholds, unknown, field
):
    project.configure(thresholds=thresholds)
    checked = evalkit("check")
    assert checked.code == 2
    assert field in [problem["field"] for problem in checked.report["problems"]]
    outcome, data, went = logged("--strict")
    assert (outcome.code, outcome.report["traces"], went) == (1, len(CASES), "unknown")
    assert unknown in outcome.report["unknown"]
    assert unknown in data.tags["evalkit.unmeasured"]


SUMMARY = {
    "judges": {
        "quality": {
            "mean": 3.0,
            "scored_cases": 1,
            "errored_cases": 2,
            "human_agreement": {"metric": "cohen_kappa", "value": 0.4, "n_units": 8},
            "stability": {"samples": 3, "irr": {"metric": "krippendorff_alpha", "value": 0.31}},
            "panel": {"alpha": 0.2, "members": {"m-b": {"mean": 5.0}}},
        },
        "polite": {"pass_rate": 1.0},
    },
    "per_case": SCORES,
    "simulator": {"fallback_rate": 0.5},
    "validity": {"v1": "unmeasured", "v3": "measured"},
}
FIGURES = {
    "quality/human_agreement/value": 0.4,
    "quality/stability/irr/value": 0.31,
    "quality/panel/alpha": 0.2,
    "quality/panel/members/m-b/mean": 5.0,
    "simulator/fallback_rate": 0.5,
}
MEAN, WINS = {"quality": {"min_mean": 2.5}}, {"quality": {"min_win_rate": 0.5}}


def pairs(run_a, run_b, wins_a, wins_b, ties=0):
    both = {"run_a": run_a, "run_b": run_b}
    return {"pairwise": {**both, "wins_a": wins_a, "wins_b": wins_b, "ties": ties}}


@pytest.mark.parametrize(
    ("thresholds", "summary", "found"),
    [
        (MEAN, {}, "no"),
        ({"quality": {"min_mean": 3.5}, "polite": {"min_win_rate": 0.5}}, {}, "yes"),
        ({"quality": {"max_error_rate": 0.1}}, {}, "yes"),
        ({"quality": {"min_human_agreement": 0.4}}, {}, "no"),
        ({"quality": {"min_alpha": 0.5}}, {}, "yes"),
        ({"polite": {"min_panel_alpha": 0.1}}, {}, "unknown"),
        ({"simulator": {"max_fallback_rate": 0.0}}, {}, "yes"),
        ({"simulator": {"max_fallback_rate": 0.5}}, {"simulator": {}}, "unknown"),
        # a win rate is read from the comparison of two runs
        (WINS, pairs(RUN_ID, "old", 2, 1, 1), "no"),
        (WINS, pairs("old", RUN_ID, 2, 1), "yes"),
        (WINS, pairs("old", "older", 0, 3), "unknown"),
        (WINS, pairs(RUN_ID, "old", 0, 0), "unknown"),
        (WINS, {"pairwise": []}, "unknown"),
        # no summary, and summaries without a figure
        ({}, None, "unknown"),
        (MEAN, "judges:\nper_case:\n", "unknown"),
        (MEAN, "judges: {quality: {mean: .nan}}\n", "unknown"),
        (MEAN, f"judges: {{quality: {{mean: {10**400}}}}}\n", "unknown"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_a_bar_is_met_missed_or_unknown_and_strict_tells_by_the_exit_code(
    project, logged, thresholds, summary, found
):
    project.configure(thresholds=thresholds)
    if summary is None:
        project.remove(project.summary)
    else:
        whole = {**SUMMARY, **summary} if isinstance(summary, dict) else summary
        project.write(project.summary, whole)
    assert logged()[0].code == 0
    outcome, data, went = logged("--strict")
    assert (outcome.code, went) == (int(found != "no"), found)
    if found == "yes":
        assert next(iter(thresholds)) in outcome.report["error"]
    if summary == {}:
        assert {name: data.metrics.get(name) for name in FIGURES} == FIGURES
        assert (data.tags["validity/v1"], data.tags["validity/v3"]) == ("unmeasured", "measured")


def test_mlflow_reads_the_bar_as_quality_criteria_and_a_profile_has_its_own(
    evalkit, project, logged
):
    project.configure(thresholds={"quality": {"min_mean": 3.5}, "broken": {"max_error_rate": 0.2}})
    _, data, _ = logged()
    rules = json.loads(data.tags[QUALITY])["rules"]
    assert [(r["metricKey"], r["comparator"], r["threshold"]) for r in rules] == [
        ("quality/mean", "GTE", 3.5),
        ("broken/error_rate", "LTE", 0.2),
    ]
    assert all(rule["metricKey"] in data.metrics for rule in rules)
    assert data.tags["mlflow.runType"] == "genai_evaluate"
    project.configure(thresholds={})
    assert QUALITY not in logged()[1].tags
    project.write("p/mid.yaml", "extends: ../eval.yaml\nthresholds: {polite: {min_pass_rate: 1}}\n")
    project.write("p/top.yaml", "extends: mid.yaml\n\nthresholds:\n  quality: {min_median: 4}\n")
    (problem,) = evalkit("check", "--config", "p/top.yaml").report["problems"]
    assert (problem["field"], problem["line"]) == ("thresholds.quality.min_median", 4)
    assert problem["file"].endswith("top.yaml")
    outcome, data, went = logged("--config", "p/top.yaml", "--strict")
    assert (outcome.code, went) == (1, "yes")
    assert outcome.report["unknown"] == ["quality min_median"]
    assert "polite/pass_rate" in data.tags[QUALITY]


def test_tags_that_others_decide_are_refused_where_they_stand(evalkit, project):
    tags = ("mlflow.runName", "mlflow.parentRunId", "evalkit.key", "regressions_detected")
    lines = "".join(f"    {tag}: mine\n" for tag in tags)
    project.write("nightly.yaml", f"extends: eval.yaml\nmlflow:\n  tags:\n{lines}")
    refused = evalkit("log-results", *RUN, "--config", "nightly.yaml")
    assert refused.code == 2
    problems = refused.report["problems"]
    found = [(each["file"], each["field"]) for each in problems]
    assert found == [("nightly.yaml", f"mlflow.tags.{tag}") for tag in tags]
    assert {each["line"] for each in problems} <= {*range(3, 8)}


def test_a_comparison_does_not_call_a_run_good_of_which_nobody_knows(evalkit, project):
    project.configure(thresholds={"quality": {"min_men": 3, "min_alpha": 0.5}})
    project.write("eval/runs/support/2026-07-10-v2/summary.yaml", project.read(project.summary))
    found = evalkit("compare").report
    assert found["gate"] == "unknown"
    assert found["open"][-2:] == ["not known: quality min_alpha", "not known: quality min_men"]


# -- what else the files say ----------------------------------------------------------------------


def test_samples_and_errors_stay_with_the_score_and_what_is_not_understood_is_named(
    project, logged, mlflow
):
    told = [
        {"value": 5, "rationale": "token sk-ant-api03-" + "a" * 90},
        {"value": None, "error": "timed out"},
    ]
    stability = {"samples": 2, "values": [5, None], "stable": False}
    one = {"value": 4, "stability": stability, "sample_rationales": told, "judge_type": "llm"}
    failed = {"value": None, "rationale": "off the scale"}
    others = {"scale": {**failed, "error": True}, "late": {**failed, "error": "timeout"}}
    fine = {"value": 3, "rationale": "fine", "error": False}
    more = {"human_calibration": {"judges": ["polite"]}, "total_cost_usd": 0.15}
    project.summarise({"alpha": {"quality": one, **others, "fine": fine}}, **more)
    result = {
        **{k: v for k, v in RESULT.items() if k not in {"cost_usd", "per_model_usage"}},
        "cost_usd_estimate": 0.9,
        "cost_source": "unavailable",
        "wall_clock_s": 7.5,
        "permission_denials": [{"tool_name": "Bash"}, {"tool_name": "Write"}],
        "eval_params": {"effort": "high", "config_chain": ["eval.yaml", "small.yaml"]},
    }
    project.write(f"{project.run_dir}/run_result.json", result)
    outcome, data, _ = logged()
    metadata = mlflow.feedback("alpha")["quality"].metadata
    assert '"values": [5, null]' in metadata["stability"]
    assert "timed out" in metadata["sample_rationales"]
    assert "sk-ant-api03" not in metadata["sample_rationales"]
    values = mlflow.values("alpha")
    assert (values["scale"], values["late"], values["fine"]) == ("off the scale", "timeout", 3)
    assert "cost_usd" not in data.metrics
    figures = ("cost_usd_estimate", "wall_clock_s", "permission_denials", "total_cost_usd")
    assert [data.metrics[name] for name in figures] == [0.9, 7.5, 2, 0.15]
    assert data.params["eval_params/effort"] == "high"
    assert data.params["eval_params/config_chain"] == '["eval.yaml", "small.yaml"]'
    notes = "\n".join(outcome.report["notes"])
    assert "run_result.json holds what only this artifact keeps: cost_source" in notes
    assert "summary.yaml holds what only this artifact keeps: human_calibration/judges" in notes
    assert logged()[0].report["written"] is False
