"""``evalkit import`` of tables: questions become cases, and given answers a run."""

import io
import json
import zipfile

import pandas as pd
import pytest
import yaml

ASKED, EXPECTED = "question", "expected_answer"
CSV = (
    "\ufeff,id,question,expected_answer,required_context,category,tags\r\n"
    '0,007,"What is, then, a ""lease""?",A contract,leases.md,easy,"[\'a\', \'b\']"\r\n'
    "1,08,Who pays?,The tenant,costs.md,easy,[]\r\n"
    "2,08,Who pays?,The tenant,costs.md,easy,[]\r\n"
    "3,9,Who\r\n"
    "4,10,,Nobody,,,\r\n"
)
IN_CSV = {
    "007": (
        {ASKED: 'What is, then, a "lease"?'},
        {
            EXPECTED: "A contract",
            "required_context": "leases.md",
            "category": "easy",
            "tags": ["a", "b"],
        },
    ),
    "08": (
        {ASKED: "Who pays?"},
        {EXPECTED: "The tenant", "required_context": "costs.md", "category": "easy"},
    ),
}
LINES = (
    '{"nl_query": "how many seats?", "gold_sql": "SELECT 1"}\n'
    "// --- GROUP CHATS ---\n"
    '{"nl_query": "book {day+3}", "gold_sql": null, "note": "a placeholder"}\n'
    '{"broken": \n'
)
IN_LINES = {
    "x": ({"nl_query": "how many seats?"}, {"gold_sql": "SELECT 1"}),
    "y": ({"nl_query": "book {day+3}"}, {"note": "a placeholder"}),
}
CLAY = {"id": 1, "query": "wet clay?", "relevant_ids": ["d2"], "lesson": "rare"}
WRAPPED = {"_comment": "from the team", "queries": [CLAY]}
ASKS, REPLIES = {"role": "user", "content": "hi?"}, {"role": "assistant", "content": "hello!"}
AS_MLFLOW = '{"inputs": {"topic": "rain"}, "expectations": {"expected_facts": ["wet"]}}'
ANSWERS = [
    {"id": "a", "question": "1+1?", "expected_answer": "2", "actual_answer": "2", "correct": True},
    {"id": "b", "question": "2+2?", "expected_answer": "4", "actual_answer": "5", "correct": False},
    {"id": "c", "question": "3+3?", "expected_answer": "6", "error": "timed out", "time_secs": 45},
    {"id": "a", "question": "1+1?", "expected_answer": "2", "actual_answer": "11"},
]


def content(path):
    return yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}


def cases_in(folder):
    return {
        each.name: (content(each / "input.yaml"), content(each / "annotations.yaml"))
        for each in (folder / "cases").iterdir()
    }


TABLES = {
    "leases.csv": (CSV, IN_CSV, ("says the same as", "has more or fewer values", "asks nothing")),
    "seats.jsonl": (LINES, IN_LINES, ("is no JSON object", "is no JSON object")),
    "labels.json": (
        json.dumps(WRAPPED),
        {"1": ({"query": "wet clay?"}, {"relevant_ids": ["d2"], "lesson": "rare"})},
        (),
    ),
    "chat.json": (
        json.dumps([{"messages": [ASKS, REPLIES]}]),
        {"": ({"messages": [ASKS]}, {"expected_reply": "hello!"})},
        (),
    ),
    "mlflow.jsonl": (AS_MLFLOW, {"": ({"topic": "rain"}, {"expected_facts": ["wet"]})}, ()),
    "rivers.csv": (
        "Q;Ground Truth\nLongest river?;Nile\n",
        {"": ({"Q": "Longest river?"}, {"Ground Truth": "Nile"})},
        (),
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_become_cases_and_no_answer_an_input(evalkit, project, name):
    text, cases, passed_over = TABLES[name]
    project.write(f"in/{name}", text)
    report = evalkit("import", f"in/{name}", "--out", "made").report
    found = cases_in(project.root / "made")
    assert sorted(map(repr, found.values())) == sorted(map(repr, cases.values()))
    if '"id"' in text or ",id" in text:
        assert set(found) == set(cases)
    reasons = list(report["skipped"].values())
    assert len(reasons) == len(passed_over)
    assert all(any(each.startswith(why) for each in reasons) for why in passed_over)

    mapped = evalkit("map", "--config", "made/eval.yaml", "--out", "made/mapping.json").report
    (asked, *_), _ = next(iter(cases.values()))
    assert mapped["inputs"] == {asked: f"input.yaml:{asked}"}
    assert not {"category", "lesson", "note"} & mapped["expectations"].keys()


def test_a_frame_keeps_lists_and_has_no_missing_values(evalkit, project):
    rows = [
        {"question": "a?", "answer": "b", "sources": ["x", "y"], "level": 1.0},
        {"question": "c?", "answer": None, "sources": [], "level": float("nan")},
    ]
    (project.root / "in").mkdir()
    pd.DataFrame(rows).to_parquet(project.root / "in/t.parquet")
    evalkit("import", "in/t.parquet", "--out", "made")
    assert sorted(map(repr, cases_in(project.root / "made").values())) == [
        "({'question': 'a?'}, {'answer': 'b', 'sources': ['x', 'y'], 'level': 1.0})",
        "({'question': 'c?'}, {})",
    ]


def test_answers_of_ones_own_runner_become_runs_that_all_stages_work_on(evalkit, project):
    project.write("in/runner.jsonl", "".join(json.dumps(row) + "\n" for row in ANSWERS))
    report = evalkit("import", "in/runner.jsonl", "--out", "made").report
    assert (report["cases"], report["runs"]) == (3, 2)
    assert cases_in(project.root / "made")["a"] == ({"question": "1+1?"}, {EXPECTED: "2"})
    runs = project.root / "made/eval/runs"
    assert (runs / "runner/cases/b/answer.md").read_text() == "5"
    assert (runs / "runner-run-2/cases/a/answer.md").read_text() == "11"

    where = ("--config", "made/eval.yaml", "--runs-dir", "made/eval/runs")
    done = evalkit("all", *where, "--run-id", "runner").report
    logged = done["log-results"]
    assert logged["executions"] == {"total": 3, "failed": 1, "names": {"c": "exit code 1"}}
    assert (logged["traces"], done["push-feedback"]["judge"]) == (3, 2)
    assert done["sync-dataset"]["created"] == 3
    compared = evalkit("compare", "runner-run-2", "--baseline", "runner", *where)
    assert compared.report["verdict"] == "unknown"


def test_answers_to_questions_that_are_there_leave_their_cases_and_config(evalkit, project):
    project.write("in/asked.csv", f"id,{ASKED},{EXPECTED}\na,1+1?,2\nb,2+2?,4\n")
    evalkit("import", "in/asked.csv", "--out", "made")
    files = ("eval.yaml", "cases/a/input.yaml", "cases/a/annotations.yaml")
    before = [project.read(f"made/{name}") for name in files]
    answers = {"id": "a", "question": "1+1", "output": "3"}, {"question": "2+2?", "output": "4"}
    for name, given in zip(("by_id", "by_question"), answers, strict=True):
        project.write(f"in/{name}.jsonl", json.dumps(given))
        assert evalkit("import", f"in/{name}.jsonl", "--out", "made").report["runs"] == 1
    assert [project.read(f"made/{name}") for name in files] == before
    assert sorted(cases_in(project.root / "made")) == ["a", "b"]


def workbook():
    """As much of one as tells what it is."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.xlsx", workbook(), "install the openpyxl package"),
        ("t.parquet", b"PAR1", "t.parquet: cannot be read"),
        ("t.json", b'[{"status": "done", "owner": "me"}]', "no column can be told to be asked"),
        ("t.csv", b"question\n", "holds no rows"),
        ("t.csv", b"question\n\xff\n", "is not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(evalkit, project, name, content, words):
    (project.root / name).write_bytes(content)
    done = evalkit("import", name)
    assert (done.code, words in done.err) == (2, True), done.err
