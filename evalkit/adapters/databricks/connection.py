"""A workspace, asked with patience: throttling waits are capped, expired credentials renewed."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.core.tracking import is_on_databricks
from evalkit.errors import DatabricksError, InputError, Problem

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

T = TypeVar("T")

LONGEST_WAIT_S = 30.0  # of a single wait, whatever the workspace asks for
PATIENCE_S = 300  # with a request that is throttled again and again
ATTEMPTS = 5  # of a request that the workspace answers with an internal error


class Connection:
    """A Databricks workspace, opened when it is first asked.

    Which one, and as whom, the SDK finds out: from ``settings`` (its ``Config``'s), the
    environment, a profile, or the notebook or job that this runs in. ``waits`` says how often it
    has waited to ask again.
    """

    def __init__(
        self, *, sleep: Callable[[float], None] = time.sleep, **settings: str | float
    ) -> None:
        self.waits, self._sleep, self._settings = 0, sleep, settings
        self._client: WorkspaceClient | None = None

    @property
    def host(self) -> str:
        """The workspace's address, without a slash at its end."""
        return str(self._opened().config.host).rstrip("/")

    @property
    def claude_url(self) -> str:
        """Where the workspace speaks Anthropic's Messages API, without ``/v1/messages``."""
        return f"{self.host}/serving-endpoints/anthropic"

    def headers(self) -> dict[str, str]:
        """The ``Authorization`` header, with a token that is good now: ask before each request."""
        return self.ask("getting a token", lambda client: client.config.authenticate())

    def secret(self, scope: str, key: str) -> str:
        """A secret's text. No message names it, and the SDK's own log leaves it out.

        Raises:
            InputError: there is no such secret, or reading it is not allowed.
            DatabricksError: the workspace cannot be reached, or answers with an error.
        """
        from databricks.sdk.errors import NotFound

        doing = f"reading the secret {scope}/{key}"
        try:
            found = self.ask(doing, lambda client: client.secrets.get_secret(scope, key))
        except NotFound as error:
            put = f"databricks secrets put-secret {scope} {key}"
            what = f"there is no secret {scope}/{key} in {self.host}"
            fix = f"databricks secrets create-scope {scope}; {put}"
            raise InputError(Problem(what, field="secret_scope, secret_key", fix=fix)) from error
        # what is no text holds characters that no token has, which is found out later
        return base64.b64decode(found.value or "").decode(errors="replace")

    def ask(self, doing: str, question: Callable[[WorkspaceClient], T]) -> T:
        """The answer; asked again while the trouble may pass, and once with fresh credentials.

        Args:
            doing: What it is about, for messages: "reading the secret a/b".
            question: Asks the client. It may be called more than once.

        Raises:
            InputError: no workspace is configured, or it does not allow this.
            DatabricksError: it cannot be reached, or answers with an error.
            databricks.sdk.errors.NotFound: what is asked for is not there.
            databricks.sdk.errors.ResourceConflict: it is there already.
        """
        from databricks.sdk import errors
        from databricks.sdk.errors.base import DatabricksError as Answer
        from requests import RequestException

        passing = (errors.InternalError, errors.DeadlineExceeded, RequestException)
        asked, renewed = 0, False
        while True:
            asked += 1
            try:
                return question(self._opened())
            except (errors.NotFound, errors.ResourceConflict):
                raise
            except (Answer, RequestException, TimeoutError, ValueError) as error:
                is_expired = isinstance(error, errors.Unauthenticated) or (
                    isinstance(error, errors.PermissionDenied)
                    and "access token" in str(error).lower()
                )
                if is_expired and not renewed:
                    renewed, self._client = True, None
                elif asked < ATTEMPTS and isinstance(error, passing):
                    self._wait(2.0 ** (asked - 1))
                else:
                    raise self._failed(doing, error, is_expired=is_expired) from error

    def _opened(self) -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.clock import RealClock
        from databricks.sdk.config import Config

        class Clock(RealClock):
            """The SDK would sleep as long as it is told to."""

            def sleep(_, seconds: float) -> None:  # noqa: N805 - self is the connection
                self._wait(seconds)

        settings: dict[str, Any] = {
            "retry_timeout_seconds": PATIENCE_S,
            # whole files in one request each; the other way asks for addresses in cloud storage
            "disable_experimental_files_api_client": True,
            **self._settings,
        }
        try:
            if self._client is None:
                self._client = WorkspaceClient(config=Config(clock=Clock(), **settings))
        except ValueError as error:
            what = f"there is no way into a Databricks workspace: {_plain(error)}"
            fix = "set DATABRICKS_HOST and DATABRICKS_TOKEN, or run `databricks auth login`"
            raise InputError(Problem(what, fix=fix)) from error
        return self._client

    def _wait(self, seconds: float) -> None:
        self.waits += 1
        self._sleep(min(seconds, LONGEST_WAIT_S))

    def _failed(
        self, doing: str, error: Exception, *, is_expired: bool
    ) -> InputError | DatabricksError:
        from databricks.sdk import errors

        where, said = self.host, _plain(error)
        if is_expired:
            what = f"{where} does not accept the credentials while {doing} ({said})"
            return DatabricksError(f"{what}; log in again, or renew DATABRICKS_TOKEN")
        if isinstance(error, errors.PermissionDenied):
            fix = "ask who administers it for that permission"
            return InputError(Problem(f"{where} does not allow {doing}: {said}", fix=fix))
        if isinstance(error, errors.BadRequest):
            return InputError(Problem(f"{where} refuses {doing}: {said}", fix="check the names"))
        return DatabricksError(f"{where} failed while {doing}: {said}; try again later")


def _plain(error: Exception) -> str:
    """What was said, without the SDK's account of its own configuration."""
    return str(error).partition(" Config: ")[0].strip().rstrip(".")


def dbutils(namespace: Mapping[str, Any], environment: Mapping[str, str]) -> Any | None:
    """Databricks' ``dbutils``, of the notebook with these names or of a job; None elsewhere."""
    if "dbutils" in namespace or not is_on_databricks(environment):
        return namespace.get("dbutils")
    from databricks.sdk.runtime import dbutils as found

    return found
