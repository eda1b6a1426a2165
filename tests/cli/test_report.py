"""Every command ends with its report: the keys, the types, and the exit code."""

import json
import os
import subprocess
import sys

from eval_project import CASES, MAPPING, RUN, RUN_ID, log_of
from servers import clean_environment

KEYS = {
    "check": {"config", "tracking_uri", "reachable", "experiment", "cases", "runs", "problems"},
    "map": {"inputs", "expectations", "reasons", "coverage", "file"},
    "sync-dataset": {"dataset", "created", "updated", "unchanged", "deleted", "skipped"},
    "log-results": {
        *("experiment", "mlflow_run_id", "params", "metrics", "traces", "spans"),
        *("assessments", "table_rows", "receipt"),
    },
    "push-feedback": {"traces", "judge", "human", "unmatched"},
    "pull-feedback": {"traces", "annotations", "file"},
}
NO_COUNTS = {"config", "tracking_uri", "reachable", "experiment", "problems", "mlflow_run_id"}
NO_COUNTS |= KEYS["map"] | {"dataset", "receipt"}
OPTIONS = {"map": ["--force"], "check": [], "sync-dataset": []}


def command(stage):
    return [stage, *OPTIONS.get(stage, RUN)]


def test_each_report_has_its_keys_and_nothing_else_is_on_stdout(evalkit):
    for stage, keys in KEYS.items():
        done = evalkit(*command(stage))
        assert done.code == 0, done.err
        assert done.report.keys() >= keys
        assert len(done.out.splitlines()) == 1
        assert {type(done.report[key]) for key in keys - NO_COUNTS} <= {int}
        assert ("error" in done.report, "Traceback" in done.err) == (False, False)


def test_all_gives_one_object_a_stage_and_does_not_map_where_a_mapping_is(evalkit, project):
    done = evalkit("all", *RUN)
    assert done.code == 0
    assert list(done.report) == ["sync-dataset", "log-results", "push-feedback"]
    for stage, report in done.report.items():
        assert set(report) >= KEYS[stage]
    assert json.loads(project.read("tmp/schema_mapping.json")) == MAPPING
    project.remove("tmp/schema_mapping.json")
    done = evalkit("all", *RUN)
    assert list(done.report) == ["map", "sync-dataset", "log-results", "push-feedback"]
    assert json.loads(project.read("tmp/schema_mapping.json")) == {"_eval": "support", **MAPPING}


def test_all_stops_at_the_stage_that_fails_and_reports_those_before_it(evalkit, project):
    project.write(f"{project.run_dir}/review.yaml", "feedback: [\n")
    done = evalkit("all", *RUN)
    assert done.code == 2
    assert done.report["error"] == done.report["push-feedback"]["error"]
    assert done.report["log-results"]["traces"] == 3
    assert "review.yaml" in done.report["problems"][0]["file"]
    project.remove("tmp/schema_mapping.json")
    done = evalkit("all", "--run-id", "2026-01-01")  # told before anything is written
    assert (done.code, RUN_ID in done.err) == (2, True)
    assert not (project.root / "tmp/schema_mapping.json").exists()


# -- strict -----------------------------------------------------------------------------------


def test_strict_minds_a_refused_log_and_feedback_without_a_trace_and_nothing_else(evalkit, project):
    project.log("alpha", log_of("alpha") + b'{"type": "of_tomorrow"}\n')
    for stage in KEYS:
        done = evalkit(*command(stage), "--strict")
        assert (done.code, done.report.get("error")) == (0, None)
    project.log("beta", b'{"type": "of nobody"}\n')
    project.review.write_text("feedback: {omega: fine}\n")
    for stage, error in (("log-results", "1 log"), ("push-feedback", "no trace")):
        lenient, strict = (evalkit(stage, *RUN, *more) for more in ([], ["--strict"]))
        assert (lenient.code, strict.code, error in strict.report["error"]) == (0, 1, True)
        assert strict.report["traces"] == 3
    assert lenient.report["unmatched"] == strict.report["unmatched"] == 1
    assert evalkit("all", *RUN, "--strict").code == 1


def test_strict_is_not_misled_by_what_inputs_are_called(evalkit, project):
    project.remove("tmp/schema_mapping.json")
    for case in CASES:
        project.write(f"cases/{case}/input.yaml", {"skipped": f"{case}?", "unmatched": "yes"})
    done = evalkit("all", *RUN, "--strict")
    assert set(done.report["map"]["inputs"]) == {"skipped", "unmatched"}
    assert (done.code, done.report.get("error")) == (0, None)


# -- the edges of the command itself ----------------------------------------------------------


def run(project, *arguments, stdout=subprocess.PIPE, **env):
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        cwd=project.root, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        env=clean_environment(**env),
    )  # fmt: skip


def test_a_reader_that_stops_reading_stops_nothing_and_a_terminal_needs_no_unicode(project):
    """The first as in ``evalkit map … | head -0``."""
    project.remove("tmp/schema_mapping.json")
    reading, writing = os.pipe()
    os.close(reading)
    for more in ([], ["--json"]):
        done = run(project, "map", *more, stdout=writing)
        assert (done.returncode, "Error" in done.stderr) == (0, False)
        assert json.loads(project.read("tmp/schema_mapping.json"))["inputs"]
    os.close(writing)
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run(project, "check", "--tracking-uri", "sqlite:///x.db", **ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is wrong" in done.stdout


def test_help_names_every_stage_and_imports_no_library():
    probe = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "try:\n import evalkit.__main__\nexcept SystemExit: pass\n"
        "print(sorted({'mlflow', 'pandas', 'rich', 'yaml', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    *said, libraries = done.stdout.splitlines()
    assert libraries == "[]"
    assert all(any(line.strip().startswith(stage) for line in said) for stage in KEYS)
