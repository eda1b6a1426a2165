"""The evaluation datasets of a Databricks workspace: tables of Unity Catalog, behind a service.

How many rows a request may hold, that numbers are doubles and that ids are the service's own: all
as the real one has it, told from what its official client sends, reads and guards against.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from workspace_server import Answer, Request, error, ok

_MOST_ROWS = 100
_MOST_BYTES = 1_000_000 + 1_000  # what surrounds the rows


@dataclass
class Table:
    """A table, and the dataset that it may be of."""

    name: str
    table_id: str = field(default_factory=lambda: str(uuid4()))
    dataset: dict[str, Any] | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class DatasetService:
    """The service's state.

    Attributes:
        schemas: Full names of the schemas that there are.
        tables: By full name.
        keeps_tags: Whether it keeps the tags of rows.
        merges: Whether an update keeps expectations that it does not name.
        page: How many rows a page has at most.
    """

    schemas: set[str]
    tables: dict[str, Table] = field(default_factory=dict)
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
        name = request.json()["name"]
        if refused := self._no_schema(name):
            return refused
        if name in self.tables:
            return error(409, "TABLE_ALREADY_EXISTS", f"Table '{name}' already exists")
        experiments = [each for each in request.query.get("experiment_ids", "").split(",") if each]
        if not experiments:
            return error(400, "INVALID_PARAMETER_VALUE", "experiment_ids is required")
        table = self.tables[name] = Table(name)
        table.dataset = {
            "dataset_id": table.table_id,
            "name": name,
            "source_type": "databricks-uc-table",
            "experiment_ids": experiments,
            "is_uc_native": True,
        }
        return ok(table.dataset)

    def _of(self, dataset_id: str) -> Table | None:
        known = (each for each in self.tables.values() if each.dataset)
        return next((each for each in known if each.table_id == dataset_id), None)

    def _read(self, _: Request, dataset_id: str) -> Answer:
        table = self._of(dataset_id)
        return ok(table.dataset) if table else _none(dataset_id)

    def _list(self, request: Request, dataset_id: str) -> Answer:
        if (table := self._of(dataset_id)) is None:
            return _none(dataset_id)
        begin = int(request.query.get("page_token", 0))
        end = begin + min(self.page, int(request.query["page_size"]))
        rows = list(table.rows.values())
        more = {"next_page_token": str(end)} if end < len(rows) else {}
        return ok({"dataset_records": rows[begin:end], **more})

    def _batch(self, request: Request, dataset_id: str, action: str) -> Answer:
        if (table := self._of(dataset_id)) is None:
            return _none(dataset_id)
        items = request.json()["requests"]
        if len(items) > _MOST_ROWS or len(request.body) > _MOST_BYTES:
            return error(400, "INVALID_PARAMETER_VALUE", "too much for one request")
        known = {each["dataset_record_id"] for each in items if "dataset_record_id" in each}
        if known - table.rows.keys():
            return error(400, "INVALID_PARAMETER_VALUE", "no such row")
        if action == "Delete":
            for each in known:
                del table.rows[each]
            return ok({})
        return ok({"dataset_records": [self._set(table, each) for each in items]})

    def _set(self, table: Table, item: dict[str, Any]) -> dict[str, Any]:
        """Change a row, or add one."""
        record_id, record = item.get("dataset_record_id") or str(uuid4()), item["dataset_record"]
        stamp = "2026-01-02T03:04:05Z"
        stamps = {"create_time": stamp, "last_update_time": stamp, "created_by": "dev@example.com"}
        row = table.rows.setdefault(record_id, {"dataset_record_id": record_id, **stamps})
        usual = "inputs,expectations,tags,source"
        for name in item.get("update_mask", usual).split(","):
            if record.get(name) and (name != "tags" or self.keeps_tags):
                # as protobuf keeps JSON: every number is a double
                sent = json.loads(json.dumps(record[name]), parse_int=float)
                if self.merges and name == "expectations":
                    sent = {**row.get(name, {}), **sent}
                row[name] = sent
        return row


_BASE = r"/api/2\.0/managed-evals/datasets"
_ROUTES: dict[str, Callable[..., Answer]] = {
    r"GET /api/2\.1/unity-catalog/tables/([^/]+)": DatasetService._table,
    f"POST {_BASE}": DatasetService._create,
    f"GET {_BASE}/([^/]+)": DatasetService._read,
    f"GET {_BASE}/([^/]+)/records": DatasetService._list,
    f"POST {_BASE}/([^/]+)/records:batch(Create|Update|Delete)": DatasetService._batch,
}


def _none(dataset_id: str) -> Answer:
    return error(404, "RESOURCE_DOES_NOT_EXIST", f"Dataset {dataset_id} does not exist.")
