"""Projects as strangers lay them out: where configs, runs, cases and mappings are found."""

from __future__ import annotations

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


# -- other tools' configs --------------------------------------------------------------------------


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
