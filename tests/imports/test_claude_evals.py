"""Claude's own evals become a project with runs: skill-creator's, and `claude plugin eval`'s."""

import json
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from commands import until
from damage import damaged, places_in
from eval_project import log_of

from evalkit import Workspace, import_paths
from evalkit.errors import EvalkitError
from evalkit.runs.run_dir import list_runs


def put(root, files):
    """Files by path; what is no text becomes JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def grader(name, passed, **more):
    return {"name": name, "passed": passed, "weight": 1, "explanation": f"{name}!", **more}


def trial(score, *graders, **more):
    used = {"turns": 3, "costUsd": 0.5, "judgeCostUsd": 0.1, "durationSeconds": 4}
    ran = {"startedAt": "2026-09-12T01:06:05Z", "error": None, "tracePath": "/gone/trace.jsonl"}
    return {"score": score, **used, **ran, "graders": [*graders], **more}


GRADERS = [
    {"name": "shape", "type": "regex", "config": {"pattern": "^x"}},
    {"name": "taste", "type": "llm"},
    {"name": "fired", "type": "tool_used"},
]


def plugin_result(cases, **more):
    """A result: case to arm to trials."""
    return {
        "schemaVersion": 1,
        "claudeVersion": "2.1.278",
        "startedAt": "2026-09-12T01:06:04.181Z",
        "costUsd": 1.0,
        "partial": False,
        "suite": {"ablation": "with-without", "threshold": 0.5, "judgeModel": "claude-haiku-4-5"},
        "cases": [
            {"name": name, "promptMarkdown": f"do {name}", "graders": GRADERS, "arms": arms}
            for name, arms in cases.items()
        ],
        **more,
    }


def two_arms(**more):
    """A plugin with two cases in two arms of two trials."""
    fired = grader("fired", True, withOnly=True, scored=False)
    good = [grader("shape", True), grader("taste", True, judgeVotes=[True, False, True])]
    bad = [grader("shape", False), grader("taste", True, judgeVotes=[True, True, True])]
    arms = {"with": [trial(1, *good, fired)] * 2, "without": [trial(0.5, *bad)] * 2}
    result = plugin_result({"first": arms, "second": arms}, **more)
    return {
        ".claude-plugin/plugin.json": {"name": "tidy"},
        "evals/first/prompt.md": "---\nmax_turns: 6\ntags: [smoke]\n---\n\ndo first\n",
        "evals/first/graders/shape.md": "---\ntype: regex\n---\n^x\n",
        "evals/first/graders/taste.md": "---\ntype: llm\n---\nPASS if it is good.\n",
        "evals/results/r1/aggregate-result.json": result,
    }


def run_files(folder):
    """What lies in a run's two files: the summary and the result."""
    summary = yaml.safe_load((folder / "summary.yaml").read_text())
    return summary, json.loads((folder / "run_result.json").read_text())


def imported(evalkit, *paths, code=0):
    done = evalkit("import", *map(str, paths), "--out", "made")
    assert done.code == code, done.out + done.err
    return done.report


def test_each_trial_of_an_arm_is_a_run_with_what_its_graders_said(evalkit, tmp_path):
    put(tmp_path / "plug", two_arms(partial=True, partialReason="cost_ceiling"))
    report = imported(evalkit, tmp_path / "plug/evals")
    assert [report[key] for key in ("format", "cases", "runs", "executions", "traces")] == [
        *("claude plugin eval", 2, 4, 8, 0)
    ]
    runs = sorted(path.name for path in Path("made/eval/runs").iterdir())
    # last by name is the plugin's arm, and before it the one without: what a comparison takes
    arms = ("baseline-without", "with")
    assert runs == [f"2026-09-12T01-06-04-run-{n}-{arm}" for n in (1, 2) for arm in arms]
    summary, result = run_files(Path("made/eval/runs") / runs[1])
    said = summary["per_case"]["first"]
    assert {name: (each["value"], each["judge_type"]) for name, each in said.items()} == {
        "shape": (True, "code"),
        "taste": (True, "llm"),
        "fired": (True, "code"),
        "score": (1.0, "code"),
    }
    assert said["taste"]["usage"] == {"model": "claude-haiku-4-5"}
    assert "fired" not in run_files(Path("made/eval/runs") / runs[0])[0]["per_case"]["first"]
    assert (result["cost_usd"], result["judge_cost_usd"], result["num_turns"]) == (1.0, 0.2, 6)
    assert result["started_at"] == "2026-09-12T01:06:05Z"
    assert any("judge_cost_usd, 0.8, may be part of" in note for note in report["notes"])
    told = f"compare {runs[1]} {runs[3]} --baseline {runs[0]} {runs[2]} --config made/eval.yaml"
    assert any(told in note for note in report["notes"])
    assert result["eval_params"]["partial"] == "cost_ceiling"
    compared = evalkit("compare", "--config", "made/eval.yaml").report
    assert (compared["candidate"], compared["baseline"]) == ([runs[3]], [runs[2]])
    assert any("is partial (cost_ceiling)" in note for note in report["notes"])


def test_a_case_keeps_what_its_own_files_say(evalkit, tmp_path):
    put(tmp_path, two_arms())
    imported(evalkit, tmp_path)
    case = Path("made/cases/first")
    found = {path.name: yaml.safe_load(path.read_text()) for path in case.iterdir()}
    assert found["input.yaml"] == {"prompt": "do first"}
    assert found["annotations.yaml"]["graders"] == [
        {"name": "shape", "type": "regex", "pattern": "^x"},
        {"name": "taste", "type": "llm", "criteria": "PASS if it is good."},
    ]
    assert found["metadata.yaml"] == {
        "plugin_eval": {"name": "first", "tags": ["smoke"], "execution": {"max_turns": 6}}
    }
    config = yaml.safe_load(Path("made/eval.yaml").read_text())
    assert config["thresholds"] == {"score": {"max_error_rate": 0, "min_mean": 0.5}}


GONE = "grader threw: judge call failed"
SHAPE, TASTE = grader("shape", True), grader("taste", False)
TRIALS = {  # how it ended, its score, and why taste gave no verdict
    "well": (trial(1, SHAPE), 0, 1.0, ""),
    "by itself": (trial(0.5, SHAPE, error="exit 3: no"), 3, 0.5, ""),
    "late": (trial(0, error="timed out after 300s"), 124, 0.0, ""),
    # what did not judge has no verdict, and neither has the score, whatever is stated
    "threw": (trial(0, SHAPE, TASTE | {"explanation": GONE}), 0, None, GONE),
    "unpaid": (
        *(trial(0, TASTE, skippedPaidGraders=True), 0),
        *(None, "was skipped, for the money was spent"),
    ),
    "failed": (trial(0, TASTE | {"judgeVotes": [False] * 3}), 0, 0.0, ""),
}


def test_how_a_trial_ended_and_who_gave_no_verdict(evalkit, tmp_path):
    arms = {name: {"with": [run]} for name, (run, *_) in TRIALS.items()}
    put(tmp_path, {"aggregate-result.json": plugin_result(arms)})
    imported(evalkit, tmp_path / "aggregate-result.json")
    summary, result = run_files(Path("made/eval/runs/2026-09-12T01-06-04-run-1-with"))
    for name, (_, *wanted) in TRIALS.items():
        said, ended = summary["per_case"][name], result["per_case"][name]
        why = said.get("taste", {}).get("error", "")
        assert [ended["exit_code"], said["score"]["value"], why] == wanted


def test_a_conversation_is_followed_inside_of_what_was_named_only(evalkit, tmp_path):
    paths = ("evals\\results\\r1\\t.jsonl", "../../outside.jsonl", str(tmp_path / "o.jsonl"))
    runs = [trial(1, SHAPE, tracePath=path) for path in paths]
    files = {
        "evals/results/r1/aggregate-result.json": plugin_result({"first": {"with": runs}}),
        "evals/results/r1/t.jsonl": log_of("a"),
    }
    put(tmp_path / "plug", files)
    put(tmp_path, {"outside.jsonl": log_of("b"), "o.jsonl": log_of("c")})
    report = imported(evalkit, tmp_path / "plug/evals")
    logs = [str(path) for path in Path("made").rglob("stdout.log")]
    assert logs == ["made/eval/runs/2026-09-12T01-06-04-run-1-with/cases/first/stdout.log"]
    assert (report["traces"], report["executions"]) == (1, 3)
    assert any("of 3 executions 2 have no conversation" in note for note in report["notes"])


def test_again_writes_nothing_and_what_a_person_changed_stays(evalkit, tmp_path):
    put(tmp_path, two_arms())
    written = imported(evalkit, tmp_path)["receipt"]["written"]
    before = {path: path.stat().st_mtime_ns for path in Path("made").rglob("*")}
    again = {"written": 0, "updated": 0, "unchanged": written, "left": 0}
    assert imported(evalkit, tmp_path)["receipt"] == again
    assert {path: path.stat().st_mtime_ns for path in Path("made").rglob("*")} == before
    mine = Path("made/cases/first/input.yaml")
    mine.write_text("prompt: mine\n")
    put(tmp_path, {"evals/first/graders/taste.md": "---\ntype: llm\n---\nother\n"})
    report = imported(evalkit, tmp_path)
    assert report["receipt"] == again | {"updated": 1, "unchanged": written - 2, "left": 1}
    assert list(report["skipped"]) == [str(mine)]
    assert mine.read_text() == "prompt: mine\n"
    assert "other" in Path("made/cases/first/annotations.yaml").read_text()


def test_without_a_place_it_goes_where_the_stages_find_it_and_work_on_it(evalkit, tmp_path):
    put(tmp_path, two_arms())
    Path("eval.yaml").unlink()
    assert evalkit("import", str(tmp_path)).report["directory"] == "eval/tidy"
    report = evalkit("check").report
    assert (report["config"], report["cases"], report["problems"]) == ("eval/tidy/eval.yaml", 2, [])
    runs = sorted(path.name for path in Path("eval/runs/tidy").iterdir())
    for run in runs[:2]:
        done = evalkit("all", "--run-id", run)
        assert done.code == 0, done.err
        assert done.report["log-results"]["traces"] == 2
    assert done.report["sync-dataset"]["created"] + done.report["sync-dataset"]["unchanged"] == 2
    assert done.report["push-feedback"]["unmatched"] == 0
    compared = evalkit("compare", *runs[1::2], "--baseline", *runs[::2]).report
    judges = {each["judge"]: (each["decides"], each["verdict"]) for each in compared["judges"]}
    assert judges["score"][0]
    assert judges["fired"] == (False, "not in both")
    assert evalkit("gate", "--run-id", runs[1], "--baseline", runs[0]).code == 3
    found = evalkit("history", "--judge", "score").report["runs"]
    assert {each["run_id"]: each["mean"] for each in found} == {runs[1]: 1.0, runs[0]: 0.5}


def tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_killed_on_the_way_and_again_leaves_what_one_import_does(forge, tmp_path):
    arms = {"with": [trial(1, grader("shape", True))] * 2}
    put(tmp_path, {"aggregate-result.json": plugin_result({f"c{n}": arms for n in range(200)})})
    told = ("import", "aggregate-result.json", "--json", "--out")
    running = forge.start(*told, "killed", cwd=tmp_path)
    until(lambda: len(list(tmp_path.glob("killed/cases/*"))) >= 20)
    running.kill(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "killed/cases/c199").exists()
    again = forge.run(*told, "killed", cwd=tmp_path)
    assert json.loads(again.out)["receipt"]["left"] == 0
    forge.run(*told, "once", cwd=tmp_path)
    assert tree(tmp_path / "killed") == tree(tmp_path / "once")


EXPECTED = ["names the port", "names the host"]
ITEMS = [
    {"text": "names the port", "passed": True, "evidence": "8080"},
    {"text": "the host is named", "passed": False, "evidence": "no host"},
]
EVALS = {
    "skill_name": "ports",
    "evals": [
        {"id": 1, "prompt": "which port?", "expected_output": "8080", "expectations": EXPECTED},
        {"id": 2, "prompt": "which host?", "files": ["evals/files/a.txt"]},
    ],
}
TIMING = {"total_tokens": 900, "duration_ms": 2500}
HOME = "it/iteration-1/eval-1/with_skill"


TOLD = {"eval_id": 1, "configuration": "without_skill", "run_number": 2, "expectations": ITEMS}
TOLD["result"] = {"pass_rate": 0.5, "time_seconds": 2.5, "tokens": 900}
ODD_ITEMS = [{**ITEMS[0], "passed": "PASS"}, {**ITEMS[1], "passed": None}]
SECONDS = {"total_tokens": 900, "total_duration_seconds": 2.5}
ABOUT = {"executor_model": "<model-name>", "timestamp": "2026-03-15"}
BENCHMARK = {"it/iteration-2/benchmark.json": {"metadata": ABOUT, "runs": [TOLD]}}
OLD = "it/iteration-1/a-name/old_skill"


def graded(folder, *, grading="", items=ITEMS, timing=TIMING):
    """A result of a skill in a folder."""
    place = grading or folder
    return {f"{place}/grading.json": {"expectations": items}, f"{folder}/timing.json": timing}


@pytest.mark.parametrize(
    ("files", "run", "verdicts"),
    [
        (graded(HOME), "iteration-1-run-1-with_skill", [True, False, 0.5]),
        (
            graded(f"{HOME}/run-3", timing=SECONDS),
            "iteration-1-run-3-with_skill",
            [True, False, 0.5],
        ),
        (
            graded(HOME, grading=f"{HOME}/outputs"),
            "iteration-1-run-1-with_skill",
            [True, False, 0.5],
        ),
        (graded("it/baselines/abc123/eval-1"), "abc123", [True, False, 0.5]),
        (
            {
                **graded(OLD, items=ODD_ITEMS),
                f"{OLD}/eval_metadata.json": {"eval_id": 1, "eval_name": "a-name"},
            },
            *("iteration-1-run-1-baseline-old_skill", [True, None, None]),
        ),
        (BENCHMARK, "iteration-2-run-2-baseline-without_skill", [True, False, 0.5]),
    ],
    ids=["plain", "run folder", "in outputs", "one configuration", "by metadata", "benchmark only"],
)
def test_results_of_a_skill_are_found_wherever_they_lie(evalkit, tmp_path, files, run, verdicts):
    put(tmp_path, {"skill/evals/evals.json": EVALS, **files})
    report = imported(evalkit, tmp_path / "skill", tmp_path / "it")
    assert (report["format"], report["cases"], report["runs"]) == ("skill-creator", 2, 1)
    summary, result = run_files(Path("made/eval/runs") / run)
    own = summary["per_case"]["eval-1"]
    assert list(own) == [*EXPECTED, "pass_rate"]  # in the case's words, however graders put it
    assert own[EXPECTED[1]]["rationale"] == "the host is named\n\nno host"
    assert [each["value"] for each in own.values()] == verdicts
    assert result["per_case"]["eval-1"] == {"duration_s": 2.5, "total_tokens": 900}
    assert "model" not in result


def test_what_people_said_and_what_the_skill_left_behind_come_along(evalkit, tmp_path):
    said = [
        {"run_id": "eval-1-with_skill", "feedback": "too long", "timestamp": "2026-03-05"},
        {"run_id": "eval-2-with_skill", "feedback": ""},
        {"run_id": "eval-9-with_skill", "feedback": "of none"},
    ]
    files = {
        "evals/evals.json": EVALS,
        "iteration-1/feedback.json": {"reviews": said, "status": "complete"},
        "iteration-1/eval-1/with_skill/outputs/answer.md": "port 8080\n",
        "iteration-1/eval-1/with_skill/outputs/film.bin": b"\0" * 300_000,
        "iteration-1/eval-1/with_skill/transcript.jsonl": log_of("a"),
        "iteration-1/eval-1/with_skill/outputs/rows.jsonl": '{"port": 8080}\n',
    }
    for n in (1, 2):
        files |= graded(f"iteration-1/eval-{n}/with_skill")
    put(tmp_path, files)
    report = imported(evalkit, tmp_path)
    folder = Path("made/eval/runs/iteration-1-run-1-with_skill")
    assert yaml.safe_load((folder / "review.yaml").read_text())["feedback"] == {
        "eval-1": "too long",
        "eval-2": "",
    }
    assert (folder / "cases/eval-1/outputs/answer.md").read_text() == "port 8080\n"
    assert (folder / "cases/eval-1/outputs/rows.jsonl").is_file()
    assert (folder / "cases/eval-1/stdout.log").read_bytes() == log_of("a")
    assert [Path(path).name for path in report["skipped"]] == ["film.bin"]
    done = evalkit("all", "--config", "made/eval.yaml", "--run-id", folder.name)
    assert (done.code, done.report["push-feedback"]["human"]) == (0, 2)
    assert done.report["sync-dataset"]["created"] == 2


def test_a_result_counts_once_whatever_its_name_and_its_copies(evalkit, tmp_path):
    meta = {"eval_id": 1, "eval_name": "ports"}
    files = graded("it/eval-1/with_skill/run-1") | graded("it/ports/with_skill")
    files |= {f"it/{name}/eval_metadata.json": meta for name in ("eval-1", "ports")}
    result = plugin_result({"first": {"with": [trial(1, SHAPE)]}})
    copies = {f"evals/{name}.json": result for name in ("records/2026-10-10", "results/last")}
    put(tmp_path / "skill", {"evals.json": EVALS, **files})
    put(tmp_path / "plug", {**copies, "evals/fixtures/cases.json": {"cases": []}})
    for kind, cases, skipped in (("skill", 2, "grading.json"), ("plug", 1, "last.json")):
        report = evalkit("import", str(tmp_path / kind), "--out", f"made-{kind}").report
        assert (report["cases"], report["runs"], report["executions"]) == (cases, 1, 1)
        assert [Path(path).name for path in report["skipped"]] == [skipped]


@pytest.mark.parametrize(
    ("files", "code", "word"),
    [
        ({"evals/evals.json": "{"}, 2, "not JSON"),
        ({"evals/evals.json": EVALS, "it/e/x/grading.json": "{"}, 1, "grading.json"),
        ({**two_arms(), "evals/results/r2/aggregate-result.json": "{"}, 1, "aggregate-result.json"),
        ({"a/evals.json": EVALS, "b/evals.json": EVALS | {"skill_name": "b"}}, 2, "several skills"),
    ],
)
def test_what_cannot_be_read_is_named(evalkit, tmp_path, files, code, word):
    put(tmp_path, files)
    report = imported(evalkit, tmp_path, code=code)
    assert word in json.dumps(report)


def test_a_link_in_the_project_is_not_written_through(evalkit, tmp_path):
    put(tmp_path / "plug", two_arms())
    (tmp_path / "elsewhere").mkdir()
    Path("made").mkdir()
    Path("made/cases").symlink_to(tmp_path / "elsewhere")
    report = imported(evalkit, tmp_path / "plug", code=2)
    assert "leads out of" in report["error"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_links_that_lead_out_of_what_was_named_are_not_followed(evalkit, tmp_path):
    secret = put(tmp_path / "elsewhere", {"key.md": "a secret of the machine"}) / "key.md"
    home = "skill/iteration-1/eval-1/with_skill"
    put(tmp_path, {"skill/evals.json": EVALS, **graded(home), f"{home}/outputs/a.md": "mine"})
    put(tmp_path / "plug", two_arms())
    for name in (f"{home}/outputs/b.md", f"{home}/log.jsonl", "plug/evals/first/graders/other.md"):
        (tmp_path / name).symlink_to(secret)
    for named in ("skill", "plug"):
        assert evalkit("import", str(tmp_path / named), "--out", f"made-{named}").code == 0
    made = {**tree(Path("made-skill")), **tree(Path("made-plug"))}
    assert any(name.endswith("outputs/a.md") for name in made)
    assert not any(b"a secret" in content for content in made.values())


def cases_in(folder):
    """The cases of a project: file to content."""
    files = sorted((folder / "cases").rglob("*.yaml"))
    return {str(f.relative_to(folder)): yaml.safe_load(f.read_text()) for f in files}


def test_cases_go_back_to_where_they_came_from_and_graders_become_words(evalkit, tmp_path):
    for form, files in (("evals-json", {"evals/evals.json": EVALS}), ("plugin-eval", two_arms())):
        put(tmp_path / form, files)
        told = ("--as", form, "--config", f"made-{form}/eval.yaml")
        evalkit("import", str(tmp_path / form), "--out", f"made-{form}")
        report = evalkit("export-cases", f"back-{form}", *told).report
        assert (report["cases"], report["directory"]) == (2, f"back-{form}")
        assert evalkit("import", f"back-{form}", "--out", f"again-{form}").code == 0
        assert cases_in(Path(f"again-{form}")) == cases_in(Path(f"made-{form}"))
    told = ("--as", "evals-json", "--config", "made-plugin-eval/eval.yaml")
    report = evalkit("export-cases", "words", *told).report
    pattern, criteria = json.loads(Path("words/evals.json").read_text())["evals"][0]["expectations"]
    assert ("^x" in pattern, criteria) == (True, "PASS if it is good.")
    assert report["notes"] == ["graders of 2 cases became expectations in words"]


def test_cases_of_the_harness_go_to_claude_but_not_over_what_a_person_wrote(evalkit, project):
    done = evalkit("export-cases", "plugin", "--as", "plugin-eval")
    assert (done.code, done.report["cases"]) == (0, 3)
    case = yaml.safe_load(Path("plugin/alpha/case.yaml").read_text())
    assert case["execution"]["prompt"] == "please handle alpha"
    assert [each["type"] for each in case["graders"]] == ["llm"]
    evalkit("export-cases", "skill", "--as", "evals-json")
    entries = json.loads(Path("skill/evals.json").read_text())["evals"]
    assert [each["name"] for each in entries] == ["alpha", "beta", "gamma"]
    Path("skill/evals.json").write_text("{}")
    told = evalkit("export-cases", "skill", "--as", "evals-json").report
    assert list(told["skipped"]) == ["skill/evals.json"]
    assert Path("skill/evals.json").read_text() == "{}"
    evalkit("export-cases", "copy", "--as", "harness")
    assert cases_in(Path("copy")) == {
        f"cases/{path.parent.name}/{path.name}": yaml.safe_load(path.read_text())
        for path in project.root.glob("cases/*/*.yaml")
    }
    assert evalkit("check", "--config", "copy/eval.yaml").report["cases"] == 3


ROWS = [
    {"id": "a", "question": "1+1?", "expected_answer": "2", "output": "2", "score": 1, "cost": 1},
    {"id": 2, "question": [{"role": "user", "content": "x"}], "output": {"a": 1}, "error": "late"},
]
ODD = [
    *(None, True, -1, 1e308, float("nan"), "", "../../x", "a/b\0c", [], {}, [[]], [{}], [1]),
    *({"a": {}}, "x" * 3000, "\ud800", [{"role": "assistant"}], 10**400),
]


def as_csv(rows):
    lines = [[str(row.get(name, "")) for name in ROWS[0]] for row in rows]
    quoted = ([each.replace('"', '""') for each in line] for line in [[*ROWS[0]], *lines])
    return "\n".join(",".join(f'"{each}"' for each in line) for line in quoted)


@pytest.mark.parametrize(
    ("name", "whole", "write"),
    [
        ("aggregate-result.json", two_arms()["evals/results/r1/aggregate-result.json"], json.dumps),
        ("evals.json", EVALS, json.dumps),
        (
            "it/eval-1/with_skill/grading.json",
            {"expectations": ITEMS, "timing": TIMING},
            json.dumps,
        ),
        ("t.json", ROWS, json.dumps),
        ("cut.json", ROWS, lambda rows: json.dumps({"rows": rows})[:-40]),
        ("wrapped.json", {"_note": "x", "rows": ROWS}, json.dumps),
        ("t.jsonl", ROWS, lambda rows: "\n".join(map(json.dumps, rows))),
        ("t.csv", ROWS, as_csv),
    ],
)
def test_whatever_stands_in_a_file_ends_in_words_or_in_runs_that_can_be_read(
    tmp_path, name, whole, write
):
    places = [path for path in places_in(whole) if "without" not in path and path[1:]]
    places = places[:: 1 + len(places) // 20] * 2
    tried = [(path, ODD[n % len(ODD)]) for n, path in enumerate(places[:24])]
    for number, (path, odd) in enumerate(tried):
        folder = put(tmp_path / f"{number}", {"evals.json": EVALS} if "grading" in name else {})
        put(folder, {name: write(damaged(whole, path, odd)).encode("utf-8", "replace")})
        with suppress(EvalkitError):
            import_paths([folder / name if "." in name[:7] else folder], out=folder / "made")
            made = Workspace.open(folder / "made/eval.yaml")
            for run_id in list_runs(made.files):
                assert made.run(run_id).run.cases
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}" for n in range(len(tried))}
