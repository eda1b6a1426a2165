"""Programs run in a sandbox of each kind, for tests of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.suite.sandbox import Ended, Mechanism, Policy, Sandbox

CONFINED = (Mechanism.NAMESPACES, Mechanism.LANDLOCK)
EACH = pytest.mark.parametrize("mechanism", Mechanism, ids=lambda mechanism: mechanism.value)
EACH_CONFINED = pytest.mark.parametrize(
    "mechanism", CONFINED, ids=lambda mechanism: mechanism.value
)


def run(
    code: str,
    workdir: Path,
    mechanism: Mechanism | None = None,
    *arguments: str,
    timeout_s: float = 30,
    env: dict[str, str] | None = None,
    **policy,
) -> Ended:
    """Run this Python in ``workdir``, by this mechanism or the strongest there is."""
    sandbox = Sandbox(Policy(unconfined=mechanism is Mechanism.NONE, **policy), mechanism=mechanism)
    return sandbox.run(["-c", code, *arguments], workdir, timeout_s=timeout_s, env=env)
