"""Evaluation datasets of a Databricks workspace: tables of Unity Catalog, by the official client.

MLflow hands over to the package databricks-agents, which goes on where a batch was refused, takes a
text among the guidelines apart into letters and leaves empty expectations out, all in silence. So
what was written is read again, and compared.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from requests import RequestException, Response

from evalkit.entities import CASE_TAG, Record, StoredRecord, row_key
from evalkit.errors import InputError, Problem, StoreError
from evalkit.jsonable import Json
from evalkit.store.failures import NOT_FOUND, Refused

ROWS_AT_A_TIME = 100
"""Rows that are merged in one call, between two words of progress."""

_NO_PLACE = {"SCHEMA_DOES_NOT_EXIST", "CATALOG_DOES_NOT_EXIST"}
_LARGEST = 2**53
"""A double, which numbers are kept as, holds every whole number up to this."""
_LARGEST_ROW = 999_000
"""Bytes of JSON; the client takes a million with what it adds."""

_STATUS = {"PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401}
_NAMED = 5
"""Cases that a message names."""


class DatasetTables:
    """The evaluation datasets of a workspace; their ids are the full names of their tables."""

    replaces = True

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
                raise StoreError(
                    f"there is a table {name}, and it is no evaluation dataset:"
                    " choose another name with --dataset-name"
                ) from refused
            if refused.says_there_is_none:
                return None
            raise
        if there and experiment_id not in there:
            raise StoreError(
                f"the dataset {name} is one of other experiments ({', '.join(there)}), and"
                " mirroring into it would delete what they mirror:"
                " choose another name with --dataset-name"
            )
        return name

    def create(self, name: str, experiment_id: str) -> str:
        """Create the dataset and its table; a StoreError where there is no right to it."""
        try:
            with _official(self._uri, f"creating the dataset {name!r}"):
                mlflow.genai.datasets.create_dataset(name=name, experiment_id=experiment_id)
        except StoreError:
            # somebody quicker, or a first try whose answer was lost
            if self.find(name, experiment_id) is None:
                raise
        return name

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, in the workspace's order."""
        dataset = self._open(dataset_id)
        with _official(self._uri, "reading the dataset"):
            found = dataset.to_df().to_dict(orient="records")
        return tuple(
            StoredRecord(
                record_id=row["dataset_record_id"],
                inputs=row["inputs"] or {},
                expectations=row["expectations"] or {},
                tags=row["tags"] or {},
            )
            for row in found
        )

    def source(self, name: str, _: str) -> tuple[str, str]:
        """As MLflow links a table of Unity Catalog."""
        return "databricks-uc-table", json.dumps({"table_name": name})

    def check(self, records: Sequence[Record]) -> None:
        """An InputError for what the workspace would round or not take, before it is written."""
        if problems := [problem for record in records for problem in _unfit(record)]:
            raise InputError(*problems)

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows, those that are gone already passed over; a StoreError where some stay."""
        if not record_ids:
            return
        there = {row.record_id for row in self.rows(dataset_id)}
        dataset = self._open(dataset_id)
        with _official(self._uri, "deleting rows of the dataset"):
            dataset.delete_records([each for each in record_ids if each in there])
        if left := {row.record_id for row in self.rows(dataset_id)} & set(record_ids):
            raise StoreError(f"the workspace did not delete {len(left)} rows of {dataset_id}")

    def write(self, dataset_id: str, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Write records, and make sure that they stand; the case id goes into the row's tags.

        Where somebody else has a row of the same inputs, the client would merge into that: it is
        left alone, and none of evalkit's stays beside it. As the client merges, a row that is to
        lose an expectation is deleted first.

        Raises:
            InputError: the workspace keeps a record otherwise than it was sent.
            StoreError: the workspace failed; doing the same again finishes.
        """
        if not records:
            return
        there = self._by_inputs(dataset_id)
        free = [each for each in records if not _is_taken(there[row_key(each.inputs)])]
        if len(free) < len(records):
            say(f"  left alone, as they are somebody else's by now: {len(records) - len(free)}")
        stale = [row for each in records for row in _stale(each, there[row_key(each.inputs)])]
        self.delete(dataset_id, [row.record_id for row in stale])
        dataset = self._open(dataset_id)
        for begin in range(0, len(free), ROWS_AT_A_TIME):
            some = free[begin : begin + ROWS_AT_A_TIME]
            with _official(self._uri, f"writing rows of the dataset ({begin} are written)"):
                dataset.merge_records([_sent(each, there[row_key(each.inputs)]) for each in some])
            if begin + len(some) < len(free):
                say(f"  {begin + len(some)} of {len(free)} rows written")
        self._make_sure(dataset_id, free)

    def _make_sure(self, dataset_id: str, records: Sequence[Record]) -> None:
        """Compare what stands with what was sent; of rows that came twice one stays."""
        stands = self._by_inputs(dataset_id)
        # where an answer is lost, rows come twice
        ours = [(row, rows) for rows in stands.values() for row in rows if CASE_TAG in row.tags]
        self.delete(dataset_id, [row.record_id for row, rows in ours if row is not _own(rows)])
        missing = [each.case_id for each in records if row_key(each.inputs) not in stands]
        if missing:
            raise StoreError(
                f"the workspace took {len(records)} rows and does not have {len(missing)} of them"
                f" ({', '.join(missing[:_NAMED])}{', …' if missing[_NAMED:] else ''});"
                " run the same command again"
            )
        problems = [
            problem
            for each in records
            for row in [_own(stands[row_key(each.inputs)]) or stands[row_key(each.inputs)][0]]
            for problem in _otherwise(each, row)
        ]
        if problems:
            raise InputError(*problems)

    def _by_inputs(self, dataset_id: str) -> defaultdict[str, list[StoredRecord]]:
        there: defaultdict[str, list[StoredRecord]] = defaultdict(list)
        for row in self.rows(dataset_id):
            there[row_key(row.inputs)].append(row)
        return there

    def _open(self, name: str) -> Any:
        with _official(self._uri, f"looking for the dataset {name!r}"):
            return mlflow.genai.datasets.get_dataset(name=name)


@contextmanager
def _official(uri: str, doing: str) -> Iterator[None]:
    """MLflow turned to the workspace, which its functions for datasets take from the process."""
    before, named = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the client imports is deprecated here and there
            mlflow.set_tracking_uri(uri)
            yield
    except ImportError as error:
        raise StoreError(
            f"datasets of a workspace need Databricks' client ({error.__cause__ or error}):"
            " pip install 'mlflow-evalkit[databricks]'; one of the older kind needs Spark too, so"
            " use a cluster there"
        ) from error
    except (RequestException, MlflowException, ValueError, OSError) as error:
        raise _refused(uri, doing, error) from error
    finally:
        mlflow.set_tracking_uri(before)
        if named is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)


def _refused(uri: str, doing: str, error: Exception) -> StoreError:
    """What the client says went wrong, in the store's own terms."""
    response: Response | None = getattr(error, "response", None)
    code, said = str(getattr(error, "error_code", "") or ""), str(error)
    if response is not None:
        try:
            body = response.json()
            code, said = body.get("error_code", code), body.get("message", said)
        except ValueError:
            pass
    if response is None and not code:
        return StoreError(f"the workspace of {uri} failed while {doing}: {said}")
    by_code = NOT_FOUND if code.endswith("_DOES_NOT_EXIST") else _STATUS.get(code, 400)
    status = by_code if response is None else response.status_code
    return Refused(uri, doing, status, code, said)


def _own(rows: Sequence[StoredRecord]) -> StoredRecord | None:
    """Of rows of equal inputs the one that counts as evalkit's, whoever looks."""
    ours = [row for row in rows if CASE_TAG in row.tags]
    return min(ours, key=lambda row: row.record_id, default=None)


def _is_taken(rows: Sequence[StoredRecord]) -> bool:
    return any(CASE_TAG not in row.tags for row in rows)


def _sent(record: Record, rows: Sequence[StoredRecord]) -> dict[str, Json]:
    """A record as the client takes it; what people tagged stays where its row is made anew."""
    row = _own(rows)
    return {
        "inputs": dict(record.inputs),
        "expectations": dict(record.expectations),
        "tags": {**(row.tags if row else {}), CASE_TAG: record.case_id},
    }


def _stale(record: Record, rows: Sequence[StoredRecord]) -> list[StoredRecord]:
    """Evalkit's rows that go before a record is merged: too many, or with more than it has."""
    ours = [row for row in rows if CASE_TAG in row.tags]
    lasting = set(record.expectations)
    lasting_row = None if len(ours) < len(rows) else _own(rows)
    return [row for row in ours if row is not lasting_row or not set(row.expectations) <= lasting]


def _otherwise(record: Record, row: StoredRecord) -> Iterator[Problem]:
    """What the workspace made of a record that is not what was sent."""
    if row.tags.get(CASE_TAG) != record.case_id:
        yield Problem(
            "the workspace did not keep the row's tag, by which evalkit knows it again",
            file=record.case_id,
            field=f"tags.{CASE_TAG}",
            fix="use an MLflow server for this dataset (--tracking-uri)",
        )
    for name in sorted({*record.expectations, *row.expectations}):
        if row_key(record.expectations.get(name)) != row_key(row.expectations.get(name)):
            yield Problem(
                "the workspace keeps it otherwise than it was sent",
                file=record.case_id,
                field=f"expectations.{name}",
                fix="map it under another name, or as text",
            )


def _unfit(record: Record) -> Iterator[Problem]:
    if len(json.dumps([record.inputs, record.expectations])) > _LARGEST_ROW:
        yield Problem(
            f"is larger than {_LARGEST_ROW:,} bytes, the most of a row in a workspace",
            file=record.case_id,
            fix="leave a field out of the mapping",
        )
    for part, values in (("inputs", record.inputs), ("expectations", record.expectations)):
        for name, value in values.items():
            if not _fits(value):
                yield Problem(
                    f"has a whole number beyond {_LARGEST}, which the workspace would round",
                    file=record.case_id,
                    field=f"{part}.{name}",
                    fix="make it a text in the case",
                )


def _fits(value: Json) -> bool:
    if isinstance(value, int):
        return abs(value) <= _LARGEST
    if isinstance(value, Mapping):
        return all(map(_fits, value.values()))
    return not isinstance(value, list | tuple) or all(map(_fits, value))
