"""How stages speak: reports out, progress along the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from evalkit.jsonable import Json

Report: TypeAlias = dict[str, Json]
Say: TypeAlias = Callable[[str], None]
Tell: TypeAlias = Callable[[str, Report | None], None]


def silent(_: str) -> None:
    """Say nothing."""
