"""Files below a directory, on a disk or on a volume of Unity Catalog that is mounted like one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evalkit.errors import InputError, Problem
from evalkit.files import VOLUMES, is_on_volume, write_whole


class Folder:
    """Files below a directory, which is called ``location`` as it was named.

    What cannot be read or written, or leads out of it, is an InputError.
    """

    def __init__(self, root: Path) -> None:
        self.location, self._root = str(root), root.resolve()

    def read(self, path: str) -> bytes | None:
        """A file's content; None where there is none."""
        with self._file(path) as file:
            try:
                return file.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes) -> None:
        """Write a whole file; a reader sees the old content or the new, and nothing in between."""
        volume = VOLUMES.joinpath(*self._root.parts[2:5])
        if is_on_volume(self._root) and not volume.is_dir():  # folders do not make a volume
            what = f"the volume {volume} is not mounted here, or not there"
            name = ".".join(volume.parts[2:])
            fix = f"run it on Databricks, and CREATE VOLUME {name} if need be; or name a folder"
            raise InputError(Problem(what, field="volume_path", fix=fix))
        with self._file(path) as file:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content)

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is passed over."""
        with self._file(path) as file:
            file.unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """The paths of all files whose path begins with the prefix, sorted."""
        files = (each for each in self._root.rglob("*") if each.name[0] != "." and each.is_file())
        paths = (each.relative_to(self._root).as_posix() for each in files)
        return sorted(path for path in paths if path.startswith(prefix))

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
    def _file(self, path: str) -> Iterator[Path]:
        file = self._root / path
        try:
            if not file.resolve().is_relative_to(self._root):
                what = f"{path!r} leads out of the session"
                raise InputError(Problem(what, self.location, fix="remove the link"))
            yield file
        except OSError as error:
            what = f"cannot be read or written: {error.strerror or error}"
            raise InputError(Problem(what, str(file), fix="choose a folder of yours")) from error
