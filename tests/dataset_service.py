"""The evaluation datasets of a Databricks workspace: tables of Unity Catalog, behind a service.

What a table may be called, how many rows a request may hold, that numbers are doubles and that ids
are the service's own: all as the real one has it, told from what its official client sends, reads
and guards against. Fields that it does not know are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from workspace_server import Answer, Request, error, ok

_RECORD = {"inputs", "expectations", "tags", "source", "dataset_record_id"}
_STAMPS = {"create_time", "created_by", "last_update_time", "last_updated_by"}
_MOST_ROWS = 100
_MOST_BYTES = 1_000_000 + 1_000  # what surrounds the rows


@dataclass
class Table:
    """A table, and the dataset that it may be of."""

    table_id: str
    name: str
    dataset: dict[str, Any] | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class DatasetService:
    """The service's state.

    Attributes:
        schemas: Full names of the schemas that there are.
        tables: By full name.
        native: Whether new datasets are kept in their tables, as those of the older kind are not.
        keeps_tags: Whether it keeps the tags of rows.
        merges: Whether an update keeps expectations that it does not name.
        page: How many rows a page has at most.
    """

    schemas: set[str]
    tables: dict[str, Table] = field(default_factory=dict)
    native: bool = True
    keeps_tags: bool = True
    merges: bool = False
    page: int = 500

    def answer(self, request: Request) -> Answer | None:
        """The answer to a request; None where it is nothing of the service's."""
        for pattern, route in _ROUTES.items():
            if found := re.fullmatch(pattern, f"{request.method} {request.path}"):
                return route(self, request, *found.groups())
        return None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a table, as they are kept."""
        return list(self.tables[name].rows.values())

    def _table(self, _: Request, name: str) -> Answer:
        if refused := self._no_schema(name):
            return refused
        if name not in self.tables:
            return error(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")
        return ok({"full_name": name, "table_id": self.tables[name].table_id})

    def _no_schema(self, name: str) -> Answer | None:
        schema = name.rpartition(".")[0]
        if schema in self.schemas:
            return None
        return error(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{schema}' does not exist.")

    def _create(self, request: Request) -> Answer:
        asked = {key: value for key, value in request.json().items() if value is not None}
        if set(asked) != {"name", "source_type"}:
            return error(400, "INVALID_PARAMETER_VALUE", f"unexpected fields: {sorted(asked)}")
        name = asked["name"]
        if not re.fullmatch(r"[^.\s/]+\.[^.\s/]+\.[^.\s/]+", name):
            return error(400, "INVALID_PARAMETER_VALUE", f"Invalid table name: {name}")
        if refused := self._no_schema(name):
            return refused
        if name in self.tables:
            return error(409, "TABLE_ALREADY_EXISTS", f"Table '{name}' already exists")
        experiments = [each for each in request.query.get("experiment_ids", "").split(",") if each]
        if not experiments:
            return error(400, "INVALID_PARAMETER_VALUE", "experiment_ids is required")
        table = Table(str(uuid4()), name)
        table.dataset = {
            "dataset_id": table.table_id,
            "name": name,
            "source_type": "databricks-uc-table",
            "experiment_ids": experiments,
            "is_uc_native": self.native,
        }
        self.tables[name] = table
        return ok(table.dataset)

    def _read(self, _: Request, dataset_id: str) -> Answer:
        table = self._of(dataset_id)
        return ok(table.dataset) if table else _none(dataset_id)

    def _of(self, dataset_id: str) -> Table | None:
        known = (each for each in self.tables.values() if each.dataset)
        return next((each for each in known if each.table_id == dataset_id), None)

    def _list(self, request: Request, dataset_id: str) -> Answer:
        table = self._of(dataset_id)
        if table is None:
            return _none(dataset_id)
        begin = int(request.query.get("page_token", 0))
        end = begin + min(self.page, int(request.query["page_size"]))
        rows = list(table.rows.values())
        more = {"next_page_token": str(end)} if end < len(rows) else {}
        return ok({"dataset_records": rows[begin:end], **more})

    def _batch(self, request: Request, dataset_id: str, action: str) -> Answer:
        table = self._of(dataset_id)
        if table is None:
            return _none(dataset_id)
        items = request.json()["requests"]
        if len(items) > _MOST_ROWS or len(request.body) > _MOST_BYTES:
            return error(400, "INVALID_PARAMETER_VALUE", "too much for one request")
        for each in items:
            if wrong := _wrong(each, dataset_id, action, table):
                return error(400, "INVALID_PARAMETER_VALUE", wrong)
        done = [_ACTIONS[action](self, table, each) for each in items]
        return ok({} if action == "batchDelete" else {"dataset_records": done})

    def _add(self, table: Table, item: dict[str, Any]) -> dict[str, Any]:
        record_id = str(uuid4())
        stamp = "2026-01-02T03:04:05Z"
        table.rows[record_id] = {
            "dataset_record_id": record_id,
            "create_time": stamp,
            "created_by": "dev@example.com",
            "last_update_time": stamp,
            "last_updated_by": "dev@example.com",
        }
        return self._set(table, record_id, item["dataset_record"], ["inputs", *_FIELDS])

    def _change(self, table: Table, item: dict[str, Any]) -> dict[str, Any]:
        fields = item["update_mask"].split(",")
        return self._set(table, item["dataset_record_id"], item["dataset_record"], fields)

    def _remove(self, table: Table, item: dict[str, Any]) -> dict[str, Any]:
        return table.rows.pop(item["dataset_record_id"])

    def _set(
        self, table: Table, record_id: str, record: dict[str, Any], fields: list[str]
    ) -> dict[str, Any]:
        row = table.rows[record_id]
        for name in fields:
            if record.get(name) and (name != "tags" or self.keeps_tags):
                sent = _doubles(record[name])
                if self.merges and name == "expectations":
                    sent = {**row.get(name, {}), **sent}
                row[name] = sent
        return row


_FIELDS = ("expectations", "tags", "source")
_ACTIONS: dict[str, Callable[[DatasetService, Table, dict[str, Any]], dict[str, Any]]] = {
    "batchCreate": DatasetService._add,
    "batchUpdate": DatasetService._change,
    "batchDelete": DatasetService._remove,
}
_BASE = r"/api/2\.0/managed-evals/datasets"
_ROUTES: dict[str, Callable[..., Answer]] = {
    r"GET /api/2\.1/unity-catalog/tables/([^/]+)": DatasetService._table,
    f"POST {_BASE}": DatasetService._create,
    f"GET {_BASE}/([^/]+)": DatasetService._read,
    f"GET {_BASE}/([^/]+)/records": DatasetService._list,
    f"POST {_BASE}/([^/]+)/records:(batch[A-Z][a-z]+)": DatasetService._batch,
}


def _none(dataset_id: str) -> Answer:
    return error(404, "RESOURCE_DOES_NOT_EXIST", f"Dataset {dataset_id} does not exist.")


def _wrong(item: dict[str, Any], dataset_id: str, action: str, table: Table) -> str:
    """What is wrong with one request of a batch; nothing where it is right."""
    expected = {
        "batchCreate": {"dataset_id", "dataset_record"},
        "batchUpdate": {"dataset_id", "dataset_record_id", "dataset_record", "update_mask"},
        "batchDelete": {"dataset_id", "dataset_record_id"},
    }[action]
    if set(item) != expected or item["dataset_id"] != dataset_id:
        return f"unexpected fields or dataset: {sorted(item)}"
    if "dataset_record_id" in item and item["dataset_record_id"] not in table.rows:
        return f"no row {item['dataset_record_id']}"
    return _wrong_record(item["dataset_record"]) if "dataset_record" in item else ""


def _wrong_record(record: dict[str, Any]) -> str:
    given = {key for key, value in record.items() if value is not None}
    if given - _RECORD - _STAMPS:
        return f"unknown fields: {sorted(given)}"
    if any(set(each) != {"key", "value"} for each in record["inputs"]):
        return "inputs are pairs of key and value"
    expectations = (record.get("expectations") or {}).values()
    if any(set(each) != {"value"} for each in expectations):
        return "an expectation has a value and nothing else"
    tags = record.get("tags") or {}
    if not all(isinstance(value, str) for value in tags.values()):
        return "tags are texts"
    return ""


def _doubles(value: Any) -> Any:
    """The value as protobuf keeps JSON: every number is a double."""
    return json.loads(json.dumps(value), parse_int=float)
