"""The port's part for datasets: their rows, wherever MLflow keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalkit.core.dataset import Record, StoredRecord
from evalkit.core.masking import mask_text
from evalkit.store.gateway import Gateway


def _silent(_: str) -> None:
    """Say nothing."""


class DatasetRows:
    """The rows of an experiment's datasets, which are named as people name them."""

    _gateway: Gateway

    @property
    def replaces_records(self) -> bool:
        """Whether a record that is written takes its row's place, and is not merged into it."""
        return self._gateway.datasets.replaces

    def records(self, dataset: str, experiment_id: str | None) -> tuple[StoredRecord, ...] | None:
        """The rows of a dataset; None where there is none of that name.

        Args:
            dataset: Its name.
            experiment_id: The experiment that it belongs to; None where there is none yet.

        Raises:
            StoreError: several datasets of that name fit, or it is none to be mirrored into, or
                MLflow failed.
        """
        dataset_id = self._gateway.datasets.find(mask_text(dataset)[0], experiment_id)
        return None if dataset_id is None else self._gateway.datasets.rows(dataset_id)

    def check_records(self, records: Sequence[Record]) -> None:
        """Make sure that a dataset can hold records as they are; MLflow is not asked.

        Raises:
            InputError: names every one that a Databricks workspace would change or refuse.
        """
        self._gateway.datasets.check(records)

    def prepare_dataset(self, dataset: str, experiment_id: str) -> None:
        """Make the dataset where it is missing.

        Raises:
            StoreError: it cannot be made or used, or MLflow failed.
        """
        datasets, dataset = self._gateway.datasets, mask_text(dataset)[0]
        with self._gateway.alone():
            if datasets.find(dataset, experiment_id) is None:
                datasets.create(dataset, experiment_id)

    def apply_records(
        self,
        dataset: str,
        experiment_id: str,
        *,
        delete: Sequence[str],
        upsert: Sequence[Record],
        say: Callable[[str], None] = _silent,
    ) -> None:
        """Delete rows by id, then write records; the dataset is made where it is missing.

        MLflow merges a record into the row with equal inputs. Rows that are not named stay.

        Raises:
            StoreError: MLflow failed; doing the same again finishes.
        """
        datasets, dataset = self._gateway.datasets, mask_text(dataset)[0]
        with self._gateway.alone():
            dataset_id = datasets.find(dataset, experiment_id)
            if dataset_id is None:
                dataset_id = datasets.create(dataset, experiment_id)
            datasets.delete(dataset_id, delete)
            datasets.write(dataset_id, upsert, say)
