"""Datasets: rows read, written and deleted; the right one of several of a name."""

import pytest
from mlflow import MlflowClient
from servers import Proxy

from evalkit.entities import Record
from evalkit.errors import StoreError
from evalkit.store import connect


@pytest.fixture
def name(request):
    return f"cases of {request.node.name}"


@pytest.fixture
def experiment_id(store, name):
    return store.experiment(name, create=True)


def records(*numbers, **expectations):
    return [
        Record(f"case-{n}", {"prompt": f"do {n}", "level": n}, {"answer": n, **expectations})
        for n in numbers
    ]


def seen(store, name, experiment_id):
    """Each row's case, inputs and expectations."""
    rows = store.records(name, experiment_id)
    return {
        row.tags.get("evalkit.case"): (dict(row.inputs), dict(row.expectations)) for row in rows
    }


def test_rows_are_written_and_read_back(store, name, experiment_id):
    said = []
    store.apply_records(
        name,
        experiment_id,
        delete=(),
        upsert=records(1, 2, rubric={"a": [1, None]}),
        say=said.append,
    )
    assert seen(store, name, experiment_id) == {
        f"case-{n}": (
            {"prompt": f"do {n}", "level": n},
            {"answer": n, "rubric": {"a": [1, None]}},
        )
        for n in (1, 2)
    }


def test_named_rows_are_deleted_and_all_others_stay(store, name, experiment_id):
    store.apply_records(name, experiment_id, delete=(), upsert=records(1, 2, 3))
    (foreign,) = MlflowClient(store.uri).search_datasets(
        experiment_ids=[experiment_id], filter_string=f'name = "{name}"'
    )
    store._client.tracking.upsert_dataset_records(
        foreign.dataset_id, [{"inputs": {"prompt": "a person's"}, "expectations": {}}]
    )
    ids = {r.tags.get("evalkit.case"): r.record_id for r in store.records(name, experiment_id)}
    store.apply_records(name, experiment_id, delete=[ids["case-2"]], upsert=records(4))
    assert set(seen(store, name, experiment_id)) == {"case-1", "case-3", "case-4", None}


def test_thousands_of_rows_are_read_page_by_page(sqlite_uri):
    store = connect(sqlite_uri)
    experiment_id = store.experiment("many", create=True)
    said = []
    many = records(*range(1200))
    store.apply_records("many", experiment_id, delete=(), upsert=many, say=said.append)
    assert len(store.records("many", experiment_id)) == 1200
    assert said[0] == "  200 of 1200 rows written"
    everything = [row.record_id for row in store.records("many", experiment_id)]
    store.apply_records("many", experiment_id, delete=everything, upsert=())
    assert store.records("many", experiment_id) == ()


def test_of_several_datasets_evalkits_own_in_this_experiment_is_used(store, name, experiment_id):
    client = MlflowClient(store.uri)
    client.create_dataset(name, experiment_id=[experiment_id])
    own = client.create_dataset(name, experiment_id=[experiment_id], tags={"evalkit.dataset": name})
    store.apply_records(name, experiment_id, delete=(), upsert=records(1))
    rows, _ = store._client.tracking._load_dataset_records(own.dataset_id, max_results=10)
    assert len(rows) == 1


def test_a_persons_only_dataset_of_that_name_is_used(store, name, experiment_id):
    client = MlflowClient(store.uri)
    made = client.create_dataset(name, experiment_id=[experiment_id])
    store.apply_records(name, experiment_id, delete=(), upsert=records(1))
    found = client.search_datasets(filter_string=f'name = "{name}"')
    assert [each.dataset_id for each in found] == [made.dataset_id]
    assert len(store.records(name, experiment_id)) == 1


def test_a_dataset_of_another_experiment_is_left_alone(store, name, experiment_id):
    elsewhere = store.experiment(f"{name} elsewhere", create=True)
    store.apply_records(name, elsewhere, delete=(), upsert=records(1))
    assert store.records(name, experiment_id) is None
    store.apply_records(name, experiment_id, delete=(), upsert=records(2))
    assert set(seen(store, name, elsewhere)) == {"case-1"}
    assert set(seen(store, name, experiment_id)) == {"case-2"}


def test_several_datasets_of_others_are_not_chosen_from(store, name, experiment_id):
    client = MlflowClient(store.uri)
    for _ in range(2):
        client.create_dataset(name, experiment_id=[experiment_id])
    with pytest.raises(StoreError, match="2 datasets called .* --dataset-name"):
        store.records(name, experiment_id)


def test_a_name_with_quotes_is_found_again(store, name, experiment_id):
    odd = f"it's {name}"
    store.apply_records(odd, experiment_id, delete=(), upsert=records(1))
    assert len(store.records(odd, experiment_id)) == 1
    with pytest.raises(StoreError, match="single and double quotes"):
        store.records('it\'s "odd"', experiment_id)


def test_odd_texts_and_values_survive(store, name, experiment_id):
    odd = [
        Record(
            "case-1",
            {"prompt": "a\x00b\ud800c😀", "n": 2**60, "f": 0.1, "none": None},
            {"nested": {"ä": [True, {"x": "y"}]}},
        )
    ]
    store.apply_records(name, experiment_id, delete=(), upsert=odd)
    (row,) = store.records(name, experiment_id)
    assert row.inputs == odd[0].inputs
    assert row.expectations == odd[0].expectations


@pytest.mark.parametrize("fault", ["cut", "swallow"])
def test_a_dataset_whose_making_is_cut_short_is_not_made_twice(server, name, fault):
    with Proxy(server.uri, after=0, fault=fault, path="datasets/create") as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(name, create=True)
        with pytest.raises(StoreError, match="creating the dataset"):
            store.apply_records(name, experiment_id, delete=(), upsert=records(1))
    store = connect(server.uri)
    store.apply_records(name, experiment_id, delete=(), upsert=records(1))
    found = MlflowClient(server.uri).search_datasets(filter_string=f'name = "{name}"')
    assert len(found) == 1
    assert set(seen(store, name, experiment_id)) == {"case-1"}
