"""Session directories, on a disk or a volume of Unity Catalog: their files, and where they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from evalkit.agent.session import (
    ABOUT_FILE,
    FORM,
    About,
    Folder,
    SessionDirectory,
    as_bytes,
    decoded,
)
from evalkit.errors import InputError, Problem
from evalkit.files import write_whole
from evalkit.tracking import without_password

VOLUMES = "/Volumes/"
"""Where Databricks mounts volumes; there, files are not renamed."""

SESSIONS = "sessions"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class LocalFolder:
    """Files below a directory, which is called ``location`` as it was named.

    What cannot be read or written, or leads out of it, is an InputError.
    """

    def __init__(self, root: Path, *, make: bool = False) -> None:
        self.location = str(root)
        self._root = root.resolve()
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
        file = self._inside(path)
        with _told(file, "written"):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content)

    def claim(self, path: str, content: bytes) -> bool:
        """Write a file unless it is there; False where it is."""
        file = self._inside(path)
        with _told(file, "written"):
            file.parent.mkdir(parents=True, exist_ok=True)
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
        if str(self._root).startswith(VOLUMES):
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


def find_session(base: str | None, session_id: str) -> SessionDirectory | None:
    """A session directory that is there; None where there is none of that id.

    ``base`` is where session directories lie, None for the working directory, here as elsewhere.

    Raises:
        InputError: the id is none, or its directory is of an earlier evalkit or cannot be read.
    """
    if not _ID.fullmatch(session_id):
        fix = "the name of a folder in `sessions`: letters, digits, '-', '_' and '.'"
        raise InputError(Problem(f"{session_id!r} is no session", field="--session", fix=fix))
    folder = _folder(base, session_id)
    about = decoded(folder.read(ABOUT_FILE), About)
    if about and about.form != FORM:
        what = f"the session {session_id} was led by another version of evalkit, whose sessions "
        what += "and suites are of another form"
        fix = "start a new session: leave --session out, or name one that is not there; the suite "
        fix += "of the old one can still be run by hand"
        raise InputError(Problem(what, folder.location, field="--session", fix=fix))
    return SessionDirectory(folder, about) if about else None


def session_ids(base: str | None) -> list[str]:
    """The ids of all sessions of a base, the newest last by their usual names."""
    found = (name.partition("/") for name in _folder(base).names())
    return sorted(session_id for session_id, _, path in found if path == ABOUT_FILE)


def new_id(experiment: str, moment: float) -> str:
    """An id for a new session: the time (seconds since the epoch), and what it is about."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", experiment).strip("-").lower()[:40].strip("-")
    time = datetime.fromtimestamp(moment, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{time}-{words}" if words else time


def lasting(uri: str) -> str:
    """The tracking URI, so that it means the same from any folder."""
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and path and not path.startswith("/"):
        return f"{scheme}:///{Path(path).resolve()}"
    return uri


def sessions_about(
    base: str | None, experiment_id: str, tracking_uri: str
) -> Iterator[SessionDirectory]:
    """The sessions about an experiment of an MLflow, the newest first by their usual names."""
    here = (experiment_id, lasting(without_password(tracking_uri)))
    for session_id in reversed(session_ids(base)):
        try:
            found = find_session(base, session_id)
        except InputError:
            continue  # of another form, or spoiled
        if found and (found.about.experiment_id, lasting(found.about.tracking_uri)) == here:
            yield found


def start_session(base: str | None, about: About) -> SessionDirectory:
    """A session directory that nobody has started yet, made now.

    Raises:
        InputError: it cannot be made, or there is one of that name.
    """
    folder = _folder(base, about.session_id, make=True)
    if not folder.claim(ABOUT_FILE, as_bytes(about)):
        what = f"the session {about.session_id} is about another experiment, or its {ABOUT_FILE} "
        fix = "leave --experiment-id out, or start a new session"
        raise InputError(Problem(f"{what}is spoiled", folder.location, field="--session", fix=fix))
    return SessionDirectory(folder, about)


def held(session: SessionDirectory) -> AbstractContextManager[None]:
    """Keep other processes of this machine out; an InputError where another one is at work."""
    folder = session.folder
    return folder.held() if isinstance(folder, LocalFolder) else nullcontext()


def _folder(base: str | None, session_id: str = "", *, make: bool = False) -> Folder:
    path = Path(base or ".") / SESSIONS / session_id
    if base and base.startswith(VOLUMES):
        from evalkit.store.databricks import VolumeFolder

        if not Path(VOLUMES).is_dir():  # not mounted here
            return VolumeFolder(str(path))
        if make and not Path(base).is_dir():
            VolumeFolder(base)  # a volume is not made by making its folder
    return LocalFolder(path, make=make)
