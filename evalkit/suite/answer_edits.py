"""Where things stand in an answer of any shape, and how one of them is changed; not to what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from evalkit.jsonable import Json
from evalkit.suite.answer_reading import nodes
from evalkit.suite.model import Row

Path: TypeAlias = tuple[str | int, ...]

_ABOUT = re.compile(
    r"latenc|duration|elapsed|_ms$|timestamp|token|usage|trace|created|confidence|version|debug"
    r"|reason|rationale|thought|score|^model|^finish|^(role|type|object|id)$"
    r"|^(request|session|run|user|thread)_?id$",
    re.IGNORECASE,
)
"""Keys of what is about an answer rather than in it: no reader is misled by these."""

_ANSWER = re.compile(r"answer|response|reply|content|message|body|output|text", re.IGNORECASE)
_DEEP = 3


def fields(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Fields of objects down to the third level, without those about the answer."""
    for key, item in value.items() if isinstance(value, dict) and len(path) < _DEEP else ():
        if not _ABOUT.search(key):
            yield (*path, key), item
            yield from fields(item, (*path, key))


def value_at(value: Json, path: Path) -> Json:
    """What stands at a path; None where nothing does."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def with_value(value: Json, path: Path, *new: Json) -> Json:
    """A copy with another value at a path; without the last step where none is given."""
    if not path:
        return new[0]
    copy: Json = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and not new:
        del copy[path[0]]
    else:
        copy[path[0]] = with_value(copy[path[0]], path[1:], *new)
    return copy


def texts(row: Row) -> list[tuple[Path, str]]:
    """The answer's texts: the last message first, else the longest under a name that says so."""
    given = {item for _, item in nodes(row.inputs) if isinstance(item, str)}
    found = [
        (path, text)
        for path, text in nodes(row.outputs)
        if isinstance(text, str) and text not in given
        if not any(_ABOUT.search(str(step)) for step in path)
    ]
    if any("messages" in path for path, _ in found):
        return found[::-1]
    named = {path: bool(path and _ANSWER.search(str(path[-1]))) for path, _ in found}
    return sorted(found, key=lambda place: (not named[place[0]], -len(place[1])))


def main_text(row: Row) -> str:
    """What people read first; empty where the answer holds no text."""
    return next((text for _, text in texts(row)), "")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a fault may look at: the row, chance, and other good rows of its route."""

    row: Row
    rng: Random
    others: Sequence[Row]


Place: TypeAlias = "re.Match[str]"
Apply: TypeAlias = Callable[[Setting], Json | None]
"""A damaged copy of the row's outputs; None where the fault does not apply."""


def in_text(edit: Callable[[str, Setting], str | None], words: int = 3) -> Apply:
    """The fault of the text that people read; it has at least so many words."""

    def apply(at: Setting) -> Json | None:
        for path, text in texts(at.row)[:1]:
            edited = edit(text, at) if len(text.split()) >= words else None
            if edited is not None and edited.split() != text.split():
                return with_value(at.row.outputs, path, edited)
        return None

    return apply


def in_place(pattern: str, change: Callable[[Place, Setting], str | None]) -> Apply:
    """The fault of one place that matches a pattern, in the first text that has one."""
    compiled = re.compile(pattern, re.MULTILINE)

    def apply(at: Setting) -> Json | None:
        for path, text in texts(at.row):
            places = list(compiled.finditer(text))
            for place in at.rng.sample(places, len(places)):
                new = change(place, at)
                if new is not None and new != place[0]:
                    edited = text[: place.start()] + new + text[place.end() :]
                    return with_value(at.row.outputs, path, edited)
        return None

    return apply


def in_field(change: Callable[[Json, list[Json], Setting], list[Json] | None]) -> Apply:
    """The fault of one field that all answers of the route have; an empty list drops it."""

    def apply(at: Setting) -> Json | None:
        found = list(fields(at.row.outputs))
        for path, value in at.rng.sample(found, len(found)):
            others = [value_at(r.outputs, path) for r in at.others]
            new = None if None in others else change(value, others, at)
            if new is not None and new != [value]:
                return with_value(at.row.outputs, path, *new)
        return None

    return apply
