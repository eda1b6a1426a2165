"""Datasets of a Databricks workspace: tables that mirror cases, read by the official client."""

import pytest
from official_client import through_official_client
from workspace_server import Fault

from evalkit.dataset.diff import compare_records
from evalkit.dataset.sync import apply_sync, preview_sync
from evalkit.entities import Record
from evalkit.errors import InputError, StoreError, Unfinished
from evalkit.store import connect

EXPERIMENT = "/Users/dev/cases"


@pytest.fixture
def store(workspace):
    assert workspace.url
    return connect("databricks")


@pytest.fixture
def table(request):
    """The name of a table of the test's own."""
    return f"main.evals.{request.node.name.partition('[')[0]}"


@pytest.fixture
def sync(workspace, table):
    """Mirrors records, as a new process does; gives what it did and what it said."""
    assert workspace.url

    def run(*records, experiment=EXPERIMENT):
        said = []
        store = connect("databricks")
        plan = preview_sync(store, experiment, table, records)
        apply_sync(store, experiment, table, plan, say=said.append)
        return {change.case_id: change.kind for change in plan.changes}, said

    return run


def record(n, **expectations):
    return Record(f"case-{n}", {"prompt": f"do {n}", "level": n}, {"answer": n, **expectations})


def cases_of(rows):
    return sorted(row["tags"]["evalkit.case"] for row in rows)


def test_cases_become_rows_and_stay_as_they_are(sync, workspace, table):
    assert sync(record(1), record(2)) == ({"case-1": "created", "case-2": "created"}, [])
    written = workspace.datasets.rows(table)
    assert sync(record(1), record(2)) == ({"case-1": "unchanged", "case-2": "unchanged"}, [])
    assert workspace.datasets.rows(table) == written
    assert cases_of(written) == ["case-1", "case-2"]


def test_edited_renamed_and_deleted_cases_are_mirrored(sync, store, table):
    sync(record(1, tone="dry"), record(2), record(3))
    renamed = Record("other", record(3).inputs, record(3).expectations)
    changed = Record("case-2", {"prompt": "do it otherwise"}, {"answer": 2})
    done, _ = sync(record(1), changed, renamed)
    assert done == {"case-1": "updated", "case-2": "updated", "other": "updated"}
    rows = store.records(table, store.experiment(EXPERIMENT, create=False))
    assert compare_records([record(1), changed, renamed], rows).is_empty
    assert len(rows) == 3


@pytest.mark.timeout(180)
def test_the_official_client_reads_what_is_written_and_its_own_rows_are_left_alone(sync, table):
    everything = {
        "guidelines": ["be polite"],
        "expected_response": "done",
        "expected_facts": ["one", "two"],
        "rubric": {"a": [1, None, 0.5], "b": {"c": True}},
        "nothing": None,
    }
    sync(record(1, **everything))
    theirs = {"inputs": {"prompt": "theirs"}, "expectations": {"answer": 3}}
    mine, other = through_official_client(table, theirs)
    assert mine == {
        "inputs": {"prompt": "do 1", "level": 1},
        "expectations": {"answer": 1, **everything},
        "tags": {"evalkit.case": "case-1"},
    }
    assert other == {**theirs, "tags": None}

    taken = Record("mine-too", {"prompt": "theirs"}, {"answer": 4})
    assert sync(record(2), taken)[0] == {
        "case-1": "deleted",
        "case-2": "created",
        "mine-too": "skipped",
    }
    assert other in through_official_client(table)


@pytest.mark.parametrize(
    ("name", "value"), [("guidelines", "polite"), ("expected_response", ""), ("expected_facts", [])]
)
def test_what_the_official_client_leaves_out_or_changes_is_named(sync, name, value):
    with pytest.raises(InputError, match=rf"case-1: expectations.{name}: .* otherwise than it was"):
        sync(record(1, **{name: value}))


def test_many_rows_go_in_portions_and_come_in_pages(sync, workspace, table):
    workspace.datasets.page = 70
    many = [record(n) for n in range(250)]
    done, said = sync(*many)
    assert set(done.values()) == {"created"}
    assert said == ["  100 of 250 rows written", "  200 of 250 rows written"]
    assert len(workspace.seen("POST .*:batchCreate$")) == 3
    assert set(sync(*many)[0].values()) == {"unchanged"}
    assert sync()[0] == {each.case_id: "deleted" for each in many}
    assert workspace.datasets.rows(table) == []


@pytest.mark.parametrize("status", [429, 503, 0])
def test_a_refusal_that_passes_is_waited_for(sync, workspace, table, status):
    workspace.faults = [Fault("batchCreate", status, {"Retry-After": "0"})]
    sync(record(1), record(2))
    assert cases_of(workspace.datasets.rows(table)) == ["case-1", "case-2"]


def test_rows_that_a_lost_answer_doubled_are_withdrawn(sync, workspace, table):
    workspace.faults = [Fault("batchCreate", 503, {"Retry-After": "0"}, done=True)]
    sync(record(1), record(2))
    assert len(workspace.seen("POST .*:batchCreate$")) == 2
    assert cases_of(workspace.datasets.rows(table)) == ["case-1", "case-2"]


def test_rows_that_a_killed_process_doubled_are_withdrawn_by_the_next(sync, workspace, table):
    sync(record(1))
    rows = workspace.datasets.tables[table].rows
    (row,) = rows.values()
    rows["doubled"] = {**row, "dataset_record_id": "doubled"}
    assert sync(record(1))[0] == {"case-1": "updated"}
    assert cases_of(rows.values()) == ["case-1"]
    assert sync(record(1))[0] == {"case-1": "unchanged"}


def test_a_failure_half_way_is_finished_by_the_same_command(sync, workspace, table):
    many = [record(n) for n in range(150)]
    sync(many[0])
    workspace.faults = [Fault("batchUpdate", 500)] * 9
    changed = Record("case-0", many[0].inputs, {"answer": "changed"})
    with pytest.raises(Unfinished, match="run the same command again"):
        sync(changed, *many[1:])
    assert len(workspace.datasets.rows(table)) == 100
    workspace.faults = []
    assert sync(changed, *many[1:])[0]["case-0"] == "updated"
    assert {"unchanged"} == set(sync(changed, *many[1:])[0].values())


@pytest.mark.parametrize("part", ["inputs", "expectations"])
def test_numbers_that_it_would_round_are_refused_before_anything_is_written(
    sync, workspace, table, part
):
    values = {"prompt": "x", "deep": [{"id": 2**53 + 1}]}
    large = Record("large", values if part == "inputs" else {"prompt": "x"}, values)
    with pytest.raises(InputError, match=rf"large: {part}.deep: .*beyond 9007199254740992"):
        sync(record(1), large)
    assert table not in workspace.datasets.tables


def test_a_case_that_is_too_large_is_named_before_anything_is_written(sync, workspace, table):
    with pytest.raises(InputError, match="case-2: is larger than 999,000 bytes"):
        sync(record(1), record(2, text="x" * 1_000_000))
    assert table not in workspace.datasets.tables


def test_a_workspace_without_tags_on_rows_is_found_out(sync, workspace):
    workspace.datasets.keeps_tags = False
    with pytest.raises(InputError, match="case-1: tags.evalkit.case: .* did not keep"):
        sync(record(1))


@pytest.mark.parametrize("merges", [False, True])
def test_an_expectation_that_goes_leaves_the_row_where_it_can(sync, workspace, table, merges):
    workspace.datasets.merges = merges
    sync(record(1, tone="dry"), record(2))
    rows = workspace.datasets.tables[table].rows
    before = next(row for row in rows.values() if "tone" in row["expectations"])
    before["tags"]["reviewed_by"] = "ann"
    assert sync(record(1), record(2))[0] == {"case-1": "updated", "case-2": "unchanged"}
    (after,) = (row for row in rows.values() if row["tags"]["evalkit.case"] == "case-1")
    assert set(after["expectations"]) == {"answer"}
    assert len(rows) == 2
    assert after["tags"]["reviewed_by"] == "ann"


@pytest.mark.parametrize("edited", [False, True])
def test_of_doubled_rows_the_same_one_stays_whoever_looks(sync, workspace, table, edited):
    sync(record(1))
    rows = workspace.datasets.tables[table].rows
    (row,) = list(rows.values())
    rows["0-doubled"] = {**row, "dataset_record_id": "0-doubled"}
    changed = Record("case-1", record(1).inputs, {"answer": 5})
    assert sync(changed if edited else record(1))[0] == {"case-1": "updated"}
    (left,) = rows.values()
    assert left["dataset_record_id"] == "0-doubled"
    assert left["expectations"]["answer"]["value"] == (5 if edited else 1)


def test_doubled_rows_that_lose_an_expectation_leave_one_without_it(sync, workspace, table):
    workspace.datasets.merges = True
    sync(record(1, tone="dry"))
    rows = workspace.datasets.tables[table].rows
    (row,) = list(rows.values())
    for name in ("0", "z"):
        rows[name] = {**row, "dataset_record_id": name}
    assert sync(record(1))[0] == {"case-1": "updated"}
    (left,) = rows.values()
    assert set(left["expectations"]) == {"answer"}
    assert sync(record(1))[0] == {"case-1": "unchanged"}


def test_of_two_who_delete_the_same_rows_both_succeed(store, sync, workspace, table):
    sync(record(1), record(2), record(3))
    ids = list(workspace.datasets.tables[table].rows)
    store.apply_records(
        table, store.experiment(EXPERIMENT, create=False), delete=ids[:1], upsert=()
    )
    store.apply_records(table, store.experiment(EXPERIMENT, create=False), delete=ids, upsert=())
    assert workspace.datasets.rows(table) == []


def test_a_row_of_somebody_elses_beside_ours_changes_nothing(sync, workspace, table):
    sync(record(1))
    rows = workspace.datasets.tables[table].rows
    (row,) = list(rows.values())
    theirs = {**row, "dataset_record_id": "theirs", "tags": {}}
    rows["theirs"] = theirs
    assert sync(record(1))[0] == {"case-1": "unchanged"}
    assert len(rows) == 2
    _, said = sync(Record("case-1", record(1).inputs, {"answer": 5}))
    assert said == ["  left alone, as they are somebody else's by now: 1"]
    assert rows == {"theirs": theirs}


def test_a_row_that_somebody_makes_meanwhile_is_left_alone(workspace, store, table):
    assert workspace.url
    experiment_id = store.experiment(EXPERIMENT, create=True)
    plan = preview_sync(store, EXPERIMENT, table, [record(1), record(2)])
    store.prepare_dataset(table, experiment_id)
    store.apply_records(table, experiment_id, delete=(), upsert=[record(2)])
    rows = workspace.datasets.tables[table].rows
    (row,) = rows.values()
    row["tags"] = {}
    said = []
    apply_sync(store, EXPERIMENT, table, plan, say=said.append)
    assert said == ["  left alone, as they are somebody else's by now: 1"]
    assert [each.get("tags") for each in rows.values()] == [{}, {"evalkit.case": "case-1"}]


@pytest.mark.parametrize(
    ("count", "text"),
    [(100, "客" * 2000), (8, "ж" * 100_000), (1, "客" * 150_000)],
    ids=["many", "long", "longest"],
)
def test_what_travels_is_measured_as_it_travels(sync, workspace, table, count, text):
    done, _ = sync(*(record(n, text=text) for n in range(count)))
    assert set(done.values()) == {"created"}
    assert len(workspace.datasets.rows(table)) == count


def test_deletions_that_a_lost_answer_hid_are_done(sync, workspace, table):
    sync(record(1), record(2))
    workspace.faults = [Fault("batchDelete", 503, {"Retry-After": "0"}, done=True)]
    assert sync(record(1))[0] == {"case-1": "unchanged", "case-2": "deleted"}
    assert cases_of(workspace.datasets.rows(table)) == ["case-1"]


def test_a_dataset_that_a_lost_answer_hid_is_found(sync, workspace, table):
    workspace.faults = [Fault("/managed-evals/datasets$", 503, {"Retry-After": "0"}, done=True)]
    assert sync(record(1))[0] == {"case-1": "created"}
    assert cases_of(workspace.datasets.rows(table)) == ["case-1"]


def test_a_dry_run_finds_what_is_wrong_before_there_is_an_experiment(store):
    with pytest.raises(StoreError, match="'main.nowhere' does not exist"):
        preview_sync(store, "/Users/dev/not yet", "main.nowhere.cases", [record(1)])
    assert store.experiment("/Users/dev/not yet", create=False) is None


def test_the_older_kind_of_dataset_is_refused_where_there_is_no_spark(sync, workspace):
    workspace.datasets.native = False
    with pytest.raises(Unfinished, match=r"pyspark.*older kind needs Spark"):
        sync(record(1))


def test_datasets_of_other_experiments_are_not_mirrored_into(sync, workspace, table):
    sync(record(1), experiment="/Users/dev/elsewhere")
    with pytest.raises(StoreError, match="one of other experiments"):
        sync(record(2))
    assert cases_of(workspace.datasets.rows(table)) == ["case-1"]


def test_a_table_that_is_no_dataset_is_not_touched(sync, workspace, table):
    sync(record(1))
    workspace.datasets.tables[table].dataset = None
    with pytest.raises(StoreError, match="is no evaluation dataset"):
        sync(record(2))


def test_a_missing_schema_is_named(store):
    experiment_id = store.experiment(EXPERIMENT, create=True)
    with pytest.raises(StoreError, match="'main.nowhere' does not exist.*create it"):
        store.records("main.nowhere.cases", experiment_id)


def test_without_a_right_to_it_the_workspaces_words_are_told(sync, workspace):
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
    refused = evalkit("sync-dataset", "--dataset-name", "support", uri="databricks")
    assert refused.code == 2
    done = evalkit("sync-dataset", "--dataset-name", "main.evals.support", uri="databricks")
    assert (done.code, done.report["dataset"]) == (0, "main.evals.support")
    assert done.report["created"] == len(workspace.datasets.rows("main.evals.support")) > 0


def test_a_table_that_is_not_there_has_no_rows(store, table):
    assert store.records(table, store.experiment(EXPERIMENT, create=True)) is None
