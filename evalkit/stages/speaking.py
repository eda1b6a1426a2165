"""How stages speak: reports out, progress along the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from evalkit.jsonable import Json

Report: TypeAlias = dict[str, Json]
Say: TypeAlias = Callable[[str], None]
Tell: TypeAlias = Callable[[str, Report | None], None]

Names: TypeAlias = Literal["auto", "seed"]
Source: TypeAlias = Literal["judge", "human", "all"]


def silent(_: str) -> None:
    """Say nothing."""
