"""Evaluation datasets of a Databricks workspace: tables of Unity Catalog, behind its service.

Spoken to as the package databricks-agents does, which reads what is written here. That package is
not used for writing: it goes on where a batch was refused, takes a text among the guidelines apart
into letters and leaves empty expectations out, all in silence, and it never stops waiting.

What was written is read again, so that nothing is lost unseen.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from evalkit.adapters.store.failures import Refused
from evalkit.adapters.store.rest import request
from evalkit.adapters.store.workspace.rows import (
    doubles,
    item,
    otherwise,
    own,
    portions,
    stored,
    unfit,
)
from evalkit.core.dataset import Record, StoredRecord
from evalkit.core.errors import InputError, Problem, StoreError
from evalkit.core.mirror import CASE_TAG, row_key
from evalkit.core.values import Json

_SERVICE = "/api/2.0/managed-evals/datasets"
_PROTOCOL = {"managed-evals-client-version": "1.13.0"}
"""The version of the service's protocol that this speaks."""

_PAGE = 500

_NO_PLACE = {"SCHEMA_DOES_NOT_EXIST", "CATALOG_DOES_NOT_EXIST"}
_NAMED = 5
"""Cases that a message names."""


class DatasetTables:
    """The evaluation datasets of a workspace, by the full names of their tables."""

    replaces = True

    def __init__(self, uri: str, creds: Callable[[], Any]) -> None:
        """Take the tracking URI, and what gives MLflow's host and credentials for it."""
        self._uri = uri
        self._creds = creds
        self._kept_apart: set[str] = set()

    def find(self, name: str, experiment_id: str | None) -> str | None:
        """The id of the dataset behind a table; None where there is no such table.

        Raises:
            StoreError: the table is none of a dataset, or of one of other experiments only, which
                mirroring would empty of theirs; its schema is missing; or the workspace failed.
        """
        looking = f"looking for the dataset {name!r}"
        table = self._found("/api/2.1/unity-catalog/tables/" + quote(name, safe=""), looking)
        if table is None:
            return None
        dataset = self._found(f"{_SERVICE}/{table['table_id']}", looking)
        if dataset is None:
            raise StoreError(
                f"there is a table {name}, and it is no evaluation dataset:"
                " choose another name with --dataset-name"
            )
        there: list[str] = dataset.get("experiment_ids") or []
        if there and experiment_id not in there:
            raise StoreError(
                f"the dataset {name} is one of other experiments ({', '.join(there)}), and"
                " mirroring into it would delete what they mirror:"
                " choose another name with --dataset-name"
            )
        return self._noted(dataset)

    def create(self, name: str, experiment_id: str) -> str:
        """Create the dataset and its table.

        Raises:
            StoreError: the workspace failed; there may be no right to it.
        """
        try:
            created = self._ask(
                "POST",
                _SERVICE,
                f"creating the dataset {name!r}",
                params={"experiment_ids": experiment_id},
                json={"name": name, "source_type": "databricks-uc-table"},
            )
        except Refused as refused:
            # by somebody quicker, or by a first try whose answer was lost
            if refused.says_it_is_there and (found := self.find(name, experiment_id)):
                return found
            raise
        return self._noted(created)

    def rows(self, dataset_id: str) -> tuple[StoredRecord, ...]:
        """The rows, in the service's order.

        Raises:
            StoreError: the workspace failed.
        """
        return tuple(stored(row) for row in self._pages(f"{_SERVICE}/{dataset_id}/records"))

    def source(self, name: str, _: str) -> tuple[str, str]:
        """As MLflow links a table of Unity Catalog."""
        return "databricks-uc-table", json.dumps({"table_name": name})

    def check(self, records: Sequence[Record]) -> None:
        """Refuse records that are too large, or have numbers that the service would round.

        Raises:
            InputError: names every such record.
        """
        if problems := [problem for record in records for problem in unfit(record)]:
            raise InputError(*problems)

    def delete(self, dataset_id: str, record_ids: Sequence[str]) -> None:
        """Delete rows.

        Raises:
            StoreError: the workspace failed.
        """
        rows = [{"dataset_id": dataset_id, "dataset_record_id": each} for each in record_ids]
        for some in portions(rows):
            try:
                self._send(dataset_id, "batchDelete", "deleting rows of the dataset", some)
            except Refused:
                # some are gone: by a first try whose answer was lost, or by somebody else
                there = {row.record_id for row in self.rows(dataset_id)}
                left = [each for each in some if each["dataset_record_id"] in there]
                if len(left) == len(some):
                    raise
                self.delete(dataset_id, [each["dataset_record_id"] for each in left])

    def write(self, dataset_id: str, records: Sequence[Record], say: Callable[[str], None]) -> None:
        """Write records, and make sure that they stand; the case id goes into the row's tags.

        A row that somebody else has made of the same inputs meanwhile is left alone.

        Raises:
            InputError: the workspace keeps a record otherwise than it was sent.
            StoreError: the workspace failed; doing the same again finishes.
        """
        if not records:
            return
        there = self._by_inputs(dataset_id)
        free = [each for each in records if not _is_taken(there.get(row_key(each.inputs), []))]
        if len(free) < len(records):
            say(f"  left alone, as they are somebody else's by now: {len(records) - len(free)}")
        self._send_all(dataset_id, free, there, say)
        stands = self._by_inputs(dataset_id)
        if stale := [
            each for each in free if _is_merged(each, stands.get(row_key(each.inputs), []))
        ]:
            rows = [row for each in stale for row in stands[row_key(each.inputs)]]
            self.delete(dataset_id, [row.record_id for row in rows if CASE_TAG in row.tags])
            self._send_all(dataset_id, stale, {}, say)
            stands = self._by_inputs(dataset_id)
        # an answer that is lost makes the service write rows twice
        self.delete(dataset_id, [each for rows in stands.values() for each in doubles(rows)])
        _make_sure(free, stands)
        if dataset_id in self._kept_apart:
            say(
                "  this dataset is of the older kind: its table follows when the package"
                " databricks-agents opens it next, mlflow.genai.datasets.get_dataset(name=...)"
            )

    def _send_all(
        self,
        dataset_id: str,
        records: Sequence[Record],
        there: Mapping[str, Sequence[StoredRecord]],
        say: Callable[[str], None],
    ) -> None:
        done = 0
        for action, some in _batches(dataset_id, records, there):
            doing = f"writing rows of the dataset ({done} are written)"
            self._send(dataset_id, action, doing, some)
            done += len(some)
            if done < len(records):
                say(f"  {done} of {len(records)} rows written")

    def _by_inputs(self, dataset_id: str) -> dict[str, list[StoredRecord]]:
        there: dict[str, list[StoredRecord]] = defaultdict(list)
        for row in self.rows(dataset_id):
            there[row_key(row.inputs)].append(row)
        return there

    def _noted(self, dataset: Json) -> str:
        dataset_id: str = dataset["dataset_id"]
        if dataset.get("is_uc_native") is not True:
            self._kept_apart.add(dataset_id)
        return dataset_id

    def _found(self, endpoint: str, doing: str) -> Json | None:
        try:
            return self._ask("GET", endpoint, doing)
        except Refused as refused:
            if refused.code in _NO_PLACE:
                raise StoreError(
                    f"{refused.said}: create it, or name a table elsewhere"
                    " (--dataset-name CATALOG.SCHEMA.TABLE)"
                ) from refused
            if refused.says_there_is_none:
                return None
            raise

    def _pages(self, endpoint: str) -> Iterator[Json]:
        params: dict[str, Json] = {"page_size": _PAGE}
        while True:
            answer = self._ask("GET", endpoint, "reading the dataset", params=params)
            yield from answer.get("dataset_records", [])
            if not answer.get("next_page_token"):
                return
            params["page_token"] = answer["next_page_token"]

    def _send(self, dataset_id: str, action: str, doing: str, items: Sequence[Json]) -> None:
        body = {"requests": items}
        self._ask("POST", f"{_SERVICE}/{dataset_id}/records:{action}", doing, json=body)

    def _ask(self, method: str, endpoint: str, doing: str, **content: Any) -> Json:
        answer = request(
            self._uri,
            self._creds,
            method,
            endpoint,
            doing,
            extra_headers=_PROTOCOL,
            **content,
        )
        return answer.json() if answer.content else {}


def _is_taken(rows: Sequence[StoredRecord]) -> bool:
    return bool(rows) and own(rows) is None


def _batches(
    dataset_id: str, records: Sequence[Record], there: Mapping[str, Sequence[StoredRecord]]
) -> Iterator[tuple[str, list[Json]]]:
    """What to send, and what to call it."""
    new: list[Json] = []
    old: list[Json] = []
    for record in records:
        row = own(there.get(row_key(record.inputs), []))
        (new if row is None else old).append(item(dataset_id, record, row))
    yield from (("batchCreate", some) for some in portions(new))
    yield from (("batchUpdate", some) for some in portions(old))


def _is_merged(record: Record, rows: Sequence[StoredRecord]) -> bool:
    """Whether a record's row still has what was to go.

    An update says that it replaces; a service that merges all the same is found out here.
    """
    row = own(rows)
    return row is not None and not set(row.expectations) <= set(record.expectations)


def _make_sure(records: Sequence[Record], stands: Mapping[str, Sequence[StoredRecord]]) -> None:
    """Compare what stands with what was sent."""
    missing = []
    problems: list[Problem] = []
    for record in records:
        rows = stands.get(row_key(record.inputs))
        if not rows:
            missing.append(record.case_id)
        else:
            problems += otherwise(record, own(rows) or rows[0])
    if problems:
        raise InputError(*problems)
    if missing:
        raise StoreError(
            f"the workspace took {len(records)} rows and does not have {len(missing)} of them"
            f" ({', '.join(missing[:_NAMED])}{', …' if missing[_NAMED:] else ''})"
        )
