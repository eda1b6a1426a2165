"""The sandbox that suites run in, tried out once."""

from __future__ import annotations

import pytest

from evalkit.suite.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return Sandbox()
