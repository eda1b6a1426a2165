"""A mapping in the making: its lines with their reasons, and what a person makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from evalkit.dataset.cases import Case
from evalkit.dataset.mapping import (
    SIMULATION_INPUTS,
    SIMULATION_KEY,
    SchemaMapping,
    Selector,
    look_up,
)

Side: TypeAlias = Literal["inputs", "expectations"]

CLEAR = 2
"""The weight of clear words."""

CALLED = {"inputs": "an input", "expectations": "an expectation", None: "left out"}
"""What a choice is, in a sentence."""


@dataclass(slots=True)
class Choice:
    """One line of a proposal.

    Attributes:
        side: Where it goes; None where it is left out.
        name: What a record calls it.
        selector: What feeds it; None for something that no single selector can name.
        reason: Why, in a sentence.
        coverage: (cases in which the selector is found, all cases).
        weight: 2 where clear words decide, 1 where a common word does, 0 where only its company
            does; less for what readers of a case need.
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
    """A mapping with what speaks for each of its lines, and what was left out and why.

    Attributes:
        choices: Inputs, expectations and what was left out, as the cases hold them.
    """

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
        lines: dict[Selector, list[Choice]] = {}
        proposed = {choice.selector: choice for choice in self.choices}
        for where, name, selector in written.entries():
            side: Side = "inputs" if where == "inputs" else "expectations"
            hits = sum(not look_up(selector, case)[1] for case in cases)
            new = Choice(None, name, selector, "It was not proposed.", (hits, len(cases)))
            own = proposed.get(selector) or new
            reason = own.reason if own.side == side else f"The file says so. {own.reason}"
            line = replace(own, side=side, name=name, reason=reason)
            lines.setdefault(selector, []).append(line)
        kept = []
        for choice in self.choices:
            left = f"The file leaves it out. Proposed as {CALLED[choice.side]}: {choice.reason}"
            out = replace(choice, side=None, reason=left) if choice.side else choice
            kept += lines.pop(choice.selector, [out]) if choice.selector else [out]
        return MappingProposal((*(line for each in lines.values() for line in each), *kept))

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
    it is a part of: the object or the file.

    Args:
        choices: The choices.
        kept: Those, by ``id``, that keep their names.
    """
    inputs = {choice.name for choice in choices if choice.side == "inputs"}
    simulated = SIMULATION_KEY in inputs and inputs <= SIMULATION_INPUTS
    counts = Counter((choice.side, choice.name) for choice in choices)
    taken = {(choice.side, choice.name) for choice in choices if id(choice) in kept}
    named = []
    for choice in choices:
        better, reserved = choice, choice.side == "inputs" and choice.name == SIMULATION_KEY
        reserved = reserved and not simulated
        if (
            choice.side
            and id(choice) not in kept
            and (reserved or counts[choice.side, choice.name] > 1)
        ):
            name = next(n for n in _longer_names(choice) if (choice.side, n) not in taken)
            why = (
                f" Called {name} because MLflow keeps the input “goal” for simulated conversations."
            )
            better = replace(choice, name=name, reason=choice.reason + (why if reserved else ""))
        taken.add((better.side, better.name))
        named.append(better)
    return named


def _longer_names(choice: Choice) -> Iterator[str]:
    """Its name preceded by more and more of what it is a part of; none without a selector."""
    if choice.selector is None:
        return
    file, name = PurePosixPath(choice.selector.file), choice.name
    keys = choice.selector.path.split(".")[:-1]
    for owner in filter(None, (*keys[::-1], file.stem, *file.parts[-2::-1], file.suffix[1:])):
        name = f"{owner}_{name}".replace(".", "_")
        yield name
    yield from (f"{name}_{number}" for number in range(2, 1000))


def differences(before: SchemaMapping, after: SchemaMapping) -> list[tuple[str, str, str]]:
    """The fields, such as ``inputs.prompt``, that two mappings feed differently, inputs first.

    Each with the selector before and after; empty where there is none.
    """
    old, new = (
        {f"{side}.{name}": str(selector) for side, name, selector in mapping.entries()}
        for mapping in (before, after)
    )
    rows = [
        (field, old.get(field, ""), new.get(field, "")) for field in dict.fromkeys((*old, *new))
    ]
    return [row for row in rows if row[1] != row[2]]
