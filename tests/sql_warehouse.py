"""A SQL warehouse of a workspace: its endpoint, and statements that are parsed and run in earnest.

What is asked in Databricks' dialect is translated for DuckDB. The tables of traces are made from
what an MLflow server has, with the columns that Databricks documents, in both of their forms.
"""

import datetime as dt
import json
import re
from functools import cached_property
from typing import ClassVar

import duckdb
import sqlglot
from mlflow.tracing.client import TracingClient
from workspace_server import error, ok

WAREHOUSE = "a-warehouse"
PAGE = 3  # rows in a chunk
_TYPES = {"VARCHAR": "STRING", "JSON": "STRING", "BIGINT": "LONG", "HUGEINT": "LONG"}
_BASE = r"/api/2\.0/sql/statements"
_ASKED = {"statement", "warehouse_id", "wait_timeout"}

_SPANS = {
    **dict.fromkeys(("trace_id", "span_id", "parent_span_id", "name", "kind"), "VARCHAR"),
    **dict.fromkeys(("start_time_unix_nano", "end_time_unix_nano"), "BIGINT"),
    "status": {"message": "VARCHAR", "code": "VARCHAR"},
}
_SOURCE = {"source_id": "VARCHAR", "source_type": "VARCHAR"}
_ERROR = dict.fromkeys(("error_code", "error_message", "stack_trace"), "VARCHAR")
_UNIFIED = {
    **dict.fromkeys(("trace_id", "client_request_id", "state", "request", "response"), "VARCHAR"),
    "request_time": "TIMESTAMP",
    "execution_duration_ms": "DECIMAL(30,9)",
    "trace_metadata": "MAP(VARCHAR, VARCHAR)",
    "tags": "MAP(VARCHAR, VARCHAR)",
    "assessments": [
        {
            **dict.fromkeys(("assessment_id", "assessment_name", "rationale", "valid"), "VARCHAR"),
            "source": _SOURCE,
            "create_time": "TIMESTAMP",
            "expectation": {"value": "VARCHAR", "serialized_value": {"value": "VARCHAR"}},
            "feedback": {"value": "VARCHAR", "error": _ERROR},
        }
    ],
}


class SqlWarehouse:
    """The warehouse on what ``experiments``, by the tables' common name, have in ``mlflow``.

    ``missing`` columns and tables, by the end of their names, are not there; statements never end
    while it ``is_slow``. ``statements`` has those that were asked with the answers still due.
    """

    routes: ClassVar = {
        f"POST {_BASE}/?": "_begin",
        f"GET {_BASE}/([\\w-]+)": "_state",
        f"GET {_BASE}/([\\w-]+)/result/chunks/(\\d+)": "_chunk",
        f"POST {_BASE}/([\\w-]+)/cancel": "_cancel",
    }

    def __init__(self, mlflow, experiments):
        self.mlflow, self.experiments = mlflow, experiments
        self.missing, self.is_slow = set(), False
        self.statements, self._pages = {}, {}

    def _begin(self, request):
        asked = request.json()
        if set(asked) != _ASKED or not re.fullmatch(r"([5-9]|[1-4]\d|50)s", asked["wait_timeout"]):
            return error(400, "INVALID_PARAMETER_VALUE", f"Unexpected request: {sorted(asked)}")
        if asked["warehouse_id"] != WAREHOUSE:
            said = f"SQL warehouse {asked['warehouse_id']} does not exist"
            return error(404, "RESOURCE_DOES_NOT_EXIST", said)
        name = f"statement-{len(self.statements)}"
        waiting = ["PENDING", "RUNNING"] if not self.statements else []
        states = [{"status": {"state": state}} for state in waiting]
        self.statements[name] = [*states, self._ended(name, asked["statement"])]
        return self._state(request, name)

    def _state(self, _, name):
        due = self.statements[name]
        if self.is_slow:
            return ok({"statement_id": name, "status": {"state": "RUNNING"}})
        return ok({"statement_id": name, **(due.pop(0) if len(due) > 1 else due[0])})

    def _chunk(self, _, name, number):
        return ok(self._pages[name][int(number)])

    def _cancel(self, _, name):
        self.statements[name] = [{"status": {"state": "CANCELED"}}]
        return ok({})

    def _ended(self, name, statement):
        try:
            columns, rows = self._run(statement)
        except (duckdb.Error, sqlglot.ParseError) as failure:
            why = {"error_code": "BAD_REQUEST", "message": f"[TABLE_OR_VIEW] {failure}"}
            return {"status": {"state": "FAILED", "error": why}}
        pages = [rows[begin : begin + PAGE] for begin in range(0, len(rows), PAGE)]
        self._pages[name] = [
            {"chunk_index": place, "row_count": len(page), "data_array": page}
            | ({"next_chunk_index": place + 1} if place + 1 < len(pages) else {})
            for place, page in enumerate(pages)
        ]
        schema = {"column_count": len(columns), "columns": columns}
        manifest = {"format": "JSON_ARRAY", "schema": schema, "total_row_count": len(rows)}
        result = {"result": self._pages[name][0]} if pages else {}
        return {"status": {"state": "SUCCEEDED"}, "manifest": manifest, **result}

    def _run(self, statement):
        (translated,) = sqlglot.transpile(statement, read="databricks", write="duckdb")
        found = self._database.execute(translated)
        columns = [
            {"name": column[0], "type_name": _TYPES.get(str(column[1]), str(column[1]))}
            for column in found.description
        ]
        return columns, [[_text(value) for value in row] for row in found.fetchall()]

    @cached_property
    def _database(self):
        """The tables, as they are when they are first asked."""
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        for tables, experiment_id in self.experiments.items():
            self._make(database, tables, experiment_id)
        return database

    def _make(self, database, tables, experiment_id):
        """The tables of an experiment: with a prefix those of the newer form."""
        catalog, schema, *prefix = tables.split(".")
        held = "JSON" if prefix else "MAP(VARCHAR, VARCHAR)"
        begin = f'"{catalog}"."{schema}"."{(prefix or ["mlflow_experiment_trace"])[0]}'
        traces = TracingClient(self.mlflow).search_traces(locations=[experiment_id])
        spans = [
            _span(trace, span, is_map=not prefix) for trace in traces for span in trace.data.spans
        ]
        database.execute(f"ATTACH IF NOT EXISTS ':memory:' AS \"{catalog}\"")
        database.execute(f'CREATE SCHEMA IF NOT EXISTS "{catalog}"."{schema}"')
        events = [{"name": "VARCHAR", "attributes": held}]
        for end, form, rows in (
            ("_otel_spans", {**_SPANS, "attributes": held, "events": events}, spans),
            ("_trace_unified", _UNIFIED, [_entry(trace) for trace in traces]),
        ):
            kept = {name: type_ for name, type_ in form.items() if name not in self.missing}
            if end not in self.missing:
                database.execute("CREATE OR REPLACE TEMP TABLE rows (row JSON)")
                if rows:
                    database.executemany(
                        "INSERT INTO rows VALUES (?)", [[json.dumps(r)] for r in rows]
                    )
                taken = f"unnest(json_transform(row, '{json.dumps(kept)}'))"
                made = f'{begin}{end}" AS SELECT {taken}'
                database.execute(f"CREATE TABLE {made} FROM rows")


def _text(value):
    """A value as the API has it: a string, whatever it is."""
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _span(trace, span, *, is_map):
    """A span as OpenTelemetry has it; in a map of texts, what is none is JSON."""

    def held(values):
        if not is_map:
            return dict(values)
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}

    return {
        "trace_id": trace.info.trace_id.removeprefix("tr-"),
        "span_id": span.span_id,
        "parent_span_id": span.parent_id or "",
        "name": span.name,
        "start_time_unix_nano": span.start_time_ns,
        "end_time_unix_nano": span.end_time_ns,
        "attributes": held({k: v for k, v in span.attributes.items() if v is not None}),
        "events": [{"name": e.name, "attributes": held(e.attributes)} for e in span.events],
        "status": {
            "code": f"STATUS_CODE_{span.status.status_code.value}",
            "message": span.status.description or "",
        },
    }


def _entry(trace):
    """A trace as the view has it, which the MLflow service maintains."""
    info = trace.info
    return {
        "trace_id": info.trace_id.removeprefix("tr-"),
        "request_time": _time(info.request_time),
        "state": str(info.state.value),
        "execution_duration_ms": info.execution_duration,
        "trace_metadata": info.trace_metadata,
        "tags": info.tags,
        "assessments": [_said(each.to_dictionary()) for each in info.assessments],
    }


def _said(each):
    feedback, wished = each.get("feedback"), each.get("expectation")
    found = {
        "assessment_id": each["assessment_id"],
        "assessment_name": each["assessment_name"],
        "source": each["source"],
        "create_time": each["create_time"].removesuffix("Z"),
        "rationale": each.get("rationale"),
        "valid": json.dumps(each.get("valid", True)),
    }
    if feedback is not None:
        found["feedback"] = {**feedback, "value": _plain(feedback.get("value"))}
    if wished is not None:
        found["expectation"] = {**wished, "value": _plain(wished.get("value"))}
    return found


def _plain(value):
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _time(milliseconds):
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).replace(tzinfo=None).isoformat()
