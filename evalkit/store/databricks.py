"""A Databricks workspace: its identity, secrets and volumes; its MLflow is another module's.

The SDK is imported when a workspace is first asked. Throttling waits are capped, expired
credentials renewed.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.errors import DatabricksError, InputError, Problem
from evalkit.tracking import is_on_databricks

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

T = TypeVar("T")

LONGEST_WAIT_S = 30.0  # of a single wait, whatever the workspace asks for
PATIENCE_S = 300  # with a request that is throttled again and again
ATTEMPTS = 5  # of a request that the workspace answers with an internal error

_NAME = r"(?!\.{1,2}(?:/|$))[^/]+"
_VOLUME = re.compile(rf"(?:dbfs:)?(/Volumes/({_NAME})/({_NAME})/({_NAME})(?:/{_NAME})*)/?")
_WITHIN = re.compile(rf"(?:{_NAME}/)*(?:{_NAME})?")


class NotThere(DatabricksError):
    """What is asked for is not there."""


class Taken(DatabricksError):
    """What is to be made is there already."""


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
        doing = f"reading the secret {scope}/{key}"
        try:
            found = self.ask(doing, lambda client: client.secrets.get_secret(scope, key))
        except NotThere as error:
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
            NotThere: what is asked for is not there.
            Taken: it is there already.
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
            except errors.NotFound as error:
                raise NotThere(_plain(error)) from error
            except errors.ResourceConflict as error:
                raise Taken(_plain(error)) from error
            except (Answer, RequestException, TimeoutError, ValueError) as error:
                denied = isinstance(error, errors.PermissionDenied)
                is_expired = isinstance(error, errors.Unauthenticated) or (
                    denied and "access token" in str(error).lower()
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


class VolumeFolder:
    """Files in a folder on a volume of Unity Catalog; ``location`` is its path.

    Volumes take whole objects only: no appending, no renaming, no writing in the middle. So does
    this. Paths are relative POSIX paths. The folder is made if it is not there; its volume too,
    where that is allowed. What is not allowed, or leads out of the folder, is an InputError; a
    workspace that cannot be reached, or answers with an error, a DatabricksError.
    """

    def __init__(self, path: str, connection: Connection | None = None) -> None:
        """Open it, in the workspace that this runs in unless another is given."""
        found = _VOLUME.fullmatch(path.strip())
        if found is None:
            what = f"{path!r} is no path on a volume"
            fix = "/Volumes/CATALOG/SCHEMA/VOLUME, and a folder in it if you like"
            raise InputError(Problem(what, field="volume_path", fix=fix))
        self.location, *volume = found.groups()
        self._workspace = connection or Connection()
        try:
            self._make_directory(self.location)
        except NotThere:
            self._make_volume(*volume)
            self._make_directory(self.location)

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        target = self._within(path)

        def download(client: WorkspaceClient) -> bytes:
            with client.files.download(target).contents or BytesIO() as stream:
                return stream.read()

        return self._if_there(f"reading {target}", download)

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file, in place of the one that may be there; folders are made."""
        self._upload(path, content, overwrite=True)

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file only where there is none; False where there is one.

        Where the answer to a first attempt is lost, the second finds the file there: then it is
        ours if its content is, so let the content say who claims.
        """
        waits = self._workspace.waits
        try:
            self._upload(path, content, overwrite=False)
        except Taken:
            return self._workspace.waits > waits and self.read(path) == content
        return True

    def names(self, prefix: str = "") -> list[str]:
        """The paths of all files that begin with the prefix, sorted; all if it is empty."""
        found = self._files(self._within(prefix.rpartition("/")[0]).rstrip("/"))
        return sorted(name for name in found if name.startswith(prefix))

    def delete(self, path: str) -> None:
        """Delete a file; nothing happens where there is none."""
        target = self._within(path)
        self._if_there(f"deleting {target}", lambda client: client.files.delete(target))

    def _within(self, name: str) -> str:
        if not _WITHIN.fullmatch(name):
            problem = f"{name!r} leads out of {self.location}"
            raise InputError(Problem(problem, fix="name a file within it"))
        return f"{self.location}/{name}"

    def _if_there(self, doing: str, question: Callable[[WorkspaceClient], T]) -> T | None:
        try:
            return self._workspace.ask(doing, question)
        except NotThere:
            return None

    def _upload(self, path: str, content: bytes, *, overwrite: bool) -> None:
        target = self._within(path)

        def upload(client: WorkspaceClient) -> None:
            client.files.upload(target, BytesIO(content), overwrite=overwrite)

        try:
            self._workspace.ask(f"writing {target}", upload)
        except NotThere:
            self._make_directory(target.rpartition("/")[0])
            self._workspace.ask(f"writing {target}", upload)

    def _files(self, directory: str) -> Iterator[str]:
        entries = self._if_there(
            f"listing {directory}",
            lambda client: list(client.files.list_directory_contents(directory)),
        )
        for entry in entries or ():
            path = entry.path or f"{directory}/{entry.name}"
            if entry.is_directory:
                yield from self._files(path.rstrip("/"))
            else:
                yield PurePosixPath(path).relative_to(self.location).as_posix()

    def _make_directory(self, path: str) -> None:
        doing = f"making the folder {path}"
        self._workspace.ask(doing, lambda client: client.files.create_directory(path))

    def _make_volume(self, catalog: str, schema: str, name: str) -> None:
        from databricks.sdk.service.catalog import VolumeType

        doing, kind = f"making the volume {catalog}.{schema}.{name}", VolumeType.MANAGED
        try:
            self._workspace.ask(doing, lambda c: c.volumes.create(catalog, schema, name, kind))
        except Taken:
            return  # somebody else just made it
        except NotThere as error:
            what = f"there is no schema {catalog}.{schema} for the volume {name}"
            fix = f"CREATE SCHEMA {catalog}.{schema}, or name another"
            raise InputError(Problem(what, field="volume_path", fix=fix)) from error
