"""What each judge said of each case in two arms, and what became of it.

An arm is one run, or several trials of the same thing: what they have of a case is pooled, since
cases are what differs by chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Literal, TypeAlias, get_args

from evalkit.jsonable import Json, is_beyond_numbers
from evalkit.runs.run import Run, Score

Arm: TypeAlias = Sequence[Run]
"""One run, or several trials of it."""

ValueKind: TypeAlias = Literal["pass", "number", "label", "other", "mixed", "nothing"]
"""What values are: true or false, numbers, text, lists or mappings; of several kinds; none."""

FlipKind: TypeAlias = Literal[
    "broken", "worse", "fixed", "better", "changed", "only in baseline", "only in candidate", "same"
]
FLIP_KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""What became of a score, what wants a look first: passes and failures of all trials were fixed or
broken, numbers and rates are better or worse, anything else changed."""

_SIDES = ("before", "after")
MOST = 1e150
"""A number beyond it is no score: not even its square can be reckoned with."""


@dataclass(frozen=True, slots=True)
class Paired:
    """What one judge said in both arms.

    Attributes:
        kind: What all its values are.
        scores: By case, those of either arm, one a trial.
        levels: By case, what either arm comes to; None where it has no value.
    """

    judge: str
    kind: ValueKind
    scores: Mapping[str, tuple[Sequence[Score], Sequence[Score]]]
    levels: Mapping[str, tuple[Json, Json]]


def pair_scores(baseline: Arm, candidate: Arm) -> list[Paired]:
    """What each judge said in both arms; one of which only figures are known has no cases."""
    runs = [(side, run) for side, arm in enumerate((baseline, candidate)) for run in arm]
    found: dict[str, dict[str, tuple[list[Score], list[Score]]]] = {
        judge: {} for _, run in runs for judge in run.judges
    }
    for side, run in runs:
        for score in run.scores:
            cases = found.setdefault(score.judge, {})
            cases.setdefault(score.case_id, ([], []))[side].append(score)
    pairs = []
    for judge, scores in found.items():
        values = {case: (values_of(old), values_of(new)) for case, (old, new) in scores.items()}
        kind = shape_of(value for sides in values.values() for value in chain(*sides))
        levels = {c: (_level(kind, old), _level(kind, new)) for c, (old, new) in values.items()}
        pairs.append(Paired(judge, kind, scores, levels))
    return pairs


def shape_of(values: Iterable[Json]) -> ValueKind:
    """What all of these values are."""
    kinds = set(map(_kind, values))
    return "mixed" if len(kinds) > 1 else kinds.pop() if kinds else "nothing"


def values_of(scores: Iterable[Score]) -> list[Json]:
    """The values that count: none of a judge that failed, skipped the case, or gave no number."""
    values = (score.value for score in scores if not score.error)
    return [
        value
        for value in values
        if (abs(value) < MOST if isinstance(value, (int, float)) else value is not None)
        and not is_beyond_numbers(value)
    ]


def _kind(value: Json) -> ValueKind:
    if isinstance(value, bool):
        return "pass"
    if isinstance(value, (int, float)):
        return "number"
    return "label" if isinstance(value, str) else "other"


def _level(kind: ValueKind, values: Sequence[Json]) -> Json:
    """The mean of passes or numbers, how often each label was given; else all that differ."""
    if len(values) < 2:  # noqa: PLR2004 (a single trial's is the arm's)
        return values[0] if values else None
    if kind in {"pass", "number"}:
        return fmean(values)
    if kind == "label":
        counts = sorted(Counter(values).items(), key=lambda found: (-found[1], found[0]))
        shares = (f"{label} {count} of {len(values)}" for label, count in counts)
        return counts[0][0] if len(counts) == 1 else ", ".join(shares)
    return values[0] if all(each == values[0] for each in values) else values


def flips(found: Iterable[Paired]) -> list[dict[str, Json]]:
    """Of each case and judge with a value in at least one arm what became of it, by case.

    ``case``, ``judge``, ``kind``, and what it was ``before`` and ``after``; of several trials all.
    """
    rows = (
        {
            "case": case,
            "judge": each.judge,
            "kind": _flip_kind(each.kind, *levels),
            **{
                name: values if len(values) > 1 else next(iter(values), None)
                for name, side in zip(_SIDES, each.scores[case], strict=True)
                for values in [[score.value for score in side]]
            },
        }
        for each in found
        for case, levels in each.levels.items()
        if levels != (None, None)
    )
    return sorted(rows, key=lambda row: row["case"])


def _flip_kind(kind: ValueKind, before: Json, after: Json) -> FlipKind:
    if before is None:
        return "only in candidate"
    if after is None:
        return "only in baseline"
    if kind not in {"pass", "number"}:
        return "changed" if differ(before, after) else "same"
    if before == after:
        return "same"
    if kind == "pass" and {before, after} == {0, 1}:
        return "fixed" if after else "broken"
    return "better" if after > before else "worse"


def differ(before: Json, after: Json) -> bool:
    """Whether two values are not the same; true is not the number one."""
    return bool(before != after) or isinstance(before, bool) != isinstance(after, bool)
