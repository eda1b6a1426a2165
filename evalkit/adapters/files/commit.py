"""The commit that a git repository stands at."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

_SECONDS = 10


class Head(NamedTuple):
    """A commit.

    Attributes:
        commit: Its hash.
        time_s: When it was made, seconds since the epoch.
    """

    commit: str
    time_s: int


def head_of(folder: Path, *, holds: Path) -> Head | None:
    """HEAD of the repository that a folder lies in; None where that does not hold the other."""
    root = _git(folder, "rev-parse", "--show-toplevel")
    if not root or not holds.resolve().is_relative_to(Path(root).resolve()):
        return None
    time_s, _, commit = _git(folder, "rev-list", "--timestamp", "-1", "HEAD").partition(" ")
    return Head(commit, int(time_s)) if commit else None


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, no repository, or no commit."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
