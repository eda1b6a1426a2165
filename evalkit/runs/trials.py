"""What an arm of a comparison says of each case: one run, or trials of the same thing, pooled.

Cases are what differs by chance, so several trials of a case count as one measurement of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias, get_args

from evalkit.jsonable import Json, is_beyond_numbers, is_number
from evalkit.runs.run import Run, Score, executions

Arm: TypeAlias = Sequence[Run]
"""One run, or several trials of it; at least one."""

ValueKind: TypeAlias = Literal["pass", "number", "label", "other", "mixed", "nothing"]
"""What values are: true or false, numbers, text, lists or mappings; of several kinds; none."""

FlipKind: TypeAlias = Literal[
    "broken", "worse", "fixed", "better", "changed", "only in baseline", "only in candidate", "same"
]
FLIP_KINDS: tuple[FlipKind, ...] = get_args(FlipKind)
"""The kinds of flips, those that want a look first."""

MOST = 1e150
"""A number beyond it is no score: not even its square can be reckoned with."""

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
    if isinstance(score.value, bool):  # nearly always
        return score.value
    if is_beyond_numbers(score.value):
        return None
    if _kind(score.value) != "number":
        return score.value
    return score.value if is_number(score.value) and abs(score.value) < MOST else None


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


def arm_executions(arm: Arm) -> dict[str, Json]:
    """What :func:`evalkit.runs.run.executions` says, of all trials together."""
    found = {run.run_id: executions(run) for run in arm}
    several = len(arm) > 1
    codes = [each["exit_code"] for each in found.values() if "exit_code" in each]
    return {
        "total": sum(each["total"] for each in found.values()),
        "failed": sum(each["failed"] for each in found.values()),
        "names": {
            f"{name} of {run_id}" if several else name: why
            for run_id, each in found.items()
            for name, why in each["names"].items()
        },
        **({"exit_code": codes[0]} if codes else {}),
    }


def newly_failing(baseline: Arm, candidate: Arm) -> float | None:
    """By how many cases more fail in the candidate, of those in both; None where names are lost."""
    if any(set(run.failed) - set(run.cases) for run in (*baseline, *candidate)):
        return None

    def shares(arm: Arm) -> dict[str, float]:
        cases = {case for run in arm for case in run.cases}
        return {c: fmean(c in run.failed for run in arm if c in run.cases) for c in cases}

    before, after = shares(baseline), shares(candidate)
    return sum(after[case] - before[case] for case in after if case in before)


def tells_endings(arm: Arm) -> bool:
    """Whether all of its runs say how any of their executions ended."""
    usages = ((run.usage, *run.case_usage.values()) for run in arm)
    return bool(arm) and all(any(u.exit_code is not None for u in each) for each in usages)


def lacking_scores(arm: Arm) -> Iterator[dict[str, Json]]:
    """Of each trial and judge, how many cases have no score though another trial's have one."""
    found = pooled(arm) if len(arm) > 1 else {}
    for run in arm:
        own = {(score.judge, score.case_id) for score in run.scores if values_of([score])}
        for judge, by_case in found.items():
            count = sum(
                bool(values_of(scores)) and (judge, case) not in own and case not in run.failed
                for case, scores in by_case.items()
            )
            if count:
                yield {"run_id": run.run_id, "judge": judge, "cases": count}
