"""Evaluation datasets: their rows read, written and deleted, and runs linked to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from evalkit.entities import CASE_TAG, Record, StoredRecord, digest_of
from evalkit.errors import StoreError
from evalkit.masking import mask_text
from evalkit.store.client import Client, portions
from evalkit.store.forms import json_text, quoted
from evalkit.store.internals import once
from evalkit.store.runs import Runs

if TYPE_CHECKING:
    from evalkit.store.tables import DatasetTables

OWN_TAG = "evalkit.dataset"  # of the datasets that evalkit made; holds the name
_BYTES_AT_A_TIME = 2_000_000


class Datasets(Runs):
    """The store's part for datasets, which are named as people name them."""

    _datasets: KeptDatasets | DatasetTables

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
        """Delete rows by id, then write records; the dataset is made where it is missing.

        MLflow merges a record into the row with equal inputs. Rows that are not named stay. The
        case id goes into a row's tags.
        """
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
        """Link a run to a dataset, as the input that it was evaluated on, if to none so far.

        Its digest is of the rows' content, whoever wrote them. Where no such dataset is there, it
        is missing.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run, datasets, name = self._run(run_id), self._datasets, mask_text(name)[0]
        if run.datasets:
            return "was linked"
        dataset_id = datasets.find(name, experiment_id) if name else None
        if dataset_id is None:
            return "missing"
        digest = digest_of(datasets.rows(dataset_id))
        kind, where = datasets.source(dataset_id)
        found = DatasetInput(
            Dataset(name=name, digest=digest, source_type=kind, source=json_text(where)),
            [InputTag("mlflow.data.context", "evaluation")],
        )
        with self._client.alone(), self._client.answering("linking the dataset"):
            self._client.tracking.log_inputs(run_id, [found])
        self._runs[run_id] = replace(run, datasets={name: digest})
        return "linked"


class KeptDatasets:
    """The datasets that a server or database keeps itself."""

    rows_at_a_time = 200

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The id of the one that evalkit made, else of the only one; names may repeat in MLflow.

        Datasets of other experiments are theirs, also where they have the same name: mirroring
        into them would delete what they mirror.
        """
        if experiment_id is None:
            return None
        here, own = self._called(name, experiment_id)
        if not own and len(here) > 1:
            raise StoreError(
                f"MLflow has {len(here)} datasets called {name!r}, and none of them is evalkit's"
                f" ({', '.join(here)}):"
                " choose another name with --dataset-name, or delete all but one"
            )
        return next(iter(own or here), None)

    def create(self, name: str, experiment_id: str) -> str:
        """Create a dataset and mark it as evalkit's, unless another process has just done so."""
        tracking = self._client.tracking
        with self._client.answering("creating the dataset"), once():
            made = tracking.create_dataset(name, {OWN_TAG: name}, [experiment_id])
        stands, *others = self._called(name, experiment_id)[1] or [str(made.dataset_id)]
        for other in others:
            with self._client.answering("taking back a dataset that was created twice"):
                tracking.delete_dataset(other)
        return stands

    def _called(self, name: str, experiment_id: str) -> tuple[list[str], list[str]]:
        """The ids of all of a name, and of those that evalkit made."""
        with self._client.answering(f"looking for the dataset {name!r}"):
            found = self._client.tracking.search_datasets(
                experiment_ids=[experiment_id], filter_string=f"name = {quoted(name)}"
            )
            tags = {each.dataset_id: each.tags or {} for each in found}
        return sorted(tags), sorted(each for each in tags if OWN_TAG in tags[each])

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, oldest first."""
        rows: list[Any] = []
        page: str | None = ""
        while page is not None:
            with self._client.answering("reading the dataset"):
                some, page = self._client.tracking._load_dataset_records(  # noqa: SLF001 - there is no public method that takes an id
                    dataset_id, max_results=1000, page_token=page or None
                )
            rows += some
            page = page or None
        return tuple(
            StoredRecord(
                row.dataset_record_id, row.inputs or {}, row.expectations or {}, row.tags or {}
            )
            for row in rows
        )

    def source(self, dataset_id: str) -> tuple[str, Mapping[str, str]]:
        """As MLflow's own evaluation links it."""
        return "mlflow_evaluation_dataset", {"dataset_id": dataset_id}

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows."""
        with self._client.answering("deleting rows of the dataset"):
            self._client.tracking.delete_dataset_records(dataset_id, record_ids)

    def write(self, dataset_id: str, rows: list[dict[str, Any]], doing: str) -> None:
        """Write rows."""
        with self._client.answering(doing):
            self._client.tracking.upsert_dataset_records(dataset_id, rows)

    def check(self, dataset_id: str, records: Sequence[Record]) -> None:
        """Rows stand as they were sent."""
