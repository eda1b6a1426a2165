"""A mapping in the making: its lines with their reasons, and what a person makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import PurePosixPath

from evalkit.dataset.cases import Case
from evalkit.dataset.mapping import (
    SIMULATION_INPUTS,
    SIMULATION_KEY,
    SchemaMapping,
    Selector,
    Side,
    look_up,
)
from evalkit.jsonable import Json

CLEAR = 2  # the weight of clear words
SUBSTANTIAL = 12  # text shorter than this may be equal by chance
CALLED = {"inputs": "an input", "expectations": "an expectation", None: "left out"}
"""What a choice is, in a sentence."""


@dataclass(slots=True)
class Choice:
    """One line of a proposal.

    Attributes:
        side: Where it goes; None where it is left out.
        selector: What feeds it; None for something that no single selector can name.
        coverage: (cases in which the selector is found, all cases).
        weight: 2 or more where clear words decide, 1 where a common word does, 0 where only its
            company does.
    """

    side: Side | None
    name: str
    selector: Selector | None
    reason: str
    coverage: tuple[int, int]
    weight: int = 0

    @property
    def key(self) -> str:
        """What the report calls it: the selector, or the name of what has none."""
        return str(self.selector) if self.selector else self.name

    @property
    def file(self) -> str:
        """The file, or pattern, of its selector; empty without one."""
        return self.selector.file if self.selector else ""

    @property
    def gives_away(self) -> bool:
        """Whether the skill would clearly see what is expected, were this an input."""
        return self.side != "inputs" and self.weight >= CLEAR

    def put(self, side: Side | None, weight: int, reason: str) -> None:
        """Say where it goes."""
        self.side, self.weight, self.reason = side, weight, reason

    def moved(self, side: Side | None, why: str, name: str = "") -> Choice:
        """The choice on that side, with why before its reason where that is another one."""
        reason = self.reason if side == self.side else f"{why} {self.reason}"
        return replace(self, side=side, name=name or self.name, reason=reason)


@dataclass(frozen=True, slots=True)
class MappingProposal:
    """A mapping with what speaks for each of its lines, and what was left out and why."""

    choices: tuple[Choice, ...]

    def chosen(self, side: Side | None) -> list[Choice]:
        """The choices of one side; those left out for None."""
        return [choice for choice in self.choices if choice.side == side]

    @property
    def mapping(self) -> SchemaMapping:
        """The mapping itself."""
        return SchemaMapping(
            {c.name: c.selector for c in self.chosen("inputs") if c.selector},
            {c.name: c.selector for c in self.chosen("expectations") if c.selector},
        )

    def exposed(self, mapping: SchemaMapping) -> list[str]:
        """The inputs of a mapping made of it by which the skill would see what is expected."""
        expected = {c.selector for c in self.choices if c.side == "expectations" or c.gives_away}
        return [name for name, selector in mapping.inputs.items() if selector in expected]

    def as_written(self, written: SchemaMapping, cases: Sequence[Case]) -> MappingProposal:
        """The proposal as a mapping file overrides it: what the file maps goes where it says."""
        proposed, lines = {choice.selector: choice for choice in self.choices}, []
        for side, name, selector in written.entries():
            found = coverage(selector, cases)
            new = Choice(None, name, selector, "It was not proposed.", found)
            lines.append(proposed.get(selector, new).moved(side, "The file says so.", name))
        mapped = {line.selector for line in lines}
        left = (choice for choice in self.choices if choice.selector not in mapped)
        why = "The file leaves it out. Proposed as"
        lines += [choice.moved(None, f"{why} {CALLED[choice.side]}:") for choice in left]
        return MappingProposal(tuple(lines))

    def revised(self, sides: Iterable[Side | None]) -> MappingProposal:
        """The proposal with its choices on other sides, one for each in their order.

        What has no selector is left out whatever is said. A choice that changes sides is renamed
        where its name is taken there.
        """
        choices = []
        for choice, asked in zip(self.choices, sides, strict=True):
            side = asked if choice.selector else None
            why = f"Changed by hand: {CALLED[side]}, was {CALLED[choice.side]}."
            choices.append(choice if side == choice.side else choice.moved(side, why))
        return MappingProposal(tuple(with_good_names(choices, kept=self.choices)))


def coverage(selector: Selector, cases: Sequence[Case]) -> tuple[int, int]:
    """(cases in which the selector is found, all cases)."""
    return sum(not look_up(selector, case)[1] for case in cases), len(cases)


def with_good_names(choices: Sequence[Choice], kept: Iterable[Choice] = ()) -> list[Choice]:
    """The choices, each with a name that is its own on its side and that MLflow takes.

    A name that two share, or that MLflow keeps for simulated conversations, is preceded by what
    it is a part of: the object or the file. Those that are ``kept`` keep their names.
    """
    is_simulated = {c.name for c in choices if c.side == "inputs"} <= SIMULATION_INPUTS
    reserved = () if is_simulated else (("inputs", SIMULATION_KEY),)
    counts = Counter([*reserved, *((choice.side, choice.name) for choice in choices)])
    standing = {id(choice) for choice in kept}
    taken = {(choice.side, choice.name) for choice in choices if id(choice) in standing}
    named = []
    for choice in choices:
        name = choice.name
        if choice.side and id(choice) not in standing and counts[choice.side, name] > 1:
            name = next(n for n in _longer_names(choice) if (choice.side, n) not in taken)
        taken.add((choice.side, name))
        named.append(replace(choice, name=name))
    return named


def _longer_names(choice: Choice) -> Iterator[str]:
    """Its name preceded by more and more of what it is a part of."""
    selector = choice.selector or Selector("", "")
    file, name = PurePosixPath(selector.file), choice.name
    keys = selector.path.split(".")[:-1]
    for owner in filter(None, (*keys[::-1], file.stem, *file.parts[-2::-1])):
        name = f"{owner}_{name}".replace(".", "_")
        yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))


def drop_copies(choices: Sequence[Choice], cases: Sequence[Case]) -> None:
    """What two places hold alike in every case is taken once.

    An expectation that is as clear as the input drives it out, since it would give the answer
    away. Where the words are clear about two names, the skill is to return what it is given.
    """
    chosen = [each for each in choices if each.side and each.selector]
    values = [[look_up(c.selector, case)[0] for case in cases] for c in chosen if c.selector]
    for (one, here), (other, there) in combinations(zip(chosen, values, strict=True), 2):
        same_side, same_name = one.side == other.side, one.name == other.name
        both = [pair for pair in zip(here, there, strict=True) if None not in pair]
        if not (both and one.side and other.side) or (same_side and not same_name):
            continue
        if not all(a == b and (same_name or _is_substantial(a)) for a, b in both):
            continue
        given, kept = (one, other) if one.side == "inputs" else (other, one)
        if same_side:
            given, kept = sorted((other, one), key=lambda choice: choice.coverage[0])
        elif given.weight > kept.weight:
            given, kept = kept, given
        elif given.weight == kept.weight >= CLEAR and not same_name:
            continue
        why = f"in all {len(both)} cases that have both, and that is among the {kept.side}."
        weight = CLEAR if given.gives_away or kept.side == "expectations" else 0
        given.put(None, weight, f"It holds the same as {kept.key} {why}")


def _is_substantial(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) >= SUBSTANTIAL
    return isinstance(value, (list, dict)) and len(value) > 1


def differences(before: SchemaMapping, after: SchemaMapping) -> list[tuple[str, str, str]]:
    """(field, selector before, selector after) of what two mappings feed differently.

    A field is such as ``inputs.prompt``; a selector is empty where there is none.
    """
    old, new = (
        {f"{side}.{name}": str(selector) for side, name, selector in mapping.entries()}
        for mapping in (before, after)
    )
    fields = [each for each in dict.fromkeys((*old, *new)) if old.get(each) != new.get(each)]
    return [(each, old.get(each, ""), new.get(each, "")) for each in fields]
