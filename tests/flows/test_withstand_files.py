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
ITSELF = "a: &a [*a]\n"
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
        for words in expected:
            assert words in said
        assert done.report["problems"][0]["fix"]
        assert mlflow.experiment_id is None
        assert {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()} == before
        return done

    return run


# -- eval.yaml --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ("eval.yaml", "the file is empty")),
        (b"- a list\n", ("not a mapping",)),
        (b"name: x\njudges: [\n", ("eval.yaml:2", "not YAML")),
        (b"x: !!python/object/apply:os.system [true]\n", ("not YAML",)),
        (LATIN, ("eval.yaml:1", "not UTF-8 (byte 0xe9)")),
        (BOMB.encode(), ("aliases expand",)),
        (DEEP.encode(), ("nests deeper",)),
        (ITSELF.encode(), ("contains itself",)),
    ],
    ids=lambda each: each[:16] if isinstance(each, bytes) else "",
)
def test_a_config_that_cannot_be_read(ends, project, content, expected):
    project.write("eval.yaml", content)
    ends("log", *expected)


@pytest.mark.parametrize("stage", ["log", "pull", "all"])
def test_a_config_that_is_missing(ends, project, stage):
    project.remove("eval.yaml")
    done = ends(stage, "eval.yaml", "no such file")
    assert "--config" in done.report["problems"][0]["fix"]


def test_everything_that_is_wrong_with_a_config_is_told_at_once(ends, project):
    project.write(
        "eval.yaml",
        "name: {a: b}\nmodels: fast\ndataset: cases\nexecution: {mode: sideways}\n"
        "judges:\n- check: x\n- name: twin\n- name: twin\n- 7\n"
        "thresholds: {twin: {min_mean: high}, other: 3}\nmlflow: {tags: [a]}\n",
    )
    done = ends(
        "check", "name", "models", "dataset", "execution.mode", "judges[0]", "judges[2].name"
    )
    assert len(done.report["problems"]) == 11
    lines = [problem["line"] for problem in done.report["problems"]]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    "config",
    [
        dict.fromkeys(["judges", "thresholds", "models", "mlflow", "runner", "outputs"]),
        {"judges": [], "thresholds": {}, "anything": {"of": ["another", "tool"]}},
    ],
    ids=str,
)
def test_what_is_null_counts_as_not_given(evalkit, project, config):
    project.configure(**config)
    assert [evalkit(*COMMANDS[stage]).code for stage in ("log", "sync")] == [0, 0]


# -- a run's own files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("summary.yaml", b"judges: [\n", ("summary.yaml:1", "not YAML")),
        ("summary.yaml", b"judges: 3\nper_case: []\n", ("judges", "per_case")),
        ("summary.yaml", b"per_case: {a: {tone: 3}, b: 4}\n", ("per_case.a.tone", "per_case.b")),
        ("summary.yaml", BOMB.encode(), ("aliases expand",)),
        ("run_result.json", b"", ("run_result.json:1", "not JSON")),
        ("run_result.json", b'{"duration_s": "long"}', ("duration_s must be a number",)),
        ("run_result.json", b'{"x": ' + b"9" * 5000 + b"}", ("not JSON",)),
    ],
    ids=lambda each: repr(each[:20]) if isinstance(each, bytes) else None,
)
def test_a_runs_file_that_cannot_be_read(ends, project, file, content, expected):
    project.write(f"{project.run_dir}/{file}", content)
    ends("check", *expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"feedback: [\n", ("review.yaml:1", "not YAML")),
        (b"feedback: {alpha: [x]}\n", ("feedback.alpha must be text",)),
        (BOMB.encode(), ("aliases expand",)),
        (b"- a\n", ("not a mapping",)),
    ],
    ids=lambda each: repr(each[:20]) if isinstance(each, bytes) else "",
)
def test_a_review_that_cannot_be_read_and_one_that_says_nothing_yet(
    ends, evalkit, project, content, expected
):
    project.write(f"{project.run_dir}/review.yaml", content)
    for stage in ("push", "pull"):
        ends(stage, *expected)
    project.review.write_text("reviewer: ann\nfeedback:\n")
    assert [evalkit(*COMMANDS[stage]).code for stage in ("push", "pull")] == [0, 0]
    assert project.review.read_text() == "reviewer: ann\nfeedback:\n"


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        ("summary.yaml", None, "no summary.yaml"),
        ("summary.yaml", "", "no scores"),
        ("run_result.json", None, "no run_result.json"),
        ("run_result.json", "null", ""),
        ("summary.yaml", "per_case: {alpha: null, beta: {tone: null}}\n", "no scores"),
    ],
    ids=str,
)
def test_what_a_run_lacks_is_noted_and_the_rest_is_logged(
    evalkit, project, mlflow, file, content, note
):
    path = f"{project.run_dir}/{file}"
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
    assert "summary.yaml" in ends("log", "no finished run").report["problems"][0]["fix"]
    run.rmdir()
    (project.root / "kept").rename(run)
    report = evalkit(*COMMANDS["log"]).report
    assert (report["traces"], report["table_rows"], report["unmatched"]) == (3, 12, 0)
    assert report["receipt"]["missing"] == list(CASES)
    assert mlflow.run().data.metrics["quality/mean"] == 4


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


# -- cases and mapping ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"prompt: [\n", ("beta/input.yaml:1", "not YAML")),
        (LATIN, ("beta/input.yaml:1", "not UTF-8")),
        (BOMB.encode(), ("aliases expand",)),
        (DEEP.encode(), ("nests deeper",)),
    ],
    ids=lambda each: repr(each[:20]) if isinstance(each, bytes) else "",
)
def test_a_case_that_cannot_be_read(ends, project, content, expected):
    project.write("cases/beta/input.yaml", content)
    project.write("cases/alpha/input.yaml", "a: [\n")
    problems = ends("sync", *expected, "alpha/input.yaml:1").report["problems"]
    assert len(problems) == 2


@pytest.mark.parametrize("stage", ["sync", "map", "check"])
def test_cases_that_are_not_there(ends, project, stage):
    for path in ("nowhere", "eval.yaml", "../../nowhere", ""):
        project.configure(dataset={"path": path, "schema": "prose"})
        ends(stage, "dataset.path")
    project.configure()
    for case in CASES:
        project.remove(f"cases/{case}")
    ends(stage, "no case directories")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("nowhere.yaml:prompt", "nowhere.yaml"),
        ("input.yaml:nowhere", "nowhere"),
    ],
)
def test_a_mapping_that_names_what_is_not_there(ends, project, selector, expected):
    project.write("tmp/schema_mapping.json", {**MAPPING, "expectations": {"outcome": selector}})
    ends("sync", "schema_mapping.json", "expectations.outcome", expected)


def test_without_a_mapping_sync_says_how_to_get_one(ends, project):
    project.remove("tmp/schema_mapping.json")
    done = ends("sync", "there is no mapping yet")
    assert "evalkit map" in done.report["problems"][0]["fix"]


# -- logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (BINARY, "no line of the log is a JSON object"),
        (b"{" * 100_000, "no line of the log is a JSON object"),
    ],
    ids=lambda each: repr(each[:16]) if isinstance(each, bytes) else "",
)
def test_a_log_that_gives_no_trace_is_refused_alone(evalkit, project, mlflow, content, reason):
    project.log("beta", content)
    done = evalkit(*COMMANDS["log"])
    assert done.code == 0
    assert reason in done.report["receipt"]["refused"]["beta"]
    assert "no steps in the trace of beta" in done.err
    assert set(mlflow.traces()) == {"alpha", "beta", "gamma"}
    assert mlflow.traces()["beta"].info.tags["evalkit.receipt"] == "refused"
    assert done.report["table_rows"] == 12


def test_a_log_of_plain_text_is_the_answer_of_its_case(evalkit, project, mlflow):
    project.log("beta", b"[INFO] starting\nThe parcel is on its way.\n")
    done = evalkit(*COMMANDS["log"])
    receipt = done.report["receipt"]
    assert (receipt["refused"], receipt["verdicts"]["text"]) == ({}, 1)
    assert "1 logs are plain text" in done.err
    beta = mlflow.traces()["beta"]
    assert beta.info.tags["evalkit.receipt"] == "text"
    assert beta.info.response_preview == "[INFO] starting\nThe parcel is on its way."


@pytest.mark.parametrize(
    "content",
    [
        b'[1, 2]\n"text"\nnull\n' + log_of("beta").replace(b"\n", b"\r\n") + b"\xff\xfe done\n",
        log_of("beta") * 3 + b'{"type": "never seen"}\n{"type": 3}\n{"type": null}\n{}\n',
        log_of("beta")[:-40],
    ],
    ids=["other lines", "thrice", "cut"],
)
def test_a_log_with_more_or_less_in_it_gives_a_trace(evalkit, project, mlflow, content):
    project.log("beta", content)
    report = evalkit(*COMMANDS["log"]).report
    receipt = report["receipt"]
    assert receipt["refused"] == {}
    assert receipt["lines"] == receipt["used"] + receipt["skipped"] + receipt["unreadable"]
    assert set(mlflow.traces()) == set(CASES)
    assert evalkit(*COMMANDS["log"]).report["written"] is False


@pytest.mark.parametrize("when", ["2026-13-45T99:00:00Z", 10**400, "9999-12-31"], ids=repr)
def test_timestamps_that_are_no_times_spoil_nothing(evalkit, project, mlflow, when):
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "started_at": when})
    stamped = b"".join(
        line[:-1] + f', "timestamp": {json.dumps(when)}}}\n'.encode()
        for line in (each.rstrip(b"\n") for each in log_of("beta").splitlines())
    )
    project.log("beta", stamped)
    report = evalkit(*COMMANDS["log"]).report
    assert report["traces"] == 3
    info = mlflow.traces()["beta"].info
    assert 0 < info.request_time < 10**13
    assert mlflow.run().info.start_time == 1_783_598_400_000  # the run id's date, at noon
    assert evalkit(*COMMANDS["log"]).report["written"] is False


def test_what_lies_beside_a_log_may_be_broken(evalkit, project, mlflow):
    beside = f"{project.run_dir}/cases/beta"
    project.write(f"{beside}/events.json", b"{not json")
    project.write(f"{beside}/subagents/agent-1.jsonl", BINARY)
    project.write(f"{beside}/run_result.json", b"\xff")
    report = evalkit(*COMMANDS["log"]).report
    assert report["traces"] == 3
    assert set(mlflow.traces()) == set(CASES)


def test_a_line_of_20_megabytes_is_shortened_and_said(evalkit, project, mlflow):
    large = "0123456789" * 2_000_000
    lines = [init(), say("m1", use("t1", "Bash", command="cat")), answer("t1", large)]
    project.log("beta", b"".join(as_lines([*lines, say("m2", text("much"))])))
    began = time.process_time()
    report = evalkit(*COMMANDS["log"]).report
    assert time.process_time() - began < 20
    assert report["traces"] == 3
    assert report["receipt"]["unreadable"] == 0
    assert set(mlflow.traces()) == set(CASES)
    spans = mlflow.client.get_trace(mlflow.traces()["beta"].info.trace_id).data.spans
    assert max(len(str(span.outputs)) for span in spans) < 1_000_000


def test_scores_that_are_structures_and_cases_that_are_numbers(evalkit, project):
    project.write(project.summary, {"per_case": {7: {3: score({"a": [1]})}, True: scores_of("x")}})
    report = evalkit(*COMMANDS["log"]).report
    assert (report["table_rows"], report["unmatched"]) == (5, 0)
    assert report["receipt"]["missing"] == ["7", "true"]  # as the file has it
