"""Evaluation datasets of a Databricks workspace: tables of Unity Catalog, by the official client.

MLflow hands over to the package databricks-agents, which goes on where a batch was refused, takes a
text among the guidelines apart into letters and leaves empty expectations out, all in silence. So
what was written is read again, and compared.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from requests import RequestException, Response

from evalkit.entities import CASE_TAG, Record, StoredRecord, row_key
from evalkit.errors import InputError, Problem, StoreError
from evalkit.store.failures import NOT_FOUND, Refused

_NO_PLACE = {"SCHEMA_DOES_NOT_EXIST", "CATALOG_DOES_NOT_EXIST"}
_STATUS = {"PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401}
_ELSEWHERE = "choose another name with --dataset-name"
_LOST = "run the same command again; if it stays so: whole numbers beyond 2^53 are rounded there"


class DatasetTables:
    """The evaluation datasets of a workspace; their ids are the full names of their tables."""

    rows_at_a_time = 100

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The name again; None where there is no such table.

        Raises:
            StoreError: the table is none of a dataset, or of one of other experiments only, which
                mirroring would empty of theirs; its schema is missing; or the workspace failed.
        """
        try:
            there: list[str] = self._open(name).experiment_ids or []
        except Refused as refused:
            if refused.code in _NO_PLACE:
                raise StoreError(
                    f"{refused.said}: create it, or name a table elsewhere"
                    " (--dataset-name CATALOG.SCHEMA.TABLE)"
                ) from refused
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
        try:
            with self._official(f"creating the dataset {name!r}"):
                mlflow.genai.datasets.create_dataset(name=name, experiment_id=experiment_id)
        except StoreError:
            # somebody quicker, or a first try whose answer was lost
            if self.find(name, experiment_id) is None:
                raise
        return name

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, in the workspace's order."""
        dataset, parts = self._open(dataset_id), ("inputs", "expectations", "tags")
        with self._official("reading the dataset"):
            found = dataset.to_df().to_dict(orient="records")
        return tuple(
            StoredRecord(row["dataset_record_id"], *(row[part] or {} for part in parts))
            for row in found
        )

    def source(self, dataset_id: str) -> tuple[str, Mapping[str, str]]:
        """As MLflow links a table of Unity Catalog."""
        return "databricks-uc-table", {"table_name": dataset_id}

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
        """Compare what stands with what was sent; of rows that came twice one stays.

        They do where an answer is lost. Whoever looks keeps that of the smallest id.

        Raises:
            StoreError: not all of them stand.
            InputError: the workspace keeps a record otherwise than it was sent.
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
        if problems := [
            Problem(
                "the workspace keeps it otherwise than it was sent",
                file=each.case_id,
                field=f"expectations.{name}",
                fix="map it under another name, or as text",
            )
            for each, row in kept
            if row
            for name in sorted({*each.expectations, *row.expectations})
            if row_key(each.expectations.get(name)) != row_key(row.expectations.get(name))
        ]:
            raise InputError(*problems)

    def _open(self, name: str) -> Any:
        with self._official(f"looking for the dataset {name!r}"):
            return mlflow.genai.datasets.get_dataset(name=name)

    @contextmanager
    def _official(self, doing: str) -> Iterator[None]:
        """MLflow turned to the workspace, which its functions take from the process."""
        before, named = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the client imports is deprecated
                mlflow.set_tracking_uri(self._uri)
                yield
        except ImportError as error:
            raise StoreError(
                f"datasets of a workspace need Databricks' client ({error.__cause__ or error}):"
                " pip install 'mlflow-evalkit[databricks]'; one of the older kind needs Spark too,"
                " so use a cluster there"
            ) from error
        except (RequestException, MlflowException, ValueError, OSError) as error:
            raise _refused(self._uri, doing, error) from error
        finally:
            mlflow.set_tracking_uri(before)
            if named is None:
                os.environ.pop("MLFLOW_TRACKING_URI", None)


def _refused(uri: str, doing: str, error: Exception) -> StoreError:
    """What the client says went wrong, in the store's own terms."""
    response: Response | None = getattr(error, "response", None)
    code, said = str(getattr(error, "error_code", "") or ""), str(error)
    if response is not None:
        with suppress(ValueError):
            body = response.json()
            code, said = body.get("error_code", code), body.get("message", said)
    if response is None and not code:
        return StoreError(f"the workspace of {uri} failed while {doing}: {said}")
    by_code = NOT_FOUND if code.endswith("_DOES_NOT_EXIST") else _STATUS.get(code, 400)
    status = by_code if response is None else response.status_code
    return Refused(uri, doing, status, code, said)
