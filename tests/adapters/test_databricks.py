"""The real SDK against a workspace on loopback: secrets, tokens, bad days; volumes."""

import logging

import pytest
from workspace_server import CLIENT, PAT, Fault, WorkspaceServer, serving

from evalkit.agent.session import start_session
from evalkit.errors import DatabricksError, InputError
from evalkit.store.databricks import Connection

SCOPE, KEY, SECRET = "mlflow-eval", "databricks-token", "dapi-very-secret"


@pytest.fixture
def workspace():
    """A workspace with one secret."""
    with serving(WorkspaceServer()) as running:
        running.secrets[SCOPE, KEY] = SECRET.encode()
        yield running


@pytest.fixture
def connection(workspace):
    return Connection(host=workspace.url, token=PAT)


def test_a_secret_is_read_and_stays_out_of_every_log_or_is_named(workspace, connection, caplog):
    caplog.set_level(logging.DEBUG)
    assert connection.secret(SCOPE, KEY) == SECRET
    assert "secrets/get" in caplog.text
    assert "very-secret" not in caplog.text
    assert "ZGFwaS12ZXJ5" not in caplog.text  # nor as the wire has it
    for scope, key in ((SCOPE, "misspelt"), ("no-such-scope", KEY)):
        with pytest.raises(InputError, match=f"no secret {scope}/{key}.*put-secret {scope} {key}"):
            connection.secret(scope, key)
    workspace.forbidden = (SCOPE,)
    with pytest.raises(InputError, match="does not allow reading the secret mlflow-eval/databr"):
        connection.secret(SCOPE, KEY)


def test_a_token_of_oauth_is_renewed_and_what_is_not_accepted_is_named_without_it(workspace):
    workspace.lifetime_s = 1  # the SDK holds a token for ended 40 s before it is
    name, password = CLIENT
    robot = Connection(host=workspace.url, client_id=name, client_secret=password)
    assert robot.headers() != robot.headers()
    robot = Connection(host=workspace.url, client_id=name, client_secret="wr0ng")
    with pytest.raises(DatabricksError, match="getting a token") as end:
        robot.headers()
    assert "wr0ng" not in str(end.value)
    for workspace.tokens in ({PAT: 0}, {}):
        with pytest.raises(DatabricksError, match=r"does not accept the credentials log in again"):
            Connection(host=workspace.url, token=PAT).secret(SCOPE, KEY)


def test_throttling_is_waited_for_but_not_for_as_long_as_anybody_says(
    workspace, connection, monkeypatch
):
    monkeypatch.setattr("evalkit.store.databricks.LONGEST_WAIT_S", 0.05)
    late = {"Retry-After": "86400"}
    workspace.faults = [Fault("/secrets/get", status, late) for status in (429, 503)]
    assert connection.secret(SCOPE, KEY) == SECRET
    workspace.faults = [Fault("/secrets/get", 500)]
    with pytest.raises(DatabricksError, match="failed while reading the secret .*: scripted"):
        connection.secret(SCOPE, KEY)


def test_where_there_is_no_workspace_or_volume_it_is_said_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="no way into a Databricks workspace.*DATABRICKS_HOST"):
        Connection().headers()
    with pytest.raises(InputError, match=r"main/evals/agent is not mounted.*main\.evals\.agent"):
        start_session("/Volumes/main/evals/agent", "one", "shop", "1", "databricks")
