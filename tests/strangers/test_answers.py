"""A proxy that answers in MLflow's place: told, nothing counted, and the next run finishes."""

import pytest
from eval_project import RUN_ID
from in_mlflow import InMlflow
from servers import Proxy

RUN = ("--run-id", RUN_ID)
LOG, PUSH, SYNC = ("log-results", *RUN), ("push-feedback", *RUN), ("sync-dataset",)
PLACES = [
    (SYNC, "/api/3.0/mlflow/datasets/search", 0),
    (SYNC, "/api/3.0/mlflow/datasets/create", 0),
    (SYNC, "/records", 0),
    (LOG, "/api/2.0/mlflow/experiments/get-by-name", 0),
    (LOG, "/api/2.0/mlflow/runs/create", 0),
    (LOG, "/api/2.0/mlflow/runs/log-batch", 0),
    (LOG, "/api/3.0/mlflow/traces", 2),
    (LOG, "/v1/traces", 0),
    (LOG, "/artifacts/summary.yaml", 0),
    (LOG, "/artifacts/per_case_results.json", 0),
    (PUSH, "/api/3.0/mlflow/traces", 0),
]


@pytest.mark.parametrize(
    ("stage", "path", "after", "fault"),
    [
        *((*place, "page") for place in PLACES),
        *((*PLACES[n], fault) for n in (4, 7, 8) for fault in ("text", "redirect")),
    ],
)
def test_a_page_in_mlflows_place_is_told_and_the_next_run_finishes(
    evalkit, fresh_server, stage, path, after, fault
):
    if stage == PUSH:
        evalkit(*LOG, uri=fresh_server.uri)
    with Proxy(fresh_server.uri, after=after, times=1, fault=fault, path=path) as proxy:
        done = evalkit(*stage, uri=proxy.uri)
        told = done.report["error"].splitlines()[0]
        assert done.code == 1
        assert path in told
        assert proxy.uri in told
        assert "is not MLflow" in told
        assert "Traceback" not in done.err
        again = evalkit(*stage, uri=proxy.uri)
    assert again.code == 0, again.err
    found = InMlflow(fresh_server.uri)
    if stage == LOG:
        assert again.report["traces"] == len(found.traces()) == 3
        names = {each.path for each in found.client.list_artifacts(found.run().info.run_id)}
        assert names >= {"summary.yaml", "run_result.json", "receipt.json"}
    if stage == SYNC:
        assert len(found.rows()) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_a_path_that_is_kept_back_is_named_and_nothing_counts_as_written(
    evalkit, fresh_server, status
):
    with Proxy(
        fresh_server.uri, after=0, fault="refuse", status=status, path="/v1/traces"
    ) as proxy:
        done = evalkit(*LOG, uri=proxy.uri)
        assert sum(path == "/v1/traces" for path in proxy.paths()) == 1
    assert (done.code, done.report["traces"], done.report["spans"]) == (1, 0, 0)
    told = done.report["error"].splitlines()[0]
    assert f"refused /v1/traces (writing spans) ({status})" in told
    assert proxy.uri in told
    assert "traces written" not in done.err
    again = evalkit(*LOG, uri=fresh_server.uri)
    assert (again.code, again.report["traces"]) == (0, 3)
