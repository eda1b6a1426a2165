"""Not MLflow answers, or only sometimes: told in one line, nothing counted, then made good."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from eval_project import RUN_ID
from in_mlflow import InMlflow
from servers import Proxy

RUN = ("--run-id", RUN_ID)
LOG, PUSH, SYNC = ("log-results", *RUN), ("push-feedback", *RUN), ("sync-dataset",)


@pytest.mark.parametrize(
    ("stage", "path", "after", "fault"),
    [
        (SYNC, "/api/3.0/mlflow/datasets/search", 0, "page"),
        (SYNC, "/api/3.0/mlflow/datasets/create", 0, "page"),
        (SYNC, "/records", 0, "page"),
        (LOG, "/api/2.0/mlflow/experiments/get-by-name", 0, "page"),
        (LOG, "/api/2.0/mlflow/runs/create", 0, "text"),
        (LOG, "/api/2.0/mlflow/runs/log-batch", 0, "page"),
        (LOG, "/api/3.0/mlflow/traces", 2, "page"),
        (LOG, "/v1/traces", 0, "redirect"),
        (LOG, "/artifacts/summary.yaml", 0, "page"),
        (LOG, "/artifacts/per_case_results.json", 0, "text"),
        (PUSH, "/api/3.0/mlflow/traces", 0, "page"),
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
        for words in (path, proxy.uri, "is not MLflow"):
            assert words in told
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


@pytest.mark.parametrize("status", [401, 404, 501])
def test_a_path_that_is_kept_back_is_named_and_nothing_counts_as_written(
    evalkit, fresh_server, status
):
    how = {"fault": "refuse", "status": status, "path": "/v1/traces"}
    with Proxy(fresh_server.uri, after=0, **how) as proxy:
        done = evalkit(*LOG, uri=proxy.uri)
        assert sum(path == "/v1/traces" for path in proxy.paths()) == 1
    assert (done.code, done.report["traces"], done.report["spans"]) == (1, 0, 0)
    told = done.report["error"].splitlines()[0]
    assert f"refused /v1/traces (writing spans) ({status})" in told
    assert proxy.uri in told
    assert "traces written" not in done.err
    again = evalkit(*LOG, uri=fresh_server.uri)
    assert (again.code, again.report["traces"]) == (0, 3)


# -- a page instead of every answer -----------------------------------------------------------

NAMED = {"experiment_id": "1", "name": "support", "artifact_location": "x"}
NAMED |= {"lifecycle_stage": "active"}


@contextmanager
def sign_in(body, kind, status):
    """A server that answers what it knows, and everything else with ``body``."""
    experiment = json.dumps({"experiment": NAMED}).encode()
    known = {
        "/version": (b"3.17.2", "text/plain"),
        "/api/2.0/mlflow/experiments/get-by-name": (experiment, "application/json"),
    }

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_): ...

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            said, form = known.get(path, (body, kind))
            self.send_response(200 if path in known else status)
            self.send_header("Content-Type", form)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


PAGES = [
    (LOG, b"<html>Sign in</html>", "application/json", 200),
    (SYNC, b"", "text/html", 200),
    (PUSH, b'"sign in"', "application/json", 200),
    (SYNC, b"[]", "application/json", 200),
    (LOG, b"\xff\xfe\x00", "application/octet-stream", 200),
    (LOG, b'{"login": "/signin"}', "application/json", 200),
    (PUSH, b"<html>Sign in</html>", "text/html", 203),
]


@pytest.mark.parametrize(("stage", "body", "kind", "status"), PAGES)
def test_whatever_a_proxy_says_instead_is_told_in_one_line(evalkit, stage, body, kind, status):
    with sign_in(body, kind, status) as uri:
        outcome = evalkit(*stage, uri=uri)
    assert outcome.code == 1, outcome.out + outcome.err
    assert "Traceback" not in outcome.err + outcome.out
    assert uri in outcome.report["error"]


@pytest.mark.parametrize(
    "uri",
    [
        "oracle://x@127.0.0.1:1/db",
        "mssql+pyodbc://x@127.0.0.1:1/db",
        "sqlite:////proc/none/mlflow.db",
        "sqlite:///" + "x" * 300 + ".db",
        "sqlite://" + "host/x.db",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "ftp://127.0.0.1/x",
        "databricks://nobody",
        "uc:main",
    ],
)
def test_an_address_that_no_store_has_is_told_in_one_line(uri, evalkit):
    outcome = evalkit(*LOG, uri=uri)
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in {0, 1, 2}
    assert outcome.report.get("error") or outcome.report.get("reason")
