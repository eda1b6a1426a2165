"""A Databricks workspace with MLflow of its own: a real MLflow server behind the workspace's rules.

What differs from a server of one's own is here: experiments have absolute paths, artifacts and
spans lie in cloud storage that is reached by signed addresses or by the Files API, assessments get
their ids from the workspace whatever they come with, datasets are tables behind a service of their
own, and spans by OpenTelemetry are not to be had.
"""

import json
import re
from typing import ClassVar
from uuid import uuid4

import requests
from dataset_service import DatasetService
from sql_warehouse import SqlWarehouse
from trace_tables import TraceTables
from workspace_server import Answer, WorkspaceServer, error, ok, routed

_KEPT = re.compile(r"(?:GET|PUT) /cloud/([\w-]+)")
_ASSESSED = re.compile(r"/api/3\.0/mlflow/traces(/[^/]+/assessments)?")
_MLFLOW = re.compile(r"/api/[23]\.0/mlflow/(?!datasets)")


class ManagedMlflow(WorkspaceServer):
    """The workspace's state; ``mlflow`` is the address of the server behind it.

    ``cloud`` has the spans of each trace as they were put, ``artifacts`` their content by path.
    """

    routes: ClassVar = {
        **WorkspaceServer.routes,
        r"PUT /api/2\.0/fs/files(/WorkspaceInternal/Mlflow/Artifacts/.+)": "_put_artifact",
        r"\w+ /api/2\.0/mlflow/traces/([^/]+)/credentials-for-data-(?:upload|download)": "_lend",
    }

    def __init__(self, mlflow):
        super().__init__()
        self.mlflow, self.cloud, self.artifacts = mlflow, {}, {}
        self.datasets, self.tables = DatasetService(), TraceTables(mlflow)
        self.sql = SqlWarehouse(mlflow, self.tables.experiments)

    def _answer(self, request):
        if kept := _KEPT.fullmatch(f"{request.method} {request.path}"):
            return self._store(request, kept[1])
        if b"ENDPOINT_NOT_FOUND" not in (found := super()._answer(request)).body:
            return found
        if denied := self._denied(request.path):
            return denied
        for part in (self.datasets, self.tables, self.sql):
            if told := routed(part, request):
                return told
        return self._passed_on(request) if _MLFLOW.match(request.path) else found

    def _store(self, request, name):
        """Cloud storage: it knows its own signatures, and refuses the workspace's tokens."""
        if "authorization" in request.headers:
            return Answer(400, b"Only one auth mechanism allowed")
        if request.method == "PUT":
            self.cloud[name] = request.body
            return Answer(200)
        if name not in self.cloud:
            return Answer(404, b"NoSuchKey")
        return Answer(200, self.cloud[name], {"Content-Type": "binary/octet-stream"})

    def _put_artifact(self, request, path):
        self.artifacts[path] = request.body
        return Answer(204)

    def _lend(self, _, trace_id):
        known = requests.get(f"{self.mlflow}/api/3.0/mlflow/traces/{trace_id}", timeout=30)
        if not known.ok:
            return error(404, "RESOURCE_DOES_NOT_EXIST", f"Trace {trace_id} does not exist.")
        signed = f"{self.url}/cloud/{trace_id}"
        return ok({"credential_info": {"type": "AWS_PRESIGNED_URL", "signed_uri": signed}})

    def _passed_on(self, request):
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


def _with_new_ids(request):
    """The request, with the ids of new assessments given by the workspace."""
    if request.method != "POST" or not _ASSESSED.fullmatch(request.path):
        return request.body
    content = request.json()
    info = content.get("trace", {}).get("trace_info", {})
    for said in (*info.get("assessments", []), *filter(None, [content.get("assessment")])):
        said["assessment_id"] = f"a-{uuid4().hex}"
    return json.dumps(content).encode()


def _as_in_a_workspace(value):
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
