"""The real SDK against a workspace on loopback: secrets, Claude's address, bad days; volumes."""

import logging

import pytest
from workspace_server import CLIENT, PAT, Fault, workspace_server

from evalkit.agent.session import start_session
from evalkit.errors import DatabricksError, InputError
from evalkit.store.databricks import Connection


@pytest.fixture
def workspace():
    """A workspace with one secret."""
    with workspace_server() as running:
        running.secrets["mlflow-eval", "databricks-token"] = b"dapi-very-secret"
        yield running


@pytest.fixture
def connection(workspace):
    return Connection(host=workspace.url, token=PAT)


def test_a_secret_is_read_and_stays_out_of_every_log(connection, caplog):
    caplog.set_level(logging.DEBUG)
    assert connection.secret("mlflow-eval", "databricks-token") == "dapi-very-secret"
    assert "secrets/get" in caplog.text
    assert "very-secret" not in caplog.text
    assert "ZGFwaS12ZXJ5" not in caplog.text  # nor as the wire has it


def test_a_secret_that_is_not_there_or_may_not_be_read_is_named(workspace, connection):
    for scope, key in (("mlflow-eval", "misspelt"), ("no-such-scope", "databricks-token")):
        with pytest.raises(InputError, match=f"no secret {scope}/{key}.*put-secret {scope} {key}"):
            connection.secret(scope, key)
    workspace.forbidden = ("mlflow-eval",)
    with pytest.raises(InputError, match="does not allow reading the secret mlflow-eval/databr"):
        connection.secret("mlflow-eval", "databricks-token")


def test_a_token_of_oauth_is_renewed_before_it_ends(workspace):
    workspace.lifetime_s = 1  # the SDK holds a token for ended 40 s before it is
    name, password = CLIENT
    robot = Connection(host=workspace.url, client_id=name, client_secret=password)
    first, second = robot.headers(), robot.headers()
    assert first != second
    assert len(workspace.seen("POST /oidc/v1/token")) >= 2


def test_credentials_that_are_wrong_or_have_ended_are_named_without_showing_them(workspace):
    robot = Connection(host=workspace.url, client_id="robot", client_secret="wr0ng")
    with pytest.raises(DatabricksError, match="getting a token") as end:
        robot.headers()
    assert "wr0ng" not in str(end.value)
    for workspace.tokens in ({PAT: 0}, {}):
        with pytest.raises(DatabricksError, match=r"does not accept the credentials log in again"):
            Connection(host=workspace.url, token=PAT).secret("mlflow-eval", "databricks-token")


def test_throttling_is_waited_for_but_not_for_as_long_as_anybody_says(
    workspace, connection, monkeypatch
):
    monkeypatch.setattr("evalkit.store.databricks.LONGEST_WAIT_S", 0.05)
    workspace.faults = [
        Fault("/secrets/get", status, {"Retry-After": "86400"}) for status in (429, 503)
    ]
    assert connection.secret("mlflow-eval", "databricks-token") == "dapi-very-secret"
    workspace.faults = [Fault("/secrets/get", 500)]
    with pytest.raises(DatabricksError, match="failed while reading the secret .*: scripted"):
        connection.secret("mlflow-eval", "databricks-token")


def test_without_a_workspace_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="no way into a Databricks workspace.*DATABRICKS_HOST"):
        Connection().headers()


def test_a_volume_that_is_not_mounted_is_refused():
    with pytest.raises(InputError, match=r"main/evals/agent is not mounted.*main\.evals\.agent"):
        start_session("/Volumes/main/evals/agent", "one", "shop", "1", "databricks")
