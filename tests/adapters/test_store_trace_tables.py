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


@pytest.fixture
def store(workspace, monkeypatch):
    assert workspace.url
    monkeypatch.setenv("MLFLOW_TRACING_SQL_WAREHOUSE_ID", WAREHOUSE)
    return connect("databricks")


@pytest.fixture
def experiment_id(store, workspace, server, key):
    """An experiment whose traces are in tables."""
    found = store.experiment(f"/Users/dev/{key}", create=True)
    MlflowClient(server.uri).set_experiment_tag(found, BOUND_TAG, TABLES)
    workspace.tables.experiments[TABLES] = found
    return found


@pytest.fixture
def asked(server, experiment_id):
    """Questions to an agent of somebody else's, and the ids of its traces, oldest first."""
    agent = ShopAgent(server.uri, experiment_id)
    questions = ["where is it?", "and now?", "still nothing"]
    ids = [agent.answer(each, tokens=(7, 3)).removeprefix("tr-") for each in questions]
    return questions, [f"trace:/{TABLES}/{each}" for each in ids]


def test_they_are_read_with_their_spans_by_one_request(store, experiment_id, asked, workspace):
    questions, ids = asked
    found = list(store.observe(experiment_id, most=10))
    assert [each.trace_id for each in found] == ids[::-1]
    assert [each.request for each in found] == questions[::-1]
    assert {tuple(span.name for span in each.spans) for each in found} == {
        ("answer", "policies", "lookup", "chat")
    }
    assert {(each.input_tokens, each.output_tokens, each.unread) for each in found} == {(7, 3, "")}
    assert len(workspace.seen("GET .*/batchGet$")) == 1


def test_notes_on_them_are_refused(store, experiment_id, asked):
    _, ids = asked
    note = Note(ids[0], "feedback", "tone", "rude", "no greeting")
    with pytest.raises(
        StoreError, match=r"in tables of Unity Catalog \(shop.evals.support\), which evalkit reads"
    ):
        store.annotate_trace(experiment_id, note)


@pytest.mark.timeout(180)
def test_the_agent_plans_a_suite_from_them(
    evalkit, experiment_id, asked, monkeypatch, key, workspace
):
    _, ids = asked
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
    assert experiment_id
    (kept,) = Path().glob("sessions/*/state/analysis.json")
    looked_at = json.loads(kept.read_text())["trace_ids"]
    assert looked_at
    assert set(looked_at) <= set(ids)
    assert f"counting the traces in {TABLES} by SQL" in planned.err
    assert not workspace.seen("search-long-running")
