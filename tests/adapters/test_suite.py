"""The bench on which a suite's code runs: real processes, whatever the code does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from suites import EXPERIMENT, spoiled, suite

from evalkit.adapters.confinement import Confinement
from evalkit.adapters.suite import Patience, SuiteBench
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, Score
from evalkit.core.errors import InputError

NAUGHTY = """
import sys, time

from mlflow.entities import AssessmentError, Feedback
from mlflow.genai.scorers import scorer


@scorer
def raises(outputs):
    return outputs["answer"]


@scorer
def leaves():
    sys.exit(0)


@scorer
def endless():
    while True:
        time.sleep(0.01)


@scorer
def silent():
    return None


@scorer
def nothing():
    return []


@scorer
def an_object():
    return {"score": 1}


@scorer
def a_word():
    return "excellent"


@scorer
def not_a_number():
    return float("nan")


@scorer
def failed_judge():
    return Feedback(error=AssessmentError("NO_MODEL", "there is no judge"))


@scorer
def changes(inputs, outputs, expectations):
    inputs.clear()
    expectations["x"] = 1
    return "yes"


@scorer
def sees(inputs, expectations):
    return bool(inputs) and not expectations


@scorer
def several():
    return [Feedback(name="one", value=True, rationale="why"), Feedback(name="two", value=0.5)]


SCORERS = [
    raises, leaves, endless, silent, nothing, an_object, a_word, not_a_number, failed_judge,
    changes, sees, several,
]
"""


@pytest.fixture(scope="module")
def bench() -> SuiteBench:
    return SuiteBench(Confinement(), patience=Patience(load=3, scorer=0.5, python=2))


def test_a_dataset_is_loaded_with_what_was_recorded(bench: SuiteBench) -> None:
    loaded = bench.load(suite(), scorers=False)
    assert loaded.error == ""
    assert loaded.rows[:-1] == tuple(each.row for each in EXPERIMENT.values())
    assert loaded.rows[-1].source_trace_id is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("DATASET = [", "SyntaxError"),
        ("import nowhere", "No module named 'nowhere'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(0)", "ended the process"),
        ("import os; os._exit(0)", "exit code 0 before it was done"),
        ("import os; os.kill(os.getpid(), 11)", "before it was done"),
        ("while True: pass", "did not end within"),
        ("while True: print('x' * 100_000)", "did not end within"),
        ("DATASET = {}; RECORDED = {}", "has to be a list of rows; it is of type dict"),
        ("DATASET = []", "RECORDED has to be a dict by source_trace_id; it is missing"),
        ("DATASET = [{'inputs': {}}]; RECORDED = {}", "DATASET[0] has to be a dict of exactly"),
        ("ROW['inputs'] = 'text'", "DATASET[0]['inputs'] has to be a dict; it is of type str"),
        ("ROW['source_trace_id'] = 7", "['source_trace_id'] has to be text or None"),
        ("ROW['outputs'] = {1, 2}", "['outputs'] is of type set, which JSON has no place for"),
        ("ROW['outputs'] = (1, 2)", "is of type tuple"),
        ("ROW['outputs'] = [float('nan')]", "['outputs'][0] is nan"),
        ("ROW['outputs'] = '\\ud800'", "is of type str, which JSON has no place for"),
        ("ROW['outputs'] = {1: 2}", "keys have to be text"),
        ("ROW['outputs'] = x = []\nfor _ in range(99): x.append([]); x = x[0]", "nested deeper"),
        ("ROW['outputs'] = x = []; x.append(x)", "nested deeper"),
        ("ROW['outputs'] = 'x' * 20_000_001", "choose fewer cases"),
        ("RECORDED['tr'] = {'steps': [{'name': 'x'}]}", "RECORDED['tr']['steps'][0] has to be"),
        ("RECORDED['tr'] = []", "RECORDED['tr'] has to be a dict of steps"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_said(bench: SuiteBench, code: str, said: str) -> None:
    if "DATASET" not in code:
        code = (
            "ROW = {'inputs': {}, 'outputs': 1, 'expectations': {}, 'source_trace_id': None}\n"
            f"DATASET, RECORDED = [ROW], {{}}\n{code}"
        )
    assert said in bench.load({DATASET_FILE: code.encode()}, scorers=False).error


def test_an_answer_is_not_believed_because_it_is_there(bench: SuiteBench) -> None:
    forgery = """
import json, os, pathlib, sys
frame = sys._getframe()
while "request" not in frame.f_locals:
    frame = frame.f_back
request = frame.f_locals["request"]
answer = pathlib.Path.cwd().parent / request["answer"]
"""
    link = "os.symlink('/etc/passwd', answer); os._exit(0)"
    other = "answer.write_text(json.dumps({'rows': [{'inputs': 3}]})); os._exit(0)"
    deep = "answer.write_text('[' * 100_000); os._exit(0)"
    for code, said in [
        (link, "before it was done"),
        (other, "is not what was agreed"),
        (deep, "is not what was agreed"),
    ]:
        files = {DATASET_FILE: (forgery + code).encode()}
        assert said in bench.load(files, scorers=False).error


def test_a_missing_file_is_named(bench: SuiteBench) -> None:
    assert "there is no evaluation/eval_dataset.py" in bench.load({}, scorers=False).error
    assert "there is no evaluation/run_eval.py" in bench.run_script({}).error


def test_a_path_that_leads_out_of_the_session_is_refused(bench: SuiteBench) -> None:
    with pytest.raises(InputError, match="leads out"):
        bench.load({"../evil.py": b""}, scorers=False)


def test_python_runs_beside_the_suite(bench: SuiteBench) -> None:
    ran = bench.run_python(suite(), "from eval_dataset import DATASET; print(len(DATASET))")
    assert (ran.ok, ran.output.strip()) == (True, "6")
    failed = bench.run_python(suite(), "print('before'); 1 / 0")
    assert not failed.ok
    assert "before" in failed.output
    assert "ZeroDivisionError" in failed.output
    assert "stopped after 2 seconds" in bench.run_python({}, "while True: pass").output
    flood = bench.run_python({}, "print('x' * 1_000_000); print('the end')")
    assert len(flood.output) <= 12_001
    assert flood.output.strip().endswith("the end")


def test_nothing_of_a_room_is_left(bench: SuiteBench) -> None:
    where = "import pathlib; print(pathlib.Path(__file__).parents[2])"
    room = Path(bench.run_python({}, where).output.strip())
    assert room.name.startswith("evalkit-")
    assert not room.exists()


def by_scorer(scores: list[Score]) -> Mapping[str, list[Score]]:
    names = dict.fromkeys(score.scorer for score in scores)
    return {name: [score for score in scores if score.scorer == name] for name in names}


def test_whatever_scorers_do_each_row_has_a_score_or_an_error(bench: SuiteBench) -> None:
    rows = [each.row for each in EXPERIMENT.values()][:2]
    answered = bench.score({SCORERS_FILE: NAUGHTY.encode()}, rows)
    assert not isinstance(answered, str)
    first, second = map(by_scorer, answered)
    for scorer, said in {
        "raises": 'return outputs["answer"]',
        "leaves": "SystemExit",
        "endless": "did not end within",
        "silent": "returned None, which is no verdict",
        "nothing": "returned [], which is no verdict",
        "an_object": "Got dict",
        "a_word": "returned 'excellent', which is no verdict",
        "not_a_number": "returned nan, which is no verdict",
        "failed_judge": "there is no judge",
    }.items():
        (score,) = first[scorer]
        assert score.value is None
        assert said in score.error
    assert "TypeError: string indices" in first["raises"][0].error
    assert "not run" in second["endless"][0].error
    assert first["changes"] == [Score("changes", "yes")]
    assert first["sees"] == second["sees"] == [Score("sees", value=True)]
    assert first["several"] == [
        Score("several", value=True, rationale="why", part="one"),
        Score("several", 0.5, part="two"),
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (spoiled(SCORERS_FILE, "SCORERS = [answers", "SCORERS = [len"), "is no MLflow scorer"),
        (
            spoiled(
                SCORERS_FILE, "outputs is None:", "outputs is None:\n        import os; os._exit(0)"
            ),
            "before it was done",
        ),
    ],
)
def test_scorers_that_cannot_be_run_are_explained(
    bench: SuiteBench, files: dict[str, bytes], said: str
) -> None:
    answered = bench.score(files, [EXPERIMENT[f"tr-{5:032x}"].row])
    assert isinstance(answered, str)
    assert said in answered


def test_what_went_well_is_remembered_for_the_same_files_only() -> None:
    bench = SuiteBench(Confinement())
    first = bench.load(suite(), scorers=False)
    assert bench.load(suite(), scorers=False) is first
    other_scorers = {**suite(), SCORERS_FILE: b""}
    assert bench.load(other_scorers, scorers=False) is first
    other_rows = {**suite(), DATASET_FILE: suite()[DATASET_FILE] + b"#"}
    assert bench.load(other_rows, scorers=False) is not first
