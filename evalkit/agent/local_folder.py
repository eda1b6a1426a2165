"""A session's folder on a disk, or on a volume that is mounted like one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Self

from evalkit.errors import InputError, Problem
from evalkit.files import write_whole

VOLUMES = "/Volumes/"
"""Where Databricks mounts volumes; there, files are not renamed."""


class LocalFolder:
    """Files below a directory.

    Attributes:
        location: The directory, as it was named.
    """

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._root = root.resolve()

    @classmethod
    def make(cls, root: Path) -> Self:
        """The folder, made where it is not there.

        Raises:
            InputError: it cannot be made.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(root, "cannot be made", error) from error
        return cls(root)

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none.

        Raises:
            InputError: it cannot be read, or the path leads out of the folder.
        """
        file = self._inside(path)
        try:
            return file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _refused(file, "cannot be read", error) from error

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file; a reader sees the old content or the new, and nothing in between.

        Raises:
            InputError: it cannot be written, or the path leads out of the folder.
        """
        file = self._inside(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content)
        except OSError as error:
            raise _refused(file, "cannot be written", error) from error

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file unless it is there; False where it is.

        Raises:
            InputError: it cannot be written, or the path leads out of the folder.
        """
        file = self._inside(path)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as opened:
                opened.write(content)
        except FileExistsError:
            return False
        except OSError as error:
            raise _refused(file, "cannot be written", error) from error
        return True

    def names(self, prefix: str = "") -> list[str]:
        """The paths of all files whose path begins with the prefix, sorted."""
        start = self._root / PurePosixPath(prefix.rpartition("/")[0])
        return sorted(name for name in self._walk(start) if name.startswith(prefix))

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is passed over."""
        file = self._inside(path)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(file, "cannot be deleted", error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes of this machine out while working in it.

        Raises:
            InputError: another one is at work there.
        """
        if str(self._root).startswith(VOLUMES):
            yield  # volumes know no locks; a job has a directory of its own
            return
        import fcntl

        with (self._root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    Problem(
                        "another process is at work in this session",
                        self.location,
                        fix="wait for it, stop it, or begin another session",
                    )
                ) from error
            yield

    def _walk(self, start: Path) -> Iterator[str]:
        for folder, _, files in os.walk(start):
            for name in files:
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self._root).as_posix()

    def _inside(self, path: str) -> Path:
        parts = PurePosixPath(path)
        file = self._root / parts
        leads_out = parts.is_absolute() or ".." in parts.parts or not parts.parts
        if leads_out or not file.resolve().is_relative_to(self._root):
            raise InputError(
                Problem(f"{path!r} leads out of the session", self.location, fix="remove the link")
            )
        return file


def _refused(file: Path, what: str, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(Problem(f"{what}: {reason}", str(file), fix="choose a folder that is yours"))
