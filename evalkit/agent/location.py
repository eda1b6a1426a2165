"""Where session directories lie: new ones, and known ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from evalkit.agent.folder import Folder
from evalkit.agent.session import ABOUT_FILE, FORM, About, SessionDirectory, as_bytes, decoded
from evalkit.errors import InputError, Problem
from evalkit.tracking import without_password

SESSIONS = "sessions"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
    found = (name.partition("/") for name in _folder(base).names())
    ids = sorted(session_id for session_id, _, path in found if path == ABOUT_FILE)
    for session_id in reversed(ids):
        try:
            session = find_session(base, session_id)
        except InputError:
            continue  # of another form, or spoiled
        if session and (session.about.experiment_id, lasting(session.about.tracking_uri)) == here:
            yield session


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


def _folder(base: str | None, session_id: str = "", *, make: bool = False) -> Folder:
    return Folder(Path(base or ".") / SESSIONS / session_id, make=make)
