"""Evaluation datasets: their rows read, written and deleted, and runs linked to them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from evalkit.entities import CASE_TAG, Record, StoredRecord, digest_of, row_key
from evalkit.errors import InputError, Problem, StoreError
from evalkit.masking import mask_text
from evalkit.store.client import Client, portions
from evalkit.store.failures import Refused
from evalkit.store.forms import json_text, sql_literal
from evalkit.store.internals import once
from evalkit.store.runs import Runs

OWN_TAG = "evalkit.dataset"  # of the datasets that evalkit made; holds the name
_PARTS = ("inputs", "expectations", "tags")
_BYTES_AT_A_TIME = 2_000_000
_NO_PLACE = {"SCHEMA_DOES_NOT_EXIST", "CATALOG_DOES_NOT_EXIST"}
_ELSEWHERE = "choose another name with --dataset-name"
_LOST = "run the same command again; if it stays so: whole numbers beyond 2^53 are rounded there"


class Datasets(Runs):
    """The store's part for datasets, which are named as people name them."""

    _datasets: KeptDatasets

    def records(self, dataset: str, experiment_id: str | None) -> tuple[StoredRecord, ...] | None:
        """The rows of an experiment's dataset; None where there is none of that name."""
        dataset_id = self._datasets.find(mask_text(dataset)[0], experiment_id)
        return None if dataset_id is None else self._datasets.rows(dataset_id)

    def prepare_dataset(self, dataset: str, experiment_id: str) -> str:
        """Make the dataset where it is missing; its id."""
        datasets, dataset = self._datasets, mask_text(dataset)[0]
        with self._client.alone():
            found = datasets.find(dataset, experiment_id)
            return datasets.create(dataset, experiment_id) if found is None else found

    def apply_records(
        self,
        dataset: str,
        experiment_id: str,
        *,
        delete: Sequence[str],
        upsert: Sequence[Record],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Delete rows by id, then write records; the dataset is made where it is missing."""
        dataset_id, datasets = self.prepare_dataset(dataset, experiment_id), self._datasets
        made = (
            {
                "inputs": dict(record.inputs),
                "expectations": dict(record.expectations),
                "tags": {CASE_TAG: record.case_id},
            }
            for record in upsert
        )
        sized, done, most = ((row, len(json_text(row))) for row in made), 0, datasets.rows_at_a_time
        with self._client.alone():
            for some in portions(((each, 0) for each in delete), most, 1):
                datasets.delete(dataset_id, some)
            for rows in portions(sized, most, _BYTES_AT_A_TIME):
                datasets.write(
                    dataset_id, rows, f"writing rows of the dataset ({done} are written)"
                )
                done += len(rows)
                if done < len(upsert):
                    say(f"  {done} of {len(upsert)} rows written")
            datasets.check(dataset_id, upsert)

    def link_dataset(
        self, run_id: str, experiment_id: str, name: str
    ) -> Literal["linked", "was linked", "missing"]:
        """Link a run to the dataset that it was evaluated on, if to none so far."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run, datasets, name = self._run(run_id), self._datasets, mask_text(name)[0]
        if run.dataset:
            return "was linked"
        dataset_id = datasets.find(name, experiment_id) if name else None
        if dataset_id is None:
            return "missing"
        digest, (kind, key) = digest_of(datasets.rows(dataset_id)), datasets.source
        entry = Dataset(name, digest, kind, json_text({key: dataset_id}))
        found = DatasetInput(entry, [InputTag("mlflow.data.context", "evaluation")])
        with self._client.alone():
            self._client.doing("linking the dataset").log_inputs(run_id, [found])
        self._runs[run_id] = replace(run, dataset=digest)
        return "linked"


class KeptDatasets:
    """The datasets that a server or database keeps itself."""

    rows_at_a_time = 200
    source = "mlflow_evaluation_dataset", "dataset_id"  # as MLflow's own evaluation links it

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The id of the experiment's that evalkit made, else of the only one of that name."""
        if experiment_id is None:
            return None
        here, own = self._called(name, experiment_id)
        if not own and len(here) > 1:
            raise StoreError(
                f"MLflow has {len(here)} datasets called {name!r}, and none of them is evalkit's"
                f" ({', '.join(here)}): {_ELSEWHERE}, or delete all but one"
            )
        return next(iter(own or here), None)

    def create(self, name: str, experiment_id: str) -> str:
        """Create a dataset and mark it as evalkit's, unless another process has just done so."""
        creating = self._client.doing("creating the dataset")
        with once():
            made = creating.create_dataset(name, {OWN_TAG: name}, [experiment_id])
        stands, *others = self._called(name, experiment_id)[1] or [str(made.dataset_id)]
        for other in others:
            self._client.doing("taking back a dataset made twice").delete_dataset(other)
        return stands

    def _called(self, name: str, experiment_id: str) -> tuple[list[str], list[str]]:
        """The ids of all of a name, and of those that evalkit made."""
        with self._client.answering(f"looking for the dataset {name!r}"):
            found = self._client.tracking.search_datasets(
                experiment_ids=[experiment_id], filter_string=f"name = {sql_literal(name)}"
            )
            tags = {each.dataset_id: each.tags or {} for each in found}
        return sorted(tags), sorted(each for each in tags if OWN_TAG in tags[each])

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, oldest first; of a workspace in its order."""
        rows: list[Any] = []
        # there is no public method that takes an id
        reading = self._client.doing("reading the dataset")._load_dataset_records  # noqa: SLF001
        page, is_last = None, False
        while not is_last:
            some, page = reading(dataset_id, max_results=1000, page_token=page)
            rows += some
            is_last = not page
        return tuple(
            StoredRecord(each.dataset_record_id, *(getattr(each, part) or {} for part in _PARTS))
            for each in rows
        )

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows; those that are gone already are passed over."""
        deleting = self._client.doing("deleting rows of the dataset")
        deleting.delete_dataset_records(dataset_id, record_ids)

    def write(self, dataset_id: str, rows: list[dict[str, Any]], doing: str) -> None:
        """Write rows."""
        self._client.doing(doing).upsert_dataset_records(dataset_id, rows)

    def check(self, dataset_id: str, records: Sequence[Record]) -> None:
        """Rows stand as they were sent."""


class DatasetTables(KeptDatasets):
    """The datasets of a workspace, by the official client; an id is the full name of a table.

    That goes on where a batch was refused, takes a text among the guidelines apart into letters and
    leaves empty expectations out, all in silence. So what was written is read again, and compared.
    """

    rows_at_a_time = 100
    source = "databricks-uc-table", "table_name"

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The name again; None where there is no such table."""
        try:
            there: list[str] = self._open(name).experiment_ids or []
        except Refused as refused:
            if refused.code in _NO_PLACE:
                table = "name a table elsewhere (--dataset-name CATALOG.SCHEMA.TABLE)"
                raise StoreError(f"{refused.said}: create it, or {table}") from refused
            if refused.code == "RESOURCE_DOES_NOT_EXIST":
                what = f"there is a table {name}, and it is no evaluation dataset: {_ELSEWHERE}"
                raise StoreError(what) from refused
            if refused.says_there_is_none:
                return None
            raise
        if there and experiment_id not in there:
            raise StoreError(
                f"the dataset {name} is one of other experiments ({', '.join(there)}), and"
                f" mirroring into it would delete what they mirror: {_ELSEWHERE}"
            )
        return name

    def create(self, name: str, experiment_id: str) -> str:
        """Create the dataset and its table; a StoreError where there is no right to it."""
        from mlflow.genai.datasets import create_dataset

        try:
            with self._official(f"creating the dataset {name!r}"):
                create_dataset(name=name, experiment_id=experiment_id)
        except StoreError:
            # somebody quicker, or a first try whose answer was lost
            if self.find(name, experiment_id) is None:
                raise
        return name

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, in the workspace's order."""
        dataset = self._open(dataset_id)
        with self._official("reading the dataset"):
            found = dataset.to_df().to_dict(orient="records")
        return tuple(
            StoredRecord(row["dataset_record_id"], *(row[part] or {} for part in _PARTS))
            for row in found
        )

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows; those that are gone already are passed over."""
        there = {row.record_id for row in self.rows(dataset_id)}
        dataset = self._open(dataset_id)
        with self._official("deleting rows of the dataset"):
            dataset.delete_records([each for each in record_ids if each in there])

    def write(self, dataset_id: str, rows: list[dict[str, Any]], doing: str) -> None:
        """Write rows."""
        dataset = self._open(dataset_id)
        with self._official(doing):
            dataset.merge_records(rows)

    def check(self, dataset_id: str, records: Sequence[Record]) -> None:
        """Compare what stands with what was sent; an error where that is not the same.

        Of rows that came twice, as where an answer is lost, that of the smallest id stays.
        """
        if not records:
            return
        stands: dict[str, StoredRecord] = {}
        rows = sorted(self.rows(dataset_id), key=lambda row: row.record_id)
        own = [row for row in rows if CASE_TAG in row.tags]
        twice = [row for row in own if stands.setdefault(row_key(row.inputs), row) is not row]
        if twice:
            self.delete(dataset_id, [row.record_id for row in twice])
        kept = [(each, stands.get(row_key(each.inputs))) for each in records]
        if missing := [each.case_id for each, row in kept if row is None]:
            raise StoreError(
                f"the workspace does not have {len(missing)} of {len(records)} rows as they were"
                f" sent ({', '.join(missing[:5])}{', …' if missing[5:] else ''}); {_LOST}"
            )
        fix = "map it under another name, or as text"
        what = "the workspace keeps it otherwise than it was sent"
        if problems := [
            Problem(what, file=each.case_id, field=f"expectations.{name}", fix=fix)
            for each, row in kept
            if row
            for name in sorted({*each.expectations, *row.expectations})
            if row_key(each.expectations.get(name)) != row_key(row.expectations.get(name))
        ]:
            raise InputError(*problems)

    def _open(self, name: str) -> Any:
        from mlflow.genai.datasets import get_dataset

        with self._official(f"looking for the dataset {name!r}"):
            return get_dataset(name=name)

    @contextmanager
    def _official(self, doing: str) -> Iterator[None]:
        """MLflow turned to the workspace, which its functions take from the process."""
        from evalkit.store.internals import _use_tracking_uri

        uri, named = self._client.uri, os.environ.get("MLFLOW_TRACKING_URI")
        old = warnings.catch_warnings(action="ignore")  # what the client imports is deprecated
        try:
            with self._client.answering(doing), _use_tracking_uri(uri), old:
                yield
        except ValueError as error:
            raise StoreError(f"the workspace of {uri} failed while {doing}: {error}") from error
        finally:
            if named is not None:
                os.environ["MLFLOW_TRACKING_URI"] = named
