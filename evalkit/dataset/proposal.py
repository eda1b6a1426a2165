"""A mapping in the making: its lines with their reasons, and what a person makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
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

CLEAR = 2
"""The weight of clear words."""

SUBSTANTIAL = 12
"""Text shorter than this may be equal by chance."""

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
        gives_away: Whether the skill would clearly see what is expected, were this an input.
    """

    side: Side | None
    name: str
    selector: Selector | None
    reason: str
    coverage: tuple[int, int]
    weight: int = 0
    gives_away: bool = False

    @property
    def key(self) -> str:
        """What the report calls it: the selector, or the name of what has none."""
        return str(self.selector) if self.selector else self.name

    @property
    def file(self) -> str:
        """The file, or pattern, of its selector; empty without one."""
        return self.selector.file if self.selector else ""

    def put(self, side: Side | None, weight: int, reason: str) -> None:
        """Say where it goes."""
        self.side, self.weight, self.reason = side, weight, reason
        self.gives_away = side == "expectations" and weight >= CLEAR


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
        proposed = {choice.selector: choice for choice in self.choices}
        lines = []
        for side, name, selector in written.entries():
            hits = sum(not look_up(selector, case)[1] for case in cases)
            new = Choice(None, name, selector, "It was not proposed.", (hits, len(cases)))
            own = proposed.get(selector, new)
            reason = own.reason if own.side == side else f"The file says so. {own.reason}"
            lines.append(replace(own, side=side, name=name, reason=reason))
        mapped = {line.selector for line in lines}
        for choice in self.choices:
            if choice.selector not in mapped:
                left = f"The file leaves it out. Proposed as {CALLED[choice.side]}: {choice.reason}"
                reason = left if choice.side else choice.reason
                lines.append(replace(choice, side=None, reason=reason))
        return MappingProposal(tuple(lines))

    def revised(self, sides: Sequence[Side | None]) -> MappingProposal:
        """The proposal with its choices on other sides, one for each in their order.

        What has no selector is left out whatever is said. A choice that changes sides is renamed
        where its name is taken there.
        """
        choices = []
        for choice, asked in zip(self.choices, sides, strict=True):
            side = asked if choice.selector else None
            why = f"Changed by hand: {CALLED[side]}, was {CALLED[choice.side]}. {choice.reason}"
            changed = replace(choice, side=side, reason=why) if side != choice.side else choice
            choices.append(changed)
        kept = {id(choice) for choice in self.choices}
        return MappingProposal(tuple(with_good_names(choices, kept)))


def with_good_names(choices: Sequence[Choice], kept: Collection[int] = ()) -> list[Choice]:
    """The choices, each with a name that is its own on its side and that MLflow takes.

    A name that two share, or that MLflow keeps for simulated conversations, is preceded by what
    it is a part of: the object or the file. Those in ``kept``, by ``id``, keep their names.
    """
    is_simulated = {c.name for c in choices if c.side == "inputs"} <= SIMULATION_INPUTS
    reserved = () if is_simulated else (("inputs", SIMULATION_KEY),)
    counts = Counter([*reserved, *((choice.side, choice.name) for choice in choices)])
    taken = {(choice.side, choice.name) for choice in choices if id(choice) in kept}
    named = []
    for choice in choices:
        name = choice.name
        if choice.side and id(choice) not in kept and counts[choice.side, name] > 1:
            name = next(n for n in _longer_names(choice) if (choice.side, n) not in taken)
        taken.add((choice.side, name))
        named.append(replace(choice, name=name))
    return named


def _longer_names(choice: Choice) -> Iterator[str]:
    """Its name preceded by more and more of what it is a part of."""
    selector = choice.selector or Selector("", "")
    file, name = PurePosixPath(selector.file), choice.name
    keys = selector.path.split(".")[:-1]
    for owner in filter(None, (*keys[::-1], file.stem, *file.parts[-2::-1], file.suffix[1:])):
        name = f"{owner}_{name}".replace(".", "_")
        yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))


def drop_copies(choices: Sequence[Choice], cases: Sequence[Case]) -> None:
    """What two places hold alike in every case is taken once.

    An expectation that is as clear as the input drives it out, since it would give the answer
    away. Where the words are clear about two names, the skill is to return what it is given.
    """
    chosen = [(each, each.selector) for each in choices if each.side and each.selector]
    values = {s: [look_up(s, case)[0] for case in cases] for _, s in chosen}
    for (one, here), (other, there) in combinations(chosen, 2):
        same_side, same_name = one.side == other.side, one.name == other.name
        pairs = zip(values[here], values[there], strict=True)
        both = [pair for pair in pairs if None not in pair]
        if (
            not (both and one.side and other.side)
            or (same_side and not same_name)
            or not all(a == b and (same_name or _is_substantial(a)) for a, b in both)
        ):
            continue
        given, kept = (one, other) if one.side == "inputs" else (other, one)
        if same_side:
            given, kept = sorted((other, one), key=lambda place: place.coverage[0])
        elif given.weight > kept.weight:
            given, kept = kept, given
        elif given.weight == kept.weight >= CLEAR and not same_name:
            continue
        gives_away = given.gives_away or kept.side == "expectations"
        why = f"in all {len(both)} cases that have both, and that is among the {kept.side}."
        given.put(None, 0, f"It holds the same as {kept.key} {why}")
        given.gives_away = gives_away


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
