"""Programs run in a sandbox, and with what is left where none can be had, for tests of it."""

from functools import cache

import pytest

from evalkit.suite.sandbox import Policy, Sandbox

EACH = pytest.mark.parametrize("confine", [True, False], ids=["confined", "limits only"])


@cache
def sandbox(*, confine, **policy):
    """A sandbox of this policy; those of one policy are tried once."""
    return Sandbox(Policy(unconfined=not confine, **policy), confine=confine)


def run(code, workdir, *arguments, confine=True, timeout_s=120, env=None, **policy):
    """Run this Python in ``workdir``."""
    argv = ["-c", code, *arguments]
    return sandbox(confine=confine, **policy).run(argv, workdir, timeout_s=timeout_s, env=env or {})
