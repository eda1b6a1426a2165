"""A proposal in the hands of a person: as a mapping file has it, and field by field as they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evalkit.core.dataset import Case, SchemaMapping, Selector
from evalkit.core.mapping.proposal import Choice, Proposal, Side, longer_names
from evalkit.core.mapping.schema_mapping import (
    SIMULATION_INPUTS,
    SIMULATION_KEY,
    apply_mapping,
    cover,
    entries,
)

CALLED = {"inputs": "an input", "expectations": "an expectation", None: "left out"}
"""What a choice is, in a sentence."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A field that one case lacks.

    Attributes:
        case_id: The case.
        field: The field, such as ``inputs.prompt``.
        selector: What was looked for.
        why: Why it was not found, as a clause about the case.
    """

    case_id: str
    field: str
    selector: Selector
    why: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that two mappings feed differently.

    Attributes:
        field: The field, such as ``inputs.prompt``.
        before: Its selector in the one; empty where that lacks it.
        after: Its selector in the other; empty where that lacks it.
    """

    field: str
    before: str
    after: str


def as_written(proposal: Proposal, written: SchemaMapping, cases: Sequence[Case]) -> Proposal:
    """The proposal as a mapping file overrides it.

    What the file maps is mapped as it says, under its names; all else is left out. Reasons say
    where the file and the proposal part.

    Args:
        proposal: What was proposed.
        written: What the file says.
        cases: All cases.
    """
    proposed = {choice.selector: choice for choice in proposal.choices if choice.selector}
    counts = cover([selector for _, _, selector in entries(written)], cases)
    chosen: dict[Selector, list[Choice]] = {}
    for where, name, selector in entries(written):
        side: Side = "inputs" if where == "inputs" else "expectations"
        choice = proposed.get(selector)
        chosen.setdefault(selector, []).append(
            Choice(
                side,
                name,
                selector,
                _as_file_says(choice, side),
                counts[str(selector)],
                gives_away=bool(choice and choice.gives_away),
            )
        )
    kept: list[Choice] = []
    for choice in proposal.choices:
        own = chosen.pop(choice.selector, None) if choice.selector else None
        kept += own or [_left_out(choice)]
    added = [choice for choices in chosen.values() for choice in choices]
    return Proposal((*added, *kept))


def _as_file_says(proposed: Choice | None, side: Side) -> str:
    if proposed is None:
        return "The file says so; it was not proposed."
    if proposed.side == side:
        return proposed.reason
    return f"The file says so. Proposed as {CALLED[proposed.side]}: {proposed.reason}"


def _left_out(choice: Choice) -> Choice:
    if choice.side is None:
        return choice
    reason = f"The file leaves it out. Proposed as {CALLED[choice.side]}: {choice.reason}"
    return replace(choice, side=None, reason=reason)


def revised(proposal: Proposal, sides: Sequence[Side | None]) -> Proposal:
    """The proposal with its choices on other sides.

    A choice that changes sides keeps its name, unless a choice there has it already or MLflow
    keeps it for itself; then it is preceded by what it is a part of.

    Args:
        proposal: What to start from.
        sides: One for each of its choices, in their order; None leaves it out. What has no
            selector is left out whatever is said.
    """
    wanted = [
        side if choice.selector else None
        for choice, side in zip(proposal.choices, sides, strict=True)
    ]
    stays = [choice.side == side for choice, side in zip(proposal.choices, wanted, strict=True)]
    taken = {(c.side, c.name) for c, same in zip(proposal.choices, stays, strict=True) if same}
    simulated = _is_simulation(proposal)
    choices = []
    for choice, side, same in zip(proposal.choices, wanted, stays, strict=True):
        changed = choice
        if not same:
            name = choice.name
            if side is not None:
                name = next(n for n in _names(choice, side, simulated) if (side, n) not in taken)
                taken.add((side, name))
            changed = replace(choice, side=side, name=name, reason=_by_hand(choice, side))
        choices.append(changed)
    return Proposal(tuple(choices))


def _is_simulation(proposal: Proposal) -> bool:
    """Whether its records already are simulated conversations in MLflow's eyes."""
    names = {choice.name for choice in proposal.chosen("inputs")}
    return SIMULATION_KEY in names and names <= SIMULATION_INPUTS


def _names(choice: Choice, side: Side, simulated: bool) -> Iterator[str]:
    if simulated or side != "inputs" or choice.name != SIMULATION_KEY:
        yield choice.name
    yield from longer_names(choice)


def _by_hand(choice: Choice, side: Side | None) -> str:
    moved = f"Changed by hand: {CALLED[side]}, was {CALLED[choice.side]}."
    return f"{moved} {choice.reason}"


def differences(before: SchemaMapping, after: SchemaMapping) -> list[Difference]:
    """The fields that two mappings feed differently, inputs first."""
    old, new = _selectors(before), _selectors(after)
    return [
        Difference(field, old.get(field, ""), new.get(field, ""))
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    ]


def _selectors(mapping: SchemaMapping) -> dict[str, str]:
    return {f"{side}.{name}": str(selector) for side, name, selector in entries(mapping)}


def exposed(proposal: Proposal, mapping: SchemaMapping) -> list[str]:
    """The inputs of a mapping by which the skill would see what is expected of it.

    Args:
        proposal: What was proposed, and so what is known to be expected.
        mapping: What was made of it.
    """
    expected = {
        choice.selector
        for choice in proposal.choices
        if choice.side == "expectations" or choice.gives_away
    }
    return [name for name, selector in mapping.inputs.items() if selector in expected]


def gaps(mapping: SchemaMapping, cases: Sequence[Case]) -> list[Gap]:
    """Every field that a case lacks, case by case."""
    return [
        Gap(case.case_id, f"{each.side}.{each.name}", each.selector, each.missing.why)
        for case in cases
        for each in apply_mapping(mapping, case)[1]
    ]
