"""A Databricks workspace: address, identity, secrets and SQL; its MLflow is another module's."""

from __future__ import annotations

import base64
import configparser
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.errors import DatabricksError, InputError, Problem, StoreAbsent, StoreError
from evalkit.jsonable import Json
from evalkit.store.failures import UNTRUSTED, is_absence, reason, within
from evalkit.tracking import is_on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.sql import StatementResponse

T = TypeVar("T")

LONGEST_WAIT_S = 30.0  # of a single wait, whatever the workspace asks for
PATIENCE_S = 120  # with a request that is throttled again and again
SQL_PATIENCE_S = 1_800  # with a statement, whose warehouse may have to start first


class Connection:
    """A Databricks workspace, opened when it is first asked; ``settings`` are the SDK's."""

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
        """A secret's text, which no message and no log repeats."""
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

    def query(self, warehouse_id: str, statement: str) -> list[dict[str, Json]]:
        """The rows that a SQL warehouse gives, by column; cancelled where that is interrupted.

        Raises:
            InputError: there is no such warehouse, or it may not be used.
            StoreError: it refused the statement.
            DatabricksError: the workspace failed.
        """
        from databricks.sdk.errors import NotFound

        try:
            begun = self._sql("execute_statement", statement, warehouse_id, wait_timeout="10s")
            try:
                return self._rows(self._ended(begun))
            except BaseException:
                with suppress(Exception):  # it costs as long as it runs
                    self._opened().statement_execution.cancel_execution(begun.statement_id)
                raise
        except NotFound as error:
            what = (
                f"there is no SQL warehouse {warehouse_id} in {self._host}, or no more its answer"
            )
            fix = "take an id from the workspace's list of SQL warehouses"
            raise InputError(Problem(what, field="sql_warehouse_id", fix=fix)) from error

    def _sql(self, method: str, *asked: str | int, **how: str) -> Any:
        return self._ask(
            "running SQL", lambda client: getattr(client.statement_execution, method)(*asked, **how)
        )

    def _ended(self, got: StatementResponse) -> StatementResponse:
        """The statement when it has ended well."""
        wait, until = 0.2, time.monotonic() + SQL_PATIENCE_S
        while (state := got.status.state.value) in {"PENDING", "RUNNING"}:
            if time.monotonic() > until:
                raise StoreError(f"a SQL warehouse needed over {SQL_PATIENCE_S // 60} minutes")
            time.sleep(wait)
            wait = min(wait * 1.5, 5)
            got = self._sql("get_statement", got.statement_id)
        if state != "SUCCEEDED":
            said = got.status.error.message if got.status.error else "it does not say why"
            words = " ".join(said.split())[:300]
            raise StoreError(f"a SQL warehouse refused a query ({state}): {words}")
        return got

    def _rows(self, got: StatementResponse) -> list[dict[str, Json]]:
        """All pages of what a statement gave; texts are as they are, all else is read as JSON."""
        columns = [(each.name, each.type_name.value) for each in got.manifest.schema.columns]
        page, rows = got.result, list[list[str | None]]()
        while page:
            rows += page.data_array or ()
            more = page.next_chunk_index
            named = (got.statement_id, more)
            page = self._sql("get_statement_result_chunk_n", *named) if more else None
        return [
            {
                name: text if text is None or kind == "STRING" else json.loads(text)
                for (name, kind), text in zip(columns, row, strict=True)
            }
            for row in rows
        ]

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


def ask_workspace(uri: str, *, timeout_s: float) -> None:
    """Knock at a workspace, for which the SDK would try for minutes.

    Whatever answers will do. Where the SDK finds the host by other ways than the environment and
    its file of profiles, as on Databricks, nobody is asked.
    """
    import requests

    host = _host_of(uri)

    def knock() -> None:
        try:
            requests.head(host, timeout=timeout_s, allow_redirects=False).close()
        except (requests.RequestException, ValueError) as error:
            why = reason(error)
            if is_absence(error):
                said = f"the workspace at {host} is not reachable: {why}"
                raise StoreAbsent(said) from error
            if why == UNTRUSTED or not isinstance(error, requests.ConnectionError):
                raise StoreError(
                    f"{host} cannot be used as a workspace ({why}):"
                    " see DATABRICKS_HOST, or the host of the profile"
                ) from error

    if host:
        within(timeout_s, host, knock)


def _host_of(uri: str) -> str:
    """The address of a workspace by the environment or the SDK's profiles; empty if by neither."""
    named = uri.partition("://")[2] or os.environ.get("DATABRICKS_CONFIG_PROFILE", "")
    host = "" if named else os.environ.get("DATABRICKS_HOST", "")
    if not host:
        # a profile has what stands in it, and nothing from one called DEFAULT
        profiles = configparser.ConfigParser(interpolation=None, default_section="")
        file = os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg"
        try:
            profiles.read(Path(file).expanduser(), encoding="utf-8")
            named = named or profiles.get("__settings__", "default_profile", fallback="DEFAULT")
            host = profiles.get(named, "host", fallback="")
        except (configparser.Error, UnicodeDecodeError, RuntimeError):
            return ""  # the SDK says what is wrong with it
    return host if not host or "://" in host else f"https://{host}"
