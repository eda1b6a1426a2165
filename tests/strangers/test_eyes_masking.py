"""Secrets as other people's tools write them, and in other places of a run."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from agentlogs import answer, as_lines, ask, finish, init, say, text, use
from eval_project import CASES, RESULT, RUN_ID, log_of, scores_of
from in_mlflow import InMlflow

from evalkit.core.masking import mask_json, mask_text

RUN = ("--run-id", RUN_ID)
SECRET = "Tr0ub4dor-" + "Zx9q"
KEY = "sk-ant-" + "api03-Zk3vQ9xLm27TrWb8NcYd"
LINES = [f"MIIEowIBAAKCAQEA{letter * 48}" for letter in "bcdefg"]
PEM = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"])


def forms(written):
    """A text as it is, as a value, and as JSON in JSON."""
    yield mask_text(written)[0]
    yield str(mask_json({"command": written}))
    yield mask_text(json.dumps({"out": json.dumps({"in": written})}))[0]


# -- how tools write them --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "user.set_password('{}')",
        'builder.withPassword("{}").build()',
        "CREATE USER bob WITH PASSWORD '{}';",
        "CREATE USER 'bob'@'%' IDENTIFIED BY '{}';",
        "log in as bob with password `{}`",
        "os.environ.setdefault('DB_PASSWORD', '{}')",
        "ConvertTo-SecureString '{}' -AsPlainText -Force",
        "export BASIC_AUTH=admin:{}",
        "basic_auth: 'admin:{}'",
        "ES_AUTH=elastic:{}",
        "http -a admin:{} GET https://api.example.com/orders",
        "cd /srv\nhttps --auth admin:{} POST api.example.com/orders id=7",
        "requests.get(url, auth=('bob', '{}'))",
        'HTTPBasicAuth("bob", "{}")',
        "echo {} | docker login -u bob --password-stdin reg.example.com",
        "echo '{}' | sudo -S apt-get install jq",
        "echo 'bob:{}' | chpasswd",
        "app login --password {} --user bob",
        "docker login -u bob --password {} && docker push -a reg.example.com/app",
        "openssl rsa -passin pass:{} -in key.pem",
        "mongosh -u root -p {} shop",
        "ldapsearch -x -D cn=admin -w {}",
        "curl -b 'session={}9f8e7d' https://shop.example.com",
    ],
)
def test_a_password_is_masked_as_the_tools_of_the_trade_write_it(written):
    for masked in forms(written.replace("{}", SECRET)):
        assert SECRET not in masked, masked
        assert "[masked:" in masked


def test_a_login_that_npm_keeps_as_base64_is_masked():
    login = base64.b64encode(f"bob:{SECRET}".encode()).decode()
    assert login not in mask_text(f"//npm.example.com/:_auth={login}")[0]


def test_a_key_that_is_configured_on_the_command_line_is_masked():
    key = "wJalrXUtnFEMIzK7MDENGzbPxRfiCY" + "a1b2c3d4e5"
    assert key not in mask_text(f"aws configure set aws_secret_access_key {key}")[0]


@pytest.mark.parametrize(
    "written",
    [
        PEM,
        PEM.replace("\n", "\r\n"),
        PEM[:250],
        PEM[60:],
        "".join(f"{number:6}→{line}\n" for number, line in enumerate(PEM.splitlines(), 1)),
        "".join(f"+{line}\n" for line in PEM.splitlines()),
        "key = (" + "\n ".join(f"'{line}\\n'" for line in PEM.splitlines()[:-2]),
    ],
    ids=["whole", "crlf", "end cut", "beginning cut", "numbered", "diff", "code, end cut"],
)
def test_no_line_of_a_private_key_is_left_however_it_was_printed(written):
    for masked in forms(written):
        assert not [line for line in LINES if line[-30:] in masked], masked


@pytest.mark.parametrize(
    "ordinary",
    [
        "max_tokens: 4096",
        "request req_011CSHoEeqs5C35K2UUqR7Fy of session 550e8400-e29b-41d4-a716-446655440000",
        "sha256:" + "9f8e7d6c" * 8,
        "data:image/png;base64,iVBORw0KGgo" + "A7dK3mQ9" * 100,
        "/home/bob/.ssh/id_rsa and ./secrets/password.txt",
        "def set_password(self, new_password): ...",
        'validate_password("required")',
        "password 'must be at least 8 characters'",
        'getpass("Password: ")',
        't("password", "Kennwort")',
        "ALTER USER bob PASSWORD NULL",
        "login with password and remember me",
        "BASIC_AUTH=true; BASIC_AUTH=$USER:$PASS; basic_auth: user:password",
        "auth=(user, password); auth=('user', 'password')",
        "echo $TOKEN | docker login --password-stdin; echo done | sudo tee /etc/motd",
        "docker run -p 8080:80 -u 1000:1000 -a stdout shop:latest",
        "fetched over http -after a while- and https -again",
        "fix the login page -patch release",
        "-----END RSA PRIVATE KEY-----",
        "curl -b cookies.txt https://shop.example.com",
    ],
)
def test_what_only_looks_like_a_secret_stays_as_it_is(ordinary):
    assert [masked for masked in forms(ordinary) if "[masked:" in masked] == []


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
