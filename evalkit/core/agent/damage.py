"""Good outputs, damaged on purpose: what a suite that can see has to notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.core.agent.answer import Path, answer_in, text_at, with_text
from evalkit.core.agent.suite import Row, ToolStep
from evalkit.core.values import Json

MOST_ROWS = 24
"""Good rows that are damaged; more would take long and tell no more."""

ERROR_TEXT = (
    "Error: 500 Internal Server Error. Your request could not be processed. Please try again later."
)

_TIMES = 10
_MORE_SECONDS = 60.0
_MORE_CHARS = 2_000
_MOST_CHARS = 200_000


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged copy of a good row.

    Attributes:
        index: Which row it was.
        damage: What was done to it, a key of :data:`DAMAGES`.
        row: What has become of it.
    """

    index: int
    damage: str
    row: Row


@dataclass(frozen=True, slots=True)
class _Peers:
    """The good rows of one route, beside the one that is damaged.

    Attributes:
        place: Where the route's answers have their words.
        outputs: What the others answered, beginning with the row that follows it.
        slowest: Seconds that the slowest took, itself included.
        longest: Characters of the longest answer, its own included.
    """

    place: Path
    outputs: tuple[Json, ...]
    slowest: float
    longest: int


def damages(
    rows: Sequence[Row], good: Mapping[int, str], place_of: Callable[[str], Path]
) -> list[Damaged]:
    """Damaged copies of good rows, each with one damage.

    A damage that leaves a row as it was, or does not apply to it (no tools to drop, no other
    answer to swap with), is left out. Equal rows give equal copies.

    Args:
        rows: The rows of a dataset.
        good: Which of them are good, by their position, and the route that each took.
        place_of: Where the answers of a route have their words, which is where scorers look.
    """
    places = {route: place_of(route) for route in dict.fromkeys(good.values())}
    copies = []
    for index in _spread(sorted(good)):
        row = rows[index]
        peers = _peers(rows, good, index, places[good[index]])
        for damage, inflict in DAMAGES.items():
            damaged = inflict(row, peers)
            if damaged is not None and damaged != row:
                copies.append(Damaged(index, damage, damaged))
    return copies


def _spread(indexes: Sequence[int]) -> list[int]:
    if len(indexes) <= MOST_ROWS:
        return list(indexes)
    return [indexes[position * len(indexes) // MOST_ROWS] for position in range(MOST_ROWS)]


def _peers(rows: Sequence[Row], good: Mapping[int, str], index: int, place: Path) -> _Peers:
    same = [each for each in sorted(good) if good[each] == good[index]]
    after = same.index(index) + 1
    others = [*same[after:], *same[: after - 1]]
    return _Peers(
        place,
        tuple(rows[each].outputs for each in others),
        max(rows[each].seconds or 0.0 for each in same),
        max(len(_answer(rows[each].outputs, place)) for each in same),
    )


def _answer(output: Json, place: Path) -> str:
    path = answer_in(output, place)
    return "" if path is None else text_at(output, path)


def _saying(row: Row, text: str, place: Path) -> Row | None:
    path = answer_in(row.outputs, place)
    return None if path is None else replace(row, outputs=with_text(row.outputs, path, text))


def _emptied(row: Row, peers: _Peers) -> Row | None:
    nothing = type(row.outputs)() if isinstance(row.outputs, dict | list) else None
    return _saying(row, "", peers.place) or replace(row, outputs=nothing)


def _truncated(row: Row, peers: _Peers) -> Row | None:
    text = _answer(row.outputs, peers.place)
    if not text and isinstance(row.outputs, list):
        return replace(row, outputs=row.outputs[: len(row.outputs) // 2])
    return _saying(row, text[: len(text) // 2], peers.place)


def _swapped(row: Row, peers: _Peers) -> Row | None:
    other = next((each for each in peers.outputs if each != row.outputs), None)
    return None if other is None else replace(row, outputs=other)


def _error_text(row: Row, peers: _Peers) -> Row | None:
    return _saying(row, ERROR_TEXT, peers.place) or replace(row, outputs={"error": ERROR_TEXT})


def _wrong_format(row: Row, _: _Peers) -> Row | None:
    output = row.outputs
    if isinstance(output, str):
        parsed = _parsed(output)
        return replace(row, outputs=_prose(parsed) if parsed is not None else {"value": output})
    return replace(row, outputs={"items": output} if isinstance(output, list) else _prose(output))


def _parsed(text: str) -> Json:
    """The object or list that a text is the JSON of; None where it is prose."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _prose(value: Json) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_prose(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "\n".join(f"- {_prose(each)}" for each in value)
    return str(value)


def _tools_dropped(row: Row, _: _Peers) -> Row | None:
    return replace(row, steps=())


def _tool_failed(row: Row, _: _Peers) -> Row | None:
    worked = [position for position, step in enumerate(row.steps) if not step.failed]
    if not worked:
        return None
    steps = list(row.steps)
    steps[worked[-1]] = ToolStep(steps[worked[-1]].name, failed=True, output=ERROR_TEXT)
    return replace(row, steps=tuple(steps))


def _slowed(row: Row, peers: _Peers) -> Row | None:
    if row.seconds is None:
        return None
    return replace(row, seconds=_TIMES * peers.slowest + _MORE_SECONDS)


def _overlong(row: Row, peers: _Peers) -> Row | None:
    text = _answer(row.outputs, peers.place)
    if not text:
        return None
    wanted = min(_TIMES * peers.longest + _MORE_CHARS, _MOST_CHARS)
    repeated = "\n\n".join([text] * max(3, wanted // len(text) + 1))
    return _saying(row, repeated, peers.place)


DAMAGES: Mapping[str, Callable[[Row, _Peers], Row | None]] = {
    "emptied": _emptied,
    "truncated": _truncated,
    "swapped": _swapped,
    "error_text": _error_text,
    "wrong_format": _wrong_format,
    "tools_dropped": _tools_dropped,
    "tool_failed": _tool_failed,
    "slowed": _slowed,
    "overlong": _overlong,
}
"""Every damage by name: nothing answered, half an answer, another case's answer, an error in its
place, another kind of value, no tools used, a tool that failed, ten times as slow as the slowest,
ten times as long as the longest."""
