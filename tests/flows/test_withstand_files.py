"""Files that are missing, empty, broken or hostile end in a clear message, and lose nothing."""

import json
import time

import pytest
from agentlogs import answer, as_lines, init, say, text, use
from eval_project import CASES, MAPPING, RESULT, RUN, log_of, score, scores_of

COMMANDS = {
    "check": ["check"],
    "map": ["map"],
    "sync": ["sync-dataset"],
    "log": ["log-results", *RUN],
    "push": ["push-feedback", *RUN],
    "pull": ["pull-feedback", *RUN],
    "all": ["all", *RUN],
}
LATIN = "name: caf\xe9\n".encode("latin-1")
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
DEEP = "[" * 20_000
BINARY = bytes(range(256)) * 4


@pytest.fixture
def ends(evalkit, project, mlflow):
    """Runs a command on files that are wrong, and expects it to say so and to touch nothing."""

    def run(stage, *expected):
        before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
        began = time.monotonic()
        done = evalkit(*COMMANDS[stage])
        assert time.monotonic() - began < 30
        assert done.code == 2, done.err
        assert "Traceback" not in done.err
        said = " ".join(
            f"{problem['file']}:{problem['line']} {problem['field']} {problem['message']}"
            for problem in done.report["problems"]
        )
        assert [words for words in expected if words not in said] == []
        assert done.report["problems"][0]["fix"]
        assert mlflow.experiment_id is None
        assert {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()} == before
        return done

    return run


CONFIG, SUMMARY, RESULTS = "eval.yaml", "RUN/summary.yaml", "RUN/run_result.json"
REVIEW, CASE, MAPPED = "RUN/review.yaml", "cases/beta/input.yaml", "tmp/schema_mapping.json"


@pytest.mark.parametrize(
    ("stages", "file", "content", "expected"),
    [
        ("log", CONFIG, "", ("eval.yaml", "the file is empty")),
        ("log", CONFIG, "- a list\n", ("not a mapping",)),
        ("log", CONFIG, "name: x\njudges: [\n", ("eval.yaml:2", "not YAML")),
        ("log", CONFIG, "x: !!python/object/apply:os.system [true]\n", ("not YAML",)),
        ("log", CONFIG, LATIN, ("eval.yaml:1", "not UTF-8 (byte 0xe9)")),
        ("log", CONFIG, BOMB, ("aliases expand",)),
        ("log", CONFIG, DEEP, ("nests deeper",)),
        ("log", CONFIG, "a: &a [*a]\n", ("contains itself",)),
        ("check", SUMMARY, "judges: [\n", ("summary.yaml:1", "not YAML")),
        ("check", SUMMARY, "judges: 3\nper_case: []\n", ("judges", "per_case")),
        ("check", SUMMARY, "per_case: {a: {tone: 3}, b: 4}\n", ("per_case.a.tone", "per_case.b")),
        ("check", SUMMARY, BOMB, ("aliases expand",)),
        ("check", RESULTS, b"", ("run_result.json:1", "not JSON")),
        ("check", RESULTS, '{"duration_s": "long"}', ("duration_s must be a number",)),
        ("check", RESULTS, '{"x": ' + "9" * 5000 + "}", ("not JSON",)),
        ("push pull", REVIEW, "feedback: [\n", ("review.yaml:1", "not YAML")),
        ("push pull", REVIEW, "feedback: {alpha: [x]}\n", ("feedback.alpha must be text",)),
        ("push pull", REVIEW, BOMB, ("aliases expand",)),
        ("push pull check", REVIEW, "- a\n", ("not a mapping",)),
        ("sync", CASE, "prompt: [\n", ("beta/input.yaml:1", "not YAML")),
        ("sync", CASE, LATIN, ("beta/input.yaml:1", "not UTF-8")),
        ("sync", CASE, BOMB, ("aliases expand",)),
        ("sync", CASE, DEEP, ("nests deeper",)),
        ("sync", MAPPED, "nowhere.yaml:prompt", ("mapping.json", "ions.outcome", "nowhere.yaml")),
        ("sync", MAPPED, "input.yaml:nowhere", ("mapping.json", "ions.outcome", "nowhere")),
    ],
    ids=lambda each: str(each)[:24] if isinstance(each, str | bytes) else "",
)
def test_a_file_that_cannot_be_read_is_named_with_its_line_and_nothing_is_touched(
    ends, project, stages, file, content, expected
):
    if file == MAPPED:
        content = {**MAPPING, "expectations": {"outcome": content}}
    if file == CASE:  # every problem is told at once
        project.write("cases/alpha/input.yaml", "a: [\n")
        expected = (*expected, "alpha/input.yaml:1")
    project.write(file.replace("RUN", project.run_dir), content)
    for stage in stages.split():
        problems = ends(stage, *expected).report["problems"]
        assert file != CASE or len(problems) == 2


def test_everything_that_is_wrong_with_a_config_is_told_at_once_and_a_missing_one(ends, project):
    project.write(
        "eval.yaml",
        "name: {a: b}\nmodels: fast\ndataset: cases\nexecution: {mode: sideways}\n"
        "judges:\n- check: x\n- name: twin\n- name: twin\n- 7\n"
        "thresholds: {twin: {min_mean: high}, other: 3}\nmlflow: {tags: [a]}\n",
    )
    wrong = ("name", "models", "dataset", "execution.mode", "judges[0]", "judges[2].name")
    lines = [problem["line"] for problem in ends("check", *wrong).report["problems"]]
    assert (len(lines), lines) == (11, sorted(lines))
    project.remove("eval.yaml")
    for stage in ("log", "pull", "all"):
        done = ends(stage, "eval.yaml", "no such file")
        assert "--config" in done.report["problems"][0]["fix"]


def test_cases_and_mappings_that_are_not_there_say_where_or_how_to_get_one(ends, project):
    for stage in ("sync", "map", "check"):
        for path in ("nowhere", "eval.yaml", "../../nowhere", ""):
            project.configure(dataset={"path": path, "schema": "prose"})
            ends(stage, "dataset.path")
    project.configure()
    kept = project.read(MAPPED)
    project.remove(MAPPED)
    done = ends("sync", "there is no mapping yet")
    assert "evalkit map" in done.report["problems"][0]["fix"]
    project.write(MAPPED, kept)
    for case in CASES:
        project.remove(f"cases/{case}")
    for stage in ("sync", "map", "check"):
        ends(stage, "no case directories")


NULLS = dict.fromkeys(["judges", "thresholds", "models", "mlflow", "runner", "outputs"])


@pytest.mark.parametrize(
    "config", [NULLS, {"judges": [], "thresholds": {}, "anything": {"of": ["another", "tool"]}}]
)
def test_what_is_null_counts_as_not_given(evalkit, project, config):
    project.configure(**config)
    project.review.write_text("reviewer: ann\nfeedback:\n")
    stages = ("log", "sync", "push", "pull")
    assert [evalkit(*COMMANDS[stage]).code for stage in stages] == [0, 0, 0, 0]
    assert project.review.read_text() == "reviewer: ann\nfeedback:\n"


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        (SUMMARY, None, "no summary.yaml"),
        (SUMMARY, "", "no scores"),
        (RESULTS, None, "no run_result.json"),
        (RESULTS, "null", ""),
        (SUMMARY, "per_case: {alpha: null, beta: {tone: null}}\n", "no scores"),
    ],
    ids=str,
)
def test_what_a_run_lacks_is_noted_and_the_rest_is_logged(
    evalkit, project, mlflow, file, content, note
):
    path = file.replace("RUN", project.run_dir)
    project.remove(path)
    if content is not None:
        project.write(path, content)
    report = evalkit(*COMMANDS["log"]).report
    assert report["traces"] == 3
    assert any(note in each for each in report["notes"]) or not note
    assert set(mlflow.traces()) == set(CASES)


def test_a_run_without_any_log_is_logged_with_its_scores_and_an_empty_one_refused(
    ends, evalkit, project, mlflow
):
    project.unlog(*CASES)
    run = project.root / project.run_dir
    run.rename(project.root / "kept")
    run.mkdir()
    ends("log", "no finished run")
    run.rmdir()
    (project.root / "kept").rename(run)
    report = evalkit(*COMMANDS["log"]).report
    assert (report["traces"], report["table_rows"], report["unmatched"]) == (3, 12, 0)
    assert report["receipt"]["missing"] == list(CASES)
    assert mlflow.run().data.metrics["quality/mean"] == 4
    project.write(project.summary, {"per_case": {7: {3: score({"a": [1]})}, True: scores_of("x")}})
    report = evalkit(*COMMANDS["log"]).report
    assert (report["table_rows"], report["unmatched"]) == (5, 0)
    assert report["receipt"]["missing"][-2:] == ["7", "true"]  # as the file has it


HARD_NAMES = ["a:b%c", "größe/😀", "quality!", "quality?", "..", "/abs", "a//b", " ", "x" * 300]


def test_judges_whose_names_mlflow_refuses_keep_all_their_figures(evalkit, project, mlflow):
    judged = {name: score(number) for number, name in enumerate(HARD_NAMES)}
    project.summarise({"alpha": judged})
    done = evalkit(*COMMANDS["log"])
    assert done.code == 0, done.err
    figures = mlflow.run().data.metrics
    means = {value for name, value in figures.items() if name.endswith("mean") or "mean" in name}
    assert means >= set(range(8))
    assert sum("quality" in name for name in figures) == 2
    assert len([note for note in done.report["notes"] if "is called" in note]) >= 5
    assert len(mlflow.feedback("alpha")) == len(HARD_NAMES)
    assert evalkit(*COMMANDS["log"]).report["written"] is False


# -- logs, and what lies beside them ----------------------------------------------------------

NO_JSON = "no line of the log is a JSON object"
OTHER_LINES = b'[1, 2]\n"text"\nnull\n' + log_of("x").replace(b"\n", b"\r\n") + b"\xff\xfe done\n"
UNKNOWN = b'{"type": "never seen"}\n{"type": 3}\n{"type": null}\n{}\n'
LARGE = [
    *(init(), say("m1", use("t1", "Bash", command="cat"))),
    *(answer("t1", "0123456789" * 2_000_000), say("m2", text("much"))),
]


def stamped(when):
    lines = (line[:-1] for line in log_of("x").splitlines())
    return b"".join(line + f', "timestamp": {json.dumps(when)}}}\n'.encode() for line in lines)


LOGS = {  # the log, and what it is refused for
    "empty": (b"", "empty"),
    "binary": (BINARY, NO_JSON),
    "braces": (b"{" * 100_000, NO_JSON),
    "other lines": (OTHER_LINES, None),
    "thrice and unknown": (log_of("x") * 3 + UNKNOWN, None),
    "cut": (log_of("x")[:-40], None),
    "no month": (stamped("2026-13-45T99:00:00Z"), None),
    "no number of seconds": (stamped(10**400), None),
    "the end of time": (stamped("9999-12-31"), None),
    "20 MB in a line": (b"".join(as_lines(LARGE)), None),
    "beside it all is broken": (log_of("x"), None),
}


def test_a_log_that_gives_no_trace_is_refused_alone_and_any_other_gives_one(
    evalkit, project, mlflow
):
    for name, (log, _) in LOGS.items():
        project.log(name, log)
    beside = f"{project.run_dir}/cases/beside it all is broken"
    project.write(f"{beside}/events.json", b"{not json")
    project.write(f"{beside}/subagents/agent-1.jsonl", BINARY)
    project.write(f"{beside}/run_result.json", b"\xff")
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "started_at": 10**400})
    began = time.process_time()
    done = evalkit(*COMMANDS["log"])
    assert time.process_time() - began < 20
    assert (done.code, done.report["traces"], done.report["table_rows"]) == (0, 14, 12)
    receipt = done.report["receipt"]
    refused = {name: why for name, (_, why) in LOGS.items() if why}
    assert {name: refused[name] in receipt["refused"][name] for name in receipt["refused"]} == (
        dict.fromkeys(refused, True)
    )
    assert "no steps in the trace of" in done.err
    assert receipt["lines"] == receipt["used"] + receipt["skipped"] + receipt["unreadable"]
    traces = mlflow.traces()
    assert set(traces) == {*LOGS, *CASES}
    tags = {name: traces[name].info.tags["evalkit.receipt"] for name in refused}
    assert tags == dict.fromkeys(refused, "refused")
    assert all(0 < trace.info.request_time < 10**13 for trace in traces.values())
    assert mlflow.run().info.start_time == 1_783_598_400_000  # the run id's date, at noon
    spans = mlflow.client.get_trace(traces["20 MB in a line"].info.trace_id).data.spans
    assert max(len(str(span.outputs)) for span in spans) < 1_000_000
    assert evalkit(*COMMANDS["log"]).report["written"] is False
