"""What scorers showed when they were tried: on a dataset's rows, and on damaged copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.core.agent.damage import Damaged
from evalkit.core.agent.faults import (
    copies_in_words,
    passed_by,
    row_key,
    score_faults,
    verdict_faults,
)
from evalkit.core.agent.suite import Row, Score
from evalkit.core.agent.verdicts import DamageTable, damage_table, rank
from evalkit.core.values import Json


@dataclass(frozen=True, slots=True)
class Trial:
    """Scorers, tried on a dataset's rows and on damaged copies of the good ones.

    Attributes:
        rows: The rows.
        good: The positions of those whose traces ended well, and their routes.
        copies: The damaged copies.
        clean: The scores of each row.
        damaged: The scores of each copy.
    """

    rows: tuple[Row, ...]
    good: Mapping[int, str]
    copies: Sequence[Damaged]
    clean: Sequence[Sequence[Score]]
    damaged: Sequence[Sequence[Score]]

    @property
    def keys(self) -> list[str]:
        """What each row is called."""
        return [row_key(row, position) for position, row in enumerate(self.rows)]

    @property
    def table(self) -> DamageTable:
        """Which damage which scorer notices."""
        return damage_table(self.clean, self.copies, self.damaged)

    @property
    def passed(self) -> dict[str, tuple[int, int]]:
        """By scorer: how many good rows pass, and of how many."""
        return passed_by(self.clean, self.good)

    def of(self, scorer: str) -> Trial:
        """The trial of one scorer."""
        return replace(self, clean=_only(scorer, self.clean), damaged=_only(scorer, self.damaged))

    def faults(self, scorers: Sequence[str], claims: Mapping[str, Sequence[str]]) -> list[str]:
        """What is wrong with the scorers; what they notice is asked once they give values."""
        rows = [f"row {position} ({key})" for position, key in enumerate(self.keys)]
        rows += copies_in_words(self.rows, self.copies)
        found = list(score_faults(scorers, rows, [*self.clean, *self.damaged]))
        return found or list(verdict_faults(self.passed, self.table, claims))

    def details(self) -> dict[str, Json]:
        """Its figures, as JSON."""
        table, passed = self.table, self.passed
        return {
            "rows": len(self.rows),
            "good_rows": len(self.good),
            "scorers": {
                name: {
                    "values": _summary(self.clean, name),
                    "good_passed": list(passed[name]),
                    "catches": {key: [each.caught, each.of] for key, each in caught.items()},
                }
                for name, caught in table.scorers.items()
            },
            "damages": {key: [each.caught, each.of] for key, each in table.suite.items()},
        }

    def proofs(self) -> tuple[str, ...]:
        """What each scorer showed, a sentence each."""
        table = self.table
        return tuple(
            f"{name}: {good} of {of} good rows pass; {_noticed(table, name)}"
            for name, (good, of) in self.passed.items()
        )


def _only(scorer: str, scores: Sequence[Sequence[Score]]) -> list[list[Score]]:
    return [[each for each in row if each.scorer == scorer] for row in scores]


def _summary(scores: Sequence[Sequence[Score]], scorer: str) -> dict[str, Json]:
    """How often each word or truth value was given; of numbers the least, mean and most."""
    values = [each.value for row in scores for each in row if each.scorer == scorer]
    numbers = [value for value in values if not isinstance(value, bool) and rank(value) is not None]
    numbers = [float(value) for value in numbers if not isinstance(value, str)]
    words = Counter(str(value) for value in values if isinstance(value, bool | str))
    summary: dict[str, Json] = dict(sorted(words.items()))
    if numbers:
        mean = round(sum(numbers) / len(numbers), 4)
        summary |= {"least": min(numbers), "mean": mean, "most": max(numbers)}
    return summary


def _noticed(table: DamageTable, scorer: str) -> str:
    caught = table.scorers[scorer]
    if not caught:
        return "there was no good output to damage, so what it notices is not proven"
    each = (f"{name} {caught[name].caught}/{caught[name].of}" for name in table.caught_by(scorer))
    return f"notices {', '.join(each)}"
