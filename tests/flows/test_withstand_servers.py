"""Servers that are away, refuse, hang, or are not MLflow at all, or only sometimes."""

import json
import time

import pytest
from eval_project import RUN, RUN_ID
from guarded import guarded
from in_mlflow import InMlflow
from servers import Proxy, drip, free_port, raw_server, stay_silent

SYNC, LOG = ("sync-dataset",), ("log-results", *RUN)
PUSH, PULL = ("push-feedback", *RUN), ("pull-feedback", *RUN)


@pytest.mark.parametrize("missing", ["refuses", "drips", "has no address", "is silent"])
def test_without_mlflow_it_takes_seconds_to_tell_and_strict_minds(evalkit, project, missing):
    with raw_server(drip if missing == "drips" else stay_silent) as bad:
        nobody = f"http://127.0.0.1:{free_port()}"
        uris = {"refuses": nobody, "has no address": "http://nowhere.invalid:5000"}
        uri, began = uris.get(missing, bad), time.monotonic()
        for stage in (SYNC, LOG, PUSH, PULL) if missing == "refuses" else [LOG]:
            done = evalkit(*stage, uri=uri)
            assert (done.code, done.report["skipped"]) == (0, True)
            assert uri in done.report["reason"]
            assert "error" not in done.report
            assert [line for line in done.err.splitlines() if "skipped" in line] == (
                done.err.splitlines()[-1:]
            )
        if missing == "is silent":  # asked once, what needs no MLflow is done
            project.remove("tmp/schema_mapping.json")
            done = evalkit("all", *RUN, uri=uri)
            skipped = [name for name, part in done.report.items() if part.get("skipped") is True]
            assert skipped == ["sync-dataset", "log-results", "push-feedback"]
            assert (done.code, done.err.count("skipped")) == (0, 1)
            assert done.report["map"]["inputs"]
            assert (project.root / "tmp/schema_mapping.json").exists()
        assert time.monotonic() - began < 14 if missing == "is silent" else 6
        if missing == "refuses":
            report = evalkit("check", uri=uri).report
            assert (report["reachable"], report["cases"], report["runs"]) == (False, 3, 1)
            for command in (SYNC, LOG, PUSH, PULL, ["all", *RUN], ["check"]):
                strict = evalkit(*command, "--strict", uri=uri)
                assert (strict.code, uri in strict.report["error"]) == (1, True)


EXPERIMENT, JSON = "/api/2.0/mlflow/experiments/get-by-name", "application/json"


@pytest.mark.parametrize(
    ("stage", "path", "after", "fault"),
    [
        (SYNC, "/api/3.0/mlflow/datasets/search", 0, "page"),
        (SYNC, "/api/3.0/mlflow/datasets/create", 0, "page"),
        (SYNC, "/records", 0, "page"),
        (LOG, EXPERIMENT, 0, "page"),
        (LOG, "/api/2.0/mlflow/runs/create", 0, "text"),
        (LOG, "/api/2.0/mlflow/runs/log-batch", 0, "page"),
        (LOG, "/api/3.0/mlflow/traces", 2, "page"),
        (LOG, "/v1/traces", 0, "redirect"),
        (LOG, "/artifacts/summary.yaml", 0, "page"),
        (LOG, "/artifacts/per_case_results.json", 0, "text"),
        (PUSH, "/api/3.0/mlflow/traces", 0, "page"),
        *((LOG, "/v1/traces", 0, status) for status in (401, 404, 501)),
    ],
)
def test_a_page_in_mlflows_place_or_a_path_kept_back_is_told_and_the_next_run_finishes(
    evalkit, fresh_server, stage, path, after, fault
):
    if stage == PUSH:
        evalkit(*LOG, uri=fresh_server.uri)
    how = {"fault": "refuse", "status": fault} if isinstance(fault, int) else {"fault": fault}
    with Proxy(fresh_server.uri, after=after, times=1, path=path, **how) as proxy:
        done = evalkit(*stage, uri=proxy.uri)
        told, sent = done.report["error"].splitlines()[0], proxy.paths()
        assert (done.code, proxy.uri in told, "Traceback" in done.err) == (1, True, False)
        again = evalkit(*stage, uri=proxy.uri)
    assert again.code == 0, again.err
    if isinstance(fault, int):
        assert f"refused /v1/traces (writing spans) ({fault})" in told
        assert (done.report["traces"], done.report["spans"]) == (0, 0)
        assert ("traces written" in done.err, sent.count("/v1/traces")) == (False, 1)
    else:
        assert (path in told, "is not MLflow" in told) == (True, True)
    found = InMlflow(fresh_server.uri)
    if stage == LOG:
        assert again.report["traces"] == len(found.traces()) == 3
        names = {each.path for each in found.client.list_artifacts(found.run().info.run_id)}
        assert names >= {"summary.yaml", "run_result.json", "receipt.json"}
    if stage == SYNC:
        assert len(found.rows()) == 3


@pytest.mark.parametrize(
    ("stage", "status", "kind", "body", "said"),
    [  # of all but the version and the experiment
        (LOG, 200, JSON, b"<html>Sign in</html>", ""),
        (SYNC, 200, "text/html", b"", ""),
        (PUSH, 200, JSON, b'"sign in"', ""),
        (SYNC, 200, JSON, b"[]", ""),
        (LOG, 200, "application/octet-stream", b"\xff\xfe\x00", ""),
        (LOG, 200, JSON, b'{"login": "/signin"}', ""),
        (PUSH, 203, "text/html", b"<html>Sign in</html>", ""),
        # of everything
        (SYNC, 401, "text/plain", b"no", "What to do"),
        (LOG, 503, "text/plain", b"no", "What to do"),
        (LOG, 200, "text/html", b"<html>It works!</html>", "no MLflow server"),
    ],
)
def test_whatever_a_proxy_says_instead_is_told(
    evalkit, fresh_server, stage, status, kind, body, said
):
    InMlflow(fresh_server.uri).client.create_experiment("support")
    path, began = "" if said else "^(?!/version|.*get-by-name)", time.monotonic()
    how = {"fault": "say", "say": (status, kind, body), "path": path}
    with Proxy(fresh_server.uri, after=0, **how) as proxy:
        done = evalkit(*stage, uri=proxy.uri)
    assert (done.code, "Traceback" in done.err + done.out) == (1, False), done.out + done.err
    assert [words for words in (proxy.uri, said) if words not in done.report["error"]] == []
    assert status < 400 or str(status) in done.report["error"]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "uri",
    [
        "oracle://x@127.0.0.1:1/db",
        "mssql+pyodbc://x@127.0.0.1:1/db",
        "sqlite:////proc/none/mlflow.db",
        "sqlite:///" + "x" * 300 + ".db",
        "sqlite://" + "host/x.db",
        "sqlite:///precious.txt",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "ftp://127.0.0.1/x",
        "databricks://nobody",
        "uc:main",
    ],
)
def test_an_address_that_no_store_has_is_told_in_one_line(uri, evalkit, project):
    kept = project.write("precious.txt", "precious")
    outcome = evalkit(*LOG, uri=uri)
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in ({1} if "precious" in uri else {0, 1, 2})
    assert outcome.report.get("error") or outcome.report.get("reason")
    assert kept.read_text() == "precious"


def test_only_the_server_that_was_named_is_contacted(fresh_server, project):
    done = guarded("all", "--run-id", RUN_ID, "--tracking-uri", fresh_server.uri, cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stderr.splitlines()[-1])) == {"127.0.0.1"}
