"""What a comparison of two runs says, in sentences: for the page, the terminal and the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.core.comparison import Comparison, JudgeChange
from evalkit.core.consumption import UsageChange
from evalkit.core.executions import executions, named, told
from evalkit.core.paired import CHANCE, FEWEST, Change
from evalkit.core.score_values import Kind

Tone: TypeAlias = Literal["bad", "good", "plain"]

MOST_NAMES = 4
MANY_JUDGES = 5
"""Judges compared at once, from which on chance is likely to make one stand out."""

SMALL = 60
"""Cases below which a change of ten points in a pass rate never stands out."""

HOPELESS = 2_000
"""Cases beyond which it is not worth saying how many would be needed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence or two.

    Attributes:
        tone: Whether it is about something that got worse, better, or neither.
        text: Plain text; holds names from files.
    """

    tone: Tone
    text: str


def conclusion(comparison: Comparison) -> Finding:
    """The comparison in one line."""
    common = len(comparison.common)
    better, worse = (
        [each.judge for each in comparison.having(verdict)] for verdict in ("better", "worse")
    )
    if not any(each.pairs for each in comparison.judges):
        return Finding("plain", "Nothing can be compared: no judge scored the same case in both.")
    if common < FEWEST:
        return Finding(
            "plain",
            f"The suite is too small to tell: with {cases(common)}, no change can be told from "
            f"chance. At least {FEWEST} must change the same way.",
        )
    if not better and not worse:
        return Finding(
            "plain",
            f"With {cases(common)}, no judge is better or worse beyond what chance explains.",
        )
    parts = [
        f"{verdict} by {listed(names)}"
        for verdict, names in (("Worse", worse), ("better", better))
        if names
    ]
    text = " and ".join(parts)
    return Finding(
        "bad" if worse else "good", f"{text[0].upper()}{text[1:]}, beyond what chance explains."
    )


def findings(comparison: Comparison) -> tuple[Finding, ...]:
    """What there is to say: what failed, what stands out, what cannot be told, what it cost."""
    return (
        *_failed_executions(comparison),
        conclusion(comparison),
        *_beyond_chance(comparison),
        *_resolution(comparison),
        *_within_noise(comparison.having("within noise")),
        *_too_few(comparison.having("too few cases")),
        *_changed(comparison.having("changed")),
        *_unchanged(comparison.having("same")),
        *_failing_judges(comparison.judges),
        *_not_in_both(comparison),
        *_usage(comparison.usage),
    )


def _failed_executions(comparison: Comparison) -> Iterator[Finding]:
    before, after = executions(comparison.baseline), executions(comparison.candidate)
    for run, each in ((comparison.baseline, before), (comparison.candidate, after)):
        if "exit_code" in each:
            yield Finding("bad", f"{run.run_id}: {told(each)}.")
    old, new = before["failed"], after["failed"]
    if old or new:
        tone: Tone = "bad" if new >= old else "plain"
        which = f": {named(after)}" if new else ""
        yield Finding(
            tone,
            f"Executions that failed {old} → {new}, of {after['total']}{which}. "
            "Cost and time are compared over cases that failed in neither run.",
        )


def regressions(comparison: Comparison) -> list[str]:
    """The judges that are worse beyond what chance explains, a sentence each."""
    return [_stands_out(each) for each in comparison.having("worse")]


def amount(kind: Kind, value: float, *, sign: bool = True) -> str:
    """A difference as people read it: points of a hundred for passes, else a number."""
    if kind == "pass":
        return f"{points(value, sign=sign)} points"
    return figure(value, sign=sign)


def points(share: float, *, sign: bool) -> str:
    """A share in points of a hundred, with a decimal where there are few."""
    text = f"{100 * share:.0f}" if abs(share) >= 0.1 else f"{100 * share:.1f}"  # noqa: PLR2004 (ten points)
    text = "0" if text in {"0.0", "-0.0"} else text.removesuffix(".0")
    return f"+{text}" if sign and share > 0 and text != "0" else text


def percent(share: float) -> str:
    """A relative change."""
    return f"{points(share, sign=True)}%"


def level(kind: Kind, value: float) -> str:
    """A mean as people read it: percent for passes, else a number."""
    return f"{value:.0%}" if kind == "pass" else figure(value)


def interval(kind: Kind, change: Change) -> str:
    """The 95 percent interval of a difference; empty where there is none."""
    if change.low is None or change.high is None:
        return ""
    low = points(change.low, sign=True) if kind == "pass" else amount(kind, change.low)
    return f"{low} to {amount(kind, change.high)}"


def figure(value: float, *, sign: bool = False) -> str:
    """A number with three digits that count; never in powers of ten."""
    rounded = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 (from there on, whole numbers)
    if "e" in rounded:
        rounded = f"{value:.6f}".rstrip("0").rstrip(".")
    if rounded in {"-0", ""}:
        rounded = "0"
    return f"+{rounded}" if sign and value > 0 else rounded


def _beyond_chance(comparison: Comparison) -> Iterator[Finding]:
    found = comparison.having("worse", "better")
    for each in sorted(found, key=lambda judge: judge.verdict, reverse=True):
        yield Finding("bad" if each.verdict == "worse" else "good", _stands_out(each))
    tested = sum(each.change is not None for each in comparison.judges)
    if found and tested >= MANY_JUDGES:
        yield Finding(
            "plain",
            f"{tested} judges are compared at once, and one in {round(1 / CHANCE)} stands out by "
            "chance alone: look at the cases before you believe a single one.",
        )


def _stands_out(each: JudgeChange) -> str:
    change = each.change
    if change is None:
        return ""
    return (
        f"{each.judge} is {each.verdict}: {level(each.kind, change.before)} → "
        f"{level(each.kind, change.after)} over {cases(each.pairs)} "
        f"({amount(each.kind, change.difference)}"
        + (f", 95 % interval {reach}" if (reach := interval(each.kind, change)) else "")
        + ")."
    )


def _changed(found: Sequence[JudgeChange]) -> Iterator[Finding]:
    for each in found:
        moves = ", ".join(
            f"{old} → {new} in {count}" for old, new, count in each.moves[:MOST_NAMES]
        )
        which = f": {moves}" if moves else ""
        mixed = (
            " Its values are of different kinds, so only whether they are equal is counted."
            if each.kind == "mixed"
            else ""
        )
        yield Finding(
            "plain",
            f"{each.judge} says something else on {each.differing} of {cases(each.pairs)}{which}."
            + mixed,
        )


def _within_noise(found: Sequence[JudgeChange]) -> Iterator[Finding]:
    for each in found:
        if each.change is None:
            continue
        text = f"{each.judge}: {amount(each.kind, each.change.difference)} is within noise."
        if each.change.resolution is not None:
            floor = amount(each.kind, each.change.resolution, sign=False)
            text += f" With {cases(each.pairs)}, less than ±{floor} cannot be told from chance"
            text += _needed(each.change)
        yield Finding("plain", text)


def _needed(change: Change) -> str:
    if change.needed is None or change.needed <= change.pairs:
        return "."
    many = f"more than {HOPELESS:,}"
    if change.needed <= HOPELESS:
        many = f"about {figure(float(f'{change.needed:.2g}'))}"
    return f"; {many} would show it."


def _too_few(found: Sequence[JudgeChange]) -> Iterator[Finding]:
    for each in found:
        if each.change is None:
            continue
        difference = amount(each.kind, each.change.difference)
        yield Finding(
            "plain",
            f"{each.judge}: {difference}, but only {each.differing} of {cases(each.pairs)} differ. "
            f"Fewer than {FEWEST} prove nothing, even where all point the same way.",
        )


def _unchanged(found: Sequence[JudgeChange]) -> Iterator[Finding]:
    if found:
        names = listed([f"{each.judge} ({cases(each.pairs)})" for each in found])
        yield Finding("plain", f"The same on every case: {names}.")


def _resolution(comparison: Comparison) -> Iterator[Finding]:
    count = len(comparison.common)
    if count >= FEWEST and any(each.kind == "pass" for each in comparison.judges):
        small = ": this suite is too small for less" if count < SMALL else ""
        yield Finding(
            "plain",
            f"A pass rate must change by {FEWEST} cases the same way, {FEWEST / count:.0%} of "
            f"{count}, before it stands out from chance{small}.",
        )


def _failing_judges(found: Sequence[JudgeChange]) -> Iterator[Finding]:
    for each in found:
        before, after = each.before.errors, each.after.errors
        if before != after and each.verdict != "not in both":
            tone: Tone = "bad" if after > before else "good"
            yield Finding(tone, f"{each.judge} could not judge {cases(after)}; before, {before}.")


def _not_in_both(comparison: Comparison) -> Iterator[Finding]:
    judges = comparison.judges
    only = (
        (
            "baseline",
            comparison.only_before,
            [each.judge for each in judges if each.before.values and not each.after.values],
        ),
        (
            "candidate",
            comparison.only_after,
            [each.judge for each in judges if each.after.values and not each.before.values],
        ),
    )
    for side, missing, names in only:
        if names:
            yield Finding("plain", f"Only the {side} was judged by {listed(names)}.")
        if missing:
            yield Finding("plain", f"Only in the {side}: {cases(len(missing))}, {listed(missing)}.")


def _usage(found: Sequence[UsageChange]) -> Iterator[Finding]:
    for each in found:
        share = each.share(each.change.difference) if each.change else None
        if each.change is None or share is None or each.verdict not in {"more", "less"}:
            continue
        yield Finding(
            "bad" if each.verdict == "more" else "good",
            f"{each.name}: {percent(share)} a case, {figure(each.change.before)} → "
            f"{quantity(each, each.change.after)} over {cases(each.change.pairs)}.",
        )


def quantity(each: UsageChange, value: float, *, sign: bool = False) -> str:
    """An amount of what was consumed, with its unit."""
    unit = f" {each.unit}" if each.unit else ""
    return figure(value, sign=sign) + unit


def cases(count: int) -> str:
    """A number of cases."""
    return "1 case" if count == 1 else f"{count} cases"


def listed(names: Sequence[str]) -> str:
    """The first names; the others are counted."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
