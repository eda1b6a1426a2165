"""The notebooks where nobody looks: as scripts, in Jupyter, and run by a program."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from eval_project import CASES, RUN_ID
from in_mlflow import InMlflow
from shop_agent import ANSWERS, REJECTED

from evalkit import InputError, StoreAbsent, ui
from evalkit.demo.project import write_project

GOLDEN = Path(__file__).parents[1] / "golden" / "compare.json"
AWAY = {"tracking_uri": "http://127.0.0.1:9"}
ABSENT = "skipped: MLflow at http://127.0.0.1:9 is not reachable"
NAMES = [each.name for each in ui.NOTEBOOKS]


def where(project, notebook=""):
    """What a program has to tell a notebook about a project."""
    named = {
        "map_dataset": {"out": str(project.root / "tmp/schema_mapping.json"), "force": True},
        "sync_dataset": {"mapping": str(project.root / "tmp/schema_mapping.json")},
        "log_results": {"run_id": RUN_ID},
        "review_feedback": {"run_id": RUN_ID},
    }
    return {"config": str(project.root / "eval.yaml"), **named.get(notebook, {})}


@pytest.mark.parametrize(
    ("notebook", "wrong", "error"),
    [
        *((name, {"config": "nowhere.yaml"}, InputError) for name in NAMES),
        ("map_dataset", {"force": False}, InputError),
        ("sync_dataset", {"mapping": "nowhere.json"}, InputError),
        ("sync_dataset", AWAY, StoreAbsent),
        ("log_results", {"run_id": "nowhere"}, InputError),
        ("log_results", {"run_id": None}, InputError),
        ("log_results", AWAY, StoreAbsent),
        ("review_feedback", {"runs_dir": "nowhere"}, InputError),
        ("compare_runs", {}, InputError),
        ("compare_runs", {"baseline": (RUN_ID,), "candidate": (RUN_ID,)}, InputError),
        ("compare_runs", {"baseline": ("none",), "candidate": ("other",)}, InputError),
        ("run_eval_agent", {"experiment_id": "elsewhere"}, InputError),
        ("run_eval_agent", {"max_cost": 0.0}, InputError),
        ("run_eval_agent", {"session": "../elsewhere"}, InputError),
        ("run_eval_agent", AWAY, StoreAbsent),
    ],
)
def test_a_program_is_given_the_error_and_files_are_kept(
    program, stored_project, tmp_path, notebook, wrong, error
):
    mapping = {"inputs": {"question": "input.yaml:prompt"}, "expectations": {}}
    stored_project.write("tmp/schema_mapping.json", mapping)
    base = {"volume_path": str(tmp_path / "base")} if notebook == "run_eval_agent" else {}
    with pytest.raises(error):
        program(notebook, **{**where(stored_project, notebook), **base, **wrong})
    assert json.loads(stored_project.read("tmp/schema_mapping.json")) == mapping


# -- map --------------------------------------------------------------------------------------


def test_map_replaces_a_file_by_force_and_says_what_cases_lack(program, script, project):
    by_hand = {"inputs": {"question": "input.yaml:prompt"}, "expectations": {}}
    project.write("tmp/schema_mapping.json", by_hand)
    ended = script("map_dataset", "--json", "--force", cwd=project.root)
    assert ended.code == 0
    both = {"input.yaml:prompt": [3, 3], "expected.yaml:outcome": [3, 3]}
    assert ended.report["coverage"] == both
    project.add_case("delta", "please handle delta")
    found = program("map_dataset", **where(project, "map_dataset"))
    assert dict(found["row"].record.inputs) == {"prompt": "please handle alpha"}
    lacking = {case.record.case_id: list(case.lacking) for case in found["mapped"] if case.lacking}
    assert lacking == {"delta": ["expectations.outcome"]}
    assert found["report"]["inputs"] == {"prompt": "input.yaml:prompt"}


# -- sync -------------------------------------------------------------------------------------


def test_sync_shows_the_changes_and_then_makes_them(program, script, stored_project, sqlite_uri):
    found = program("sync_dataset", **where(stored_project, "sync_dataset"), dry_run=True)
    assert [change.kind for change in found["plan"].changes] == ["created"] * 3
    assert list(found["table"]["Case"]) == list(CASES)
    assert found["report"]["created"] == 3
    assert InMlflow(sqlite_uri).datasets() == []
    ended = script("sync_dataset", "--json", cwd=stored_project.root)
    assert (ended.code, ended.out.count("\n"), ended.report["created"]) == (0, 1, 3)
    assert "the first case, alpha, becomes" in ended.err
    again = program("sync_dataset", **where(stored_project, "sync_dataset"))
    assert (again["report"]["unchanged"], len(again["rows"])) == (3, 3)


@pytest.mark.parametrize("name", ["Kopie von sync_dataset.py", "eval"])
def test_a_copy_under_another_name_takes_its_arguments(
    script, stored_project, sqlite_uri, tmp_path, name
):
    for file in ("sync_dataset.py", "evalkit.css"):
        shutil.copy(ui.folder() / file, tmp_path / (name if file.endswith("py") else file))
    scratch = ("--dry-run", "--dataset-name", "scratch")
    planned = script(tmp_path / name, *scratch, cwd=stored_project.root)
    done = "✓ dataset scratch: would be 3 created"
    assert (planned.code, planned.out.splitlines()[-1]) == (0, done)
    assert InMlflow(sqlite_uri).datasets() == []
    wrong = script(tmp_path / name, "--no-such-flag", cwd=stored_project.root)
    assert wrong.code == 2
    assert "unrecognized arguments: --no-such-flag" in wrong.err


def test_a_script_never_falls_back_to_the_demo_and_skips_where_mlflow_is_absent(
    script, stored_project
):
    ended = script("sync_dataset")
    assert (ended.code, ended.out) == (2, "")
    assert "eval.yaml: there is no such file" in ended.err
    stored_project.review.write_text("feedback: {alpha: ''}\n")
    flags = ("--run-id", RUN_ID, "--tracking-uri", AWAY["tracking_uri"])
    ended = script("review_feedback", *flags, cwd=stored_project.root)
    assert (ended.code, ABSENT in ended.out) == (0, True)
    assert "1 of 1" in ended.out  # what needs no MLflow is compared all the same


# -- log and review ---------------------------------------------------------------------------


def test_log_writes_the_run_and_a_second_time_nothing_and_review_pushes_and_pulls(
    program, script, stored_project, sqlite_uri
):
    ended = script("log_results", "--run-id", RUN_ID, "--json", cwd=stored_project.root)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert (ended.report["traces"], ended.report["written"]) == (3, True)
    assert "3 of 3 traces written" in ended.err
    again = program("log_results", **where(stored_project, "log_results"))
    assert [case.case_id for case in again["cases"]] == list(CASES)
    assert again["report"]["written"] is False

    stored = InMlflow(sqlite_uri)
    assert stored.values("alpha")["polite"] is True
    stored.say("alpha", "tone", "cold", who="jo", rationale="read aloud")
    stored_project.review.write_text("reviewer: ann\nfeedback: {alpha: ''}\n")
    ended = script("review_feedback", "--run-id", RUN_ID, "--json", cwd=stored_project.root)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert ended.report["push-feedback"]["human"] == 1
    assert ended.report["pull-feedback"]["annotations"] == 1
    agreed = {(each["judge"], each["basis"]): each["agreed"] for each in ended.report["agreement"]}
    assert agreed["polite", "review"] == 1
    assert agreed["tone", "annotations"] == 0
    assert "1 annotations from 3 traces" in ended.err
    said = {(a.name, a.value) for a in stored.traces()["alpha"].info.assessments}
    assert ("human_review", True) in said
    (pulled,) = yaml.safe_load(stored_project.review.read_text())["mlflow_feedback"]
    assert (pulled["name"], pulled["value"]) == ("tone", "cold")
    found = program("review_feedback", **where(stored_project, "review_feedback"))
    assert list(found["differing"].case_id) == ["alpha", "alpha"]
    assert list(found["judge_table"].judge) == ["polite", "quality", "tone", "tone", "broken"]
    assert set(found["report"]) == {"push-feedback", "pull-feedback", "agreement"}


# -- compare ----------------------------------------------------------------------------------

OLDER, NEWER = "2026-05-05-sonnet-v1", "2026-05-12-sonnet-v2"


def test_compare_says_as_a_script_what_the_page_says(program, script, tmp_path):
    demo = str(write_project(tmp_path))
    named = ("--config", demo, "--baseline", OLDER, "--candidate", NEWER)
    ended = script("compare_runs", *named, "--json")
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    said, golden = (
        json.loads(text, parse_float=lambda digits: f"{float(digits):.9g}")  # libraries differ
        for text in (ended.out, GOLDEN.read_text("utf-8"))
    )
    assert said == golden
    assert f"{NEWER} against {OLDER}" in ended.err
    found = program("compare_runs", config=demo)
    assert (found["report"]["baseline"], found["report"]["candidate"]) == ([OLDER], [NEWER])
    assert [flip["kind"] for flip in found["listed"]].count("broken") == 2


def test_strictly_a_failing_threshold_or_a_regression_is_an_error(script, three_runs):
    strict = ("--baseline=run-1", "--strict", "--json")
    ended = script("compare_runs", "--candidate=run-2", *strict, cwd=three_runs.root)
    assert ended.code == 1
    assert "polite fails pass rate at least 0.7, it has 0.167" in ended.report["error"]
    assert "polite 92% → 17%" in ended.report["error"]
    unsure = script("compare_runs", "--candidate=run-3", *strict[:2], cwd=three_runs.root)
    assert (unsure.code, "about 129 cases would tell" in unsure.out) == (3, True)


@pytest.mark.parametrize(
    ("baseline", "candidate", "meant"),
    [
        ("", "", "run-2 run-3"),
        ("", "run-2", "run-1 run-2"),
        ("", "run-1", "run-3 run-1"),
        ("run-3", "", "run-3 run-2"),
        ("run-1", "run-3 run-2 run-3", "run-1 run-3 run-2"),
    ],
)
def test_runs_that_are_not_named_are_the_newest_and_the_one_before(
    program, three_runs, baseline, candidate, meant
):
    arms = {"baseline": tuple(baseline.split()), "candidate": tuple(candidate.split())}
    report = program("compare_runs", **where(three_runs), **arms)["report"]
    assert [*report["baseline"], *report["candidate"]] == meant.split()


# -- the agent --------------------------------------------------------------------------------


def test_the_agent_goes_on_with_a_session_and_ends_with_its_report(
    program, script, finished_session
):
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in finished_session.parameters.items()]
    ended = script("run_eval_agent", "--json", "--model=offline", *flags)
    assert ended.code == 0
    report = ended.report
    assert (report["verified"], report["sessions_run"]) == (True, 0)
    assert report["session"] == str(finished_session.folder)
    assert {task["status"] for task in report["tasks"]} == {"done"}
    assert re.fullmatch(r"[0-9a-f]{32}", report["kept"]["mlflow_run_id"])
    assert "the suite is verified; run it again with: " in ended.err
    asked = {"model": "offline", "traces": 3, **finished_session.parameters}
    found = program("run_eval_agent", **asked)
    assert list(found["watch"].traces["asked"]) == ["Hello?", REJECTED[0], [*ANSWERS][-1]]
    assert found["found"]["people"]["rejected"]["answers"] == 1
    assert {case["inputs"]["question"] for case in found["case_rows"]} >= {*ANSWERS}
    assert found["report"]["verified"]
