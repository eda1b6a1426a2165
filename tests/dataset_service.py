"""The evaluation datasets of a Databricks workspace: tables of Unity Catalog, behind a service.

How many rows a request may hold, that numbers are doubles and that ids are the service's own: all
as the real one has it, told from what its official client sends, reads and guards against.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from workspace_server import error, ok

_MOST_ROWS = 100
_MOST_BYTES = 1_000_000 + 1_000  # what surrounds the rows
_BASE = r"/api/2\.0/managed-evals/datasets"


@dataclass
class Table:
    """A table, and the dataset that it may be of."""

    name: str
    table_id: str = field(default_factory=lambda: str(uuid4()))
    dataset: dict[str, Any] | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


class DatasetService:
    """The service's state: tables by full name, in the one schema that there is.

    ``keeps_tags`` of rows; ``merges``: an update keeps expectations that it does not name;
    ``page``: how many rows a page has at most.
    """

    routes: ClassVar = {
        r"GET /api/2\.1/unity-catalog/tables/([^/]+)": "_table",
        f"POST {_BASE}": "_create",
        f"GET {_BASE}/([^/]+)": "_read",
        f"GET {_BASE}/([^/]+)/records": "_list",
        f"POST {_BASE}/([^/]+)/records:batch(Create|Update|Delete)": "_batch",
    }

    def __init__(self):
        self.tables, self.keeps_tags, self.merges, self.page = {}, True, False, 500

    def rows(self, name):
        """The rows of a table, as they are kept."""
        return list(self.tables[name].rows.values())

    def _table(self, _, name):
        if refused := self._no_schema(name):
            return refused
        if name not in self.tables:
            return error(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")
        return ok({"full_name": name, "table_id": self.tables[name].table_id})

    def _no_schema(self, name):
        schema = name.rpartition(".")[0]
        if schema == "main.evals":
            return None
        return error(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{schema}' does not exist.")

    def _create(self, request):
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

    def _of(self, dataset_id):
        known = (each for each in self.tables.values() if each.dataset)
        return next((each for each in known if each.table_id == dataset_id), None)

    def _read(self, _, dataset_id):
        table = self._of(dataset_id)
        return ok(table.dataset) if table else _none(dataset_id)

    def _list(self, request, dataset_id):
        if (table := self._of(dataset_id)) is None:
            return _none(dataset_id)
        begin = int(request.query.get("page_token", 0))
        end = begin + min(self.page, int(request.query["page_size"]))
        rows = list(table.rows.values())
        more = {"next_page_token": str(end)} if end < len(rows) else {}
        return ok({"dataset_records": rows[begin:end], **more})

    def _batch(self, request, dataset_id, action):
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

    def _set(self, table, item):
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


def _none(dataset_id):
    return error(404, "RESOURCE_DOES_NOT_EXIST", f"Dataset {dataset_id} does not exist.")
