"""A session's folder on a disk, or on a volume of Unity Catalog that is mounted like one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from evalkit.errors import InputError, Problem
from evalkit.files import VOLUMES, is_on_volume, write_whole


class Folder:
    """Files below a directory, which is called ``location`` as it was named.

    What cannot be read or written, or leads out of it, is an InputError.
    """

    def __init__(self, root: Path, *, make: bool = False) -> None:
        self.location, self._root = str(root), root.resolve()
        if is_on_volume(root):  # which is not made by making its folder
            volume = VOLUMES.joinpath(*self._root.parts[2:5])
            if not volume.is_dir():
                name = ".".join(volume.parts[2:])
                what = f"the volume {volume} is not mounted here, or not there"
                fix = f"run it on Databricks, and CREATE VOLUME {name} if need be; or name a folder"
                raise InputError(Problem(what, field="volume_path", fix=fix))
        if make:
            with _told(root, "made"):
                root.mkdir(parents=True, exist_ok=True)

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none."""
        file = self._inside(path)
        with _told(file, "read"):
            try:
                return file.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file; a reader sees the old content or the new, and nothing in between."""
        with self._writing(path) as file:
            write_whole(file, content)

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file unless it is there; False where it is."""
        with self._writing(path) as file:
            try:
                with file.open("xb") as opened:
                    opened.write(content)
            except FileExistsError:
                return False
            return True

    def names(self, prefix: str = "") -> list[str]:
        """The paths of all files whose path begins with the prefix, sorted."""
        found = os.walk(self._root / PurePosixPath(prefix.rpartition("/")[0]))
        files = (Path(folder, name) for folder, _, names in found for name in names)
        paths = (each.relative_to(self._root).as_posix() for each in files if each.name[0] != ".")
        return sorted(path for path in paths if path.startswith(prefix))

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is passed over."""
        file = self._inside(path)
        with _told(file, "deleted"):
            file.unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes of this machine out; an InputError where another one is at work."""
        if is_on_volume(self._root):
            yield  # volumes know no locks; a job has a directory of its own
            return
        import fcntl

        with (self._root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                what = "another process is at work in this session"
                fix = "wait for it, stop it, or begin another session"
                raise InputError(Problem(what, self.location, fix=fix)) from error
            yield

    @contextmanager
    def _writing(self, path: str) -> Iterator[Path]:
        file = self._inside(path)
        with _told(file, "written"):
            file.parent.mkdir(parents=True, exist_ok=True)
            yield file

    def _inside(self, path: str) -> Path:
        parts = PurePosixPath(path)
        file = self._root / parts
        leads_out = parts.is_absolute() or ".." in parts.parts or not parts.parts
        if leads_out or not file.resolve().is_relative_to(self._root):
            what = f"{path!r} leads out of the session"
            raise InputError(Problem(what, self.location, fix="remove the link"))
        return file


@contextmanager
def _told(file: Path, what: str) -> Iterator[None]:
    """What the system refuses, as an InputError."""
    try:
        yield
    except OSError as error:
        why = f"cannot be {what}: {error.strerror or error}"
        raise InputError(Problem(why, str(file), fix="choose a folder that is yours")) from error
