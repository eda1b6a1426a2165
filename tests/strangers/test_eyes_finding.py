"""Projects as strangers lay them out: where configs, runs, cases and mappings are found."""

from __future__ import annotations

import json
import os

import pytest
from eval_project import log_of, scores_of


def config(path, project, **keys):
    usual = {"dataset": {"path": "cases", "schema": "input.yaml holds the prompt"}, "judges": []}
    project.write(path, {key: value for key, value in {**usual, **keys}.items() if value})


def run_at(project, folder):
    project.write(f"{folder}/summary.yaml", {"judges": {}, "per_case": {"alpha": scores_of("a")}})
    project.write(f"{folder}/run_result.json", {"execution_mode": "case"})
    project.write(f"{folder}/cases/alpha/stdout.log", log_of("alpha"))


@pytest.fixture
def bare(project):
    """The project's cases only: no config, runs or mapping."""
    for path in ("eval.yaml", "eval", "tmp"):
        project.remove(path)
    return project


# -- runs and configs are found --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "keys", "run"),
    [
        ("eval/quiz/eval.yaml", {"name": "Quiz No. 3", "skill": "trivia"}, "eval/runs/trivia/r1"),
        ("eval/quiz/eval.yaml", {"name": "Quiz No. 3"}, "eval/runs/quiz/r1"),
        ("eval/quiz/eval.yaml", {"name": "Quiz No. 3"}, "eval/runs/Quiz No. 3/r1"),
        ("eval/quiz/eval.yaml", {"name": "Quiz No. 3"}, "eval/quiz/eval/runs/quiz-no.-3/r1"),
        ("quiz.yaml", {"skill": "shop:trivia"}, "eval/runs/quiz/r1"),
        ("eval/eval.yaml", {"execution": {"skill": "trivia"}}, "eval/runs/trivia/r1"),
        ("tools/evals/eval.yaml", {"name": "quiz"}, "eval/runs/r1"),
    ],
)
def test_a_run_is_found_in_each_place_that_the_harness_may_put_it(bare, evalkit, place, keys, run):
    config(place, bare, **{"name": None, **keys})
    run_at(bare, run)
    assert evalkit("check", "--config", place).report["runs"] == 1
    logged = evalkit("log-results", "--config", place, "--run-id", "r1")
    assert (logged.code, logged.report["traces"]) == (0, 1)


def test_runs_in_several_places_are_all_counted_and_each_is_found(bare, evalkit, monkeypatch):
    config("configs/tides.yaml", bare, name="tides", skill="sea")
    for number, folder in enumerate(("eval/runs/tides", "eval/runs/sea", "configs/eval/runs/sea")):
        run_at(bare, f"{folder}/r{number}")
    asked = ("--config", "configs/tides.yaml")
    assert evalkit("check", *asked).report["runs"] == 3
    for number in range(3):
        assert evalkit("log-results", *asked, "--run-id", f"r{number}").code == 0
    monkeypatch.setenv("AGENT_EVAL_RUNS_DIR", str(bare.root / "configs/eval/runs"))
    assert evalkit("check", *asked).report["runs"] == 1


def test_a_run_that_is_nowhere_is_missed_with_every_place(bare, evalkit):
    config("eval/tides.yaml", bare, name="Low Tides", skill="sea")
    missed = evalkit("log-results", "--config", "eval/tides.yaml", "--run-id", "r1")
    assert missed.code == 2
    for place in ("eval/runs/sea/r1", "eval/runs/Low Tides/r1", "eval/runs/low-tides/r1"):
        assert place in missed.err


def test_runs_are_found_from_the_config_s_own_folder(bare, evalkit, monkeypatch):
    config("eval/eval.yaml", bare, name="tides", skill="sea", dataset={"path": "../cases"})
    run_at(bare, "eval/runs/sea/r1")
    monkeypatch.chdir(bare.root / "eval")
    assert evalkit("check").report["runs"] == 1
    assert evalkit("log-results", "--run-id", "r1").code == 0


def test_runs_dir_may_be_given_as_the_folder_that_holds_the_runs(bare, evalkit):
    config("eval.yaml", bare, name="tides", skill="sea")
    run_at(bare, "results/sea/r1")
    for folder in ("results", "results/sea", str(bare.root / "results")):
        assert evalkit("check", "--runs-dir", folder).report["runs"] == 1


# -- another project's cases -----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["check", "map", "sync-dataset"])
def test_cases_of_a_project_further_up_or_beside_are_never_taken(bare, evalkit, monkeypatch, stage):
    config("apps/quiz/eval.yaml", bare, name="quiz", dataset={"path": "./cases/"})
    config("apps/eval.yaml", bare, name="other")
    bare.write("apps/cases/x/input.yaml", {"prompt": "of another"})
    monkeypatch.chdir(bare.root / "apps/quiz")
    done = evalkit(stage)
    assert done.code == 2
    assert "there is no folder" in done.err
    assert str(bare.root / "apps/quiz/cases") in done.err


def test_a_file_in_the_place_of_the_cases_is_no_folder(bare, evalkit):
    bare.remove("cases")
    bare.write("cases", "a file")
    config("eval.yaml", bare, name="quiz")
    done = evalkit("map")
    assert done.code == 2
    assert "there is no folder" in done.err


def test_cases_of_the_working_directory_are_taken_with_a_word(bare, evalkit):
    config("eval/quiz/eval.yaml", bare, name="quiz")
    done = evalkit("map", "--config", "eval/quiz/eval.yaml")
    assert done.code == 0
    assert "the cases are taken from cases" in done.err


# -- one mapping each ------------------------------------------------------------------------------


def two_evals(bare, names):
    for folder, name, field in zip(("eval/a", "eval/b"), names, ("kind", "care"), strict=True):
        bare.write(f"{folder}/cases/x/input.yaml", {"prompt": f"of {folder}"})
        bare.write(f"{folder}/cases/x/annotations.yaml", {f"expected_{field}": folder})
        schema = "input.yaml: prompt, what is asked. annotations.yaml: what is expected."
        config(f"{folder}/eval.yaml", bare, name=name, dataset={"path": "cases", "schema": schema})


@pytest.mark.parametrize("names", [("quiz", "quiz"), ("Quiz!", "quiz?"), (None, None)])
def test_two_evals_of_alike_names_do_not_share_a_mapping_in_silence(bare, evalkit, names):
    two_evals(bare, names)
    assert evalkit("map", "--config", "eval/a/eval.yaml").code == 0
    evalkit("map", "--config", "eval/b/eval.yaml")
    done = evalkit("sync-dataset", "--config", "eval/b/eval.yaml", "--dry-run")
    written = "".join(p.read_text("utf-8") for p in (bare.root / "tmp").glob("*.json"))
    assert done.code == 2 or "expected_care" in written


def test_a_profile_has_a_mapping_that_reads_its_base_s_cases(bare, evalkit):
    two_evals(bare, ("sort", "care"))
    bare.write("eval/b/fast.yaml", {"extends": "eval.yaml", "models": {"skill": "small"}})
    assert evalkit("map", "--config", "eval/a/eval.yaml").code == 0
    assert evalkit("sync-dataset", "--config", "eval/b/fast.yaml", "--dry-run").code == 2
    assert evalkit("map", "--config", "eval/b/fast.yaml").code == 0
    assert evalkit("sync-dataset", "--config", "eval/b/eval.yaml", "--dry-run").code == 0


def test_a_mapping_that_is_named_outright_is_taken_with_a_word(bare, evalkit):
    two_evals(bare, ("sort", "care"))
    made = evalkit("map", "--config", "eval/b/eval.yaml").report["file"]
    bare.write("eval/a/cases/x/annotations.yaml", {"expected_care": "shared"})
    asked = ("--config", "eval/a/eval.yaml", "--mapping", made, "--dry-run")
    done = evalkit("sync-dataset", *asked)
    assert done.code == 0
    assert "'care'" in done.err


# -- other tools' configs --------------------------------------------------------------------------

FOREIGN = {
    "promptfoo": {
        "description": "x",
        "prompts": ["Say {{a}}"],
        "providers": ["openai:gpt-4"],
        "tests": [{"vars": {"a": 1}, "assert": [{"type": "equals", "value": "1"}]}],
    },
    "plugin eval": {
        "schema_version": "1.1",
        "name": "x",
        "execution": {"max_turns": 3},
        "graders": [{"type": "regex", "pattern": "x"}],
    },
    "a task runner": {"name": "x", "tasks": [{"id": "a", "checks": []}]},
    "lm-eval": {"task": "arc", "dataset_path": "ai2_arc", "doc_to_text": "{{question}}"},
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("place", ["eval.yaml", "eval/eval.yaml"])
def test_every_stage_says_the_same_of_another_tool_s_config(bare, evalkit, kind, place):
    bare.write(place, FOREIGN[kind])
    told = set()
    for stage in ("check", "map", "sync-dataset", "log-results", "push-feedback"):
        run = ("--run-id", "r1") if stage in {"log-results", "push-feedback"} else ()
        done = evalkit(stage, *run)
        assert done.code == 2, (stage, done.err)
        told.add(json.dumps([p["message"] for p in done.report["problems"]]))
    assert len(told) == 1, told
    assert "looks like a config of" in told.pop()


# -- links and dots in cases -----------------------------------------------------------------------


def test_a_case_that_is_a_link_to_a_case_of_the_same_repository_is_read(
    bare, evalkit, tmp_path, monkeypatch
):
    (tmp_path / ".git").mkdir(exist_ok=True)
    place = bare.root / "suite/cases"
    place.mkdir(parents=True)
    for case in ("alpha", "beta"):
        (place / case).symlink_to(os.path.relpath(bare.root / "cases" / case, place))
    config("suite/eval.yaml", bare, name="suite")
    monkeypatch.chdir(bare.root / "suite")
    assert evalkit("map").code == 0
    assert evalkit("sync-dataset").report["created"] == 2


def test_a_link_to_nothing_and_links_in_a_circle_are_named_and_the_rest_goes_on(bare, evalkit):
    config("eval.yaml", bare, name="suite")
    (bare.root / "cases/alpha/gone.md").symlink_to("not-there.md")
    (bare.root / "cases/beta/up").symlink_to("..")
    (bare.root / "cases/gamma/one.md").symlink_to("two.md")
    (bare.root / "cases/gamma/two.md").symlink_to("one.md")
    done = evalkit("map")
    assert done.code == 0
    for name in ("alpha/gone.md", "beta/up", "gamma/one.md"):
        assert name in done.err
    assert evalkit("sync-dataset").report["created"] == 3


@pytest.mark.parametrize("place", ["v1.2/input.yaml", ".agent/.state.d/ask.json", ".prompt.yaml"])
def test_dotted_folders_and_files_of_a_case_are_read(bare, evalkit, place):
    for case in ("alpha", "beta", "gamma"):
        bare.write(f"cases/{case}/{place}", {"wish": f"a wish of {case}"})
        bare.remove(f"cases/{case}/input.yaml")
    schema = f"{place}: wish, what the skill is asked"
    config("eval.yaml", bare, name="suite", dataset={"path": "cases", "schema": schema})
    done = evalkit("map")
    assert done.code == 0, done.err
    assert done.report["inputs"] == {"wish": f"{place}:wish"}
    assert evalkit("sync-dataset").report["created"] == 3


def test_case_folders_with_dots_in_their_names_are_cases(bare, evalkit):
    config("eval.yaml", bare, name="suite")
    bare.write("cases/login-v1.2.yaml/input.yaml", {"prompt": "log in"})
    assert evalkit("map").code == 0
    assert evalkit("sync-dataset").report["created"] == 4
