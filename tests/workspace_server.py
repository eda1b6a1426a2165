"""A Databricks workspace on loopback: identity and secrets, as strict as the real one.

Real HTTP for the real ``WorkspaceClient``. Unknown routes, missing or expired tokens and missing
rights are answered with the platform's own errors.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from servers import listening

PAT = "dapi-of-the-tests"
CLIENT = ("robot", "robot-secret")

_OPEN = ("/.well-known/databricks-config", "/oidc/.well-known/oauth-authorization-server")


@dataclass(frozen=True)
class Request:
    """A request as it arrived; ``query`` has the last value of each name, ``repeated`` all."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    repeated: dict[str, list[str]] = field(default_factory=dict)

    def json(self):
        return json.loads(self.body or b"{}")


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What the next request to a path meets instead of its answer.

    Attributes:
        path: A regular expression.
        status: The status to answer with; 0 breaks the connection.
        headers: Such as ``Retry-After``.
        done: Whether the request has had its effect all the same: only the answer is lost.
    """

    path: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


def ok(value):
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def error(status, code, message, **headers):
    body = json.dumps({"error_code": code, "message": message}).encode()
    return Answer(status, body, {"Content-Type": "application/json", **headers})


@dataclass
class WorkspaceServer:
    """The workspace's state.

    Attributes:
        secrets: Text by scope and key.
        schemas: Full names of the schemas that there are.
        forbidden: Beginnings of paths and names that the user has no rights to.
        faults: What goes wrong next, each once.
        tokens: When each token ends, by the clock of :func:`time.time`.
        lifetime_s: Of a token of OAuth.
        requests: What arrived.
        url: Where it listens.
    """

    secrets: dict[tuple[str, str], bytes] = field(default_factory=dict)
    schemas: set[str] = field(default_factory=lambda: {"main.evals"})
    forbidden: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=lambda: {PAT: float("inf")})
    lifetime_s: float = 3600
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def answer(self, request):
        """The answer to a request, or what goes wrong instead."""
        self.requests.append(request)
        fault = next((each for each in self.faults if re.search(each.path, request.path)), None)
        if fault is None:
            return self._answer(request)
        self.faults.remove(fault)
        if fault.done:
            self._answer(request)
        codes = {
            403: "PERMISSION_DENIED",
            429: "REQUEST_LIMIT_EXCEEDED",
            503: "TEMPORARILY_UNAVAILABLE",
        }
        code = codes.get(fault.status, "INTERNAL_ERROR")
        return error(fault.status, code, "scripted fault", **fault.headers)

    def seen(self, pattern):
        """The requests of which method and path match."""
        return [each for each in self.requests if re.search(pattern, f"{each.method} {each.path}")]

    def _answer(self, request):
        if request.path in _OPEN or request.path == "/oidc/v1/token":
            return self._identity(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            return error(401, "UNAUTHENTICATED", "Credential was not sent or was not supported")
        if self.tokens[token] < time.time():
            return error(403, "403", "Invalid access token.")
        for pattern, route in _ROUTES.items():
            if found := re.fullmatch(pattern, f"{request.method} {request.path}"):
                return route(self, request, *found.groups())
        return error(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.path}'")

    def _identity(self, request):
        oidc = f"{self.url}/oidc"
        if request.path == _OPEN[0]:
            return ok({"oidc_endpoint": oidc, "workspace_id": "4711", "account_id": "an-account"})
        if request.path == _OPEN[1]:
            return ok({"authorization_endpoint": oidc, "token_endpoint": f"{oidc}/v1/token"})
        expected = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != expected:
            return error(401, "invalid_client", "Client authentication failed")
        token = secrets.token_hex(8)
        self.tokens[token] = time.time() + self.lifetime_s
        return ok({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s})

    def _denied(self, what):
        if not any(what.startswith(beginning) for beginning in self.forbidden):
            return None
        return error(403, "PERMISSION_DENIED", f"User does not have permission on {what}")

    def _me(self, _):
        return ok({"id": "1", "userName": "dev@example.com", "active": True})

    def _secret(self, request):
        scope, key = request.query.get("scope", ""), request.query.get("key", "")
        if denied := self._denied(scope):
            return denied
        if scope not in {known for known, _ in self.secrets}:
            return error(404, "RESOURCE_DOES_NOT_EXIST", f"Scope {scope} does not exist!")
        if (scope, key) not in self.secrets:
            said = f"Secret does not exist with scope: {scope} and key: {key}"
            return error(404, "RESOURCE_DOES_NOT_EXIST", said)
        value = base64.b64encode(self.secrets[scope, key]).decode()
        return ok({"key": key, "value": value})


_ROUTES = {
    r"GET /api/2\.0/preview/scim/v2/Me": WorkspaceServer._me,
    r"GET /api/2\.0/secrets/get": WorkspaceServer._secret,
}


@contextmanager
def workspace_server(**state):
    """A running workspace."""
    with serving(WorkspaceServer(**state)) as workspace:
        yield workspace


@contextmanager
def serving(workspace):
    """The workspace, running."""
    lock = threading.Lock()

    def respond(connection, body):
        address = urlsplit(connection.path)
        repeated = parse_qs(address.query)
        query = {name: values[-1] for name, values in repeated.items()}
        headers = {name.lower(): value for name, value in connection.headers.items()}
        path = unquote(address.path)
        request = Request(connection.command, path, query, headers, body, repeated)
        with lock:
            answer = workspace.answer(request)
        if answer.status:
            connection.send(answer.status, answer.body, **answer.headers)
        else:
            connection.hang_up()

    with listening(respond) as workspace.url:
        yield workspace
