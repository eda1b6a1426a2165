"""Traces in tables of Unity Catalog are counted by SQL, as they would be if they were read."""

import re

import pytest
from mlflow import MlflowClient
from mlflow.entities import AssessmentError, AssessmentSource, Feedback
from recorder import Recorder, judge, person, step, wish
from sql_warehouse import WAREHOUSE
from trace_tables import BOUND_TAG

from evalkit.store import connect
from evalkit.store.databricks import Connection
from evalkit.store.warehouse import Warehouse
from evalkit.traces import sample
from evalkit.traces.sample import NO_INPUTS, NO_TRACES, survey

NEWER, OLDER = "shop.evals.support", "shop.evals"


@pytest.fixture
def tables():
    return NEWER


@pytest.fixture
def recorder(server, workspace, tables, monkeypatch, request):
    """Who writes traces that lie in tables."""
    monkeypatch.setenv("MLFLOW_TRACING_SQL_WAREHOUSE_ID", WAREHOUSE)
    found = Recorder(server.uri, f"/Users/dev/{request.node.name}")
    MlflowClient(server.uri).set_experiment_tag(found.experiment_id, BOUND_TAG, tables)
    workspace.tables.experiments[tables] = found.experiment_id
    return found


@pytest.fixture
def surveyed(recorder, workspace):
    """What is found of the traces, and what was said meanwhile; in tables only while ``by_sql``."""

    def read(*, by_sql=True, **how):
        said = []
        workspace.forbidden = () if by_sql else ("/api/2.0/sql/statements",)
        found = survey(connect("databricks"), recorder.experiment_id, say=said.append, **how)
        return found, said

    return read


def comparable(report):
    """The report without the order of what is as frequent, and without what examples show."""
    if isinstance(report, dict):
        found = {name: comparable(value) for name, value in report.items()}
        shown = {"trace_ids", "failed_in", "example", "inputs", "outputs"} & found.keys()
        return {**found, **{name: bool(found[name]) for name in shown}}
    if isinstance(report, list):
        return sorted(map(comparable, report), key=str)
    return report


def record_a_week(recorder):
    """Traces of two routes with errors, tools, tokens, judges and people, good ones and bad."""
    source = AssessmentSource("LLM_JUDGE", "a model")
    broken = Feedback(name="correct", error=AssessmentError("TIMEOUT", "no answer"), source=source)
    for number in range(12):
        recorder.trace(
            {"question": f"Where is my order QM-{number} at this hour?", "user": {"id": number}},
            {"answer": f"It is on its way {number}"},
            step("lookup", {"order": number}, "paid", took=0.5 + number / 10),
            step("search", {"q": "x"}, [{"page_content": "y"}], kind="RETRIEVER"),
            said=(judge(value=number > 2), broken, *[person(value=number == 4)] * (number < 6)),
            took=1 + number / 7,
        )
    for number in range(5):
        failed = f"order QM-1000{number} not found"
        recorder.trace(
            {"question": f"refund {number}", "when": None},
            None,
            step("refund", error=failed),
            step("deep", error=f"{failed} in <orders>", under=2),
            step("refund", error="refused: KeyError: 'order'"),
            name="refund",
            error="chain failed",
            said=(person(number + 1, "stars"), person("too slow", why="ten minutes", who="bo")),
        )
    recorder.trace({"question": "x"}, None, name="refund", error="the chain alone failed")
    recorder.trace({"question": ""}, "what?", said=(wish("tone", {"kind": ["warm"]}),))
    recorder.trace({}, {"answer": []}, step("lookup", error="busy"))
    recorder.trace("plain words", "plain answer", said=(judge(0.2, "score"), judge(0.9, "score")))


@pytest.mark.parametrize(
    ("tables", "most"), [(NEWER, 8), (OLDER, 400)], ids=["variant, sampled", "map, whole"]
)
def test_counts_and_sample_are_those_of_reading_all_traces(
    recorder, surveyed, workspace, tables, most, monkeypatch
):
    monkeypatch.setattr(sample, "MOST_ROWS", most)
    record_a_week(recorder)
    counted, said = surveyed()
    assert said == [f"counting the traces in {tables} by SQL"]
    assert workspace.seen("search-long-running") == []
    (read_whole,) = workspace.seen("GET .*/batchGet$")
    assert len(read_whole.repeated["trace_ids"]) == len(counted.rows)
    read, _ = surveyed(by_sql=False)
    assert workspace.seen("search-long-running")
    assert comparable(counted.analysis) == comparable(read.analysis)
    for by_sql, one_by_one in zip(counted.analysis["routes"], read.analysis["routes"], strict=True):
        assert set(by_sql["inputs"].split(" or ")) <= set(one_by_one["inputs"].split(" or "))
    assert counted.trace_ids == read.trace_ids
    assert [row.verdict for row in counted.rows] == [row.verdict for row in read.rows]
    assert (counted.is_sample, len(counted.rows) == 8) == (most == 8, most == 8)


REFUSED = r"refused a query \(FAILED\): .*"


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("_trace_unified", f"a SQL warehouse {REFUSED}trace_unified"),
        ("execution_duration_ms", f"{REFUSED}execution_duration_ms"),
        ("", "does not allow running SQL: .*ask who administers it"),
    ],
    ids=["no view", "no column", "no right to ask"],
)
def test_tables_that_cannot_be_counted_are_read_instead_and_that_is_said(
    recorder, surveyed, workspace, missing, told
):
    recorder.trace({"question": "x"})
    workspace.sql.missing |= {missing} - {""}
    found, said = surveyed(by_sql=bool(missing))
    assert len(found.rows) == 1
    instead = f"{NEWER} cannot be counted by SQL, so the traces are read instead: "
    assert re.search(f"{instead}.*{told}", said[-1])


def test_a_statement_that_does_not_end_is_cancelled_and_a_missing_warehouse_named(
    recorder, workspace, monkeypatch
):
    with pytest.raises(Exception, match="there is no SQL warehouse another in http://"):
        Connection().query("another", "SELECT 1")
    recorder.trace({"question": "x"})
    workspace.sql.is_slow = True
    monkeypatch.setattr("evalkit.store.databricks.SQL_PATIENCE_S", 0)
    with pytest.raises(Exception, match="a SQL warehouse needed over 0 minutes"):
        Warehouse("databricks", NEWER).ask("routes")
    assert len(workspace.seen("POST .*/cancel$")) == 1


def test_what_is_left_out_of_many_groups_is_said(recorder, surveyed, monkeypatch):
    for number in range(4):
        recorder.trace({"q": f"{number}"}, "ok", step("lookup", error=f"order {number} is lost"))
    monkeypatch.setattr(Warehouse, "most", 3)
    _, said = surveyed()
    assert "of errors 3 groups are counted, the largest or newest" in said


def test_tables_without_a_request_to_ask_again_are_told_as_such(recorder, surveyed):
    found, said = surveyed()
    assert found.problem == NO_TRACES
    assert "so the traces are read instead: it finds none there" in said[-1]
    recorder.trace({"q": ""})
    assert surveyed()[0].problem == NO_INPUTS
