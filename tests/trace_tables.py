"""Traces in tables of Unity Catalog, as a workspace answers for them: what a server has, renamed.

An experiment that is bound to tables has its traces there. They are searched with a SQL warehouse
that runs, one place at a time; their ids name the tables; their spans come as OpenTelemetry has
them.
"""

from typing import ClassVar

from google.protobuf.json_format import MessageToDict
from mlflow.entities import TraceLocation
from mlflow.tracing.client import TracingClient
from mlflow.utils.databricks_tracing_utils import trace_to_proto
from sql_warehouse import WAREHOUSE
from workspace_server import error, ok

BOUND_TAG = "mlflow.experiment.databricksTraceDestinationPath"
_BASE = r"/api/4\.0/mlflow/traces"


class TraceTables:
    """The tables; ``experiments`` says whose traces the tables of a common name hold."""

    routes: ClassVar = {
        r"GET /api/2\.0/sql/warehouses/([\w-]+)": "_warehouse",
        f"POST {_BASE}/search-long-running": "_search",
        f"GET {_BASE}/search/operations/([\\w-]+)": "_searched",
        f"GET {_BASE}/([\\w.-]+)/batchGet": "_batch",
        f"GET {_BASE}/([\\w.-]+)/(\\w+)/info": "_info",
    }

    def __init__(self, mlflow):
        self.mlflow, self.experiments, self.searches = mlflow, {}, {}

    def _warehouse(self, _, name):
        if name != WAREHOUSE:
            return error(404, "RESOURCE_DOES_NOT_EXIST", f"Warehouse {name} does not exist")
        return ok({"id": name, "state": "RUNNING"})

    def _search(self, request):
        asked = request.json()
        (place,) = asked["locations"]
        if place["type"] == "MLFLOW_EXPERIMENT":
            said = "MLFLOW_EXPERIMENT locations not yet supported"
            return error(400, "INVALID_PARAMETER_VALUE", said)
        if refused := _without_warehouse(asked):
            return refused
        named = place.get("uc_table_prefix") or place["uc_schema"]
        parts = ("catalog_name", "schema_name", "table_prefix")
        name = ".".join(named[part] for part in parts if part in named)
        if name not in self.experiments:
            return error(404, "RESOURCE_DOES_NOT_EXIST", f"No tables at {name}")
        found = TracingClient(self.mlflow).search_traces(
            locations=[self.experiments[name]],
            filter_string=asked.get("filter"),
            max_results=int(asked["max_results"]),
            order_by=list(asked.get("order_by", [])),
            page_token=asked.get("page_token"),
            include_spans=False,
        )
        traces = [_form(_renamed(trace, name))["trace_info"] for trace in found]
        more = {"next_page_token": found.token} if found.token else {}
        operation = f"search-{len(self.searches)}"
        self.searches[operation] = {"trace_infos": traces, **more}
        return ok({"name": operation, "done": False})

    def _searched(self, _, operation):
        return ok({"name": operation, "done": True, "response": self.searches.pop(operation)})

    def _info(self, request, name, trace_id):
        if refused := _without_warehouse(request.query):
            return refused
        return ok({"trace": {"trace_info": _form(self._trace(name, trace_id))["trace_info"]}})

    def _batch(self, request, name):
        if refused := _without_warehouse(request.query):
            return refused
        ids = request.repeated["trace_ids"]
        return ok({"traces": [_form(self._trace(name, each)) for each in ids]})

    def _trace(self, name, trace_id):
        return _renamed(TracingClient(self.mlflow).get_trace(f"tr-{trace_id}"), name)


def _without_warehouse(asked):
    if asked.get("sql_warehouse_id") == WAREHOUSE:
        return None
    return error(400, "INVALID_PARAMETER_VALUE", "Could not resolve a SQL warehouse ID")


def _renamed(trace, name):
    """The trace with the id and the place that it has in the tables."""
    info = trace.info
    info.trace_id = f"trace:/{name}/{info.trace_id.removeprefix('tr-')}"
    newer, older = "from_databricks_uc_table_prefix", "from_databricks_uc_schema"
    parts = name.split(".")
    info.trace_location = getattr(TraceLocation, newer if parts[2:] else older)(*parts)
    for each in info.assessments:
        each.trace_id = info.trace_id
    return trace


def _form(trace):
    """The trace as JSON, in the names that travel."""
    found = MessageToDict(trace_to_proto(trace), preserving_proto_field_name=True)
    return {"spans": [], **found}
