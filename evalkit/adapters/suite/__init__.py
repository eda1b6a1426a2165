"""The bench on which the program runs a suite's code, confined, and hears what came of it."""

from __future__ import annotations

from evalkit.adapters.suite.bench import Patience, SuiteBench
from evalkit.adapters.suite.room import Confining

__all__ = ["Confining", "Patience", "SuiteBench"]
