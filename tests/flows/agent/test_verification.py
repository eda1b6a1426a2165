"""The program checks a suite itself: whatever a model claims, lies end in the right failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites import BY_HAND, EXPERIMENT, SCRIPT, Traced, dataset_file, spoiled, suite, trace_id

from evalkit.adapters.confinement import Confinement
from evalkit.adapters.suite import Patience, SuiteBench
from evalkit.core.agent.answer import answer_place
from evalkit.core.agent.damage import DAMAGES
from evalkit.core.agent.requests import Recorded
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE, Row
from evalkit.core.agent.verdicts import damage_table_text, table_of
from evalkit.flows.agent.verification import (
    check_dataset,
    check_scorer,
    check_script,
    check_suite,
)

SCORERS = ["answers", "finished", "grounded", "prompt"]
KEY = "sk-ant-api03-" + "a1B2" * 24


@pytest.fixture(scope="module")
def confinement() -> Confinement:
    return Confinement()


@pytest.fixture(scope="module")
def bench(confinement: Confinement, empty_database: Path) -> SuiteBench:
    return SuiteBench(confinement, empty_database=empty_database)


def test_a_good_suite_passes_with_proof_of_what_it_notices(
    bench: SuiteBench, confinement: Confinement
) -> None:
    check = check_suite(bench, suite(), EXPERIMENT, SCORERS, analysed="shop")
    assert (check.ok, check.failure) == (True, "")
    assert check.evidence[0].startswith("6 rows: 5 hold exactly what traces of the experiment hold")
    assert "answers: 4 of 4 good rows pass; notices emptied 4/4" in check.evidence[1]
    assert "left one MLflow run with 30 values for 6 rows" in check.evidence[-1]
    assert json.loads(json.dumps(check.details)) == check.details
    assert check.details["scorers"]["answers"]["values"] == {"False": 2, "True": 4}
    assert check.details["scorers"]["grounded"]["catches"]["swapped"] == [4, 4]
    assert check.details["scorers"]["grounded"]["catches"]["slowed"] == [0, 4]
    assert check.details["damages"] == {damage: [4, 4] for damage in DAMAGES}
    assert check.details["script"]["metrics"]["quick/mean"] == 1
    assert bench.confinement == confinement.name
    table = damage_table_text(table_of(json.loads(json.dumps(check.details))))
    assert table.splitlines()[2].split()[:4] == ["answers", "4/4", "-", "-"]


KIND_SAID = b"""
from mlflow.genai.scorers import scorer


@scorer
def kind_said(outputs):
    return isinstance(outputs, dict) and outputs["kind"] in {"lost", "late"}


SCORERS = [kind_said]
"""


def test_answers_are_damaged_where_the_experiments_answers_lie_whatever_the_datasets_rows_say(
    bench: SuiteBench,
) -> None:
    orders = {1: "A-1001-2026", 2: None, 3: None}
    rows = {
        n: Row({"text": f"parcel {n}"}, {"kind": "lost", "order": order}, {}, trace_id(n))
        for n, order in orders.items()
    }
    sorted_ = Traced(
        {trace_id(n): Recorded(trace_id(n), "sort", row, ok=True) for n, row in rows.items()}
    )
    files = {DATASET_FILE: dataset_file([rows[1]]), SCORERS_FILE: KIND_SAID}
    check = check_scorer(bench, files, sorted_, "kind_said", ["emptied", "error_text"])
    assert (check.ok, check.failure) == (True, "")
    assert answer_place([rows[1].outputs]) == ("order",)
    assert sorted_.place_of("sort") == ("kind",)


def test_each_part_of_a_good_suite_passes(bench: SuiteBench) -> None:
    files = suite()
    assert check_dataset(bench, files, EXPERIMENT).ok
    for name in SCORERS:
        check = check_scorer(bench, files, EXPERIMENT, name)
        assert (check.ok, len(check.evidence)) == (True, 1)
        assert list(check.details["scorers"]) == [name]
    assert check_script(bench, files, EXPERIMENT).ok


FIRST = trace_id(1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            f"'{FIRST}'",
            "'tr-invented'",
            "cites the trace tr-invented, which the experiment does no",
        ),
        ("within 30 days", "within 60 days", "row 1 does not hold what its trace"),
        ("Norway?'", "Sweden?'", "['inputs']['question'] is 'Do you ship to Sweden?' instead of"),
        ("'seconds': 2.5", "'seconds': 0.1", "['seconds'] is '0.1' instead of '2.5'"),
        ("RECORDED = {", "RECORDED = {} or {", ""),
        ("\nRECORDED = ", "\nRECORDED = {}\nX = ", "['steps'] has 0 items instead of 1"),
        ("'name': 'search', 'failed': False", "'name': 'search', 'failed': True", "['failed'] is"),
        (
            "{'language': 'es'}",
            f"{{'language': {KEY!r}}}",
            "holds a secret, which has to be masked",
        ),
        ("DATASET = [", f"# the key is {KEY}\nDATASET = [", "holds a secret (anthropic-key)"),
        ("\nRECORDED", "DATASET.append(DATASET[0])\nRECORDED", "rows 0 and 6 have the same inputs"),
        ("\nRECORDED", "DATASET[5]['outputs'] = 'Si.'\nRECORDED", "nobody recorded them"),
        ("\nRECORDED", "DATASET.clear()\nRECORDED", "DATASET has no rows"),
        (
            "\nRECORDED",
            "del DATASET[0]['inputs']\nRECORDED",
            "DATASET[0] has to be a dict of exactly",
        ),
        ("\nRECORDED", "import nowhere\nRECORDED", "No module named 'nowhere'"),
    ],
)
def test_a_dataset_that_is_not_what_was_recorded_fails(
    bench: SuiteBench, old: str, new: str, said: str
) -> None:
    check = check_dataset(bench, spoiled(DATASET_FILE, old, new), EXPERIMENT)
    assert check.ok is not bool(said)
    assert said in check.failure


def test_a_secret_of_a_trace_may_be_masked_in_the_dataset(bench: SuiteBench) -> None:
    known = next(iter(EXPERIMENT.values()))
    told = f"the key is {KEY}"
    recorded = Traced(
        {FIRST: type(known)(FIRST, "agent", type(known.row)({"q": told}, "ok", {}, FIRST), ok=True)}
    )
    files = {DATASET_FILE: dataset_file([recorded[FIRST].row])}
    assert "has to be masked" in check_dataset(bench, files, recorded).failure
    masked = {DATASET_FILE: files[DATASET_FILE].replace(KEY.encode(), b"[masked:anthropic-key]")}
    assert check_dataset(bench, masked, recorded).ok


BAD_SCORERS = """
@scorer
def constant(outputs):
    return True


@scorer
def strict(outputs):
    return False


@scorer
def fragile(inputs):
    return len(inputs["question"]) > 99 or 1 / ("Norway" not in inputs["question"])


@scorer
def brittle(outputs):
    return outputs is None or not outputs.startswith("Error")


@scorer
def an_object(outputs):
    return {"score": 1}


@scorer
def length(outputs):
    return isinstance(outputs, str) and len(outputs) > 30


SCORERS += [constant, strict, fragile, brittle, an_object, length]
"""


@pytest.fixture(scope="module")
def bad_scorers() -> dict[str, bytes]:
    files = suite()
    return {**files, SCORERS_FILE: files[SCORERS_FILE] + BAD_SCORERS.encode()}


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (
            "constant",
            "constant notices no damage at all (tried on good outputs: emptied, truncated",
        ),
        ("strict", "strict lets only 0 of 4 rows pass whose traces ended well"),
        ("fragile", "ZeroDivisionError: division by zero"),
        ("fragile", f"fragile on row 2 ({trace_id(3)})"),
        (
            "brittle",
            "brittle on row 0 (tr-00000000000000000000000000000001) damaged by wrong_format",
        ),
        ("an_object", "Got dict"),
        ("unwritten", "has no scorer named unwritten"),
        ("scorer", f"scorer on row 0 ({trace_id(1)}) (and on 41 more of 42): it gave no value"),
    ],
)
def test_a_scorer_that_cannot_judge_fails(
    bench: SuiteBench, bad_scorers: dict[str, bytes], scorer: str, said: str
) -> None:
    check = check_scorer(bench, bad_scorers, EXPERIMENT, scorer)
    assert not check.ok
    assert said in check.failure
    assert len(check.failure) <= 4_000


def test_a_scorer_has_to_notice_what_it_was_planned_for(
    bench: SuiteBench, bad_scorers: dict[str, bytes]
) -> None:
    assert check_scorer(bench, bad_scorers, EXPERIMENT, "length", ["emptied"]).ok
    check = check_scorer(bench, bad_scorers, EXPERIMENT, "length", ["emptied", "swapped"])
    assert "length was planned to notice 'swapped' but notices none of it" in check.failure


def test_a_suite_with_blind_or_missing_scorers_names_them(
    bench: SuiteBench, bad_scorers: dict[str, bytes]
) -> None:
    check = check_suite(bench, bad_scorers, EXPERIMENT, ["answers", "forgotten"])
    assert not check.ok
    for name in ("fragile", "brittle", "an_object", "forgotten on row 0"):
        assert name in check.failure
    assert "answers" not in check.failure


def test_without_a_good_output_nothing_is_proven_and_that_is_said(bench: SuiteBench) -> None:
    files = {**suite(), DATASET_FILE: dataset_file([BY_HAND])}
    check = check_scorer(bench, files, EXPERIMENT, "finished")
    assert check.ok
    assert "what it notices is not proven" in check.evidence[0]


INVENTING = (
    SCRIPT.replace('return row["outputs"]', 'return "Sorry."').replace("shop-evalkit", "shop")
    + "mlflow.start_run()\n"
)

ANOTHER_STORE = """
import os, shutil
import mlflow
store = os.environ["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")
shutil.copy(store, "other.db")
mlflow.set_tracking_uri("sqlite:///other.db")
with mlflow.start_run():
    pass
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print('all 30 values logged, everything passed')", "it left 0 MLflow runs"),
        ("print('x' * 1_000_000); raise SystemExit('the end')", "exit code 1; it printed last:"),
        ("import os; os.abort()", "ended with exit code -6"),
        (ANOTHER_STORE, "it left 0 MLflow runs in the store that MLFLOW_TRACKING_URI names"),
    ],
)
def test_a_script_that_does_not_evaluate_fails(bench: SuiteBench, script: str, said: str) -> None:
    check = check_script(bench, {**suite(), SCRIPT_FILE: script.encode()}, EXPERIMENT)
    assert not check.ok
    assert said in check.failure
    assert len(check.failure) <= 4_000


def test_a_script_that_evaluates_something_else_fails(bench: SuiteBench) -> None:
    files = {**suite(), SCRIPT_FILE: INVENTING.encode()}
    check = check_script(bench, files, EXPERIMENT, analysed="shop")
    assert not check.ok
    for said in (
        "it left 2 MLflow runs",
        "it writes into the analysed experiment shop: use shop-evalkit",
        f"{FIRST}: grounded has the value '0.0' in MLflow, but on the recorded outputs",
    ):
        assert said in check.failure


def test_a_script_that_does_not_end_is_stopped(
    confinement: Confinement, empty_database: Path
) -> None:
    patience = Patience(script=1)
    bench = SuiteBench(confinement, empty_database=empty_database, patience=patience)
    run = bench.run_script({SCRIPT_FILE: b"while True: pass"})
    assert run.error == "run_eval.py did not end in time and was stopped"


def test_a_script_reaches_nothing_outside_its_room(
    bench: SuiteBench, confinement: Confinement, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    code = f"open({str(outside)!r}, 'w').write('I was here')"
    run = bench.run_script({SCRIPT_FILE: code.encode()})
    assert outside.exists() is not confinement.strong
    assert ("exit code 1" in run.error) is confinement.strong
