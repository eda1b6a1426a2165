"""The real SDK against a workspace on loopback: secrets, volumes, Claude's address, bad days."""

import logging
import socket

import pytest
from workspace_server import CLIENT, PAT, Fault, workspace_server

from evalkit.errors import DatabricksError, InputError
from evalkit.store.databricks import ATTEMPTS, LONGEST_WAIT_S, Connection, VolumeFolder

VOLUME = "/Volumes/main/evals/agent"


@pytest.fixture
def workspace():
    """A workspace with one volume and one secret."""
    with workspace_server() as running:
        running.add_volume("main.evals.agent")
        running.secrets["mlflow-eval", "databricks-token"] = b"dapi-very-secret"
        yield running


@pytest.fixture
def waits():
    """The seconds of each wait; nobody really waits."""
    return []


@pytest.fixture
def connection(workspace, waits):
    return Connection(host=workspace.url, token=PAT, sleep=waits.append)


@pytest.fixture
def folder(connection):
    return VolumeFolder(f"{VOLUME}/one", connection)


# -- secrets ----------------------------------------------------------------------------------


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


def test_wrong_credentials_are_named_without_showing_them(workspace):
    robot = Connection(host=workspace.url, client_id="robot", client_secret="wr0ng")
    with pytest.raises(DatabricksError, match="getting a token") as end:
        robot.headers()
    assert "wr0ng" not in str(end.value)


# -- volumes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "Volumes/a/b/c", "/Volumes/a/b", "/Volumes/a//c", f"{VOLUME}/../x"]
)
def test_what_is_no_path_on_a_volume_says_how_one_looks(text):
    with pytest.raises(InputError, match="no path on a volume.*/Volumes/CATALOG/SCHEMA/VOLUME"):
        VolumeFolder(text)


def test_files_are_written_read_listed_and_deleted(workspace, connection, folder):
    workspace.page = 2
    names = ["a.json", "b.json", "state/deep/x.txt", "state/y.txt", "ä ö%.txt"]
    for name in reversed(names):
        folder.write(name, name.encode())
    assert folder.location == f"{VOLUME}/one"
    assert VolumeFolder(f"dbfs:{VOLUME}/one/", connection).location == folder.location
    assert folder.read("state/deep/x.txt") == b"state/deep/x.txt"
    assert (folder.names(), folder.names("state/")) == (names, names[2:4])
    assert (folder.names("state/y"), folder.names("nowhere/")) == (["state/y.txt"], [])
    folder.write("a.json", b"")
    assert folder.read("a.json") == b""
    for _ in range(2):
        folder.delete("a.json")
    assert folder.read("a.json") is None


def test_only_one_claims_a_name(folder):
    assert folder.claim("lock/7", b"me")
    assert not folder.claim("lock/7", b"you")
    assert folder.read("lock/7") == b"me"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", "./x"])
def test_nothing_leads_out_of_the_folder(folder, name):
    with pytest.raises(InputError, match="leads out"):
        folder.write(name, b"")


def test_a_volume_that_is_missing_is_made(workspace, connection):
    folder = VolumeFolder("/Volumes/main/evals/new/sessions", connection)
    folder.write("a", b"1")
    assert "main.evals.new" in workspace.volumes
    assert workspace.files == {"/Volumes/main/evals/new/sessions/a": b"1"}


def test_missing_schemas_and_rights_are_named(workspace, connection, folder):
    with pytest.raises(InputError, match="no schema main.typo for the volume agent.*CREATE SCHEMA"):
        VolumeFolder("/Volumes/main/typo/agent", connection)
    workspace.forbidden = ("CREATE VOLUME main.evals", VOLUME)
    with pytest.raises(InputError, match="does not allow making the volume main.evals.other"):
        VolumeFolder("/Volumes/main/evals/other", connection)
    with pytest.raises(InputError, match=f"does not allow writing {VOLUME}/one/a: User does not"):
        folder.write("a", b"")


# -- bad days ---------------------------------------------------------------------------------


def test_throttling_and_errors_are_waited_for_but_not_for_as_long_as_anybody_says(
    workspace, folder, waits
):
    slow, slower = ({"Retry-After": seconds} for seconds in ("2", "86400"))
    files = "/fs/files/"
    workspace.faults = [Fault(files, 429, slow), Fault(files, 503, slower), Fault(files, 500)]
    folder.write("a", b"1")
    assert 2 <= waits[0] < 4
    assert waits[1:] == [LONGEST_WAIT_S, 1]
    assert folder.read("a") == b"1"
    workspace.faults = [Fault("/fs/files/", 500)] * ATTEMPTS
    with pytest.raises(DatabricksError, match=f"failed while writing {VOLUME}/one/a: scripted"):
        folder.write("a", b"1")


def test_a_connection_that_breaks_is_made_again_and_no_download_is_cut_short(workspace, folder):
    workspace.faults = [Fault("/fs/files/"), Fault("/fs/files/", cut=True)]
    folder.write("a", b"1")
    folder.write("b", bytes(range(256)) * 4000)
    workspace.faults = [Fault("/fs/files/", cut=True)]
    assert folder.read("b") == bytes(range(256)) * 4000


def test_a_claim_whose_answer_is_lost_is_still_ours(workspace, folder):
    workspace.faults = [Fault("/fs/files/.*/lock", 503, done=True)]
    assert folder.claim("lock", b"me")
    workspace.faults = [Fault("/fs/files/.*/lock", 503, done=True)]
    assert not folder.claim("lock", b"you")


def test_a_token_that_ends_in_between_is_renewed_or_said_so(workspace, tmp_path, monkeypatch):
    profile = tmp_path / "profiles"
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profile))
    profile.write_text(f"[DEFAULT]\nhost = {workspace.url}\ntoken = {PAT}\n")
    folder = VolumeFolder(VOLUME, Connection())
    workspace.tokens = {PAT: 0, "dapi-new": float("inf")}
    profile.write_text(f"[DEFAULT]\nhost = {workspace.url}\ntoken = dapi-new\n")
    folder.write("a", b"2")
    for tokens in ({"dapi-new": 0}, {}):
        workspace.tokens = tokens
        with pytest.raises(DatabricksError, match=r"does not accept the credentials.*log in again"):
            folder.read("a")


def test_without_a_workspace_it_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="no way into a Databricks workspace.*DATABRICKS_HOST"):
        VolumeFolder(VOLUME)


def test_a_workspace_that_is_not_there_is_given_up(waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        away = Connection(host=url, token=PAT, retry_timeout_seconds=1, sleep=waits.append)
        with pytest.raises(DatabricksError, match="failed while making the folder .*Timed out"):
            VolumeFolder(VOLUME, away)
