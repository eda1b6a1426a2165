"""What an arm of a comparison says of each case: one run, or trials of the same thing, pooled.

Cases are what differs by chance, so several trials of a case count as one measurement of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias, get_args

from evalkit.jsonable import Json, is_number
from evalkit.runs.run import Run, Score

Arm: TypeAlias = Sequence[Run]
"""One run, or several trials of it; at least one."""

ValueKind: TypeAlias = Literal["pass", "number", "label", "other", "mixed", "nothing"]
"""What values are: true or false, numbers, text, lists or mappings; of several kinds; none."""

FlipKind: TypeAlias = Literal[
    "broken", "worse", "fixed", "better", "changed", "only in baseline", "only in candidate", "same"
]
FLIP_KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""The kinds of flips, those that want a look first."""

Pooled: TypeAlias = Mapping[str, Sequence[Score]]
"""One judge's scores in one arm, by case; one a trial that has any."""


@dataclass(frozen=True, slots=True)
class Flip:
    """What one judge said about one case in both arms.

    Attributes:
        case_id: The case.
        judge: The judge.
        kind: What became of it. ``fixed`` and ``broken`` are passes and failures, in all trials;
            ``better`` and ``worse`` numbers and rates, ``changed`` anything else. Where only one
            arm has a value, that one.
        before: The baseline's scores; none where it has none.
        after: The candidate's.
    """

    case_id: str
    judge: str
    kind: FlipKind
    before: Sequence[Score] = ()
    after: Sequence[Score] = ()


def pooled(arm: Arm) -> dict[str, dict[str, list[Score]]]:
    """An arm's scores by judge and case; judges of which only figures are known have none."""
    found: dict[str, dict[str, list[Score]]] = {judge: {} for run in arm for judge in run.judges}
    for run in arm:
        for score in run.scores:
            found.setdefault(score.judge, {}).setdefault(score.case_id, []).append(score)
    return found


def flips(baseline: Arm, candidate: Arm) -> list[Flip]:
    """One flip for each case and judge with a value in at least one arm, by case."""
    old, new = pooled(baseline), pooled(candidate)
    names = list(dict.fromkeys((*old, *new)))
    found: list[Flip] = []
    for name in names:
        before, after = old.get(name, {}), new.get(name, {})
        kind = kind_of_scores((before, after))
        for case in dict.fromkeys((*before, *after)):
            sides = before.get(case, ()), after.get(case, ())
            values = [level(kind, side) for side in sides]
            if values != [None, None]:
                found.append(Flip(case, name, _flip_kind(kind, *values), *sides))
    order = {name: place for place, name in enumerate(names)}
    return sorted(found, key=lambda flip: (flip.case_id, order[flip.judge]))


def level(kind: ValueKind, scores: Sequence[Score]) -> Json:
    """What an arm says of a case: the mean of passes or numbers, the most frequent label.

    Of any other kind it is the value where all trials agree, else the list of them. None where
    there is no value.
    """
    values = values_of(scores)
    if len(values) < 2:  # noqa: PLR2004 (a single trial's is the arm's)
        return values[0] if values else None
    if kind in {"pass", "number"}:
        return fmean(values)
    if kind == "label":
        return Counter(values).most_common(1)[0][0]
    return values[0] if all(each == values[0] for each in values) else values


def values_of(scores: Iterable[Score]) -> list[Json]:
    """The values that count."""
    return [value for score in scores if (value := _value(score)) is not None]


def _value(score: Score) -> Json:
    """The value that counts: none where the judge failed, skipped the case or gave no number."""
    if score.error:
        return None
    return None if _kind(score.value) == "number" and not is_number(score.value) else score.value


def _kind(value: Json) -> ValueKind:
    if isinstance(value, bool):
        return "pass"
    if isinstance(value, (int, float)):
        return "number"
    return "label" if isinstance(value, str) else "other"


def kind_of_scores(sides: Iterable[Pooled]) -> ValueKind:
    """What all values of these scores are."""
    scores = (score for side in sides for case in side.values() for score in case)
    kinds = set(map(_kind, values_of(scores)))
    if len(kinds) > 1:
        return "mixed"
    return kinds.pop() if kinds else "nothing"


def differ(before: Json, after: Json) -> bool:
    """Whether two values are not the same; true is not the number one."""
    return _kind(before) != _kind(after) or bool(before != after)


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
