"""What a run is held to and stands on: further inputs of each kind, as strangers have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from commands import Outcome
from eval_project import CASES, RESULT, RUN_ID, EvalProject, log_of, score, scores_of
from in_mlflow import InMlflow
from managed_server import ManagedMlflow

Evalkit = Callable[..., Outcome]

LOG = ("log-results", "--run-id", RUN_ID)
PUSH = ("push-feedback", "--run-id", RUN_ID)
PULL = ("pull-feedback", "--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri: str) -> InMlflow:
    return InMlflow(database_uri)


def went(mlflow: InMlflow) -> str:
    """Whether the run got worse, as it says in MLflow: yes, no or unknown."""
    return mlflow.run().data.tags["regressions_detected"]


def summary(project: EvalProject, **changes: Any) -> None:
    found = yaml.safe_load(project.read(project.summary))
    project.write(project.summary, {**found, **changes})


# -- a threshold that nobody understands -------------------------------------------------------


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        ({"qualty": {"min_mean": 1}}, "thresholds.qualty"),
        ({"quality": 3.5}, "thresholds.quality"),
        ({"quality": {"min_mean": "80%"}}, "thresholds.quality.min_mean"),
        ({"quality": {"min_mean": None}}, "thresholds.quality.min_mean"),
        ({"quality": {"min_mean": True}}, "thresholds.quality.min_mean"),
        ({"quality": {"min-mean": 1}}, "thresholds.quality.min-mean"),
        ({"quality": {"min_mean": {"value": 1}}}, "thresholds.quality.min_mean"),
        ([{"judge": "quality", "min_mean": 1}], "thresholds"),
        ({"quality": None}, "thresholds.quality"),
    ],
)
def test_a_threshold_that_is_not_understood_is_a_problem_and_never_met(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow, thresholds: Any, named: str
) -> None:
    project.configure(thresholds=thresholds)
    checked = evalkit("check")
    assert checked.code == 2
    assert named in [problem["field"] for problem in checked.report["problems"]]
    assert evalkit(*LOG).code == 0
    assert went(mlflow) == "unknown"
    assert evalkit(*LOG, "--strict").code == 1


def test_a_threshold_that_a_profile_misspells_names_the_profile(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.write(
        "profiles/strict.yaml",
        "extends: ../eval.yaml\n\nthresholds:\n  quality: {min_median: 4}\n",
    )
    (problem,) = evalkit("check", "--config", "profiles/strict.yaml").report["problems"]
    assert problem["field"] == "thresholds.quality.min_median"
    assert problem["file"].endswith("strict.yaml")
    assert problem["line"] == 4
    logged = evalkit(*LOG, "--config", "profiles/strict.yaml", "--strict")
    assert logged.code == 1
    assert went(mlflow) == "unknown"


# -- a figure that is not there is not good ----------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "judges:\nper_case:\n",
        "judges: {quality: {mean: null}}\n",
        "judges: {quality: {mean: .nan}}\n",
        "judges: {quality: {mean: .inf}}\n",
        "judges: {quality: {mean: n/a}}\n",
        "judges: {quality: {mean: true}}\n",
        "judges: {quality: {mean: '4.5'}}\n",
        "judges: {Quality: {mean: 5}}\n",
    ],
)
def test_a_summary_without_the_figure_says_nothing_about_the_bar(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow, text: str
) -> None:
    project.write(project.summary, text)
    logged = evalkit(*LOG, "--strict")
    assert logged.code == 1
    assert went(mlflow) == "unknown"


def test_of_two_thresholds_the_missed_one_decides_and_the_unknown_one_is_named(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.configure(thresholds={"quality": {"min_mean": 4.5}, "polite": {"min_win_rate": 0.5}})
    logged = evalkit(*LOG)
    assert went(mlflow) == "yes"
    assert logged.report["unknown"] == ["polite min_win_rate"]


# -- green without scores ----------------------------------------------------------------------


def test_a_judge_that_failed_on_most_cases_misses_its_error_rate(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.configure(thresholds={"quality": {"max_error_rate": 0.1}})
    figures = {"mean": 4.0, "scored_cases": 1, "errored_cases": 2}
    project.write(project.summary, {"judges": {"quality": figures}})
    logged = evalkit(*LOG, "--strict")
    assert logged.code == 1
    assert went(mlflow) == "yes"


@pytest.mark.parametrize(
    "pairwise",
    [
        {"run_a": "old", "run_b": RUN_ID, "wins_a": 0, "wins_b": 0, "ties": 0, "errors": 3},
        {"run_a": "old", "run_b": "someone-else", "wins_a": 0, "wins_b": 3, "ties": 0},
        [],
        "not compared",
        {"run_a": "old", "run_b": RUN_ID, "wins_a": None, "wins_b": None},
    ],
)
def test_a_comparison_that_came_to_nothing_leaves_the_win_rate_unknown(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow, pairwise: Any
) -> None:
    project.configure(thresholds={"quality": {"min_win_rate": 0.5}})
    summary(project, pairwise=pairwise)
    logged = evalkit(*LOG)
    assert logged.code == 0, logged.err
    assert went(mlflow) == "unknown"


def test_the_new_run_may_be_either_side_of_a_comparison(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.configure(thresholds={"quality": {"min_win_rate": 0.5}})
    summary(
        project,
        pairwise={"run_a": RUN_ID, "run_b": "old", "wins_a": 1, "wins_b": 3, "ties": 0},
    )
    evalkit(*LOG)
    assert went(mlflow) == "yes"


# -- the dataset -------------------------------------------------------------------------------


def dataset_of(mlflow: InMlflow) -> list[str]:
    return [used.dataset.name for used in mlflow.run().inputs.dataset_inputs]


def test_a_run_that_was_logged_before_the_first_sync_is_linked_by_the_next_log(
    evalkit: Evalkit, mlflow: InMlflow
) -> None:
    first = evalkit(*LOG)
    assert dataset_of(mlflow) == []
    assert "dataset" in first.out + first.err
    evalkit("sync-dataset")
    evalkit(*LOG)
    again = evalkit(*LOG)
    assert dataset_of(mlflow) == ["support"]
    assert again.report["written"] is False


def test_a_dataset_of_another_name_is_linked_in_a_batch_run_too(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.make_batch()
    evalkit("sync-dataset", "--dataset-name", "golden")
    evalkit(*LOG, "--dataset-name", "golden")
    assert dataset_of(mlflow) == ["golden"]


def test_a_trace_that_the_harness_recorded_knows_its_case_as_ours_do(
    evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit("sync-dataset")
    mlflow.record("by the harness", eval_run_id=RUN_ID, case_id="alpha")
    evalkit(*LOG)
    asked = {n: t.info.tags.get("mlflow.eval.requestId") for n, t in mlflow.traces().items()}
    asked |= {
        n: t.info.trace_metadata["mlflow.eval.requestId"]
        for n, t in mlflow.traces().items()
        if "mlflow.eval.requestId" in t.info.trace_metadata
    }
    assert sorted(filter(None, asked.values())) == sorted(CASES)


def test_in_a_workspace_where_no_table_is_named_it_is_said_that_none_is_linked(
    project: EvalProject, evalkit: Evalkit, workspace: ManagedMlflow
) -> None:
    assert workspace
    project.configure(mlflow={"experiment": "/Users/kim@example.com/support"})
    logged = evalkit(*LOG, uri="databricks")
    assert logged.code == 0, logged.err
    assert "linked to none; name one with --dataset-name" in logged.err


# -- the snapshot ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["{not json", "[1, 2]", '"text"', "", "null", '{"a": 1, "a": 2}'])
def test_a_snapshot_that_cannot_be_read_is_named_and_the_run_is_logged(
    project: EvalProject, evalkit: Evalkit, text: str
) -> None:
    project.write(f"{project.run_dir}/harness-snapshot.json", text)
    logged = evalkit(*LOG)
    assert logged.code in {0, 2}, logged.err
    assert "Traceback" not in logged.err
    assert "harness-snapshot.json" in logged.out + logged.err


def test_a_snapshot_never_renames_the_run_nor_says_how_it_went(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    snapshot = {
        "mlflow.runName": "nightly",
        "evalkit.key": "mine",
        "regressions_detected": "yes",
        "ref_revision": "deadbeef",
        "agent": "writer",
        "retries": 3,
        "team": "red",
        "token": "sk-ant-api03-" + "a1B2" * 20,
    }
    project.write(f"{project.run_dir}/harness-snapshot.json", snapshot)
    for _ in range(2):
        logged = evalkit(*LOG)
        assert logged.code == 0, logged.err
    assert logged.report["written"] is False
    assert "harness-snapshot.json holds what only this artifact keeps: evalkit.key" in logged.err
    run = mlflow.run()
    assert run.info.run_name == RUN_ID
    assert run.data.tags["regressions_detected"] == "no"
    assert run.data.tags["commit_sha"] == "deadbeef"
    assert run.data.tags["team"] == "blue"
    assert not [value for value in run.data.tags.values() if "a1B2a1B2" in value]


def test_what_the_run_was_denied_is_a_metric_and_its_files_are_artifacts_in_batch_mode_too(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.make_batch()
    denied = [{"tool_name": "Bash"}, {"tool_name": "Write"}]
    project.write(
        f"{project.run_dir}/run_result.json",
        {**RESULT, "execution_mode": "batch", "permission_denials": denied},
    )
    project.write(f"{project.run_dir}/analysis.md", "# fine\n")
    project.write(f"{project.run_dir}/report.html", "<html>")
    evalkit(*LOG)
    run = mlflow.run()
    names = {found.path for found in mlflow.client.list_artifacts(run.info.run_id)}
    assert {"analysis.md", "report.html"} <= names
    assert [v for k, v in run.data.metrics.items() if "permission_denials" in k] == [2]


# -- samples -----------------------------------------------------------------------------------


def test_samples_that_are_words_or_failed_stay_on_the_score(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    told = [{"value": "warm", "rationale": "kind"}, {"value": None, "error": "timed out"}]
    more = {
        "stability": {"samples": 2, "values": ["warm", None], "stable": False},
        "sample_rationales": told,
    }
    project.summarise({case: {"tone": score("warm", **more)} for case in CASES})
    evalkit(*LOG)
    found = json.dumps(mlflow.feedback("alpha")["tone"].metadata)
    assert "timed out" in found
    assert "kind" in found
    assert evalkit(*PUSH).code == 0
    assert evalkit(*LOG).report["written"] is False


def test_a_panels_figures_and_each_of_its_judges_are_metrics_by_their_path(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    figures = {
        "mean": 4.0,
        "pass_rate": None,
        "panel": {"alpha": 0.5, "members": {"m-a": {"mean": 3.0}, "m-b": {"mean": 5.0}}},
        "stability": {"irr": {"metric": "krippendorff_alpha", "value": 0.9}},
    }
    summary(project, judges={"quality": figures})
    project.configure(thresholds={"quality": {"min_alpha": 0.8, "min_panel_alpha": 0.6}})
    evalkit(*LOG)
    assert went(mlflow) == "yes"
    metrics = mlflow.run().data.metrics
    assert metrics["quality/panel/alpha"] == 0.5
    assert metrics["quality/panel/members/m-b/mean"] == 5.0
    assert metrics["quality/stability/irr/value"] == 0.9


# -- the harness' newer keys -------------------------------------------------------------------


def test_a_verdict_without_any_comment_and_of_every_type_is_a_persons_value(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    verdicts = {
        "alpha": {"polite": False, "quality": 1, "tone": "cold"},
        "beta": {"quality": 2.5},
        "gamma": {"no_such_judge": True},
        "delta": {"quality": 1},
    }
    project.write(
        f"{project.run_dir}/review.yaml",
        {"run_id": RUN_ID, "reviewer": "human", "reviewer_id": "kim", "verdicts": verdicts},
    )
    pushed = evalkit(*PUSH, "--source", "human")
    assert pushed.code == 0, pushed.err
    said = {
        (each.name, each.value, each.source.source_id)
        for each in mlflow.traces()["alpha"].info.assessments
        if each.source.source_type == "HUMAN"
    }
    assert said == {("polite", False, "kim"), ("quality", 1, "kim"), ("tone", "cold", "kim")}
    assert pushed.report["unmatched_names"] == ["delta/quality"]
    again = evalkit(*PUSH, "--source", "human")
    assert again.report["human"] == pushed.report["human"]
    assert len(mlflow.traces()["alpha"].info.assessments) == 7


def test_an_estimate_of_the_cost_is_never_called_the_cost(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    bare = {k: v for k, v in RESULT.items() if k not in {"cost_usd", "per_model_usage"}}
    cases = {case: {"exit_code": 0, "cost_usd_estimate": 0.3} for case in CASES}
    project.write(
        f"{project.run_dir}/run_result.json",
        {**bare, "cost_usd_estimate": 0.9, "cost_source": "estimate", "per_case": cases},
    )
    evalkit(*LOG)
    metrics = mlflow.run().data.metrics
    assert metrics["cost_usd_estimate"] == 0.9
    assert "cost_usd" not in metrics


def test_a_profile_of_a_profile_is_held_to_its_own_bar(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.write("p/mid.yaml", "extends: ../eval.yaml\nthresholds: {polite: {min_pass_rate: 1}}\n")
    project.write(
        "p/top.yaml",
        "extends: mid.yaml\njudges: !replace [{name: polite, check: x}]\n"
        "thresholds: {quality: {min_mean: 5}}\n",
    )
    checked = evalkit("check", "--config", "p/top.yaml")
    assert [p["field"] for p in checked.report["problems"]] == ["thresholds.quality"]
    evalkit(*LOG, "--config", "p/top.yaml")
    assert went(mlflow) == "yes"
    assert "polite/pass_rate" in mlflow.run().data.tags["mlflow.genaiEvaluate.qualityCriteria"]


# -- reserved tags -----------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["regressions_detected", "mlflow.source.name", "evalkit.commit"])
def test_a_tag_of_the_project_never_says_what_only_the_run_can(
    project: EvalProject, evalkit: Evalkit, tag: str
) -> None:
    project.configure(mlflow={"tags": {"team": "blue", tag: "mine"}})
    checked = evalkit("check")
    assert checked.code == 2
    assert tag in json.dumps(checked.report["problems"])
    assert evalkit(*LOG).code == 2


def test_a_reserved_tag_from_a_profile_or_a_merge_key_is_refused_where_it_stands(
    project: EvalProject, evalkit: Evalkit
) -> None:
    project.write("nightly.yaml", "extends: eval.yaml\nmlflow: {tags: {mlflow.runName: nightly}}\n")
    refused = evalkit(*LOG, "--config", "nightly.yaml")
    assert refused.code == 2
    (problem,) = refused.report["problems"]
    assert problem["file"].endswith("nightly.yaml")
    assert problem["line"] == 2
    text = (
        project.read("eval.yaml")
        .replace("mlflow:\n", "", 1)
        .replace("  tags:\n    team: blue\n", "")
    )
    project.write(
        "eval.yaml",
        "x: &x {evalkit.key: mine}\n" + text + "mlflow: {tags: {<<: *x, team: blue}}\n",
    )
    assert evalkit(*LOG).code == 2


# -- the run is deleted ------------------------------------------------------------------------


def test_of_a_deleted_run_that_is_restored_only_one_goes_on(
    evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    first = mlflow.run().info.run_id
    mlflow.client.delete_run(first)
    evalkit(*LOG)
    second = mlflow.run().info.run_id
    mlflow.client.delete_run(second)
    mlflow.client.restore_run(first)
    evalkit(*LOG)
    assert mlflow.run().info.run_id == first
    assert {t.info.trace_metadata["mlflow.sourceRun"] for t in mlflow.traces().values()} == {first}
    assert evalkit(*LOG).report["written"] is False


def test_scores_pushed_while_the_run_is_deleted_are_there_when_it_is_logged_again(
    evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    mlflow.client.delete_run(mlflow.run().info.run_id)
    mlflow.say("alpha", "clear", True, who="kim")
    assert evalkit(*PUSH).code == 0
    evalkit(*LOG)
    run = mlflow.run().info.run_id
    assert {t.info.trace_metadata["mlflow.sourceRun"] for t in mlflow.traces().values()} == {run}
    assert set(mlflow.feedback("alpha")) == {*scores_of("alpha"), "clear"}


def test_a_deleted_experiment_is_said_in_one_line(evalkit: Evalkit, mlflow: InMlflow) -> None:
    evalkit(*LOG)
    mlflow.client.delete_experiment(mlflow.experiment_id)
    logged = evalkit(*LOG)
    assert logged.code == 1
    assert "deleted" in logged.report["error"]
    assert evalkit(*PUSH).code in {0, 1}
    assert "Traceback" not in logged.err


# -- a pull never wipes ------------------------------------------------------------------------

KEPT = (
    "# by hand\nrun_id: x\nfeedback:\n  alpha: ''\nmlflow_feedback:  # kept\n"
    "- case_id: alpha\n  trace_id: tr-1\n  name: clear\n  value: true\n  rationale: ''\n"
    "  source: kim\n  time: '2026-01-01T00:00:00Z'\n"
)


def test_a_pull_after_the_traces_were_deleted_leaves_the_file_as_it_was(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    ids = [trace.info.trace_id for trace in mlflow.traces().values()]
    mlflow.tracing.delete_traces(experiment_id=mlflow.experiment_id, trace_ids=ids)
    project.review.write_text(KEPT)
    pulled = evalkit(*PULL)
    assert pulled.code == 0
    assert project.review.read_text() == KEPT
    assert "mlflow_feedback is left as it was" in pulled.err


def test_a_pull_of_a_run_that_was_never_logged_beside_one_that_was(
    project: EvalProject, evalkit: Evalkit
) -> None:
    evalkit(*LOG)
    other = project.root / "eval/runs/support/second"
    other.mkdir()
    (other / "summary.yaml").write_text("judges: {}\n")
    (other / "review.yaml").write_text(KEPT)
    assert evalkit("pull-feedback", "--run-id", "second").code == 0
    assert (other / "review.yaml").read_text() == KEPT


def test_a_pull_with_one_of_three_traces_gone_keeps_what_was_pulled_from_it(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    for case in ("alpha", "beta"):
        mlflow.say(case, "clear", True, who="kim")
    assert evalkit(*PULL).report["annotations"] == 2
    gone = mlflow.traces()["alpha"].info.trace_id
    mlflow.tracing.delete_traces(experiment_id=mlflow.experiment_id, trace_ids=[gone])
    evalkit(*PULL)
    kept = yaml.safe_load(project.review.read_text())["mlflow_feedback"]
    assert sorted(row["case_id"] for row in kept) == ["alpha", "beta"]


def test_a_pull_brings_back_that_people_took_their_words_back(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    evalkit(*LOG)
    said = mlflow.say("alpha", "clear", True, who="kim")
    assert evalkit(*PULL).report["annotations"] == 1
    mlflow.tracing.delete_assessment(said.trace_id, said.assessment_id)
    assert evalkit(*PULL).report["annotations"] == 0
    assert not yaml.safe_load(project.review.read_text())["mlflow_feedback"]


# -- numbers that a float cannot hold ----------------------------------------------------------


def test_a_large_number_is_text_from_a_person_and_below_zero_too(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    large = 2**53 + 1
    project.summarise({case: {"quality": score(-large)} for case in CASES})
    project.write(
        f"{project.run_dir}/review.yaml",
        {"reviewer": "kim", "verdicts": {"alpha": {"polite": large}, "beta": {"polite": 2**53}}},
    )
    assert evalkit(*LOG).code == 0
    pushed = evalkit(*PUSH)
    assert "alpha/quality" in pushed.err
    assert "alpha/polite" in pushed.err
    assert mlflow.values("alpha") == {"quality": str(-large), "polite": str(large)}
    assert mlflow.values("beta")["polite"] == 2**53
    before = str(mlflow.traces()["alpha"].info.assessments)
    evalkit(*PUSH)
    assert str(mlflow.traces()["alpha"].info.assessments) == before
    assert evalkit(*LOG).report["written"] is False


@pytest.mark.parametrize("value", ["1.0e+400", ".inf", "-.inf", ".nan", "1" + "0" * 400])
def test_a_score_beyond_any_float_is_said_and_an_unchanged_push_writes_nothing(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow, value: str
) -> None:
    project.write(
        project.summary,
        "judges: {quality: {mean: 4}}\nper_case:\n"
        + "".join(f"  {c}: {{quality: {{value: {value}, rationale: r}}}}\n" for c in CASES),
    )
    logged = evalkit(*LOG)
    assert logged.code == 0, logged.err
    before = str(mlflow.traces()["alpha"].info.assessments)
    assert evalkit(*PUSH).code == 0
    assert str(mlflow.traces()["alpha"].info.assessments) == before
    assert evalkit(*LOG).report["written"] is False


def test_a_figure_of_the_summary_beyond_any_float_stops_nothing(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    huge = 10**400
    project.write(
        project.summary,
        f"judges: {{quality: {{mean: {huge}}}, polite: {{mean: {2**53 + 1}}}}}\ntotal: {huge}\n",
    )
    logged = evalkit(*LOG)
    assert logged.code == 0, logged.err
    assert "Traceback" not in logged.err
    assert went(mlflow) == "unknown"


# -- ids as people write them ------------------------------------------------------------------

ODD = ("null", "~", "yes", "no", "1e3", "0x10", "2026-01-02", "1_000", "0o17", "012", "12", "1.0")


def odd_project(project: EvalProject) -> None:
    for case in CASES:
        project.remove(f"cases/{case}")
    project.unlog(*CASES)
    lines = []
    for case in ODD:
        project.add_case(case, f"ask {case}", "fine")
        project.log(case, log_of(case))
        lines.append(f"  {case}: {{quality: {{value: 4, rationale: about {case}}}}}\n")
    project.write(project.summary, "judges: {quality: {mean: 4}}\nper_case:\n" + "".join(lines))


def test_ids_that_yaml_takes_for_something_else_keep_scores_comments_and_verdicts(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    odd_project(project)
    comments = "".join(f"  {case}: about {case}\n" for case in ODD)
    verdicts = "".join(f"  {case}: {{quality: {n}}}\n" for n, case in enumerate(ODD))
    project.review.write_text(f"reviewer: kim\nfeedback:\n{comments}verdicts:\n{verdicts}")
    assert evalkit(*LOG).report["traces"] == len(ODD)
    pushed = evalkit(*PUSH)
    assert pushed.report["unmatched"] == 0
    for number, (case, trace) in enumerate((c, mlflow.traces()[c]) for c in ODD):
        human = {
            a.name: (a.value, a.rationale)
            for a in trace.info.assessments
            if a.source.source_type == "HUMAN"
        }
        assert human["human_review"] == (False, f"about {case}")
        assert human["quality"][0] == number


def test_ids_survive_a_pull_and_are_read_back_as_they_were_pulled(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    odd_project(project)
    evalkit(*LOG)
    for case in ODD:
        mlflow.say(case, "clear", True, who="kim")
    assert evalkit(*PULL).report["annotations"] == len(ODD)
    rows = yaml.safe_load(project.review.read_text())["mlflow_feedback"]
    assert sorted(row["case_id"] for row in rows) == sorted(ODD)
    before = project.review.read_text()
    evalkit(*PULL)
    assert project.review.read_text() == before


def test_per_case_results_by_odd_ids_are_those_cases_figures(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    odd_project(project)
    per_case = {case: {"exit_code": 1, "duration_s": 5} for case in ("012", "1.0")}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "per_case": per_case})
    evalkit(*LOG)
    failed = {name for name, t in mlflow.traces().items() if t.info.state == "ERROR"}
    assert failed == {"012", "1.0"}


# -- the same key twice ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("tmp/schema_mapping.json", '{"inputs": {\n "a": "x:y",\n "a": "x:z"}}', "23"),
        ("cases/alpha/expected.yaml", "outcome: a\noutcome: b\n", "12"),
        ("cases/alpha/input.yaml", 'prompt: {deep: {x: 1,\n  "x": 2}}\n', "12"),
        ("cases/alpha/input.json", '{"prompt": 1,\n"prompt": 2}', "12"),
        ("RUN/review.yaml", "feedback: {alpha: a,\n  'alpha': b}\n", "12"),
        ("RUN/review.yaml", "verdicts:\n  '001': {a: 1}\n  001: {a: 2}\n", "23"),
        ("RUN/run_result.json", '{"per_case": {"alpha": {"exit_code": 0,\n"exit_code": 1}}}', "12"),
        ("RUN/run_result.json", '{"a": "\\ud83d\\ude00\\\\ud83d",\n\t"a": 1}', "12"),
        ("base.yaml", "name: support\nname: other\n", "12"),
    ],
)
def test_the_same_key_twice_is_refused_in_every_file(
    project: EvalProject, evalkit: Evalkit, path: str, text: str, lines: str
) -> None:
    if path == "tmp/schema_mapping.json" or path.startswith("cases"):
        stages = [("sync-dataset",)]
    elif "review" in path:
        evalkit(*LOG)
        stages = [PUSH, PULL]
    else:
        stages = [LOG]
    if path == "base.yaml":
        config = project.read("eval.yaml")
        project.write("eval.yaml", "extends: base.yaml\n" + config)
    target = path.replace("RUN", project.run_dir)
    if path.endswith("input.json"):
        project.remove("cases/alpha/input.yaml")
        project.write(
            "tmp/schema_mapping.json",
            {"inputs": {"prompt": "input.json:prompt"}, "expectations": {}},
        )
    project.write(target, text)
    for stage in stages:
        refused = evalkit(*stage)
        assert refused.code == 2, (stage, refused.out, refused.err)
        told = json.dumps(refused.report["problems"])
        assert target.rsplit("/", 1)[-1] in told
        assert all(f"line {n}" in told or f'"line": {n}' in told for n in lines), told


@pytest.mark.parametrize("text", ['{"exit_code": 0,\n"exit_code": 1}', '{"exit_co'])
def test_what_a_kill_left_of_one_cases_figures_is_named_and_the_run_is_logged(
    project: EvalProject, evalkit: Evalkit, text: str
) -> None:
    project.write(f"{project.run_dir}/cases/alpha/run_result.json", text)
    logged = evalkit(*LOG)
    assert logged.code == 0
    assert "run_result.json of alpha is not read" in logged.err


# -- merge keys --------------------------------------------------------------------------------


def test_merge_keys_of_several_maps_are_read_as_yaml_has_them(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    text = project.read("eval.yaml").split("mlflow:")[0]
    project.write(
        "eval.yaml",
        "x-a: &a {team: a, site: one}\nx-b: &b {<<: *a, team: b, floor: '2'}\n"
        + text
        + "mlflow:\n  tags:\n    site: two\n    <<: [*a, *b]\n",
    )
    assert evalkit("check").code == 0
    evalkit(*LOG)
    tags = mlflow.run().data.tags
    assert (tags["team"], tags["site"], tags["floor"]) == ("a", "two", "2")


def test_merge_keys_in_a_summary_and_a_case_and_a_review_hold(
    project: EvalProject, evalkit: Evalkit, mlflow: InMlflow
) -> None:
    project.write("cases/alpha/input.yaml", "x: &x {prompt: old}\n<<: *x\nprompt: new\n")
    project.write(
        project.summary,
        "judges: {quality: {mean: 4}}\nper_case:\n"
        "  alpha: {quality: &q {value: 4, rationale: fine}}\n"
        "  beta: {quality: {<<: *q, value: 5}}\n"
        "  gamma: {quality: {value: 3, <<: *q}}\n",
    )
    project.review.write_text(
        "reviewer: kim\nx: &x {alpha: old, beta: same}\nfeedback:\n  <<: *x\n  alpha: new\n"
    )
    assert evalkit("sync-dataset").code == 0
    assert mlflow.rows()[0]["inputs"] == {"prompt": "new"}
    assert evalkit(*LOG).code == 0
    assert evalkit(*PUSH).code == 0
    assert [mlflow.values(case)["quality"] for case in CASES] == [4, 5, 3]
    assert mlflow.feedback("alpha")["human_review"].rationale == "new"
    assert mlflow.feedback("beta")["human_review"].rationale == "same"
    mlflow.say("gamma", "clear", True, who="lee")
    assert evalkit(*PULL).report["annotations"] == 1
    kept = yaml.safe_load(project.review.read_text())
    assert kept["feedback"] == {"alpha": "new", "beta": "same"}


def test_a_key_twice_beside_a_merge_is_still_refused(
    project: EvalProject, evalkit: Evalkit
) -> None:
    text = project.read("eval.yaml").split("mlflow:")[0]
    project.write(
        "eval.yaml",
        "x: &x {team: a}\n" + text + "mlflow: {tags: {<<: *x, team: b, team: c}}\n",
    )
    assert evalkit("check").code == 2
