"""A folder on a volume of Unity Catalog, from wherever this runs.

Volumes take whole objects only: no appending, no renaming, no writing in the middle. So does this.
Paths are relative POSIX paths. What is not allowed, or leads out of the folder, is an InputError; a
workspace that cannot be reached, or answers with an error, a DatabricksError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import PurePosixPath
from typing import TypeVar

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, ResourceConflict
from databricks.sdk.service.catalog import VolumeType

from evalkit.adapters.databricks.connection import Connection
from evalkit.errors import InputError, Problem

T = TypeVar("T")
_NAME = r"(?!\.{1,2}(?:/|$))[^/]+"
_FORM = re.compile(rf"(?:dbfs:)?(/Volumes/({_NAME})/({_NAME})/({_NAME})(?:/{_NAME})*)/?")
_WITHIN = re.compile(rf"(?:{_NAME}/)*(?:{_NAME})?")


class VolumeFolder:
    """Files in a folder on a volume, through the workspace's Files API; ``location`` is its path.

    It is made if it is not there; its volume too, where that is allowed.
    """

    def __init__(self, path: str, connection: Connection | None = None) -> None:
        """Open it, in the workspace that this runs in unless another is given.

        Raises:
            InputError: it is no such path, its schema is not there, or making it is not allowed.
            DatabricksError: the workspace cannot be reached, or answers with an error.
        """
        found = _FORM.fullmatch(path.strip())
        if found is None:
            what = f"{path!r} is no path on a volume"
            fix = "/Volumes/CATALOG/SCHEMA/VOLUME, and a folder in it if you like"
            raise InputError(Problem(what, field="volume_path", fix=fix))
        self.location, *volume = found.groups()
        self._workspace = connection or Connection()
        try:
            self._make_directory(self.location)
        except NotFound:
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
        except ResourceConflict:
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
        except NotFound:
            return None

    def _upload(self, path: str, content: bytes, *, overwrite: bool) -> None:
        target = self._within(path)

        def upload(client: WorkspaceClient) -> None:
            client.files.upload(target, BytesIO(content), overwrite=overwrite)

        try:
            self._workspace.ask(f"writing {target}", upload)
        except NotFound:
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
        def create(client: WorkspaceClient) -> None:
            client.volumes.create(catalog, schema, name, VolumeType.MANAGED)

        try:
            self._workspace.ask(f"making the volume {catalog}.{schema}.{name}", create)
        except ResourceConflict:
            return  # somebody else just made it
        except NotFound as error:
            what = f"there is no schema {catalog}.{schema} for the volume {name}"
            fix = f"CREATE SCHEMA {catalog}.{schema}, or name another"
            raise InputError(Problem(what, field="volume_path", fix=fix)) from error
