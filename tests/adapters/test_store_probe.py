"""Reaching MLflow: whatever is at the address, the answer comes in seconds and says what to do."""

import datetime as dt
import ipaddress
import os
import sqlite3
import ssl
from contextlib import closing

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mlflow import MlflowClient
from servers import LOOPBACK, Proxy, free_port

from evalkit.errors import StoreAbsent, StoreError
from evalkit.store import connect, probe

pytestmark = pytest.mark.usefixtures("no_credentials")


@pytest.fixture
def no_credentials(monkeypatch, tmp_path):
    """Neither the environment nor the home directory holds anybody's credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("TOKEN", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def refused(uri):
    with pytest.raises(StoreError) as caught:
        connect(uri)
    assert not isinstance(caught.value, StoreAbsent)
    assert not probe(uri).ok
    return str(caught.value)


def test_a_server_is_known_by_its_version_and_one_that_is_too_old_is_refused():
    def answers(version):
        return Proxy(fault="say", after=0, say=(200, "text/plain", version.encode()))

    for version in ("3.13.0rc1", "4.0.0"):
        with answers(version) as proxy:
            assert probe(proxy.uri).detail == f"MLflow {version} answers"
    with answers("3.12.1.dev0") as proxy:
        said = refused(proxy.uri)
    assert "is MLflow 3.12.1.dev0; evalkit needs 3.13 or newer" in said
    assert "sqlite:///FILE" in said


def test_who_is_not_there_is_absent_and_a_password_in_the_address_is_not_repeated():
    uri = f"http://ann:geheim@{LOOPBACK}:{free_port()}"
    with pytest.raises(StoreAbsent, match="the connection was refused") as caught:
        connect(uri)
    found = probe(uri)
    assert not found.ok
    assert "geheim" not in str(caught.value) + found.detail


# -- credentials ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({"TOKEN": "t-123"}, "Bearer t-123"),
        ({"USERNAME": "ann", "PASSWORD": "pw"}, "Basic YW5uOnB3"),
    ],
)
def test_credentials_are_read_as_mlflow_reads_them(server, monkeypatch, environment, header):
    for name, value in environment.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with Proxy(server.uri, fault="refuse", status=401, after=0, times=1) as proxy:
        store = connect(proxy.uri)
        experiment_id = store.experiment("with credentials", create=True)
        store.find_traces(experiment_id, "k")
        given = [request.headers.get("Authorization") for request in proxy.requests]
    assert given[0] is None
    assert set(given[1:]) == {header}
    assert len(given) >= 4


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate for loopback and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


def over_tls(certificate, *, clients=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate)
    return lambda socket: context.wrap_socket(socket, server_side=True)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_certificates_are_read_as_mlflow_reads_them(server, certificate, monkeypatch):
    with Proxy(wrap=over_tls(certificate)) as proxy:
        assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in refused(proxy.uri)
    with monkeypatch.context() as patched, Proxy(server.uri, wrap=over_tls(certificate)) as proxy:
        patched.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
        assert connect(proxy.uri).experiment("not there", create=False) is None
    with Proxy(server.uri, wrap=over_tls(certificate)) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
        assert connect(proxy.uri).experiment("not there", create=False) is None
    with Proxy(server.uri, wrap=over_tls(certificate, clients=True)) as proxy:
        assert not probe(proxy.uri).ok
        monkeypatch.setenv("MLFLOW_TRACKING_CLIENT_CERT_PATH", str(certificate))
        assert connect(proxy.uri).experiment("not there", create=False) is None


# -- databases --------------------------------------------------------------------------------


def test_a_database_is_made_where_it_is_missing_but_not_by_looking(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    assert probe(uri).detail == "an SQLite store, not made yet"
    assert not (tmp_path / "new").exists()
    experiment_id = connect(uri).experiment("e", create=True)
    assert probe(uri).detail == "an SQLite store"
    location = MlflowClient(uri).get_experiment(experiment_id).artifact_location
    assert location == str(tmp_path / "new" / "mlruns" / experiment_id)
    assert "cannot be opened" in refused(f"sqlite:///{tmp_path}")


def test_a_database_of_an_older_mlflow_says_how_to_upgrade(monkeypatch, sqlite_uri):
    """And what the user set is never overwritten."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    with closing(sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '728d730b5ebd'")
        connection.commit()
    with pytest.raises(StoreError, match="mlflow db upgrade"):
        connect(sqlite_uri)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30"
