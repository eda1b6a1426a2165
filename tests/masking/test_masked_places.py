"""No secret reaches MLflow, in whichever place of the project it stands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from agentlogs import answer, as_lines, ask, finish, init, say, text, thinking, use
from eval_project import CASES, RESULT, RUN, log_of, scores_of

# put together here so that no scanner of this repository takes them for real ones
BODY = "Zx9" + "kQ4vL2mWb7TnYr8s"
KEY = "sk-ant-" + "api03-Zk3vQ9xLm27TrWb8NcYd"
LINES = [f"MIIEowIBAAKCAQEA{letter * 48}" for letter in "bcdefg"]
PEM = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])
SECRETS = {
    "by form": "sk-ant-" + "api03-{place}" + BODY,
    "by name": "DB_PASSWORD={place}" + BODY,
    "in a URL": "https://bob:{place}" + BODY + "@example.org/x",
    "in a command": "curl -u bob:{place}" + BODY,
}
PLACES = (
    "tag", "input", "reference", "rationale", "score", "error", "model", "agent", "usage",
    "reviewer", "comment", "verdict", "request", "answer", "summary", "case",
)  # fmt: skip


@pytest.fixture
def kept(database_uri):
    """Every byte that MLflow keeps, the database also as text, and the names of its files."""

    def read():
        database = Path(database_uri.removeprefix("sqlite:///"))
        files = [path for path in database.parent.rglob("*") if path.is_file()]
        found = b"\n".join(bytes(path) + path.read_bytes() for path in files)
        with closing(sqlite3.connect(database)) as opened:
            return found + "\n".join(opened.iterdump()).encode()

    return read


@pytest.mark.parametrize("form", SECRETS.values(), ids=SECRETS)
def test_every_place_is_masked_and_named(evalkit, project, kept, form):
    def of(place):
        return "see " + form.format(place=place)

    project.configure(mlflow={"tags": {"note": of("tag")}})
    project.add_case("alpha", of("input"), of("reference"))
    scores = {case: scores_of(case) for case in CASES}
    scores["alpha"]["polite"] = {"value": of("score"), "rationale": of("rationale")}
    scores["alpha"]["broken"] = {"value": None, "error": of("error")}
    project.summarise(scores, notes=of("summary"))
    figures = {"input": 1, "output": 1, "cost_usd": 0.1}
    more = {"model": of("model"), "agent": of("agent"), "per_model_usage": {of("usage"): figures}}
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, **more})
    review = {
        "feedback": {"alpha": of("comment")},
        "verdicts": {"alpha": {"polite": of("verdict")}},
    }
    project.review.write_text(yaml.safe_dump({"reviewer": of("reviewer"), **review}))
    log = [init(), ask(of("request")), say("m1", text(of("answer"))), finish(of("answer"))]
    project.log("alpha", b"".join(as_lines(log)))
    stages = (("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN))

    synced, logged, pushed = (evalkit(*stage) for stage in stages)
    assert [place for place in PLACES if (place + BODY).encode() in kept()] == []
    told = logged.report["masked"]
    assert {"logs", "params", "tags", "metrics", "artifacts", "assessments"} <= set(told)
    assert "secrets were masked: " in logged.err
    assert "secrets are masked: 1 in inputs, 1 in expectations" in synced.err
    assert pushed.report["masked"] >= 4

    synced, logged, pushed = (evalkit(*stage).report for stage in stages)
    assert (synced["unchanged"], logged["written"]) == (3, False)
    assert (pushed["created"], pushed["updated"]) == (0, 0)


def test_file_and_folder_names_of_a_run_keep_their_secrets_here(project, evalkit, kept):
    case = f"{project.run_dir}/cases/alpha"
    project.write(f"{case}/outputs/{KEY}.md", f"the report of {KEY}")
    project.write(f"{case}/outputs/{KEY}/deep.md", "deeper")
    project.write(f"{project.run_dir}/report.html", f"<a href='cases/{KEY}.html'>{KEY}</a>")
    project.write(f"{project.run_dir}/analysis.md", f"see `cases/alpha/outputs/{KEY}.md`\n{PEM}")
    project.log("beta", f"$ cat key.pem\n{PEM}\n".encode() + log_of("beta"))
    project.log("gamma", f"$ cat key.pem\n{PEM}\n".encode())
    project.write(f"{project.run_dir}/batch.yaml", {KEY: {"file": f"{KEY}.md"}})
    assert evalkit("log-results", *RUN).code == 0
    assert not [each for each in (KEY, *LINES) if each.encode() in kept()]


@pytest.mark.parametrize("before", [990, 249_990])
def test_where_a_text_is_cut_nothing_is_left_of_a_secret(project, evalkit, kept, before):
    long = "a " * (before // 2) + KEY + " b" * 1000
    calls = [say("m1", use("t1", "Bash", command=long)), answer("t1", long)]
    project.log("alpha", b"".join(as_lines([init(), ask(long), *calls, say("m2", text(long))])))
    scores = {case: scores_of(case) for case in CASES}
    scores["beta"]["polite"] = {"value": False, "rationale": long}
    scores["beta"]["broken"] = {"value": None, "error": long}
    project.summarise(scores)
    project.remove(f"{project.run_dir}/cases/gamma")
    project.add_case("gamma", long, long)
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "stderr": long, "model": long})
    project.review.write_text(yaml.safe_dump({"feedback": {"alpha": long}}))
    for stage in (("sync-dataset",), ("log-results", *RUN), ("push-feedback", *RUN)):
        evalkit(*stage)
    assert KEY[:20].encode() not in kept()


def test_secrets_of_a_batch_run_stay_here_and_the_files_on_disk_keep_what_they_say(
    project, evalkit, kept
):
    said = f"the key {KEY}\n{PEM}"
    calls = [say("m1", thinking(said), use("t1", "Bash", env={"KEY": KEY})), answer("t1", said)]
    denied = finish(said, permission_denials=[{"tool_input": {"key": KEY}}])
    project.make_batch()
    project.write(f"{project.run_dir}/stdout.log", b"".join(as_lines([init(), *calls, denied])))
    project.review.write_text(yaml.safe_dump({"feedback": {"beta": said}}))
    before = project.read(project.summary)
    for stage in ("log-results", "push-feedback", "pull-feedback"):
        done = evalkit(stage, *RUN)
        assert done.code == 0
        assert KEY not in done.out + done.err
    assert not [each for each in (KEY, LINES[0]) if each.encode() in kept()]
    assert project.read(project.summary) == before
    assert yaml.safe_load(project.review.read_text())["feedback"]["beta"] == said


def test_a_password_in_the_tracking_uri_is_not_shown(evalkit, project):
    done = evalkit("check", uri="http://ann:hunter2secret@127.0.0.1:1")
    assert "hunter2secret" not in done.out + done.err
    project.configure(mlflow={"tracking_uri": "http://ann:hunter2secret@127.0.0.1:1"})
    done = evalkit("log-results", *RUN, uri="http://ann:hunter2secret@127.0.0.1:1")
    assert done.report["skipped"] is True
    assert "hunter2secret" not in done.out + done.err
