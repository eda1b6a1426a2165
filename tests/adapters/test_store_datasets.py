"""Datasets: rows read, written and deleted; the right one of several of a name."""

import pytest
from mlflow import MlflowClient
from servers import Proxy

from evalkit.entities import Record
from evalkit.errors import StoreError
from evalkit.store import connect


@pytest.fixture
def write(store, key, experiment_id):
    def run(*upsert, delete=(), into=experiment_id, name=key):
        said = []
        store.apply_records(name, into, delete=delete, upsert=upsert, say=said.append)
        return said

    return run


def records(*numbers, **expectations):
    return [
        Record(f"case-{n}", {"prompt": f"do {n}", "level": n}, {"answer": n, **expectations})
        for n in numbers
    ]


def cases_of(rows):
    return [row.tags.get("evalkit.case") for row in rows]


def test_what_no_database_can_hold_and_large_numbers_come_back_as_they_were(
    store, key, experiment_id, write
):
    inputs = {"prompt": "a\x00b\ud800c😀", "n": 2**60, "f": 0.1, "none": None}
    write(Record("odd", inputs, {"nested": {"ä": [True, {"x": "y"}], "rubric": [1, None]}}))
    (row,) = store.records(key, experiment_id)
    assert row.inputs == inputs
    assert row.expectations == {"nested": {"ä": [True, {"x": "y"}], "rubric": [1, None]}}


def test_hundreds_of_rows_go_in_portions_and_are_read_page_by_page(
    store, key, experiment_id, write
):
    assert write(*records(*range(450)))[0] == "  200 of 450 rows written"
    rows = store.records(key, experiment_id)
    assert len(rows) == 450
    write(delete=[row.record_id for row in rows])
    assert store.records(key, experiment_id) == ()


def test_of_several_datasets_of_a_name_the_right_one_is_used(store, key, experiment_id, write):
    client, elsewhere = MlflowClient(store.uri), store.experiment("elsewhere", create=True)
    write(*records(9), into=elsewhere)
    assert store.records(key, experiment_id) is None
    theirs = client.create_dataset(key, experiment_id=[experiment_id])
    write(*records(1))  # a person's only one
    assert cases_of(store.records(key, experiment_id)) == ["case-1"]
    client.create_dataset(key, experiment_id=[experiment_id])
    with pytest.raises(StoreError, match="2 datasets called .* --dataset-name"):
        store.records(key, experiment_id)
    tags = {"evalkit.dataset": key}
    own = client.create_dataset(key, experiment_id=[experiment_id], tags=tags)
    write(*records(2))
    for made, count in ((theirs, 1), (own, 1)):
        rows, _ = store._client.tracking._load_dataset_records(made.dataset_id, max_results=10)
        assert len(rows) == count
    assert cases_of(store.records(key, experiment_id)) == ["case-2"]
    assert cases_of(store.records(key, elsewhere)) == ["case-9"]


def test_a_name_with_quotes_is_found_again(store, experiment_id, write):
    write(*records(1), name="it's odd")
    assert len(store.records("it's odd", experiment_id)) == 1
    with pytest.raises(StoreError, match="single and double quotes"):
        store.records('it\'s "odd"', experiment_id)


@pytest.mark.parametrize("fault", ["cut", "swallow"])
def test_a_dataset_whose_making_is_cut_short_is_not_made_twice(server, key, fault):
    with Proxy(server.uri, after=0, fault=fault, path="datasets/create") as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment(key, create=True)
        with pytest.raises(StoreError, match="creating the dataset"):
            store.apply_records(key, experiment_id, delete=(), upsert=records(1))
    store = connect(server.uri)
    store.apply_records(key, experiment_id, delete=(), upsert=records(1))
    found = MlflowClient(server.uri).search_datasets(filter_string=f'name = "{key}"')
    assert len(found) == 1
    assert cases_of(store.records(key, experiment_id)) == ["case-1"]
