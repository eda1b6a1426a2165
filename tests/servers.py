"""Real MLflow servers, and servers that misbehave in front of or instead of them."""

from __future__ import annotations

import http.client
import os
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
from typing import Literal, Self

LOOPBACK = "127.0.0.1"

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


@dataclass(frozen=True)
class Request:
    """A request that a proxy has seen."""

    method: str
    path: str
    headers: dict[str, str]


Fault = Literal["cut", "swallow", "hang", "refuse", "page", "text", "redirect", "none"]


class Proxy:
    """Stands before a server, keeps a list of the requests, and after some of them misbehaves.

    Faults: ``cut`` closes the connection before the request is passed on; ``swallow`` passes it
    on and closes before the answer is; ``hang`` never answers; ``refuse`` answers ``status``;
    ``page`` and ``text`` answer 200 and what a person should read, ``redirect`` leads to a page.
    """

    def __init__(
        self,
        target: str = "",
        *,
        after: int = sys.maxsize,
        fault: Fault = "none",
        status: int = 500,
        times: int = sys.maxsize,
        path: str = "",
        wrap: Callable[[socket.socket], socket.socket] | None = None,
    ) -> None:
        self.target = target.removeprefix("http://")
        self.after, self.fault, self.status, self.times = after, fault, status, times
        self.path = path
        self.requests: list[Request] = []
        self.on_request: Callable[[int], None] = lambda _: None
        self._lock = threading.Lock()
        self._matching = 0
        self._over = threading.Event()
        self.server = _Server(self)
        self.scheme = "http"
        if wrap:
            self.server.socket = wrap(self.server.socket)
            self.scheme = "https"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def uri(self) -> str:
        return f"{self.scheme}://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def see(self, request: Request) -> Fault:
        """Note a request and say what is to become of it."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            self._matching += self.path in request.path
            due = self.after < self._matching <= self.after + self.times
        self.on_request(number)
        return self.fault if due and self.path in request.path else "none"

    def wait(self) -> None:
        self._over.wait(60)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        super().__init__((LOOPBACK, 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the plan."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _any(self) -> None:
        proxy = self.server.proxy
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if len(body) < size:  # who asks was killed half-way; a server would wait for the rest
            self._hang_up()
            return
        fault = proxy.see(Request(self.command, self.path, dict(self.headers)))
        if fault == "hang":
            proxy.wait()
        if fault in {"hang", "cut"}:
            self._hang_up()
        elif fault == "refuse":
            self._answer(proxy.status, {}, b"no")
        elif fault == "redirect":
            self._answer(302, {"Location": "/login?next=1"}, b"")
        elif fault in {"page", "text"} or self.path.startswith("/login"):
            kind = "text/plain" if fault == "text" else "text/html; charset=utf-8"
            self._answer(200, {"Content-Type": kind}, b"<title>Sign in</title>, please")
        elif not proxy.target:
            self._answer(200, {}, b"3.17.2")
        else:
            self._pass_on(proxy.target, body, swallow=fault == "swallow")

    def _pass_on(self, target: str, body: bytes, *, swallow: bool) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        with closing(http.client.HTTPConnection(target, timeout=60)) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        kind = {"Content-Type": answer.getheader("Content-Type", "")}
        if swallow:
            self._hang_up()
        else:
            self._answer(answer.status, kind, content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._any)


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
