"""Places in the cases that could feed a record, and what they tell of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.mapping import WHOLE_FILE, Selector, look_up
from evalkit.dataset.proposal import CLEAR, Choice
from evalkit.jsonable import Json

MAX_FIELDS = 60
"""Of a document with more fields than this, only the most frequent are proposed."""

MAX_DEPTH = 6
"""Nested deeper than this is content, not structure."""

SUBSTANTIAL = 12
"""Text shorter than this may be equal by chance."""


@dataclass(slots=True)
class Candidate(Choice):
    """A place that could feed a record.

    Attributes:
        keys: The keys that lead to it; empty for a whole file.
        inside: All keys below it.
        parts: The places below it, where it is an object in every case.
        is_open: Whether nothing says yet where it goes.
    """

    keys: tuple[str, ...] = ()
    inside: frozenset[str] = frozenset()
    parts: tuple[Candidate, ...] = ()
    is_open: bool = False


def merged(file: str, keys: tuple[str, ...], values: Sequence[Json], total: int) -> Candidate:
    """The values of one place over all cases, merged."""
    there = [value for value in values if value is not None]
    below: dict[str, list[Json]] = {}
    objects = [value for value in there if isinstance(value, dict)]
    for key, each in (pair for value in objects for pair in value.items()):
        below.setdefault(key, []).append(each)
    if len(keys) >= MAX_DEPTH or len(objects) < len(there):
        below = {}
    kept = set(sorted(below, key=lambda key: -len(below[key]))[:MAX_FIELDS])
    parts = tuple(merged(file, (*keys, k), below[k], total) for k in below if k in kept)
    nulls = len(values) - len(there)
    reason = f" It is null in {nulls} of {len(values)} cases." if nulls else ""
    selector = Selector(file, ".".join(keys) or WHOLE_FILE)
    name = (keys[-1] if keys else PurePosixPath(file).stem).replace(".", "_")
    place = Candidate(None, name, selector, reason, (len(values), total))
    return replace(place, keys=keys, inside=frozenset(_keys_below(there)), parts=parts)


def judge_by_company(places: Sequence[Candidate]) -> None:
    """What nothing is said of, judged by what else there is; without an input, the likeliest."""
    given = {place.file for place in places if place.side == "inputs"}
    expected = [place for place in places if place.side == "expectations"]
    for place in places:
        near = [p for p in expected if p.file == place.file and p.keys]
        marks = [p.name for p in near if p.gives_away]
        if place.is_open and near and place.keys:
            if given and place.file not in given:
                why = f"It lies among what is expected ({near[0].name}), apart from the inputs."
                place.put("expectations", 0, why)
            elif marks:
                why = f"What is expected is marked as such ({marks[0]}); this is not."
                place.put("inputs", 0, why)
    if not any(place.side == "inputs" for place in places) and (expected or len(places) == 1):
        rest = [place for place in places if place.is_open and not place.side]
        marked = {place.file for place in expected if place.gives_away}
        for place in rest:
            if len({each.file for each in rest}) == 1 or place.file in marked:
                place.put("inputs", 0, "No other input is found; please check.")


def drop_copies(places: Sequence[Choice], cases: Sequence[Case]) -> None:
    """What two places hold alike in every case is taken once.

    An expectation that is as clear as the input drives it out, since it would give the answer
    away. Where the words are clear about two names, the skill is to return what it is given.
    """
    chosen = [(place, place.selector) for place in places if place.side and place.selector]
    values = {s: [look_up(s, case)[0] for case in cases] for _, s in chosen}
    for (one, here), (other, there) in combinations(chosen, 2):
        same_side, same_name = one.side == other.side, one.name == other.name
        if not (one.side and other.side) or (same_side and not same_name):
            continue
        pairs = zip(values[here], values[there], strict=True)
        both = [pair for pair in pairs if None not in pair]
        alike = all(a == b and (same_name or _is_substantial(a)) for a, b in both)
        given, kept = (one, other) if one.side == "inputs" else (other, one)
        if same_side:
            given, kept = sorted((other, one), key=lambda place: place.coverage[0])
        elif given.weight > kept.weight:
            given, kept = kept, given
        elif given.weight == kept.weight == CLEAR and not same_name:
            continue
        if both and alike:
            gives_away = given.gives_away or kept.side == "expectations"
            given.put(
                None,
                0,
                f"It holds the same as {kept.key} in all {len(both)} cases that have both, and "
                f"that is among the {kept.side}.",
            )
            given.gives_away = gives_away


def _is_substantial(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) >= SUBSTANTIAL
    return isinstance(value, (list, dict)) and len(value) > 1


def _keys_below(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _keys_below(each)
