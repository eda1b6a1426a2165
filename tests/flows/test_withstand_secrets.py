"""Secrets in logs, rationales and summaries never reach MLflow."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from agentlogs import SONNET, answer, as_lines, ask, finish, init, say, text, thinking, usage, use
from eval_project import CASES, RESULT, RUN_ID, scores_of

RUN = ("--run-id", RUN_ID)
BODY = "MIIEpAIBAAKCAQEA1c7Qm2V0x9mJkz4T8yF3hWqL5nB6rD0sKjU2oPzXvCeYtGaH"
# put together here so that no scanner of this repository takes them for real ones
SECRETS = {
    "anthropic": "sk-ant-" + "api03-Zk3vQ9xLm27TrWb8NcYd",
    "openai": "sk-" + "proj-9Qm27TrWb8NcYdZk3vQ9xL",
    "github": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "aws": "AKIA" + "IOSFODNN7EXAMPLQ",
    "slack": "xoxb-" + "123456789012-abcdefGHIJKL",
    "google": "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "bearer": "Bearer " + "abc123DEF456ghi789JKL012",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "key": f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----",
}
NEEDLES = {
    **{name: secret.removeprefix("Bearer ") for name, secret in SECRETS.items()},
    "key": BODY,
}


@pytest.fixture
def in_the_store(database_uri):
    """Every byte that MLflow keeps: the database, also as text, and the artifacts."""

    def read():
        folder = Path(database_uri.removeprefix("sqlite:///")).parent
        found = b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
        with closing(sqlite3.connect(folder / "mlflow.db")) as database:
            return found + "\n".join(database.iterdump()).encode()

    return read


def leaks(content):
    return [name for name, needle in NEEDLES.items() if needle.encode() in content]


def secretive_log(case):
    everything = "\n".join(SECRETS.values())
    nested = json.dumps({"env": SECRETS})
    events = [
        init(env=SECRETS, cwd=f"/home/{SECRETS['github']}"),
        ask(f"please handle {case} with {everything}"),
        say("m1", thinking(everything), text(everything), use("t1", "Bash", **SECRETS)),
        answer("t1", everything, tool_use_result={"stdout": nested}),
        say("m2", use("t2", "Task", prompt=everything, description=SECRETS["aws"])),
        say("m3", text(everything), parent="t2"),
        answer("t2", [{"type": "text", "text": nested}], failed=True),
        say("m4", text(everything), used=usage(1, 1), model=SONNET),
        finish(everything, permission_denials=[{"tool_input": SECRETS}]),
    ]
    return b"".join(as_lines(events)) + everything.encode() + b"\n"


@pytest.fixture
def secretive(project):
    """The project with secrets in everything that a run leaves behind."""
    everything = "; ".join(SECRETS.values())
    for case in CASES:
        project.log(case, secretive_log(case))
    beside = f"{project.run_dir}/cases/alpha/subagents/agent-1.jsonl"
    project.write(beside, secretive_log("alpha"))
    scores = {case: scores_of(case) for case in CASES}
    scores["alpha"]["polite"] = {"value": everything, "rationale": everything}
    scores["beta"]["tone"] = {"value": SECRETS, "rationale": SECRETS["key"]}
    scores["gamma"]["broken"] = {"value": None, "error": everything}
    project.summarise(scores, notes=everything, environment=SECRETS)
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, "command": SECRETS})
    comments = {"alpha": everything, "beta": SECRETS["key"]}
    project.write(f"{project.run_dir}/review.yaml", {"feedback": comments})
    return project


@pytest.mark.usefixtures("secretive")
def test_no_secret_of_a_run_reaches_mlflow_or_the_terminal(evalkit, in_the_store):
    for stage in ("log-results", "push-feedback"):
        done = evalkit(stage, *RUN)
        assert done.code == 0
        assert leaks((done.out + done.err).encode()) == []
    assert leaks(in_the_store()) == []
    assert b"[masked:anthropic-key]" in in_the_store()


@pytest.mark.usefixtures("secretive")
def test_the_receipt_counts_what_was_masked(evalkit):
    done = evalkit("log-results", *RUN)
    assert done.report["receipt"]["masked"] > 100
    assert "secrets were masked" in done.err


def test_secrets_that_a_batch_run_holds_are_masked_too(evalkit, secretive, in_the_store):
    log = secretive_log("everything")
    secretive.make_batch()
    secretive.write(f"{secretive.run_dir}/stdout.log", log)
    for stage in ("log-results", "push-feedback"):
        assert evalkit(stage, *RUN).code == 0
    assert leaks(in_the_store()) == []


@pytest.mark.usefixtures("secretive")
def test_masking_does_not_make_a_second_run_write(evalkit):
    for stage in ("log-results", "push-feedback"):
        evalkit(stage, *RUN)
        again = evalkit(stage, *RUN).report
        assert not again.get("written")
        assert (again.get("created", 0), again.get("updated", 0)) == (0, 0)


def test_the_files_on_disk_keep_what_they_say(evalkit, secretive):
    before = secretive.read(secretive.summary)
    evalkit("log-results", *RUN)
    evalkit("pull-feedback", *RUN)
    assert secretive.read(secretive.summary) == before
    assert yaml.safe_load(secretive.review.read_text())["feedback"]["beta"] == SECRETS["key"]


def test_a_password_in_the_tracking_uri_is_not_shown(evalkit, project):
    done = evalkit("check", uri="http://ann:hunter2secret@127.0.0.1:1")
    assert "hunter2secret" not in done.out + done.err
    project.configure(mlflow={"tracking_uri": "http://ann:hunter2secret@127.0.0.1:1"})
    done = evalkit("log-results", *RUN, uri="http://ann:hunter2secret@127.0.0.1:1")
    assert done.report["skipped"] is True
    assert "hunter2secret" not in done.out + done.err
