"""Servers that are away, refuse, hang, or are not MLflow at all, or only sometimes."""

import json
import time

import pytest
from eval_project import RUN, RUN_ID
from guarded import guarded
from in_mlflow import InMlflow
from servers import Proxy, free_port

SYNC, LOG = ("sync-dataset",), ("log-results", *RUN)
PUSH, PULL = ("push-feedback", *RUN), ("pull-feedback", *RUN)


@pytest.mark.parametrize("missing", ["refuses", "drips", "has no address", "is silent"])
def test_without_mlflow_it_takes_seconds_to_tell_and_strict_minds(evalkit, project, missing):
    with Proxy(fault="drip" if missing == "drips" else "hang", after=0) as bad:
        nobody = f"http://127.0.0.1:{free_port()}"
        uris = {"refuses": nobody, "has no address": "http://nowhere.invalid:5000"}
        uri, began = uris.get(missing, bad.uri), time.monotonic()
        for stage in (SYNC, LOG, PUSH, PULL) if missing == "refuses" else [LOG]:
            done = evalkit(*stage, uri=uri)
            assert (done.code, done.report["skipped"], "error" in done.report) == (0, True, False)
            assert uri in done.report["reason"]
            told = [line for line in done.err.splitlines() if "skipped" in line]
            assert told == done.err.splitlines()[-1:]
        if missing == "is silent":  # asked once, what needs no MLflow is done
            project.remove("tmp/schema_mapping.json")
            done = evalkit("all", *RUN, uri=uri)
            skipped = [name for name, part in done.report.items() if part.get("skipped") is True]
            assert skipped == ["sync-dataset", "log-results", "push-feedback"]
            assert (done.code, done.err.count("skipped")) == (0, 1)
            assert (project.root / "tmp/schema_mapping.json").exists()
        assert time.monotonic() - began < 14 if missing == "is silent" else 6
        if missing == "refuses":
            report = evalkit("check", uri=uri).report
            assert (report["reachable"], report["cases"], report["runs"]) == (False, 3, 1)
            for command in (SYNC, LOG, PUSH, PULL, ["all", *RUN], ["check"]):
                strict = evalkit(*command, "--strict", uri=uri)
                assert (strict.code, uri in strict.report["error"]) == (1, True)


JSON, PAGE, ALL_BUT_WAY_IN = "application/json", b"<html>Sign in</html>", "^(?!/version|.*by-name)"
SIGN_IN = ("text/html", 200, PAGE)
ANSWERS = [  # what says what instead of MLflow, to which stage and where; what is told of it
    (SYNC, "/api/3.0/mlflow/datasets/create", *SIGN_IN, "is not MLflow"),
    (SYNC, "/records", *SIGN_IN, "is not MLflow"),
    (LOG, "/api/2.0/mlflow/experiments/get-by-name", *SIGN_IN, "is not MLflow"),
    (LOG, "/api/2.0/mlflow/runs/create", "text/plain", 200, PAGE, "is not MLflow"),
    (LOG, "/v1/traces", "redirect", 302, b"", "is not MLflow"),
    (LOG, "/artifacts/summary.yaml", *SIGN_IN, "is not MLflow"),
    (PUSH, "/api/3.0/mlflow/traces", *SIGN_IN, "is not MLflow"),
    *((LOG, "/v1/traces", "text/plain", s, b"no", f"spans) ({s})") for s in (401, 404, 501)),
    *((LOG, ALL_BUT_WAY_IN, JSON, 200, body, "") for body in (PAGE, b'{"login": "/signin"}')),
    *((SYNC, ALL_BUT_WAY_IN, kind, 200, b"", "") for kind in (JSON, "text/html")),
    (SYNC, ALL_BUT_WAY_IN, JSON, 200, b"[]", ""),
    (PUSH, ALL_BUT_WAY_IN, "text/html", 203, PAGE, ""),
    (LOG, "", "text/plain", 503, b"no", "What to do"),
    (LOG, "", "text/html", 200, b"<html>It works!</html>", "no MLflow server"),
]


@pytest.mark.parametrize(("stage", "path", "kind", "status", "body", "said"), ANSWERS, ids=str)
def test_what_answers_in_mlflows_place_is_told_and_the_next_run_finishes(
    evalkit, fresh_server, stage, path, kind, status, body, said
):
    InMlflow(fresh_server.uri).client.create_experiment("support")
    if stage == PUSH:
        evalkit(*LOG, uri=fresh_server.uri)
    how = {"fault": "redirect" if kind == "redirect" else "say", "say": (status, kind, body)}
    began = time.monotonic()
    with Proxy(fresh_server.uri, after=0, path=path, **how) as proxy:
        done = evalkit(*stage, uri=proxy.uri)
        sent = proxy.paths()
    told = done.report["error"]
    assert (done.code, "Traceback" in done.err + done.out) == (1, False), done.out + done.err
    assert [words for words in (proxy.uri, said) if words not in told] == []
    assert time.monotonic() - began < 10
    assert status < 400 or str(status) in told
    if path.startswith("/"):
        assert path in told
    if path == "/v1/traces" and status > 400:
        assert (done.report["traces"], done.report["spans"]) == (0, 0)
        assert ("traces written" in done.err, sent.count("/v1/traces")) == (False, 1)
    if stage == LOG:  # what is not all there is not called logged
        assert evalkit("check", uri=fresh_server.uri).report["open"][0]["logged"] is False
    again = evalkit(*stage, uri=fresh_server.uri)
    assert again.code == 0, again.err
    found = InMlflow(fresh_server.uri)
    if stage == LOG:
        assert again.report["traces"] == len(found.traces()) == 3
        names = {each.path for each in found.client.list_artifacts(found.run().info.run_id)}
        assert names >= {"summary.yaml", "run_result.json", "receipt.json"}
    assert stage != SYNC or len(found.rows()) == 3


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("oracle://x@127.0.0.1:1/db", "sqlite:///FILE"),
        ("mlruns", "sqlite:///FILE"),
        ("sqlite:////proc/none/mlflow.db", ""),
        ("sqlite:///" + "x" * 300 + ".db", "cannot be opened"),
        ("sqlite:///precious.txt", "cannot be opened"),
        ("localhost:5000", "http://HOST:PORT"),
        ("http://", "cannot be used"),
        ("http://[::1", ""),
        ("http://127.0.0.1:99999", ""),
        ("databricks://nobody", ""),
        ("databricks-uc", "or `databricks`"),
    ],
)
def test_an_address_that_no_store_has_is_told_in_one_line(uri, said, evalkit, project):
    kept = project.write("precious.txt", "precious")
    outcome = evalkit(*LOG, uri=uri)
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.code in ({1} if said else {0, 1, 2})
    assert said in (outcome.report.get("error") or outcome.report["reason"])
    assert kept.read_text() == "precious"


def test_only_the_server_that_was_named_is_contacted(fresh_server, project):
    done = guarded("all", "--run-id", RUN_ID, "--tracking-uri", fresh_server.uri, cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stderr.splitlines()[-1])) == {"127.0.0.1"}
