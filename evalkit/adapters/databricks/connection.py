"""A workspace, asked with patience: throttling waits are capped, expired credentials renewed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.core.errors import DatabricksError, InputError, Problem

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

T = TypeVar("T")

LONGEST_WAIT_S = 30.0
"""Seconds of a single wait, whatever the workspace asks for."""

PATIENCE_S = 300
"""Seconds after which a request that is throttled again and again is given up."""

ATTEMPTS = 5
"""Of a request that the workspace answers with an internal error."""


class Connection:
    """A Databricks workspace, opened when it is first asked.

    Which one, and as whom, the SDK finds out: from the settings, ``DATABRICKS_HOST`` and its
    companions in the environment, a profile, or the notebook or job that this runs in.

    Attributes:
        waits: How often it has waited to ask again.
    """

    def __init__(
        self, *, sleep: Callable[[float], None] = time.sleep, **settings: str | float
    ) -> None:
        """Remember how to get there: settings of the SDK's ``Config``, such as ``host``."""
        self.waits = 0
        self._sleep = sleep
        self._settings = settings
        self._client: WorkspaceClient | None = None

    @property
    def host(self) -> str:
        """The workspace's address, without a slash at its end."""
        return str(self._opened().config.host).rstrip("/")

    def headers(self) -> dict[str, str]:
        """The ``Authorization`` header, with a token that is good now."""
        return self.ask("getting a token", lambda client: client.config.authenticate())

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
        from databricks.sdk.errors import NotFound, ResourceConflict
        from databricks.sdk.errors.base import DatabricksError as Answer
        from requests import RequestException

        renewed = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return question(self._opened())
            except (NotFound, ResourceConflict):
                raise
            except (Answer, RequestException, TimeoutError, ValueError) as error:
                if _is_expired(error) and not renewed:
                    renewed, self._client = True, None
                elif attempt == ATTEMPTS or not _may_pass(error):
                    raise self._failed(doing, error) from error
                else:
                    self._wait(2.0 ** (attempt - 1))
        raise AssertionError  # the last attempt returns or raises

    def _opened(self) -> WorkspaceClient:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _open(self) -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.config import Config

        settings: dict[str, Any] = {
            "retry_timeout_seconds": PATIENCE_S,
            # whole files in one request each; the other way asks for addresses in cloud storage
            "disable_experimental_files_api_client": True,
            **self._settings,
        }
        try:
            return WorkspaceClient(config=Config(clock=_clock(self._wait), **settings))
        except ValueError as error:
            raise InputError(
                Problem(
                    f"there is no way into a Databricks workspace: {_plain(str(error))}",
                    fix="set DATABRICKS_HOST and DATABRICKS_TOKEN, or run `databricks auth login`",
                )
            ) from error

    def _wait(self, seconds: float) -> None:
        self.waits += 1
        self._sleep(min(seconds, LONGEST_WAIT_S))

    def _failed(self, doing: str, error: Exception) -> InputError | DatabricksError:
        from databricks.sdk import errors

        where, said = self.host, _plain(str(error))
        if _is_expired(error):
            return DatabricksError(
                f"{where} does not accept the credentials while {doing} ({said});"
                " log in again, or renew DATABRICKS_TOKEN"
            )
        if isinstance(error, errors.PermissionDenied):
            return InputError(
                Problem(
                    f"{where} does not allow {doing}: {said}",
                    fix="ask who administers it for that permission",
                )
            )
        if isinstance(error, errors.BadRequest):
            return InputError(Problem(f"{where} refuses {doing}: {said}", fix="check the names"))
        return DatabricksError(f"{where} failed while {doing}: {said}; try again later")


def _clock(wait: Callable[[float], None]) -> Any:
    """The SDK's clock, whose waits are ours: the SDK would sleep as long as it is told to."""
    from databricks.sdk.clock import RealClock

    class _Clock(RealClock):
        def sleep(self, seconds: float) -> None:
            wait(seconds)

    return _Clock()


def _is_expired(error: Exception) -> bool:
    """Whether it is about the token; a workspace says so with status 401, or 403 and words."""
    from databricks.sdk import errors

    return isinstance(error, errors.Unauthenticated) or (
        isinstance(error, errors.PermissionDenied) and "access token" in str(error).lower()
    )


def _may_pass(error: Exception) -> bool:
    """Whether asking again helps; what the SDK has asked again itself is over with."""
    from databricks.sdk import errors
    from requests import RequestException

    return isinstance(error, errors.InternalError | errors.DeadlineExceeded | RequestException)


def _plain(said: str) -> str:
    """What was said, without the SDK's account of its own configuration."""
    return said.partition(" Config: ")[0].strip().rstrip(".")
