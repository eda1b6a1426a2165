"""A Databricks workspace with MLflow of its own: a real MLflow server behind the workspace's rules.

What differs from a server of one's own is here: experiments have absolute paths, artifacts and
spans lie in cloud storage that is reached by signed addresses or by the Files API, assessments get
their ids from the workspace whatever they come with, datasets are tables behind a service of their
own, and spans by OpenTelemetry are not to be had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests
from dataset_service import DatasetService
from sql_warehouse import SqlWarehouse
from trace_tables import TraceTables
from workspace_server import Answer, Request, WorkspaceServer, error, ok, serving

_LENT = re.compile(r"/api/2\.0/mlflow/traces/([^/]+)/credentials-for-data-(?:upload|download)")
_KEPT = re.compile(r"(?:GET|PUT) /cloud/([\w-]+)")
_ARTIFACT = re.compile(r"PUT /api/2\.0/fs/files(/WorkspaceInternal/Mlflow/Artifacts/.+)")
_ASSESSED = re.compile(r"/api/3\.0/mlflow/traces(/[^/]+/assessments)?")
_MLFLOW = re.compile(r"/api/[23]\.0/mlflow/(?!datasets)")


@dataclass
class ManagedMlflow(WorkspaceServer):
    """The workspace's state.

    Attributes:
        mlflow: The address of the MLflow server behind it.
        cloud: The spans of each trace, as they were put.
        artifacts: The content of artifacts by path.
        datasets: The evaluation datasets.
        tables: The traces that are in tables of Unity Catalog.
        sql: What answers SQL on them.
    """

    mlflow: str = ""
    cloud: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    datasets: DatasetService = field(init=False)
    tables: TraceTables = field(init=False)
    sql: SqlWarehouse = field(init=False)

    def __post_init__(self) -> None:
        self.datasets = DatasetService(self.schemas)
        self.tables = TraceTables(self.mlflow)
        self.sql = SqlWarehouse(self.mlflow, self.tables.experiments)

    def _answer(self, request: Request) -> Answer:
        if kept := _KEPT.fullmatch(f"{request.method} {request.path}"):
            return self._store(request, kept[1])
        if (refused := super()._answer(request)).status != 404:
            return refused
        if path := _ARTIFACT.fullmatch(f"{request.method} {request.path}"):
            self.artifacts[path[1]] = request.body
            return Answer(204)
        if denied := self._denied(request.path):
            return denied
        for part in (self.datasets, self.tables, self.sql):
            if told := part.answer(request):
                return told
        if lent := _LENT.fullmatch(request.path):
            return self._lend(lent[1])
        return self._passed_on(request) if _MLFLOW.match(request.path) else refused

    def _store(self, request: Request, name: str) -> Answer:
        """Cloud storage: it knows its own signatures, and refuses the workspace's tokens."""
        if "authorization" in request.headers:
            return Answer(400, b"Only one auth mechanism allowed")
        if request.method == "PUT":
            self.cloud[name] = request.body
            return Answer(200)
        if name not in self.cloud:
            return Answer(404, b"NoSuchKey")
        return Answer(200, self.cloud[name], {"Content-Type": "binary/octet-stream"})

    def _lend(self, trace_id: str) -> Answer:
        known = requests.get(f"{self.mlflow}/api/3.0/mlflow/traces/{trace_id}", timeout=30)
        if not known.ok:
            return error(404, "RESOURCE_DOES_NOT_EXIST", f"Trace {trace_id} does not exist.")
        signed = f"{self.url}/cloud/{trace_id}"
        return ok({"credential_info": {"type": "AWS_PRESIGNED_URL", "signed_uri": signed}})

    def _passed_on(self, request: Request) -> Answer:
        if request.path.endswith("/experiments/create"):
            name = request.json()["name"]
            if not name.startswith("/"):
                said = f"Got an invalid experiment name '{name}'. It must be an absolute path"
                return error(400, "INVALID_PARAMETER_VALUE", said)
        told = requests.request(
            request.method,
            self.mlflow + request.path,
            params=request.query,
            data=_with_new_ids(request),
            headers={"Content-Type": request.headers.get("content-type", "application/json")},
            timeout=30,
        )
        body = json.dumps(_as_in_a_workspace(told.json())).encode()
        return Answer(told.status_code, body, {"Content-Type": "application/json"})


def _with_new_ids(request: Request) -> bytes:
    """The request, with the ids of new assessments given by the workspace."""
    if request.method != "POST" or not _ASSESSED.fullmatch(request.path):
        return request.body
    content = request.json()
    info = content.get("trace", {}).get("trace_info", {})
    for said in (*info.get("assessments", []), *filter(None, [content.get("assessment")])):
        said["assessment_id"] = f"a-{uuid4().hex}"
    return json.dumps(content).encode()


def _as_in_a_workspace(value: Any) -> Any:
    """The server's answer with the places where a workspace keeps its files."""
    if isinstance(value, list):
        return [_as_in_a_workspace(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {key: _as_in_a_workspace(each) for key, each in value.items()}
    root = "dbfs:/databricks/mlflow-tracking"
    if "artifact_uri" in found:
        found["artifact_uri"] = f"{root}/{found['experiment_id']}/{found['run_id']}/artifacts"
    if "trace_location" in found and "tags" in found:
        experiment = found["trace_location"]["mlflow_experiment"]["experiment_id"]
        place = f"{root}/{experiment}/{found['trace_id']}/artifacts"
        found["tags"] = {**found["tags"], "mlflow.artifactLocation": place}
    return found


@contextmanager
def managed_mlflow(mlflow: str) -> Iterator[ManagedMlflow]:
    """A running workspace before a running MLflow server."""
    with serving(ManagedMlflow(mlflow=mlflow)) as workspace:
        yield workspace
