"""Where session directories lie, here or on a volume of Unity Catalog: new ones, and known ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from evalkit.adapters.files.local_folder import VOLUMES, LocalFolder
from evalkit.agent.session import ABOUT_FILE, About, Folder, SessionDirectory, decoded
from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import without_password

SESSIONS = "sessions"
FORM = 2
"""The form of a session directory; those of another are not gone on with."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def find_session(base: str | None, session_id: str) -> SessionDirectory | None:
    """A session directory that is there; None where there is none of that id.

    Args:
        base: Where session directories lie; None for the working directory.
        session_id: Its id.

    Raises:
        InputError: the id is none, or its directory is of an earlier evalkit or cannot be read.
    """
    if not _ID.fullmatch(session_id) or ".." in session_id:
        fix = "the name of a folder in `sessions`: letters, digits, '-', '_' and '.'"
        raise InputError(Problem(f"{session_id!r} is no session", field="--session", fix=fix))
    if not _is_remote(base) and not (Path(base or ".") / SESSIONS / session_id).is_dir():
        return None
    folder = _folder(base, session_id)
    about = decoded(folder.read(ABOUT_FILE), About)
    if about is not None and about.form != FORM:
        what = f"the session {session_id} was led by another version of evalkit, whose sessions "
        what += "and suites are of another form"
        fix = "start a new session: leave --session out, or name one that is not there; the suite "
        fix += "of the old one can still be run by hand"
        raise InputError(Problem(what, folder.location, field="--session", fix=fix))
    return None if about is None else SessionDirectory(folder, about)


def session_ids(base: str | None) -> list[str]:
    """The ids of all sessions of a base, the newest last where nobody chose their names.

    Raises:
        InputError: the base cannot be read.
    """
    if base and _is_remote(base):
        from evalkit.adapters.databricks.volume import VolumeFolder

        names = VolumeFolder(f"{base.rstrip('/')}/{SESSIONS}").names()
        return sorted({name.partition("/")[0] for name in names})
    found = (Path(base or ".") / SESSIONS).glob(f"*/{ABOUT_FILE}")
    return sorted(file.parents[1].name for file in found if _ID.fullmatch(file.parents[1].name))


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
    """The sessions about an experiment, the newest first where nobody chose their names.

    Args:
        base: Where session directories lie; None for the working directory.
        experiment_id: The experiment.
        tracking_uri: The MLflow that it is in: every store counts its experiments from 1.
    """
    here = (experiment_id, lasting(without_password(tracking_uri)))
    for session_id in reversed(session_ids(base)):
        try:
            found = find_session(base, session_id)
        except InputError:
            continue  # of another form, or spoiled
        about = found.about if found else None
        if found and about and (about.experiment_id, lasting(about.tracking_uri)) == here:
            yield found


def start_session(base: str | None, about: About, *, is_named: bool) -> SessionDirectory:
    """A session directory that nobody has started yet, made now.

    Args:
        base: Where session directories lie; None for the working directory.
        about: What it is about.
        is_named: Whether a person chose its id; else a number follows one that is taken.

    Raises:
        InputError: it cannot be made, or the one of that name is about something else.
    """
    for number in count(1):
        session_id = about.session_id if number == 1 else f"{about.session_id}-{number}"
        own = replace(about, session_id=session_id, form=FORM)
        folder, content = _folder(base, session_id), (json.dumps(asdict(own), indent=2) + "\n")
        if folder.claim(ABOUT_FILE, content.encode()):
            return SessionDirectory(folder, own)
        if is_named and folder.read(ABOUT_FILE) == content.encode():
            return SessionDirectory(folder, own)
        if is_named:
            what = f"the session {session_id} is about another experiment, or its {ABOUT_FILE} is "
            fix = "leave --experiment-id out, or start a new session"
            problem = Problem(f"{what}spoiled", folder.location, field="--session", fix=fix)
            raise InputError(problem)
    raise AssertionError  # numbers do not end


def held(session: SessionDirectory) -> AbstractContextManager[None]:
    """Keep other processes of this machine out; an InputError where another one is at work."""
    folder = session.folder
    return folder.held() if isinstance(folder, LocalFolder) else nullcontext()


def _folder(base: str | None, session_id: str) -> Folder:
    if base and base.startswith(VOLUMES):
        from evalkit.adapters.databricks.volume import VolumeFolder

        if _is_remote(base):
            return VolumeFolder(f"{base.rstrip('/')}/{SESSIONS}/{session_id}")
        if not Path(base).is_dir():
            VolumeFolder(base)  # a volume is not made by making its folder
    return LocalFolder.make(Path(base or ".") / SESSIONS / session_id)


def _is_remote(base: str | None) -> bool:
    """Whether it is a volume of Unity Catalog that is not mounted here."""
    return bool(base) and str(base).startswith(VOLUMES) and not Path(VOLUMES).is_dir()
