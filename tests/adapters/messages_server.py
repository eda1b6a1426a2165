"""A scripted Messages API on loopback, as strict about requests as the real one.

Every request is kept; each attempt takes the next step of the script. Without one, or for a
request that the real API would refuse, it answers with the real API's errors.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NEWEST = "2026-10-21"
_KNOWN_KEYS = {
    "model",
    "max_tokens",
    "messages",
    "system",
    "output_config",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "metadata",
}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Reply:
    """A message of the model."""

    text: str = ""
    stop_reason: str = "end_turn"
    stop_details: dict[str, Any] | None = None


@dataclass(frozen=True)
class Fault:
    """An HTTP error; a dropped connection for status 0."""

    status: int
    message: str = "scripted fault"
    retry_after: str | None = None


@dataclass(frozen=True)
class Request:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class MessagesServer:
    """The server's state.

    Attributes:
        script: What is answered, attempt by attempt.
        structured: Whether it knows ``output_config``; old gateways do not.
        models: The models that it knows; all if empty.
        requests: What arrived.
        url: Where it listens.
    """

    script: Sequence[Reply | Fault]
    structured: bool = True
    models: frozenset[str] = frozenset()
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    answered: int = 0

    def step(self, request: Request) -> Reply | Fault:
        """The answer to a request."""
        self.requests.append(request)
        if fault := self._refused(request):
            return fault
        if self.answered >= len(self.script):
            return Fault(400, f"the script has only {len(self.script)} steps")
        self.answered += 1
        return self.script[self.answered - 1]

    def _refused(self, request: Request) -> Fault | None:
        headers, body = request.headers, request.body
        if not request.path.endswith("/v1/messages"):
            return Fault(404, f"no route {request.path}")
        if not headers.get("authorization", "").startswith("Bearer ") and not headers.get(
            "x-api-key"
        ):
            return Fault(401, "missing credentials")
        if headers.get("content-type") != "application/json":
            return Fault(400, "content-type: application/json is required")
        if complaint := self._malformed(body, headers.get("anthropic-version", "")):
            return Fault(400, complaint)
        if self.models and body["model"] not in self.models:
            return Fault(404, f"model: {body['model']}")
        return None

    def _malformed(self, body: dict[str, Any], version: str) -> str:
        checks = {
            "anthropic-version: header is required": not version,
            "max_tokens: Field required": not isinstance(body.get("max_tokens"), int),
            "model: Field required": not body.get("model"),
            "output_config: Extra inputs are not permitted": (
                "output_config" in body and not self.structured
            ),
            f"unknown fields {sorted(set(body) - _KNOWN_KEYS)}": bool(set(body) - _KNOWN_KEYS),
            "temperature, top_p, top_k: Extra inputs are not permitted": (
                version == NEWEST and bool({"temperature", "top_p", "top_k"} & set(body))
            ),
            "messages: roles must alternate, beginning with user": [
                m.get("role") for m in body.get("messages", [])
            ]
            != ["user", "assistant"] * (len(body.get("messages", [])) // 2) + ["user"],
            "messages: text content blocks must be non-empty": not all(
                m.get("content") for m in body.get("messages", [])
            ),
            "output_config.format: invalid": _is_bad_format(body.get("output_config")),
        }
        return next((complaint for complaint, wrong in checks.items() if wrong), "")


def _is_bad_format(config: dict[str, Any] | None) -> bool:
    if config is None:
        return False
    form = config.get("format") or {}
    return form.get("type") != "json_schema" or not _is_strict(form.get("schema"))


def _is_strict(schema: Any) -> bool:
    """Structured output needs objects that name all their keys and allow no others."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(schema.get("properties", {}))
    ):
        return False
    return all(map(_is_strict, schema.values()))


@contextmanager
def messages_server(*script: Reply | Fault, **settings: Any) -> Iterator[MessagesServer]:
    """A running server with that script."""
    state = MessagesServer(script, **settings)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    httpd.daemon_threads = True
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def _handler(state: MessagesServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(size) or b"{}")
            headers = {name.lower(): value for name, value in self.headers.items()}
            step = state.step(Request(self.path, headers, body))
            if isinstance(step, Reply):
                self._send(200, _message(step, body), {})
            elif step.status:
                extra = {"retry-after": step.retry_after} if step.retry_after else {}
                kind = _ERRORS.get(step.status, "api_error")
                error = {"type": kind, "message": step.message}
                self._send(step.status, {"type": "error", "error": error}, extra)
            else:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def _send(self, status: int, value: dict[str, Any], extra: dict[str, str]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            headers = {
                "content-type": "application/json",
                "content-length": str(len(data)),
                **extra,
            }
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _message(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": reply.text, "citations": None}] if reply.text else [],
        "stop_reason": reply.stop_reason,
        "stop_sequence": None,
        "stop_details": reply.stop_details,
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }
