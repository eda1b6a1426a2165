"""Programs run in a sandbox, and with what is left where none can be had, for tests of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from evalkit.suite.sandbox import Ended, Policy, Sandbox

EACH = pytest.mark.parametrize("confine", [True, False], ids=["confined", "limits only"])


@cache
def sandbox(*, confine: bool, **policy) -> Sandbox:
    """A sandbox of this policy; those of one policy are tried once."""
    return Sandbox(Policy(unconfined=not confine, **policy), confine=confine)


def run(
    code: str,
    workdir: Path,
    *arguments: str,
    confine: bool = True,
    timeout_s: float = 120,
    env: dict[str, str] | None = None,
    **policy,
) -> Ended:
    """Run this Python in ``workdir``."""
    argv = ["-c", code, *arguments]
    return sandbox(confine=confine, **policy).run(argv, workdir, timeout_s=timeout_s, env=env or {})
