"""Runs, cases and configs are found where agent-eval-harness puts them, and nowhere else."""

import json

import pytest

CASE = "name: {name}\ndataset: {{path: cases, schema: 'input.yaml: prompt'}}\njudges: []\n"
SUMMARY = "judges: {ok: {mean: 1.0}}\nper_case: {one: {ok: {value: true}}}\n"


def make(project, config, text, run=""):
    """Only this config, with one case beside it and one run."""
    if (project.root / "eval.yaml").exists():
        for place in ("eval.yaml", "eval", "cases", "tmp"):
            project.remove(place)
    project.write(config, text)
    folder = config.rpartition("/")[0]
    project.write(f"{folder}/cases/one/input.yaml".lstrip("/"), "prompt: hello\n")
    if run:
        project.write(f"{run}/r1/summary.yaml", SUMMARY)


@pytest.mark.parametrize(
    ("config", "text", "run"),
    [
        ("eval.yaml", "name: My Quiz Eval\n", "eval/runs/my-quiz-eval"),
        ("eval.yaml", "name: My Quiz Eval\n", "eval/runs/My Quiz Eval"),
        ("eval.yaml", "name: Quiz (new)\n", "eval/runs/quiz-new"),
        ("eval.yaml", "name: quiz\nskill: asker\n", "eval/runs/asker"),
        ("eval.yaml", "name: quiz\nexecution: {skill: asker}\n", "eval/runs/asker"),
        ("eval.yaml", "execution: {prompt: hi}\n", "eval/runs/eval"),
        ("eval.yaml", "name: quiz\n", "eval/runs"),
        ("eval/eval.yaml", "name: quiz\n", "eval/runs/quiz"),
        ("eval/quiz/eval.yaml", "description: none\n", "eval/runs/quiz"),
        ("eval/quiz/eval.yaml", "name: other\n", "eval/runs/quiz"),
        ("eval/quiz.yaml", "description: none\n", "eval/runs/quiz"),
        ("sub/eval.yaml", "name: quiz\n", "sub/eval/runs/quiz"),
    ],
)
def test_a_run_is_found_without_any_flag(evalkit, project, config, text, run):
    text += "dataset: {path: cases, schema: 'input.yaml: prompt'}\njudges: []\n"
    make(project, config, text, run)
    report = evalkit("check", "--config", config).report
    assert (report["runs"], report["run_ids"], report["cases"]) == (1, ["r1"], 1)


def test_the_folder_of_the_skill_wins_over_that_of_the_name(evalkit, project):
    make(project, "eval.yaml", CASE.format(name="quiz\nskill: asker"), "eval/runs/asker")
    project.write("eval/runs/quiz/r1/summary.yaml", SUMMARY.replace("1.0", "0.0"))
    done = evalkit("log-results", "--run-id", "r1")
    assert (done.code, done.report["table_rows"]) == (0, 1)
    assert "eval/runs/quiz/r1" not in done.err


def test_a_run_that_is_not_there_names_every_place_looked_at(evalkit, project):
    make(project, "eval/quiz/eval.yaml", CASE.format(name="Big Quiz"))
    done = evalkit("log-results", "--config", "eval/quiz/eval.yaml", "--run-id", "r9")
    assert done.code == 2
    for place in ("Big Quiz/r9", "big-quiz/r9", "quiz/r9", "r9"):
        assert f"eval/runs/{place}" in done.err


def test_the_environment_names_the_runs_folder(evalkit, project, tmp_path, monkeypatch):
    make(project, "eval.yaml", CASE.format(name="quiz"), "eval/runs/quiz")
    (tmp_path / "elsewhere/quiz/r7").mkdir(parents=True)
    (tmp_path / "elsewhere/quiz/r7/summary.yaml").write_text(SUMMARY)
    monkeypatch.setenv("AGENT_EVAL_RUNS_DIR", str(tmp_path / "elsewhere"))
    assert evalkit("check").report["run_ids"] == ["r7"]


@pytest.mark.parametrize("stage", ["check", "map", "sync-dataset"])
def test_cases_are_never_taken_from_a_project_further_up(evalkit, project, monkeypatch, stage):
    make(project, "vendor/inner/eval.yaml", CASE.format(name="inner").replace("cases", "eval/data"))
    project.write("eval/data/other/input.yaml", "prompt: belongs to the outer project\n")
    monkeypatch.chdir(project.root / "vendor/inner")
    done = evalkit(stage)
    assert done.code == 2
    assert "there is no folder" in json.dumps(done.report)
    assert str(project.root / "vendor/inner/eval/data") in json.dumps(done.report)


OWN = CASE.format(name="quiz")
PROFILE = "extends: ../eval.yaml\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"eval/quiz/eval.yaml": OWN}, "eval/quiz/eval.yaml"),
        ({"eval/quiz.yaml": OWN}, "eval/quiz.yaml"),
        ({"eval/eval.yaml": OWN}, "eval/eval.yaml"),
        ({"eval/quiz.yaml": OWN, "eval/fast.yaml": PROFILE}, "eval/quiz.yaml"),
        ({"eval/quiz.yaml": OWN, "eval/settings.yaml": "retries: 3\n"}, "eval/quiz.yaml"),
        ({"eval/quiz.yaml": OWN, "eval/promptfoo.yaml": "prompts: [a]\ntests: []\n"}, None),
        ({"eval.yaml": OWN, "eval/quiz/eval.yaml": OWN}, "eval.yaml"),
    ],
)
def test_without_a_config_the_one_that_there_is_is_taken(evalkit, project, files, found):
    for place in ("eval.yaml", "eval"):
        project.remove(place)
    for name, text in files.items():
        project.write(name, text)
    found = found or "eval/quiz.yaml"
    assert evalkit("check").report["config"] == found


def test_of_several_configs_none_is_guessed(evalkit, project):
    for place in ("eval.yaml", "eval"):
        project.remove(place)
    for name in ("eval/a/eval.yaml", "eval/b.yaml"):
        project.write(name, OWN)
    for stage in ("check", "map", "sync-dataset"):
        done = evalkit(stage)
        assert done.code == 2
        assert "eval/a/eval.yaml, eval/b.yaml" in json.dumps(done.report)
        assert "--config" in json.dumps(done.report)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: w\ntasks:\n  - {id: a, checks: [{type: exit_code}]}\n", "(`tasks:`, `checks:`)"),
        ("providers: [a]\nprompts: [b]\ntests: []\n", "promptfoo"),
        ("skill: x\nversion: '1'\ngraders: []\ntasks: [tasks/*.yaml]\n", "`graders:`"),
        ("task: arc\ndoc_to_text: x\nmetric_list: []\n", "lm-evaluation-harness"),
        ('{"skill_name": "x", "evals": [{"id": 1}]}\n', "skill-creator"),
    ],
)
def test_another_tools_config_is_named_by_every_stage_alike(evalkit, project, text, told):
    project.write("eval.yaml", text)
    for stage in ("check", "map", "sync-dataset"):
        done = evalkit(stage)
        assert (done.code, done.report["problems"][0]["file"]) == (2, "eval.yaml")
        assert told in done.report["problems"][0]["message"]
    for stage in ("log-results", "push-feedback", "pull-feedback", "all"):
        done = evalkit(stage, "--run-id", "r1")
        assert done.code == 2
        assert told in done.err


BASE = """name: nine
execution:
  skill: nine
  steps: [{id: one, prompt: a}, {id: two, prompt: b}]
mlflow: {experiment: nine, tags: {team: blue}}
dataset: {path: cases, schema: "input.yaml: prompt"}
models: {skill: large, judge: large}
judges:
  - {name: first, check: "1"}
  - {name: second, prompt: x, score_range: [1, 5]}
thresholds: {first: {min_mean: 0.5}}
"""


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("models: {skill: small}\n", {"models": {"skill": "small", "judge": "large"}}),
        ("mlflow: {experiment: other}\n", {"experiment": "other", "tags": {"team": "blue"}}),
        ("judges:\n  - {name: second, score_range: !replace [0, 1]}\n", {"range": (0.0, 1.0)}),
        ("judges:\n  - {name: third, check: '2'}\n", {"judges": ["first", "second", "third"]}),
        ("judges: !replace [{name: only, check: '2'}]\nthresholds: {}\n", {"judges": ["only"]}),
        ("thresholds: {second: {min_mean: 3}}\n", {"bars": ["first", "second"]}),
    ],
)
def test_a_profile_is_laid_over_the_config_that_it_extends(project, monkeypatch, profile, expected):
    from evalkit import Workspace

    monkeypatch.chdir(project.root)
    project.write("eval.yaml", BASE)
    project.write("eval-profiles/p.yaml", "extends: ../eval.yaml\n" + profile)
    files = Workspace.open("eval-profiles/p.yaml").files
    found = files.project
    assert files.cases_dir.resolve() == project.root / "cases"
    said = {
        "models": dict(found.models),
        "experiment": found.experiment,
        "tags": dict(found.tags),
        "judges": [judge.name for judge in found.judges],
        "range": found.judges[-1].score_range,
        "bars": sorted(found.thresholds),
    }
    assert {key: said[key] for key in expected} == expected


def test_profiles_chain_and_a_problem_names_the_file_that_holds_it(evalkit, project):
    project.write("eval.yaml", BASE)
    project.write("eval-profiles/a.yaml", "extends: ../eval.yaml\nmodels: {skill: small}\n")
    project.write(
        "eval-profiles/b.yaml", "extends: a.yaml\n\nexecution: {mode: sideways}\njudges: []\n"
    )
    done = evalkit("check", "--config", "eval-profiles/b.yaml")
    (problem,) = done.report["problems"]
    assert (problem["file"], problem["line"]) == ("eval-profiles/b.yaml", 3)
    project.write("eval-profiles/b.yaml", "extends: a.yaml\n")
    project.write("eval.yaml", BASE.replace("[1, 5]", "high"))
    (problem,) = evalkit("check", "--config", "eval-profiles/b.yaml").report["problems"]
    assert (problem["file"], problem["line"]) == ("eval.yaml", 10)


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        ("nowhere.yaml", "there is no file eval-profiles/nowhere.yaml"),
        ("p.yaml", "extends itself"),
        ("/etc/passwd", "relative to this file"),
        ("[a]", "relative to this file"),
        ("list.yaml", "not a mapping of keys"),
    ],
)
def test_a_profile_that_extends_nothing_usable_says_so(evalkit, project, extends, told):
    project.write("eval-profiles/list.yaml", "- a\n")
    project.write("eval-profiles/p.yaml", f"extends: {extends}\n")
    done = evalkit("map", "--config", "eval-profiles/p.yaml")
    assert done.code == 2
    assert told in done.err


def test_a_profiles_run_lies_where_the_one_of_its_base_does(evalkit, project):
    project.configure(name="", skill="")
    project.write("eval/runs/eval/r5/summary.yaml", SUMMARY)
    project.write("profiles/fast.yaml", "extends: ../eval.yaml\nmodels: {skill: small}\n")
    assert "r5" in evalkit("check", "--config", "profiles/fast.yaml").report["run_ids"]
