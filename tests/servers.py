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
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOOPBACK = "127.0.0.1"
EVER = sys.maxsize
OFFLINE = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_MODEL_CATALOG_URI": ""}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what pytest adds; MLflow behaves differently where it sees pytest."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**kept, **OFFLINE, **more}


class MlflowServer:
    """An MLflow server on a free loopback port, its database in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "mlflow.db"
        self.uri = f"http://{LOOPBACK}:{free_port()}"

    def start(self, template: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, self.database)
        command = [sys.executable, Path(__file__).with_name("quick_sqlite.py")]
        command += [f"sqlite:///{self.database}", self.folder / "artifacts"]
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *self.uri.removeprefix("http://").split(":")],
                stdout=log,
                stderr=log,
                # five processes for jobs that no test starts would take a gigabyte a server
                env=clean_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
                start_new_session=True,
            )
        until = time.monotonic() + 180
        while not self._is_up():
            if self.process.poll() is not None or time.monotonic() > until:
                log = (self.folder / "server.log").read_text("utf-8", "replace")
                raise RuntimeError(f"mlflow server did not come up:\n{log}")
            time.sleep(0.1)

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection(self.uri.removeprefix("http://"), timeout=10)
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

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if len(body) < size:  # a server would wait for the rest
            self.hang_up()
            return
        with suppress(ConnectionError):  # whoever asked has gone
            self.respond(self, body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server's names

    def send(self, status, body=b"", **more):
        """Send an answer; only its head where the body is None."""
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def hang_up(self):
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *request):
        """Clients that hang up are part of the plan."""
        if not isinstance(sys.exc_info()[1], OSError | http.client.HTTPException):
            super().handle_error(*request)


@contextmanager
def listening(respond, wrap=None):
    """An HTTP server that does this with each connection and the body that came; its address."""
    serving = type("Serving", (Connection,), {"respond": staticmethod(respond)})
    server = _Server((LOOPBACK, 0), serving)
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
    on and closes before the answer is; ``hang`` never answers, ``drip`` never ends its answer;
    ``redirect`` leads to a page; ``say`` answers that status, type and body, and ``refuse`` the
    ``status``. ``path`` is searched for as a regular expression.
    """

    def __init__(
        self,
        target="",
        *,
        after=sys.maxsize,
        fault="",
        times=sys.maxsize,
        path="",
        wrap=None,
        **how,
    ):
        self.target = target.removeprefix("http://")
        self.after, self.fault, self.times, self.path = after, fault, times, path
        page = (200, "text/html; charset=utf-8", b"<title>Sign in</title>, please")
        refusal = (how.get("status", 500), "text/plain", b"no")
        self.answer = refusal if fault == "refuse" else how.get("say", page)
        self.requests = []
        self.on_request = lambda _: None
        self._lock, self._over, self._matching = threading.Lock(), threading.Event(), 0
        self._server = listening(self._respond, wrap)

    def __enter__(self):
        self.uri = self._server.__enter__()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.__exit__(None, None, None)

    def paths(self):
        return [request.path for request in self.requests]

    def _due(self, request):
        """Note a request and say what is to become of it."""
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            matches = bool(re.search(self.path, request.path))
            self._matching += matches
            due = matches and self.after < self._matching <= self.after + self.times
        self.on_request(number)
        return self.fault if due else ""

    def _respond(self, connection, body):
        path, headers = connection.path, dict(connection.headers)
        fault = self._due(Request(connection.command, path, headers))
        if fault == "hang":
            self._over.wait(60)
        while fault == "drip" and not self._over.wait(0.2):
            connection.wfile.write(b"x")
        if fault in {"hang", "drip", "cut"}:
            connection.hang_up()
        elif fault == "redirect":
            connection.send(302, Location="/login?next=1")
        elif fault in {"say", "refuse"} or path.startswith("/login"):
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

    def _passed_on(self, method, path, headers, body):
        headers = {k: v for k, v in headers.items() if k.lower() != "connection"}
        with closing(http.client.HTTPConnection(self.target, timeout=60)) as there:
            there.request(method, path, body, headers)
            answer = there.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
