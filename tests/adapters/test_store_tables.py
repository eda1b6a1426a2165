"""Datasets of a Databricks workspace: tables that mirror cases, read by the official client."""

import json
import os
import subprocess
import sys

import pytest
from eval_project import RUN_ID
from workspace_server import Fault

from evalkit.dataset.sync import apply_sync, compare_records
from evalkit.entities import Record
from evalkit.errors import InputError, StoreError, Unfinished
from evalkit.store import connect

EXPERIMENT = "/Users/dev/cases"


@pytest.fixture
def table(request, workspace):
    """The name of a table of the test's own."""
    assert workspace.url
    return f"main.evals.{request.node.name.partition('[')[0]}"


@pytest.fixture
def sync(table):
    """Mirrors records, as a new process does; gives what it did and what it said."""

    def run(*records, experiment=EXPERIMENT, into=table):
        store, said = connect("databricks"), []
        stored = store.records(into, store.experiment(experiment, create=False))
        plan = compare_records(records, stored or ())
        apply_sync(store, experiment, into, plan, say=said.append)
        return {change.case_id: change.kind for change in plan.changes}, said

    return run


@pytest.fixture
def rows(workspace, table):
    """The rows of the table, by their id, which a test may change."""
    return lambda: workspace.datasets.tables[table].rows


def record(n, **expectations):
    return Record(f"case-{n}", {"prompt": f"do {n}", "level": n}, {"answer": n, **expectations})


def cases_of(rows):
    return sorted(row["tags"]["evalkit.case"] for row in rows().values())


def test_cases_are_mirrored_and_stay_as_they_are_by_portions_and_pages(sync, rows, workspace):
    workspace.datasets.page = 70
    many = [record(n) for n in range(250)]
    done, said = sync(*many)
    assert set(done.values()) == {"created"}
    assert said == ["  100 of 250 rows written", "  200 of 250 rows written"]
    assert len(workspace.seen("POST .*:batchCreate$")) == 3
    written = [*rows().values()]
    assert set(sync(*many)[0].values()) == {"unchanged"}
    assert [*rows().values()] == written
    renamed = Record("other", many[0].inputs, many[0].expectations)
    now = [renamed, Record("case-1", {"prompt": "do it otherwise"}, {}), record(2, tone="dry")]
    assert sorted(sync(*now)[0].values()) == ["deleted"] * 247 + ["updated"] * 3
    assert set(sync(*now, record(3))[0].values()) == {"unchanged", "created"}
    assert cases_of(rows) == ["case-1", "case-2", "case-3", "other"]


OFFICIAL = """
import json, sys
from mlflow.genai.datasets import get_dataset
dataset = get_dataset(name=sys.argv[1])
dataset.merge_records([{"inputs": {"prompt": "theirs"}, "expectations": {"answer": 3}}])
fields = ["inputs", "expectations", "tags"]
print(json.dumps(dataset.to_df()[fields].to_dict(orient="records")))
"""
"""A process of its own, as what it imports warns."""


@pytest.mark.timeout(180)
def test_the_official_client_reads_what_is_written_and_its_own_rows_are_left_alone(
    sync, table, rows
):
    everything = {
        "guidelines": ["be polite"],
        "expected_response": "done",
        "expected_facts": ["one", "two"],
        "rubric": {"a": [1, None, True], "ä": "😀"},
    }
    sync(record(1, **everything))
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "databricks"}
    command = [sys.executable, "-c", OFFICIAL, table]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == {
        "inputs": {"prompt": "do 1", "level": 1},
        "expectations": {"answer": 1, **everything},
        "tags": {"evalkit.case": "case-1"},
    }
    theirs = [*rows().items()][1]
    taken = Record("mine-too", {"prompt": "theirs"}, {"answer": 4})
    did = {"case-1": "deleted", "case-2": "created", "mine-too": "skipped"}
    assert sync(record(2), taken)[0] == did
    assert theirs in rows().items()


def test_what_the_workspace_leaves_out_or_changes_is_named(sync, workspace):
    for name, value in (("guidelines", "polite"), ("expected_facts", []), ("large", 2**53 + 1)):
        told = rf"case-1: expectations.{name}: .* otherwise than it was"
        with pytest.raises(InputError, match=told):
            sync(record(1, **{name: value}))
        sync()
    rounded = Record("large", {"deep": [{"id": 2**53 + 1}]}, {})
    with pytest.raises(Unfinished, match=r"not have 1 of 2 rows .*large.*beyond 2\^53 are rounded"):
        sync(record(1), rounded)
    workspace.datasets.keeps_tags = False
    with pytest.raises(Unfinished, match="not have 1 of 1 rows as they were sent"):
        sync(record(3))


@pytest.mark.parametrize(
    ("path", "status", "done"),
    [
        ("batchCreate", 429, False),
        ("batchCreate", 503, True),
        ("batchDelete", 503, True),
        ("/managed-evals/datasets$", 503, True),
    ],
)
def test_a_refusal_that_passes_and_a_lost_answer_change_nothing(
    sync, workspace, rows, path, status, done
):
    if path == "batchDelete":
        sync(record(1), record(2), record(3))
    workspace.faults = [Fault(path, status, {"Retry-After": "0"}, done=done)]
    sync(record(1), record(2))
    assert workspace.faults == []
    assert cases_of(rows) == ["case-1", "case-2"]


def test_a_failure_half_way_is_finished_by_the_same_command(sync, workspace, rows):
    many = [record(n) for n in range(150)]
    sync(many[0])
    workspace.faults = [Fault("batchUpdate", 500)] * 9
    changed = Record("case-0", many[0].inputs, {"answer": "changed"})
    with pytest.raises(Unfinished, match="run the same command again"):
        sync(changed, *many[1:])
    assert len(rows()) == 100
    workspace.faults = []
    assert sync(changed, *many[1:])[0]["case-0"] == "updated"
    assert {"unchanged"} == set(sync(changed, *many[1:])[0].values())


@pytest.mark.parametrize(("merges", "loses"), [(False, True), (True, False)])
def test_of_doubled_rows_one_stays_and_says_what_the_case_says(
    sync, workspace, rows, merges, loses
):
    """They are what a killed process leaves whose answer was lost."""
    workspace.datasets.merges = merges
    sync(record(1, tone="dry"))
    (row,) = list(rows().values())
    for name in ("0", "z"):
        rows()[name] = {**row, "dataset_record_id": name}
    now = record(1) if loses else record(1, tone="dry")
    assert sync(now)[0] == {"case-1": "updated"}
    (left,) = rows().values()
    assert set(left["expectations"]) == {"answer"} | ({"tone"} if not loses else set())
    assert sync(now)[0] == {"case-1": "unchanged"}


def test_what_is_no_dataset_for_these_cases_is_named_and_not_touched(sync, workspace, table, rows):
    new = "/Users/dev/not yet"
    with pytest.raises(StoreError, match="'main.nowhere' does not exist.*create it"):
        sync(record(1), experiment=new, into="main.nowhere.cases")
    assert connect("databricks").experiment(new, create=False) is None
    sync(record(1), experiment="/Users/dev/elsewhere")
    with pytest.raises(StoreError, match="one of other experiments"):
        sync(record(2))
    assert cases_of(rows) == ["case-1"]
    workspace.datasets.tables[table].dataset = None
    with pytest.raises(StoreError, match="is no evaluation dataset"):
        sync(record(2))
    workspace.faults = [Fault("/unity-catalog/tables/", 403)] * 3
    with pytest.raises(StoreError, match="403 .*grant"):
        sync(record(1))


def test_a_command_needs_a_table_by_name_where_the_project_is_on_no_volume(
    evalkit, project, workspace
):
    project.configure(mlflow={"experiment": EXPERIMENT})
    refused = evalkit("sync-dataset", uri="databricks")
    assert refused.code == 2
    assert "give it as CATALOG.SCHEMA.TABLE" in refused.report["error"]
    logged = evalkit("log-results", "--run-id", RUN_ID, uri="databricks")
    assert logged.code == 0
    assert "linked to none; name one with --dataset-name" in logged.err
    done = evalkit("sync-dataset", "--dataset-name", "main.evals.support", uri="databricks")
    assert (done.code, done.report["dataset"]) == (0, "main.evals.support")
    assert done.report["created"] == len(workspace.datasets.rows("main.evals.support")) > 0
