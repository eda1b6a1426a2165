"""What became of each score from one run to another: fixed, broken, better, worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from evalkit.core.results import Score
from evalkit.core.score_values import Kind, Scores, differ, value_of
from evalkit.jsonable import Json

FlipKind: TypeAlias = Literal[
    "broken", "worse", "fixed", "better", "changed", "only in baseline", "only in candidate", "same"
]

FLIP_KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""The kinds of flips, those that want a look first."""


@dataclass(frozen=True, slots=True)
class Flip:
    """What one judge said about one case in both runs.

    Attributes:
        case_id: The case.
        judge: The judge.
        kind: What became of it. ``fixed`` and ``broken`` are passes and failures, ``better`` and
            ``worse`` numbers, ``changed`` anything else. Where only one run has a value, that one.
        before: The baseline's score; None where it has none.
        after: The candidate's.
    """

    case_id: str
    judge: str
    kind: FlipKind
    before: Score | None
    after: Score | None


def flips_of_judge(judge: str, kind: Kind, before: Scores, after: Scores) -> Iterator[Flip]:
    """One flip for each case to which the judge gave a value in at least one of the runs.

    Args:
        judge: The judge's name.
        kind: What its values are in both runs.
        before: Its scores in the baseline.
        after: Its scores in the candidate.
    """
    for case in dict.fromkeys((*before, *after)):
        old, new = before.get(case), after.get(case)
        values = value_of(old), value_of(new)
        if values != (None, None):
            yield Flip(case, judge, _flip_kind(kind, *values), old, new)


def _flip_kind(kind: Kind, before: Json, after: Json) -> FlipKind:
    if before is None:
        return "only in candidate"
    if after is None:
        return "only in baseline"
    if not differ(before, after):
        return "same"
    if kind == "pass":
        return "fixed" if after else "broken"
    if kind == "number":
        return "better" if after > before else "worse"
    return "changed"
