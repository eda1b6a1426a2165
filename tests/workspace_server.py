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
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from servers import listening

PAT = "dapi-of-the-tests"
CLIENT = ("robot", "robot-secret")


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
    """What the next request to a path, a regular expression, meets instead of its answer.

    It is answered with the status; where it is ``done``, only the answer is lost.
    """

    path: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


def ok(value):
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def error(status, code, message, **headers):
    body = json.dumps({"error_code": code, "message": message}).encode()
    return Answer(status, body, {"Content-Type": "application/json", **headers})


def routed(part, request):
    """The answer of a part of the workspace, by its ``routes``; None where it is nothing of its."""
    for pattern, name in part.routes.items():
        if found := re.fullmatch(pattern, f"{request.method} {request.path}"):
            return getattr(part, name)(request, *found.groups())
    return None


class WorkspaceServer:
    """The workspace's state, which tests set.

    ``secrets`` by scope and key; ``forbidden`` beginnings of paths and names; ``faults``, each
    once; ``tokens`` with the time when they end; what arrived is in ``requests``.
    """

    routes: ClassVar = {
        r"GET /api/2\.0/preview/scim/v2/Me": "_me",
        r"GET /api/2\.0/secrets/get": "_secret",
    }

    def __init__(self):
        self.secrets, self.forbidden, self.faults, self.requests = {}, (), [], []
        self.tokens, self.lifetime_s = {PAT: float("inf")}, 3600

    def answer(self, request):
        """The answer to a request, or what goes wrong instead."""
        self.requests.append(request)
        fault = next((each for each in self.faults if re.search(each.path, request.path)), None)
        if fault is None:
            return self._answer(request)
        self.faults.remove(fault)
        if fault.done:
            self._answer(request)
        codes = {403: "PERMISSION_DENIED", 429: "REQUEST_LIMIT_EXCEEDED"}
        codes[503] = "TEMPORARILY_UNAVAILABLE"
        code = codes.get(fault.status, "INTERNAL_ERROR")
        return error(fault.status, code, "scripted fault", **fault.headers)

    def seen(self, pattern):
        """The requests of which method and path match."""
        return [each for each in self.requests if re.search(pattern, f"{each.method} {each.path}")]

    def _answer(self, request):
        if identity := self._identity(request):
            return identity
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            return error(401, "UNAUTHENTICATED", "Credential was not sent or was not supported")
        if self.tokens[token] < time.time():
            return error(403, "403", "Invalid access token.")
        none = error(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.path}'")
        return routed(self, request) or none

    def _identity(self, request):
        oidc = f"{self.url}/oidc"
        if request.path == "/.well-known/databricks-config":
            return ok({"oidc_endpoint": oidc, "workspace_id": "4711", "account_id": "an-account"})
        if request.path == "/oidc/.well-known/oauth-authorization-server":
            return ok({"authorization_endpoint": oidc, "token_endpoint": f"{oidc}/v1/token"})
        if request.path != "/oidc/v1/token":
            return None
        expected = "Basic " + base64.b64encode(":".join(CLIENT).encode()).decode()
        if request.headers.get("authorization") != expected:
            return error(401, "invalid_client", "Client authentication failed")
        token = secrets.token_hex(8)
        self.tokens[token] = time.time() + self.lifetime_s
        return ok({"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime_s})

    def _denied(self, what):
        if any(what.startswith(beginning) for beginning in self.forbidden):
            return error(403, "PERMISSION_DENIED", f"User does not have permission on {what}")
        return None

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
        connection.send(answer.status, answer.body, **answer.headers)

    with listening(respond) as workspace.url:
        yield workspace
