"""A mapping in the making: its lines with their reasons, and what a person makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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

CALLED = {"inputs": "an input", "expectations": "an expectation", None: "left out"}
"""What a choice is, in a sentence."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of a proposal.

    Attributes:
        side: Where it goes; None where it is left out.
        name: What a record calls it.
        selector: What feeds it; None for something that no single selector can name.
        reason: Why, in a sentence.
        coverage: (cases in which the selector is found, all cases).
        gives_away: Whether the skill would clearly see what is expected, were this an input.
    """

    side: Side | None
    name: str
    selector: Selector | None
    reason: str
    coverage: tuple[int, int]
    gives_away: bool = False

    @property
    def key(self) -> str:
        """What the report calls it: the selector, or the name of what has none."""
        return str(self.selector) if self.selector else self.name


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

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why, by selector or name, also for what was left out."""
        return {choice.key: choice.reason for choice in self.choices}

    @property
    def coverage(self) -> Mapping[str, tuple[int, int]]:
        """How often each selector of the mapping is found, by selector."""
        return {c.key: c.coverage for c in self.choices if c.side and c.selector}

    def exposed(self, mapping: SchemaMapping) -> list[str]:
        """The inputs of a mapping made of it by which the skill would see what is expected."""
        expected = {c.selector for c in self.choices if c.side == "expectations" or c.gives_away}
        return [name for name, selector in mapping.inputs.items() if selector in expected]

    def as_written(self, written: SchemaMapping, cases: Sequence[Case]) -> MappingProposal:
        """The proposal as a mapping file overrides it.

        What the file maps is mapped as it says, under its names; all else is left out. Reasons
        say where the file and the proposal part.
        """
        proposed = {choice.selector: choice for choice in self.choices if choice.selector}
        chosen: dict[Selector, list[Choice]] = {}
        for where, name, selector in written.entries():
            side: Side = "inputs" if where == "inputs" else "expectations"
            choice = proposed.get(selector)
            reason = "The file says so; it was not proposed."
            if choice:
                parted = f"The file says so. Proposed as {CALLED[choice.side]}: "
                reason = f"{parted if choice.side != side else ''}{choice.reason}"
            hits = sum(not look_up(selector, case)[1] for case in cases)
            gives = bool(choice and choice.gives_away)
            line = Choice(side, name, selector, reason, (hits, len(cases)), gives)
            chosen.setdefault(selector, []).append(line)
        kept: list[Choice] = []
        for choice in self.choices:
            own = chosen.pop(choice.selector, []) if choice.selector else []
            left = f"The file leaves it out. Proposed as {CALLED[choice.side]}: {choice.reason}"
            out = replace(choice, side=None, reason=left) if choice.side else choice
            kept += own or [out]
        return MappingProposal((*(line for lines in chosen.values() for line in lines), *kept))

    def revised(self, sides: Sequence[Side | None]) -> MappingProposal:
        """The proposal with its choices on other sides.

        A choice that changes sides keeps its name, unless a choice there has it already or MLflow
        keeps it for itself; then it is preceded by what it is a part of.

        Args:
            sides: One for each of the choices, in their order; None leaves it out. What has no
                selector is left out whatever is said.
        """
        inputs = {choice.name for choice in self.chosen("inputs")}
        simulated = SIMULATION_KEY in inputs and inputs <= SIMULATION_INPUTS
        asked = zip(self.choices, sides, strict=True)
        wanted = [(choice, side if choice.selector else None) for choice, side in asked]
        taken = {(choice.side, choice.name) for choice, side in wanted if choice.side == side}
        choices = []
        for choice, side in wanted:
            if choice.side == side:
                choices.append(choice)
                continue
            reserved = side == "inputs" and choice.name == SIMULATION_KEY and not simulated
            names = [*([] if reserved else [choice.name]), *longer_names(choice)]
            name = next(n for n in names if (side, n) not in taken) if side else choice.name
            taken.add((side, name))
            moved = f"Changed by hand: {CALLED[side]}, was {CALLED[choice.side]}. {choice.reason}"
            choices.append(replace(choice, side=side, name=name, reason=moved))
        return MappingProposal(tuple(choices))


def with_good_names(choices: Sequence[Choice]) -> list[Choice]:
    """The choices, each with a name that is its own on its side and that MLflow takes.

    A name that two share, or that MLflow keeps for simulated conversations, is preceded by what
    it is a part of: the object or the file.
    """
    counts = Counter((choice.side, choice.name) for choice in choices)
    taken: set[tuple[Side | None, str]] = set()
    named = []
    for choice in choices:
        reserved = choice.side == "inputs" and choice.name == SIMULATION_KEY
        better = choice
        if reserved or (choice.side and counts[choice.side, choice.name] > 1):
            name = next(n for n in longer_names(choice) if (choice.side, n) not in taken)
            why = (
                f" Called {name} because MLflow keeps the input “goal” for simulated conversations."
            )
            better = replace(choice, name=name, reason=choice.reason + (why if reserved else ""))
        taken.add((better.side, better.name))
        named.append(better)
    return named


def longer_names(choice: Choice) -> Iterator[str]:
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
    fields = dict.fromkeys((*old, *new))
    rows = [(field, old.get(field, ""), new.get(field, "")) for field in fields]
    return [row for row in rows if row[1] != row[2]]
