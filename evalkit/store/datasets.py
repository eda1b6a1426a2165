"""Evaluation datasets of servers and databases: their rows read, deleted and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evalkit.core.dataset import Record, StoredRecord
from evalkit.core.mirror import CASE_TAG
from evalkit.errors import StoreError
from evalkit.store.gateway import Gateway
from evalkit.store.search import quoted
from evalkit.store.wire import json_text

OWN_TAG = "evalkit.dataset"
"""Tag of the datasets that evalkit made; holds the name."""

_ROWS_AT_A_TIME = 200
_BYTES_AT_A_TIME = 2_000_000


class KeptDatasets:
    """The evaluation datasets that an MLflow server or database keeps itself."""

    replaces = False

    def __init__(
        self, gateway: Gateway, create: Callable[[str, str, Mapping[str, str]], str]
    ) -> None:
        """Take the way into MLflow, and its way to create a dataset: name, experiment, tags."""
        self._gateway = gateway
        self._create = create

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The id of the experiment's dataset of that name; names may repeat in MLflow.

        The one that evalkit made, else the only one. Datasets of other experiments are theirs, also
        where they have the same name: mirroring into them would delete what they mirror.

        Raises:
            StoreError: several are left, or MLflow failed.
        """
        if experiment_id is None:
            return None
        here = self._called(name, experiment_id)
        own = [each for each in here if _is_own(each)]
        if not own and len(here) > 1:
            raise StoreError(
                f"MLflow has {len(here)} datasets called {name!r}, and none of them is evalkit's"
                f" ({', '.join(sorted(each.dataset_id for each in here))}):"
                " choose another name with --dataset-name, or delete all but one"
            )
        return min((each.dataset_id for each in own or here), default=None)

    def create(self, name: str, experiment_id: str) -> str:
        """Create a dataset and mark it as evalkit's, unless another process has just done so.

        Raises:
            StoreError: MLflow failed.
        """
        created = self._create(name, experiment_id, {OWN_TAG: name})
        called = self._called(name, experiment_id)
        own: list[str] = [each.dataset_id for each in called if _is_own(each)]
        stands, *others = sorted(own) or [created]
        for other in others:
            with self._gateway.answering("taking back a dataset that was created twice"):
                self._gateway.tracking.delete_dataset(other)
        return stands

    def _called(self, name: str, experiment_id: str) -> list[Any]:
        with self._gateway.answering(f"looking for the dataset {name!r}"):
            found = self._gateway.tracking.search_datasets(
                experiment_ids=[experiment_id], filter_string=f"name = {quoted(name)}"
            )
        return list(found)

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, oldest first.

        Raises:
            StoreError: MLflow failed.
        """
        rows: list[StoredRecord] = []
        page: str | None = None
        while True:
            with self._gateway.answering("reading the dataset"):
                some, page = self._gateway.tracking._load_dataset_records(  # noqa: SLF001 - there is no public method that takes an id
                    dataset_id, max_results=1000, page_token=page
                )
            rows += [_stored(row) for row in some]
            if not page:
                return tuple(rows)

    def source(self, _: str, dataset_id: str) -> tuple[str, str]:
        """As MLflow's own evaluation links it."""
        return "mlflow_evaluation_dataset", json_text({"dataset_id": dataset_id})

    def check(self, records: Sequence[Record]) -> None:
        """Refuse nothing: MLflow keeps whatever is JSON."""

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows.

        Raises:
            StoreError: MLflow failed.
        """
        for begin in range(0, len(record_ids), _ROWS_AT_A_TIME):
            some = list(record_ids[begin : begin + _ROWS_AT_A_TIME])
            with self._gateway.answering("deleting rows of the dataset"):
                self._gateway.tracking.delete_dataset_records(dataset_id, some)

    def write(self, dataset_id: str, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Write records; the case id goes into the row's tags.

        Raises:
            StoreError: MLflow failed; doing the same again finishes.
        """
        done = 0
        for rows in _portions(records):
            with self._gateway.answering(f"writing rows of the dataset ({done} are written)"):
                self._gateway.tracking.upsert_dataset_records(dataset_id, rows)
            done += len(rows)
            if done < len(records):
                say(f"  {done} of {len(records)} rows written")


def _is_own(dataset: Any) -> bool:
    return OWN_TAG in (dataset.tags or {})


def _stored(row: Any) -> StoredRecord:
    return StoredRecord(
        record_id=row.dataset_record_id,
        inputs=row.inputs or {},
        expectations=row.expectations or {},
        tags=row.tags or {},
    )


def _portions(records_: Sequence[Record]) -> list[list[dict[str, Any]]]:
    """Rows in the form MLflow takes them; it changes what it is given, so they are made anew."""
    portions: list[list[dict[str, Any]]] = [[]]
    size = 0
    for record in records_:
        row = {
            "inputs": dict(record.inputs),
            "expectations": dict(record.expectations),
            "tags": {CASE_TAG: record.case_id},
        }
        weight = len(json_text(row))
        if portions[-1] and (
            len(portions[-1]) >= _ROWS_AT_A_TIME or size + weight > _BYTES_AT_A_TIME
        ):
            portions.append([])
            size = 0
        portions[-1].append(row)
        size += weight
    return [some for some in portions if some]
