"""A scripted Messages API on loopback, as strict about requests as the real one.

Every request is kept; each attempt takes the next step of the script, streamed where a stream is
asked for. Without a step left, or for a request that the real API would refuse (see
``messages_rules``), it answers with the real API's errors and takes no step::

    with messages_server(
        Reply(tools=(("look", {"at": "traces"}),)),  # one call of a tool
        Fault(529, retry_after="2"),                 # the next attempt is told to wait
        Reply("Done.", drop_after=3),                # the one after breaks off in the middle
        Reply("Done."),
    ) as server:
        Claude(ClaudeSettings(server.url, "claude-test", "k"))

Instead of steps, one function may decide: ``messages_server(lambda body, n: Reply("…"))`` gets
each request's body and the number of steps before it, from 0. An ``AssertionError`` in it is
raised again when the server is closed.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from messages_replies import Fault, Reply, content_of, events_of, message_of
from messages_rules import NEWEST, Limits, complaint

__all__ = ["NEWEST", "Fault", "MessagesServer", "Reply", "Request", "messages_server"]

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Request:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Step: TypeAlias = Reply | Fault
Script: TypeAlias = Callable[[dict[str, Any], int], Step]


@dataclass
class MessagesServer:
    """The server's state.

    Attributes:
        script: Gives the answer to a request, by its body and the steps before it.
        limits: What this provider of Claude can do.
        models: The models that it knows; all if empty.
        secrets: The keys and tokens that it accepts; all if empty.
        requests: What arrived.
        refused: What it had against requests that the real API would refuse.
        failures: Assertions that failed in the script.
        url: Where it listens.
        answered: How many steps were taken.
    """

    script: Script
    limits: Limits = field(default_factory=Limits)
    models: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    requests: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failures: list[AssertionError] = field(default_factory=list)
    url: str = ""
    answered: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _paused: list[Any] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, request: Request) -> tuple[Step, int]:
        """The answer to a request, and how many were before it."""
        with self._lock:
            self.requests.append(request)
            if fault := self._refused(request):
                self.refused.append(fault.message)
                return fault, self.answered
            number = self.answered
            try:
                step = self.script(request.body, number)
            except AssertionError as error:
                self.failures.append(error)
                return Fault(400, f"the script says: {error}"), number
            self.answered += 1
            if isinstance(step, Reply) and step.stop_reason == "pause_turn":
                self._paused.append(content_of(step, number))
            return step, number

    def _refused(self, request: Request) -> Fault | None:
        headers, body = request.headers, request.body
        if not request.path.endswith("/v1/messages"):
            return Fault(404, f"no route {request.path}")
        secret = headers.get("authorization", "").removeprefix("Bearer ")
        secret = secret or headers.get("x-api-key", "")
        if not secret or (self.secrets and secret not in self.secrets):
            return Fault(401, "invalid or missing credentials")
        if headers.get("content-type") != "application/json":
            return Fault(400, "content-type: application/json is required")
        if "anthropic-beta" in headers:
            return Fault(400, "anthropic-beta: no beta is known here")
        version = headers.get("anthropic-version", "")
        if complains := complaint(body, version, self.limits, self._paused):
            return Fault(400, complains)
        if self.models and body["model"] not in self.models:
            return Fault(404, f"model: {body['model']}")
        return None


@contextmanager
def messages_server(
    *script: Step | Script,
    structured: bool = True,
    caching: bool = True,
    thinking: bool = True,
    context: int = 200_000,
    output: int = 128_000,
    models: frozenset[str] = frozenset(),
    secrets: frozenset[str] = frozenset(),
) -> Iterator[MessagesServer]:
    """A running server with that script.

    Args:
        script: The steps, or one function that gives them.
        structured: See ``Limits``, as for the next four.
        caching: See there.
        thinking: See there.
        context: See there.
        output: See there.
        models: The models that it knows; all if empty.
        secrets: The keys and tokens that it accepts; all if empty.
    """
    limits = Limits(structured, caching, thinking, context, output)
    state = MessagesServer(_decider(script), limits, models, secrets)
    httpd = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    httpd.daemon_threads = True
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()
    for failure in state.failures:
        raise failure


def _decider(script: tuple[Step | Script, ...]) -> Script:
    if len(script) == 1 and not isinstance(script[0], (Reply, Fault)):
        return script[0]

    def next_of(_: dict[str, Any], number: int) -> Step:
        if number >= len(script):
            return Fault(400, f"the script has only {len(script)} steps")
        step = script[number]
        assert isinstance(step, (Reply, Fault)), "steps and a function do not mix"
        return step

    return next_of


class _Server(ThreadingHTTPServer):
    def handle_error(self, *request: Any) -> None:
        """Say what went wrong in here; a client that was killed is nothing of that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*request)


class _Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for a server's state, which its subclass holds."""

    protocol_version = "HTTP/1.1"
    state: MessagesServer

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        step, number = self.state.step(Request(self.path, headers, body))
        self.request_id = f"req_{len(self.state.requests):04}"
        try:
            if isinstance(step, Fault):
                self._fail(step)
            else:
                self._reply(step, body, number)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has gone

    def _fail(self, fault: Fault) -> None:
        if not fault.status:
            self._drop()
            return
        extra = {"retry-after": fault.retry_after, "location": fault.location}
        headers = {name: text for name, text in extra.items() if text}
        error = {"type": _ERRORS.get(fault.status, "api_error"), "message": fault.message}
        body = {"type": "error", "error": error, "request_id": self.request_id}
        self._send(fault.status, fault.message if fault.plain else body, headers)

    def _reply(self, reply: Reply, body: dict[str, Any], number: int) -> None:
        self.state.closing.wait(reply.delay_s)
        message = message_of(reply, body["model"], number)
        if not body.get("stream"):
            self._send(200, message, {})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", self.request_id)
        self.end_headers()
        for at, (name, data) in enumerate(events_of(reply, message)):
            if at == reply.drop_after:
                self._drop()
                return
            if at == reply.truncate_after:
                break
            if at == reply.error_after:
                error = {"type": reply.error_kind, "message": "scripted error"}
                self._event("error", {"error": error})
                break
            self._event(name, data)
            self.state.closing.wait(reply.pause_s)
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, name: str, data: dict[str, Any]) -> None:
        text = f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()
        self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, value: Any, extra: dict[str, str]) -> None:
        is_text = isinstance(value, str)
        data = (value if is_text else json.dumps(value)).encode()
        self.send_response(status)
        headers = {
            "content-type": "text/html" if is_text else "application/json",
            "content-length": str(len(data)),
            "request-id": self.request_id,
            **extra,
        }
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
