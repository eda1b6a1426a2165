"""Files that are missing, empty, broken or hostile end in a clear message, and lose nothing.

How a broken file of each kind ends, and which line is named, is recorded in ``cli/test_golden.py``.
"""

import json
import time

import pytest
from agentlogs import answer, as_lines, init, say, text, use
from eval_project import CASES, MAPPING, RESULT, RUN, log_of, score, scores_of

SYNC, LOG, PUSH = ("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN)
CHECK, MAP, PULL = ("check",), ("map",), ("pull-feedback", *RUN)
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
        done = evalkit(*stage)
        assert time.monotonic() - began < 30
        assert (done.code, "Traceback" in done.err) == (2, False), done.err
        said = " ".join(
            f"{problem['file']}:{problem['line']} {problem['field']} {problem['message']}"
            for problem in done.report["problems"]
        )
        assert [words for words in expected if words not in said] == []
        assert done.report["problems"][0]["fix"]
        assert mlflow.experiment_id is None
        assert {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()} == before
        return done.report["problems"]

    return run


SUMMARY, RESULTS, REVIEW = "RUN/summary.yaml", "RUN/run_result.json", "RUN/review.yaml"
CONFIG, CASE, MAPPED = "eval.yaml", "cases/beta/input.yaml", "tmp/schema_mapping.json"


@pytest.mark.parametrize(
    ("stage", "file", "content", "expected"),
    [
        (LOG, CONFIG, "", ("eval.yaml", "the file is empty")),
        (LOG, CONFIG, "x: !!python/object/apply:os.system [true]\n", ("not YAML",)),
        (LOG, CONFIG, LATIN, ("eval.yaml:1", "not UTF-8 (byte 0xe9)")),
        (LOG, CONFIG, BOMB, ("aliases expand",)),
        (LOG, CONFIG, DEEP, ("nests deeper",)),
        (LOG, CONFIG, "a: &a [*a]\n", ("contains itself",)),
        (CHECK, SUMMARY, "per_case: {a: {tone: 3}, b: 4}\n", ("per_case.a.tone", "per_case.b")),
        (CHECK, SUMMARY, BOMB, ("aliases expand",)),
        (CHECK, RESULTS, '{"duration_s": "long"}', ("duration_s must be a number",)),
        (CHECK, RESULTS, '{"x": ' + "9" * 5000 + "}", ("not JSON",)),
        (PULL, REVIEW, "feedback: {alpha: [x]}\n", ("feedback.alpha must be text",)),
        (PUSH, REVIEW, BOMB, ("aliases expand",)),
        (SYNC, CASE, "prompt: [\n", ("beta/input.yaml:1", "alpha/input.yaml:1", "not YAML")),
        (SYNC, CASE, BOMB, ("aliases expand",)),
        (SYNC, MAPPED, "nowhere.yaml:prompt", ("mapping.json", "ions.outcome", "nowhere.yaml")),
        (SYNC, MAPPED, "input.yaml:nowhere", ("mapping.json", "ions.outcome", "nowhere")),
    ],
    ids=lambda each: str(each)[:24] if isinstance(each, str | bytes) else "",
)
def test_a_file_that_cannot_be_read_is_named_with_its_line_and_nothing_is_touched(
    ends, project, stage, file, content, expected
):
    if file == MAPPED:
        content = {**MAPPING, "expectations": {"outcome": content}}
    if file == CASE:  # every problem is told at once
        project.write("cases/alpha/input.yaml", "a: [\n")
    project.write(file.replace("RUN", project.run_dir), content)
    assert len(ends(stage, *expected)) == 2 or file != CASE


def test_what_is_not_there_says_where_or_how_to_get_it(ends, project):
    for path in ("nowhere", "eval.yaml", "../../nowhere", ""):
        project.configure(dataset={"path": path, "schema": "prose"})
        ends(SYNC, "dataset.path")
    project.remove("eval.yaml")
    assert "--config" in ends(LOG, "eval.yaml", "no such file")[0]["fix"]
    project.configure()
    project.remove(MAPPED)
    assert "evalkit map" in ends(SYNC, "there is no mapping yet")[0]["fix"]
    for case in CASES:
        project.remove(f"cases/{case}")
    for stage in (MAP, CHECK):
        ends(stage, "no case directories")
    run = project.root / project.run_dir
    run.rename(project.root / "kept")
    run.mkdir()
    ends(LOG, "no finished run")


def test_what_is_null_counts_as_not_given(evalkit, project):
    project.configure(**dict.fromkeys(["judges", "thresholds", "models", "mlflow", "outputs"]))
    project.review.write_text("reviewer: ann\nfeedback:\n")
    assert [evalkit(*stage).code for stage in (LOG, SYNC, PUSH, PULL)] == [0, 0, 0, 0]
    assert project.review.read_text() == "reviewer: ann\nfeedback:\n"


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        (SUMMARY, None, "no summary.yaml"),
        (SUMMARY, "per_case: {alpha: null, beta: {tone: null}}\n", "no scores"),
        (RESULTS, None, "no run_result.json"),
        (RESULTS, "null", ""),
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
    report = evalkit(*LOG).report
    assert any(note in each for each in report["notes"])
    assert (report["traces"], set(mlflow.traces())) == (3, set(CASES))


HARD_NAMES = ["a:b%c", "größe/😀", "quality!", "quality?", "..", "/abs", "a//b", " ", "x" * 300]


def test_judges_and_cases_whose_names_are_hard_keep_all_their_figures_also_without_logs(
    evalkit, project, mlflow
):
    project.unlog(*CASES)
    judged = {name: score(number) for number, name in enumerate(HARD_NAMES)}
    cases = {"alpha": judged, 7: {3: score({"a": [1]})}, True: scores_of("x")}
    summary = {"judges": {n: {"mean": i} for i, n in enumerate(HARD_NAMES)}, "per_case": cases}
    project.write(project.summary, summary)
    done = evalkit(*LOG)
    assert done.code == 0, done.err
    report, figures = done.report, mlflow.run().data.metrics
    assert {value for name, value in figures.items() if "mean" in name} >= {*range(8)}
    assert sum("quality" in name for name in figures) == 2
    assert len([note for note in report["notes"] if "is called" in note]) >= 5
    assert len(mlflow.feedback("alpha")) == len(HARD_NAMES)
    assert (report["table_rows"], report["unmatched"]) == (len(HARD_NAMES) + 5, 0)
    assert report["receipt"]["missing"] == ["7", "alpha", "true"]  # as the file has it
    assert evalkit(*LOG).report["written"] is False


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
    done = evalkit(*LOG)
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
    assert evalkit(*LOG).report["written"] is False
