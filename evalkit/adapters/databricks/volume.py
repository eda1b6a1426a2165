"""A folder on a volume of Unity Catalog, from wherever this runs.

Volumes take whole objects only: no appending, no renaming, no writing in the middle. So does this.
Paths are relative POSIX paths. What is not allowed, or leads out of the folder, is an InputError; a
workspace that cannot be reached, or answers with an error, a DatabricksError.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Self

from evalkit.adapters.databricks.connection import Connection
from evalkit.core.errors import InputError, Problem

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_OUTSIDE = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class VolumePath:
    """``/Volumes/catalog/schema/volume``, and a folder in it, empty for the volume itself."""

    catalog: str
    schema: str
    volume: str
    folder: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path that a text stands for.

        Raises:
            InputError: it is not of that form.
        """
        match text.strip().removeprefix("dbfs:").rstrip("/").split("/"):
            case ["", "Volumes", catalog, schema, volume, *folder] if not _OUTSIDE & {
                *(catalog, schema, volume),
                *folder,
            }:
                return cls(catalog, schema, volume, "/".join(folder))
        raise InputError(
            Problem(
                f"{text!r} is no path on a volume",
                field="volume_path",
                fix="/Volumes/CATALOG/SCHEMA/VOLUME, and a folder in it if you like",
            )
        )

    def __truediv__(self, name: str) -> str:
        """The absolute path of what lies in the folder; an InputError where it leads out."""
        if not name:
            return str(self)
        if name.startswith("/") or _OUTSIDE & set(name.split("/")):
            raise InputError(Problem(f"{name!r} leads out of {self}", fix="name a file within it"))
        return f"{self}/{name}"

    def __str__(self) -> str:
        return f"/Volumes/{self.catalog}/{self.schema}/{self.volume}/{self.folder}".rstrip("/")


class VolumeFolder:
    """Files in a folder on a volume, through the workspace's Files API.

    Attributes:
        location: The folder's path, for messages.
    """

    def __init__(self, path: VolumePath, connection: Connection | None = None) -> None:
        """Remember where it is; the workspace is by default the one that this runs in."""
        self.location = str(path)
        self._path = path
        self._workspace = connection or Connection()

    @classmethod
    def open(cls, path: str, connection: Connection | None = None) -> Self:
        """The folder, made if it is not there; its volume too, where that is allowed.

        Raises:
            InputError: it is no such path, its schema is not there, or making it is not allowed.
            DatabricksError: the workspace cannot be reached, or answers with an error.
        """
        from databricks.sdk.errors import NotFound

        folder = cls(VolumePath.parse(path), connection)
        try:
            folder._make_directory(folder.location)
        except NotFound:
            folder._make_volume()
            folder._make_directory(folder.location)
        return folder

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is no such file."""
        from databricks.sdk.errors import NotFound

        target = self._path / path

        def download(client: WorkspaceClient) -> bytes:
            stream = client.files.download(target).contents
            if stream is None:
                return b""
            with stream:
                return stream.read()

        try:
            return self._workspace.ask(f"reading {target}", download)
        except NotFound:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file, in place of the one that may be there; folders are made."""
        self._upload(path, content, overwrite=True)

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file only where there is none; False where there is one.

        Where the answer to a first attempt is lost, the second finds the file there: then it is
        ours if its content is, so let the content say who claims.
        """
        from databricks.sdk.errors import ResourceConflict

        waits = self._workspace.waits
        try:
            self._upload(path, content, overwrite=False)
        except ResourceConflict:
            return self._workspace.waits > waits and self.read(path) == content
        return True

    def names(self, prefix: str = "") -> list[str]:
        """The paths of all files that begin with the prefix, sorted.

        Args:
            prefix: Such as ``state/``, or ``state/journal-``; all files if empty. Only the folder
                that it names is listed.
        """
        found = self._files(self._path / prefix.rpartition("/")[0])
        return sorted(name for name in found if name.startswith(prefix))

    def delete(self, path: str) -> None:
        """Delete a file; nothing happens where there is none."""
        from databricks.sdk.errors import NotFound

        target = self._path / path
        try:
            self._workspace.ask(f"deleting {target}", lambda client: client.files.delete(target))
        except NotFound:
            return

    def _upload(self, path: str, content: bytes, *, overwrite: bool) -> None:
        from databricks.sdk.errors import NotFound

        target = self._path / path

        def upload(client: WorkspaceClient) -> None:
            client.files.upload(target, BytesIO(content), overwrite=overwrite)

        try:
            self._workspace.ask(f"writing {target}", upload)
        except NotFound:
            self._make_directory(target.rpartition("/")[0])
            self._workspace.ask(f"writing {target}", upload)

    def _files(self, directory: str) -> Iterator[str]:
        from databricks.sdk.errors import NotFound

        try:
            entries = self._workspace.ask(
                f"listing {directory}",
                lambda client: list(client.files.list_directory_contents(directory)),
            )
        except NotFound:
            return
        for entry in entries:
            path = entry.path or f"{directory}/{entry.name}"
            if entry.is_directory:
                yield from self._files(path.rstrip("/"))
            else:
                yield PurePosixPath(path).relative_to(self.location).as_posix()

    def _make_directory(self, path: str) -> None:
        self._workspace.ask(
            f"making the folder {path}", lambda client: client.files.create_directory(path)
        )

    def _make_volume(self) -> None:
        from databricks.sdk.errors import NotFound, ResourceConflict
        from databricks.sdk.service.catalog import VolumeType

        path = self._path
        schema = f"{path.catalog}.{path.schema}"

        def create(client: WorkspaceClient) -> None:
            client.volumes.create(path.catalog, path.schema, path.volume, VolumeType.MANAGED)

        try:
            self._workspace.ask(f"making the volume {schema}.{path.volume}", create)
        except ResourceConflict:
            return  # somebody else just made it
        except NotFound as error:
            raise InputError(
                Problem(
                    f"there is no schema {schema} for the volume {path.volume}",
                    field="volume_path",
                    fix=f"CREATE SCHEMA {schema}, or name another",
                )
            ) from error
