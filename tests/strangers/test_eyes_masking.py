"""Secrets as other people's tools write them, and in other places of a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from agentlogs import answer, as_lines, ask, finish, init, say, text, use
from eval_project import CASES, RESULT, RUN_ID, log_of, scores_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)
SECRET = "Tr0ub4dor-" + "Zx9q"
KEY = "sk-ant-" + "api03-Zk3vQ9xLm27TrWb8NcYd"
LINES = [f"MIIEowIBAAKCAQEA{letter * 48}" for letter in "bcdefg"]
PEM = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])


# -- where they lie --------------------------------------------------------------------------------


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


def kept_in(database: Path) -> bytes:
    """Every byte that MLflow keeps, the database also as text, and the names of its files."""
    files = [path for path in database.parent.rglob("*") if path.is_file()]
    found = b"\n".join(bytes(path) + path.read_bytes() for path in files)
    with closing(sqlite3.connect(database)) as opened:
        return found + "\n".join(opened.iterdump()).encode()


@pytest.fixture
def kept(database_uri):
    return lambda: kept_in(Path(database_uri.removeprefix("sqlite:///")))


def test_a_key_over_several_lines_of_a_log_that_is_no_json_stays_here(project, evalkit, kept):
    project.log("alpha", f"$ cat key.pem\n{PEM}\n".encode() + log_of("alpha"))
    project.log("beta", f"$ cat key.pem\n{PEM}\n".encode())
    assert evalkit("log-results", *RUN).code == 0
    found = kept()
    assert not [line for line in LINES if line.encode() in found]


def test_file_and_folder_names_of_a_run_keep_their_secrets_here(project, evalkit, kept):
    case = f"{project.run_dir}/cases/alpha"
    project.write(f"{case}/outputs/{KEY}.md", f"the report of {KEY}")
    project.write(f"{case}/outputs/{KEY}/deep.md", "deeper")
    project.write(f"{project.run_dir}/report.html", f"<a href='cases/{KEY}.html'>{KEY}</a>")
    project.write(f"{project.run_dir}/analysis.md", f"see `cases/alpha/outputs/{KEY}.md`\n{PEM}")
    project.write(f"{project.run_dir}/batch.yaml", {KEY: {"file": f"{KEY}.md"}})
    assert evalkit("log-results", *RUN).code == 0
    found = kept()
    assert KEY.encode() not in found
    assert LINES[0].encode() not in found


@pytest.mark.parametrize("before", [200, 990, 249_990])
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
    review = {"run_id": RUN_ID, "reviewer": "mia", "feedback": {"alpha": long}}
    project.write(f"{project.run_dir}/review.yaml", review)
    for stage in ("sync-dataset", "log-results", "push-feedback"):
        evalkit(stage, *(RUN if stage != "sync-dataset" else ()))
    found = kept()
    assert KEY[:20].encode() not in found


def test_finished_answers_hold_no_password_of_a_command(project, evalkit, kept):
    said = f"I ran http -a admin:{SECRET} GET /x, then user.set_password('{SECRET}')."
    project.log(
        "alpha", b"".join(as_lines([init(), ask(said), say("m1", text(said)), finish(said)]))
    )
    project.add_case("beta", f"export BASIC_AUTH=admin:{SECRET}")
    project.configure(mlflow={"tags": {"note": f"BASIC_AUTH=admin:{SECRET}"}})
    for stage in ("sync-dataset", "log-results"):
        assert evalkit(stage, *(RUN if stage != "sync-dataset" else ())).code == 0
    assert SECRET.encode() not in kept()
