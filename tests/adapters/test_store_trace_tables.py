"""Traces in tables of Unity Catalog: read as any others, and never written to."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from shop_agent import ShopAgent
from trace_tables import BOUND_TAG, WAREHOUSE

from evalkit.entities import Note
from evalkit.errors import StoreError
from evalkit.store import connect

TABLES = "shop.evals.support"
QUESTIONS = ["where is it?", "and now?", "still nothing"]


@pytest.fixture
def ids(server, workspace, key):
    """The ids of traces of an agent of somebody else's that lie in tables, oldest first."""
    experiment_id = connect("databricks").experiment(f"/Users/dev/{key}", create=True)
    MlflowClient(server.uri).set_experiment_tag(experiment_id, BOUND_TAG, TABLES)
    workspace.tables.experiments[TABLES] = experiment_id
    agent = ShopAgent(server.uri, experiment_id)
    found = [agent.answer(each, tokens=(7, 3)).removeprefix("tr-") for each in QUESTIONS]
    return [f"trace:/{TABLES}/{each}" for each in found]


def test_they_are_read_with_their_spans_by_one_request_and_notes_on_them_are_refused(
    ids, workspace, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACING_SQL_WAREHOUSE_ID", WAREHOUSE)
    store, experiment_id = connect("databricks"), workspace.tables.experiments[TABLES]
    found = list(store.observe(experiment_id, most=10))
    assert [each.trace_id for each in found] == ids[::-1]
    assert [each.request for each in found] == QUESTIONS[::-1]
    assert {tuple(span.name for span in each.spans) for each in found} == {
        ("answer", "policies", "lookup", "chat")
    }
    assert {(each.input_tokens, each.output_tokens, each.unread) for each in found} == {(7, 3, "")}
    assert len(workspace.seen("GET .*/batchGet$")) == 1
    note = Note(ids[0], "feedback", "tone", "rude", "no greeting")
    told = r"in tables of Unity Catalog \(shop.evals.support\), which evalkit reads"
    with pytest.raises(StoreError, match=told):
        store.annotate_trace(experiment_id, note)


@pytest.mark.timeout(180)
def test_the_agent_plans_a_suite_from_them(evalkit, ids, monkeypatch, key, workspace):
    monkeypatch.setenv("MLFLOW_TRACING_SQL_WAREHOUSE_ID", "to be overruled")
    planned = evalkit(
        "agent",
        f"--experiment-id=/Users/dev/{key}",
        "--mlflow-agent-experiment-id=/Users/dev/own",
        f"--sql-warehouse-id={WAREHOUSE}",
        "--model=offline",
        "--max-iterations=1",
        uri="databricks",
    )
    assert planned.code == 1, planned.err
    (kept,) = Path().glob("sessions/*/state/analysis.json")
    looked_at = json.loads(kept.read_text())["trace_ids"]
    assert looked_at
    assert set(looked_at) <= set(ids)
    assert f"counting the traces in {TABLES} by SQL" in planned.err
    assert not workspace.seen("search-long-running")
