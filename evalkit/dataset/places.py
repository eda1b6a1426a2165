"""Places in the cases that could feed a record, and what they tell of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.cues import Part, is_answer
from evalkit.dataset.mapping import WHOLE_FILE, Selector, is_pattern, look_up
from evalkit.dataset.proposal import Choice, with_good_names
from evalkit.jsonable import Json

MAX_FIELDS = 60
"""Of a document with more fields than this, only the most frequent are proposed."""

MAX_DEPTH = 6
"""Nested deeper than this is content, not structure."""

SUBSTANTIAL = 12
"""Text shorter than this may be equal by chance."""

CLEAR = 2
"""The weight of clear words."""


@dataclass
class Candidate:
    """A place that could feed a record, and what is thought of it so far.

    Attributes:
        file: The file, or a pattern.
        keys: The keys that lead to it; empty for a whole file.
        hits: In how many cases it is found.
        nulls: In how many it is null.
        inside: All keys below it.
        parts: The places below it, where it is an object in every case.
        part: Where it goes; None while nothing says.
        weight: 2 where clear words decide, 1 where a common word does, 0 where only its company
            does; -1 for what only readers of the case seem to need, -2 among inputs.
        reason: Why.
        gives_away: Whether the skill would clearly see what is expected, were this an input.
    """

    file: str
    keys: tuple[str, ...]
    hits: int
    nulls: int = 0
    inside: frozenset[str] = frozenset()
    parts: tuple[Candidate, ...] = ()
    part: Part | None = None
    weight: int = 0
    reason: str = ""
    gives_away: bool = False

    @property
    def selector(self) -> Selector:
        """What names it."""
        return Selector(self.file, ".".join(self.keys) or WHOLE_FILE)

    @property
    def name(self) -> str:
        """What it is called: its key, the file's name without the ending, or the folder's."""
        path = PurePosixPath(self.file)
        return (
            self.keys[-1] if self.keys else path.parent.name if is_pattern(self.file) else path.stem
        )

    def put(self, part: Part | None, weight: int, reason: str) -> None:
        """Say where it goes."""
        self.part, self.weight, self.reason = part, weight, reason
        self.gives_away = part == "expectations" and weight > 1


def lines_of(
    places: Sequence[Candidate], total: int, names: Mapping[Selector, str] | None = None
) -> list[Choice]:
    """Places as lines of a proposal, named by their keys and files where no name is given."""
    choices = [
        Choice(
            place.part if place.part != "out" else None,
            (names or {}).get(place.selector) or place.name.replace(".", "_"),
            place.selector,
            place.reason
            + f"; null in {place.nulls} of {place.hits} cases" * bool(place.nulls)
            + ".",
            (place.hits, total),
            place.gives_away,
        )
        for place in places
    ]
    return with_good_names(choices)


def merged(file: str, keys: tuple[str, ...], values: Sequence[Json]) -> Candidate:
    """The values of one place over all cases, merged."""
    there = [value for value in values if value is not None]
    below: dict[str, list[Json]] = {}
    if len(keys) < MAX_DEPTH and all(isinstance(value, dict) for value in there):
        for key, each in (
            (k, v) for value in there if isinstance(value, dict) for k, v in value.items()
        ):
            below.setdefault(key, []).append(each)
    kept = set(sorted(below, key=lambda key: -len(below[key]))[:MAX_FIELDS])
    parts = tuple(merged(file, (*keys, key), below[key]) for key in below if key in kept)
    nulls = len(values) - len(there)
    return Candidate(file, keys, len(values), nulls, frozenset(_keys_below(there)), parts)


def _keys_below(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _keys_below(each)


def judge_by_company(places: Sequence[Candidate]) -> None:
    """What nothing is said of, judged by what else its document holds."""
    decided = {place.file for place in places if place.part}
    for place in places:
        if place.weight < -1 and place.file not in decided:
            place.put("inputs", 0, f"{place.file} holds nothing else for the skill; please check")
    has_inputs = {place.file for place in places if place.part == "inputs"}
    for place in places:
        expected = [
            p for p in places if p.file == place.file and p.part == "expectations" and p.keys
        ]
        if place.part is not None or place.weight or not place.keys or not expected:
            continue
        marks = [each.name for each in expected if is_answer(each.name)]
        if has_inputs and place.file not in has_inputs:
            why = f"It lies among what is expected ({expected[0].name}), apart from the inputs"
            place.put("expectations", 0, why)
        elif marks:
            place.put("inputs", 0, f"What is expected is marked as such ({marks[0]}); this is not")


def find_some_input(places: Sequence[Candidate]) -> None:
    """Without any input, what is least unlikely to be one, if that is clear."""
    undecided = [p for p in places if p.part is None and p.weight >= 0]
    remarks = [p for p in places if p.part is None and p.weight < 0]
    expected = [p for p in places if p.part == "expectations"]
    files = {place.file for place in undecided}
    chosen, why = remarks, "The cases hold nothing else that the skill could be given"
    if len(files) == 1 and (expected or len(places) == 1):
        chosen = undecided + [place for place in remarks if place.file in files]
        why = "Nothing else can be what the skill is given"
    elif undecided:
        clear = {place.file for place in expected if place.gives_away}
        chosen = [place for place in undecided if place.file in clear]
        why = "It lies beside what is clearly expected, and no other input is found"
    if not any(place.part == "inputs" for place in places):
        for place in chosen:
            place.put("inputs", 0, f"{why}; please check")


def drop_copies(places: Sequence[Candidate], cases: Sequence[Case]) -> None:
    """What two places hold alike in every case is taken once.

    An expectation that is as clear as the input drives it out, since it would give the answer
    away. Where the words are clear about two names, the skill is to return what it is given.
    """
    chosen = [place for place in places if place.part in {"inputs", "expectations"}]
    values = {
        place.selector: [look_up(place.selector, case)[0] for case in cases] for place in chosen
    }
    for one, other in combinations(chosen, 2):
        if "out" in {one.part, other.part} or (one.part == other.part and one.name != other.name):
            continue
        pairs = zip(values[one.selector], values[other.selector], strict=True)
        both = [pair for pair in pairs if None not in pair]
        alike = all(a == b and (one.name == other.name or _is_substantial(a)) for a, b in both)
        given, kept = (one, other) if one.part == "inputs" else (other, one)
        if one.part == other.part:
            given, kept = sorted((other, one), key=lambda place: place.hits)
        elif given.weight > kept.weight:
            given, kept = kept, given
        elif given.weight == kept.weight == CLEAR and given.name != kept.name:
            continue
        if both and alike:
            gives_away = given.gives_away or kept.part == "expectations"
            given.put(
                "out",
                0,
                f"It holds the same as {kept.selector} in all {len(both)} cases that have both, "
                f"and that is among the {kept.part}",
            )
            given.gives_away = gives_away


def _is_substantial(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) >= SUBSTANTIAL
    return isinstance(value, (list, dict)) and len(value) > 1


def found_in(selector: Selector, cases: Sequence[Case]) -> int:
    """In how many cases the selector is found, null or not."""
    return sum(not look_up(selector, case)[1] for case in cases)
