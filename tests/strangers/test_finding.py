"""Configs, runs, cases and mappings are found where people put them, and nowhere else."""

import json

import pytest

from evalkit import Workspace

SCHEMA = "dataset: {path: cases, schema: 'input.yaml: prompt'}\njudges: []\n"
OWN = f"name: quiz\n{SCHEMA}"
SUMMARY = "judges: {ok: {mean: 1.0}}\nper_case: {one: {ok: {value: true}}}\n"


@pytest.fixture
def bare(project):
    """The project without config, cases, runs and mapping."""
    for place in ("eval.yaml", "eval", "cases", "tmp"):
        project.remove(place)
    return project


def make(project, config, text, run):
    """This config, with one case beside it and one run."""
    project.write(config, text)
    folder = config.rpartition("/")[0]
    project.write(f"{folder}/cases/one/input.yaml".lstrip("/"), "prompt: hello\n")
    project.write(f"{run}/r1/summary.yaml", SUMMARY)


# -- runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "text", "run"),
    [
        ("eval.yaml", "name: My Quiz Eval\n", "eval/runs/my-quiz-eval"),
        ("eval.yaml", "name: My Quiz Eval\n", "eval/runs/My Quiz Eval"),
        ("eval.yaml", "name: Quiz (new)\n", "eval/runs/quiz-new"),
        ("eval.yaml", "name: quiz\nskill: asker\n", "eval/runs/asker"),
        ("eval.yaml", "execution: {prompt: hi}\n", "eval/runs/eval"),
        ("eval.yaml", "name: quiz\n", "eval/runs"),
        ("eval/eval.yaml", "name: quiz\n", "eval/runs/quiz"),
        ("eval/quiz/eval.yaml", "description: none\n", "eval/runs/quiz"),
        ("eval/quiz/eval.yaml", "name: other\n", "eval/runs/quiz"),
        ("sub/eval.yaml", "name: quiz\n", "sub/eval/runs/quiz"),
    ],
)
def test_a_run_is_found_without_any_flag(evalkit, bare, config, text, run):
    make(bare, config, text + SCHEMA, run)
    report = evalkit("check", "--config", config).report
    assert (report["runs"], report["run_ids"], report["cases"]) == (1, ["r1"], 1)


def test_runs_are_found_from_the_configs_own_folder_and_where_a_person_says(
    evalkit, bare, tmp_path, monkeypatch
):
    """The folder of the skill wins over that of the name; else every place is named."""
    make(bare, "eval/eval.yaml", f"skill: asker\n{OWN}", "eval/runs/asker")
    bare.write("eval/runs/quiz/r1/summary.yaml", "judges: [\n")
    bare.write("results/asker/r2/summary.yaml", SUMMARY)
    config = ("--config", "eval/eval.yaml")
    for folder in ("results", "results/asker", str(bare.root / "results")):
        assert evalkit("check", *config, "--runs-dir", folder).report["run_ids"] == ["r2"]
    (tmp_path / "elsewhere/quiz/r7").mkdir(parents=True)
    (tmp_path / "elsewhere/quiz/r7/summary.yaml").write_text(SUMMARY)
    monkeypatch.setenv("AGENT_EVAL_RUNS_DIR", str(tmp_path / "elsewhere"))
    assert evalkit("check", *config).report["run_ids"] == ["r7"]
    monkeypatch.delenv("AGENT_EVAL_RUNS_DIR")
    monkeypatch.chdir(bare.root / "eval")
    done = evalkit("log-results", "--run-id", "r1")
    assert (done.code, done.report["table_rows"]) == (0, 1)
    done = evalkit("log-results", "--run-id", "r9")
    assert done.code == 2
    for place in ("asker/r9", "quiz/r9", "runs/r9"):
        assert place in done.err


# -- configs and cases ------------------------------------------------------------------------


def test_cases_are_never_taken_from_a_project_further_up(evalkit, bare, monkeypatch):
    bare.write("vendor/inner/eval.yaml", OWN.replace("cases", "eval/data"))
    bare.write("eval/data/other/input.yaml", "prompt: belongs to the outer project\n")
    monkeypatch.chdir(bare.root / "vendor/inner")
    done = evalkit("sync-dataset")
    assert (done.code, "there is no folder" in done.err) == (2, True)
    assert str(bare.root / "vendor/inner/eval/data") in done.err
    monkeypatch.chdir(bare.root)
    bare.write("vendor/inner/eval.yaml", OWN.replace("cases", "eval/data"))
    report = evalkit("check", "--config", "vendor/inner/eval.yaml").report
    assert report["notes"] == ["the cases are taken from eval/data of the working directory"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"eval/quiz/eval.yaml": OWN}, "eval/quiz/eval.yaml"),
        ({"eval/eval.yaml": OWN}, "eval/eval.yaml"),
        ({"eval/quiz.yaml": OWN}, "eval/quiz.yaml"),
        ({"eval/quiz.yaml": OWN, "eval/fast.yaml": "extends: quiz.yaml\n"}, "eval/quiz.yaml"),
        ({"eval/quiz.yaml": OWN, "eval/foo.yaml": "prompts: [a]\ntests: []\n"}, "eval/quiz.yaml"),
        ({"eval.yaml": OWN, "eval/quiz/eval.yaml": OWN}, "eval.yaml"),
        ({"eval/a/eval.yaml": OWN, "eval/b.yaml": OWN}, None),
    ],
)
def test_without_a_config_the_one_that_there_is_is_taken_and_none_is_guessed(
    evalkit, bare, files, found
):
    for name, text in files.items():
        bare.write(name, text)
    if found:
        assert evalkit("check").report["config"] == found
        return
    done = evalkit("map")
    assert done.code == 2
    assert "eval/a/eval.yaml, eval/b.yaml" in done.err
    assert "--config" in done.report["problems"][0]["fix"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: w\ntasks:\n  - {id: a, checks: [{type: exit_code}]}\n", "(`tasks:`, `checks:`)"),
        ("providers: [a]\nprompts: [b]\ntests: []\n", "(`tests:`, `prompts:`, `providers:`)"),
        ("skill: x\nversion: '1'\ngraders: []\ntasks: [tasks/*.yaml]\n", "`graders:`"),
        ("task: arc\ndoc_to_text: x\nmetric_list: []\n", "`doc_to_text:`"),
        ('{"skill_name": "x", "evals": [{"id": 1}]}\n', "`evals:`"),
    ],
)
def test_another_tools_config_is_named(evalkit, project, text, told):
    project.write("eval.yaml", text)
    for stage in (["check"], ["all", "--run-id", "r1"]):
        done = evalkit(*stage)
        assert (done.code, told in done.err) == (2, True)


# -- profiles ---------------------------------------------------------------------------------

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


def test_profiles_chain_share_runs_and_mapping_and_a_problem_names_its_file(evalkit, project):
    project.write("eval.yaml", BASE)
    project.write("eval-profiles/a.yaml", "extends: ../eval.yaml\nmodels: {skill: small}\n")
    top, config = "eval-profiles/b.yaml", ("--config", "eval-profiles/b.yaml")
    project.write(top, "extends: a.yaml\n\nexecution: {mode: sideways}\njudges: []\n")
    (problem,) = evalkit("check", *config).report["problems"]
    assert (problem["file"], problem["line"]) == (top, 3)
    project.write(top, "extends: a.yaml\n")
    project.write("eval.yaml", BASE.replace("[1, 5]", "high"))
    (problem,) = evalkit("check", *config).report["problems"]
    assert (problem["file"], problem["line"]) == ("eval.yaml", 10)
    project.configure(name="", skill="")
    project.write("eval/runs/eval/r5/summary.yaml", SUMMARY)
    done = evalkit("sync-dataset", *config)
    assert (done.code, done.report["created"]) == (0, 3)
    assert "r5" in evalkit("check", *config).report["run_ids"]


def test_a_profile_that_extends_nothing_usable_says_so(evalkit, project):
    project.write("eval-profiles/list.yaml", "- a\n")
    for extends, told in (
        ("nowhere.yaml", "there is no file eval-profiles/nowhere.yaml"),
        ("p.yaml", "extends itself"),
        ("/etc/passwd", "relative to this file"),
        ("[a]", "relative to this file"),
        ("list.yaml", "not a mapping of keys"),
    ):
        project.write("eval-profiles/p.yaml", f"extends: {extends}\n")
        done = evalkit("map", "--config", "eval-profiles/p.yaml")
        assert (done.code, told in done.err) == (2, True), done.err


# -- each config has its own mapping ----------------------------------------------------------


@pytest.fixture
def two(bare):
    """Two configs beside each other, whose cases look alike."""
    for name in ("sort", "care"):
        bare.write(f"eval-{name}.yaml", f"name: {name}\n{SCHEMA.replace('cases', name)}")
        bare.write(f"{name}/a/input.yaml", f"prompt: {name} this leaf\n")
    bare.write("eval.yaml", f"name: support\n{SCHEMA.replace('cases', 'sort')}")
    bare.write("sort/a/annotations.yaml", "expected_kind: oak\n")
    bare.write("care/a/annotations.yaml", "expected_kind: fern\nexpected_care: water\n")
    return bare


SORT, CARE = ("--config", "eval-sort.yaml"), ("--config", "eval-care.yaml")


def test_two_configs_have_two_mappings_and_another_one_only_by_name_with_a_word(evalkit, two):
    evalkit("map")
    done = evalkit("sync-dataset", *CARE)
    assert done.code == 2
    assert "tmp/schema_mapping.care.json: there is no mapping yet" in done.err
    for name, expected in (("sort", ["kind"]), ("care", ["kind", "care"])):
        report = evalkit("map", "--config", f"eval-{name}.yaml").report
        assert report["file"] == f"tmp/schema_mapping.{name}.json"
        assert list(report["expectations"]) == [f"expected_{each}" for each in expected]
        assert json.loads(two.read(report["file"]))["_eval"] == name
    assert "expectations.expected_care: water" in evalkit("sync-dataset", *CARE).err
    done = evalkit("sync-dataset", *CARE, "--mapping", "tmp/schema_mapping.sort.json")
    assert (done.code, done.report["updated"]) == (0, 1)
    assert "is the mapping of the eval 'sort', not of 'care'" in done.err
    two.write("tmp/schema_mapping.json", two.read("tmp/schema_mapping.sort.json"))
    for command in ("sync-dataset", "map"):
        done = evalkit(command)
        assert done.code == 2
        assert "is the mapping of the eval 'sort'" in done.err
        assert "--force" in done.err


def test_an_older_file_is_taken_with_a_word_if_it_fits(evalkit, two):
    for field, code, told in (
        ("expected_kind", 0, "does not say whose mapping it is"),
        ("another", 2, "there is no mapping yet"),
    ):
        expectations = {"kind": f"annotations.yaml:{field}"}
        older = {"inputs": {"prompt": "input.yaml:prompt"}, "expectations": expectations}
        two.write("tmp/schema_mapping.json", older)
        done = evalkit("sync-dataset", *CARE)
        assert (done.code, told in done.err) == (code, True)


@pytest.mark.parametrize("name", ["quiz", "Quiz!", "", "Big Quiz / 2", "a" * 300, "日本語"])
def test_any_name_gives_a_file_and_two_evals_of_alike_names_do_not_share_it(evalkit, two, name):
    two.write("care/a/annotations.yaml", "expected_care: water\n")
    for config in ("sort", "care"):
        text = f"name: {name}\n{SCHEMA.replace('cases', f'../../{config}')}"
        two.write(f"eval/{config}/eval.yaml", text)
        mapped = evalkit("map", "--config", f"eval/{config}/eval.yaml")
    done = evalkit("sync-dataset", "--config", "eval/care/eval.yaml", "--dry-run")
    written = "".join(path.read_text("utf-8") for path in (two.root / "tmp").glob("*.json"))
    assert (mapped.code, done.code) == (2, 2) or "expected_care" in written
