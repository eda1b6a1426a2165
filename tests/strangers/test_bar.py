"""The bar that a run is held to: what is not known is never called good."""

import json

import pytest
from eval_project import CASES, RESULT, RUN_ID, scores_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)
SCORES = {case: scores_of(case) for case in CASES}
QUALITY = "mlflow.genaiEvaluate.qualityCriteria"


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


@pytest.fixture
def logged(evalkit, mlflow):
    """Logs the run; the outcome, and what the run in MLflow holds."""

    def log(*arguments):
        outcome = evalkit("log-results", *RUN, *arguments)
        return outcome, mlflow.run().data

    return log


def went(data):
    """Whether the run got worse, as it says in MLflow: yes, no or unknown."""
    return data.tags["regressions_detected"]


@pytest.mark.parametrize(
    ("thresholds", "unknown", "field"),
    [
        ({"quality": {"min_men": 3}}, "quality min_men", "thresholds.quality.min_men"),
        ({"quality": {"min_mean": "80%"}}, "quality min_mean", "thresholds.quality.min_mean"),
        ({"quality": {"min_mean": True}}, "quality min_mean", "thresholds.quality.min_mean"),
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
    outcome, data = logged()
    assert (outcome.code, outcome.report["traces"], went(data)) == (0, len(CASES), "unknown")
    assert unknown in outcome.report["unknown"]
    assert unknown in data.tags["evalkit.unmeasured"]
    assert logged("--strict")[0].code == 1


def test_a_profile_is_held_to_its_own_bar_and_misspellings_name_the_profile(
    evalkit, project, logged
):
    project.write("p/mid.yaml", "extends: ../eval.yaml\nthresholds: {polite: {min_pass_rate: 1}}\n")
    project.write("p/top.yaml", "extends: mid.yaml\n\nthresholds:\n  quality: {min_median: 4}\n")
    (problem,) = evalkit("check", "--config", "p/top.yaml").report["problems"]
    assert (problem["field"], problem["line"]) == ("thresholds.quality.min_median", 4)
    assert problem["file"].endswith("top.yaml")
    outcome, data = logged("--config", "p/top.yaml", "--strict")
    assert (outcome.code, went(data)) == (1, "yes")
    assert outcome.report["unknown"] == ["quality min_median"]
    assert "polite/pass_rate" in data.tags[QUALITY]


@pytest.mark.parametrize(
    ("thresholds", "summary", "found", "code"),
    [
        ({"quality": {"min_mean": 3.5}}, {}, "no", 0),
        ({"quality": {"min_mean": 4.5}}, {}, "yes", 1),
        ({"quality": {"min_mean": 4.5}, "polite": {"min_win_rate": 0.5}}, {}, "yes", 1),
        ({}, None, "unknown", 1),
        ({"quality": {"min_mean": 3.5}}, None, "unknown", 1),
        ({"quality": {"min_mean": 3.5}}, "judges:\nper_case:\n", "unknown", 1),
        ({"quality": {"min_mean": 3.5}}, "judges: {quality: {mean: .nan}}\n", "unknown", 1),
        ({"quality": {"min_mean": 3.5}}, "judges: {quality: {mean: '4.5'}}\n", "unknown", 1),
        (
            {"quality": {"min_mean": 3.5}},
            f"judges: {{quality: {{mean: {10**400}}}}}\n",
            "unknown",
            1,
        ),
        ({"quality": {"max_error_rate": 0.1}}, {"quality": {"errored_cases": 2}}, "yes", 1),
        ({"simulator": {"max_fallback_rate": 0.5}}, {}, "unknown", 1),
    ],
    ids=str,
)
def test_a_bar_is_met_missed_or_unknown_and_strict_tells_by_the_exit_code(
    project, logged, thresholds, summary, found, code
):
    project.configure(thresholds=thresholds)
    if summary is None:
        project.remove(project.summary)
    elif isinstance(summary, str):
        project.write(project.summary, summary)
    elif summary:
        figures = {name: {"mean": 4.0, "scored_cases": 1, **more} for name, more in summary.items()}
        project.write(project.summary, {"judges": figures, "per_case": SCORES})
    assert logged()[0].code == 0
    outcome, data = logged("--strict")
    assert (outcome.code, went(data)) == (code, found)
    if found == "yes":
        assert next(iter(thresholds)) in outcome.report["error"]


@pytest.mark.parametrize(
    ("pairwise", "found"),
    [
        ({"run_a": RUN_ID, "run_b": "old", "wins_a": 2, "wins_b": 1, "ties": 1}, "no"),
        ({"run_a": "old", "run_b": RUN_ID, "wins_a": 2, "wins_b": 1, "ties": 0}, "yes"),
        ({"run_a": "old", "run_b": "older", "wins_a": 0, "wins_b": 3, "ties": 0}, "unknown"),
        ({"run_a": RUN_ID, "run_b": "old", "wins_a": 0, "wins_b": 0, "ties": 0}, "unknown"),
        ({"run_a": "old", "run_b": RUN_ID, "wins_a": None, "wins_b": None}, "unknown"),
        ([], "unknown"),
    ],
    ids=str,
)
def test_a_win_rate_is_read_from_the_comparison_of_two_runs(project, logged, pairwise, found):
    project.configure(thresholds={"quality": {"min_win_rate": 0.5}})
    project.summarise(SCORES, pairwise=pairwise)
    assert went(logged()[1]) == found


RELIABLE = {
    "human_agreement": {"metric": "cohen_kappa", "value": 0.4, "n_units": 8},
    "stability": {"samples": 3, "irr": {"metric": "krippendorff_alpha", "value": 0.31}},
    "panel": {"alpha": 0.2, "members": {"m-b": {"mean": 5.0}}},
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
    ],
    ids=str,
)
def test_reliability_is_logged_and_held_to_its_thresholds(project, logged, bound, found):
    project.configure(thresholds=bound)
    judges = {"quality": {"mean": 4.0, **RELIABLE}, "polite": {"pass_rate": 1.0}}
    more = {"simulator": {"fallback_rate": 0.5}, "validity": {"v1": "unmeasured", "v3": "measured"}}
    project.write(project.summary, {"judges": judges, "per_case": SCORES, **more})
    _, data = logged()
    assert went(data) == found
    expected = {
        "quality/human_agreement/value": 0.4,
        "quality/stability/irr/value": 0.31,
        "quality/panel/alpha": 0.2,
        "quality/panel/members/m-b/mean": 5.0,
        "simulator/fallback_rate": 0.5,
    }
    assert {name: data.metrics.get(name) for name in expected} == expected
    assert (data.tags["validity/v1"], data.tags["validity/v3"]) == ("unmeasured", "measured")


def test_mlflow_reads_the_bar_as_quality_criteria(project, logged):
    project.configure(thresholds={"quality": {"min_mean": 3.5}, "broken": {"max_error_rate": 0.2}})
    _, data = logged()
    rules = json.loads(data.tags[QUALITY])["rules"]
    assert [(r["metricKey"], r["comparator"], r["threshold"]) for r in rules] == [
        ("quality/mean", "GTE", 3.5),
        ("broken/error_rate", "LTE", 0.2),
    ]
    assert all(rule["metricKey"] in data.metrics for rule in rules)
    assert data.tags["mlflow.runType"] == "genai_evaluate"
    project.configure(thresholds={})
    assert QUALITY not in logged()[1].tags


@pytest.mark.parametrize(
    "tag",
    ["mlflow.runName", "mlflow.parentRunId", "evalkit.key", "regressions_detected", "num_judges"],
)
def test_tags_that_others_decide_are_refused_where_they_stand(evalkit, project, tag):
    project.write("nightly.yaml", f"extends: eval.yaml\nmlflow: {{tags: {{{tag}: mine}}}}\n")
    for command in (("check",), ("log-results", *RUN)):
        refused = evalkit(*command, "--config", "nightly.yaml")
        assert refused.code == 2
        (problem,) = refused.report["problems"]
        assert (problem["field"], problem["line"]) == (f"mlflow.tags.{tag}", 2)
        assert problem["file"].endswith("nightly.yaml")


def test_a_comparison_does_not_call_a_run_good_of_which_nobody_knows(evalkit, project):
    project.configure(thresholds={"quality": {"min_men": 3, "min_alpha": 0.5}})
    project.write("eval/runs/support/2026-07-10-v2/summary.yaml", project.read(project.summary))
    found = evalkit("compare").report
    assert found["gate"] == "unknown"
    assert found["open"][-2:] == ["not known: quality min_alpha", "not known: quality min_men"]


# -- what else the files say ----------------------------------------------------------------------


def test_what_several_samples_said_and_why_one_failed_stays_with_the_score(project, logged, mlflow):
    told = [
        {"value": 5, "rationale": "token sk-ant-api03-" + "a" * 90},
        {"value": None, "error": "timed out"},
    ]
    stability = {"samples": 2, "values": [5, None], "stable": False}
    one = {"value": 4, "stability": stability, "sample_rationales": told, "judge_type": "llm"}
    failed = {"value": None, "rationale": "off the scale"}
    others = {"scale": {**failed, "error": True}, "late": {**failed, "error": "timeout"}}
    fine = {"value": 3, "rationale": "fine", "error": False}
    project.summarise({"alpha": {"quality": one, **others, "fine": fine}})
    logged()
    metadata = mlflow.feedback("alpha")["quality"].metadata
    assert '"values": [5, null]' in metadata["stability"]
    assert "timed out" in metadata["sample_rationales"]
    assert "sk-ant-api03" not in metadata["sample_rationales"]
    values = mlflow.values("alpha")
    assert (values["scale"], values["late"], values["fine"]) == ("off the scale", "timeout", 3)
    assert logged()[0].report["written"] is False


def test_estimates_are_called_so_and_what_is_not_understood_is_named(project, logged):
    result = {
        **{k: v for k, v in RESULT.items() if k not in {"cost_usd", "per_model_usage"}},
        "cost_usd_estimate": 0.9,
        "cost_source": "unavailable",
        "wall_clock_s": 7.5,
        "permission_denials": [{"tool_name": "Bash"}, {"tool_name": "Write"}],
        "eval_params": {"effort": "high", "config_chain": ["eval.yaml", "small.yaml"]},
    }
    project.write(f"{project.run_dir}/run_result.json", result)
    project.summarise(SCORES, human_calibration={"judges": ["polite"]}, total_cost_usd=0.15)
    outcome, data = logged()
    assert "cost_usd" not in data.metrics
    figures = ("cost_usd_estimate", "wall_clock_s", "permission_denials", "total_cost_usd")
    assert [data.metrics[name] for name in figures] == [0.9, 7.5, 2, 0.15]
    assert data.params["eval_params/effort"] == "high"
    assert data.params["eval_params/config_chain"] == '["eval.yaml", "small.yaml"]'
    notes = "\n".join(outcome.report["notes"])
    assert "run_result.json holds what only this artifact keeps: cost_source" in notes
    assert "summary.yaml holds what only this artifact keeps: human_calibration/judges" in notes
