"""A Databricks workspace: its address, identity and secrets; its MLflow is another module's.

The SDK is imported when a workspace is first asked. It waits where it is throttled and renews what
ends; what it raises is said here so that a person knows what to do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.errors import DatabricksError, InputError, Problem
from evalkit.tracking import is_on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

T = TypeVar("T")

LONGEST_WAIT_S = 30.0  # of a single wait, whatever the workspace asks for
PATIENCE_S = 120  # with a request that is throttled again and again


class Connection:
    """A Databricks workspace, opened when it is first asked.

    Which one, and as whom, the SDK finds out: from ``settings`` (its ``Config``'s), the
    environment, a profile, or the notebook or job that this runs in.
    """

    def __init__(self, **settings: str | float) -> None:
        self._settings = settings
        self._client: WorkspaceClient | None = None

    @property
    def claude_url(self) -> str:
        """Where the workspace speaks Anthropic's Messages API, without ``/v1/messages``."""
        return f"{self._host}/serving-endpoints/anthropic"

    def headers(self) -> dict[str, str]:
        """The ``Authorization`` header, with a token that is good now: ask before each request."""
        return self._ask("getting a token", lambda client: client.config.authenticate())

    def secret(self, scope: str, key: str) -> str:
        """A secret's text. No message names it, and the SDK's own log leaves it out.

        Raises:
            InputError: there is no such secret, or reading it is not allowed.
            DatabricksError: the workspace cannot be reached, or answers with an error.
        """
        from databricks.sdk.errors import NotFound

        doing = f"reading the secret {scope}/{key}"
        try:
            found = self._ask(doing, lambda client: client.secrets.get_secret(scope, key))
        except NotFound as error:
            put = f"databricks secrets put-secret {scope} {key}"
            what = f"there is no secret {scope}/{key} in {self._host}"
            fix = f"databricks secrets create-scope {scope}; {put}"
            raise InputError(Problem(what, field="secret_scope, secret_key", fix=fix)) from error
        # what is no text holds characters that no token has, which is found out later
        return base64.b64decode(found.value or "").decode(errors="replace")

    @property
    def _host(self) -> str:
        return str(self._opened().config.host).rstrip("/")

    def _ask(self, doing: str, question: Callable[[WorkspaceClient], T]) -> T:
        from databricks.sdk import errors
        from databricks.sdk.errors.base import DatabricksError as Answer
        from requests import RequestException

        try:
            return question(self._opened())
        except errors.NotFound:
            raise
        except (Answer, RequestException, TimeoutError, ValueError) as error:
            said, host = _plain(error), self._host
            if isinstance(error, errors.PermissionDenied) and "access token" not in said.lower():
                fix = "ask who administers it for that permission"
                raise InputError(
                    Problem(f"{host} does not allow {doing}: {said}", fix=fix)
                ) from error
            raise DatabricksError(
                f"{host} failed while {doing}: {said}; try again later, or where it does not accept"
                " the credentials log in again (databricks auth login, DATABRICKS_TOKEN)"
            ) from error

    def _opened(self) -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.clock import RealClock
        from databricks.sdk.config import Config

        class Clock(RealClock):
            """The SDK would sleep as long as it is told to."""

            def sleep(self, seconds: float) -> None:
                super().sleep(min(seconds, LONGEST_WAIT_S))

        settings: dict[str, Any] = {"retry_timeout_seconds": PATIENCE_S, **self._settings}
        try:
            if self._client is None:
                self._client = WorkspaceClient(config=Config(clock=Clock(), **settings))
        except ValueError as error:
            what = f"there is no way into a Databricks workspace: {_plain(error)}"
            fix = "set DATABRICKS_HOST and DATABRICKS_TOKEN, or run `databricks auth login`"
            raise InputError(Problem(what, fix=fix)) from error
        return self._client


def _plain(error: Exception) -> str:
    """What was said, without the SDK's account of its own configuration."""
    return str(error).partition(" Config: ")[0].strip().rstrip(".")


def dbutils(namespace: Mapping[str, Any], environment: Mapping[str, str]) -> Any | None:
    """Databricks' ``dbutils``, of the notebook with these names or of a job; None elsewhere."""
    if "dbutils" in namespace or not is_on_databricks(environment):
        return namespace.get("dbutils")
    from databricks.sdk.runtime import dbutils as found

    return found
