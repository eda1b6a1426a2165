"""What two runs consumed, case by case: cost, time, turns and tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from evalkit.core.paired import Change, Standing, mean_change
from evalkit.core.results import Run, Usage

FIGURES: tuple[tuple[str, str, Callable[[Usage], float | None]], ...] = (
    ("Cost", "USD", lambda usage: usage.cost_usd),
    ("Duration", "s", lambda usage: usage.duration_s),
    ("Turns", "", lambda usage: usage.num_turns),
    ("Input tokens", "", lambda usage: usage.tokens.get("input")),
    ("Output tokens", "", lambda usage: usage.tokens.get("output")),
    ("Tokens read from the cache", "", lambda usage: usage.tokens.get("cache_read")),
    ("Tokens written to the cache", "", lambda usage: usage.tokens.get("cache_create")),
)
"""What is compared: name, unit, and where a session's usage says it."""


@dataclass(frozen=True, slots=True)
class UsageChange:
    """How one figure of what the agent consumed changed. Less is better.

    Attributes:
        name: Such as ``Cost``.
        unit: ``USD``, ``s``, or empty for counts.
        before: By case, of the cases where both runs have it and neither execution failed.
        after: The same cases in the same order.
        change: The change of the mean a case; None where no case has it in both.
        total_before: Of the whole baseline run, as it says; None where it does not.
        total_after: Of the whole candidate run.
    """

    name: str
    unit: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    change: Change | None
    total_before: float | None
    total_after: float | None

    @property
    def verdict(self) -> Standing | Literal["not in both"]:
        """What can be said of it."""
        return self.change.standing if self.change else "not in both"

    def share(self, amount: float | None) -> float | None:
        """An amount as a share of the baseline's mean a case; None where that is nothing."""
        if amount is None or self.change is None or not self.change.before:
            return None
        return amount / self.change.before


def usage_changes(baseline: Run, candidate: Run) -> Iterator[UsageChange]:
    """How each figure changed that at least one of the runs has.

    Cases whose execution failed in a run are left out: what crashes early is no saving.
    """
    failed = {*baseline.failed, *candidate.failed}
    for name, unit, figure in FIGURES:
        old, new = _by_case(baseline, figure), _by_case(candidate, figure)
        common = [case for case in old if case in new and case not in failed]
        before = {case: old[case] for case in common}
        after = {case: new[case] for case in common}
        totals = figure(baseline.usage), figure(candidate.usage)
        if common or totals != (None, None):
            change = mean_change(list(before.values()), list(after.values())) if common else None
            yield UsageChange(name, unit, before, after, change, *totals)


def _by_case(run: Run, figure: Callable[[Usage], float | None]) -> dict[str, float]:
    return {
        case: found
        for case, usage in run.case_usage.items()
        if (found := figure(usage)) is not None
    }
