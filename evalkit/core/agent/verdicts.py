"""What scorers' values mean, and which damage they notice."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalkit.core.agent.damage import DAMAGES, Damaged
from evalkit.core.agent.suite import Score
from evalkit.core.values import Json

GOOD_FROM = 0.5
"""The number from which on a numeric value counts as good."""

_WORDS = {"yes": 1.0, "no": 0.0}


def rank(value: Json) -> float | None:
    """How good a value is: of two, the higher; None where it is not a valid value.

    Valid are True and False, ``"yes"`` and ``"no"``, and finite numbers, of which more is better.
    """
    if isinstance(value, str):
        return _WORDS.get(value)
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    return None


def is_good(value: Json) -> bool:
    """Whether a scorer lets a row pass: True, ``"yes"``, or a number from 0.5 up."""
    ranked = rank(value)
    return ranked is not None and ranked >= GOOD_FROM


def is_worse(clean: Json, damaged: Json) -> bool:
    """Whether a value fell from pass to fail, or to a lower number."""
    before, after = rank(clean), rank(damaged)
    return before is not None and after is not None and after < before


@dataclass(frozen=True, slots=True)
class Caught:
    """How many damaged copies were noticed.

    Attributes:
        caught: Copies that got a worse value than the row they were made of.
        of: Copies that there are.
    """

    caught: int
    of: int


@dataclass(frozen=True, slots=True)
class DamageTable:
    """Which scorer notices which damage.

    Attributes:
        scorers: For each scorer, and each damage that applied to any row, what it caught.
        suite: For each damage what was caught by any scorer.
    """

    scorers: Mapping[str, Mapping[str, Caught]]
    suite: Mapping[str, Caught]

    def caught_by(self, scorer: str) -> list[str]:
        """The damages that a scorer notices at least once."""
        return [damage for damage, each in self.scorers[scorer].items() if each.caught]


def table_of(details: Mapping[str, Json]) -> DamageTable:
    """The table in the figures of a check, as ``state/validation_results.json`` keeps them."""
    scorers = details.get("scorers", {})
    return DamageTable(
        {name: _read(figures["catches"]) for name, figures in scorers.items()},
        _read(details.get("damages", {})),
    )


def _read(figures: Mapping[str, Json]) -> dict[str, Caught]:
    return {damage: Caught(*each) for damage, each in figures.items()}


def damage_table(
    clean: Sequence[Sequence[Score]],
    damaged: Sequence[Damaged],
    scores: Sequence[Sequence[Score]],
) -> DamageTable:
    """What every scorer noticed.

    Args:
        clean: The scores of every row as it is.
        damaged: The damaged copies.
        scores: The scores of every copy, in the same order.
    """
    names = list(dict.fromkeys(score.scorer for row in clean for score in row))
    noticed = [
        (copy.damage, _noticing(clean[copy.index], given))
        for copy, given in zip(damaged, scores, strict=True)
    ]
    return DamageTable(
        {name: _per_damage((damage, name in by) for damage, by in noticed) for name in names},
        _per_damage((damage, bool(by)) for damage, by in noticed),
    )


def _noticing(clean: Iterable[Score], damaged: Iterable[Score]) -> set[str]:
    before = {(score.scorer, score.part): score.value for score in clean}
    return {
        score.scorer
        for score in damaged
        if is_worse(before.get((score.scorer, score.part)), score.value)
    }


def _per_damage(noticed: Iterable[tuple[str, bool]]) -> dict[str, Caught]:
    of: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for damage, seen in noticed:
        of[damage] += 1
        caught[damage] += seen
    return {damage: Caught(caught[damage], of[damage]) for damage in DAMAGES if of[damage]}


def damage_table_text(table: DamageTable) -> str:
    """The table as text: a line for each scorer, a column for each damage.

    ``3/5`` says that three of five damaged copies got a worse value, ``-`` that none did; the last
    line is what the scorers notice together.
    """
    if not table.suite:
        return "No row has a good output that could be damaged.\n"
    lines = [[name, *_cells(caught, table.suite)] for name, caught in table.scorers.items()]
    lines.append(["any of them", *_cells(table.suite, table.suite)])
    heads = [damage.split("_") for damage in table.suite]
    head = [
        ["", *(each[0] for each in heads)],
        ["", *(each[1] if len(each) > 1 else "" for each in heads)],
    ]
    return "".join(_laid_out([*head, *lines]))


def _cells(caught: Mapping[str, Caught], damages: Iterable[str]) -> list[str]:
    return [_cell(caught[damage]) for damage in damages]


def _cell(each: Caught) -> str:
    return f"{each.caught}/{each.of}" if each.caught else "-"


def _laid_out(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for name, *cells in lines:
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        text = "  ".join([name.ljust(widths[0]), *right]).rstrip()
        if text:
            yield text + "\n"
