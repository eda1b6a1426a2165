"""Where a session directory lies: a new one, or one that is gone on with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec

from evalkit.adapters.files.local_folder import VOLUMES, LocalFolder
from evalkit.core.agent.folder import Folder
from evalkit.core.errors import InputError, Problem

SESSIONS = "sessions"
ABOUT_FILE = "state/session.json"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class About:
    """What a session directory is about; the same for all its life.

    Attributes:
        session_id: Its id, which is its folder's name.
        experiment: The experiment's name; empty in a conversation that is about none.
        experiment_id: The experiment's id.
        tracking_uri: Where it lies, without a password.
    """

    session_id: str
    experiment: str
    experiment_id: str
    tracking_uri: str


def check_id(session_id: str) -> None:
    """Refuse an id that could lead out of the folder of sessions.

    Raises:
        InputError: it could, or is none.
    """
    if not _ID.fullmatch(session_id) or ".." in session_id:
        raise InputError(
            Problem(
                f"{session_id!r} is no session",
                field="--session",
                fix="the name of a folder in `sessions`: letters, digits, '-', '_' and '.'",
            )
        )


def known_session(base: str | None, session_id: str) -> About | None:
    """What is known of a session; None where there is none of that id.

    Raises:
        InputError: the id is none.
    """
    check_id(session_id)
    if not _is_remote(base) and not (_directory(base, session_id)).is_dir():
        return None
    content = _folder(base, session_id).read(ABOUT_FILE)
    try:
        return msgspec.json.decode(content or b"", type=About)
    except msgspec.DecodeError:
        return None


def existing(base: str | None, session_id: str) -> Folder | None:
    """The folder of a session that has begun; None where there is none of that id.

    Raises:
        InputError: the id is none, or the folder cannot be read.
    """
    return None if known_session(base, session_id) is None else _folder(base, session_id)


def session_ids(base: str | None) -> list[str]:
    """The ids of all sessions of a base, the newest last where nobody chose their names.

    Raises:
        InputError: the base cannot be read.
    """
    if base and _is_remote(base):
        from evalkit.adapters.databricks import VolumeFolder

        names = VolumeFolder.open(f"{base.rstrip('/')}/{SESSIONS}").names()
        return sorted({name.partition("/")[0] for name in names})
    found = (Path(base or ".") / SESSIONS).glob(f"*/{ABOUT_FILE}")
    return sorted(file.parents[1].name for file in found if _ID.fullmatch(file.parents[1].name))


def new_id(experiment: str, moment: float) -> str:
    """An id for a new session: the time, and what it is about.

    Args:
        experiment: The experiment's name.
        moment: Seconds since the epoch.
    """
    words = re.sub(r"[^A-Za-z0-9]+", "-", experiment).strip("-").lower()[:40].strip("-")
    time = datetime.fromtimestamp(moment, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{time}-{words}" if words else time


def lasting(uri: str) -> str:
    """The tracking URI, so that it means the same from any folder."""
    scheme, separator, path = uri.partition(":///")
    if separator and scheme.startswith("sqlite") and path and not path.startswith("/"):
        return f"{scheme}:///{Path(path).resolve()}"
    return uri


def begin(base: str | None, about: About) -> Folder:
    """The folder of a session that is named, be it there already or not.

    Raises:
        InputError: it cannot be made, or the session is about something else.
    """
    folder = _folder(base, about.session_id)
    content = _text(about)
    if not folder.claim(ABOUT_FILE, content) and folder.read(ABOUT_FILE) != content:
        raise InputError(
            Problem(
                f"the session {about.session_id} is about another experiment",
                folder.location,
                field="--session",
                fix="leave --experiment-id out, or begin a new session",
            )
        )
    return folder


def begin_new(base: str | None, about: About) -> tuple[About, Folder]:
    """A session that nobody else has begun: where the id is taken, a number follows it.

    Raises:
        InputError: it cannot be made.
    """
    for number in count(1):
        session_id = about.session_id if number == 1 else f"{about.session_id}-{number}"
        own = replace(about, session_id=session_id)
        folder = _folder(base, session_id)
        if folder.claim(ABOUT_FILE, _text(own)):
            return own, folder
    raise AssertionError  # numbers do not end


def _text(about: About) -> bytes:
    return (json.dumps(asdict(about), indent=2) + "\n").encode()


@contextmanager
def held(folder: Folder) -> Iterator[None]:
    """Keep other processes of this machine out of a session.

    Raises:
        InputError: another one is at work there.
    """
    with folder.held() if isinstance(folder, LocalFolder) else nullcontext():
        yield


def _folder(base: str | None, session_id: str) -> Folder:
    if base and base.startswith(VOLUMES):
        from evalkit.adapters.databricks import VolumeFolder

        if _is_remote(base):
            return VolumeFolder.open(f"{base.rstrip('/')}/{SESSIONS}/{session_id}")
        if not Path(base).is_dir():
            VolumeFolder.open(base)  # a volume is not made by making its folder
    return LocalFolder.make(_directory(base, session_id))


def _directory(base: str | None, session_id: str) -> Path:
    return Path(base or ".") / SESSIONS / session_id


def _is_remote(base: str | None) -> bool:
    """Whether it is a volume of Unity Catalog that is not mounted here."""
    return bool(base) and str(base).startswith(VOLUMES) and not Path(VOLUMES).is_dir()
