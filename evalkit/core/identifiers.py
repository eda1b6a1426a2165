"""Ids of runs and cases: each is the name of one folder, and leads nowhere else."""

from __future__ import annotations

import re
from collections.abc import Callable

from evalkit.errors import InputError, Problem


def check_id(text: str, what: str, *, fail: Callable[[Problem], Exception] = InputError) -> str:
    """A run id or case id that is safe as one component of a path.

    Raises:
        InputError: it is empty, leads elsewhere, or holds a character no file name may have.
    """
    if text in {"", ".", ".."} or re.search(r"[/\\\x00-\x1f]", text):
        raise fail(
            Problem(
                f"{text!r} is no {what}",
                field=what,
                fix="give the name of one folder, without slashes",
            )
        )
    return text
