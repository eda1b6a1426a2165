"""Where two JSON values differ, in words."""

from __future__ import annotations

from collections.abc import Iterable

from evalkit.core.values import Json, canonical

_SHOWN = 120
_CLOSE = 1e-6


def difference(expected: Json, given: Json, path: str = "") -> str:
    """Where two values differ first, in words; empty where they are equal."""
    if isinstance(expected, dict) and isinstance(given, dict):
        names = [*expected, *(name for name in given if name not in expected)]
        pairs = ((f"{path}[{name!r}]", expected.get(name), given.get(name)) for name in names)
        return _first_difference(pairs)
    if isinstance(expected, list) and isinstance(given, list):
        if len(expected) != len(given):
            return f"{path} has {len(given)} items instead of {len(expected)}"
        both = enumerate(zip(expected, given, strict=True))
        return _first_difference((f"{path}[{at}]", one, other) for at, (one, other) in both)
    if same(expected, given):
        return ""
    if isinstance(expected, str) and isinstance(given, str):
        at = next((n for n, (a, b) in enumerate(zip(expected, given)) if a != b), None)  # noqa: B905 - one may go on
        at = min(len(expected), len(given)) if at is None else at
        start = max(0, at - 30)
        return f"{path} is {shown(given[start:])} instead of {shown(expected[start:])} there"
    return f"{path} is {shown(given)} instead of {shown(expected)}"


def _first_difference(pairs: Iterable[tuple[str, Json, Json]]) -> str:
    return next((found for path, a, b in pairs if (found := difference(a, b, path))), "")


def same(expected: Json, given: Json) -> bool:
    """Whether two plain values are equal, numbers but for rounding."""
    if isinstance(expected, bool) or isinstance(given, bool):
        return expected is given
    if isinstance(expected, int | float) and isinstance(given, int | float):
        return abs(expected - given) <= _CLOSE * max(1.0, abs(expected))
    return bool(expected == given)


def shown(value: Json) -> str:
    """A value as it is quoted in a sentence, shortened."""
    text = value if isinstance(value, str) else canonical(value)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
