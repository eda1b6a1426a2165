"""Real MLflow servers, and servers that misbehave in front of or instead of them."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

LOOPBACK = "127.0.0.1"
SIGN_IN = b"<title>Sign in</title>, please"

OFFLINE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what pytest adds; MLflow behaves differently where it sees pytest."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**kept, **OFFLINE, **more}


@dataclass
class MlflowServer:
    """An MLflow server on a free loopback port, its database in a folder."""

    folder: Path
    process: subprocess.Popen[bytes] = field(init=False)
    port: int = field(init=False)

    @property
    def uri(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "mlflow.db"

    def start(self, template: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, self.database)
        self.port = free_port()
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, Path(__file__).with_name("quick_sqlite.py")),
                    *(f"sqlite:///{self.database}", self.folder / "artifacts"),
                    *(LOOPBACK, str(self.port)),
                ],
                stdout=log,
                stderr=log,
                # five processes for jobs that no test starts would take a gigabyte a server
                env=clean_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
                start_new_session=True,
            )
        self._await()

    def _await(self) -> None:
        until = time.monotonic() + 180
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            if self._is_up():
                return
            time.sleep(0.1)
        log = (self.folder / "server.log").read_text("utf-8", "replace")
        raise RuntimeError(f"mlflow server did not come up:\n{log}")

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Connection(BaseHTTPRequestHandler):
    """A client's connection; requests that a kill cut off are not seen."""

    respond: Callable[[Connection, bytes], None]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if len(body) < size:  # a server would wait for the rest
            self.hang_up()
            return
        with suppress(ConnectionError):  # whoever asked has gone
            self.respond(self, body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server's names

    def serve(self, body: bytes) -> None:
        raise NotImplementedError

    def send(self, status: int, body: bytes | None = b"", **more: str) -> None:
        """Send an answer; only its head where the body is None."""
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *request: Any) -> None:
        """Clients that hang up are part of the plan."""
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(*request)


@contextmanager
def listening(
    respond: Callable[[Any, bytes], None],
    wrap: Callable[[socket.socket], socket.socket] | None = None,
) -> Iterator[str]:
    """An HTTP server that does this with each connection and the body that came; its address."""
    server = _Server(
        (LOOPBACK, 0), type("Serving", (Connection,), {"respond": staticmethod(respond)})
    )
    if wrap:
        server.socket = wrap(server.socket)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if wrap else ''}://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Request:
    """A request that a proxy has seen."""

    method: str
    path: str
    headers: dict[str, str]


class Proxy:
    """Stands before a server, keeps a list of the requests, and after some of them misbehaves.

    Faults: ``cut`` closes the connection before the request is passed on; ``swallow`` passes it
    on and closes before the answer is; ``hang`` never answers; ``redirect`` leads to a page;
    ``say`` answers that status, type and body, ``page`` and ``text`` what a person should read,
    and ``refuse`` the ``status``. ``path`` is searched for as a regular expression.
    """

    uri: str

    def __init__(
        self,
        target: str = "",
        *,
        after: int = sys.maxsize,
        fault: str = "none",
        status: int = 500,
        say: tuple[int, str, bytes] = (200, "text/html; charset=utf-8", SIGN_IN),
        times: int = sys.maxsize,
        path: str = "",
        wrap: Callable[[socket.socket], socket.socket] | None = None,
    ) -> None:
        self.target = target.removeprefix("http://")
        self.after, self.fault, self.times, self.path = after, fault, times, path
        usual = {"refuse": (status, "text/plain", b"no"), "text": (200, "text/plain", SIGN_IN)}
        self.answer = usual.get(fault, say)
        self.requests: list[Request] = []
        self.on_request: Callable[[int], None] = lambda _: None
        self._lock, self._over, self._matching = threading.Lock(), threading.Event(), 0
        self._server = listening(self._respond, wrap)

    def __enter__(self) -> Self:
        self.uri = self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.__exit__(None, None, None)

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def _due(self, request: Request) -> str:
        """Note a request and say what is to become of it."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            matches = bool(re.search(self.path, request.path))
            self._matching += matches
            due = matches and self.after < self._matching <= self.after + self.times
        self.on_request(number)
        return self.fault if due else "none"

    def _respond(self, connection: Connection, body: bytes) -> None:
        path, headers = connection.path, dict(connection.headers)
        fault = self._due(Request(connection.command, path, headers))
        if fault == "hang":
            self._over.wait(60)
        if fault in {"hang", "cut"}:
            connection.hang_up()
        elif fault == "redirect":
            connection.send(302, Location="/login?next=1")
        elif fault in {"say", "page", "text", "refuse"} or path.startswith("/login"):
            status, kind, content = self.answer
            connection.send(status, content, content_type=kind)
        elif not self.target:
            connection.send(200, b"3.17.2")
        else:
            status, kind, content = self._passed_on(connection.command, path, headers, body)
            if fault == "swallow":
                connection.hang_up()
            else:
                connection.send(status, content, content_type=kind)

    def _passed_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        headers = {k: v for k, v in headers.items() if k.lower() != "connection"}
        with closing(http.client.HTTPConnection(self.target, timeout=60)) as there:
            there.request(method, path, body, headers)
            answer = there.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()


@contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server below HTTP: each connection is handed to ``behave``."""
    listening = socket.create_server((LOOPBACK, 0))
    over = threading.Event()
    open_connections: list[socket.socket] = []

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_connections.append(connection)
            threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    def quietly(connection: socket.socket) -> None:
        with suppress(OSError):
            behave(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
    finally:
        over.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(2)  # what it has just accepted is to be closed, too
        for connection in open_connections:
            connection.close()


def stay_silent(connection: socket.socket) -> None:
    """Accept, and never say a word."""
    connection.recv(1)
    time.sleep(60)


def drip(connection: socket.socket) -> None:
    """Send an answer byte by byte: it never ends, and no single wait for it is long."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.2)
